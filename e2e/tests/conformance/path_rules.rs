//! Exact and Prefix paths on four hosts.

use anyhow::Result;
use e2e::fixtures::{exact, prefix, rule};

use crate::row::{Expected::By, Expected::NotFound, Row, get};
use crate::suite::{Feature, start};

const EXACT: &str = "exact-path-rules";
const PREFIX: &str = "prefix-path-rules";
const MIXED: &str = "mixed-path-rules";
const SLASH: &str = "trailing-slash-path-rules";

pub const ROWS: [Row; 16] = [
    get("path rules: Exact /foo matches /foo", EXACT, "/foo", By("foo-exact")),
    get("path rules: Exact /foo does not match /foo/", EXACT, "/foo/", NotFound),
    get("path rules: Exact /foo does not match /FOO", EXACT, "/FOO", NotFound),
    get("path rules: Exact /foo does not match /bar", EXACT, "/bar", NotFound),
    get("path rules: Prefix /foo matches /foo", PREFIX, "/foo", By("foo-prefix")),
    get(
        "path rules: Prefix /foo matches /foo/",
        PREFIX,
        "/foo/",
        By("foo-prefix"),
    ),
    get("path rules: Prefix /foo does not match /FOO", PREFIX, "/FOO", NotFound),
    get(
        "path rules: the longest Prefix matches /aaa/bbb",
        PREFIX,
        "/aaa/bbb",
        By("aaa-slash-bbb-prefix"),
    ),
    get(
        "path rules: the longest Prefix matches /aaa/bbb/ccc",
        PREFIX,
        "/aaa/bbb/ccc",
        By("aaa-slash-bbb-prefix"),
    ),
    get(
        "path rules: the shorter Prefix matches /aaa/ccc",
        PREFIX,
        "/aaa/ccc",
        By("aaa-prefix"),
    ),
    get(
        "path rules: a Prefix is no prefix of a string",
        PREFIX,
        "/aaaccc",
        NotFound,
    ),
    get(
        "path rules: Prefix /foo matches /foo/ beside longer ones",
        PREFIX,
        "/foo/",
        By("foo-prefix"),
    ),
    get("path rules: Exact goes before Prefix", MIXED, "/foo", By("foo-exact")),
    get(
        "path rules: Prefix /aaa/bbb/ matches /aaa/bbb",
        SLASH,
        "/aaa/bbb",
        By("aaa-slash-bbb-slash-prefix"),
    ),
    get(
        "path rules: Prefix /aaa/bbb/ matches /aaa/bbb/",
        SLASH,
        "/aaa/bbb/",
        By("aaa-slash-bbb-slash-prefix"),
    ),
    get("path rules: Exact /foo/ does not match /foo", SLASH, "/foo", NotFound),
];

#[tokio::test(flavor = "multi_thread")]
async fn path_rules() -> Result<()> {
    let world = start("conformance-path").await?;
    let foo_exact = world.backend("foo-exact").await?;
    let foo_prefix = world.backend("foo-prefix").await?;
    let aaa_slash_bbb = world.backend("aaa-slash-bbb-prefix").await?;
    let aaa = world.backend("aaa-prefix").await?;
    let aaa_slash_bbb_slash = world.backend("aaa-slash-bbb-slash-prefix").await?;
    let foo_slash = world.backend("foo-slash-exact").await?;
    let rules = [
        rule(EXACT, &[exact("/foo", &foo_exact)]),
        rule(
            PREFIX,
            &[
                prefix("/foo", &foo_prefix),
                prefix("/aaa/bbb", &aaa_slash_bbb),
                prefix("/aaa", &aaa),
            ],
        ),
        rule(MIXED, &[prefix("/foo", &foo_prefix), exact("/foo", &foo_exact)]),
        rule(
            SLASH,
            &[prefix("/aaa/bbb/", &aaa_slash_bbb_slash), exact("/foo/", &foo_slash)],
        ),
    ];
    world.apply_ingress("path-rules", &rules).await?;
    let feature = Feature {
        world: &world,
        certificate: None,
        headers: &[],
    };
    feature.check("path-rules", &ROWS).await?;
    world.stop().await
}
