//! Plugins.

use serde_json::{Map, Value};

use super::Findings;
use crate::desired::classic::fields::{is_set, is_true, object, objects, text};

/// Without a driver the plugins are those of a bundle, or JavaScript files that the gateway finds by the API's id.
const DRIVERS: [&str; 6] = ["", "otto", "python", "lua", "grpc", "goplugin"];
const EXTRACTORS: [&str; 4] = ["", "value", "regex", "xpath"];
const ORIGINS: [&str; 5] = ["", "header", "querystring", "form", "body"];
const PROCESSORS: [&str; 6] = [
    "header_injector",
    "header_transform",
    "response_body_transform",
    "response_body_transform_jq",
    "custom_mw_res_hook",
    "goplugin_res_hook",
];

pub(super) fn check(definition: &Map<String, Value>, found: &mut Findings) {
    for (index, processor) in objects(definition, "response_processors") {
        let name = text(processor, "name");
        if !PROCESSORS.contains(&name) {
            let message = format!("{name:?} is none of {}", PROCESSORS.join(", "));
            found.ignored(format_args!("response_processors[{index}].name"), message);
        }
    }
    let bundled = is_set(definition, "custom_middleware_bundle");
    let empty = Map::new();
    let plugins = object(definition, "custom_middleware").unwrap_or(&empty);
    let driver = text(plugins, "driver");
    found.one_of("custom_middleware.driver", driver, &DRIVERS);
    authentication(definition, plugins, bundled, found);
    for stage in ["pre", "post_key_auth", "post", "response"] {
        for (index, hook) in objects(plugins, stage) {
            let field = format!("custom_middleware.{stage}[{index}]");
            hook_of(hook, driver, &field, found);
        }
    }
    if let Some(extractor) = object(plugins, "id_extractor") {
        let field = "custom_middleware.id_extractor";
        let (from, with) = (text(extractor, "extract_from"), text(extractor, "extract_with"));
        found.one_of(format_args!("{field}.extract_from"), from, &ORIGINS);
        found.one_of(format_args!("{field}.extract_with"), with, &EXTRACTORS);
    }
}

fn authentication(definition: &Map<String, Value>, plugins: &Map<String, Value>, bundled: bool, found: &mut Findings) {
    let switches = [
        "custom_plugin_auth_enabled",
        "enable_coprocess_auth",
        "use_go_plugin_auth",
    ];
    let Some(switch) = switches.iter().find(|switch| is_true(definition, switch)) else {
        return;
    };
    if bundled || is_true(definition, "use_keyless") {
        return;
    }
    match object(plugins, "auth_check").filter(|hook| !text(hook, "name").is_empty()) {
        Some(hook) => hook_of(hook, text(plugins, "driver"), "custom_middleware.auth_check", found),
        None => found.error("custom_middleware.auth_check", format!("{switch} needs a plugin")),
    }
}

fn hook_of(hook: &Map<String, Value>, driver: &str, field: &str, found: &mut Findings) {
    if is_true(hook, "disabled") {
        return;
    }
    if text(hook, "name").is_empty() {
        found.error(format_args!("{field}.name"), "a plugin needs a name");
    }
    if driver == "goplugin" && text(hook, "path").is_empty() {
        found.error(format_args!("{field}.path"), "a Go plugin needs the path of its file");
    }
}
