//! Objects that are watched because another one names them: ConfigMaps with documents of definitions, and Secrets of
//! OperatorContexts and of signatures.
//!
//! A cluster has many others, so none is watched before it is named, and only the named ones are kept. A Secret has a
//! watch of its own, so that no other one is even read. ConfigMaps can be as many as the definitions that name them;
//! they share one watch for each namespace, which starts anew when a further one is named there.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::store::{Scope, Store, WatchId, Watched};
use super::watch::pump;
use crate::api::{DocumentSource, HasDocument};
use crate::snapshot::{NamedSecret, NamespacedName, Snapshot, SnapshotKind};

/// The watches, and the names of the objects that each of them is for.
pub(super) type Named = BTreeMap<WatchId, BTreeSet<String>>;

/// The objects that others in the snapshot name and that may be read.
pub(super) fn named(snapshot: &Snapshot, scope: &Scope) -> Named {
    let mut found = Named::new();
    let readable = |owner: &str, namespace: &str| !scope.own_secrets_only || owner == namespace;
    let mut add = |id: WatchId, name: &str| {
        let visible = |names: &Vec<String>| names.iter().any(|name| Some(name) == id.namespace.as_ref());
        // Without a name there is nothing to ask for.
        if !name.is_empty() && scope.namespaces.as_ref().is_none_or(visible) {
            found.entry(id).or_default().insert(name.to_owned());
        }
    };
    for (own, source) in sources(snapshot) {
        if let Some(reference) = &source.configmap_ref {
            add(config_maps(reference.namespace_or(own)), &reference.name);
        }
    }
    for (owner, definition) in snapshot.tyk_oas_api_definitions.iter() {
        let signing = definition.spec.upstream_request_signing.as_ref();
        if let Some(reference) = signing.and_then(|signing| signing.secret_ref.as_ref()) {
            let namespace = reference.namespace_or(&owner.namespace);
            if readable(&owner.namespace, namespace) {
                add(secret(namespace, &reference.name), &reference.name);
            }
        }
    }
    for (owner, context) in snapshot.operator_contexts.iter() {
        if let Some(reference) = &context.spec.secret_ref {
            let namespace = reference.namespace_or(&owner.namespace);
            if readable(&owner.namespace, namespace) {
                add(secret(namespace, &reference.name), &reference.name);
            }
        }
    }
    found
}

/// Where the document of each definition is, with the definition's namespace.
fn sources(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &DocumentSource)> {
    fn of<K: HasDocument>(objects: &BTreeMap<NamespacedName, Arc<K>>) -> impl Iterator<Item = (&str, &DocumentSource)> {
        objects
            .iter()
            .map(|(name, object)| (name.namespace.as_ref(), object.source()))
    }
    of(&snapshot.tyk_oas_api_definitions)
        .chain(of(&snapshot.tyk_streams_api_definitions))
        .chain(of(&snapshot.tyk_mcp_proxy_definitions))
}

/// The watch of the ConfigMaps of a namespace.
pub(super) fn config_maps(namespace: &str) -> WatchId {
    WatchId {
        kind: ConfigMap::KIND,
        namespace: Some(namespace.to_owned()),
        name: None,
    }
}

/// The watch of one Secret.
pub(super) fn secret(namespace: &str, name: &str) -> WatchId {
    WatchId {
        kind: NamedSecret::KIND,
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
    }
}

/// Takes out of the snapshot what is named no more.
pub(super) fn retain(snapshot: &mut Snapshot, wanted: &Named) {
    let named =
        |id: WatchId, name: &NamespacedName| wanted.get(&id).is_some_and(|names| names.contains(name.name.as_ref()));
    ConfigMap::objects(snapshot).retain(|name, _| named(config_maps(&name.namespace), name));
    NamedSecret::objects(snapshot).retain(|name, _| named(secret(&name.namespace, &name.name), name));
}

/// Keeps the watches in step with what is named, until `cancel`.
pub(super) async fn follow(store: Arc<Store>, client: Client, cancel: CancellationToken) {
    let mut running: BTreeMap<WatchId, (BTreeSet<String>, DropGuard)> = BTreeMap::new();
    let mut changes = store.changes();
    loop {
        changes.mark_unchanged();
        let wanted = store.named();
        running.retain(|id, (names, _)| wanted.get(id) == Some(names));
        for (id, names) in wanted {
            if let Entry::Vacant(place) = running.entry(id) {
                let end = cancel.child_token();
                let id = place.key().clone();
                match id.kind {
                    ConfigMap::KIND => start::<ConfigMap>(&store, &client, id, &names, end.clone()),
                    _ => start::<NamedSecret>(&store, &client, id, &names, end.clone()),
                }
                place.insert((names, end.drop_guard()));
            }
        }
        match cancel.run_until_cancelled(changes.changed()).await {
            Some(Ok(())) => {}
            _ => return,
        }
    }
}

