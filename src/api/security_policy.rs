//! `SecurityPolicy`: which APIs a key may use, and how often.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DefinitionSpec, Transaction, names, resource::custom_resource};

custom_resource!(
    /// A policy of Tyk's as a Kubernetes object: which APIs a key may use, and how often.
    SecurityPolicy,
    "securitypolicies",
    DefinitionSpec,
    SecurityPolicyStatus
);

impl SecurityPolicy {
    /// Id of the policy on Tyk: `spec.id`, else made from its name.
    pub fn policy_id(&self) -> String {
        match self.spec.definition.get("id") {
            Some(Value::String(id)) if !id.is_empty() => id,
            _ => names::api_id(&self.namespace().unwrap_or_default(), &self.name_any()),
        }
    }
}

/// What is known of a policy on its Tyk. Field names are Tyk Operator's; `latestTransaction`, `observedGeneration` and
/// `conditions` are additions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityPolicyStatus {
    /// Id of the policy on Tyk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pol_id: Option<String>,
    /// Hash of the spec that was last confirmed.
    #[serde(rename = "latestCRDSpecHash", skip_serializing_if = "Option::is_none")]
    pub latest_crd_spec_hash: Option<String>,
    /// Hash of the policy that Tyk last answered with.
    #[serde(rename = "latestTykSpecHash", skip_serializing_if = "Option::is_none")]
    pub latest_tyk_spec_hash: Option<String>,
    /// Outcome of the last exchange with Tyk.
    #[serde(rename = "latestTransaction", skip_serializing_if = "Option::is_none")]
    pub latest_transaction: Option<Transaction>,
    /// Definitions that the policy gives access to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub linked_apis: Vec<LinkedApi>,
    /// `metadata.generation` that this status speaks of.
    #[serde(rename = "observedGeneration", skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`, `Synced` and `Ready`, one entry for each type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A definition that a policy gives access to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkedApi {
    /// Its kind; `ApiDefinition` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its name.
    pub name: String,
    /// Its namespace; that of the policy when absent or empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_survives_a_round_trip_and_no_value_is_printed() {
        let object = json!({
            "apiVersion": "tyk.tyk.io/v1alpha1",
            "kind": "SecurityPolicy",
            "metadata": {"name": "gold", "namespace": "default"},
            "spec": {"contextRef": {"name": "pro"}, "name": "gold", "meta_data": {"token": "hunter2"}, "next_year": [1]},
            "status": {
                "pol_id": "p", "latestCRDSpecHash": "1", "latestTykSpecHash": "2",
                "latestTransaction": {"status": "Successful", "time": "2024-05-06T07:08:09Z"},
                "linked_apis": [{"kind": "TykOasApiDefinition", "name": "a", "namespace": "b"}, {"name": "c"}],
                "observedGeneration": 3,
            },
        });
        let policy: SecurityPolicy = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(serde_json::to_value(&policy).unwrap(), object);
        let text = format!("{policy:?}");
        assert!(text.contains("meta_data") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn the_id_is_the_written_one_or_made_from_the_name() {
        let id = |spec: Value| {
            let metadata = json!({"name": "gold", "namespace": "default"});
            let policy: SecurityPolicy = serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap();
            policy.policy_id()
        };
        assert_eq!(id(json!({"id": "mine"})), "mine");
        for absent in [json!({}), json!({"id": ""}), json!({"id": null}), json!({"id": 7})] {
            assert_eq!(id(absent), "ZGVmYXVsdC9nb2xk");
        }
    }
}
