//! The JSON that is sent: without what only Kubernetes knows, with the defaults that an API needs to answer at all.

use serde_json::{Map, Value, json};

use super::fields::{is_set, text, versions_mut};
use crate::desired::{Context, owner};
use crate::diagnostic::ObjectRef;

/// Fields that only Kubernetes knows; they are resolved into others or have no meaning for the gateway.
const KUBERNETES_FIELDS: [&str; 4] = [
    "certificate_secret_names",
    "client_certificate_refs",
    "pinned_public_keys_refs",
    "upstream_certificate_refs",
];

/// The JSON to send for a definition that is checked and whose names are resolved.
pub fn payload(definition: &Map<String, Value>, id: &str, source: &ObjectRef, context: &Context) -> Value {
    let mut payload = definition.clone();
    for field in KUBERNETES_FIELDS {
        payload.remove(field);
    }
    payload.insert("api_id".into(), json!(id));
    payload.insert("org_id".into(), json!(organisation(definition, context)));
    let dashboard = context.tyk.is_dashboard();
    let inactive = dashboard && payload.get("active") == Some(&json!(false));
    payload.insert("active".into(), json!(!inactive));
    // The id in the database of a Dashboard is given by that.
    if dashboard || !is_set(&payload, "id") {
        payload.remove("id");
    }
    versions(&mut payload);
    token_auth(&mut payload);
    graphql(&mut payload);
    numbers(&mut payload);
    owner::mark(&mut payload, &context.owner, &source.to_string());
    owner::mark_context(&mut payload, &context.name);
    if dashboard {
        let owners = [context.user_owners.as_slice(), &context.user_group_owners];
        owner::mark_beside(&mut payload, owners, &[]);
    }
    Value::Object(payload)
}

/// The organisation that an API belongs to.
pub fn organisation<'a>(definition: &'a Map<String, Value>, context: &'a Context) -> &'a str {
    match text(definition, "org_id") {
        "" => &context.org,
        org => org,
    }
}

/// A definition without any version would answer every request with 403; Tyk Operator's webhook adds the same one.
/// Versions without a name would share the endpoints of the last of them, and `extended_paths` does nothing until it is
/// switched on.
fn versions(payload: &mut Map<String, Value>) {
    let mut names = Vec::new();
    for (key, version) in versions_mut(payload) {
        names.push(key.clone());
        if !is_set(version, "name") {
            version.insert("name".into(), json!(key));
        }
        if is_set(version, "extended_paths") && !is_set(version, "paths") {
            version.entry("use_extended_paths").or_insert(json!(true));
        }
    }
    if names.is_empty() {
        let version = json!({"name": "Default", "use_extended_paths": true});
        let data = json!({"not_versioned": true, "default_version": "Default", "versions": {"Default": version}});
        payload.insert("version_data".into(), data);
        return;
    }
    // Whoever has one version and no place for its name in a request has no versions.
    let located = payload
        .get("definition")
        .and_then(Value::as_object)
        .is_some_and(|definition| is_set(definition, "location"));
    if let Some(data) = payload.get_mut("version_data").and_then(Value::as_object_mut)
        && names.len() == 1
        && !located
        && !is_set(data, "default_version")
    {
        data.entry("not_versioned").or_insert(json!(true));
    }
}

/// Token authentication needs to know its header; Tyk Operator's webhook adds the same one.
fn token_auth(payload: &mut Map<String, Value>) {
    if payload.get("use_standard_auth") != Some(&Value::Bool(true)) {
        return;
    }
    let configs = payload.entry("auth_configs").or_insert_with(|| json!({}));
    if configs.is_null() {
        *configs = json!({});
    }
    if let Some(configs) = configs.as_object_mut() {
        configs
            .entry("authToken")
            .or_insert_with(|| json!({"auth_header_name": "Authorization"}));
    }
}

/// Names and forms of Tyk Operator that the gateway does not know.
fn graphql(payload: &mut Map<String, Value>) {
    let Some(graphql) = payload.get_mut("graphql").and_then(Value::as_object_mut) else {
        return;
    };
    graphql.remove("graph_ref");
    // An empty time makes the gateway refuse the whole definition.
    if !is_set(graphql, "last_schema_update") {
        graphql.remove("last_schema_update");
    }
    if let Some(supergraph) = graphql.get_mut("supergraph").and_then(Value::as_object_mut)
        && !is_set(supergraph, "updated_at")
    {
        supergraph.remove("updated_at");
    }
    let fields = graphql
        .get_mut("type_field_configurations")
        .and_then(Value::as_array_mut);
    for source in fields
        .into_iter()
        .flatten()
        .filter_map(|field| field.get_mut("data_source"))
    {
        // The one spelling is that of Tyk Operator's webhook, the other that of its resource and of the gateway.
        if source["kind"] == "HTTPJsonDataSource" {
            source["kind"] = json!("HTTPJSONDataSource");
        }
        let headers = source
            .get_mut("data_source_config")
            .and_then(|config| config.get_mut("headers"));
        for header in headers.and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some((key, value)) = header.as_str().and_then(|text| text.split_once(':')) {
                *header = json!({"key": key.trim(), "value": value.trim()});
            }
        }
    }
}

