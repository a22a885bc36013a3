//! Objects come, change and go; the gateway and the children follow.

use anyhow::{Result, bail, ensure};
use e2e::api_definition::{INGRESS_LABEL, api_id, condition, keyless};
use e2e::fixtures::{prefix, rule};
use e2e::{PATIENCE, Scenario, eventually};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{DeleteParams, DynamicObject};
use kube::{Api, ResourceExt};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_ingress_is_followed() -> Result<()> {
    let world = Scenario::start("edited").await?;
    let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
    let host = world.host("shop");
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/a", &blue)])])
        .await?;
    world.expect_backend(&host, "/a", &blue).await?;

    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/a", &green)])])
        .await?;
    world.expect_backend(&host, "/a", &green).await?;
    world
        .apply_ingress(
            "shop",
            &[rule(&host, &[prefix("/a", &green), prefix("/b", &blue)])],
        )
        .await?;
    world.expect_backend(&host, "/b", &blue).await?;
    world.expect_backend(&host, "/a", &green).await?;
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/b", &blue)])])
        .await?;
    world.expect_no_route(&host, "/a").await?;
    world.expect_backend(&host, "/b", &blue).await?;
    world.expect_children(1).await?;
    world.expect_apis(1).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_ingress_leaves_nothing() -> Result<()> {
    let world = Scenario::start("deleted").await?;
    let blue = world.backend("blue").await?;
    let (host, kept) = (world.host("shop"), world.host("kept"));
    world
        .apply_ingress(
            "shop",
            &[rule(&host, &[prefix("/a", &blue), prefix("/b", &blue)])],
        )
        .await?;
    world
        .apply_ingress("kept", &[rule(&kept, &[prefix("/", &blue)])])
        .await?;
    world.expect_backend(&host, "/a", &blue).await?;
    world.expect_apis(3).await?;
    world.delete_ingress("shop").await?;
    world.expect_no_route(&host, "/a").await?;
    world.expect_apis(1).await?;
    world.expect_children(1).await?;
    world.expect_backend(&kept, "/", &blue).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_owned_by_its_ingress() -> Result<()> {
    let world = Scenario::start("owned").await?;
    let blue = world.backend("blue").await?;
    world
        .apply_ingress("shop", &[rule(&world.host("shop"), &[prefix("/", &blue)])])
        .await?;
    let child = world.expect_children(1).await?.remove(0);
    let ingresses: Api<Ingress> = Api::namespaced(world.client(), world.namespace());
    let owner = &child.owner_references()[0];
    assert_eq!(
        (owner.kind.as_str(), owner.name.as_str()),
        ("Ingress", "shop")
    );
    assert_eq!(
        Some(&owner.uid),
        ingresses.get("shop").await?.uid().as_ref()
    );
    assert!(child.labels().contains_key(INGRESS_LABEL));
    let apis = world.expect_apis(1).await?;
    assert_eq!(
        apis[0]["api_id"],
        api_id(world.namespace(), &child.name_any())
    );
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_written_api_definition_lives_and_dies() -> Result<()> {
    let world = Scenario::start("by-hand").await?;
    let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
    let listen_path = format!("/{}/", world.namespace());
    let definition = |target: String| keyless(world.namespace(), "httpbin", &listen_path, &target);
    world.apply(&definition(blue.url())).await?;
    world
        .expect_backend("any.test", &listen_path, &blue)
        .await?;
    let object = synced(&world, "httpbin").await?;
    assert_eq!(
        object.data["status"]["api_id"],
        api_id(world.namespace(), "httpbin")
    );

    world.apply(&definition(green.url())).await?;
    world
        .expect_backend("any.test", &listen_path, &green)
        .await?;
    synced(&world, "httpbin").await?;

    delete(&world, "httpbin").await?;
    world.expect_no_route("any.test", &listen_path).await?;
    world.expect_apis(0).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_right_after_the_create_leaves_nothing() -> Result<()> {
    let world = Scenario::start("at-once").await?;
    let blue = world.backend("blue").await?;
    for round in 0..5 {
        let name = format!("brief-{round}");
        let listen_path = format!("/{}/{name}/", world.namespace());
        world
            .apply(&keyless(
                world.namespace(),
                &name,
                &listen_path,
                &blue.url(),
            ))
            .await?;
        delete(&world, &name).await?;
    }
    // Made last: when it is served, the others were seen as well.
    let listen_path = format!("/{}/last/", world.namespace());
    world
        .apply(&keyless(
            world.namespace(),
            "last",
            &listen_path,
            &blue.url(),
        ))
        .await?;
    world
        .expect_backend("any.test", &listen_path, &blue)
        .await?;
    world.expect_apis(1).await?;
    world.stop().await
}

/// Waits until the status tells of a success for the current generation.
async fn synced(world: &Scenario, name: &str) -> Result<DynamicObject> {
    eventually(PATIENCE, &format!("{name} to be synced"), async || {
        let object = world.api_definitions().get(name).await?;
        let ready = condition(&object, "Ready");
        let seen = ready["observedGeneration"].as_i64();
        let transaction = &object.data["status"]["latestTransaction"]["status"];
        ensure!(
            ready["status"] == "True"
                && transaction == "Successful"
                && seen == object.metadata.generation,
            "generation {:?} has the status {}",
            object.metadata.generation,
            object.data.get("status").unwrap_or(&Value::Null)
        );
        Ok(object)
    })
    .await
}

/// Deletes an ApiDefinition and waits until it is gone.
async fn delete(world: &Scenario, name: &str) -> Result<()> {
    let api = world.api_definitions();
    api.delete(name, &DeleteParams::default()).await?;
    eventually(
        PATIENCE,
        &format!("{name} to be gone"),
        async || match api.get_opt(name).await? {
            None => Ok(()),
            Some(object) => bail!(
                "it is still there, with the finalizers {:?}",
                object.finalizers()
            ),
        },
    )
    .await
}
