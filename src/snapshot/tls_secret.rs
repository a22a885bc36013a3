//! A TLS Secret: only what serving needs, and nothing that prints it.

use std::fmt;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Serialize};

/// A Secret of type `kubernetes.io/tls`.
#[derive(Clone, Default, PartialEq, Resource, Serialize, Deserialize)]
#[resource(inherit = Secret)]
pub struct TlsSecret {
    /// Name and namespace.
    pub metadata: ObjectMeta,
    #[serde(default, skip_serializing)]
    data: Material<ByteString>,
    #[serde(default, rename = "stringData", skip_serializing)]
    string_data: Material<String>,
}

/// The keys that are read; what else a Secret holds is not kept.
#[derive(Clone, Default, PartialEq, Deserialize)]
struct Material<T> {
    #[serde(rename = "tls.crt")]
    certificate: Option<T>,
    #[serde(rename = "tls.key")]
    private_key: Option<T>,
}

impl TlsSecret {
    /// The certificate chain, PEM, of the key `tls.crt`.
    pub fn certificate(&self) -> &[u8] {
        either(&self.string_data.certificate, &self.data.certificate)
    }

    /// The private key, PEM, of the key `tls.key`. Never to be logged.
    pub fn private_key(&self) -> &[u8] {
        either(&self.string_data.private_key, &self.data.private_key)
    }
}

/// The API server writes `stringData` over `data`; only files have both.
fn either<'a>(plain: &'a Option<String>, encoded: &'a Option<ByteString>) -> &'a [u8] {
    let plain = plain.as_ref().map(String::as_bytes);
    plain
        .or(encoded.as_ref().map(|bytes| bytes.0.as_slice()))
        .unwrap_or_default()
}

impl fmt::Debug for TlsSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSecret")
            .field("name", &self.metadata.name)
            .finish_non_exhaustive()
    }
}
