//! Status of the kinds that become APIs into the cluster.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use kube::api::{Patch, PatchParams};
use kube::{Client, Error};
use serde::Serialize;
use serde_json::{Value, json};

use super::{CONCURRENCY, Published, api, message, status_code};
use crate::api::names;
use crate::snapshot::NamespacedName;

/// Writes the statuses; the errors by object. An object that is gone is none.
pub async fn write<K: Published, S: Serialize>(
    client: &Client,
    statuses: &BTreeMap<NamespacedName, S>,
) -> Vec<(NamespacedName, String)> {
    let calls: Vec<_> = statuses
        .iter()
        .map(|(name, status)| {
            let (client, name, status) = (client.clone(), name.clone(), json!(status));
            async move {
                let result = write_one::<K>(&client, &name, status).await;
                (name, result)
            }
        })
        .collect();
    let results: Vec<_> = stream::iter(calls).buffer_unordered(CONCURRENCY).collect().await;
    let errors = results
        .into_iter()
        .filter_map(|(name, result)| Some((name, message(&result.err()?))));
    let mut errors: Vec<_> = errors.collect();
    errors.sort();
    errors
}

async fn write_one<K: Published>(client: &Client, name: &NamespacedName, status: Value) -> Result<(), Error> {
    let patch = json!({"apiVersion": names::API_VERSION, "kind": K::KIND, "status": status});
    let params = PatchParams::apply(names::STATUS_FIELD_MANAGER).force();
    match api::<K>(client, name)
        .patch_status(&name.name, &params, &Patch::Apply(patch))
        .await
    {
        Err(error) if status_code(&error) == Some(404) => Ok(()),
        result => result.map(drop),
    }
}
