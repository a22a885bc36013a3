//! Templates: protected while Ingresses use them, published when they stop being one.

use anyhow::{Context, Result, bail, ensure};
use e2e::api_definition::{condition, keyless};
use e2e::fixtures::{prefix, rule};
use e2e::{Backend, PATIENCE, Scenario, eventually};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

const FINALIZER: &str = "finalizers.tyk.io/template";

#[tokio::test(flavor = "multi_thread")]
async fn a_template_in_use_cannot_be_deleted() -> Result<()> {
    let world = Scenario::start("in-use").await?;
    let blue = world.backend("blue").await?;
    world.apply(&template(&world, "protected", &blue)).await?;
    for name in ["one", "two"] {
        apply_user(&world, name, "protected", &blue).await?;
        world.expect_backend(&world.host(name), "/", &blue).await?;
    }
    expect_finalizer(&world, "protected", true).await?;
    let api = world.api_definitions();
    api.delete("protected", &DeleteParams::default()).await?;
    let text = "Can't delete protected, Ingress resources [one, two] depend on it";
    eventually(PATIENCE, "the refusal in the status", async || {
        let object = api.get("protected").await?;
        let transaction = &object.data["status"]["latestTransaction"];
        let ready = condition(&object, "Ready");
        ensure!(
            transaction["error"] == text && transaction["status"] == "Failed" && ready["message"] == text,
            "the status is {}",
            object.data["status"]
        );
        Ok(())
    })
    .await?;
    let events: Api<Event> = Api::namespaced(world.client(), world.namespace());
    eventually(PATIENCE, "the refusal as an Event", async || {
        let all = events.list(&ListParams::default()).await?.items;
        let found = all
            .iter()
            .find(|event| event.reason.as_deref() == Some("TemplateInUse"));
        let note = found.and_then(|event| event.note.as_deref()).context("no Event")?;
        ensure!(note.starts_with(text), "{note}");
        Ok(())
    })
    .await?;
    world.delete_ingress("one").await?;
    world.expect_no_route(&world.host("one"), "/").await?;
    ensure!(
        api.get_opt("protected").await?.is_some(),
        "it has gone before its last user"
    );
    world.expect_backend(&world.host("two"), "/", &blue).await?;
    world.delete_ingress("two").await?;
    expect_gone(&world, "protected").await?;
    world.expect_apis(0).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn protection_ends_with_the_last_user() -> Result<()> {
    let world = Scenario::start("last-user").await?;
    let blue = world.backend("blue").await?;
    world.apply(&template(&world, "shared", &blue)).await?;
    apply_user(&world, "shop", "shared", &blue).await?;
    expect_finalizer(&world, "shared", true).await?;
    // The annotation goes, the Ingress stays.
    let rules = [rule(&world.host("shop"), &[prefix("/", &blue)])];
    world.apply_ingress("shop", &rules).await?;
    expect_finalizer(&world, "shared", false).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_template_renders_its_ingresses_anew() -> Result<()> {
    let world = Scenario::start("edited").await?;
    let blue = world.backend("blue").await?;
    world.apply(&template(&world, "edited", &blue)).await?;
    apply_user(&world, "shop", "edited", &blue).await?;
    world.expect_backend(&world.host("shop"), "/", &blue).await?;
    let mut edited = template(&world, "edited", &blue);
    edited["spec"]["detailed_tracing"] = json!(true);
    world.apply(&edited).await?;
    eventually(PATIENCE, "the edit on the gateway", async || {
        let apis = world.expect_apis(1).await?;
        ensure!(apis[0]["detailed_tracing"] == true, "{}", apis[0]);
        Ok(())
    })
    .await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_label_decides_between_template_and_api() -> Result<()> {
    let world = Scenario::start("label").await?;
    let blue = world.backend("blue").await?;
    let path = format!("/{}/both/", world.namespace());
    let mut object = template(&world, "both", &blue);
    object["metadata"]["finalizers"] = json!([FINALIZER]);
    world.apply(&object).await?;
    apply_user(&world, "shop", "both", &blue).await?;
    world.expect_backend(&world.host("shop"), "/", &blue).await?;
    world.expect_no_route("any.test", &path).await?;
    set_label(&world, "both", Value::Null).await?;
    world.expect_backend("any.test", &path, &blue).await?;
    expect_finalizer(&world, "both", false).await?;
    set_label(&world, "both", json!("true")).await?;
    world.expect_no_route("any.test", &path).await?;
    expect_finalizer(&world, "both", true).await?;
    world.expect_backend(&world.host("shop"), "/", &blue).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_template_keeps_no_ingress() -> Result<()> {
    let world = Scenario::start("missing").await?;
    let blue = world.backend("blue").await?;
    world.apply(&template(&world, "brief", &blue)).await?;
    apply_user(&world, "shop", "brief", &blue).await?;
    world.expect_backend(&world.host("shop"), "/", &blue).await?;
    expect_finalizer(&world, "brief", true).await?;
    // Somebody takes the protection away by force, and the Ingress is one that Tyk Operator has seen.
    world
        .api_definitions()
        .delete("brief", &DeleteParams::default())
        .await?;
    world
        .api_definitions()
        .patch(
            "brief",
            &PatchParams::default(),
            &Patch::Merge(json!({"metadata": {"finalizers": null}})),
        )
        .await?;
    expect_gone(&world, "brief").await?;
    world.expect_warning("shop", &["brief"]).await?;
    world.expect_backend(&world.host("shop"), "/", &blue).await?;
    let ingresses: Api<Ingress> = Api::namespaced(world.client(), world.namespace());
    let mark = json!({"metadata": {"finalizers": ["finalizers.tyk.io/ingress"]}});
    ingresses
        .patch("shop", &PatchParams::default(), &Patch::Merge(mark))
        .await?;
    world.delete_ingress("shop").await?;
    eventually(PATIENCE, "the Ingress to be gone", async || {
        ensure!(ingresses.get_opt("shop").await?.is_none());
        Ok(())
    })
    .await?;
    world.expect_no_route(&world.host("shop"), "/").await?;
    world.expect_children(0).await?;
    world.expect_apis(0).await?;
    world.stop().await
}

fn template(world: &Scenario, name: &str, backend: &Backend) -> Value {
    let path = format!("/{}/{name}/", world.namespace());
    let mut object = keyless(world.namespace(), name, &path, &backend.url());
    object["metadata"]["labels"] = json!({"template": "true"});
    object
}

async fn apply_user(world: &Scenario, name: &str, template: &str, backend: &Backend) -> Result<()> {
    let rules = [rule(&world.host(name), &[prefix("/", backend)])];
    let spec = json!({"ingressClassName": world.class(), "rules": rules});
    world
        .apply_ingress_spec(name, json!({"tyk.io/template": template}), spec)
        .await
}

async fn set_label(world: &Scenario, name: &str, value: Value) -> Result<DynamicObject> {
    let patch = Patch::Merge(json!({"metadata": {"labels": {"template": value}}}));
    let api = world.api_definitions();
    Ok(api.patch(name, &PatchParams::default(), &patch).await?)
}

async fn expect_finalizer(world: &Scenario, name: &str, wanted: bool) -> Result<()> {
    let what = format!("{name} to be protected: {wanted}");
    eventually(PATIENCE, &what, async || {
        let object = world.api_definitions().get(name).await?;
        let has = object.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
        ensure!(has == wanted, "the finalizers are {:?}", object.finalizers());
        Ok(())
    })
    .await
}

async fn expect_gone(world: &Scenario, name: &str) -> Result<()> {
    eventually(PATIENCE, &format!("{name} to be gone"), async || {
        match world.api_definitions().get_opt(name).await? {
            None => Ok(()),
            Some(object) => bail!("it is there with the finalizers {:?}", object.finalizers()),
        }
    })
    .await
}
