//! What is written to Ingresses: the address in their status, and the end of Tyk Operator's finalizer.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Error, ResourceExt};
use serde_json::json;

use super::{all, message, status_code};
use crate::api::{Generated, names};
use crate::report::IngressStatus;
use crate::snapshot::{NamespacedName, Snapshot, Stored, StoredIngress};

/// Writes the statuses; the errors by Ingress. One that is gone, or was made anew, is none.
///
/// By server-side apply with a field manager for each owner: what is not applied any more goes, unless another
/// controller has written the addresses since.
pub async fn publish(
    client: &Client,
    owner: &str,
    statuses: &BTreeMap<NamespacedName, IngressStatus>,
) -> Vec<(NamespacedName, String)> {
    let manager = names::ingress_status_manager(owner);
    let calls = statuses.iter().map(|(name, status)| {
        let patch = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"uid": status.uid},
            "status": match &*status.addresses {
                [] => json!({}),
                addresses => json!({"loadBalancer": {"ingress": addresses}}),
            },
        });
        let params = PatchParams::apply(&manager).force();
        let api: Api<Ingress> = Api::namespaced(client.clone(), &name.namespace);
        let name = name.clone();
        async move {
            let result = api.patch_status(&name.name, &params, &Patch::Apply(patch)).await;
            (name, result.map(drop))
        }
    });
    errors(calls).await
}

/// Takes Tyk Operator's finalizer, which protects nothing, off Ingresses that are being deleted and that are ours or have
/// a child of ours or of Tyk Operator. The errors by Ingress.
pub async fn release(
    client: &Client,
    snapshot: &Snapshot,
    ending: &[NamespacedName],
    owner: &str,
) -> Vec<(NamespacedName, String)> {
    let found = waiting(snapshot, ending, owner);
    let calls = found.into_iter().map(|(name, ingress)| {
        let (client, name, ingress) = (client.clone(), name.clone(), ingress.whole());
        async move { (name, release_one(&client, &ingress).await) }
    });
    errors(calls).await
}

fn waiting<'a>(
    snapshot: &'a Snapshot,
    ending: &[NamespacedName],
    owner: &str,
) -> Vec<(&'a NamespacedName, &'a StoredIngress)> {
    let held = |ingress: &StoredIngress| ingress.is_leaving() && ingress.has_finalizer(&[names::FINALIZER_INGRESS]);
    let held: Vec<_> = snapshot.ingresses.iter().filter(|(_, ingress)| held(ingress)).collect();
    if held.is_empty() {
        return held;
    }
    let children = snapshot.api_definitions.values().filter(|child| child.is_child());
    let owners: BTreeSet<_> = children
        .filter(|child| !child.is_of_another(owner))
        .flat_map(|child| child.whole().owner_references().to_vec())
        .map(|owner| owner.uid)
        .collect();
    let ours = |name: &NamespacedName, ingress: &StoredIngress| {
        ending.contains(name) || ingress.uid().is_some_and(|uid| owners.contains(uid))
    };
    held.into_iter().filter(|(name, ingress)| ours(name, ingress)).collect()
}

async fn release_one(client: &Client, ingress: &Ingress) -> Result<(), Error> {
    let finalizers = ingress.finalizers();
    let place = finalizers
        .iter()
        .position(|finalizer| finalizer == names::FINALIZER_INGRESS);
    let Some(place) = place else { return Ok(()) };
    let path = format!("/metadata/finalizers/{place}");
    let patch = json!([
        {"op": "test", "path": "/metadata/uid", "value": ingress.metadata.uid},
        {"op": "test", "path": path, "value": names::FINALIZER_INGRESS},
        {"op": "remove", "path": path},
    ]);
    let patch = Patch::Json::<()>(serde_json::from_value(patch).map_err(Error::SerdeError)?);
    let api: Api<Ingress> = Api::namespaced(client.clone(), &ingress.namespace().unwrap_or_default());
    api.patch(&ingress.name_any(), &PatchParams::default(), &patch)
        .await
        .map(drop)
}

async fn errors<F>(calls: impl Iterator<Item = F>) -> Vec<(NamespacedName, String)>
where
    F: Future<Output = (NamespacedName, Result<(), Error>)>,
{
    let results = all(calls).await;
    let errors = results.into_iter().filter_map(|(name, result)| match result {
        Err(error) if !matches!(status_code(&error), Some(404 | 409)) => Some((name, message(&error))),
        _ => None,
    });
    let mut errors: Vec<_> = errors.collect();
    errors.sort();
    errors
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::Value;

    use super::*;
    use crate::api::ApiDefinition;

    fn is_released(edit: impl FnOnce(&mut Value), child: Option<Value>, ours: bool) -> bool {
        let mut ingress = json!({"metadata": {"namespace": "ns", "name": "web", "uid": "u",
            "deletionTimestamp": "2024-05-06T07:08:09Z", "finalizers": ["x", names::FINALIZER_INGRESS]}});
        edit(&mut ingress);
        let mut snapshot = Snapshot::default();
        snapshot.insert(serde_json::from_value::<Ingress>(ingress).unwrap());
        if let Some(labels) = child {
            let child = json!({"metadata": {"namespace": "ns", "name": "c", "labels": labels, "ownerReferences": [
                {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web", "uid": "u", "controller": true}]}});
            snapshot.insert(serde_json::from_value::<ApiDefinition>(child).unwrap());
        }
        let ending: Vec<_> = ours.then(|| NamespacedName::new("ns", "web")).into_iter().collect();
        !waiting(&snapshot, &ending, "east").is_empty()
    }

    #[test]
    fn only_ingresses_that_are_ours_or_left_behind_are_released() {
        let legacy = || Some(json!({"tyk.io/ingress": "web"}));
        let of = |operator: &str| Some(json!({"tyk.io/ingress": "web", "tyk.io/operator": operator}));
        assert!(is_released(|_| (), None, true));
        assert!(is_released(|_| (), legacy(), false));
        assert!(is_released(|_| (), of("east"), false));
        assert!(!is_released(|_| (), of("west"), false));
        assert!(!is_released(|_| (), None, false));
        assert!(!is_released(
            |ingress| ingress["metadata"]["finalizers"] = json!(["x"]),
            None,
            true
        ));
        let live = |ingress: &mut Value| ingress["metadata"]["deletionTimestamp"] = Value::Null;
        assert!(!is_released(live, legacy(), true));
    }
}
