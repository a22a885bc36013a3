//! OAS APIs: the document with its `x-tyk-api-gateway`, and the classic form that the gateway makes of it.

use super::control::{self, Call};
use super::core::Core;
use super::definition::{self, flag, text};
use super::reply::{self, Body};
use super::template::{Kind, Template, TemplateError};
use super::versions;
use hyper::Response;
use serde_json::{Map, Value, json};

pub(super) const EXTENSION: &str = "x-tyk-api-gateway";

/// The documents of those APIs whose classic form fulfils `condition`.
pub(super) fn list(core: &Core, condition: impl Fn(&Value) -> bool) -> Response<Body> {
    let state = core.state();
    let specs = state.apis.values().filter(|spec| condition(&spec.definition));
    let documents = specs.filter_map(|spec| spec.oas.clone()).collect();
    reply::json(200, &Value::Array(documents))
}

pub(super) fn get(core: &Core, id: &str) -> Response<Body> {
    match core.state().apis.get(id).map(|spec| spec.oas.as_ref()) {
        Some(Some(oas)) => reply::json(200, oas),
        Some(None) => reply::error(
            400,
            "the requested API definition is in Tyk classic format, please use old api endpoint",
        ),
        None => reply::error(404, "API not found"),
    }
}

pub(super) fn add(core: &Core, call: &Call, mcp: bool) -> Response<Body> {
    let mut document = match check(&call.body) {
        Ok(document) => document,
        Err(message) => return reply::error(400, &message),
    };
    if text(&document, "/x-tyk-api-gateway/info/id").is_empty() {
        document[EXTENSION]["info"]["id"] = Value::String(definition::generate_id());
    }
    store(core, document, mcp, "added")
}

pub(super) fn update(core: &Core, call: &Call, id: &str, mcp: bool) -> Response<Body> {
    let document = match check(&call.body) {
        Ok(document) => document,
        Err(message) => return reply::error(400, &message),
    };
    match core.state().apis.get(id).map(|spec| spec.oas.is_some()) {
        None => return reply::error(404, "API not found"),
        Some(false) => {
            return reply::error(
                400,
                "the supplied API definition is in OAS format, please use the Tyk classic format for this API",
            );
        }
        Some(true) => {}
    }
    if text(&document, "/x-tyk-api-gateway/info/id") != id {
        return reply::error(
            400,
            "Request APIID does not match that in Definition! For Update operations these must match.",
        );
    }
    store(core, document, mcp, "modified")
}

fn store(core: &Core, mut document: Value, mcp: bool, action: &str) -> Response<Body> {
    if let Err(message) = regenerate_servers(core, &mut document) {
        return reply::error(400, &message);
    }
    let Ok(mut definition) = definition::api(classic(&document)) else {
        return reply::error(400, "Request malformed");
    };
    if mcp {
        definition["application_protocol"] = json!("mcp");
        definition["json_rpc_version"] = json!("2.0");
    }
    if let Err(reason) = definition::validate(&definition) {
        return reply::error(400, &format!("Validation of API Definition failed. Reason: {reason}."));
    }
    control::write(core, definition, Some(document), action)
}

/// The checks that come before anything is written, in the gateway's order.
pub(super) fn check(body: &[u8]) -> Result<Value, String> {
    let malformed = || "request malformed".to_owned();
    let document = if body.is_empty() {
        json!({})
    } else {
        definition::decode(body).map_err(|_| malformed())?
    };
    let object = document.as_object().ok_or_else(malformed)?;
    if !object.get(EXTENSION).is_some_and(Value::is_object) {
        return Err("the payload should contain x-tyk-api-gateway".to_owned());
    }
    let version = text(&document, "/openapi");
    if !version.starts_with("3.0.") {
        return Err(format!("Schema not found for version {version:?}"));
    }
    let problems = problems(object);
    if problems.is_empty() {
        Ok(document)
    } else {
        Err(problems.join("\n"))
    }
}

/// Violations of the parts of the schema that matter here.
fn problems(document: &Map<String, Value>) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, fields) in REQUIRED {
        let Some(object) = find(document, path).and_then(Value::as_object) else {
            continue;
        };
        let missing = fields.iter().filter(|field| !object.contains_key(**field));
        problems.extend(missing.map(|field| format!("{path}: {field} is required")));
    }
    let missing = ["info", "paths"]
        .into_iter()
        .filter(|field| !document.contains_key(*field));
    problems.extend(missing.map(|field| format!("(root): {field} is required")));
    let name = find(document, "x-tyk-api-gateway.info.name").and_then(Value::as_str);
    if name.is_some_and(|name| name.trim().is_empty()) {
        problems.push("x-tyk-api-gateway.info.name: Does not match pattern '\\S+'".to_owned());
    }
    for (path, expected) in TYPES {
        let given = find(document, path).map_or(expected, kind);
        if given != expected {
            problems.push(format!("{path}: Invalid type. Expected: {expected}, given: {given}"));
        }
    }
    problems
}

const REQUIRED: [(&str, &[&str]); 5] = [
    ("info", &["title", "version"]),
    ("x-tyk-api-gateway", &["info", "upstream", "server"]),
    ("x-tyk-api-gateway.info", &["name", "state"]),
    ("x-tyk-api-gateway.server", &["listenPath"]),
    ("x-tyk-api-gateway.server.listenPath", &["value"]),
];

