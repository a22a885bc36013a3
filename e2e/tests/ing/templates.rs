//! Templates of Ingresses.

use anyhow::{Result, bail, ensure};
use e2e::fixtures::{prefix, rule};
use e2e::{PATIENCE, Scenario, eventually};
use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::{apply_templated, round, template};

/// Tyk Operator marks every Ingress that names a template with a label when the template changes and when it starts
/// itself, those of other classes too; here a template's change is followed, and no Ingress is written to.
#[tokio::test(flavor = "multi_thread")]
async fn ing_15_a_template_change_writes_to_no_ingress() -> Result<()> {
    let mut world = Scenario::start("ing-15").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    world.apply(&template(&world, "gold", &json!({}))).await?;
    apply_templated(&world, "shop", "gold", &host, "/a", &blue).await?;
    let foreign = json!({"ingressClassName": "somebody-else",
        "rules": [rule(&world.host("foreign"), &[prefix("/", &blue)])]});
    world
        .apply_ingress_spec("foreign", json!({"tyk.io/template": "gold"}), foreign)
        .await?;
    let stripped = world.expect_backend(&host, "/a/b", &blue).await?.json()?;
    ensure!(stripped["path"] == "/b", "the template does not count: {stripped}");
    let before = [written(&world, "shop").await?, written(&world, "foreign").await?];

    let whole = json!({"proxy": {"target_url": "http://example.com", "listen_path": "/", "strip_listen_path": false}});
    world.apply(&template(&world, "gold", &whole)).await?;
    eventually(PATIENCE, "the template's change to count", async || {
        let seen = world.expect_backend(&host, "/a/b", &blue).await?.json()?;
        ensure!(seen["path"] == "/a/b", "the path is {}", seen["path"]);
        Ok(())
    })
    .await?;
    world.stop_operator().await?;
    world.start_operator().await?;
    round(&world, "after", &blue).await?;
    let after = [written(&world, "shop").await?, written(&world, "foreign").await?];
    ensure!(before == after, "{before:?} became {after:?}");
    world.stop().await
}

/// All of an Ingress that is not status.
async fn written(world: &Scenario, name: &str) -> Result<Value> {
    let ingress: Ingress = world.ingresses().get(name).await?;
    Ok(
        json!({"generation": ingress.metadata.generation, "labels": ingress.labels(),
        "annotations": ingress.annotations(), "finalizers": ingress.finalizers()}),
    )
}

/// Tyk Operator does not see that the label of a template comes or goes, and leaves a finalizer that nobody removes;
/// here the label counts at once, both ways, and the object can be deleted.
#[tokio::test(flavor = "multi_thread")]
async fn ing_16_a_definition_may_become_a_template_and_an_api_again() -> Result<()> {
    let world = Scenario::start("ing-16").await?;
    let blue = world.backend("blue").await?;
    let listen_path = format!("/{}/", world.namespace());
    let proxy = json!({"proxy": {"target_url": blue.url(), "listen_path": listen_path, "strip_listen_path": true}});
    let mut object = template(&world, "gold", &proxy);
    for _ in 0..2 {
        object["metadata"]["labels"] = json!({"template": "true"});
        world.apply(&object).await?;
        world.expect_apis(0).await?;
        world.expect_no_route("any.test", &listen_path).await?;
        object["metadata"]["labels"] = json!({});
        world.apply(&object).await?;
        world.expect_backend("any.test", &listen_path, &blue).await?;
    }
    leave_template_finalizer(&world, "gold").await?;
    delete(&world, "gold").await?;
    world.expect_apis(0).await?;
    world.stop().await
}

/// Tyk Operator writes the status of a template after it has let it go, and fails and retries; here a template goes
/// without an error, also one that still has Tyk Operator's finalizer.
#[tokio::test(flavor = "multi_thread")]
async fn ing_17_a_template_is_deleted_without_an_error() -> Result<()> {
    let world = Scenario::start("ing-17").await?;
    let blue = world.backend("blue").await?;
    for name in ["fresh", "inherited"] {
        world.apply(&template(&world, name, &json!({}))).await?;
    }
    leave_template_finalizer(&world, "inherited").await?;
    round(&world, "before", &blue).await?;
    for name in ["fresh", "inherited"] {
        delete(&world, name).await?;
    }
    round(&world, "after", &blue).await?;
    let log = world.operator()?.log();
    let loud: Vec<_> = log
        .lines()
        .filter(|line| line.contains("WARN") || line.contains("ERROR"))
        .filter(|line| line.contains("fresh") || line.contains("inherited"))
        .collect();
    ensure!(loud.is_empty(), "{loud:?}");
    world.stop().await
}

/// Puts the finalizer of Tyk Operator's templates on an object, beside those that it has.
async fn leave_template_finalizer(world: &Scenario, name: &str) -> Result<()> {
    let api = world.api_definitions();
    let mut finalizers = api.get(name).await?.finalizers().to_vec();
    finalizers.push("finalizers.tyk.io/template".to_owned());
    let patch = json!({"metadata": {"finalizers": finalizers}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

async fn delete(world: &Scenario, name: &str) -> Result<()> {
    let api = world.api_definitions();
    api.delete(name, &DeleteParams::default()).await?;
    eventually(PATIENCE, &format!("{name} to be gone"), async || {
        match api.get_opt(name).await? {
            None => Ok(()),
            Some(object) => bail!("it is still there, with the finalizers {:?}", object.finalizers()),
        }
    })
    .await
}
