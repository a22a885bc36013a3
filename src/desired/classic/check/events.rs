//! Event handlers and uptime tests.

use serde_json::{Map, Value};

use super::Findings;
use super::auth::is_base64;
use crate::desired::classic::fields::{entries, is_true, object, objects, text};

const EVENTS: [&str; 21] = [
    "AuthFailure",
    "BreakerReset",
    "BreakerTriggered",
    "BreakerTripped",
    "CertificateExpired",
    "CertificateExpiringSoon",
    "HostDown",
    "HostUp",
    "KeyExpired",
    "OrgQuotaExceeded",
    "OrgRateLimitExceeded",
    "QuotaExceeded",
    "RateLimitSmoothingDown",
    "RateLimitSmoothingUp",
    "RatelimitExceeded",
    "TokenCreated",
    "TokenDeleted",
    "TokenUpdated",
    "TriggerExceeded",
    "UpstreamOAuthError",
    "VersionFailure",
];

pub(super) fn check(definition: &Map<String, Value>, found: &mut Findings) {
    let handlers = object(definition, "event_handlers");
    for (event, handlers) in handlers.into_iter().flat_map(|handlers| entries(handlers, "events")) {
        let field = format!("event_handlers.events.{event}");
        if !EVENTS.contains(&event.as_str()) {
            found.ignored(&field, "the gateway has no such event");
        }
        let handlers = handlers.as_array().map(Vec::as_slice).unwrap_or_default();
        for (index, handler) in handlers.iter().enumerate() {
            if let Some(handler) = handler.as_object() {
                one(handler, &format!("{field}[{index}]"), found);
            }
        }
    }
    if let Some(tests) = object(definition, "uptime_tests").filter(|tests| !is_true(tests, "disabled")) {
        uptime(tests, found);
    }
}

/// The gateway takes some fields of `handler_meta` for granted: without them its process ends when it loads the API.
fn one(handler: &Map<String, Value>, field: &str, found: &mut Findings) {
    let empty = Map::new();
    let meta = object(handler, "handler_meta").unwrap_or(&empty);
    if is_true(meta, "disabled") {
        return;
    }
    match text(handler, "handler_name") {
        "eh_log_handler" => {}
        "eh_web_hook_handler" => {
            let target = text(meta, "target_path");
            if !target.starts_with("http://") && !target.starts_with("https://") {
                let message = "a webhook needs a URL that begins with http:// or https://";
                found.ignored(format_args!("{field}.handler_meta.target_path"), message);
            }
        }
        "eh_dynamic_handler" => required(meta, "path", field, found),
        "cp_dynamic_handler" => required(meta, "name", field, found),
        other => {
            let message = format!("{other:?} is no handler of the gateway");
            found.ignored(format_args!("{field}.handler_name"), message);
        }
    }
}

fn required(meta: &Map<String, Value>, name: &str, field: &str, found: &mut Findings) {
    if text(meta, name).is_empty() {
        let message = "the handler needs it; without it the gateway ends";
        found.error(format_args!("{field}.handler_meta.{name}"), message);
    }
}

fn uptime(tests: &Map<String, Value>, found: &mut Findings) {
    for (index, test) in objects(tests, "check_list") {
        let field = format!("uptime_tests.check_list[{index}]");
        if text(test, "url").is_empty() {
            found.ignored(format_args!("{field}.url"), "a test needs a URL");
        }
        if !is_base64(text(test, "body")) {
            found.ignored(format_args!("{field}.body"), "the body of a test has to be base64");
        }
    }
}
