//! Annotations of an Ingress: what the backend sees of them, and what becomes of those that cannot be used.

use anyhow::{Context, Result, ensure};
use e2e::fixtures::{prefix, rule, service};
use e2e::http::authority;
use e2e::{Backend, PATIENCE, Scenario, eventually};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn strip_path_cuts_off_what_the_rule_matches() -> Result<()> {
    let world = Scenario::start("strip").await?;
    let blue = world.backend("blue").await?;
    let (host, plain) = (world.host("shop"), world.host("plain"));
    apply(&world, "plain", json!({}), rule(&plain, &[prefix("/api", &blue)])).await?;
    let annotations = json!({"tyk.io/strip-path": "true"});
    apply(&world, "shop", annotations, rule(&host, &[prefix("/api", &blue)])).await?;
    for (path, seen) in [
        ("/api/users/?page=2", "/users/?page=2"),
        ("/api", "/"),
        ("/api/", "/"),
        ("/api/api/x", "/api/x"),
    ] {
        expect_seen_path(&world, &host, path, &blue, seen).await?;
        expect_seen_path(&world, &plain, path, &blue, path).await?;
    }
    world.expect_no_route(&host, "/apis").await?;

    // The annotation goes, and the path is whole again.
    apply(&world, "shop", json!({}), rule(&host, &[prefix("/api", &blue)])).await?;
    expect_seen_path(&world, &host, "/api/users/", &blue, "/api/users/").await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn preserve_host_decides_on_the_host_that_the_backend_gets() -> Result<()> {
    let world = Scenario::start("preserve").await?;
    let blue = world.backend("blue").await?;
    let (kept, own) = (world.host("kept"), world.host("own"));
    apply(&world, "kept", json!({}), rule(&kept, &[prefix("/", &blue)])).await?;
    let annotations = json!({"tyk.io/preserve-host": "false"});
    apply(&world, "own", annotations, rule(&own, &[prefix("/", &blue)])).await?;
    for (host, wanted) in [(&kept, kept.clone()), (&own, authority(&blue.url())?)] {
        let seen = world.expect_backend(host, "/", &blue).await?.json()?;
        ensure!(
            seen["headers"]["host"] == wanted.as_str(),
            "not {wanted} but {}",
            seen["headers"]
        );
    }
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listen_path_takes_the_place_of_paths_without_a_type() -> Result<()> {
    let world = Scenario::start("listen").await?;
    let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
    let host = world.host("shop");
    let raw = json!({"path": "/raw", "pathType": "ImplementationSpecific", "backend": service(&blue)});
    let annotations = json!({"tyk.io/listen-path": "/v{n:[0-9]+}"});
    let rules = rule(&host, &[raw, prefix("/typed", &green)]);
    apply(&world, "shop", annotations, rules).await?;
    for path in ["/v1", "/v22/users"] {
        expect_seen_path(&world, &host, path, &blue, path).await?;
    }
    // A path of another type keeps its own.
    expect_seen_path(&world, &host, "/typed/x", &green, "/typed/x").await?;
    world.expect_no_route(&host, "/vx").await?;
    world.expect_no_route(&host, "/raw").await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn legacy_matching_is_that_of_a_string_prefix() -> Result<()> {
    let world = Scenario::start("legacy").await?;
    let blue = world.backend("blue").await?;
    let (host, exact) = (world.host("shop"), world.host("exact"));
    apply(&world, "exact", json!({}), rule(&exact, &[prefix("/old", &blue)])).await?;
    let annotations = json!({"tyk.io/path-matching": "legacy"});
    apply(&world, "shop", annotations, rule(&host, &[prefix("/old", &blue)])).await?;
    for path in ["/old", "/older", "/old/x"] {
        expect_seen_path(&world, &host, path, &blue, path).await?;
    }
    expect_seen_path(&world, &exact, "/old/x", &blue, "/old/x").await?;
    world.expect_no_route(&exact, "/older").await?;

    let annotations = json!({"tyk.io/path-matching": "legacy", "tyk.io/strip-path": "true"});
    apply(&world, "shop", annotations, rule(&host, &[prefix("/old", &blue)])).await?;
    expect_seen_path(&world, &host, "/older", &blue, "/er").await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_annotation_is_reported_with_the_nearest_name() -> Result<()> {
    let world = Scenario::start("unknown").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    // Those of others are none of ours.
    let annotations = json!({"tyk.io/strip-paths": "true", "example.test/strip-path": "true"});
    apply(&world, "shop", annotations, rule(&host, &[prefix("/api", &blue)])).await?;
    let words = [
        "UnknownAnnotation",
        "tyk.io/strip-paths is not known",
        "tyk.io/strip-path?",
    ];
    world.expect_warning("shop", &words).await?;
    expect_seen_path(&world, &host, "/api/x", &blue, "/api/x").await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_value_is_reported_and_the_default_stays() -> Result<()> {
    let world = Scenario::start("bad-value").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    let annotations = json!({"tyk.io/strip-path": "yes", "tyk.io/timeout": "soon", "tyk.io/preserve-host": "no"});
    apply(&world, "shop", annotations, rule(&host, &[prefix("/api", &blue)])).await?;
    // One Event tells all of one kind: the first in full, of the others the fields.
    let words = [
        "InvalidAnnotation",
        "tyk.io/preserve-host]: \"no\"",
        "in force: the template's, else true",
        "tyk.io/strip-path]",
        "tyk.io/timeout]",
    ];
    world.expect_warning("shop", &words).await?;
    let seen = world.expect_backend(&host, "/api/x", &blue).await?.json()?;
    ensure!(
        seen["path"] == "/api/x" && seen["headers"]["host"] == host.as_str(),
        "the backend saw {seen}"
    );
    let apis = world.expect_apis(1).await?;
    ensure!(timeouts(&apis[0])?.is_empty(), "a timeout of no value: {}", apis[0]);

    // A good value takes the place of the default.
    let annotations = json!({"tyk.io/strip-path": "true"});
    apply(&world, "shop", annotations, rule(&host, &[prefix("/api", &blue)])).await?;
    expect_seen_path(&world, &host, "/api/x", &blue, "/x").await?;
    world.stop().await
}

/// Only the definition is looked at: that the gateway heeds it is for its own tests.
#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_reaches_the_gateway_and_is_changed_there() -> Result<()> {
    let world = Scenario::start("timeout").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    for (value, seconds) in [("7", 7), ("12s", 12)] {
        let annotations = json!({"tyk.io/timeout": value});
        apply(&world, "shop", annotations, rule(&host, &[prefix("/", &blue)])).await?;
        expect_timeout(&world, seconds).await?;
        world.expect_backend(&host, "/", &blue).await?;
    }
    world.stop().await
}

async fn expect_timeout(world: &Scenario, seconds: u64) -> Result<()> {
    eventually(PATIENCE, &format!("a timeout of {seconds} s"), async || {
        let apis = world.expect_apis(1).await?;
        let all = timeouts(&apis[0])?;
        for method in ["GET", "POST", "DELETE"] {
            let found = all.iter().find(|one| one["method"] == method);
            ensure!(
                found.is_some_and(|one| one["timeout"] == seconds),
                "{method} has {found:?}"
            );
        }
        Ok(())
    })
    .await
}

/// Every hard timeout of every version; the gateway writes an empty list as null.
fn timeouts(api: &Value) -> Result<Vec<Value>> {
    let versions = api["version_data"]["versions"].as_object().context("no versions")?;
    let of = |version: &Value| version["extended_paths"]["hard_timeouts"].as_array().cloned();
    Ok(versions.values().filter_map(of).flatten().collect())
}

async fn apply(world: &Scenario, name: &str, annotations: Value, rule: Value) -> Result<()> {
    let spec = json!({"ingressClassName": world.class(), "rules": [rule]});
    world.apply_ingress_spec(name, annotations, spec).await
}

/// Waits until `backend` answers, and saw this path.
async fn expect_seen_path(world: &Scenario, host: &str, path: &str, backend: &Backend, wanted: &str) -> Result<()> {
    eventually(PATIENCE, &format!("{host}{path} to arrive as {wanted}"), async || {
        let seen = world.expect_backend(host, path, backend).await?.json()?;
        ensure!(seen["path"] == wanted, "it arrives as {}", seen["path"]);
        Ok(())
    })
    .await
}
