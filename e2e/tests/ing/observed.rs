//! What is told of Ingresses, and what is watched for them.

use anyhow::{Result, ensure};
use e2e::fixtures::{external_service, prefix, rule, tls, tls_secret};
use e2e::pki::server_certificate;
use e2e::{Echo, PATIENCE, Scenario, eventually};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

/// Tyk Operator never writes `status.loadBalancer`; here it names the published address as soon as the Ingress is
/// served.
#[tokio::test(flavor = "multi_thread")]
async fn ing_18_the_status_names_the_address() -> Result<()> {
    let world = Scenario::start_with("ing-18", &["--publish-address", "127.0.0.1"]).await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    let addresses = world.expect_published("shop").await?;
    ensure!(addresses == ["127.0.0.1"], "the status names {addresses:?}");
    let answer = world.gateway.request(&host, "/").await?;
    ensure!(answer.status == 200, "published and not served: {answer:?}");
    world.stop().await
}

/// Tyk Operator looks at an Ingress again only when the Ingress itself changes; here its Services, its Secrets and its
/// children are watched, and a child that somebody changed or deleted is put right.
#[tokio::test(flavor = "multi_thread")]
async fn ing_19_services_secrets_and_children_are_watched() -> Result<()> {
    let world = Scenario::start("ing-19").await?;
    let (blue, green) = (world.backend("blue").await?, Echo::start("green").await?);
    let host = world.host("shop");
    let mut path = prefix("/", &blue);
    path["backend"]["service"]["port"] = json!({"name": "http"});
    let spec = json!({"ingressClassName": world.class(), "tls": [tls(&[&host], "web")],
        "rules": [rule(&host, &[path])]});
    world.apply_ingress_spec("shop", json!({}), spec).await?;
    world.expect_backend(&host, "/", &blue).await?;

    let name = world.expect_children(2).await?[0].name_any();
    let definitions = world.api_definitions();
    let damage = Patch::Merge(json!({"spec": {"proxy": {"target_url": "http://127.0.0.1:1"}}}));
    definitions.patch(&name, &PatchParams::default(), &damage).await?;
    eventually(PATIENCE, "the changed child to be put right", async || {
        let target = definitions.get(&name).await?.data["spec"]["proxy"]["target_url"].clone();
        ensure!(target != "http://127.0.0.1:1", "it is as it was changed");
        Ok(())
    })
    .await?;
    let uid = definitions.get(&name).await?.uid();
    definitions.delete(&name, &DeleteParams::default()).await?;
    eventually(PATIENCE, "the deleted child to come back", async || {
        ensure!(definitions.get(&name).await?.uid() != uid, "it is not gone yet");
        Ok(())
    })
    .await?;
    world.expect_backend(&host, "/", &blue).await?;

    let moved = external_service("blue", world.namespace(), green.port());
    world.apply(&moved).await?;
    eventually(PATIENCE, "the moved Service to be followed", async || {
        let answer = world.gateway.request(&host, "/").await?;
        let by = e2e::scenario::served_by(&answer);
        ensure!(by == Some("green"), "the answer is by {by:?}");
        Ok(())
    })
    .await?;

    let certificate = server_certificate(&[&host])?;
    world.apply(&tls_secret("web", world.namespace(), &certificate)).await?;
    eventually(PATIENCE, "the Secret that came later to be used", async || {
        let answer = e2e::https::get(world.https_port(), &host, "/", &certificate).await?;
        ensure!(answer.status == 200, "the answer is {answer:?}");
        Ok(())
    })
    .await?;
    world.stop().await
}
