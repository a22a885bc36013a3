//! `tyk_ingress::cluster` against a real API server, with the rights of `manifests/rbac.yaml` and no others.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::control_plane::{SERVICE_ACCOUNT, SYSTEM_NAMESPACE};
use e2e::{ControlPlane, PATIENCE, apply, control_plane, eventually, fixtures};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use tyk_ingress::api::{ApiDefinition, names};
use tyk_ingress::cluster::events::Events;
use tyk_ingress::cluster::{Scope, Store, children, finalizer, status};
use tyk_ingress::desired;
use tyk_ingress::diagnostic::{Code, Diagnostic, ObjectRef};
use tyk_ingress::ingress::{self, Options};
use tyk_ingress::report::{ReportInput, report};
use tyk_ingress::snapshot::{NamespacedName, Snapshot};
use tyk_ingress::sync::{ApiOutcome, Outcome};

/// One test's namespace, and a store that sees it with the product's rights.
struct World {
    admin: Client,
    client: Client,
    namespace: String,
    store: Arc<Store>,
    _stop: DropGuard,
}

impl World {
    async fn start(name: &str) -> Result<Self> {
        Self::start_as(name, SERVICE_ACCOUNT, "").await
    }

    /// With another service account, and after its roles were applied; `NS` in them is the test's namespace.
    async fn start_as(name: &str, account: &str, roles: &str) -> Result<Self> {
        let cluster = ControlPlane::shared().await?;
        let admin = cluster.admin().await?;
        let namespace = format!("{name}-{:06x}", rand::random::<u32>() & 0xff_ffff);
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        apply::object(&admin, &object).await?;
        apply::object(&admin, &fixtures::ingress_class(&namespace)).await?;
        cluster.apply(&roles.replace("NS", &namespace)).await?;
        let config = cluster.service_account_kubeconfig(SYSTEM_NAMESPACE, account).await?;
        let client = control_plane::client(&config).await?;
        let cancel = CancellationToken::new();
        let scope = Scope {
            namespaces: Some(vec![namespace.clone()]),
        };
        let store = Store::start(client.clone(), &scope, cancel.clone());
        Ok(Self {
            admin,
            client,
            namespace,
            store,
            _stop: cancel.drop_guard(),
        })
    }

    async fn apply(&self, kind: &str, name: &str, labels: Value, spec: Value) -> Result<()> {
        let api_version = match kind {
            "Ingress" => "networking.k8s.io/v1",
            "Service" => "v1",
            _ => names::API_VERSION,
        };
        let object = json!({"apiVersion": api_version, "kind": kind, "spec": spec,
            "metadata": {"name": name, "namespace": self.namespace, "labels": labels}});
        apply::object(&self.admin, &object).await.map(drop)
    }

