//! What http does for a host that has https.

use anyhow::{Context, Result, ensure};
use e2e::fixtures::{exact, prefix, rule, tls};
use e2e::http::Answer;
use e2e::redirector::Redirector;
use e2e::{Backend, Scenario};
use serde_json::json;

use crate::world::{apply_ingress, expect_status, secret};

const CHALLENGE: &str = "/.well-known/acme-challenge/token";

#[tokio::test(flavor = "multi_thread")]
async fn http_is_redirected_by_setting() -> Result<()> {
    let (world, _redirector) = with_redirector("tls-redirect", &["--http-for-tls-hosts=redirect"]).await?;
    let blue = world.backend("blue").await?;
    let (host, plain) = (world.host("shop"), world.host("plain"));
    let certificate = secret(&world, "web", &[&host]).await?;
    let rules = [rule(&host, &[prefix("/", &blue)]), rule(&plain, &[prefix("/", &blue)])];
    apply_ingress(&world, "shop", &[tls(&[&host], "web")], &rules).await?;
    world.expect_https(&host, "/", &blue, &certificate).await?;
    let answer = expect_status(&world, &host, "/cart/a%20b?item=1&x=%2F", 308).await?;
    redirects_to(&world, &answer, &host, "/cart/a%20b?item=1&x=%2F")?;
    world.expect_backend(&plain, "/", &blue).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_redirected_by_annotation() -> Result<()> {
    let (world, _redirector) = with_redirector("tls-annotated", &[]).await?;
    let blue = world.backend("blue").await?;
    let (host, serving) = (world.host("shop"), world.host("serving"));
    let certificate = secret(&world, "web", &[&host, &serving]).await?;
    let spec = |host: &str| {
        json!({"ingressClassName": world.class(), "tls": [tls(&[host], "web")],
            "rules": [rule(host, &[prefix("/", &blue)])]})
    };
    world
        .apply_ingress_spec("shop", json!({"tyk.io/ssl-redirect": "true"}), spec(&host))
        .await?;
    world.apply_ingress_spec("serving", json!({}), spec(&serving)).await?;
    let answer = expect_status(&world, &host, "/cart?item=1", 308).await?;
    redirects_to(&world, &answer, &host, "/cart?item=1")?;
    world.expect_https(&host, "/cart?item=1", &blue, &certificate).await?;
    world.expect_backend(&serving, "/", &blue).await?;

    // The annotation goes, and so does the redirect.
    world.apply_ingress_spec("shop", json!({}), spec(&host)).await?;
    world.expect_backend(&host, "/", &blue).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_closed_by_setting() -> Result<()> {
    let world = Scenario::start_with("tls-none", &["--http-for-tls-hosts=none"]).await?;
    let blue = world.backend("blue").await?;
    let (host, plain) = (world.host("shop"), world.host("plain"));
    let certificate = secret(&world, "web", &[&host]).await?;
    let rules = [rule(&host, &[prefix("/", &blue)]), rule(&plain, &[prefix("/", &blue)])];
    apply_ingress(&world, "shop", &[tls(&[&host], "web")], &rules).await?;
    world.expect_https(&host, "/", &blue, &certificate).await?;
    world.expect_backend(&plain, "/", &blue).await?;
    world.expect_no_route(&host, "/").await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acme_challenge_is_answered_over_http_without_a_key() -> Result<()> {
    let (world, _redirector) = with_redirector("tls-acme", &["--http-for-tls-hosts=redirect"]).await?;
    let (blue, solver) = (
        world.backend("blue").await?,
        world.backend("cm-acme-http-solver-x7k2p").await?,
    );
    let (host, open) = (world.host("shop"), world.host("open"));
    protected_template(&world, &blue).await?;
    // The Secret does not exist yet: that is what the challenge is for.
    let spec = json!({"ingressClassName": world.class(), "tls": [tls(&[&host], "later")], "rules": [
        rule(&host, &[prefix("/", &blue), exact(CHALLENGE, &solver)]),
        rule(&open, &[prefix("/", &blue)])]});
    let annotations = json!({"tyk.io/template": "protected"});
    world.apply_ingress_spec("shop", annotations, spec).await?;
    let seen = world.expect_backend(&host, CHALLENGE, &solver).await?.json()?;
    ensure!(
        seen["path"] == CHALLENGE && seen["headers"]["host"] == host.as_str(),
        "the solver saw {seen}"
    );
    // The template counts beside the challenge.
    expect_status(&world, &open, "/", 401).await?;
    expect_status(&world, &host, "/other", 308).await?;

    let certificate = secret(&world, "later", &[&host]).await?;
    e2e::eventually(e2e::PATIENCE, "https to ask for a key", async || {
        let answer = e2e::https::get(world.https_port(), &host, "/", &certificate).await?;
        ensure!(answer.status == 401, "the answer is {answer:?}");
        Ok(())
    })
    .await?;
    world.expect_backend(&host, CHALLENGE, &solver).await?;
    world.stop().await
}

async fn with_redirector(name: &str, args: &[&str]) -> Result<(Scenario, Redirector)> {
    let mut world = Scenario::without_operator(name).await?;
    let redirector = Redirector::start(world.https_port()).await?;
    let args = [args, &["--redirector-url", redirector.url()]].concat();
    world.start_operator_with(&args).await?;
    Ok((world, redirector))
}

fn redirects_to(world: &Scenario, answer: &Answer, host: &str, path: &str) -> Result<()> {
    let location = answer.headers.get("location").context("no Location")?;
    let wanted = format!("https://{host}:{}{path}", world.https_port());
    ensure!(location.as_bytes() == wanted.as_bytes(), "{location:?} is not {wanted}");
    Ok(())
}

async fn protected_template(world: &Scenario, backend: &Backend) -> Result<()> {
    let spec = json!({"name": "protected", "protocol": "http", "active": true, "use_keyless": false,
        "use_standard_auth": true, "auth": {"auth_header_name": "Authorization"},
        "auth_configs": {"authToken": {"auth_header_name": "Authorization"}},
        "proxy": {"target_url": backend.url(), "listen_path": "/"}});
    world
        .apply(
            &json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "ApiDefinition", "spec": spec,
            "metadata": {"name": "protected", "namespace": world.namespace(), "labels": {"template": "true"}}}),
        )
        .await
        .map(drop)
}
