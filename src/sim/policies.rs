//! Policies: files that a reload reads, and what they make of a key's session at each request.

use super::control::Call;
use super::core::Core;
use super::definition::{self, flag, text};
use super::reply::{self, Body};
use super::state::State;
use hyper::{Method, Response};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Answers `/tyk/policies` and `/tyk/policies/{id}`.
pub(super) fn answer(core: &Core, call: &Call, id: Option<&str>) -> Response<Body> {
    let mut state = core.state();
    match (call.method.as_str(), id) {
        ("GET", None) => reply::json(200, &Value::Array(state.policies.values().cloned().collect())),
        ("GET", Some(id)) => match state.policies.get(id) {
            Some(policy) if !id.is_empty() => reply::json(200, policy),
            _ => reply::error(404, "Policy not found"),
        },
        ("PUT", None) => reply::error(400, "Must specify an apiID to update"),
        ("DELETE", None) => reply::error(400, "Must specify an apiID to delete"),
        ("DELETE", Some(id)) if state.remove_policy(id) => reply::modified(id, "deleted"),
        ("DELETE", Some(_)) => reply::error(500, "Delete failed"),
        ("POST" | "PUT", id) => write(core.config.policy_path, &mut state, call, id),
        _ => reply::error(405, "Method not supported"),
    }
}

fn write(has_path: bool, state: &mut State, call: &Call, id: Option<&str>) -> Response<Body> {
    let Ok(mut policy) = definition::decode(&call.body).and_then(definition::policy) else {
        return reply::error(400, "Request malformed");
    };
    let put = call.method == Method::PUT;
    if put && id != Some(text(&policy, "/id")) {
        let message = "Request ID does not match that in policy! For Update operations these must match.";
        return reply::error(400, message);
    }
    if text(&policy, "/id").is_empty() {
        policy["id"] = policy["_id"].clone();
    }
    let id = text(&policy, "/id").to_owned();
    if id.is_empty() {
        return reply::error(400, "Unable to create policy without id.");
    }
    if !has_path {
        return reply::error(500, "Unable to access policy storage.");
    }
    match state.write_policy(policy) {
        Ok(()) => reply::modified(&id, if put { "modified" } else { "added" }),
        Err(_) => reply::error(500, "Failed to create file!"),
    }
}

/// What a session may do once its policies are applied.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Grant {
    pub inactive: bool,
    /// Rights by API id; without any, a session may use every API.
    pub rights: Map<String, Value>,
}

/// Applies the policies of a session for an API of this organisation.
///
/// # Errors
/// Why the key counts as unknown.
pub(super) fn apply(session: &Value, policies: &BTreeMap<String, Value>, org: &str) -> Result<Grant, String> {
    let ids = session["apply_policies"].as_array().into_iter().flatten();
    let mut ids: Vec<&str> = ids.filter_map(Value::as_str).collect();
    if ids.is_empty() {
        ids.extend(session["apply_policy_id"].as_str().filter(|id| !id.is_empty()));
    }
    if ids.is_empty() {
        return Ok(Grant {
            inactive: flag(session, "/is_inactive"),
            rights: session["access_rights"].as_object().cloned().unwrap_or_default(),
        });
    }
    let mut grant = Grant::default();
    for id in &ids {
        let Some(policy) = policies.get(*id) else {
            if ids.len() > 1 {
                continue;
            }
            return Err(format!("policy not found: {id:?}"));
        };
        if text(policy, "/org_id") != org {
            return Err("attempting to apply policy from different organisation to key, skipping".to_owned());
        }
        grant.inactive |= flag(policy, "/is_inactive");
        let parts = &policy["partitions"];
        let other = ["quota", "rate_limit", "complexity"];
        if parts["acl"] == true || !other.iter().any(|part| parts[*part] == true) {
            let rights = policy["access_rights"].as_object().cloned().unwrap_or_default();
            grant.rights.extend(rights);
        }
    }
    if grant.rights.is_empty() {
        return Err("key has no valid policies to be applied".to_owned());
    }
    Ok(grant)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn policies() -> BTreeMap<String, Value> {
        let policy = |rights: &[&str], more: Value| {
            let rights = rights
                .iter()
                .map(|id| ((*id).to_owned(), json!({"api_id": id})))
                .collect::<Map<_, _>>();
            let mut policy = json!({"org_id": "o", "access_rights": rights});
            policy
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            policy
        };
        BTreeMap::from([
            ("gold".to_owned(), policy(&["a", "b"], json!({}))),
            ("silver".to_owned(), policy(&["c"], json!({}))),
            ("denied".to_owned(), policy(&["a"], json!({"is_inactive": true}))),
            ("empty".to_owned(), policy(&[], json!({}))),
            (
                "quota".to_owned(),
                policy(&["d"], json!({"partitions": {"quota": true}})),
            ),
        ])
    }

    #[test]
    fn rights_are_those_of_all_policies() {
        let apply = |ids: &[&str]| super::apply(&json!({"apply_policies": ids}), &policies(), "o");
        let rights = |ids: &[&str]| apply(ids).unwrap().rights.keys().cloned().collect::<Vec<_>>();
        assert_eq!(rights(&["gold"]), ["a", "b"]);
        assert_eq!(rights(&["gold", "silver", "missing", "empty"]), ["a", "b", "c"]);
        assert_eq!(rights(&["gold", "quota"]), ["a", "b"]);
        assert!(apply(&["gold", "denied"]).unwrap().inactive);
        for refused in ["missing", "empty", "quota"] {
            assert!(apply(&[refused]).is_err(), "{refused}");
        }
        assert!(super::apply(&json!({"apply_policies": ["gold"]}), &policies(), "other").is_err());
        assert_eq!(super::apply(&json!({}), &policies(), "o").unwrap(), Grant::default());
    }
}
