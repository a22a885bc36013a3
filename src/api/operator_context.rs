//! `OperatorContext`: which Tyk to configure, and with which credentials.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::core::{Selector, SelectorExt};
use serde::{Deserialize, Serialize};

use super::{Target, resource::custom_resource};

custom_resource!(
    /// A Tyk to configure, which other resources choose with `contextRef`.
    OperatorContext,
    "operatorcontexts",
    OperatorContextSpec,
    OperatorContextStatus
);

/// A Tyk and the way to reach it. Values of the Secret win over `env`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OperatorContextSpec {
    /// Connection settings in plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<OperatorContextEnv>,
    /// Secret with the same settings under their `TYK_*` names.
    #[serde(rename = "secretRef", default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<Target>,
    /// Namespaces whose objects may choose this context; every one when absent, as with Tyk Operator. Its own always may.
    #[serde(rename = "allowedNamespaces", default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<AllowedNamespaces>,
}

/// Which namespaces may use a context: those that are named, and those whose labels match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AllowedNamespaces {
    /// Names of namespaces; `*` is every one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Labels of namespaces. An empty selector matches every namespace, as everywhere in Kubernetes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

impl AllowedNamespaces {
    /// Whether a namespace with these labels is among them. A selector that makes no sense, or labels that are not
    /// known because namespaces are not watched, match nothing.
    pub fn contains(&self, namespace: &str, labels: Option<&BTreeMap<String, String>>) -> bool {
        let named = self.names.iter().any(|name| name == "*" || name == namespace);
        let matches = || {
            let selector = Selector::try_from(self.selector.clone()?).ok()?;
            Some(selector.matches(labels?))
        };
        named || matches().unwrap_or_default()
    }
}

/// Connection settings of one Tyk. An absent value is taken from the controller's own settings.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OperatorContextEnv {
    /// Which control API is spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Base URL of the gateway (`ce`) or dashboard (`pro`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Control API secret of the gateway, or key of a dashboard user. A Secret is the better place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// Organisation that owns what is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// Accept any certificate of the control API; false when absent.
    #[serde(rename = "insecureSkipVerify", default, skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,
    /// Certificates, in PEM, of the authorities that may sign for the control API, besides the well-known ones. The key
    /// of the Secret is `TYK_TLS_CA_BUNDLE`.
    #[serde(rename = "caBundle", default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
    /// Service whose endpoints are the gateways, as `NAMESPACE/NAME:PORT`; without it every address of the URL's host is
    /// one. The port is a name or number of its EndpointSlices.
    #[serde(rename = "gatewayService", default, skip_serializing_if = "Option::is_none")]
    pub gateway_service: Option<String>,
    /// Ports of APIs that are made from Ingresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressPorts>,
    /// Dashboard users that own what is created.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user_owners: Vec<String>,
    /// Dashboard user groups that own what is created.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user_group_owners: Vec<String>,
}

/// Shows that `auth` and `caBundle` are set, never their values: a private key may have slipped into the second.
impl fmt::Debug for OperatorContextEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperatorContextEnv")
            .field("mode", &self.mode)
            .field("url", &self.url)
            .field("auth", &self.auth.as_ref().map(|_| "[redacted]"))
            .field("org", &self.org)
            .field("insecure_skip_verify", &self.insecure_skip_verify)
            .field("ca_bundle", &self.ca_bundle.as_ref().map(|_| "[set]"))
            .field("gateway_service", &self.gateway_service)
            .field("ingress", &self.ingress)
            .field("user_owners", &self.user_owners)
            .field("user_group_owners", &self.user_group_owners)
            .finish()
    }
}

/// The control API of a Tyk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Open source gateway, through its own control API.
    #[default]
    Ce,
    /// Self-managed Tyk, through the dashboard.
    Pro,
}

