//! `/api/certs`: certificates as the gateways store them, under the organisation of the caller.

use hyper::Response;
use serde_json::{Value, json};

use super::envelope;
use super::visit::Visit;
use crate::sim::definition::text;
use crate::sim::reply::{self, Body};

pub(super) fn answer(visit: &mut Visit<'_>, path: &[&str]) -> Response<Body> {
    let org = visit.user.org.clone();
    if let [id, ..] = path
        && !id.starts_with(&org)
    {
        return envelope::error(400, "Attempted access to non-owned certificate.");
    }
    match (visit.sent.method.as_str(), path) {
        ("GET", []) => {
            let ids = visit.org.certs.ids(&org).into_iter().map(Value::from).collect();
            visit.page(ids, ("certs", "pages"), 1)
        }
        ("POST", []) => add(visit, &org),
        ("GET", [id]) => match visit.org.certs.get(id) {
            Some(stored) => reply::json(200, &stored.meta(id)),
            None => {
                let reason = "Certificate with given SHA256 fingerprint not found.";
                envelope::error(404, &format!("Could not retrieve certificate details. {reason}"))
            }
        },
        ("GET", [id, "apis"]) => users(visit, id),
        ("DELETE", [id]) => match visit.org.certs.remove(id) {
            true => reply::json(200, &json!({"status": "ok", "message": "removed"})),
            false => envelope::error(404, "Could not delete certificate."),
        },
        _ => visit.unknown(),
    }
}

fn add(visit: &mut Visit<'_>, org: &str) -> Response<Body> {
    let Some(pem) = file(visit.sent.header("content-type"), &visit.sent.body) else {
        return envelope::error(500, "Failed to read response body, body empty.");
    };
    match visit.org.certs.add(&pem, org) {
        Ok(id) => reply::json(200, &json!({"id": id, "message": "Certificate added.", "status": "ok"})),
        Err(reason) => {
            let reason = reason.replace(" id already exists", " already exists");
            envelope::error(404, &format!("Could not create certificate. {reason}."))
        }
    }
}

fn users(visit: &Visit<'_>, id: &str) -> Response<Body> {
    if visit.org.certs.get(id).is_none() {
        return envelope::error(404, "Certificate not found or access denied");
    }
    let using = visit
        .org
        .apis
        .values()
        .filter(|api| api.definition.to_string().contains(id));
    let apis = using.map(|api| json!({"api_id": api.api_id(), "name": text(&api.definition, "/name")}));
    visit.page(apis.collect(), ("apis", "pages"), 1)
}

/// The content of the field `cert` of a form.
fn file(content_type: &str, body: &[u8]) -> Option<Vec<u8>> {
    let (kind, boundary) = content_type.split_once("boundary=")?;
    if !kind.starts_with("multipart/form-data") {
        return None;
    }
    let body = String::from_utf8_lossy(body);
    let delimiter = format!("--{boundary}");
    let mut parts = body.split(&delimiter);
    let part = parts.find(|part| part.contains("name=\"cert\""))?;
    let (_, content) = part.split_once("\r\n\r\n")?;
    Some(content.strip_suffix("\r\n")?.as_bytes().to_vec())
}
