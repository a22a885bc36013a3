//! The finalizer that keeps an ApiDefinition until the gateway has dropped its API.

use std::future::Future;

use kube::api::{Patch, PatchParams};
use kube::{Client, Error};
use serde_json::json;

use super::published::with_published;
use super::{Published, all, api, message, status_code};
use crate::api::names;
use crate::diagnostic::ObjectRef;
use crate::snapshot::{NamespacedName, Snapshot, Stored};

/// Sets our finalizer on a hand-written definition. Nothing is sent for a template, for an object that has it, is being
/// deleted or is gone.
///
/// # Errors
/// When the API server refuses it or does not answer. The API must not be sent to the gateway then, since nothing
/// would keep the object until it is removed from there.
pub async fn ensure<K: Published>(client: &Client, definition: &K) -> Result<(), Error> {
    if !needs_finalizer(definition) {
        return Ok(());
    }
    let name = NamespacedName::of(definition.meta());
    // Finalizers are a set, to which an apply adds. The uid keeps an object that is gone from being made anew.
    let patch = json!({
        "apiVersion": names::API_VERSION,
        "kind": K::KIND,
        "metadata": {"uid": definition.meta().uid, "finalizers": [K::FINALIZER]},
    });
    let params = PatchParams::apply(names::FIELD_MANAGER);
    match api::<K>(client, &name)
        .patch(&name.name, &params, &Patch::Apply(patch))
        .await
    {
        Err(error) if matches!(status_code(&error), Some(404 | 409)) => Ok(()),
        result => result.map(drop),
    }
}

async fn ensure_kind<K: Published>(client: &Client, snapshot: &Snapshot) -> Vec<(NamespacedName, String)> {
    let candidates = K::all(snapshot)
        .iter()
        .filter_map(|(name, definition)| Some((name, definition.as_whole()?)));
    let waiting = candidates.filter(|(_, definition)| !definition.is_child() && needs_finalizer(definition.as_ref()));
    let calls = waiting.map(|(name, definition)| {
        let (client, name, definition) = (client.clone(), name.clone(), definition.clone());
        async move { (name, ensure(&client, definition.as_ref()).await) }
    });
    errors(calls).await
}

fn needs_finalizer<K: Published>(definition: &K) -> bool {
    let has = definition
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == K::FINALIZER);
    !has && !definition.is_template() && definition.meta().deletion_timestamp.is_none()
}

/// Takes our finalizer, and the one that Tyk Operator leaves on templates, off an object that is being deleted. Those of
/// others stay. Nothing is sent for an object that is not being deleted; one that is gone is no error, nor is one that
/// somebody else changes at the same time: the watch brings its new form.
///
/// # Errors
/// When the API server refuses it or does not answer.
pub async fn release<K: Published>(client: &Client, definition: &K) -> Result<(), Error> {
    if definition.meta().deletion_timestamp.is_none() {
        return Ok(());
    }
    match take_off(client, definition, is_ours::<K>).await {
        Err(error) if matches!(status_code(&error), Some(404 | 409 | 422)) => Ok(()),
        result => result,
    }
}

/// Takes those finalizers off an object that `which` names, whoever set them; what another manager has set does not go by
/// an apply. Nothing is sent when there is none.
///
/// # Errors
/// When the API server refuses it or does not answer; 422 when somebody else has changed the finalizers meanwhile.
pub(super) async fn take_off<K: Published>(
    client: &Client,
    object: &K,
    which: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let finalizers = object.finalizers();
    let others: Vec<_> = finalizers.iter().filter(|finalizer| !which(finalizer)).collect();
    if others.len() == finalizers.len() {
        return Ok(());
    }
    let name = NamespacedName::of(object.meta());
    let patch = json!([
        {"op": "test", "path": "/metadata/uid", "value": object.meta().uid},
        {"op": "test", "path": "/metadata/finalizers", "value": finalizers},
        {"op": "replace", "path": "/metadata/finalizers", "value": others},
    ]);
    let patch = Patch::Json::<()>(serde_json::from_value(patch).map_err(Error::SerdeError)?);
    api::<K>(client, &name)
        .patch(&name.name, &PatchParams::default(), &patch)
        .await
        .map(drop)
}

fn is_ours<K: Published>(finalizer: &str) -> bool {
    [K::FINALIZER, names::FINALIZER_TEMPLATE].contains(&finalizer)
}

/// [`release`] for these objects of the snapshot; the errors by object.
pub async fn release_named(client: &Client, snapshot: &Snapshot, objects: &[ObjectRef]) -> Vec<(ObjectRef, String)> {
    let mut failed = Vec::new();
    macro_rules! release {
        ($($kind:ident $field:ident $finalizer:ident $is_template:expr;)*) => {
            $(failed.extend(release_kind::<crate::api::$kind>(client, snapshot, objects).await);)*
        };
    }
    with_published!(release);
    failed
}

/// [`ensure`] for every hand-written object of the snapshot; the errors by object.
pub async fn ensure_all(client: &Client, snapshot: &Snapshot) -> Vec<(NamespacedName, String)> {
    let mut failed = Vec::new();
    macro_rules! ensure {
        ($($kind:ident $field:ident $finalizer:ident $is_template:expr;)*) => {
            $(failed.extend(ensure_kind::<crate::api::$kind>(client, snapshot).await);)*
        };
    }
    with_published!(ensure);
    failed
}

async fn release_kind<K: Published>(
    client: &Client,
    snapshot: &Snapshot,
    objects: &[ObjectRef],
) -> Vec<(ObjectRef, String)> {
    let ours = objects.iter().filter(|object| object.kind == K::KIND);
    let names = ours.map(|object| NamespacedName::new(&object.namespace, &object.name));
    let found = names.filter_map(|name| K::all(snapshot).get_key_value(&name));
    let calls = found.map(|(name, definition)| {
        let (client, name, definition) = (client.clone(), name.clone(), definition.whole());
        async move { (name, release(&client, definition.as_ref()).await) }
    });
    let failed = errors(calls).await.into_iter();
    failed
        .map(|(name, error)| (ObjectRef::new(K::KIND, name.namespace, name.name), error))
        .collect()
}

async fn errors<F>(calls: impl Iterator<Item = F>) -> Vec<(NamespacedName, String)>
where
    F: Future<Output = (NamespacedName, Result<(), Error>)>,
{
    let results = all(calls).await;
    let errors = results
        .into_iter()
        .filter_map(|(name, result)| Some((name, message(&result.err()?))));
    let mut errors: Vec<_> = errors.collect();
    errors.sort();
    errors
}
