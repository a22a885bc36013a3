//! Keys, which the real gateway keeps in redis, and whether one may use an API.

use super::control::Call;
use super::core::Core;
use super::definition::{decode, text};
use super::policies::{self, Grant};
use super::reply::{self, Body};
use super::spec::Spec;
use super::state::State;
use hyper::Response;
use serde_json::json;

/// Answers `/tyk/keys` and `/tyk/keys/{key}`.
pub(super) fn answer(core: &Core, call: &Call, key: Option<&str>) -> Response<Body> {
    let mut state = core.state();
    match (call.method.as_str(), key) {
        ("GET", Some(key)) => match state.keys.get(key) {
            Some(session) => reply::json(200, session),
            None => reply::error(404, "Key not found"),
        },
        ("DELETE", Some(key)) => match state.keys.remove(key) {
            Some(_) => reply::modified(key, "deleted"),
            None => reply::error(404, "There is no such key found"),
        },
        ("PUT", Some(key)) if !state.keys.contains_key(key) => reply::error(404, "Key is not found"),
        (method, key) => write(
            &mut state,
            call,
            key,
            if method == "PUT" { "modified" } else { "added" },
        ),
    }
}

fn write(state: &mut State, call: &Call, key: Option<&str>, action: &str) -> Response<Body> {
    let Ok(session) = decode(&call.body) else {
        return match key {
            Some(_) => reply::error(400, "Request malformed"),
            None => reply::error(500, "Unmarshalling failed"),
        };
    };
    let org = text(&session, "/org_id").to_owned();
    // Nothing says yet for which API, so that every organisation will do.
    let any = state.policies.values().map(|policy| text(policy, "/org_id"));
    let grants: Vec<_> = any
        .chain([org.as_str()])
        .map(|org| policies::apply(&session, &state.policies, org))
        .collect();
    let granted = grants.iter().flatten().any(|grant| !grant.rights.is_empty());
    if !granted {
        let why = grants.into_iter().find_map(Result::err);
        return match (key, why) {
            (None, Some(why)) => reply::error(500, &format!("Failed to create key - {why}")),
            (None, None) => {
                let message = "Failed to create key, keys must have at least one Access Rights record set.";
                reply::error(400, message)
            }
            (Some(_), _) => reply::error(500, "Failed to create key, ensure security settings are correct."),
        };
    }
    let key = key.map_or_else(|| format!("{org}{:032x}", rand::random::<u128>()), str::to_owned);
    state.keys.insert(key.clone(), session);
    reply::json(200, &json!({"key": key, "status": "ok", "action": action}))
}

/// Whether the key of a header's value may use an API: status and message of the refusal if not.
pub(super) fn admit(core: &Core, spec: &Spec, value: &[u8]) -> Result<(), (u16, &'static str)> {
    const DISALLOWED: (u16, &str) = (403, "Access to this API has been disallowed");
    let value = String::from_utf8_lossy(value);
    let bearer = value
        .get(..7)
        .is_some_and(|start| start.eq_ignore_ascii_case("bearer "));
    let key = if bearer { &value[7..] } else { &value };
    let state = core.state();
    let session = state.keys.get(key).ok_or(DISALLOWED)?;
    let org = text(&spec.definition, "/org_id");
    let Grant { inactive, rights } = policies::apply(session, &state.policies, org).map_err(|_| DISALLOWED)?;
    if inactive {
        return Err((403, "Key is inactive, please renew"));
    }
    if rights.is_empty() {
        return Ok(());
    }
    let right = rights.get(&spec.id).ok_or(DISALLOWED)?;
    let data = &spec.definition["version_data"];
    let mut versions = right["versions"].as_array().into_iter().flatten();
    if data["not_versioned"] == true || versions.any(|version| *version == data["default_version"]) {
        return Ok(());
    }
    Err(DISALLOWED)
}
