//! `APIDescription`, `PortalAPICatalogue` and `PortalConfig`: the developer portal of a Tyk Dashboard.

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