/// `threshold_percent` is a text in Tyk Operator's resource and a number for the gateway, which refuses the whole
/// definition for a field of another type. Rates may be written in the same way.
fn numbers(payload: &mut Map<String, Value>) {
    if let Some(limit) = payload.get_mut("global_rate_limit") {
        number(limit, "rate");
        number(limit, "per");
    }
    for (_, version) in versions_mut(payload) {
        let Some(paths) = version.get_mut("extended_paths") else {
            continue;
        };
        for (list, field) in [
            ("circuit_breakers", "threshold_percent"),
            ("rate_limit", "rate"),
            ("rate_limit", "per"),
        ] {
            let items = paths.get_mut(list).and_then(Value::as_array_mut);
            items.into_iter().flatten().for_each(|item| number(item, field));
        }
    }
}

fn number(holder: &mut Value, field: &str) {
    if let Some(value) = holder.get_mut(field)
        && let Some(number) = parsed(value)
    {
        *value = json!(number);
    }
}

/// The number that a text stands for.
pub(super) fn parsed(value: &Value) -> Option<f64> {
    let number = value.as_str()?.trim_matches('"').parse::<f64>().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn sent(definition: Value) -> Value {
        let source = ObjectRef::new("ApiDefinition", "default", "a");
        payload(definition.as_object().unwrap(), "id", &source, &Context::default())
    }

    #[test]
    fn what_only_kubernetes_knows_is_not_sent() {
        let mut definition: Map<String, Value> = KUBERNETES_FIELDS
            .iter()
            .map(|field| ((*field).to_owned(), json!(["x"])))
            .collect();
        definition.insert(
            "graphql".into(),
            json!({"graph_ref": "users", "last_schema_update": "", "supergraph": {"updated_at": ""}}),
        );
        definition.insert("id".into(), json!(""));
        let sent = sent(Value::Object(definition));
        assert_eq!(sent["graphql"], json!({"supergraph": {}}));
        let fields: Vec<_> = sent.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            fields,
            ["active", "api_id", "config_data", "graphql", "org_id", "version_data"]
        );
    }

    #[test]
    fn texts_become_the_numbers_that_the_gateway_wants() {
        let sent = sent(json!({
            "global_rate_limit": {"rate": "1.5", "per": 60},
            "version_data": {"not_versioned": true, "versions": {"Default": {"extended_paths": {
                "circuit_breakers": [{"threshold_percent": "0.5"}, {"threshold_percent": "\"1.0\""}, {"threshold_percent": 0.1}],
                "rate_limit": [{"rate": "10", "per": "0.5"}],
            }}}},
        }));
        assert_eq!(sent["global_rate_limit"], json!({"rate": 1.5, "per": 60}));
        let version = &sent["version_data"]["versions"]["Default"];
        assert_eq!(
            version["extended_paths"],
            json!({
                "circuit_breakers": [{"threshold_percent": 0.5}, {"threshold_percent": 1.0}, {"threshold_percent": 0.1}],
                "rate_limit": [{"rate": 10.0, "per": 0.5}],
            })
        );
        assert_eq!(
            (&version["name"], &version["use_extended_paths"]),
            (&json!("Default"), &json!(true))
        );
    }

    #[test]
    fn an_api_without_versions_gets_one() {
        for data in [json!(null), json!({}), json!({"not_versioned": true, "versions": {}})] {
            let sent = sent(json!({"version_data": data}));
            assert_eq!(sent["version_data"]["not_versioned"], true);
            assert_eq!(sent["version_data"]["versions"]["Default"]["name"], "Default");
        }
        let one = json!({"versions": {"a": {}}});
        assert_eq!(
            sent(json!({"version_data": one}))["version_data"]["not_versioned"],
            true
        );
        let versioned = sent(json!({"version_data": one, "definition": {"location": "header", "key": "v"}}));
        assert!(versioned["version_data"].get("not_versioned").is_none());
    }

    #[test]
    fn sources_of_the_first_graphql_engine_are_written_as_it_reads_them() {
        let source =
            json!({"kind": "HTTPJsonDataSource", "data_source_config": {"headers": ["X-A: b:c", {"key": "d"}]}});
        let sent = sent(json!({"graphql": {"type_field_configurations": [{"data_source": source}]}}));
        let source = &sent["graphql"]["type_field_configurations"][0]["data_source"];
        assert_eq!(source["kind"], "HTTPJSONDataSource");
        assert_eq!(
            source["data_source_config"]["headers"],
            json!([{"key": "X-A", "value": "b:c"}, {"key": "d"}])
        );
    }
}
