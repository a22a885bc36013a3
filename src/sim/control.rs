//! The control API: `/hello`, `/ready` and everything below `/tyk/`.

use super::core::{Core, Cut};
use super::definition::{self, flag, text};
use super::mcp::{self, is_mcp};
use super::reply::{self, Body};
use super::url::Path;
use super::{certs, keys, oas, policies, versions};
use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use serde_json::{Value, json};

/// The largest body that is read; a longer one is malformed. Unlimited in the real gateway.
const BODY_LIMIT: usize = 10 << 20;

/// Whether a clean path belongs to the control API, on whatever host.
pub(super) fn owns(path: &[u8]) -> bool {
    path == b"/hello" || path == b"/ready" || path.starts_with(b"/tyk/")
}

/// A call with its body.
pub(super) struct Call {
    /// What `X-Tyk-Authorization` holds.
    key: Vec<u8>,
    pub method: Method,
    pub query: String,
    pub body: Bytes,
}

impl Call {
    /// Reads a call to its end. A body that is too long counts as none.
    pub async fn read(request: Request<Incoming>) -> Call {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, BODY_LIMIT).collect().await;
        Call {
            key: parts
                .headers
                .get("X-Tyk-Authorization")
                .map(|value| value.as_bytes().to_vec())
                .unwrap_or_default(),
            method: parts.method,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body: body.map(Collected::to_bytes).unwrap_or_default(),
        }
    }

    /// A parameter of the query, empty if it is absent.
    pub fn parameter(&self, name: &str) -> String {
        parameter(&self.query, name)
    }
}

/// A parameter of a query, empty if it is absent.
pub(super) fn parameter(query: &str, name: &str) -> String {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let value = pairs
        .into_iter()
        .find(|(key, _)| *key == name)
        .map_or("", |(_, value)| value);
    let value = super::url::unescape(value.replace('+', " ").as_bytes()).unwrap_or_default();
    String::from_utf8_lossy(&value).into_owned()
}

/// Answers a call; [`Cut`] if the process ends while it waits.
pub(super) async fn answer(core: &Core, path: &Path, call: &Call) -> Result<Response<Body>, Cut> {
    let path = path.text().into_owned();
    let Some(path) = path.strip_prefix("/tyk") else {
        return Ok(health(core, &path, &call.method));
    };
    if call.key != core.config.secret.as_bytes() {
        return Ok(reply::error(
            403,
            "Attempted administrative access with invalid or missing key!",
        ));
    }
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return Ok(reply::redirect("/"));
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    if segments == ["reload"] && call.method == Method::GET {
        let done = core.want_reload();
        if call.parameter("block") == "true" {
            done.await.map_err(|_| Cut)?;
        }
        return Ok(reply::ok(""));
    }
    Ok(dispatch(core, call, &segments))
}

fn dispatch(core: &Core, call: &Call, segments: &[&str]) -> Response<Body> {
    let method = call.method.as_str();
    match (segments, method) {
        (["reload", "group"], "GET") => {
            drop(core.want_reload());
            reply::ok("")
        }
        (["apis"], "GET") => list(core, call),
        (["apis"], "POST") => add(core, call),
        (["apis", "oas"], "GET") => oas::list(core, |definition| !is_mcp(definition)),
        (["apis", "oas"], "POST") => oas::add(core, call, false),
        (["apis", id], "GET") => get(core, id),
        (["apis", _], "POST") => add(core, call),
        (["apis", id], "PUT") => update(core, call, id),
        (["apis", "oas", id], "GET") => oas::get(core, id),
        (["apis", "oas", id], "PUT") => oas::update(core, call, id, false),
        (["apis", id] | ["apis", "oas", id], "DELETE") => delete(core, id),
        (["mcps", ..], _) if core.config.mcp && segments.len() <= 2 => {
            mcp::answer(core, call, segments.get(1).copied())
        }
        (["policies", ..], _) if segments.len() <= 2 => policies::answer(core, call, segments.get(1).copied()),
        (["keys"], "POST") | (["keys", _], "GET" | "POST" | "PUT" | "DELETE") => {
            keys::answer(core, call, segments.get(1).copied())
        }
        (["certs"], "GET" | "POST") | (["certs", _], "GET" | "POST" | "DELETE") => {
            certs::answer(core, call, segments.get(1).copied())
        }
        (
            ["reload"] | ["reload", "group"] | ["apis"] | ["apis", _] | ["apis", "oas", _] | ["certs"] | ["certs", _],
            _,
        ) => reply::error(405, "Method not supported"),
        _ => reply::not_found(),
    }
}

