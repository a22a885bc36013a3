//! `ApiDefinition`: a classic Tyk API definition as a Kubernetes object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DefinitionSpec, Target, names, resource::custom_resource};
use crate::packed::Packed;

custom_resource!(
    /// A classic Tyk API definition as a Kubernetes object. Its status has the fields of [`ApiDefinitionStatus`]; there are
    /// many of these objects, and it is read only to see whether it has to be another one.
    ApiDefinition,
    "apidefinitions",
    ApiDefinitionSpec,
    Packed
);

impl ApiDefinition {
    /// Whether it is a template of Ingresses, which is never published itself.
    pub fn is_template(&self) -> bool {
        self.labels()
            .get(names::LABEL_TEMPLATE)
            .is_some_and(|value| value == names::LABEL_TRUE)
    }

    /// Whether it is to be taken off its Tyk while the object stays.
    pub fn is_inactive(&self) -> bool {
        self.spec.definition.get("active") == Some(Value::Bool(false))
    }

    /// Id of its API on Tyk: `spec.api_id`, else made from its name.
    pub fn api_id(&self) -> String {
        match self.spec.definition.get("api_id") {
            Some(Value::String(id)) if !id.is_empty() => id,
            _ => names::api_id(&self.namespace().unwrap_or_default(), &self.name_any()),
        }
    }
}

/// The API definition: `name`, `api_id`, `proxy`, `certificate_secret_names` and so on.
pub type ApiDefinitionSpec = DefinitionSpec;

/// What is known of an API on its Tyk. Field names are Tyk Operator's; `observedGeneration` and `conditions` are additions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ApiDefinitionStatus {
    /// Id of the API on Tyk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_id: Option<String>,
    /// Organisation that owns the API on Tyk.
    #[serde(rename = "orgId", default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    /// Whether the object is a template of Ingresses and therefore not sent to Tyk.
    #[serde(rename = "ingressTemplate", default, skip_serializing_if = "Option::is_none")]
    pub ingress_template: Option<bool>,
    /// Hash of the spec that was last confirmed.
    #[serde(rename = "latestCRDSpecHash", default, skip_serializing_if = "Option::is_none")]
    pub latest_crd_spec_hash: Option<String>,
    /// Hash of the definition that Tyk last answered with.
    #[serde(rename = "latestTykSpecHash", default, skip_serializing_if = "Option::is_none")]
    pub latest_tyk_spec_hash: Option<String>,
    /// Outcome of the last exchange with Tyk.
    #[serde(rename = "latestTransaction", default, skip_serializing_if = "Option::is_none")]
    pub latest_transaction: Option<Transaction>,
    /// ApiDefinitions that route to this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked_by_apis: Vec<Target>,
    /// SecurityPolicies that give access to this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked_by_policies: Vec<Target>,
    /// ApiDefinitions that this one routes to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked_to_apis: Vec<Target>,
    /// SubGraph, of the same namespace, that this API serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked_to_subgraph: Option<String>,
    /// `metadata.generation` that this status speaks of.
    #[serde(rename = "observedGeneration", default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`, `Synced` and `Ready`, one entry for each type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Outcome of an exchange with Tyk, in the form that Tyk Operator reports it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transaction {
    /// `Successful` or `Failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// When the exchange ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// Why the exchange failed; absent after a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kube::{Resource, ResourceExt};
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_survive_a_round_trip() {
        let object = json!({
            "apiVersion": "tyk.tyk.io/v1alpha1",
            "kind": "ApiDefinition",
            "metadata": {"name": "httpbin", "namespace": "default"},
            "spec": {
                "contextRef": {"name": "pro"},
                "name": "httpbin",
                "proxy": {"listen_path": "/", "target_url": "http://httpbin", "made_up": [1, 2.5, null]},
                "field_of_next_year": {"a": {"b": true}},
            },
            "status": {
                "api_id": "ZGVm", "orgId": "org", "ingressTemplate": false, "latestCRDSpecHash": "1", "latestTykSpecHash": "2",
                "latestTransaction": {"status": "Successful", "time": "2024-05-06T07:08:09Z"},
                "linked_by_apis": [{"name": "a", "namespace": "b"}], "linked_by_policies": [{"name": "a"}],
                "linked_to_apis": [{"name": "c"}], "linked_to_subgraph": "s", "observedGeneration": 3,
                "conditions": [{
                    "type": "Ready", "status": "True", "reason": "Loaded", "message": "",
                    "lastTransitionTime": "2024-05-06T07:08:09Z", "observedGeneration": 3,
                }],
            },
        });
        let api: ApiDefinition = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(
            api.spec.context_ref,
            Some(Target {
                name: "pro".into(),
                namespace: None
            })
        );
        assert!(!api.spec.definition.contains_key("contextRef"));
        assert_eq!(serde_json::to_value(&api).unwrap(), object);
    }

    #[test]
    fn an_object_without_a_spec_can_be_decoded() {
        let object = json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "ApiDefinition", "metadata": {"name": "a"}});
        let api: ApiDefinition = serde_json::from_value(object).unwrap();
        assert_eq!(api, ApiDefinition::new("a", ApiDefinitionSpec::default()));
    }

    #[test]
    fn the_resource_has_the_names_of_tyk_operator() {
        assert_eq!(ApiDefinition::api_version(&()), "tyk.tyk.io/v1alpha1");
        assert_eq!(ApiDefinition::kind(&()), "ApiDefinition");
        assert_eq!(ApiDefinition::plural(&()), "apidefinitions");
    }

    #[test]
    fn debug_output_names_fields_and_holds_no_values() {
        let spec: ApiDefinitionSpec = serde_json::from_value(
            json!({"name": "n", "jwt_source": "c2VjcmV0", "auth_configs": {"secret": "hunter2"}}),
        )
        .unwrap();
        let mut api = ApiDefinition::new("n", spec);
        // Where kubectl keeps the whole object a second time.
        api.annotations_mut().insert("last-applied".into(), "hunter2".into());
        let text = format!("{api:?}");
        assert!(text.contains("jwt_source"), "{text}");
        assert!(!text.contains("c2VjcmV0") && !text.contains("hunter2"), "{text}");
    }
}
