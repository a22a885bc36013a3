//! `TykOasApiDefinition`: an OpenAPI document with Tyk's extension as a Kubernetes object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use super::oas_spec::TykOasApiDefinitionSpec;
use super::{DocumentSource, HasDocument, Target, Transaction, names, resource::custom_resource};

custom_resource!(
    /// An OpenAPI document with Tyk's extension as a Kubernetes object.
    TykOasApiDefinition,
    "tykoasapidefinitions",
    TykOasApiDefinitionSpec,
    TykOasApiDefinitionStatus
);

impl TykOasApiDefinition {
    /// Whether it is a template of Ingresses, which is never published itself.
    pub fn is_template(&self) -> bool {
        self.labels()
            .get(names::LABEL_INGRESS_TEMPLATE)
            .is_some_and(|value| value == names::LABEL_TRUE)
    }
}

impl HasDocument for TykOasApiDefinition {
    const SOURCE_FIELD: &'static str = "spec.tykOAS";

    fn source(&self) -> &DocumentSource {
        &self.spec.tyk_oas
    }

    fn context_ref(&self) -> Option<&Target> {
        self.spec.context_ref.as_ref()
    }

    fn confirmed_id(&self) -> Option<&str> {
        self.status.as_ref()?.id.as_deref().filter(|id| !id.is_empty())
    }
}

/// What is known of an API on its Tyk. Field names are Tyk Operator's; `observedGeneration` and `conditions` are
/// additions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TykOasApiDefinitionStatus {
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
    /// URL of its upstream.
    #[serde(rename = "targetURL", skip_serializing_if = "Option::is_none")]
    pub target_url: Option<String>,
    /// Domain under which it is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<DomainStatus>,
    /// Ids of the pinned public keys by domain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificate_pinning: Vec<PinnedStatus>,
    /// Whether the object is a template of Ingresses and therefore not sent to Tyk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress_template: Option<bool>,
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
    /// Its place among versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versioning_status: Option<VersioningStatus>,
    /// `metadata.generation` that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`, `Synced` and `Ready`, one entry for each type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Domain of an API, as it stands on Tyk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DomainStatus {
    /// Whether only this domain is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Ids on Tyk of its certificates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
}

/// Pinned public keys of one domain, as they stand on Tyk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PinnedStatus {
    /// The domain.
    pub domain: String,
    /// Ids on Tyk of the keys.
    pub public_keys: Vec<String>,
}

/// Place of an API among the versions of another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VersioningStatus {
    /// Whether the API has versions or is one.
    #[serde(rename = "isVersionedAPI", skip_serializing_if = "Option::is_none")]
    pub is_versioned_api: Option<bool>,
    /// Whether it answers requests that name no version.
    #[serde(rename = "isDefaultVersion", skip_serializing_if = "Option::is_none")]
    pub is_default_version: Option<bool>,
    /// The API that it is a version of.
    #[serde(rename = "baseAPIVersionContextRef", skip_serializing_if = "Option::is_none")]
    pub base: Option<Target>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_of_tyk_operator_survives_a_round_trip() {
        let object = json!({
            "apiVersion": "tyk.tyk.io/v1alpha1", "kind": "TykOasApiDefinition", "metadata": {"name": "pets"},
            "spec": {
                "tykOAS": {"configmapRef": {"name": "c", "keyName": "oas.json", "namespace": "other"}},
                "contextRef": {"name": "east"}, "categories": ["pets"],
                "customDomain": {"enabled": true, "name": "a.com", "certificates": ["id"], "certificatesRef": ["tls"]},
                "clientCertificate": {"enabled": true, "allowlist": ["client"]},
                "certificatePinning": {"enabled": true, "domainToPublicKeysMapping": [
                    {"domain": "*", "publicKeys": ["id"], "publicKeyRefs": ["key"]}]},
                "mutualTLS": {"enabled": true, "domainToCertificateMapping": [
                    {"domain": "*", "certificateID": "id", "certificateRef": "cert"}]},
                "upstreamRequestSigning": {"algorithm": "hmac-sha256", "keyId": "k", "certificateRef": "c",
                    "secretRef": {"name": "s", "keyName": "k", "namespace": "n"}},
                "jwtAuth": {"defaultPoliciesRef": [{"name": "p", "namespace": "n"}], "scopes": {"claimName": "scope",
                    "scopeToPolicyMapping": [{"scope": "read", "policyRef": {"name": "p"}}]}},
                "versioning": {"enabled": true, "name": "v1", "default": "v1", "location": "header", "key": "x-version",
                    "fallbackToDefault": true, "stripVersioningData": true, "urlVersioningPattern": "v.*",
                    "versions": [{"name": "v2", "tykOasApiDefinitionRef": {"name": "pets-v2"}}]},
            },
            "status": {"id": "1", "enabled": true, "listenPath": "/", "targetURL": "http://a", "observedGeneration": 3,
                "latestCRDSpecHash": "1", "latestConfigMapHash": "2", "latestTykSpecHash": "3",
                "domain": {"enabled": true, "name": "a.com", "certificates": ["id"]},
                "certificatePinning": [{"domain": "*", "publicKeys": ["id"]}],
                "versioningStatus": {"isVersionedAPI": true, "baseAPIVersionContextRef": {"name": "a"}}},
        });
        let typed: TykOasApiDefinition = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(serde_json::to_value(&typed).unwrap(), object);
    }

    #[test]
    fn an_inline_document_keeps_every_field_and_is_not_printed() {
        let spec = json!({"tykOAS": {"document": {"openapi": "3.0.3", "x-mine": {"secret": "hunter2"}}}});
        let typed: TykOasApiDefinitionSpec = serde_json::from_value(spec.clone()).unwrap();
        assert_eq!(serde_json::to_value(&typed).unwrap(), spec);
        let text = format!("{:?}", TykOasApiDefinition::new("a", typed));
        assert!(text.contains("openapi") && !text.contains("hunter2"), "{text}");
    }
}
