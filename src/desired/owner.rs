//! The mark in a payload that says which operator made it. Only what carries our own mark is ever changed or deleted.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::snapshot::document::EXTENSION;

/// Key below `config_data`, the one free-form object of a definition that every gateway keeps as it is.
pub const KEY: &str = "tyk-ingress";

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

/// Adds to the mark of a definition, classic or OAS, what a Dashboard is to keep beside it: ids of users and of groups of
/// users that own the API, and its categories. Nothing for what names none.
pub fn mark_beside(definition: &mut Map<String, Value>, owners: [&[String]; 2], categories: &[String]) {
    let sorted = |names: &[String]| -> BTreeSet<String> {
        let names = names.iter().map(|name| name.trim().to_owned());
        names.filter(|name| !name.is_empty()).collect()
    };
    let [users, groups] = owners.map(sorted);
    let parts = [
        ("user_owners", users),
        ("user_group_owners", groups),
        ("categories", sorted(categories)),
    ];
    if let Some(mark) = slot(definition) {
        let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
        mark.extend(parts.map(|(part, names)| (part.to_owned(), json!(names))));
    }
}

/// The users and the groups of users that are to own the API of a definition.
pub fn owners(definition: &Value) -> [BTreeSet<String>; 2] {
    ["user_owners", "user_group_owners"].map(|part| names(definition, part))
}

/// The categories that an API was last given from here, or is to be given.
pub fn categories(definition: &Value) -> BTreeSet<String> {
    names(definition, "categories")
}

/// JSON pointers of the fields that the last write to a Dashboard has set.
pub fn fields(definition: &Value) -> BTreeSet<String> {
    names(definition, "fields")
}

/// A list in the mark of a definition in whichever form.
fn names(definition: &Value, part: &str) -> BTreeSet<String> {
    let data = match definition.get("config_data") {
        Some(data) => Some(data),
        None => definition.pointer("/x-tyk-api-gateway/middleware/global/pluginConfig/data/value"),
    };
    let names = data.and_then(|data| data.get(KEY)?.get(part)?.as_array());
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
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

/// Before the mark in a key of `graphql_access_rights`.
const POLICY_KEY: &str = "tyk-ingress=";

/// Puts the mark of `owner` into a policy.
///
/// A policy has no free-form field without an effect: `meta_data` and `tags` go into every key. `graphql_access_rights`
/// is a map whose values are empty and whose keys no gateway looks at, from 3.0 to 5.12 (source), so the mark is a key of
/// it: JSON after a prefix.
pub fn mark_policy(policy: &mut Map<String, Value>, owner: &str, source: &str) {
    let mark = [("owner".to_owned(), json!(owner)), ("source".to_owned(), json!(source))];
    put_policy_mark(policy, Map::from_iter(mark));
}

/// Adds to the mark of a policy under which context it was made; nothing for the operator's own.
pub fn mark_policy_context(policy: &mut Map<String, Value>, context: &str) {
    let mark = policy.get("graphql_access_rights").and_then(mark_in);
    if let Some(mut mark) = mark.filter(|_| !context.is_empty()) {
        mark.insert("context".into(), json!(context));
        put_policy_mark(policy, mark);
    }
}

/// Replaces the mark of a policy; what else is in its field stays.
pub fn put_policy_mark(policy: &mut Map<String, Value>, mark: Map<String, Value>) {
    if let Some(rights) = child(policy, "graphql_access_rights") {
        rights.retain(|key, _| !key.starts_with(POLICY_KEY));
        // A full stop separates the names of fields in the database of a Dashboard. In JSON it only stands in texts.
        let mark = Value::Object(mark).to_string().replace('.', r"\u002e");
        rights.insert(format!("{POLICY_KEY}{mark}"), json!({}));
    }
}

/// Takes over what others put beside the mark of a policy that is there.
pub fn keep_others(policy: &mut Map<String, Value>, held: &Value) {
    let others = held.get("graphql_access_rights").and_then(Value::as_object);
    let others = others
        .into_iter()
        .flatten()
        .filter(|(key, _)| !key.starts_with(POLICY_KEY));
    if let Some(rights) = child(policy, "graphql_access_rights") {
        for (key, value) in others {
            rights.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// The mark of a policy, `None` when no operator of this kind made it.
pub fn policy_mark(policy: &Value) -> Option<Map<String, Value>> {
    mark_in(policy.get("graphql_access_rights")?)
}

fn mark_in(rights: &Value) -> Option<Map<String, Value>> {
    let mut keys = rights.as_object()?.keys();
    let mark = keys.find_map(|key| key.strip_prefix(POLICY_KEY))?;
    serde_json::from_str(mark).ok()
}

/// Puts the mark of a policy that a gateway holds where [`of`] looks for it.
pub fn expose_policy_mark(policy: &mut Value) {
    let mark = policy_mark(policy);
    if let Some(fields) = policy.as_object_mut() {
        fields.remove("config_data");
        fields.extend(mark.map(|mark| ("config_data".to_owned(), json!({KEY: mark}))));
    }
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
pub fn context(definition: &Value) -> &str {
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

    #[test]
    fn the_mark_of_a_policy_is_read_back_and_leaves_the_rest() {
        let mut policy = json!({"id": "gold", "graphql_access_rights": {"theirs": {}}});
        for owner in ["east", "we\"st"] {
            mark_policy(
                policy.as_object_mut().expect("an object"),
                owner,
                "SecurityPolicy default/gold",
            );
            let mut held = policy.clone();
            expose_policy_mark(&mut held);
            assert_eq!(of(&held), Some(owner));
            assert_eq!(policy["graphql_access_rights"].as_object().map(Map::len), Some(2));
        }
        let mut plain = json!({"id": "gold", "graphql_access_rights": null, "config_data": {KEY: {"owner": "x"}}});
        expose_policy_mark(&mut plain);
        assert_eq!(of(&plain), None);
    }
}
