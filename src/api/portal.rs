//! `APIDescription`, `PortalAPICatalogue` and `PortalConfig`: the developer portal of a Tyk Dashboard.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::{Deserialize, Serialize};

use super::{DefinitionSpec, Transaction, resource::custom_resource};

custom_resource!(
    /// How the developer portal shows an API. It is published by a PortalAPICatalogue that names it.
    APIDescription,
    "apidescriptions",
    DefinitionSpec,
    PortalStatus
);

custom_resource!(
    /// The APIs that the developer portal of an organisation shows.
    PortalAPICatalogue,
    "portalapicatalogues",
    DefinitionSpec,
    PortalStatus
);

custom_resource!(
    /// The settings of an organisation's developer portal.
    PortalConfig,
    "portalconfigs",
    DefinitionSpec,
    PortalStatus
);

/// What is known of a portal's object on its Tyk. `id` is Tyk Operator's, which an APIDescription has none of; the rest
/// are additions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PortalStatus {
    /// Id of the object on Tyk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Ids of documentation that was uploaded for a catalogue, by the hash of its content.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub documentation: BTreeMap<String, String>,
    /// Outcome of the last exchange with Tyk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_transaction: Option<Transaction>,
    /// `metadata.generation` that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`, `Synced` and `Ready`, one entry for each type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_survive_a_round_trip_and_no_value_is_printed() {
        let object = json!({
            "apiVersion": "tyk.tyk.io/v1alpha1", "kind": "PortalConfig", "metadata": {"name": "a"},
            "spec": {"contextRef": {"name": "pro"}, "dcr_options": {"access_token": "hunter2"}, "next_year": 1},
            "status": {"id": "i", "latestTransaction": {"status": "Successful"}, "observedGeneration": 1},
        });
        let config: PortalConfig = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(serde_json::to_value(&config).unwrap(), object);
        let text = format!("{config:?}");
        assert!(text.contains("dcr_options") && !text.contains("hunter2"), "{text}");
    }
}
