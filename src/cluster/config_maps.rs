//! ConfigMaps that hold documents of TykOasApiDefinitions.
//!
//! A cluster has many other ConfigMaps, so none is watched before it is named, and only the named ones are kept: one
//! watch for each namespace with a named one, which starts anew when a further one is named there.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::future;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, ResourceExt};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::store::{Scope, Store, WatchId};
use super::watch::pump;
use crate::api::{DocumentSource, HasDocument};
use crate::snapshot::{Objects, Snapshot, SnapshotKind};

/// Names of ConfigMaps by namespace.
pub(super) type Referenced = BTreeMap<String, BTreeSet<String>>;

/// The ConfigMaps that definitions of the snapshot name and that may be read.
pub(super) fn referenced(snapshot: &Snapshot, scope: &Scope) -> Referenced {
    let mut found = Referenced::new();
    for (own, source) in sources(snapshot) {
        let Some(reference) = &source.configmap_ref else {
            continue;
        };
        let namespace = reference.namespace_or(own);
        let visible = |names: &Vec<String>| names.iter().any(|name| name == namespace);
        if scope.namespaces.as_ref().is_none_or(visible) {
            found
                .entry(namespace.to_owned())
                .or_default()
                .insert(reference.name.clone());
        }
    }
    found
}

/// Where the document of each definition is, with the definition's namespace.
fn sources(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &DocumentSource)> {
    fn of<K: HasDocument>(objects: &Objects<K>) -> impl Iterator<Item = (&str, &DocumentSource)> {
        objects
            .iter()
            .map(|(name, object)| (name.namespace.as_str(), object.source()))
    }
    of(&snapshot.tyk_oas_api_definitions)
        .chain(of(&snapshot.tyk_streams_api_definitions))
        .chain(of(&snapshot.tyk_mcp_proxy_definitions))
}

/// The watch of a namespace.
pub(super) fn watch_id(namespace: &str) -> WatchId {
    WatchId {
        kind: ConfigMap::KIND,
        namespace: Some(namespace.to_owned()),
    }
}

/// Keeps the watches in step with what is named, until `cancel`.
pub(super) async fn follow(store: Arc<Store>, client: Client, cancel: CancellationToken) {
    let mut running: BTreeMap<String, (BTreeSet<String>, DropGuard)> = BTreeMap::new();
    let mut changes = store.changes();
    loop {
        changes.mark_unchanged();
        let wanted = store.referenced();
        running.retain(|namespace, (names, _)| wanted.get(namespace) == Some(names));
        for (namespace, names) in wanted {
            if let Entry::Vacant(place) = running.entry(namespace) {
                let end = cancel.child_token();
                start(&store, &client, place.key(), &names, end.clone());
                place.insert((names, end.drop_guard()));
            }
        }
        match cancel.run_until_cancelled(changes.changed()).await {
            Some(Ok(())) => {}
            _ => return,
        }
    }
}

fn start(store: &Arc<Store>, client: &Client, namespace: &str, names: &BTreeSet<String>, end: CancellationToken) {
    let names = names.clone();
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let events = watch(api, watcher::Config::default()).default_backoff();
    let named = events.filter(move |event| future::ready(is_about(event, &names)));
    let named = named.take_until(end.cancelled_owned());
    tokio::spawn(pump::<ConfigMap, ConfigMap>(
        Arc::clone(store),
        watch_id(namespace),
        named,
        Ok,
    ));
}

fn is_about(event: &watcher::Result<Event<ConfigMap>>, names: &BTreeSet<String>) -> bool {
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
    use serde_json::json;

    use super::*;
    use crate::api::TykOasApiDefinition;

    fn naming(name: &str, namespace: Option<&str>) -> TykOasApiDefinition {
        let reference = json!({"name": "c", "keyName": "k", "namespace": namespace});
        let object =
            json!({"metadata": {"namespace": "a", "name": name}, "spec": {"tykOAS": {"configmapRef": reference}}});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn only_named_config_maps_of_the_scope_are_watched() {
        let mut snapshot = Snapshot::default();
        snapshot.insert(naming("one", None));
        snapshot.insert(naming("two", Some("b")));
        let names = |scope: &[&str]| {
            let namespaces = (!scope.is_empty()).then(|| scope.iter().map(|name| (*name).to_owned()).collect());
            referenced(&snapshot, &Scope { namespaces })
                .into_keys()
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&[]), ["a", "b"]);
        assert_eq!(names(&["a"]), ["a"]);
        assert_eq!(referenced(&Snapshot::default(), &Scope::default()), Referenced::new());
    }

    #[test]
    fn events_of_others_are_left_out() {
        let object = |name: &str| serde_json::from_value::<ConfigMap>(json!({"metadata": {"name": name}})).unwrap();
        let names = BTreeSet::from(["c".to_owned()]);
        assert!(is_about(&Ok(Event::Apply(object("c"))), &names));
        assert!(!is_about(&Ok(Event::InitApply(object("d"))), &names));
        assert!(is_about(&Ok(Event::InitDone), &names));
    }
}
