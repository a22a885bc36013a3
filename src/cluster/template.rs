//! The finalizer that keeps a template while Ingresses use it.

use kube::api::{Patch, PatchParams};
use kube::{Client, Error};
use serde_json::json;

use super::finalizer::take_off;
use super::published::Published;
use super::{all, api, message, status_code};
use crate::api::names;
use crate::snapshot::{NamespacedName, Snapshot, Stored};

/// Sets or removes the finalizer until exactly the templates in use have it. Objects that are being deleted are left
/// alone. The errors by object; that it has changed in the meantime is none, since the watch will tell of it.
pub async fn protect<K: Published>(client: &Client, snapshot: &Snapshot) -> Vec<(NamespacedName, String)> {
    let due = K::all(snapshot).iter().filter_map(|(name, definition)| {
        let definition = definition.as_whole()?;
        let change = change_for(snapshot, definition.as_ref())?;
        Some((name.clone(), definition.clone(), change))
    });
    let calls = due.map(|(name, definition, change)| {
        let client = client.clone();
        async move {
            let result = change.write(&client, definition.as_ref()).await;
            (name, result)
        }
    });
    let results = all(calls).await;
    let errors = results.into_iter().filter_map(|(name, result)| match result {
        Err(error) if !matches!(status_code(&error), Some(404 | 409 | 422)) => Some((name, message(&error))),
        _ => None,
    });
    let mut errors: Vec<_> = errors.collect();
    errors.sort();
    errors
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Protect,
    Free,
}

fn change_for<K: Published>(snapshot: &Snapshot, definition: &K) -> Option<Change> {
    let has = definition.finalizers().iter().any(|finalizer| is_ours(finalizer));
    if definition.meta().deletion_timestamp.is_some() || !(has || definition.is_template()) {
        return None;
    }
    let wanted = definition.is_template() && !snapshot.users_of_template(definition).is_empty();
    match (wanted, has) {
        (true, false) => Some(Change::Protect),
        (false, true) => Some(Change::Free),
        _ => None,
    }
}

impl Change {
    async fn write<K: Published>(self, client: &Client, definition: &K) -> Result<(), Error> {
        let name = NamespacedName::of(definition.meta());
        match self {
            Self::Protect => {
                let patch = json!({
                    "apiVersion": names::API_VERSION,
                    "kind": K::KIND,
                    "metadata": {"uid": definition.meta().uid, "finalizers": [names::FINALIZER_TEMPLATE]},
                });
                let params = PatchParams::apply(names::FIELD_MANAGER);
                let api = api::<K>(client, &name);
                api.patch(&name.name, &params, &Patch::Apply(patch)).await.map(drop)
            }
            // Tyk Operator may have set it.
            Self::Free => take_off(client, definition, is_ours).await,
        }
    }
}

fn is_ours(finalizer: &str) -> bool {
    finalizer == names::FINALIZER_TEMPLATE
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use k8s_openapi::api::networking::v1::Ingress;

    use super::*;
    use crate::api::ApiDefinition;

    fn change(label: bool, used: bool, finalizers: &[&str]) -> Option<Change> {
        let mut snapshot = Snapshot::default();
        if used {
            let annotations = json!({"tyk.io/template": "t"});
            let ingress = json!({"metadata": {"namespace": "ns", "name": "web", "annotations": annotations}});
            snapshot.insert(serde_json::from_value::<Ingress>(ingress).unwrap());
        }
        let label = if label { "true" } else { "false" };
        let template = json!({"metadata": {"namespace": "ns", "name": "t", "labels": {"template": label},
            "finalizers": finalizers}, "spec": {}});
        change_for::<ApiDefinition>(&snapshot, &serde_json::from_value(template).unwrap())
    }

    #[test]
    fn exactly_the_templates_in_use_have_the_finalizer() {
        let ours = names::FINALIZER_TEMPLATE;
        assert_eq!(change(true, true, &["x"]), Some(Change::Protect));
        assert_eq!(change(true, true, &["x", ours]), None);
        assert_eq!(change(true, false, &[ours]), Some(Change::Free));
        assert_eq!(change(true, false, &[]), None);
        assert_eq!(change(false, true, &[ours]), Some(Change::Free), "it is an API now");
        assert_eq!(change(false, true, &["x"]), None);
    }
}
