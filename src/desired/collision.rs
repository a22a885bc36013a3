//! Who gets an API id, or a domain and listen path, that several resources ask for. Sent together, the gateway would
//! overwrite one, or rename both and keep them renamed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Api, Candidate};
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
            diagnostics.push(Diagnostic::new(Code::ApiIdConflict, api.source, "spec.api_id", message));
            continue;
        }
        if let Some((route, what)) = route(&api.payload) {
            if let Some(winner) = routes.get(&route) {
                let message = format!("{what} belongs to {winner}");
                diagnostics.push(Diagnostic::new(
                    Code::ListenPathCollision,
                    api.source,
                    "spec.proxy.listen_path",
                    message,
                ));
                continue;
            }
            routes.insert(route, api.source.clone());
        }
        apis.insert(id, api);
    }
    apis
}

/// The text by which the gateway tells routes apart (the port is not part of it), and how to name it.
fn route(payload: &Value) -> Option<(String, String)> {
    if matches!(payload["protocol"].as_str(), Some("tcp" | "tls")) {
        return None;
    }
    let domain = match payload["domain_disabled"].as_bool() {
        Some(true) => "",
        _ => payload["domain"].as_str().unwrap_or_default(),
    };
    let listen_path = payload["proxy"]["listen_path"].as_str()?;
    let host = if domain.is_empty() {
        "all hosts".to_owned()
    } else {
        format!("domain {domain:?}")
    };
    Some((
        format!("{domain}{listen_path}"),
        format!("listen path {listen_path:?} of {host}"),
    ))
}