/// Ports on which the gateway serves APIs that are made from Ingresses.
///
/// Not `u16`: one object with a port out of range must not fail the decoding of the whole list it is watched in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngressPorts {
    /// Port for plain HTTP; the gateway's own port when absent or 0.
    #[serde(rename = "httpPort", default, skip_serializing_if = "Option::is_none")]
    pub http_port: Option<i64>,
    /// Port for HTTPS; 8443 when absent or 0.
    #[serde(rename = "httpsPort", default, skip_serializing_if = "Option::is_none")]
    pub https_port: Option<i64>,
}

/// Who uses a context. Field names are Tyk Operator's; `observedGeneration` and `conditions` are additions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OperatorContextStatus {
    /// ApiDefinitions that use the context.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked_api_definitions: Vec<Target>,
    /// APIDescriptions that use the context.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked_api_descriptions: Vec<Target>,
    /// PortalAPICatalogues that use the context.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked_portal_catalogues: Vec<Target>,
    /// PortalConfigs that use the context.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked_portal_configs: Vec<Target>,
    /// SecurityPolicies that use the context.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked_security_policies: Vec<Target>,
    /// TykMcpProxyDefinitions that use the context.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked_tyk_mcp_proxy_definition: Vec<Target>,
    /// TykOasApiDefinitions that use the context.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked_tyk_oas_api_definition: Vec<Target>,
    /// TykStreamsApiDefinitions that use the context.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked_tyk_streams_api_definition: Vec<Target>,
    /// `metadata.generation` that this status speaks of.
    #[serde(rename = "observedGeneration", default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`, `Synced` and `Ready`, one entry for each type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kube::Resource;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_survives_a_round_trip() {
        let links = json!([{"name": "a", "namespace": "b"}]);
        let object = json!({
            "apiVersion": "tyk.tyk.io/v1alpha1",
            "kind": "OperatorContext",
            "metadata": {"name": "prod", "namespace": "tyk"},
            "spec": {
                "env": {
                    "mode": "pro", "url": "https://tyk", "auth": "hunter2", "org": "o", "insecureSkipVerify": true,
                    "caBundle": "hunter2",
                    "ingress": {"httpPort": 80, "httpsPort": 443}, "user_owners": ["u"], "user_group_owners": ["g"],
                },
                "secretRef": {"name": "conf", "namespace": "tyk"},
                "allowedNamespaces": {"names": ["a"], "selector": {"matchLabels": {"tyk": "yes"}}},
            },
            "status": {
                "linked_api_definitions": links, "linked_api_descriptions": links, "linked_portal_catalogues": links,
                "linked_portal_configs": links, "linked_security_policies": links, "linked_tyk_mcp_proxy_definition": links,
                "linked_tyk_oas_api_definition": links, "linked_tyk_streams_api_definition": links, "observedGeneration": 1,
            },
        });
        let context: OperatorContext = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(serde_json::to_value(&context).unwrap(), object);
        assert_eq!(OperatorContext::plural(&()), "operatorcontexts");
        let text = format!("{context:?}");
        assert!(!text.contains("hunter2") && text.contains("[redacted]"), "{text}");
    }

    #[test]
    fn namespaces_are_allowed_by_name_and_by_label() {
        let allows = |allowed: serde_json::Value, labels: Option<&[(&str, &str)]>| {
            let allowed: AllowedNamespaces = serde_json::from_value(allowed).unwrap();
            let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            let labels = labels.map(|labels| labels.iter().map(owned).collect());
            allowed.contains("a", labels.as_ref())
        };
        let selector = json!({"selector": {"matchLabels": {"tyk": "yes"}}});
        assert!(allows(json!({"names": ["a"]}), None));
        assert!(allows(json!({"names": ["*"]}), None));
        assert!(!allows(json!({"names": ["b"]}), None));
        assert!(!allows(json!({}), Some(&[])));
        assert!(allows(selector.clone(), Some(&[("tyk", "yes")])));
        assert!(!allows(selector.clone(), Some(&[("tyk", "no")])));
        assert!(!allows(selector, None));
        assert!(allows(json!({"selector": {}}), Some(&[])));
        let odd = json!({"selector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}});
        assert!(!allows(odd, Some(&[])));
    }
}
