//! What others change behind the product's back is put right, and what is not ours is left alone.

use anyhow::{Context, Result, ensure};
use e2e::fixtures::{prefix, rule};
use e2e::{PATIENCE, Scenario, eventually};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tyk_ingress::sim::Call;

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_child_comes_back() -> Result<()> {
    let world = Scenario::start("child-edited").await?;
    let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
    let host = world.host("shop");
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    world.expect_backend(&host, "/", &blue).await?;
    let child = world.expect_children(1).await?.remove(0);
    let edit = Patch::Merge(json!({"spec": {"proxy": {"target_url": green.url()}}}));
    let edited = world
        .api_definitions()
        .patch(&child.name_any(), &PatchParams::default(), &edit)
        .await?;
    eventually(PATIENCE, "the child's spec to come back", async || {
        let now = world.api_definitions().get(&child.name_any()).await?;
        ensure!(
            now.resource_version() != edited.resource_version(),
            "nobody has touched it"
        );
        ensure!(
            now.data["spec"] == child.data["spec"],
            "the spec is {}",
            now.data["spec"]
        );
        Ok(())
    })
    .await?;
    world.expect_backend(&host, "/", &blue).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_child_comes_back() -> Result<()> {
    let world = Scenario::start("child-deleted").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    world.expect_backend(&host, "/", &blue).await?;
    let child = world.expect_children(1).await?.remove(0);
    world
        .api_definitions()
        .delete(&child.name_any(), &DeleteParams::default())
        .await?;
    eventually(PATIENCE, "a new child", async || {
        let now = world.api_definitions().get(&child.name_any()).await?;
        ensure!(now.uid() != child.uid(), "the old child is still there");
        ensure!(
            now.data["spec"] == child.data["spec"],
            "the spec is {}",
            now.data["spec"]
        );
        Ok(())
    })
    .await?;
    world.expect_backend(&host, "/", &blue).await?;
    world.expect_apis(1).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_deleted_on_the_gateway_comes_back() -> Result<()> {
    let world = Scenario::start("api-deleted").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    world.expect_backend(&host, "/", &blue).await?;
    let apis = world.expect_apis(1).await?;
    let id = apis[0]["api_id"].as_str().context("an API without an id")?;
    world.gateway.delete_api(id).await?;
    world.gateway.reload().await?;
    world.expect_apis(1).await?;
    world.expect_backend(&host, "/", &blue).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_changed_on_the_gateway_comes_back() -> Result<()> {
    let world = Scenario::start("api-changed").await?;
    let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
    let host = world.host("shop");
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    world.expect_backend(&host, "/", &blue).await?;
    let mut api = world.expect_apis(1).await?.remove(0);
    api["proxy"]["target_url"] = green.url().into();
    world.gateway.create_api(&api).await?;
    world.gateway.reload().await?;
    world.expect_backend(&host, "/", &blue).await?;
    let words = ["Repaired", "proxy.target_url"];
    world.expect_event_on("Normal", ("Ingress", "shop"), &words).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_not_ours_is_never_touched() -> Result<()> {
    let world = Scenario::start("foreign").await?;
    let blue = world.backend("blue").await?;
    let (host, foreign_host) = (world.host("shop"), world.host("foreign"));
    let foreign = json!({
        "api_id": format!("{}-foreign", world.namespace()),
        "name": "foreign",
        "org_id": "e2e",
        "active": true,
        "use_keyless": true,
        "domain": foreign_host,
        "version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default"}}},
        "proxy": {"listen_path": "/", "target_url": blue.url()},
    });
    world.gateway.create_api(&foreign).await?;
    world.gateway.reload().await?;
    world.expect_backend(&foreign_host, "/", &blue).await?;
    let before = world.expect_apis(1).await?.remove(0);
    let writes = || {
        let calls = world.gateway.calls().unwrap_or_default();
        let write = |call: &&Call| call.method != "GET" && call.path.contains("foreign");
        calls.iter().filter(write).count()
    };
    let writes_before = writes();

    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    world.expect_backend(&host, "/", &blue).await?;
    world.expect_apis(2).await?;
    world.delete_ingress("shop").await?;
    let after = world.expect_apis(1).await?.remove(0);
    assert_eq!(after, before);
    assert_eq!(writes(), writes_before);
    world.expect_backend(&foreign_host, "/", &blue).await?;
    world.stop().await
}