const TYPES: [(&str, &str); 9] = [
    ("x-tyk-api-gateway.info", "object"),
    ("x-tyk-api-gateway.info.name", "string"),
    ("x-tyk-api-gateway.info.state", "object"),
    ("x-tyk-api-gateway.server", "object"),
    ("x-tyk-api-gateway.server.listenPath", "object"),
    ("x-tyk-api-gateway.server.listenPath.value", "string"),
    ("x-tyk-api-gateway.server.listenPath.strip", "boolean"),
    ("x-tyk-api-gateway.upstream", "object"),
    ("x-tyk-api-gateway.upstream.url", "string"),
];

fn find<'a>(object: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = object.get(first)?;
    match rest {
        Some(rest) => find(value.as_object()?, rest),
        None => Some(value),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Puts the gateway's own addresses before the user's servers.
fn regenerate_servers(core: &Core, document: &mut Value) -> Result<(), String> {
    let listen_path = text(document, "/x-tyk-api-gateway/server/listenPath/value").to_owned();
    let domain = domain(document);
    let hosts = if domain.is_empty() {
        vec![format!("http://{}", core.main), String::new()]
    } else {
        vec![format!("http://{domain}")]
    };
    for (template, kind) in [(&listen_path, Kind::Prefix), (&domain, Kind::Host)] {
        if let Err(TemplateError::CaptureGroup(_)) = Template::compile(template, kind) {
            let reason = "using capture group is not allowed in server patterns: capture groups are prohibited";
            return Err(format!("failed to add Tyk servers: {reason}"));
        }
    }
    let (path, names) = server_path(&listen_path);
    let mut servers: Vec<Value> = hosts
        .iter()
        .map(|host| server(&format!("{host}{path}"), &names))
        .collect();
    let own: Vec<String> = servers.iter().map(|server| text(server, "/url").to_owned()).collect();
    let users = document["servers"].as_array().cloned().unwrap_or_default();
    servers.extend(
        users
            .into_iter()
            .filter(|server| !own.iter().any(|url| url == text(server, "/url"))),
    );
    document["servers"] = Value::Array(servers);
    Ok(())
}

fn server(url: &str, names: &[String]) -> Value {
    let mut server = json!({"url": url});
    if !names.is_empty() {
        let variables = names
            .iter()
            .enumerate()
            .map(|(at, name)| (name.clone(), json!({"default": format!("pathParam{}", at + 1)})));
        server["variables"] = Value::Object(variables.collect());
    }
    server
}

/// A listen path without the expressions of its variables, and their names.
fn server_path(listen_path: &str) -> (String, Vec<String>) {
    let (mut path, mut names, mut rest) = (String::new(), Vec::new(), listen_path);
    while let Some((literal, tail)) = rest.split_once('{') {
        let (inner, after) = tail.split_once('}').unwrap_or((tail, ""));
        let name = inner.split(':').next().unwrap_or_default();
        path.push_str(&format!("{literal}{{{name}}}"));
        names.push(name.to_owned());
        rest = after;
    }
    path.push_str(rest);
    (path, names)
}

fn domain(document: &Value) -> String {
    let enabled = flag(document, "/x-tyk-api-gateway/server/customDomain/enabled");
    if enabled {
        text(document, "/x-tyk-api-gateway/server/customDomain/name").to_owned()
    } else {
        String::new()
    }
}

/// The classic definition that the gateway stores beside the document.
pub(super) fn classic(document: &Value) -> Value {
    let extension = &document[EXTENSION];
    let (info, server, upstream) = (&extension["info"], &extension["server"], &extension["upstream"]);
    let domain = &server["customDomain"];
    let balancing = &upstream["loadBalancing"];
    let mut targets = Vec::new();
    for target in balancing["targets"].as_array().into_iter().flatten() {
        let weight = target["weight"].as_u64().unwrap_or(1).min(100);
        targets.extend((0..weight).map(|_| target["url"].clone()));
    }
    let data = &extension["middleware"]["global"]["pluginConfig"]["data"];
    json!({
        "config_data": data["value"], "config_data_disabled": !flag(data, "/enabled"),
        "api_id": info["id"], "name": info["name"], "org_id": info["orgId"],
        "active": info["state"]["active"], "internal": info["state"]["internal"],
        "use_keyless": !flag(server, "/authentication/enabled"),
        "domain": domain["name"], "domain_disabled": !flag(domain, "/enabled"), "certificates": domain["certificates"],
        "listen_port": server["port"], "protocol": server["protocol"],
        "proxy": {
            "listen_path": server["listenPath"]["value"], "strip_listen_path": server["listenPath"]["strip"],
            "target_url": upstream["url"], "preserve_host_header": upstream["preserveHostHeader"]["enabled"],
            "disable_strip_slash": upstream["preserveTrailingSlash"]["enabled"],
            "enable_load_balancing": balancing["enabled"], "target_list": targets,
        },
        "definition": versions::classic(&info["versioning"]),
        "version_data": {"not_versioned": true, "versions": {"": {"name": "", "use_extended_paths": true}}},
    })
}