fn start<K>(store: &Arc<Store>, client: &Client, id: WatchId, names: &BTreeSet<String>, end: CancellationToken)
where
    K: Watched + Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: DeserializeOwned + Debug + Send + Sync + 'static,
{
    let names = names.clone();
    let api: Api<K> = Api::namespaced(client.clone(), id.namespace.as_deref().unwrap_or_default());
    let events = watch(api, selected(&id)).default_backoff();
    let named = events.filter(move |event| future::ready(is_about(event, &names)));
    let named = named.take_until(end.cancelled_owned());
    tokio::spawn(pump::<K, K>(Arc::clone(store), id, named, Ok));
}

/// What the API server is asked for.
fn selected(id: &WatchId) -> watcher::Config {
    let all = watcher::Config::default();
    match &id.name {
        None => all,
        Some(name) => all.fields(&format!("metadata.name={name}")),
    }
}

fn is_about<K: ResourceExt>(event: &watcher::Result<Event<K>>, names: &BTreeSet<String>) -> bool {
    match event {
        Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => {
            names.contains(&object.name_any())
        }
        Ok(Event::Init | Event::InitDone) | Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{OperatorContext, TykOasApiDefinition};

    fn definition(name: &str, spec: Value) -> TykOasApiDefinition {
        serde_json::from_value(json!({"metadata": {"namespace": "a", "name": name}, "spec": spec})).unwrap()
    }

    fn with_document(name: &str, namespace: Option<&str>) -> TykOasApiDefinition {
        let reference = json!({"name": "c", "keyName": "k", "namespace": namespace});
        definition(name, json!({"tykOAS": {"configmapRef": reference}}))
    }

    fn signed(name: &str, reference: Value) -> TykOasApiDefinition {
        definition(
            name,
            json!({"tykOAS": {}, "upstreamRequestSigning": {"secretRef": reference}}),
        )
    }

    fn context(name: &str, reference: Value) -> OperatorContext {
        let object = json!({"metadata": {"namespace": "a", "name": name}, "spec": {"secretRef": reference}});
        serde_json::from_value(object).unwrap()
    }

    fn watches(snapshot: &Snapshot, scope: &[&str]) -> Vec<String> {
        let namespaces = (!scope.is_empty()).then(|| scope.iter().map(|name| (*name).to_owned()).collect());
        let scope = Scope {
            namespaces,
            ..Scope::default()
        };
        let found = named(snapshot, &scope);
        found.into_keys().map(|id| id.to_string()).collect()
    }

    #[test]
    fn only_named_objects_of_the_scope_are_watched() {
        let mut snapshot = Snapshot::default();
        assert_eq!(named(&snapshot, &Scope::default()), Named::new());
        snapshot.insert(with_document("one", None));
        snapshot.insert(with_document("two", Some("b")));
        snapshot.insert(signed("three", json!({"name": "hmac", "keyName": "k"})));
        snapshot.insert(context("four", json!({"name": "conf", "namespace": "b"})));
        snapshot.insert(context("five", json!({"name": "conf", "namespace": ""})));
        snapshot.insert(context("six", json!({"name": ""})));
        snapshot.insert(context("seven", json!(null)));
        let ours = ["ConfigMap in a", "Secret conf in a", "Secret hmac in a"];
        assert_eq!(watches(&snapshot, &["a"]), [ours[0], ours[1], ours[2]]);
        let all = [ours[0], "ConfigMap in b", ours[1], ours[2], "Secret conf in b"];
        assert_eq!(watches(&snapshot, &[]), all);
        let own = Scope {
            own_secrets_only: true,
            ..Scope::default()
        };
        let found: Vec<_> = named(&snapshot, &own).into_keys().map(|id| id.to_string()).collect();
        assert_eq!(found, [ours[0], "ConfigMap in b", ours[1], ours[2]]);
    }

    #[test]
    fn a_secret_is_asked_for_by_its_name_alone() {
        let fields = |id: WatchId| selected(&id).field_selector;
        assert_eq!(fields(secret("a", "conf")).as_deref(), Some("metadata.name=conf"));
        assert_eq!(fields(config_maps("a")), None);
    }

    #[test]
    fn events_of_others_are_left_out() {
        let object = |name: &str| serde_json::from_value::<ConfigMap>(json!({"metadata": {"name": name}})).unwrap();
        let names = BTreeSet::from(["c".to_owned()]);
        assert!(is_about(&Ok(Event::Apply(object("c"))), &names));
        assert!(!is_about(&Ok(Event::InitApply(object("d"))), &names));
        assert!(is_about::<ConfigMap>(&Ok(Event::InitDone), &names));
    }
}