fn health(core: &Core, path: &str, method: &Method) -> Response<Body> {
    if method != Method::GET {
        return reply::error(405, "Method Not Allowed");
    }
    let description = if path == "/ready" { "Tyk GW Ready" } else { "Tyk GW" };
    let redis = json!({"status": "pass", "componentType": "datastore"});
    reply::json(
        200,
        &json!({"status": "pass", "version": core.config.version, "description": description, "details": {"redis": redis}}),
    )
}

/// MCP proxies are only among them when they are asked for.
fn list(core: &Core, call: &Call) -> Response<Body> {
    let types = call.parameter("include_types");
    let all = types.split(',').any(|kind| kind.trim() == "mcp");
    let state = core.state();
    let definitions = state.apis.values().map(|spec| &spec.definition);
    let listed = definitions.filter(|definition| all || !is_mcp(definition));
    reply::json(200, &Value::Array(listed.cloned().collect()))
}

fn get(core: &Core, id: &str) -> Response<Body> {
    match core.state().apis.get(id) {
        Some(spec) => reply::json(200, &spec.definition),
        None => reply::error(404, "API not found"),
    }
}

fn add(core: &Core, call: &Call) -> Response<Body> {
    let Ok(mut definition) = definition::decode(&call.body).and_then(definition::api) else {
        return reply::error(400, "Request malformed");
    };
    if let Err(reason) = definition::validate(&definition) {
        return reply::error(400, &format!("Validation of API Definition failed. Reason: {reason}."));
    }
    if text(&definition, "/api_id").is_empty() {
        definition["api_id"] = Value::String(definition::generate_id());
    }
    write(core, definition, None, "added")
}

fn update(core: &Core, call: &Call, id: &str) -> Response<Body> {
    match core.state().apis.get(id) {
        None => return reply::error(404, "API not found"),
        Some(spec) if spec.oas.is_some() => {
            return reply::error(
                400,
                "this API endpoint only supports Tyk Classic APIs; please use the appropriate Tyk OAS API endpoint",
            );
        }
        Some(_) => {}
    }
    let Ok(definition) = definition::decode(&call.body).and_then(definition::api) else {
        return reply::error(400, "Request malformed");
    };
    if text(&definition, "/api_id") != id {
        return reply::error(
            400,
            "Request APIID does not match that in Definition! For Update operations these must match.",
        );
    }
    if let Err(reason) = definition::validate(&definition) {
        return reply::error(400, &format!("Validation of API Definition failed. Reason: {reason}."));
    }
    write(core, definition, None, "modified")
}

/// Writes the files of an API and says so.
pub(super) fn write(core: &Core, mut definition: Value, oas: Option<Value>, action: &str) -> Response<Body> {
    let id = text(&definition, "/api_id").to_owned();
    if oas.is_some() {
        definition["is_oas"] = Value::Bool(true);
    } else if flag(&definition, "/is_oas") {
        definition["is_oas"] = Value::Bool(false);
    }
    match core.state().write_api(definition, oas) {
        Ok(()) => reply::modified(&id, action),
        Err(_) => reply::error(500, "file object creation failed, write error"),
    }
}

fn delete(core: &Core, id: &str) -> Response<Body> {
    let mut state = core.state();
    if !state.apis.contains_key(id) {
        return reply::error(404, "API not found");
    }
    // The files of an MCP proxy have other names.
    let mcp = state.apis.get(id).is_some_and(|spec| is_mcp(&spec.definition));
    if !mcp && state.remove_api(id) {
        versions::forget(&mut state, id);
        reply::modified(id, "deleted")
    } else {
        reply::error(500, "Delete failed")
    }
}
