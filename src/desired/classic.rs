//! An `ApiDefinition`'s spec to the classic JSON that the gateway reads.

use serde_json::{Map, Value, json};

use super::{Context, owner};
use crate::diagnostic::{Code, ObjectRef};
use crate::expression;

/// A finding: its code, the field, the message.
pub type Problem = (Code, String, String);

/// Fields that only Kubernetes knows; they are resolved into others or have no meaning for the gateway.
const KUBERNETES_FIELDS: [&str; 4] = [
    "certificate_secret_names",
    "client_certificate_refs",
    "pinned_public_keys_refs",
    "upstream_certificate_refs",
];

/// Why the gateway could not serve a definition. One bad definition can end the gateway's process or hide behind a
/// successful answer (both seen on a gateway), so everything is checked before it is sent.
pub fn check(definition: &Map<String, Value>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut report = |field: &str, message: String| {
        problems.push((Code::InvalidDefinition, format!("spec.{field}"), message));
    };
    let protocol = text(definition, "protocol");
    if matches!(protocol, "" | "http" | "https" | "h2c")
        && let Err(message) = expression::check_listen_path(text(&proxy(definition), "listen_path"))
    {
        report("proxy.listen_path", message);
    }
    if let Err(message) = expression::check_domain(text(definition, "domain")) {
        report("domain", message);
    }
    let target = text(&proxy(definition), "target_url").to_owned();
    if let Err(message) = check_target(&target) {
        report("proxy.target_url", message);
    }
    problems
}

/// The JSON to send for a definition that passes [`check`].
pub fn payload(definition: &Map<String, Value>, id: &str, source: &ObjectRef, context: &Context) -> Value {
    let mut payload = definition.clone();
    for field in KUBERNETES_FIELDS {
        payload.remove(field);
    }
    payload.insert("api_id".into(), json!(id));
    payload.insert("org_id".into(), json!(organisation(definition, context)));
    payload.insert("active".into(), json!(true));
    default_version(&mut payload);
    default_auth(&mut payload);
    numbers(&mut payload);
    owner::mark(&mut payload, &context.owner, &source.to_string());
    owner::mark_context(&mut payload, &context.name);
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
fn default_version(payload: &mut Map<String, Value>) {
    let versions = payload
        .get("version_data")
        .and_then(|data| data.get("versions"))
        .and_then(Value::as_object);
    if versions.is_none_or(Map::is_empty) {
        let version = json!({"name": "Default", "use_extended_paths": true});
        let data = json!({"not_versioned": true, "default_version": "Default", "versions": {"Default": version}});
        payload.insert("version_data".into(), data);
    }
}

/// Token authentication needs to know its header; Tyk Operator's webhook adds the same one.
fn default_auth(payload: &mut Map<String, Value>) {
    if payload.get("use_standard_auth") != Some(&Value::Bool(true)) {
        return;
    }
    let configs = payload.entry("auth_configs").or_insert_with(|| json!({}));
    if let Some(configs) = configs.as_object_mut() {
        configs
            .entry("authToken")
            .or_insert_with(|| json!({"auth_header_name": "Authorization"}));
    }
}

/// `threshold_percent` is a string in Tyk Operator's resource and a number for the gateway, which refuses the whole
/// definition for a field of another type.
fn numbers(payload: &mut Map<String, Value>) {
    let versions = payload
        .get_mut("version_data")
        .and_then(|data| data.get_mut("versions"))
        .and_then(Value::as_object_mut);
    let breakers = versions.into_iter().flat_map(Map::values_mut).filter_map(|version| {
        version
            .get_mut("extended_paths")?
            .get_mut("circuit_breakers")?
            .as_array_mut()
    });
    for threshold in breakers
        .flatten()
        .filter_map(|breaker| breaker.get_mut("threshold_percent"))
    {
        if let Some(number) = threshold
            .as_str()
            .and_then(|text| text.trim_matches('"').parse::<f64>().ok())
        {
            *threshold = json!(number);
        }
    }
}

fn check_target(target: &str) -> Result<(), String> {
    let Some((scheme, rest)) = target.split_once("://") else {
        return match target {
            // GraphQL engines and looping APIs have no target.
            "" => Ok(()),
            _ => Err(format!("{:?} has no scheme such as http://", without_user(target))),
        };
    };
    let known = ["http", "https", "h2c", "ws", "wss", "tcp", "tls", "tyk", "srv", "kafka"].contains(&scheme);
    if !known {
        return Err(format!("{:?} has the unknown scheme {scheme:?}", without_user(target)));
    }
    if rest.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("{:?} is not a URL", without_user(target)));
    }
    Ok(())
}

/// A URL for a message: user and password, if it has any, are nobody else's business.
fn without_user(target: &str) -> String {
    match target.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => target.to_owned(),
    }
}

fn proxy(definition: &Map<String, Value>) -> Map<String, Value> {
    definition
        .get("proxy")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

fn text<'a>(object: &'a Map<String, Value>, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_target_is_named_without_its_password() {
        for target in [
            "ftp://user:hunter2@host",
            "http://user:hunter2@ho st",
            "user:hunter2@host",
        ] {
            let Err(message) = check_target(target) else {
                panic!("{target} is accepted")
            };
            assert!(!message.contains("hunter2") && message.contains("@ho"), "{message}");
        }
    }
}
