//! `/api/apis/oas`, `/api/apis/streams` and `/api/mcps`: plain documents.

use hyper::Response;
use serde_json::{Map, Value, json};

use super::store::{self, Api, Source};
use super::visit::Visit;
use super::{apis, envelope};
use crate::sim::definition::{self, text};
use crate::sim::oas::{self, EXTENSION};
use crate::sim::reply::{self, Body};

const ID: &str = "/x-tyk-api-gateway/info/id";
const DATABASE_ID: &str = "/x-tyk-api-gateway/info/dbId";
const MISSING: &str = "Could not retrieve API detail.";

/// What an MCP proxy cannot have.
const NOT_FOR_MCP: [&str; 7] = [
    "transformRequestMethod",
    "transformResponseBody",
    "urlRewrite",
    "internal",
    "cache",
    "validateRequest",
    "mockResponse",
];

pub(super) fn answer(visit: &mut Visit<'_>, source: Source, path: &[&str]) -> Response<Body> {
    let method = visit.sent.method.clone();
    let writes = matches!(method.as_str(), "POST" | "PUT");
    if source == Source::Streams && writes {
        if !visit.config.streams {
            let message = "Your license does not support adding/ modifying streams API configuration.";
            return envelope::error(403, message);
        }
        if visit.sent.header("content-type") != "application/vnd.tyk.streams.oas" {
            return envelope::error(400, "Couldn't read body.");
        }
    }
    match (method.as_str(), path) {
        ("POST", ["dry-run"]) if source == Source::Oas => match read(visit, source) {
            Ok(document) => reply::json(200, &document),
            Err((status, message)) => envelope::error(status, &message),
        },
        ("GET", []) if source == Source::Mcp => list(visit),
        ("POST", []) => add(visit, source),
        ("GET", [id]) => get(visit, source, id),
        ("PUT", [id]) => update(visit, source, id),
        ("DELETE", [id]) => match apis::remove(visit, id, |api| api.source == source) {
            true => envelope::ok("API deleted."),
            false => envelope::error(404, MISSING),
        },
        (_, [id, "categories"]) if source == Source::Oas => categories(visit, id),
        _ => visit.unknown(),
    }
}

fn list(visit: &Visit<'_>) -> Response<Body> {
    let mcps = visit.org.apis.values().filter(|api| api.source == Source::Mcp);
    let documents = mcps.filter_map(|api| api.document.clone()).collect();
    visit.page(documents, ("mcps", "pages"), 0)
}

fn get(visit: &Visit<'_>, source: Source, id: &str) -> Response<Body> {
    match visit.org.find(id).filter(|api| api.is_visible_to(visit.user)) {
        Some(Api {
            source: held,
            document: Some(document),
            ..
        }) if *held == source => reply::json(200, document),
        Some(_) => envelope::error(400, "The API is of another kind."),
        None if source == Source::Mcp => envelope::error(404, "MCP Proxy definition not found"),
        None => envelope::error(400, MISSING),
    }
}

fn add(visit: &mut Visit<'_>, source: Source) -> Response<Body> {
    let mut document = match read(visit, source) {
        Ok(document) => document,
        Err((status, message)) => return envelope::error(status, &message),
    };
    let id = match text(&document, ID) {
        "" => visit.serial.api_id(),
        id => id.to_owned(),
    };
    if visit.org.find(&id).is_some() {
        return envelope::error(409, "Found API with the same ID.");
    }
    if !visit.config.duplicate_slugs && visit.org.rival(&oas::classic(&document), "") {
        return envelope::error(403, "Found API with same url.");
    }
    document[EXTENSION]["info"]["id"] = Value::from(id.clone());
    let database_id = visit.serial.database_id();
    let Some(definition) = stored(visit, source, &mut document, &database_id) else {
        return envelope::error(500, "Error while validating schema.");
    };
    let api = Api {
        source,
        definition,
        wrapper: store::wrapper(&Map::new()),
        document: Some(document),
        categories: json!([]),
    };
    visit.org.apis.insert(database_id.clone(), api);
    match source {
        Source::Mcp => envelope::created("MCP Proxy definition created", None, Some(&id)),
        _ => envelope::created("API created", Some(&database_id), Some(&id)),
    }
}

