//! The document of a definition: where it is, and reading it.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Map, Value};

use super::{NamespacedName, Snapshot};
use crate::api::{DocumentRef, HasDocument};
use crate::diagnostic::Code;

/// Tyk's part of a document.
pub const EXTENSION: &str = "x-tyk-api-gateway";

/// A finding: its code, the field, the message.
pub type Problem = (Code, String, String);

/// Whether an operation of Tyk's part of a document validates requests or answers by itself. The gateway finds those by
/// the literal listen path.
pub fn works_by_operation(extension: Option<&Value>) -> bool {
    let operations = extension.and_then(|extension| extension.pointer("/middleware/operations")?.as_object());
    let works = |operation: &Value, part: &str| operation[part]["enabled"] == true;
    operations
        .into_iter()
        .flat_map(Map::values)
        .any(|operation| works(operation, "validateRequest") || works(operation, "mockResponse"))
}

/// The document of a resource, as the user wrote it.
///
/// # Errors
/// The finding that says why there is none.
pub fn read<K: HasDocument>(snapshot: &Snapshot, resource: &K) -> Result<Map<String, Value>, Problem> {
    let source = resource.source();
    match (&source.configmap_ref, &source.document) {
        (Some(reference), _) => {
            let field = format!("{}.configmapRef", K::SOURCE_FIELD);
            in_config_map(snapshot, &resource.namespace().unwrap_or_default(), reference, field)
        }
        (None, Some(document)) => Ok(document.clone()),
        (None, None) => {
            let message = "neither `configmapRef` nor `document` is set".to_owned();
            Err((Code::DocumentNotFound, K::SOURCE_FIELD.into(), message))
        }
    }
}

fn in_config_map(
    snapshot: &Snapshot,
    own: &str,
    reference: &DocumentRef,
    field: String,
) -> Result<Map<String, Value>, Problem> {
    let name = NamespacedName::new(reference.namespace_or(own), &reference.name);
    let Some(config_map) = snapshot.config_maps.get(&name) else {
        let message = format!("ConfigMap {name} does not exist");
        return Err((Code::DocumentNotFound, field, message));
    };
    let parts = reference.keys().iter().map(|key| {
        part(config_map, key).ok_or_else(|| {
            let message = format!("ConfigMap {name} has no key {key:?}");
            let key_field = if reference.key_names.is_empty() {
                "keyName"
            } else {
                "keyNames"
            };
            (Code::DocumentNotFound, format!("{field}.{key_field}"), message)
        })
    });
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    parse(&parts.concat()).map_err(|error| {
        let message = match reference.keys() {
            [key] => format!("key {key:?} of ConfigMap {name} {error}"),
            keys => format!("what the keys {keys:?} of ConfigMap {name} hold together {error}"),
        };
        (Code::InvalidDocument, field, message)
    })
}

fn part<'a>(config_map: &'a ConfigMap, key: &str) -> Option<&'a [u8]> {
    let text = config_map.data.as_ref().and_then(|data| data.get(key));
    let bytes = || {
        config_map
            .binary_data
            .as_ref()?
            .get(key)
            .map(|bytes| bytes.0.as_slice())
    };
    text.map(String::as_bytes).or_else(bytes)
}

/// JSON, or YAML 1.2. Errors say where, and quote nothing: a document can hold secrets.
fn parse(text: &[u8]) -> Result<Map<String, Value>, String> {
    let is_json = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let yaml = || {
        let text = std::str::from_utf8(text).map_err(|_| "is not UTF-8".to_owned())?;
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        serde_saphyr::from_str_with_options::<Value>(text, options).map_err(|error| position(&error.to_string()))
    };
    let value = match serde_json::from_slice::<Value>(text) {
        Ok(value) => value,
        Err(error) if is_json => {
            // YAML knows objects in braces as well.
            yaml().map_err(|_| format!("is not JSON: line {} column {}", error.line(), error.column()))?
        }
        Err(_) => yaml()?,
    };
    match value {
        Value::Object(document) => Ok(document),
        _ => Err("is not an object".to_owned()),
    }
}

fn position(error: &str) -> String {
    let words: Vec<_> = error.split_whitespace().collect();
    let line = words.iter().position(|word| *word == "line");
    let place = line.and_then(|at| words.get(at..at + 4)).map(|words| words.join(" "));
    match place {
        Some(place) => format!("is not YAML: {}", place.trim_end_matches([':', ','])),
        None => "is not YAML".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::api::{TykMcpProxyDefinition, TykStreamsApiDefinition};

    fn world() -> Snapshot {
        let mut snapshot = Snapshot::default();
        let object = json!({
            "metadata": {"namespace": "ns", "name": "doc"},
            "data": {"one": "{\"a\": {\"hun", "whole": "a: 1"},
            "binaryData": {"two": "dGVyMiI6IDF9fQ=="},
        });
        let config_map: ConfigMap = serde_json::from_value(object).unwrap();
        snapshot.insert(config_map);
        snapshot
    }

    fn streams(source: Value) -> Result<Value, Problem> {
        let object = json!({"metadata": {"namespace": "ns", "name": "a"}, "spec": {"tykStreams": source}});
        let resource: TykStreamsApiDefinition = serde_json::from_value(object).unwrap();
        read(&world(), &resource).map(Value::Object)
    }

    #[test]
    fn a_document_is_one_key_or_the_parts_of_several() {
        let keys = |keys: Value| json!({"configmapRef": {"name": "doc", "keyNames": keys}});
        let whole = streams(json!({"configmapRef": {"name": "doc", "keyName": "whole"}}));
        assert_eq!(whole, Ok(json!({"a": 1})));
        assert_eq!(streams(keys(json!(["one", "two"]))), Ok(json!({"a": {"hunter2": 1}})));
        let (code, field, message) = streams(keys(json!(["one", "three"]))).unwrap_err();
        assert_eq!(code, Code::DocumentNotFound);
        assert_eq!(field, "spec.tykStreams.configmapRef.keyNames");
        assert_eq!(message, "ConfigMap ns/doc has no key \"three\"");
        let (code, field, message) = streams(keys(json!(["two", "one"]))).unwrap_err();
        assert_eq!(
            (code, field.as_str()),
            (Code::InvalidDocument, "spec.tykStreams.configmapRef")
        );
        assert!(
            message.contains("[\"two\", \"one\"]") && !message.contains("hunter2"),
            "{message}"
        );
    }

    #[test]
    fn findings_name_the_field_of_their_kind() {
        let resource = TykMcpProxyDefinition::new("a", Default::default());
        let (code, field, _) = read(&world(), &resource).unwrap_err();
        assert_eq!((code, field.as_str()), (Code::DocumentNotFound, "spec.tykMCP"));
    }
}
