//! Who gets an API id, or a domain and listen path, that several resources ask for. Sent together, the gateway would
//! overwrite one, or rename both and keep them renamed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Api, Candidate, oas};
use crate::diagnostic::{Code, Diagnostic, ObjectRef};

/// Keeps one definition for each id and for each domain and listen path: the oldest, then by namespace and name.
pub(super) fn settle(mut candidates: Vec<Candidate>, diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<String, Api> {
    candidates
        .sort_by(|a, b| (a.created.is_none(), a.created, &a.name).cmp(&(b.created.is_none(), b.created, &b.name)));
    let mut apis: BTreeMap<String, Api> = BTreeMap::new();
    let mut routes: BTreeMap<String, ObjectRef> = BTreeMap::new();
    for Candidate { id, api, .. } in candidates {
        if let Some(winner) = apis.get(&id) {
            let message = format!("API id {id:?} belongs to {}", winner.source);
            let field = field(&api, "spec.api_id");
            diagnostics.push(Diagnostic::new(Code::ApiIdConflict, api.source, field, message));
            continue;
        }
        if let Some((route, what)) = route(&api.payload) {
            if let Some(winner) = routes.get(&route) {
                let message = format!("{what} belongs to {winner}");
                let field = field(&api, "spec.proxy.listen_path");
                diagnostics.push(Diagnostic::new(Code::ListenPathCollision, api.source, field, message));
                continue;
            }
            routes.insert(route, api.source.clone());
        }
        apis.insert(id, api);
    }
    apis
}

/// The field to change: `classic`, or where the document is.
fn field(api: &Api, classic: &'static str) -> &'static str {
    if oas::is_document(&api.payload) {
        "spec.tykOAS"
    } else {
        classic
    }
}

/// The text by which the gateway tells routes apart (the port is not part of it), and how to name it.
fn route(payload: &Value) -> Option<(String, String)> {
    // Only a Dashboard is sent what is not to be served.
    let state = match oas::is_document(payload) {
        true => payload.pointer("/x-tyk-api-gateway/info/state/active"),
        false => payload.get("active"),
    };
    if state == Some(&Value::Bool(false)) {
        return None;
    }
    if oas::is_document(payload) {
        let (domain, listen_path) = oas::route(payload);
        return Some(named(domain, listen_path));
    }
    if matches!(payload["protocol"].as_str(), Some("tcp" | "tls")) {
        return None;
    }
    let domain = match payload["domain_disabled"].as_bool() {
        Some(true) => "",
        _ => payload["domain"].as_str().unwrap_or_default(),
    };
    Some(named(domain, payload["proxy"]["listen_path"].as_str()?))
}

fn named(domain: &str, listen_path: &str) -> (String, String) {
    let host = if domain.is_empty() {
        "all hosts".to_owned()
    } else {
        format!("domain {domain:?}")
    };
    (
        format!("{domain}{listen_path}"),
        format!("listen path {listen_path:?} of {host}"),
    )
}
