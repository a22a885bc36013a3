//! An exact host with TLS and a named port beside a wildcard host.

use anyhow::Result;
use e2e::fixtures::{prefix, rule, tls, tls_secret};
use e2e::pki::server_certificate;
use serde_json::json;

use crate::row::{Expected::By, Expected::NotFound, Row, Scheme, get};
use crate::suite::{Feature, start};

pub const ROWS: [Row; 6] = [
    Row {
        name: "host rules: https://foo.bar.com with the certificate of its Secret",
        method: "GET",
        scheme: Scheme::Https,
        host: "foo.bar.com",
        path: "/",
        expected: By("foo-bar-com"),
    },
    get("host rules: http://foo.bar.com", "foo.bar.com", "/", By("foo-bar-com")),
    get(
        "host rules: http://subdomain.bar.com",
        "subdomain.bar.com",
        "/",
        NotFound,
    ),
    get(
        "host rules: http://bar.foo.com",
        "bar.foo.com",
        "/",
        By("wildcard-foo-com"),
    ),
    get("host rules: http://baz.bar.foo.com", "baz.bar.foo.com", "/", NotFound),
    get("host rules: http://foo.com", "foo.com", "/", NotFound),
];

#[tokio::test(flavor = "multi_thread")]
async fn host_rules() -> Result<()> {
    let world = start("conformance-host").await?;
    let wildcard = world.backend("wildcard-foo-com").await?;
    let exact = world.backend("foo-bar-com").await?;
    let certificate = server_certificate(&["foo.bar.com"])?;
    world
        .apply(&tls_secret("conformance-tls", world.namespace(), &certificate))
        .await?;
    let mut named = prefix("/", &exact);
    named["backend"]["service"]["port"] = json!({"name": "http"});
    let spec = json!({
        "ingressClassName": world.class(),
        "tls": [tls(&["foo.bar.com"], "conformance-tls")],
        "rules": [rule("*.foo.com", &[prefix("/", &wildcard)]), rule("foo.bar.com", &[named])],
    });
    world.apply_ingress_spec("host-rules", json!({}), spec).await?;
    let feature = Feature {
        world: &world,
        certificate: Some(&certificate),
        headers: &[],
    };
    feature.check("host-rules", &ROWS).await?;
    world.stop().await
}
