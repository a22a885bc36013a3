//! Status of the kinds that become APIs into the cluster.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client, Error, Resource};
use serde_json::{Map, Value, json};

use super::{CONCURRENCY, message, status_code};
use crate::api::{
    ApiDefinition, OperatorContext, SecurityPolicy, SubGraph, SuperGraph, TykMcpProxyDefinition, TykOasApiDefinition,
    TykStreamsApiDefinition, names,
};
use crate::diagnostic::ObjectRef;

/// Writes the statuses; the errors by object. An object that is gone is none.
pub async fn write(client: &Client, statuses: &BTreeMap<ObjectRef, Map<String, Value>>) -> Vec<(ObjectRef, String)> {
    let calls: Vec<_> = statuses
        .iter()
        .map(|(object, status)| {
            let (client, object, status) = (client.clone(), object.clone(), status.clone());
            async move {
                let result = write_one(&client, &object, status).await;
                (object, result)
            }
        })
        .collect();
    let results: Vec<_> = stream::iter(calls).buffer_unordered(CONCURRENCY).collect().await;
    let errors = results
        .into_iter()
        .filter_map(|(object, result)| Some((object, message(&result.err()?))));
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
    macro_rules! of_kind {
        ($($type:ident)*) => {
            match kind {
                $(stringify!($type) => $type::plural(&()).into_owned(),)*
                _ => String::new(),
            }
        };
    }
    of_kind! {
        ApiDefinition OperatorContext SecurityPolicy SubGraph SuperGraph TykMcpProxyDefinition TykOasApiDefinition
        TykStreamsApiDefinition
    }
}

#[cfg(test)]
mod tests {
    use super::plural;

    #[test]
    fn plurals_are_those_of_the_definitions() {
        let crds = crate::api::all_crds().into_iter();
        let ours = crds.filter(|crd| !plural(&crd.spec.names.kind).is_empty());
        let named: Vec<_> = ours.map(|crd| crd.spec.names).collect();
        assert_eq!(named.len(), 8);
        for names in named {
            assert_eq!(plural(&names.kind), names.plural);
        }
    }
}