fn update(visit: &mut Visit<'_>, source: Source, id: &str) -> Response<Body> {
    let mut document = match read(visit, source) {
        Ok(document) => document,
        Err((status, message)) => return envelope::error(status, &message),
    };
    let is_meant = |api: &&Api| api.source == source && api.is_visible_to(visit.user);
    let Some(held) = visit.org.find(id).filter(is_meant) else {
        return envelope::error(404, "API definition does not exist");
    };
    let (api_id, database_id) = (held.api_id().to_owned(), held.database_id().to_owned());
    let sent_id = text(&document, DATABASE_ID);
    if text(&document, ID) != api_id || !(sent_id.is_empty() || sent_id == database_id) {
        return envelope::error(400, "Invalid `ID` value");
    }
    if !visit.config.duplicate_slugs && visit.org.rival(&oas::classic(&document), &database_id) {
        return envelope::error(403, "Found API with same url.");
    }
    let Some(definition) = stored(visit, source, &mut document, &database_id) else {
        return envelope::error(500, "Error while validating schema.");
    };
    if let Some(api) = visit.org.apis.get_mut(&database_id) {
        api.definition = definition;
        api.document = Some(document);
    }
    envelope::ok("API updated.")
}

/// The ids that the Dashboard puts into a document, and the classic form of it.
fn stored(visit: &Visit<'_>, source: Source, document: &mut Value, database_id: &str) -> Option<Value> {
    let info = &mut document[EXTENSION]["info"];
    info["dbId"] = Value::from(database_id);
    info["orgId"] = Value::from(visit.user.org.clone());
    let mut definition = definition::api(oas::classic(document)).ok()?;
    definition["id"] = Value::from(database_id);
    definition["is_oas"] = Value::Bool(true);
    if source == Source::Mcp {
        definition["application_protocol"] = json!("mcp");
        definition["json_rpc_version"] = json!("2.0");
    }
    Some(definition)
}

/// The document that was sent, or status and words of the refusal.
fn read(visit: &Visit<'_>, source: Source) -> Result<Value, (u16, String)> {
    let Some(sent) = visit.sent.object() else {
        return Err((400, "Couldn't read body.".to_owned()));
    };
    let extension = sent.get(EXTENSION).filter(|extension| extension.is_object());
    let message = match source {
        Source::Mcp if extension.is_none() => "the payload should contain x-tyk-api-gateway".to_owned(),
        Source::Streams if extension.is_none() || !sent.contains_key("x-tyk-streaming") => {
            "The payload should contain x-tyk-api-gateway and/or x-tyk-streaming.".to_owned()
        }
        _ if extension.is_none() => "The payload should contain x-tyk-api-gateway.".to_owned(),
        Source::Mcp => match extension.and_then(|extension| forbidden(&extension["middleware"])) {
            Some(name) => format!("{name} is not allowed for MCP Proxies"),
            None => String::new(),
        },
        _ => String::new(),
    };
    if !message.is_empty() {
        return Err((400, message));
    }
    oas::check(&visit.sent.body).map_err(|_| (500, "Error while validating schema.".to_owned()))
}

/// A field anywhere in the middleware that an MCP proxy cannot have.
fn forbidden(middleware: &Value) -> Option<&'static str> {
    let fields = middleware.as_object()?;
    let here = NOT_FOR_MCP.into_iter().find(|name| fields.contains_key(*name));
    here.or_else(|| fields.values().find_map(forbidden))
}

fn categories(visit: &mut Visit<'_>, id: &str) -> Response<Body> {
    let (user, sent) = (visit.user, visit.sent);
    let found = visit
        .org
        .find_mut(id)
        .filter(|api| api.document.is_some() && api.is_visible_to(user));
    let Some(api) = found else {
        return envelope::error(404, "API not found");
    };
    match sent.method.as_str() {
        "GET" => reply::json(200, &json!({"categories": api.categories})),
        "PUT" => match sent
            .object()
            .and_then(|mut sent| sent.remove("categories"))
            .filter(Value::is_array)
        {
            Some(categories) => {
                api.categories = categories;
                envelope::ok("API categories updated.")
            }
            None => envelope::error(400, "Failed to update ApiDef object to DB."),
        },
        _ => reply::not_found(),
    }
}