    async fn ingress(&self, name: &str, annotations: Value, path: &str) -> Result<()> {
        let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
        let rules = json!([{"host": "a.test", "http": {"paths": [
            {"path": path, "pathType": "Prefix", "backend": backend}]}}]);
        let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": name, "namespace": self.namespace, "annotations": annotations},
            "spec": {"ingressClassName": self.namespace, "rules": rules}});
        apply::object(&self.admin, &object).await.map(drop)
    }

    fn definitions(&self) -> Api<ApiDefinition> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    fn name(&self, name: &str) -> NamespacedName {
        NamespacedName::new(&self.namespace, name)
    }

    async fn snapshot(&self, what: &str, good: impl Fn(&Snapshot) -> bool) -> Result<Arc<Snapshot>> {
        eventually(PATIENCE, what, async || {
            let (_, snapshot) = self
                .store
                .snapshot()
                .with_context(|| format!("waiting for {:?}", self.store.waiting()))?;
            ensure!(
                good(&snapshot),
                "ApiDefinitions are {:?}",
                snapshot.api_definitions.keys()
            );
            Ok(snapshot)
        })
        .await
    }

    /// Waits until the store has the objects in the form that the API server has them.
    async fn caught_up(&self) -> Result<Arc<Snapshot>> {
        let objects = self.definitions().list(&ListParams::default()).await?.items;
        let versions = |objects: &mut dyn Iterator<Item = &ObjectMeta>| -> BTreeMap<_, _> {
            objects
                .map(|meta| (meta.name.clone(), meta.resource_version.clone()))
                .collect()
        };
        let wanted = versions(&mut objects.iter().map(|object| &object.metadata));
        self.snapshot("the store to catch up", |snapshot| {
            versions(&mut snapshot.api_definitions.values().map(|object| &object.metadata)) == wanted
        })
        .await
    }

    /// Renders and applies the children; returns what the API server then has.
    async fn render(&self, snapshot: &Snapshot) -> Result<Vec<ApiDefinition>> {
        let errors = self.try_render(snapshot).await;
        ensure!(errors.is_empty(), "{errors:?}");
        Ok(self.definitions().list(&ListParams::default()).await?.items)
    }

    async fn try_render(&self, snapshot: &Snapshot) -> Vec<(NamespacedName, String)> {
        let translation = ingress::render(snapshot, &Options::default());
        let rendered = translation.children.values().map(|child| &child.definition);
        children::apply(&self.client, snapshot, rendered, &translation.held).await
    }

    async fn patch(&self, name: &str, patch: Value) -> Result<ApiDefinition> {
        let patch = Patch::Merge(patch);
        Ok(self.definitions().patch(name, &PatchParams::default(), &patch).await?)
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.definitions().delete(name, &DeleteParams::default()).await?;
        Ok(())
    }
}

fn versions(objects: &[ApiDefinition]) -> Vec<Option<String>> {
    objects.iter().map(ResourceExt::resource_version).collect()
}

fn spec(path: &str) -> Value {
    json!({"name": "n", "protocol": "http", "use_keyless": true,
        "proxy": {"listen_path": path, "target_url": "http://web"}})
}

#[tokio::test]
async fn the_store_tells_what_matters_from_what_does_not() -> Result<()> {
    let world = World::start("store").await?;
    ensure!(world.store.snapshot().is_none(), "a world before the first list");
    let mut changes = world.store.changes();
    world.apply("ApiDefinition", "a", json!({}), spec("/a")).await?;
    let snapshot = world
        .snapshot("a", |snapshot| !snapshot.api_definitions.is_empty())
        .await?;
    let object = &snapshot.api_definitions[&world.name("a")];
    ensure!(object.metadata.managed_fields.is_none(), "managedFields are kept");
    ensure!(snapshot.ingress_classes.keys().any(|name| name.name == world.namespace));
    changes.mark_unchanged();
    let status = json!({"status": {"api_id": "x"}});
    world
        .definitions()
        .patch_status("a", &PatchParams::default(), &Patch::Merge(&status))
        .await?;
    let with_status = |snapshot: &Snapshot| snapshot.api_definitions[&world.name("a")].status.is_some();
    world.snapshot("the status", with_status).await?;
    ensure!(!changes.has_changed()?, "a status is no change");
    world
        .patch("a", json!({"metadata": {"labels": {"template": "true"}}}))
        .await?;
    tokio::time::timeout(PATIENCE, changes.changed()).await??;
    Ok(())
}

