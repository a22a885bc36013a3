//! MCP proxies, as a gateway from 5.12 on has them (source): documents below a path of their own. Their traffic is
//! forwarded like that of any other API; what the gateway makes of JSON-RPC messages is not simulated.

use super::control::Call;
use super::core::Core;
use super::definition::text;
use super::reply::{self, Body};
use super::{oas, versions};
use hyper::Response;
use serde_json::Value;

/// Whether a classic definition stands for an MCP proxy.
pub(super) fn is_mcp(definition: &Value) -> bool {
    text(definition, "/application_protocol") == "mcp"
}

/// Answers a call below `/tyk/mcps`.
pub(super) fn answer(core: &Core, call: &Call, id: Option<&str>) -> Response<Body> {
    match (call.method.as_str(), id) {
        ("GET", None) => oas::list(core, is_mcp),
        ("POST", None) => oas::add(core, call, true),
        ("GET" | "PUT" | "DELETE", Some(id)) => one(core, call, id),
        _ => reply::error(405, "Method not supported"),
    }
}

fn one(core: &Core, call: &Call, id: &str) -> Response<Body> {
    match core.state().apis.get(id).map(|spec| is_mcp(&spec.definition)) {
        None => return reply::error(404, "API not found"),
        Some(false) => return reply::error(404, "API is not an MCP Proxy"),
        Some(true) => {}
    }
    match call.method.as_str() {
        "GET" => oas::get(core, id),
        "PUT" => oas::update(core, call, id, true),
        _ => delete(core, id),
    }
}

fn delete(core: &Core, id: &str) -> Response<Body> {
    let mut state = core.state();
    if !state.remove_api(id) {
        return reply::error(500, "Delete failed");
    }
    versions::forget(&mut state, id);
    reply::modified(id, "deleted")
}
