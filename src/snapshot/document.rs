//! The document of a `TykOasApiDefinition`: where it is, and reading it.

use kube::ResourceExt;
use serde_json::{Map, Value};

use super::{NamespacedName, Snapshot};
use crate::api::{KeyRef, TykOasApiDefinition};
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
pub fn read(snapshot: &Snapshot, resource: &TykOasApiDefinition) -> Result<Map<String, Value>, Problem> {
    let source = &resource.spec.tyk_oas;
    match (&source.configmap_ref, &source.document) {
        (Some(reference), _) => in_config_map(snapshot, &resource.namespace().unwrap_or_default(), reference),
        (None, Some(document)) => Ok(document.clone()),
        (None, None) => {
            let message = "neither `configmapRef` nor `document` is set".to_owned();
            Err((Code::DocumentNotFound, "spec.tykOAS".into(), message))
        }
    }
}

fn in_config_map(snapshot: &Snapshot, own: &str, reference: &KeyRef) -> Result<Map<String, Value>, Problem> {
    const FIELD: &str = "spec.tykOAS.configmapRef";
    let name = NamespacedName::new(reference.namespace_or(own), &reference.name);
    let Some(config_map) = snapshot.config_maps.get(&name) else {
        let message = format!("ConfigMap {name} does not exist");
        return Err((Code::DocumentNotFound, FIELD.into(), message));
    };
    let key = &reference.key_name;
    let text = config_map
        .data
        .as_ref()
        .and_then(|data| data.get(key).map(String::as_bytes));
    let bytes = || {
        config_map
            .binary_data
            .as_ref()?
            .get(key)
            .map(|bytes| bytes.0.as_slice())
    };
    let Some(text) = text.or_else(bytes) else {
        let message = format!("ConfigMap {name} has no key {key:?}");
        return Err((Code::DocumentNotFound, format!("{FIELD}.keyName"), message));
    };
    parse(text).map_err(|error| {
        let message = format!("key {key:?} of ConfigMap {name} {error}");
        (Code::InvalidDocument, FIELD.into(), message)
    })
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
