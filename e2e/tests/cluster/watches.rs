//! The store, fed by a real API server.

use anyhow::{Result, ensure};
use e2e::control_plane::{SERVICE_ACCOUNT, SYSTEM_NAMESPACE};
use e2e::{ControlPlane, PATIENCE, control_plane, eventually};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tyk_ingress::cluster::{Scope, Store};
use tyk_ingress::snapshot::{Snapshot, Stored};

use crate::world::{World, spec};

#[tokio::test]
async fn the_store_tells_what_matters_from_what_does_not() -> Result<()> {
    let world = World::start("store").await?;
    ensure!(world.store.snapshot().is_none(), "a world before the first list");
    let mut changes = world.store.changes();
    world.apply("ApiDefinition", "a", json!({}), spec("/a")).await?;
    let snapshot = world
        .snapshot("a", |snapshot| !snapshot.api_definitions.is_empty())
        .await?;
    let object = snapshot.api_definitions[&world.name("a")].whole();
    ensure!(object.metadata.managed_fields.is_none(), "managedFields are kept");
    ensure!(
        snapshot
            .ingress_classes
            .keys()
            .any(|name| *name.name == *world.namespace)
    );
    changes.mark_unchanged();
    let status = json!({"status": {"api_id": "x"}});
    world
        .definitions()
        .patch_status("a", &PatchParams::default(), &Patch::Merge(&status))
        .await?;
    let with_status = |snapshot: &Snapshot| snapshot.api_definitions[&world.name("a")].status().is_some();
    world.snapshot("the status", with_status).await?;
    ensure!(!changes.has_changed()?, "a status is no change");
    world
        .patch("a", json!({"metadata": {"labels": {"template": "true"}}}))
        .await?;
    tokio::time::timeout(PATIENCE, changes.changed()).await??;
    Ok(())
}

#[tokio::test]
async fn a_watch_without_rights_says_so() -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    let config = cluster.service_account_kubeconfig(SYSTEM_NAMESPACE, "default").await?;
    let client = control_plane::client(&config).await?;
    let cancel = CancellationToken::new();
    let store = Store::start(client, &Scope::default(), cancel.clone());
    let _stop = cancel.drop_guard();
    eventually(PATIENCE, "every watch to have failed", async || {
        let waiting = store.waiting();
        ensure!(
            waiting.len() == 17 && waiting.iter().all(|one| one.contains("not allowed")),
            "{waiting:?}"
        );
        ensure!(store.snapshot().is_none());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn only_api_definitions_are_waited_for_when_kinds_are_missing() -> Result<()> {
    // Of its own, since the other tests need every kind.
    let cluster = ControlPlane::start().await?;
    let admin = cluster.admin().await?;
    let kinds: Api<CustomResourceDefinition> = Api::all(admin.clone());
    for name in [
        "apidefinitions.tyk.tyk.io",
        "operatorcontexts.tyk.tyk.io",
        "securitypolicies.tyk.tyk.io",
    ] {
        kinds.delete(name, &DeleteParams::default()).await?;
        eventually(PATIENCE, "the kind to be gone", async || {
            ensure!(kinds.get_opt(name).await?.is_none());
            Ok(())
        })
        .await?;
    }
    let config = cluster
        .service_account_kubeconfig(SYSTEM_NAMESPACE, SERVICE_ACCOUNT)
        .await?;
    let cancel = CancellationToken::new();
    let store = Store::start(control_plane::client(&config).await?, &Scope::default(), cancel.clone());
    let _stop = cancel.drop_guard();
    eventually(PATIENCE, "the other watches", async || {
        let waiting = store.waiting();
        ensure!(
            waiting.len() == 1 && waiting[0].starts_with("ApiDefinition: "),
            "{waiting:?}"
        );
        ensure!(waiting[0].contains("CustomResourceDefinition"), "{waiting:?}");
        Ok(())
    })
    .await?;
    ensure!(store.snapshot().is_none());
    cluster.apply(&tyk_ingress::api::crds_yaml()).await?;
    eventually(PATIENCE, "the kind to be watched", async || {
        ensure!(store.snapshot().is_some(), "{:?}", store.waiting());
        Ok(())
    })
    .await?;
    let context = json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "OperatorContext", "metadata": {"name": "late"}});
    e2e::apply::object(&admin, &context).await?;
    eventually(PATIENCE, "an object of a kind that came late", async || {
        let snapshot = store.snapshot().map(|(_, snapshot)| snapshot);
        ensure!(snapshot.is_some_and(|snapshot| !snapshot.operator_contexts.is_empty()));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_secret_is_read_while_a_context_names_it() -> Result<()> {
    let world = World::start("secrets").await?;
    let secret = async |name: &str, url: &str| {
        let meta = json!({"name": name, "namespace": world.namespace});
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"TYK_URL": url}});
        e2e::apply::object(&world.admin, &object).await.map(drop)
    };
    let context = async |secret: &str| {
        let spec = json!({"secretRef": {"name": secret}});
        world.apply("OperatorContext", "east", json!({}), spec).await
    };
    let url = |snapshot: &Snapshot| snapshot.context_settings(&world.name("east")).ok()?.url;
    secret("other", "http://other").await?;
    secret("conf", "http://one").await?;
    context("conf").await?;
    let one = |snapshot: &Snapshot| url(snapshot).as_deref() == Some("http://one");
    let snapshot = world.snapshot("the Secret", one).await?;
    ensure!(
        snapshot.secrets.len() == 1,
        "only what is named is kept: {:?}",
        snapshot.secrets
    );
    secret("conf", "http://two").await?;
    let two = |snapshot: &Snapshot| url(snapshot).as_deref() == Some("http://two");
    world.snapshot("its change", two).await?;
    context("other").await?;
    let other = |snapshot: &Snapshot| url(snapshot).as_deref() == Some("http://other") && snapshot.secrets.len() == 1;
    world.snapshot("the other Secret alone", other).await?;
    Ok(())
}
