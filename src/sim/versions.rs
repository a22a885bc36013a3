//! Versions that are APIs of their own: the base API names them by their ids.

use super::oas::EXTENSION;
use super::state::State;
use serde_json::{Map, Value, json};

/// The part of the classic form that stands for `info.versioning` of a document.
pub(super) fn classic(versioning: &Value) -> Value {
    let versions = versioning["versions"].as_array().into_iter().flatten();
    let versions: Map<String, Value> = versions
        .filter_map(|version| Some((version["name"].as_str()?.to_owned(), version["id"].clone())))
        .collect();
    json!({
        "enabled": versioning["enabled"], "name": versioning["name"], "default": versioning["default"],
        "location": versioning["location"], "key": versioning["key"], "fallback_to_default": versioning["fallbackToDefault"],
        "strip_versioning_data": versioning["stripVersioningData"],
        "url_versioning_pattern": versioning["urlVersioningPattern"], "versions": versions,
    })
}

/// A deleted API is taken out of its base API, which is then written as it was loaded: what was written of it since the
/// last reload is lost, and one that was deleted since is there again (source, 5.11).
pub(super) fn forget(state: &mut State, id: &str) {
    let names_it = |definition: &Value| {
        let versions = definition.pointer("/definition/versions").and_then(Value::as_object);
        versions.is_some_and(|versions| versions.values().any(|version| version == id))
    };
    let Some(base) = state.apis.values().find(|spec| names_it(&spec.definition)).cloned() else {
        return;
    };
    let (mut definition, mut document) = (base.definition.clone(), base.oas.clone());
    if let Some(Value::Object(versions)) = definition.pointer_mut("/definition/versions") {
        versions.retain(|_, version| version != id);
    }
    let list = document
        .as_mut()
        .map(|document| &mut document[EXTENSION]["info"]["versioning"]["versions"]);
    if let Some(Value::Array(versions)) = list {
        versions.retain(|version| version["id"] != id);
    }
    // The name of a loaded API's file is one that was written before.
    let _ = state.write_api(definition, document);
}
