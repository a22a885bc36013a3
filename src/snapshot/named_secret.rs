//! A Secret that an object names: only its data, and nothing that prints it.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A Secret of any type that an object names. It cannot be serialised.
#[derive(Clone, Default, PartialEq, Resource, Deserialize)]
#[resource(inherit = Secret)]
pub struct NamedSecret {
    /// Name and namespace.
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "encoded")]
    data: Data,
    #[serde(default, rename = "stringData", deserialize_with = "plain")]
    string_data: Data,
}

/// Values by key; `None` for one that cannot be read.
///
/// Manifests of a folder often hold Secrets that a tool decrypts on the way to the cluster. They are no reason to refuse
/// the folder, as long as nothing names them.
type Data = BTreeMap<String, Option<Vec<u8>>>;

impl NamedSecret {
    /// The text under `key`, without white space at its ends; `None` when there is none, or no text. Never to be logged.
    pub fn text(&self, key: &str) -> Option<&str> {
        let value = self.value(key)?.as_deref()?;
        std::str::from_utf8(value).ok().map(str::trim)
    }

    /// Whether there is a value under `key`, whatever it is.
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Whether both hold the same values.
    pub fn same_data(&self, other: &Self) -> bool {
        self.data == other.data && self.string_data == other.string_data
    }

    /// The API server writes `stringData` over `data`; only files have both.
    fn value(&self, key: &str) -> Option<&Option<Vec<u8>>> {
        self.string_data.get(key).or_else(|| self.data.get(key))
    }
}

fn encoded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Data, D::Error> {
    let bytes = |value| serde_json::from_value::<ByteString>(value).ok().map(|bytes| bytes.0);
    values(deserializer, bytes)
}

fn plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Data, D::Error> {
    values(deserializer, |value| match value {
        Value::String(text) => Some(text.into_bytes()),
        _ => None,
    })
}

fn values<'de, D: Deserializer<'de>>(deserializer: D, read: fn(Value) -> Option<Vec<u8>>) -> Result<Data, D::Error> {
    let values = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(values.into_iter().map(|(key, value)| (key, read(value))).collect())
}

impl fmt::Debug for NamedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedSecret")
            .field("name", &self.metadata.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn secret(object: Value) -> NamedSecret {
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn plain_text_wins_over_encoded_and_is_trimmed() {
        let found = secret(json!({
            "metadata": {"name": "conf"},
            "type": "Opaque",
            "data": {"a": "aHVudGVyMgo=", "b": "aHVudGVyMg==", "binary": "/w=="},
            "stringData": {"b": " other\n"},
        }));
        assert_eq!(found.text("a"), Some("hunter2"));
        assert_eq!(found.text("b"), Some("other"));
        assert_eq!((found.text("c"), found.has("c")), (None, false));
        assert_eq!((found.text("binary"), found.has("binary")), (None, true));
        assert_eq!(format!("{found:?}"), "NamedSecret { name: Some(\"conf\"), .. }");
    }

    #[test]
    fn values_that_cannot_be_read_cost_only_themselves() {
        let found = secret(json!({
            "metadata": {"name": "conf"},
            "data": {"sealed": "ENC[AES256_GCM,data:x]", "a": "YQ=="},
            "stringData": {"number": 8080},
        }));
        assert_eq!((found.text("sealed"), found.has("sealed")), (None, true));
        assert_eq!((found.text("number"), found.has("number")), (None, true));
        assert_eq!(found.text("a"), Some("a"));
        assert!(secret(json!({"metadata": {}, "data": null})).same_data(&NamedSecret::default()));
    }
}