#[tokio::test]
async fn children_come_and_come_back_whole_and_go() -> Result<()> {
    let world = World::start("children").await?;
    let mut template = spec("/t");
    template["config_data"] = json!({"null": null, "empty": {}, "none": [], "float": 1.5});
    world
        .apply("ApiDefinition", "template", json!({"template": "true"}), template)
        .await?;
    world
        .ingress("web", json!({"tyk.io/template": "template"}), "/one")
        .await?;
    let snapshot = world
        .snapshot("the Ingress", |s| {
            !s.ingresses.is_empty() && !s.api_definitions.is_empty()
        })
        .await?;
    let first = world.render(&snapshot).await?;
    ensure!(first.len() == 2, "{first:?}");
    // The watch has not told of the child: found, taken for ours and left as it is.
    let again = world.render(&snapshot).await?;
    ensure!(versions(&first) == versions(&again), "a second apply wrote");
    let snapshot = world.caught_up().await?;
    ensure!(
        versions(&world.render(&snapshot).await?) == versions(&first),
        "a third apply wrote"
    );
    let child = first.iter().find(|one| one.is_child()).context("no child")?;
    ensure!(child.finalizers() == [names::FINALIZER_API_DEFINITION]);
    let name = child.name_any();

    let edit = json!({"metadata": {"labels": {"tyk.io/ingress": null, "mine": "x"}, "finalizers": null},
        "spec": {"made_up": {"a": [1]}, "use_keyless": null, "config_data": {"deep": true},
            "proxy": {"strip_listen_path": true, "own": 1}}});
    world.patch(&name, edit).await?;
    world.render(&*world.caught_up().await?).await?;
    let back = world.definitions().get(&name).await?;
    ensure!(back.spec == child.spec, "{:?}", serde_json::to_value(&back.spec)?);
    ensure!(back.labels()["mine"] == "x" && back.is_child(), "{:?}", back.labels());
    ensure!(back.finalizers() == child.finalizers());

    world.ingress("web", json!({}), "/two").await?;
    let moved = |s: &Snapshot| s.ingresses.values().any(|one| one.annotations().is_empty());
    world.snapshot("the new path", moved).await?;
    let objects = world.render(&*world.caught_up().await?).await?;
    ensure!(
        objects.iter().filter(|one| one.is_child()).count() == 2,
        "the old one waits for its finalizer"
    );
    let old = world.definitions().get(&name).await?;
    ensure!(old.metadata.deletion_timestamp.is_some());
    finalizer::release(&world.client, &old).await?;
    ensure!(world.definitions().get_opt(&name).await?.is_none(), "it is still there");
    // An object that is gone stays gone, whoever asks.
    finalizer::release(&world.client, &old).await?;
    finalizer::ensure(&world.client, &back).await?;
    ensure!(world.definitions().get_opt(&name).await?.is_none(), "it was made anew");
    Ok(())
}

#[tokio::test]
async fn a_field_that_is_not_rendered_any_more_goes() -> Result<()> {
    let world = World::start("fields").await?;
    let mut template = spec("/t");
    template["tags"] = json!(["a"]);
    template["CORS"] = json!({"enable": true, "max_age": 3});
    world
        .apply("ApiDefinition", "template", json!({"template": "true"}), template)
        .await?;
    world
        .ingress("web", json!({"tyk.io/template": "template"}), "/")
        .await?;
    let both = |s: &Snapshot| !s.ingresses.is_empty() && !s.api_definitions.is_empty();
    let made = world.render(&*world.snapshot("both", both).await?).await?;
    let child = made.iter().find(|one| one.is_child()).context("no child")?;
    ensure!(child.spec.definition.contains_key("tags"));
    world
        .patch("template", json!({"spec": {"tags": null, "CORS": {"max_age": null}}}))
        .await?;
    world.render(&*world.caught_up().await?).await?;
    let child = world.definitions().get(&child.name_any()).await?;
    ensure!(!child.spec.definition.contains_key("tags"), "{:?}", child.spec);
    ensure!(
        child.spec.definition["CORS"] == json!({"enable": true}),
        "{}",
        child.spec.definition["CORS"]
    );
    let before = child.resource_version();
    world.render(&*world.caught_up().await?).await?;
    ensure!(world.definitions().get(&child.name_any()).await?.resource_version() == before);
    Ok(())
}

