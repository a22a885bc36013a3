//! A TLS Secret: only what serving needs, and nothing that prints it.

use std::collections::BTreeMap;
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
    data: BTreeMap<String, ByteString>,
    #[serde(default, rename = "stringData", skip_serializing)]
    string_data: BTreeMap<String, String>,
}

impl TlsSecret {
    /// The certificate chain, PEM, of the key `tls.crt`.
    pub fn certificate(&self) -> &[u8] {
        self.value("tls.crt")
    }

    /// The private key, PEM, of the key `tls.key`. Never to be logged.
    pub fn private_key(&self) -> &[u8] {
        self.value("tls.key")
    }

    fn value(&self, key: &str) -> &[u8] {
        let plain = self.string_data.get(key).map(String::as_bytes);
        plain
            .or_else(|| self.data.get(key).map(|bytes| bytes.0.as_slice()))
            .unwrap_or_default()
    }
}

impl fmt::Debug for TlsSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSecret")
            .field("name", &self.metadata.name)
            .finish_non_exhaustive()
    }
}
