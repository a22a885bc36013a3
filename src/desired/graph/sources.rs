//! Data sources of GraphQL APIs that the gateway answers itself: the checks of Tyk Operator's webhook, and those whose
//! lack the gateway only tells in its log, when it answers every request with an error.

use serde_json::{Map, Value};

use super::edges::text;

/// Kind of REST sources of version 1, as the gateway knows it.
const JSON_KIND: &str = "HTTPJSONDataSource";
/// The same as Tyk Operator's webhook wants it.
const JSON_KIND_OF_WEBHOOK: &str = "HTTPJsonDataSource";

/// What is wrong with the sources of `graphql`: field below it, and message.
pub fn check(graphql: &Map<String, Value>) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let none = Map::new();
    for (index, configuration) in list(graphql, "type_field_configurations").enumerate() {
        let source = object(configuration, "data_source").unwrap_or(&none);
        let field = format!("type_field_configurations[{index}].data_source");
        let kind = text(source, "kind");
        if ![JSON_KIND, JSON_KIND_OF_WEBHOOK, "GraphQLDataSource"].contains(&kind) {
            problems.push((
                format!("{field}.kind"),
                format!("{kind:?} is not a kind of data source; write {JSON_KIND} or GraphQLDataSource"),
            ));
            continue;
        }
        let config = object_in(source, "data_source_config").unwrap_or(&none);
        check_request(config, &format!("{field}.data_source_config"), &mut problems);
    }
    let engine = object_in(graphql, "engine").unwrap_or(&none);
    for (index, source) in list(engine, "data_sources").enumerate() {
        let source = source.as_object().unwrap_or(&none);
        let field = format!("engine.data_sources[{index}]");
        let config = object_in(source, "config").unwrap_or(&none);
        match text(source, "kind") {
            "REST" | "GraphQL" => check_request(config, &format!("{field}.config"), &mut problems),
            "Kafka" => {}
            kind => problems.push((
                format!("{field}.kind"),
                format!("{kind:?} is not a kind of data source; write REST, GraphQL or Kafka"),
            )),
        }
    }
    problems
}

/// Gives REST sources of version 1 the kind that the gateway knows, where it is written as Tyk Operator's webhook wants it.
pub fn normalize(graphql: &mut Map<String, Value>) {
    let configurations = graphql
        .get_mut("type_field_configurations")
        .and_then(Value::as_array_mut);
    let kinds = configurations
        .into_iter()
        .flatten()
        .filter_map(|configuration| configuration.get_mut("data_source")?.get_mut("kind"));
    for kind in kinds.filter(|kind| kind.as_str() == Some(JSON_KIND_OF_WEBHOOK)) {
        *kind = JSON_KIND.into();
    }
}

fn check_request(config: &Map<String, Value>, field: &str, problems: &mut Vec<(String, String)>) {
    let url = text(config, "url");
    if let Some(message) = fault_of_url(url) {
        problems.push((format!("{field}.url"), message));
    }
    if text(config, "method").is_empty() {
        problems.push((format!("{field}.method"), "can't be empty".into()));
    }
}

/// Sources are told apart by templates such as `{{.arguments.id}}`, so the URL is not read more closely than Go would.
/// The message does not repeat it, since it can hold a password.
fn fault_of_url(url: &str) -> Option<String> {
    if url.is_empty() {
        return Some("can't be empty".into());
    }
    if url.contains(|c: char| c.is_control()) {
        return Some("the URL contains a control character".into());
    }
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    let known = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    (!known).then(|| "the URL has no scheme such as http://".into())
}

fn list<'a>(object: &'a Map<String, Value>, field: &str) -> impl Iterator<Item = &'a Value> {
    object.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn object<'a>(value: &'a Value, field: &str) -> Option<&'a Map<String, Value>> {
    value.get(field)?.as_object()
}

fn object_in<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a Map<String, Value>> {
    object.get(field)?.as_object()
}
