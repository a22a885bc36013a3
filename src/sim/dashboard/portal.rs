//! `/api/portal/catalogue`, `/api/portal/configuration` and `/api/portal/documentation`.

use hyper::Response;
use serde_json::Value;

use super::envelope;
use super::visit::Visit;
use crate::sim::definition::text;
use crate::sim::reply::{self, Body};

pub(super) fn answer(visit: &mut Visit<'_>, path: &[&str]) -> Response<Body> {
    match path {
        [name @ ("catalogue" | "configuration")] => object(visit, name),
        ["documentation", rest @ ..] => documentation(visit, rest),
        _ => visit.unknown(),
    }
}

fn object(visit: &mut Visit<'_>, name: &str) -> Response<Body> {
    let method = visit.sent.method.as_str();
    let held = visit.org.portal.get(name);
    if method == "GET" {
        return match held {
            Some(held) => reply::json(200, held),
            None => envelope::error(404, "Could not retrieve portal object."),
        };
    }
    let Some(mut sent) = visit.sent.object() else {
        return envelope::error(403, "Request body malformed.");
    };
    let id = match (method, held) {
        ("POST", None) => visit.serial.database_id(),
        ("PUT", Some(held)) if sent.get("id") == Some(&held["id"]) => text(held, "/id").to_owned(),
        ("PUT", None) => return envelope::error(404, "Could not retrieve portal object."),
        ("POST" | "PUT", _) => return envelope::error(400, "Request body malformed."),
        _ => return visit.unknown(),
    };
    sent.insert("id".to_owned(), Value::from(id.clone()));
    sent.insert("org_id".to_owned(), Value::from(visit.user.org.clone()));
    let message = if method == "POST" { id.as_str() } else { "Data updated" };
    visit.org.portal.insert(name.to_owned(), Value::Object(sent));
    envelope::ok(message)
}

fn documentation(visit: &mut Visit<'_>, path: &[&str]) -> Response<Body> {
    match (visit.sent.method.as_str(), path) {
        ("POST", []) => {
            let Some(sent) = visit.sent.object() else {
                return envelope::error(403, "Request body malformed.");
            };
            let id = visit.serial.database_id();
            visit.org.documentation.insert(id.clone(), Value::Object(sent));
            envelope::ok(&id)
        }
        ("DELETE", [id]) => match visit.org.documentation.remove(*id) {
            Some(_) => envelope::ok("Data deleted"),
            None => envelope::error(404, "Could not retrieve object for deletion"),
        },
        _ => visit.unknown(),
    }
}