#[tokio::test]
async fn what_is_not_a_child_is_never_taken() -> Result<()> {
    let world = World::start("foreign").await?;
    world.ingress("web", json!({}), "/").await?;
    let before = world.snapshot("the Ingress", |s| !s.ingresses.is_empty()).await?;
    let translation = ingress::render(&before, &Options::default());
    let name = translation.children.keys().next().context("no child")?.clone();
    // The labels alone make no child.
    world
        .apply(
            "ApiDefinition",
            &name.name,
            json!({"tyk.io/ingress": "web"}),
            spec("/mine"),
        )
        .await?;
    let after = world.caught_up().await?;
    for snapshot in [&before, &after] {
        let errors = world.try_render(snapshot).await;
        ensure!(
            errors.len() == 1 && errors[0].0 == name && errors[0].1.contains("not made from"),
            "{errors:?}"
        );
        let object = world.definitions().get(&name.name).await?;
        ensure!(
            object.spec.definition["proxy"]["listen_path"] == "/mine",
            "it was overwritten"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_child_of_an_earlier_ingress_makes_room() -> Result<()> {
    let world = World::start("earlier").await?;
    world.ingress("web", json!({}), "/").await?;
    let first = world
        .render(&*world.snapshot("the Ingress", |s| !s.ingresses.is_empty()).await?)
        .await?;
    let name = first[0].name_any();
    let ingresses: Api<k8s_openapi::api::networking::v1::Ingress> =
        Api::namespaced(world.admin.clone(), &world.namespace);
    let old = ingresses.get("web").await?.uid();
    ingresses.delete("web", &DeleteParams::default()).await?;
    world.ingress("web", json!({}), "/").await?;
    let new = |s: &Snapshot| s.ingresses.values().any(|one| one.uid() != old);
    world.snapshot("the new Ingress", new).await?;
    eventually(PATIENCE, "a child of the new Ingress", async || {
        let snapshot = world.caught_up().await?;
        world.render(&snapshot).await?;
        let translation = ingress::render(&snapshot, &Options::default());
        let (desired, diagnostics) = desired::build(&snapshot, &translation, &desired::Context::default());
        let outcome = Outcome::default();
        let report = report(&input(&snapshot, &desired, &diagnostics, &outcome));
        finalizer::release_all(&world.client, &snapshot, &report.release).await;
        let child = world.definitions().get(&name).await?;
        let owner = &child.owner_references()[0].uid;
        ensure!(
            child.metadata.deletion_timestamp.is_none() && Some(owner) != old.as_ref(),
            "{:?}",
            child.metadata
        );
        Ok(())
    })
    .await
}

fn input<'a>(
    snapshot: &'a Snapshot,
    desired: &'a desired::Desired,
    diagnostics: &'a [Diagnostic],
    outcome: &'a Outcome,
) -> ReportInput<'a> {
    ReportInput {
        snapshot,
        desired,
        diagnostics,
        outcome,
        org: "org",
        now: Time(Timestamp::now()),
    }
}

#[tokio::test]
async fn finalizers_of_others_stay() -> Result<()> {
    let world = World::start("finalizers").await?;
    world.apply("ApiDefinition", "a", json!({}), spec("/a")).await?;
    world
        .apply("ApiDefinition", "t", json!({"template": "true"}), spec("/t"))
        .await?;
    world
        .patch("a", json!({"metadata": {"finalizers": ["example.com/theirs"]}}))
        .await?;
    let snapshot = world.caught_up().await?;
    let errors = finalizer::ensure_all(&world.client, &snapshot).await;
    ensure!(errors.is_empty(), "{errors:?}");
    let object = world.definitions().get("a").await?;
    let all: BTreeSet<_> = object.finalizers().iter().map(String::as_str).collect();
    ensure!(
        all == BTreeSet::from(["example.com/theirs", names::FINALIZER_API_DEFINITION]),
        "{all:?}"
    );
    ensure!(
        world.definitions().get("t").await?.finalizers().is_empty(),
        "a template has no finalizer of ours"
    );
    world.delete("a").await?;
    let deleting = world.definitions().get("a").await?;
    // Somebody else adds one after our look at the object: the first attempt fails, and the second keeps it.
    let mut stale = deleting.clone();
    stale.metadata.finalizers = Some(vec![names::FINALIZER_API_DEFINITION.to_owned()]);
    finalizer::release(&world.client, &stale).await?;
    ensure!(world.definitions().get("a").await?.finalizers() == ["example.com/theirs"]);
    world.patch("a", json!({"metadata": {"finalizers": null}})).await?;
    ensure!(world.definitions().get_opt("a").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_status_is_written_once() -> Result<()> {
    let world = World::start("status").await?;
    world.apply("ApiDefinition", "a", json!({}), spec("/a")).await?;
    // As Tyk Operator left it.
    let links = json!({"status": {"api_id": "old", "linked_by_apis": [{"name": "b", "namespace": "c"}]}});
    world
        .definitions()
        .patch_status("a", &PatchParams::default(), &Patch::Merge(&links))
        .await?;
    let snapshot = world.caught_up().await?;
    let translation = ingress::render(&snapshot, &Options::default());
    let (desired, diagnostics) = desired::build(&snapshot, &translation, &desired::Context::default());
    let apis = desired.apis.keys().map(|id| (id.clone(), ApiOutcome::Synced)).collect();
    let outcome = Outcome {
        apis,
        ..Outcome::default()
    };
    let first = report(&input(&snapshot, &desired, &diagnostics, &outcome));
    ensure!(first.statuses.len() == 1, "{first:?}");
    ensure!(status::write(&world.client, &first.statuses).await.is_empty());
    let snapshot = world.caught_up().await?;
    let written = snapshot.api_definitions[&world.name("a")]
        .status
        .clone()
        .context("no status")?;
    ensure!(
        written.api_id == desired.apis.keys().next().cloned() && written.linked_by_apis.len() == 1,
        "{written:?}"
    );
    let second = report(&input(&snapshot, &desired, &diagnostics, &outcome));
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
    let mut events = Events::new(world.client.clone(), "tyk-ingress");
    let api: Api<Event> = Api::namespaced(world.admin.clone(), &world.namespace);
    let count = async || anyhow::Ok(api.list(&ListParams::default()).await?.items.len());
    events.publish(&snapshot, &diagnostics).await;
    events.publish(&snapshot, &diagnostics).await;
    ensure!(count().await? == 2);
    events.publish(&snapshot, &diagnostics[1..]).await;
    events.publish(&snapshot, &diagnostics).await;
    ensure!(count().await? == 3, "one that comes back is told again");
    let all = api.list(&ListParams::default()).await?.items;
    let event = all
        .iter()
        .find(|one| one.note.as_deref().is_some_and(|note| note.contains("taken by a")))
        .unwrap();
    let note = event.note.as_deref().unwrap_or_default();
    ensure!(
        note.starts_with("spec.rules[0]: taken by a. ") && note.ends_with(Code::Conflict.fix()),
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
    let statuses = BTreeMap::from([(world.name("a"), Default::default())]);
    ensure!(status::write(&world.client, &statuses).await.is_empty());
    let object = ObjectRef::new("Ingress", &world.namespace, "web");
    let mut events = Events::new(world.client.clone(), "tyk-ingress");
    events
        .publish(&snapshot, &[Diagnostic::new(Code::Conflict, object, "", "taken")])
        .await;
    let api: Api<Event> = Api::namespaced(world.admin.clone(), &world.namespace);
    ensure!(api.list(&ListParams::default()).await?.items.len() == 1);
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
            waiting.len() == 5 && waiting.iter().all(|one| one.contains("not allowed")),
            "{waiting:?}"
        );
        ensure!(store.snapshot().is_none());
        Ok(())
    })
    .await
}
