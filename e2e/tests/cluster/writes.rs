//! Status and events, and the roles for a few namespaces.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::Ingress;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Map, json};
use tyk_ingress::api::{ApiDefinitionStatus, names};
use tyk_ingress::cluster;
use tyk_ingress::cluster::events::Events;
use tyk_ingress::cluster::{finalizer, status};
use tyk_ingress::diagnostic::{Code, Diagnostic, ObjectRef};
use tyk_ingress::report::{Address, IngressStatus};
use tyk_ingress::snapshot::{Snapshot, Stored};
use tyk_ingress::sync::ApiOutcome;

use crate::world::{World, spec};

#[tokio::test]
async fn a_status_is_written_once() -> Result<()> {
    let world = World::start("status").await?;
    world.apply("ApiDefinition", "a", json!({}), spec("/a")).await?;
    // As Tyk Operator left it.
    let links = json!({"status": {"api_id": "old", "latestTykSpecHash": "1", "linked_by_apis": [{"name": "b", "namespace": "c"}]}});
    world
        .definitions()
        .patch_status("a", &PatchParams::default(), &Patch::Merge(&links))
        .await?;
    let snapshot = world.caught_up().await?;
    let first = world.report(&snapshot, Some(ApiOutcome::Synced));
    ensure!(first.statuses.len() == 1, "{first:?}");
    ensure!(status::write(&world.client, &first.statuses).await.is_empty());
    let snapshot = world.caught_up().await?;
    let written = snapshot.api_definitions[&world.name("a")].status().as_ref();
    let written: ApiDefinitionStatus = serde_json::from_value(written.context("no status")?.value())?;
    ensure!(
        written.api_id == Some(names::api_id(&world.namespace, "a"))
            && written.latest_tyk_spec_hash.is_some()
            && written.linked_by_apis.is_empty(),
        "{written:?}"
    );
    let second = world.report(&snapshot, Some(ApiOutcome::Synced));
    ensure!(second.statuses.is_empty(), "{second:?}");
    world.delete("a").await?;
    ensure!(
        status::write(&world.client, &first.statuses).await.is_empty(),
        "an object that is gone is an error"
    );
    ensure!(world.definitions().get_opt("a").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn each_diagnostic_is_one_event_when_it_comes_up() -> Result<()> {
    let world = World::start("events").await?;
    world.ingress("web", json!({}), "/").await?;
    let snapshot = world.snapshot("the Ingress", |s| !s.ingresses.is_empty()).await?;
    let about = |name: &str| ObjectRef::new("Ingress", &world.namespace, name);
    let diagnostics = [
        Diagnostic::new(Code::Conflict, about("web"), "spec.rules[0]", "taken by a"),
        Diagnostic::new(Code::Conflict, about("web"), "spec.rules[1]", "ü".repeat(900)),
        Diagnostic::new(Code::Conflict, about("gone"), "spec.rules[0]", "taken"),
    ];
    let synced = BTreeMap::from([(about("web"), "served".to_owned())]);
    let mut events = Events::new(world.client.clone(), "tyk-ingress");
    let api: Api<Event> = Api::namespaced(world.admin.clone(), &world.namespace);
    let count = async || anyhow::Ok(api.list(&ListParams::default()).await?.items.len());
    events.publish(&snapshot, &diagnostics, &synced).await;
    events.publish(&snapshot, &diagnostics, &synced).await;
    ensure!(count().await? == 2, "one Warning and one Normal");
    events.publish(&snapshot, &diagnostics[1..], &synced).await;
    events.publish(&snapshot, &diagnostics, &synced).await;
    ensure!(count().await? == 3, "one that comes back is told again");
    let all = api.list(&ListParams::default()).await?.items;
    let event = all
        .iter()
        .find(|one| {
            one.note
                .as_deref()
                .is_some_and(|note| note.contains("taken by a. (And"))
        })
        .unwrap();
    let note = event.note.as_deref().unwrap_or_default();
    ensure!(
        note.starts_with("spec.rules[0]: taken by a. (And 1 more: spec.rules[1].) ")
            && note.ends_with(Code::Conflict.fix()),
        "{note}"
    );
    ensure!(event.reason.as_deref() == Some("Conflict") && event.type_.as_deref() == Some("Warning"));
    ensure!(event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some("web"));
    Ok(())
}

#[tokio::test]
async fn the_namespaced_roles_are_enough() -> Result<()> {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests");
    let roles = std::fs::read_to_string(manifests.join("rbac-namespaced.yaml"))?;
    // An account of its own, since the product's has more rights here.
    let roles = roles
        .replace("name: tyk-ingress\n", "name: scoped\n")
        .replace("team-a", "NS");
    let world = World::start_as("scoped", "scoped", &roles).await?;
    world.ingress("web", json!({}), "/").await?;
    world.apply("ApiDefinition", "a", json!({}), spec("/a")).await?;
    let both = |s: &Snapshot| !s.ingresses.is_empty() && !s.api_definitions.is_empty();
    let snapshot = world.snapshot("both", both).await?;
    let objects = world.render(&snapshot).await?;
    ensure!(objects.len() == 2, "{objects:?}");
    let errors = finalizer::ensure_all(&world.client, &snapshot).await;
    ensure!(errors.is_empty(), "{errors:?}");
    let statuses = BTreeMap::from([(
        ObjectRef::new("ApiDefinition", &world.namespace, "a"),
        Map::new().into(),
    )]);
    ensure!(status::write(&world.client, &statuses).await.is_empty());
    let ingresses: Api<Ingress> = Api::namespaced(world.admin.clone(), &world.namespace);
    let name = world.name("web");
    let status = IngressStatus {
        uid: snapshot.ingresses[&name].uid().map(Into::into),
        addresses: [(&Address::parse("192.0.2.80").context("an address")?).into()].into(),
    };
    let statuses = BTreeMap::from([(name.clone(), status)]);
    let errors = cluster::ingress::publish(&world.client, "east", &statuses).await;
    ensure!(errors.is_empty(), "{errors:?}");
    let finalizer = json!({"metadata": {"finalizers": [names::FINALIZER_INGRESS]}});
    ingresses
        .patch("web", &PatchParams::default(), &Patch::Merge(finalizer))
        .await?;
    ingresses.delete("web", &Default::default()).await?;
    let ending = |s: &Snapshot| s.ingresses.values().any(|one| one.is_leaving());
    let snapshot = world.snapshot("the deletion", ending).await?;
    let errors = cluster::ingress::release(&world.client, &snapshot, &[name], "east").await;
    ensure!(errors.is_empty(), "{errors:?}");
    ensure!(
        ingresses.get_opt("web").await?.is_none(),
        "the finalizer is still there"
    );

    let object = ObjectRef::new("Ingress", &world.namespace, "web");
    let mut events = Events::new(world.client.clone(), "tyk-ingress");
    events
        .publish(
            &snapshot,
            &[Diagnostic::new(Code::Conflict, object, "", "taken")],
            &BTreeMap::new(),
        )
        .await;
    let api: Api<Event> = Api::namespaced(world.admin.clone(), &world.namespace);
    ensure!(api.list(&ListParams::default()).await?.items.len() == 1);
    Ok(())
}
