//! What the gateway will answer, as rows for people.

use serde_json::Value;

use super::input::World;
use crate::desired::{Api, oas};
use crate::ingress::Child;
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
    /// Target URL.
    pub target: String,
    /// The resource to edit.
    pub source: String,
    /// `listen_port`, 0 for the main port.
    pub port: u64,
    /// Whether it is served over https.
    pub secure: bool,
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

/// Every route that is sent to the gateway, sorted by host and path.
pub fn of(world: &World) -> Vec<Route> {
    let (children, oas_children) = (&world.translation.children, &world.translation.oas_children);
    let name = |api: &Api| NamespacedName::new(&api.source.namespace, &api.source.name);
    let classic = world.desired.apis.values().map(|api| {
        let route = behind(of_payload(api), world);
        match children.get(&name(api)) {
            Some(child) => of_child(route, child),
            None => route,
        }
    });
    // An internal API has no route of its own.
    let public = world.desired.documents().filter(|api| !is_internal(&api.payload));
    let oas = public.map(|api| match oas_children.get(&name(api)) {
        Some(child) => of_child(of_document(api), child),
        None => of_document(api),
    });
    let mut routes: Vec<_> = classic.chain(oas).collect();
    routes.sort();
    routes
}

fn of_child<K>(route: Route, child: &Child<K>) -> Route {
    Route {
        host: child.host.clone(),
        path: child.path.clone(),
        matching: child.path_type.into(),
        source: format!("Ingress {}", child.ingress),
        ..route
    }
}

/// An API that only stands in front of another one leads where that one does.
fn behind(route: Route, world: &World) -> Route {
    let inner = route
        .target
        .strip_prefix("tyk://")
        .and_then(|id| world.desired.oas.get(id));
    match inner {
        Some(inner) => Route {
            target: of_document(inner).target,
            ..route
        },
        None => route,
    }
}

fn is_internal(document: &Value) -> bool {
    document[EXTENSION]["info"]["state"]["internal"] == true
}

fn of_document(api: &Api) -> Route {
    let (domain, path) = oas::route(&api.payload);
    let extension = &api.payload[EXTENSION];
    Route {
        host: if domain.is_empty() { "*".into() } else { domain.into() },
        path: path.into(),
        matching: "listen path".into(),
        target: extension["upstream"]["url"].as_str().unwrap_or_default().into(),
        source: api.source.to_string(),
        port: extension["server"]["port"].as_u64().unwrap_or_default(),
        secure: extension["server"]["protocol"] == "https",
    }
}

fn of_payload(api: &Api) -> Route {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let host = text(&api.payload["domain"]);
    Route {
        host: if host.is_empty() { "*".into() } else { host },
        path: text(&api.payload["proxy"]["listen_path"]),
        matching: "listen path".into(),
        target: text(&api.payload["proxy"]["target_url"]),
        source: api.source.to_string(),
        port: api.payload["listen_port"].as_u64().unwrap_or_default(),
        secure: api.payload["protocol"] == "https",
    }
}
