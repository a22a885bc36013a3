//! Where the document of an OpenAPI, streams or MCP API is.

use std::fmt;

use kube::ResourceExt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Target;

/// A kind whose API is a document.
pub trait HasDocument: ResourceExt {
    /// Path of [`HasDocument::source`] in the object, for diagnostics.
    const SOURCE_FIELD: &'static str;

    /// Where the document is.
    fn source(&self) -> &DocumentSource;

    /// The `OperatorContext` that it names.
    fn context_ref(&self) -> Option<&Target>;

    /// Id under which Tyk confirmed its API last.
    fn confirmed_id(&self) -> Option<&str>;
}

/// In ConfigMaps or, beyond Tyk Operator, in the object itself, which has no limit of its own but that of every object
/// and shows in one diff.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DocumentSource {
    /// Keys of a ConfigMap that hold the document as JSON or YAML.
    #[serde(rename = "configmapRef", skip_serializing_if = "Option::is_none")]
    pub configmap_ref: Option<DocumentRef>,
    /// The document itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<Map<String, Value>>,
}

/// Names the fields of the document and leaves the values out: a document can hold header tokens and keys.
impl fmt::Debug for DocumentSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let document = self.document.as_ref();
        f.debug_struct("DocumentSource")
            .field("configmap_ref", &self.configmap_ref)
            .field(
                "document",
                &document.map(|document| document.keys().collect::<Vec<_>>()),
            )
            .finish()
    }
}

/// Keys of one ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DocumentRef {
    /// Name of the ConfigMap.
    pub name: String,
    /// The key that holds the whole document.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key_name: String,
    /// In its place, keys that hold the document in parts, which are put together in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_names: Vec<String>,
    /// Namespace of the ConfigMap; that of the referrer when absent or empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl DocumentRef {
    /// The keys to put together.
    pub fn keys(&self) -> &[String] {
        match self.key_names.as_slice() {
            [] => std::slice::from_ref(&self.key_name),
            parts => parts,
        }
    }

    /// The namespace that is meant when the reference stands in an object of namespace `own`.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        self.namespace
            .as_deref()
            .filter(|namespace| !namespace.is_empty())
            .unwrap_or(own)
    }
}
