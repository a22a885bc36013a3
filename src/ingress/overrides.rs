//! What annotations and the backend set in a classic definition, over what a template says.

use serde_json::{Map, Value, json};

use super::annotations::{self, Annotations, Problem};
use super::backend::Target;
use crate::diagnostic::Code;

/// Methods of a timeout. The gateway compares them as text and knows no wildcard, so a method of another name has none.
pub const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
];

/// An expression that every path matches, the empty rest after a stripped listen path included, and whether or not the
/// gateway is set to anchor such expressions.
pub const EVERY_PATH: &str = ".*";

/// Fields of `proxy` that would lead requests elsewhere than to the backend of the Ingress.
const OTHER_TARGETS: [&str; 5] = [
    "target_internal",
    "target_list",
    "enable_load_balancing",
    "service_discovery",
    "check_host_against_uptime_tests",
];

/// Sets what the annotations ask for, and the targets of the backend. `definition` has its route's name and target.
pub fn apply(definition: &mut Map<String, Value>, annotations: &Annotations, target: &Target) -> Vec<Problem> {
    if let Some(tags) = &annotations.tags {
        definition.insert("tags".into(), json!(tags.0));
    }
    if let Some(categories) = &annotations.categories {
        let mut name = definition
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        for category in &categories.0 {
            name.push_str(" #");
            name.push_str(category);
        }
        definition.insert("name".into(), json!(name));
    }
    let timeout = annotations
        .timeout
        .and_then(|seconds| set_timeout(definition, seconds.0).err());
    set_proxy(object(definition, "proxy"), annotations, target);
    timeout
        .map(|message| (Code::AnnotationWithoutEffect, annotations::field("timeout"), message))
        .into_iter()
        .collect()
}

fn set_proxy(proxy: &mut Map<String, Value>, annotations: &Annotations, target: &Target) {
    for field in OTHER_TARGETS {
        proxy.remove(field);
    }
    if !target.list.is_empty() {
        proxy.insert("target_list".into(), json!(target.list));
        proxy.insert("enable_load_balancing".into(), json!(true));
    }
    let fields = [
        ("strip_listen_path", annotations.strip_path),
        ("preserve_host_header", annotations.preserve_host),
    ];
    for (field, value) in fields {
        if let Some(value) = value {
            proxy.insert(field.into(), json!(value));
        }
    }
    if let Some(verify) = annotations.backend_tls_verify {
        object(proxy, "transport").insert("ssl_insecure_skip_verify".into(), json!(!verify));
    }
}

/// One timeout for every path and method of every version, in place of those of a template.
fn set_timeout(definition: &mut Map<String, Value>, seconds: u32) -> Result<(), String> {
    let timeouts: Vec<_> = METHODS
        .iter()
        .map(|method| json!({"path": EVERY_PATH, "method": method, "timeout": seconds}))
        .collect();
    set_extended(definition, "hard_timeouts", &json!(timeouts))
}

/// One list of extended paths for every version, in place of that of a template.
///
/// # Errors
/// When a version has path lists that the gateway ignores beside extended paths.
pub fn set_extended(definition: &mut Map<String, Value>, list: &str, entries: &Value) -> Result<(), String> {
    let data = object(definition, "version_data");
    if object(data, "versions").is_empty() {
        data.insert("not_versioned".into(), json!(true));
        data.insert("default_version".into(), json!("Default"));
        data.insert("versions".into(), json!({"Default": {"name": "Default"}}));
    }
    let versions = object(data, "versions");
    let mut versions: Vec<_> = versions.values_mut().filter_map(Value::as_object_mut).collect();
    if let Some(version) = versions.iter().find(|version| needs_plain_paths(version)) {
        let name = version.get("name").and_then(Value::as_str).unwrap_or_default();
        return Err(format!(
            "version {name:?} of the template has path lists that the gateway ignores beside {list}; \
             move them to extended_paths"
        ));
    }
    for version in &mut versions {
        version.insert("use_extended_paths".into(), json!(true));
        object(version, "extended_paths").insert(list.into(), entries.clone());
    }
    Ok(())
}

/// Whether a version has lists of paths that count only while it does not use extended paths; one of them may be all
/// that closes a path.
fn needs_plain_paths(version: &Map<String, Value>) -> bool {
    let lists = version.get("paths").and_then(Value::as_object);
    let used = lists.is_some_and(|lists| {
        lists
            .values()
            .any(|list| list.as_array().is_some_and(|list| !list.is_empty()))
    });
    used && version.get("use_extended_paths") != Some(&Value::Bool(true))
}

/// The object in a field, made anew where there is none.
fn object<'a>(parent: &'a mut Map<String, Value>, field: &str) -> &'a mut Map<String, Value> {
    let value = parent.entry(field).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(object) => object,
        _ => unreachable!("made an object above"),
    }
}

#[cfg(test)]
mod tests;
