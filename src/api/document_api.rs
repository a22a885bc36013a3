//! `TykStreamsApiDefinition` and `TykMcpProxyDefinition`: documents of event streams and of MCP proxies.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::{Deserialize, Serialize};

use super::{DocumentSource, HasDocument, Target, Transaction, resource::custom_resource};

custom_resource!(
    /// A document of event streams with Tyk's extension as a Kubernetes object.
    TykStreamsApiDefinition,
    "tykstreamsapidefinitions",
    TykStreamsApiDefinitionSpec,
    DocumentApiStatus
);

custom_resource!(
    /// A document of an MCP proxy with Tyk's extension as a Kubernetes object.
    TykMcpProxyDefinition,
    "tykmcpproxydefinitions",
    TykMcpProxyDefinitionSpec,
    DocumentApiStatus
);

impl HasDocument for TykStreamsApiDefinition {
    const SOURCE_FIELD: &'static str = "spec.tykStreams";

    fn source(&self) -> &DocumentSource {
        &self.spec.tyk_streams
    }

    fn context_ref(&self) -> Option<&Target> {
        self.spec.context_ref.as_ref()
    }

    fn confirmed_id(&self) -> Option<&str> {
        self.status.as_ref()?.id.as_deref().filter(|id| !id.is_empty())
    }
}

impl HasDocument for TykMcpProxyDefinition {
    const SOURCE_FIELD: &'static str = "spec.tykMCP";

    fn source(&self) -> &DocumentSource {
        &self.spec.tyk_mcp
    }

    fn context_ref(&self) -> Option<&Target> {
        self.spec.context_ref.as_ref()
    }

    fn confirmed_id(&self) -> Option<&str> {
        self.status.as_ref()?.id.as_deref().filter(|id| !id.is_empty())
    }
}

/// The document of event streams.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TykStreamsApiDefinitionSpec {
    /// The `OperatorContext` that names the Tyk to configure; the controller's own Tyk when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_ref: Option<Target>,
    /// Where the document is.
    pub tyk_streams: DocumentSource,
}

/// The document of an MCP proxy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TykMcpProxyDefinitionSpec {
    /// The `OperatorContext` that names the Tyk to configure; the controller's own Tyk when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_ref: Option<Target>,
    /// Where the document is.
    #[serde(rename = "tykMCP")]
    pub tyk_mcp: DocumentSource,
}

/// What is known of an API on its Tyk. Field names are Tyk Operator's; `observedGeneration` and `conditions` are
/// additions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DocumentApiStatus {
    /// Id of the API on Tyk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name of the API on Tyk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether the API is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Path under which it is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_path: Option<String>,
    /// Domain under which it is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Hash of the spec that was last confirmed.
    #[serde(rename = "latestCRDSpecHash", skip_serializing_if = "Option::is_none")]
    pub latest_crd_spec_hash: Option<String>,
    /// Hash of the ConfigMap that was last confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_config_map_hash: Option<String>,
    /// Hash of the document that Tyk last answered with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_tyk_spec_hash: Option<String>,
    /// Outcome of the last exchange with Tyk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_transaction: Option<Transaction>,
    /// SecurityPolicies that give access to this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub linked_by_policies: Vec<Target>,
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
    fn every_field_survives_a_round_trip_and_no_value_is_printed() {
        let status = json!({
            "id": "i", "name": "n", "enabled": true, "listenPath": "/", "domain": "a.test", "latestCRDSpecHash": "1",
            "latestConfigMapHash": "2", "latestTykSpecHash": "3", "latestTransaction": {"status": "Failed", "error": "e"},
            "linkedByPolicies": [{"name": "p"}], "observedGeneration": 1,
        });
        let object = |kind: &str, field: &str, source: serde_json::Value| {
            json!({
                "apiVersion": "tyk.tyk.io/v1alpha1", "kind": kind, "metadata": {"name": "a"},
                "spec": {"contextRef": {"name": "pro", "namespace": "tyk"}, field: source}, "status": status,
            })
        };
        let source = json!({"configmapRef": {"name": "a", "keyNames": ["b", "c"], "namespace": "d"}});
        let written = object("TykStreamsApiDefinition", "tykStreams", source);
        let streams: TykStreamsApiDefinition = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&streams).unwrap(), written);
        assert_eq!(streams.source().configmap_ref.as_ref().unwrap().keys(), ["b", "c"]);
        let written = object(
            "TykMcpProxyDefinition",
            "tykMCP",
            json!({"document": {"key": "hunter2"}}),
        );
        let proxy: TykMcpProxyDefinition = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&proxy).unwrap(), written);
        let text = format!("{proxy:?}");
        assert!(text.contains("key") && !text.contains("hunter2"), "{text}");
    }
}
