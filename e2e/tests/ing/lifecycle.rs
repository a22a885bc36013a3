//! Ingresses change hands, lose their rules, and go.

use anyhow::{Result, ensure};
use e2e::Scenario;
use e2e::api_definition::keyless;
use e2e::fixtures::{prefix, rule, service};
use kube::Error;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::world::{apply_templated, expect_gone, leave_finalizer, round, template};

/// Tyk Operator looks at the new class only, so that an Ingress that leaves keeps its APIs and its finalizer, and can
/// never be deleted; here its APIs go, and nothing holds it.
#[tokio::test(flavor = "multi_thread")]
async fn ing_02_an_ingress_that_leaves_its_class_is_let_go() -> Result<()> {
    let world = Scenario::start("ing-02").await?;
    let blue = world.backend("blue").await?;
    for (name, new_class) in [("changed", json!("somebody-else")), ("removed", json!(null))] {
        let host = world.host(name);
        let spec = json!({"rules": [rule(&host, &[prefix("/", &blue)])]});
        let annotations = json!({"kubernetes.io/ingress.class": world.class()});
        world.apply_ingress_spec(name, annotations, spec.clone()).await?;
        world.expect_backend(&host, "/", &blue).await?;

        let annotations = match new_class.as_str() {
            Some(class) => json!({"kubernetes.io/ingress.class": class}),
            None => json!({}),
        };
        world.apply_ingress_spec(name, annotations, spec).await?;
        world.expect_no_route(&host, "/").await?;
        world.expect_children(0).await?;
        world.expect_apis(0).await?;
        world.delete_ingress(name).await?;
        expect_gone(&world, name).await?;
    }
    world.stop().await
}

/// Tyk Operator fetches the template before it looks whether the Ingress is being deleted, so that without the template
/// the Ingress can never go; here it goes, and its APIs with it.
#[tokio::test(flavor = "multi_thread")]
async fn ing_03_an_ingress_without_its_template_can_be_deleted() -> Result<()> {
    let world = Scenario::start("ing-03").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    world.apply(&template(&world, "gold", &json!({}))).await?;
    apply_templated(&world, "shop", "gold", &host, "/a", &blue).await?;
    world.expect_backend(&host, "/a", &blue).await?;
    leave_finalizer(&world, "shop").await?;
    lose_template(&world, "gold").await?;
    world.expect_warning("shop", &["TemplateNotFound", "gold"]).await?;
    // What was good is still served, until the Ingress itself goes.
    world.expect_backend(&host, "/a", &blue).await?;

    world.delete_ingress("shop").await?;
    expect_gone(&world, "shop").await?;
    world.expect_no_route(&host, "/a").await?;
    world.expect_children(0).await?;
    world.expect_apis(0).await?;
    world.stop().await
}

/// Deletes a template although it is in use: somebody takes its finalizers away.
async fn lose_template(world: &Scenario, name: &str) -> Result<()> {
    let api = world.api_definitions();
    api.delete(name, &DeleteParams::default()).await?;
    let bare = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    match api.patch(name, &PatchParams::default(), &bare).await {
        Ok(_) => Ok(()),
        Err(Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Tyk Operator cannot select the children of an Ingress without rules and fails for ever; here the APIs of rules that
/// are gone go, and the default backend is served.
#[tokio::test(flavor = "multi_thread")]
async fn ing_06_the_last_rule_may_go() -> Result<()> {
    let world = Scenario::start("ing-06").await?;
    let blue = world.backend("blue").await?;
    let green = world.backend("green").await?;
    let host = world.host("shop");
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/a", &blue), prefix("/b", &blue)])])
        .await?;
    world.expect_backend(&host, "/a", &blue).await?;
    world.expect_children(2).await?;

    let spec = json!({"ingressClassName": world.class(), "defaultBackend": service(&green)});
    world.apply_ingress_spec("shop", json!({}), spec).await?;
    world.expect_backend(&host, "/a", &green).await?;
    world.expect_children(1).await?;
    world.expect_apis(1).await?;
    world.stop().await
}

/// Tyk Operator prunes by labels alone, and so deletes a user's ApiDefinition that carries both; here only what an
/// Ingress owns is pruned.
#[tokio::test(flavor = "multi_thread")]
async fn ing_21_a_definition_with_the_labels_of_a_child_is_left_alone() -> Result<()> {
    let world = Scenario::start("ing-21").await?;
    let blue = world.backend("blue").await?;
    let (host, listen_path) = (world.host("shop"), format!("/{}/", world.namespace()));
    let mut own = keyless(world.namespace(), "own", &listen_path, &blue.url());
    own["metadata"]["labels"] = json!({"tyk.io/ingress": "shop", "tyk.io/apidefinition": "0123456789"});
    world.apply(&own).await?;
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/a", &blue)])])
        .await?;
    world.expect_backend(&host, "/a", &blue).await?;
    world.expect_backend("any.test", &listen_path, &blue).await?;
    // A prune of the Ingress's children.
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/b", &blue)])])
        .await?;
    world.expect_no_route(&host, "/a").await?;
    world.delete_ingress("shop").await?;
    world.expect_no_route(&host, "/b").await?;
    round(&world, "after", &blue).await?;

    let own = world.api_definitions().get("own").await?;
    ensure!(own.metadata.deletion_timestamp.is_none(), "it is being deleted");
    world.expect_backend("any.test", &listen_path, &blue).await?;
    world.stop().await
}
