//! `SubGraph` and `SuperGraph`: parts of a federated GraphQL API and the whole.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::{Deserialize, Serialize};

use super::{Target, resource::custom_resource};

custom_resource!(
    /// The schema of one service of a federated GraphQL API. An ApiDefinition serves it by `graphql.graph_ref`.
    SubGraph,
    "subgraphs",
    SubGraphSpec,
    SubGraphStatus
);

custom_resource!(
    /// SubGraphs merged into one GraphQL API. An ApiDefinition serves it by `graphql.graph_ref`.
    SuperGraph,
    "supergraphs",
    SuperGraphSpec,
    SuperGraphStatus
);

/// The schema of a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubGraphSpec {
    /// The schema as clients see it.
    pub schema: String,
    /// The schema as the service declares it, with its federation directives.
    pub sdl: String,
}

/// Which SubGraphs are merged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SuperGraphSpec {
    /// The SubGraphs, of the same namespace unless they name one.
    pub subgraph_refs: Vec<Target>,
    /// The merged schema, when it is not to be made from the SubGraphs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_sdl: Option<String>,
    /// The merged schema as clients see it, when it is not to be made from the SubGraphs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

/// Who serves a SubGraph. `linked_by_api` is Tyk Operator's; `observedGeneration` and `conditions` are additions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubGraphStatus {
    /// Name of the ApiDefinition, of the same namespace, that serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linked_by_api: Option<String>,
    /// `metadata.generation` that this status speaks of.
    #[serde(rename = "observedGeneration", skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`, `Synced` and `Ready`, one entry for each type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// What came of the merge. Tyk Operator's status is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SuperGraphStatus {
    /// `metadata.generation` that this status speaks of.
    #[serde(rename = "observedGeneration", skip_serializing_if = "Option::is_none")]
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
    fn every_field_survives_a_round_trip() {
        let graph = json!({
            "apiVersion": "tyk.tyk.io/v1alpha1", "kind": "SubGraph", "metadata": {"name": "a"},
            "spec": {"schema": "s", "sdl": "d"}, "status": {"linked_by_api": "b", "observedGeneration": 1},
        });
        let read: SubGraph = serde_json::from_value(graph.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), graph);
        let graph = json!({
            "apiVersion": "tyk.tyk.io/v1alpha1", "kind": "SuperGraph", "metadata": {"name": "a"},
            "spec": {"subgraph_refs": [{"name": "b", "namespace": "c"}], "merged_sdl": "m", "schema": "s"},
            "status": {"observedGeneration": 1},
        });
        let read: SuperGraph = serde_json::from_value(graph.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), graph);
    }
}
