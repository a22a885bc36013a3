//! What the gateway will answer, as rows for people.

use std::collections::BTreeMap;

use serde_json::Value;

use super::redact;
use crate::desired::{Api, Desired, oas};
use crate::ingress::{Child, Translation};
use crate::snapshot::NamespacedName;
use crate::snapshot::document::EXTENSION;

/// One row of the table of routes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Host as written in the Ingress, or the domain of a hand-written definition; `*` for every host.
    pub host: String,
    /// Path as written in the Ingress, or the listen path of a hand-written definition.
    pub path: String,
    /// `pathType`, `default backend`, or `listen path`.
    pub matching: String,
    /// Target URL, without user, password and query.
    pub target: String,
    /// The resource to edit.
    pub source: String,
    /// `listen_port`, 0 for the main port.
    pub port: u64,
    /// Whether it is served over https.
    pub secure: bool,
    /// Id of the API.
    pub id: String,
}

impl Route {
    /// Titles of the columns.
    pub const HEADER: [&'static str; 6] = ["HOST", "PATH", "MATCHING", "SCHEME", "TARGET", "SOURCE"];

    /// The row's cells, in the order of the titles.
    pub fn cells(self) -> Vec<String> {
        let scheme = self.scheme();
        vec![self.host, self.path, self.matching, scheme, self.target, self.source]
    }

    /// Scheme, and port if it is not the gateway's main one.
    pub fn scheme(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        match self.port {
            0 => scheme.into(),
            port => format!("{scheme} {port}"),
        }
    }
}

/// Every route that is sent to a Tyk, sorted by host and path.
pub fn of(desired: &Desired, translation: &Translation) -> Vec<Route> {
    let mut routes: Vec<_> = by_id(desired, translation).into_values().collect();
    routes.sort();
    routes
}

/// The same by the id of its API.
pub fn by_id<'a>(desired: &'a Desired, translation: &Translation) -> BTreeMap<&'a str, Route> {
    let (children, oas_children) = (&translation.children, &translation.oas_children);
    let classic = desired.apis.iter().map(|(id, api)| {
        let route = behind(of_payload(id, api), desired);
        match children.get(&name(api)) {
            Some(child) => (id.as_ref(), of_child(route, child)),
            None => (id.as_ref(), route),
        }
    });
    // An internal API has no route of its own.
    let documents = desired.oas.iter().chain(&desired.mcps);
    let public = documents.filter(|(_, api)| !is_internal(api));
    let oas = public.map(|(id, api)| match oas_children.get(&name(api)) {
        Some(child) => (id.as_ref(), of_child(of_document(id, api), child)),
        None => (id.as_ref(), of_document(id, api)),
    });
    classic.chain(oas).collect()
}

/// Name of the resource that an API is made from.
pub fn name(api: &Api) -> NamespacedName {
    NamespacedName::new(&api.source.namespace, &api.source.name)
}

fn of_child<S>(route: Route, child: &Child<S>) -> Route {
    Route {
        host: child.host.to_string(),
        path: child.path.to_string(),
        matching: child.path_type.into(),
        source: format!("Ingress {}", child.ingress),
        ..route
    }
}

/// An API that only stands in front of another one leads where that one does.
fn behind(route: Route, desired: &Desired) -> Route {
    let inner = route.target.strip_prefix("tyk://");
    match inner.and_then(|id| desired.oas.get_key_value(id)) {
        Some((id, inner)) => Route {
            target: of_document(id, inner).target,
            ..route
        },
        None => route,
    }
}

fn is_internal(api: &Api) -> bool {
    let extension = api.payload.get(EXTENSION).unwrap_or_default();
    extension["info"]["state"]["internal"] == true
}

fn of_document(id: &str, api: &Api) -> Route {
    let payload = api.payload.value();
    let (domain, path) = oas::route(&payload);
    let extension = &payload[EXTENSION];
    Route {
        host: if domain.is_empty() { "*".into() } else { domain.into() },
        path: path.into(),
        matching: "listen path".into(),
        target: redact::url(extension["upstream"]["url"].as_str().unwrap_or_default()),
        source: api.source.to_string(),
        port: extension["server"]["port"].as_u64().unwrap_or_default(),
        secure: extension["server"]["protocol"] == "https",
        id: id.to_owned(),
    }
}

fn of_payload(id: &str, api: &Api) -> Route {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let payload = api.payload.value();
    let host = text(&payload["domain"]);
    Route {
        host: if host.is_empty() { "*".into() } else { host },
        path: text(&payload["proxy"]["listen_path"]),
        matching: "listen path".into(),
        target: redact::url(&text(&payload["proxy"]["target_url"])),
        source: api.source.to_string(),
        port: payload["listen_port"].as_u64().unwrap_or_default(),
        secure: payload["protocol"] == "https",
        id: id.to_owned(),
    }
}
