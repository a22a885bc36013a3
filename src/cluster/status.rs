//! Status of the kinds that become APIs into the cluster.

use std::collections::BTreeMap;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client, Error, Resource};
use serde_json::{Map, Value, json};

use super::published::with_published;
use super::{all, message, status_code};
use crate::api::names;
use crate::diagnostic::ObjectRef;
use crate::packed::Packed;

/// Writes the statuses; the errors by object. An object that is gone is none.
pub async fn write(client: &Client, statuses: &BTreeMap<ObjectRef, Packed>) -> Vec<(ObjectRef, String)> {
    let calls = statuses.iter().map(|(object, status)| async move {
        let result = write_one(client, object, status.fields()).await;
        (object, result)
    });
    let errors = all(calls)
        .await
        .into_iter()
        .filter_map(|(object, result)| Some((object.clone(), message(&result.err()?))));
    let mut errors: Vec<_> = errors.collect();
    errors.sort();
    errors
}

async fn write_one(client: &Client, object: &ObjectRef, status: Map<String, Value>) -> Result<(), Error> {
    let patch = json!({"apiVersion": names::API_VERSION, "kind": object.kind, "status": status});
    let params = PatchParams::apply(names::STATUS_FIELD_MANAGER).force();
    let kind = GroupVersionKind::gvk(names::GROUP, names::VERSION, object.kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, &plural(object.kind));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &object.namespace, &resource);
    match api.patch_status(&object.name, &params, &Patch::Apply(patch)).await {
        Err(error) if status_code(&error) == Some(404) => Ok(()),
        result => result.map(drop),
    }
}

/// The plural of a kind with a status, from its type: this runs for every write, and schemas are large to read.
fn plural(kind: &str) -> String {
    macro_rules! plural_of {
        ($($kind:ident $field:ident $finalizer:ident $is_template:expr;)*) => {
            match kind {
                $(stringify!($kind) => crate::api::$kind::plural(&()).into_owned(),)*
                other => other.to_ascii_lowercase() + "s",
            }
        };
    }
    with_published!(plural_of)
}

#[cfg(test)]
mod tests {
    use super::plural;

    #[test]
    fn plurals_are_those_of_the_definitions() {
        for crd in crate::api::all_crds() {
            let names = crd.spec.names;
            assert_eq!(plural(&names.kind), names.plural);
        }
    }
}
