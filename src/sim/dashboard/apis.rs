//! `/api/apis`: classic definitions in their wrapper; `GET` and `DELETE` also of the others.

use hyper::Response;
use serde_json::{Map, Value};

use super::envelope;
use super::store::{self, Api, Source};
use super::visit::Visit;
use crate::sim::definition::{self, text};
use crate::sim::reply::{self, Body};

const MISSING: &str = "Could not retrieve API detail";
const MALFORMED: &str = "Request body malformed.";

pub(super) fn answer(visit: &mut Visit<'_>, path: &[&str]) -> Response<Body> {
    match (visit.sent.method.as_str(), path) {
        ("GET", []) => list(visit),
        ("POST", []) => add(visit),
        ("GET", [id]) => match visit.org.find(id).filter(|api| api.is_visible_to(visit.user)) {
            Some(api) => reply::json(200, &api.record()),
            None => envelope::error(400, MISSING),
        },
        ("PUT", [id]) => update(visit, id),
        ("DELETE", [id]) => match remove(visit, id, |_| true) {
            true => envelope::ok("API deleted"),
            false => envelope::error(404, MISSING),
        },
        _ => visit.unknown(),
    }
}

/// Removes an API by either of its ids; whether there was one.
pub(super) fn remove(visit: &mut Visit<'_>, id: &str, is_meant: impl Fn(&Api) -> bool) -> bool {
    let found = visit
        .org
        .find(id)
        .filter(|api| api.is_visible_to(visit.user) && is_meant(api));
    let found = found.map(|api| api.database_id().to_owned());
    found.is_some_and(|id| visit.org.apis.remove(&id).is_some())
}

fn list(visit: &Visit<'_>) -> Response<Body> {
    let visible = |api: &&Api| api.is_visible_to(visit.user) && api.source != Source::Mcp;
    let mut records: Vec<Value> = visit.org.apis.values().filter(visible).map(Api::record).collect();
    if visit.sent.parameter("sort") != "created_at" {
        records.reverse();
    }
    visit.page(records, ("apis", "pages"), 1)
}

fn add(visit: &mut Visit<'_>) -> Response<Body> {
    if !visit.sent.parameter("base_api_id").is_empty() && visit.sent.parameter("new_version_name").is_empty() {
        return envelope::error(400, "version name header should be set with base API ID");
    }
    let Some((sent, mut definition)) = read(visit) else {
        return envelope::error(400, MALFORMED);
    };
    let wanted = text(&definition, "/api_id").to_owned();
    let given = if visit.config.keeps_api_id && !wanted.is_empty() {
        wanted
    } else {
        visit.serial.api_id()
    };
    if visit.org.find(&given).is_some() {
        return envelope::error(409, "Found API with the same ID");
    }
    if !visit.config.duplicate_slugs && visit.org.rival(&definition, "") {
        return envelope::error(403, "Found API with same url");
    }
    let database_id = visit.serial.database_id();
    definition["api_id"] = Value::from(given.clone());
    definition["id"] = Value::from(database_id.clone());
    definition["org_id"] = Value::from(visit.user.org.clone());
    let api = Api {
        source: Source::Classic,
        definition,
        wrapper: store::wrapper(&sent),
        document: None,
        categories: Value::Array(Vec::new()),
    };
    visit.org.apis.insert(database_id.clone(), api);
    let told = visit.config.keeps_api_id.then_some(given.as_str());
    envelope::created("API created", Some(&database_id), told)
}

fn update(visit: &mut Visit<'_>, id: &str) -> Response<Body> {
    let Some(held) = visit.org.find(id).filter(|api| api.is_visible_to(visit.user)) else {
        return envelope::error(404, "API definition does not exist");
    };
    let database_id = held.database_id().to_owned();
    let (api_id, source) = (held.api_id().to_owned(), held.source);
    let Some((sent, mut definition)) = read(visit).filter(|_| source == Source::Classic) else {
        return envelope::error(400, MALFORMED);
    };
    let sent_id = text(&definition, "/id");
    if !sent_id.is_empty() && sent_id != database_id {
        return envelope::error(400, "Invalid `ID` value");
    }
    let wanted = match text(&definition, "/api_id") {
        "" => api_id,
        wanted => wanted.to_owned(),
    };
    if visit
        .org
        .find(&wanted)
        .is_some_and(|api| api.database_id() != database_id)
    {
        return envelope::error(409, "Found API with the same ID");
    }
    if !visit.config.duplicate_slugs && visit.org.rival(&definition, &database_id) {
        return envelope::error(403, "Found API with same url");
    }
    definition["id"] = Value::from(database_id.clone());
    definition["api_id"] = Value::from(wanted);
    definition["org_id"] = Value::from(visit.user.org.clone());
    if let Some(api) = visit.org.apis.get_mut(&database_id) {
        api.definition = definition;
        api.wrapper = store::wrapper(&sent);
    }
    envelope::ok("API updated")
}

/// The wrapper that was sent, and the definition in it as it is stored.
fn read(visit: &Visit<'_>) -> Option<(Map<String, Value>, Value)> {
    let sent = visit.sent.object()?;
    let definition = sent.get("api_definition").filter(|definition| definition.is_object())?;
    let definition = definition::api(definition.clone()).ok()?;
    Some((sent, definition))
}
