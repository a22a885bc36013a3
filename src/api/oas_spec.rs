//! Spec of a `TykOasApiDefinition`: where the document is, and what of it Kubernetes knows better.

use serde::{Deserialize, Serialize};

use super::{DocumentSource, Target};

/// The document, and settings that win over it. References are to objects of the same namespace unless they name one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TykOasApiDefinitionSpec {
    /// The `OperatorContext` that names the Tyk to configure; the controller's own Tyk when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_ref: Option<Target>,
    /// Where the document is.
    #[serde(rename = "tykOAS")]
    pub tyk_oas: DocumentSource,
    /// Labels of the dashboard's list of APIs; a gateway has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Domain under which the API is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_domain: Option<CustomDomain>,
    /// Certificates that clients have to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    /// Public keys that upstreams have to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_pinning: Option<CertificatePinning>,
    /// Certificates that are shown to upstreams.
    #[serde(rename = "mutualTLS", skip_serializing_if = "Option::is_none")]
    pub mutual_tls: Option<MutualTls>,
    /// Signature of requests to the upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_request_signing: Option<UpstreamRequestSigning>,
    /// Policies of JSON Web Tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt_auth: Option<JwtAuth>,
    /// Versions of the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versioning: Option<Versioning>,
}

/// One key of a ConfigMap or Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRef {
    /// Name of the object.
    pub name: String,
    /// The key in its data.
    pub key_name: String,
    /// Namespace of the object; that of the referrer when absent or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl KeyRef {
    /// The namespace that is meant when the reference stands in an object of namespace `own`.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        self.namespace
            .as_deref()
            .filter(|namespace| !namespace.is_empty())
            .unwrap_or(own)
    }
}

/// Domain of an API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CustomDomain {
    /// Whether only this domain is served.
    pub enabled: bool,
    /// The domain.
    pub name: String,
    /// Ids on Tyk of its certificates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
    /// TLS Secrets with its certificates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates_ref: Vec<String>,
}

/// Certificates of clients.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientCertificate {
    /// Whether clients have to show one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// TLS Secrets with the certificates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowlist: Vec<String>,
}

/// Public keys of upstreams.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificatePinning {
    /// Whether upstreams have to show them.
    pub enabled: bool,
    /// The keys by domain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub domain_to_public_keys_mapping: Vec<PinnedKeys>,
}

/// Public keys of one domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PinnedKeys {
    /// Domain of the upstream, `*` for every one.
    pub domain: String,
    /// Ids on Tyk of the keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub public_keys: Vec<String>,
    /// TLS Secrets that hold the key as `tls.crt`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub public_key_refs: Vec<String>,
}

/// Certificates that are shown to upstreams.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MutualTls {
    /// Whether they are shown.
    pub enabled: bool,
    /// The certificates by domain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub domain_to_certificate_mapping: Vec<DomainCertificate>,
}

/// Certificate for one domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DomainCertificate {
    /// Domain of the upstream, `*` for every one.
    pub domain: String,
    /// Id on Tyk of the certificate.
    #[serde(rename = "certificateID", skip_serializing_if = "Option::is_none")]
    pub certificate_id: Option<String>,
    /// TLS Secret with the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_ref: Option<String>,
}

/// Signature of requests to the upstream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpstreamRequestSigning {
    /// `rsa-sha256` with a certificate, one of `hmac-…` with a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// Id of the key; needed by an `hmac-…` algorithm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// TLS Secret with the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_ref: Option<String>,
    /// Key of a Secret that holds the shared secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<KeyRef>,
}

/// Policies of JSON Web Tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JwtAuth {
    /// SecurityPolicies of tokens that name none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub default_policies_ref: Vec<Target>,
    /// SecurityPolicies by scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Scopes>,
}

/// SecurityPolicies by scope.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scopes {
    /// Claim that holds the scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_name: Option<String>,
    /// The policy of each scope.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scope_to_policy_mapping: Vec<ScopePolicy>,
}

/// The SecurityPolicy of one scope.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScopePolicy {
    /// The scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Its policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_ref: Option<Target>,
}

/// Versions of an API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Versioning {
    /// Whether requests are told apart by version.
    pub enabled: bool,
    /// Name of the version that this API is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version of requests that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Where a request names its version: `header`, `url-param` or `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Name of the header or parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether an unknown version gets the default one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_to_default: Option<bool>,
    /// Whether the upstream does not see the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strip_versioning_data: Option<bool>,
    /// What a version in a URL looks like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_versioning_pattern: Option<String>,
    /// The other versions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<Version>,
}

/// Another version of an API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Version {
    /// Name of the version.
    pub name: String,
    /// The TykOasApiDefinition that is this version.
    pub tyk_oas_api_definition_ref: Target,
}
