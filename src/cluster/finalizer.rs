//! The finalizer that keeps an ApiDefinition until the gateway has dropped its API.

use std::future::Future;

use futures::{StreamExt, stream};
use kube::api::{Patch, PatchParams};
use kube::{Client, Error, ResourceExt};
use serde_json::json;

use super::{CONCURRENCY, api, message, status_code};
use crate::api::{ApiDefinition, names};
use crate::snapshot::{NamespacedName, Snapshot};

/// Looks at an object whose finalizers somebody else changes at the same time.
const ATTEMPTS: usize = 3;

/// Sets our finalizer on a hand-written definition. Nothing is sent for a template, for an object that has it, is being
/// deleted or is gone.
///
/// # Errors
/// When the API server refuses it or does not answer. The API must not be sent to the gateway then, since nothing
/// would keep the object until it is removed from there.
pub async fn ensure(client: &Client, definition: &ApiDefinition) -> Result<(), Error> {
    if !needs_finalizer(definition) {
        return Ok(());
    }
    let name = NamespacedName::of(&definition.metadata);
    // Finalizers are a set, to which an apply adds. The uid keeps an object that is gone from being made anew.
    let patch = json!({
        "apiVersion": names::API_VERSION,
        "kind": "ApiDefinition",
        "metadata": {"uid": definition.metadata.uid, "finalizers": [names::FINALIZER_API_DEFINITION]},
    });
    let params = PatchParams::apply(names::FIELD_MANAGER);
    match api(client, &name)
        .patch(&name.name, &params, &Patch::Apply(patch))
        .await
    {
        Err(error) if matches!(status_code(&error), Some(404 | 409)) => Ok(()),
        result => result.map(drop),
    }
}

/// [`ensure`] for every hand-written definition of the snapshot; the errors by object.
pub async fn ensure_all(client: &Client, snapshot: &Snapshot) -> Vec<(NamespacedName, String)> {
    let candidates = snapshot.api_definitions.iter();
    let waiting = candidates.filter(|(_, definition)| !definition.is_child() && needs_finalizer(definition));
    let calls = waiting.map(|(name, definition)| {
        let (client, name, definition) = (client.clone(), name.clone(), definition.clone());
        async move { (name, ensure(&client, &definition).await) }
    });
    errors(calls.collect()).await
}

fn needs_finalizer(definition: &ApiDefinition) -> bool {
    let has = definition
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == names::FINALIZER_API_DEFINITION);
    !has && !definition.is_template() && definition.metadata.deletion_timestamp.is_none()
}

/// Takes our finalizer, and the one that Tyk Operator leaves on templates, off an object that is being deleted. Those of
/// others stay. Nothing is sent for an object that is not being deleted; one that is gone is no error.
///
/// # Errors
/// When the API server refuses it or does not answer.
pub async fn release(client: &Client, definition: &ApiDefinition) -> Result<(), Error> {
    let name = NamespacedName::of(&definition.metadata);
    let api = api(client, &name);
    let mut newest = None;
    for attempt in 1.. {
        let object: &ApiDefinition = newest.as_ref().unwrap_or(definition);
        let others: Vec<_> = object
            .finalizers()
            .iter()
            .filter(|finalizer| !is_ours(finalizer))
            .collect();
        let replaced = object.metadata.uid != definition.metadata.uid;
        if replaced || others.len() == object.finalizers().len() || object.metadata.deletion_timestamp.is_none() {
            break;
        }
        let patch = json!([
            {"op": "test", "path": "/metadata/uid", "value": object.metadata.uid},
            {"op": "test", "path": "/metadata/finalizers", "value": object.finalizers()},
            {"op": "replace", "path": "/metadata/finalizers", "value": others},
        ]);
        let patch = Patch::Json::<()>(serde_json::from_value(patch).map_err(Error::SerdeError)?);
        match api.patch(&name.name, &PatchParams::default(), &patch).await {
            Ok(_) => break,
            Err(error) => match status_code(&error) {
                Some(404) => break,
                Some(409 | 422) if attempt < ATTEMPTS => {}
                _ => return Err(error),
            },
        }
        newest = api.get_opt(&name.name).await?;
        if newest.is_none() {
            break;
        }
    }
    Ok(())
}

fn is_ours(finalizer: &str) -> bool {
    [names::FINALIZER_API_DEFINITION, names::FINALIZER_TEMPLATE].contains(&finalizer)
}

/// [`release`] for the named definitions of the snapshot; the errors by object.
pub async fn release_all(
    client: &Client,
    snapshot: &Snapshot,
    names: &[NamespacedName],
) -> Vec<(NamespacedName, String)> {
    let found = names
        .iter()
        .filter_map(|name| snapshot.api_definitions.get_key_value(name));
    let calls = found.map(|(name, definition)| {
        let (client, name, definition) = (client.clone(), name.clone(), definition.clone());
        async move { (name, release(&client, &definition).await) }
    });
    errors(calls.collect()).await
}

async fn errors<F>(calls: Vec<F>) -> Vec<(NamespacedName, String)>
where
    F: Future<Output = (NamespacedName, Result<(), Error>)>,
{
    let results: Vec<_> = stream::iter(calls).buffer_unordered(CONCURRENCY).collect().await;
    let errors = results
        .into_iter()
        .filter_map(|(name, result)| Some((name, message(&result.err()?))));
    let mut errors: Vec<_> = errors.collect();
    errors.sort();
    errors
}
