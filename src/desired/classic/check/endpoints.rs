//! Middleware for single endpoints.

use serde_json::{Map, Value};

use super::auth::is_base64;
use super::{Findings, unknown};
use crate::desired::classic::fields::{
    endpoints_field, entries, is_set, is_true, list, object, objects, text, versions,
};
use crate::desired::classic::payload::parsed;
use crate::expression::pattern;

const SOURCES: [&str; 2] = ["blob", "file"];

pub(super) fn check(definition: &Map<String, Value>, found: &mut Findings) {
    for (key, version) in versions(definition) {
        if let Some(paths) = object(version, "paths") {
            for name in ["ignored", "white_list", "black_list"] {
                plain(
                    list(paths, name),
                    &format!("version_data.versions.{key}.paths.{name}"),
                    found,
                );
            }
        }
        let Some(paths) = object(version, "extended_paths") else {
            continue;
        };
        let field = endpoints_field(key);
        plain(list(paths, "cache"), &format!("{field}.cache"), found);
        for name in paths.keys() {
            for (index, endpoint) in objects(paths, name) {
                if !is_true(endpoint, "disabled") {
                    one(name, endpoint, &format!("{field}.{name}[{index}]"), found);
                }
            }
        }
    }
}

fn plain(paths: &[Value], field: &str, found: &mut Findings) {
    for (index, path) in paths.iter().enumerate() {
        path_of(path.as_str().unwrap_or_default(), &format!("{field}[{index}]"), found);
    }
}

fn path_of(path: &str, field: &str, found: &mut Findings) {
    if let Err(message) = pattern::check_path(path) {
        found.error(field, message);
    }
}

fn one(kind: &str, endpoint: &Map<String, Value>, field: &str, found: &mut Findings) {
    path_of(text(endpoint, "path"), &format!("{field}.path"), found);
    match kind {
        "ignored" | "white_list" | "black_list" => actions(endpoint, field, found),
        "transform" | "transform_response" => template(endpoint, field, found),
        "virtual" => function(endpoint, field, found),
        "circuit_breakers" => breaker(endpoint, field, found),
        "url_rewrites" => rewrite(endpoint, field, found),
        "rate_limit" => rate_limit(endpoint, field, found),
        "advance_cache_config" => {
            let expression = text(endpoint, "cache_key_regex");
            found.expression(format_args!("{field}.cache_key_regex"), expression);
        }
        "hard_timeouts"
            if endpoint
                .get("timeout")
                .and_then(Value::as_i64)
                .is_some_and(|time| time < 0) =>
        {
            found.error(format_args!("{field}.timeout"), "it is less than 0");
        }
        _ => {}
    }
}

/// With another action the gateway blocks the endpoint.
fn actions(endpoint: &Map<String, Value>, field: &str, found: &mut Findings) {
    for (method, action) in entries(endpoint, "method_actions") {
        let action = action.get("action").and_then(Value::as_str).unwrap_or_default();
        let known = ["no_action", "reply"];
        if !known.contains(&action) {
            let message = unknown(action, &known);
            found.error(format_args!("{field}.method_actions.{method}.action"), message);
        }
    }
}

/// The gateway leaves out a transformation whose template it cannot load, and bodies go on as they are.
fn template(endpoint: &Map<String, Value>, field: &str, found: &mut Findings) {
    let empty = Map::new();
    let data = object(endpoint, "template_data").unwrap_or(&empty);
    let (mode, source) = (text(data, "template_mode"), text(data, "template_source"));
    found.one_of(format_args!("{field}.template_data.template_mode"), mode, &SOURCES);
    blob(mode, source, &format!("{field}.template_data.template_source"), found);
}

fn function(endpoint: &Map<String, Value>, field: &str, found: &mut Findings) {
    let (mode, source) = (
        text(endpoint, "function_source_type"),
        text(endpoint, "function_source_uri"),
    );
    found.one_of(format_args!("{field}.function_source_type"), mode, &SOURCES);
    blob(mode, source, &format!("{field}.function_source_uri"), found);
    if text(endpoint, "response_function_name").is_empty() {
        found.error(format_args!("{field}.response_function_name"), "it is empty");
    }
}

fn blob(mode: &str, source: &str, field: &str, found: &mut Findings) {
    if mode == "blob" && !is_base64(source) {
        found.error(field, "a blob has to be base64");
    }
    if mode == "file" && source.is_empty() {
        found.error(field, "it names no file");
    }
}

fn breaker(endpoint: &Map<String, Value>, field: &str, found: &mut Findings) {
    let Some(threshold) = endpoint.get("threshold_percent") else {
        return;
    };
    let share = threshold.as_f64().or_else(|| parsed(threshold));
    if share.is_none_or(|share| !(0.0..=1.0).contains(&share)) {
        let message = format!("{threshold} is no share from 0 to 1");
        found.error(format_args!("{field}.threshold_percent"), message);
    }
}

fn rate_limit(endpoint: &Map<String, Value>, field: &str, found: &mut Findings) {
    for name in ["rate", "per"] {
        let value = endpoint.get(name).unwrap_or(&Value::Null);
        let number = value.as_f64().or_else(|| parsed(value)).unwrap_or_default();
        if number <= 0.0 {
            found.ignored(format_args!("{field}.{name}"), "without it nothing is limited");
        }
    }
}

fn rewrite(endpoint: &Map<String, Value>, field: &str, found: &mut Findings) {
    found.expression(format_args!("{field}.match_pattern"), text(endpoint, "match_pattern"));
    let triggers = objects(endpoint, "triggers");
    let internal = |holder: &Map<String, Value>| is_set(holder, "rewrite_to_internal");
    let empty = endpoint.get("rewrite_to").is_some_and(|to| to == "");
    if empty && !internal(endpoint) && !is_set(endpoint, "triggers") {
        found.error(format_args!("{field}.rewrite_to"), "it is empty");
    }
    for (index, trigger) in triggers {
        let field = format!("{field}.triggers[{index}]");
        if text(trigger, "rewrite_to").is_empty() && !internal(trigger) {
            found.error(format_args!("{field}.rewrite_to"), "it is empty");
        }
        for (source, matches) in entries(trigger, "options") {
            let Some(matches) = matches.as_object() else {
                continue;
            };
            let field = format!("{field}.options.{source}");
            found.expression(format_args!("{field}.match_rx"), text(matches, "match_rx"));
            for (name, value) in matches {
                let expression = value.get("match_rx").and_then(Value::as_str).unwrap_or_default();
                found.expression(format_args!("{field}.{name}.match_rx"), expression);
            }
        }
    }
}
