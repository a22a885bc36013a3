//! Reading a definition that is not modelled.

use serde_json::{Map, Value};

/// The text of a field, empty when it has none.
pub(super) fn text<'a>(object: &'a Map<String, Value>, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The object in a field.
pub(super) fn object<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a Map<String, Value>> {
    object.get(field).and_then(Value::as_object)
}

/// The list in a field, empty when it has none.
pub(super) fn list<'a>(object: &'a Map<String, Value>, field: &str) -> &'a [Value] {
    object
        .get(field)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// The objects of the list in a field, with their places in it.
pub(super) fn objects<'a>(
    object: &'a Map<String, Value>,
    field: &str,
) -> impl Iterator<Item = (usize, &'a Map<String, Value>)> {
    let items = list(object, field).iter().enumerate();
    items.filter_map(|(index, item)| Some((index, item.as_object()?)))
}

/// The entries of the object in a field.
pub(super) fn entries<'a>(
    holder: &'a Map<String, Value>,
    field: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object(holder, field).into_iter().flatten()
}

/// Whether a switch is on.
pub(super) fn is_true(object: &Map<String, Value>, field: &str) -> bool {
    object.get(field) == Some(&Value::Bool(true))
}

/// Whether a field holds something: no null, no empty text, list or object.
pub(super) fn is_set(object: &Map<String, Value>, field: &str) -> bool {
    match object.get(field) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(_) => true,
    }
}

/// The versions of a definition by their keys.
pub(super) fn versions(definition: &Map<String, Value>) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    object(definition, "version_data")
        .into_iter()
        .flat_map(|data| entries(data, "versions"))
        .filter_map(|(key, version)| Some((key, version.as_object()?)))
}

/// The same, to be changed.
pub(super) fn versions_mut(
    definition: &mut Map<String, Value>,
) -> impl Iterator<Item = (&String, &mut Map<String, Value>)> {
    definition
        .get_mut("version_data")
        .and_then(|data| data.get_mut("versions")?.as_object_mut())
        .into_iter()
        .flatten()
        .filter_map(|(key, version)| Some((key, version.as_object_mut()?)))
}

/// `spec.` path of the middleware for endpoints of a version.
pub(super) fn endpoints_field(version: &str) -> String {
    format!("version_data.versions.{version}.extended_paths")
}
