//! The mark in a payload that says which operator made it. Only what carries our own mark is ever changed or deleted.

use serde_json::{Map, Value, json};

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

/// Who made a definition, `None` when no operator of this kind did.
pub fn of(definition: &Value) -> Option<&str> {
    definition.get("config_data")?.get(KEY)?.get("owner")?.as_str()
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

    #[test]
    fn a_mark_is_read_back_and_leaves_the_rest() {
        let mut definition = json!({"config_data": {"mine": 1}});
        assert_eq!(of(&definition), None);
        mark(
            definition.as_object_mut().expect("an object"),
            "east",
            "ApiDefinition default/a",
        );
        assert_eq!(of(&definition), Some("east"));
        assert_eq!(definition["config_data"]["mine"], 1);
    }
}
