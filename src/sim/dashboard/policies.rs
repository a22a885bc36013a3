//! `/api/portal/policies`: policies by the id of the database.

use hyper::Response;
use serde_json::Value;

use super::envelope;
use super::visit::Visit;
use crate::sim::definition::{self, text};
use crate::sim::reply::{self, Body};

const NAME_TAKEN: &str = "This policy name has already been used. Enter a unique policy name.";

pub(super) fn answer(visit: &mut Visit<'_>, path: &[&str]) -> Response<Body> {
    let method = visit.sent.method.clone();
    let id = match path {
        [] => None,
        [id] if id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => Some((*id).to_owned()),
        [_] => return envelope::error(400, "Invalid policy ID."),
        _ => return visit.unknown(),
    };
    match (method.as_str(), id) {
        ("GET", None) => {
            let policies = visit.org.policies.values().cloned().collect();
            visit.page(policies, ("Data", "Pages"), 1)
        }
        ("POST", None) => write(visit, None),
        ("GET", Some(id)) => match visit.org.policies.get(&id) {
            Some(policy) => reply::json(200, policy),
            None => envelope::error(404, "Could not retrieve portal object."),
        },
        ("PUT", Some(id)) if visit.org.policies.contains_key(&id) => write(visit, Some(id)),
        ("PUT", Some(_)) => envelope::error(404, "Could not retrieve portal object."),
        ("DELETE", Some(id)) => match visit.org.policies.remove(&id) {
            Some(_) => envelope::ok("Data deleted"),
            None => envelope::error(404, "Could not retrieve object for deletion"),
        },
        _ => visit.unknown(),
    }
}

fn write(visit: &mut Visit<'_>, held: Option<String>) -> Response<Body> {
    let Some(sent) = visit.sent.object() else {
        return envelope::error(403, "Request body malformed.");
    };
    let mut policy = Value::Object(sent);
    let name = text(&policy, "/name").to_owned();
    let others = visit.org.policies.iter().filter(|(id, _)| Some(*id) != held.as_ref());
    if others.into_iter().any(|(_, other)| text(other, "/name") == name) {
        return envelope::error(400, NAME_TAKEN);
    }
    let new = held.is_none();
    let database_id = held.unwrap_or_else(|| visit.serial.database_id());
    if text(&policy, "/id").is_empty() || !visit.config.explicit_policy_id {
        policy["id"] = Value::from(database_id.clone());
    }
    policy["_id"] = Value::from(database_id.clone());
    policy["org_id"] = Value::from(visit.user.org.clone());
    let Ok(policy) = definition::policy(policy) else {
        return envelope::error(403, "Request body malformed.");
    };
    visit.org.policies.insert(database_id.clone(), policy);
    envelope::ok(if new { &database_id } else { "Data updated" })
}
