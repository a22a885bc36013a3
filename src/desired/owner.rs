//! The mark in a payload that says which operator made it. Only what carries our own mark is ever changed or deleted.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::snapshot::document::EXTENSION;

/// Key below `config_data`, the one free-form object of a definition that every gateway keeps as it is.
const KEY: &str = "tyk-ingress";

/// Puts the mark of `owner` into a definition; what else is in `config_data` stays.
pub fn mark(definition: &mut Map<String, Value>, owner: &str, source: &str) {
    let config_data = definition.entry("config_data").or_insert_with(|| json!({}));
    if !config_data.is_object() {
        *config_data = json!({});
    }
    config_data[KEY] = json!({"owner": owner, "source": source});
}

/// Puts the mark of `owner` into an OAS document: into the place that the gateway turns into `config_data` of the
/// classic form, so that it is read from the list of all APIs. It survives there and has no effect, switched on or off
/// (seen on a gateway 5.11); what the user says of it stays.
pub fn mark_document(document: &mut Map<String, Value>, owner: &str, source: &str) {
    if let Some(mark) = slot(document) {
        *mark = Map::from_iter([("owner".to_owned(), json!(owner)), ("source".to_owned(), json!(source))]);
    }
}

/// Adds to the mark of a definition, classic or OAS, under which context it was made; nothing for the operator's own.
pub fn mark_context(definition: &mut Map<String, Value>, context: &str) {
    if let Some(mark) = slot(definition).filter(|_| !context.is_empty()) {
        mark.insert("context".to_owned(), json!(context));
    }
}

/// Where the mark of a definition is, classic or OAS, made if there is none.
pub fn slot(definition: &mut Map<String, Value>) -> Option<&mut Map<String, Value>> {
    if !definition.contains_key("openapi") || !definition.get(EXTENSION).is_some_and(Value::is_object) {
        return child(child(definition, "config_data")?, KEY);
    }
    let mut fields = definition;
    for key in [EXTENSION, "middleware", "global", "pluginConfig", "data"] {
        fields = child(fields, key)?;
    }
    fields.entry("enabled").or_insert(json!(false));
    child(child(fields, "value")?, KEY)
}

fn child<'a>(fields: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    let value = fields.entry(key).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut()
}

/// Who made a definition, `None` when no operator of this kind did.
pub fn of(definition: &Value) -> Option<&str> {
    definition.get("config_data")?.get(KEY)?.get("owner")?.as_str()
}

/// Whether a definition was made by `owner` under one of these contexts.
pub fn is_ours(definition: &Value, owner: &str, contexts: &BTreeSet<String>) -> bool {
    of(definition) == Some(owner) && contexts.contains(context(definition))
}

/// The context under which a definition was made, empty for the operator's own settings.
fn context(definition: &Value) -> &str {
    definition["config_data"][KEY]["context"].as_str().unwrap_or_default()
}

/// Ids of the certificates that the operator uploaded for a definition; the worker writes them at each write.
pub fn certificates(definition: &Value) -> impl Iterator<Item = &str> {
    let mark = definition.get("config_data").and_then(|data| data.get(KEY));
    let ids = mark.and_then(|mark| mark.get("certificates")).and_then(Value::as_array);
    ids.into_iter().flatten().filter_map(Value::as_str)
}

/// Whether `key` of `config_data` holds the mark.
pub(super) fn is_mark(key: &str) -> bool {
    key == KEY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(context: &str) -> Value {
        let mut definition = json!({"config_data": {"mine": 1}});
        let fields = definition.as_object_mut().expect("an object");
        mark(fields, "east", "ApiDefinition default/a");
        mark_context(fields, context);
        definition
    }

    #[test]
    fn a_mark_is_read_back_and_leaves_the_rest() {
        assert_eq!(of(&json!({"config_data": {"mine": 1}})), None);
        assert_eq!(of(&marked("")), Some("east"));
        assert_eq!(marked("")["config_data"]["mine"], 1);
    }

    #[test]
    fn what_another_context_made_is_not_ours() {
        let contexts = BTreeSet::from([String::new(), "tyk/east".to_owned()]);
        assert!(is_ours(&marked(""), "east", &contexts) && is_ours(&marked("tyk/east"), "east", &contexts));
        assert!(!is_ours(&marked("tyk/west"), "east", &contexts));
        assert!(!is_ours(&marked(""), "west", &contexts) && !is_ours(&json!({}), "east", &contexts));
    }
}
