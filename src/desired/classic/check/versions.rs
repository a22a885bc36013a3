//! Versions: a request that finds none is answered with 403.

use jiff::civil::DateTime;
use serde_json::{Map, Value};

use super::Findings;
use crate::desired::classic::fields::{is_set, is_true, object, text, versions};

/// How the gateway writes the end of a version.
const EXPIRES: &str = "%Y-%m-%d %H:%M";

pub(super) fn check(definition: &Map<String, Value>, found: &mut Findings) {
    if let Some(location) = object(definition, "definition") {
        let pattern = text(location, "url_versioning_pattern");
        found.expression("definition.url_versioning_pattern", pattern);
    }
    let names: Vec<&str> = versions(definition).map(|(key, _)| key.as_str()).collect();
    let Some(data) = object(definition, "version_data").filter(|_| !names.is_empty()) else {
        return;
    };
    for (key, version) in versions(definition) {
        let expires = text(version, "expires");
        if !matches!(expires, "" | "-1") && DateTime::strptime(EXPIRES, expires).is_err() {
            let message =
                format!("{expires:?} is no time such as 2030-12-31 23:59, so the gateway refuses every request");
            found.error(format_args!("version_data.versions.{key}.expires"), message);
        }
        if version.get("use_extended_paths") == Some(&Value::Bool(false)) && is_set(version, "extended_paths") {
            let message = "use_extended_paths is false";
            found.ignored(format_args!("version_data.versions.{key}.extended_paths"), message);
        }
    }
    if is_true(data, "not_versioned") {
        return unversioned(&names, found);
    }
    versioned(definition, data, &names, found);
}

fn unversioned(names: &[&str], found: &mut Findings) {
    let defaults = names
        .iter()
        .filter(|name| matches!(**name, "Default" | "default" | ""))
        .count();
    let message = match (names.len(), defaults) {
        (1, _) | (_, 1) => return,
        (_, 0) => "without versions the gateway looks for the one named Default, and there is none",
        _ => "without versions the gateway looks for the one named Default, and there are several",
    };
    found.error("version_data.versions", message);
}

fn versioned(definition: &Map<String, Value>, data: &Map<String, Value>, names: &[&str], found: &mut Findings) {
    let location = object(definition, "definition")
        .map(|it| text(it, "location"))
        .unwrap_or_default();
    let default = text(data, "default_version");
    // What the payload adds to a single version that is not asked for.
    if names.len() == 1 && location.is_empty() && !is_set(data, "not_versioned") && default.is_empty() {
        return;
    }
    if !matches!(location, "header" | "url" | "url-param") {
        let message = format!("{location:?} is none of header, url and url-param");
        match default {
            "" => found.error(
                "definition.location",
                format!("{message}, and there is no default_version"),
            ),
            _ => found.ignored(
                "definition.location",
                format!("{message}; every request gets default_version"),
            ),
        }
    }
    if !default.is_empty() && !names.contains(&default) {
        let message = format!("there is no version {default:?}, so requests without a version are refused");
        found.ignored("version_data.default_version", message);
    }
}
