//! Who gets an API id, or a domain and listen path, that several resources ask for. Sent together, the gateway would
//! overwrite one, or rename both and keep them renamed.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use serde_json::Value;

use super::{Api, Candidate, oas};
use crate::diagnostic::{Code, Diagnostic, ObjectRef};
use crate::snapshot::document::EXTENSION;

/// What an API has for itself at its Tyk, beside its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Domain and listen path in one text, as the gateway compares it; `None` for what is not served.
    pub route: Option<Arc<str>>,
    /// The port of its own, and what is spoken there.
    pub port: Option<(u64, &'static str)>,
}

impl Claims {
    /// Of the payload of an API.
    pub fn of(payload: &Value) -> Self {
        Self {
            route: route(payload).map(|(route, _)| route.into()),
            port: port(payload).map(|port| (port, family(payload))),
        }
    }
}

/// By port: what is spoken there, and the one that decided it.
type Ports = BTreeMap<u64, (&'static str, ObjectRef)>;

/// Keeps one definition for each id and for each domain and listen path: the oldest, then by namespace and name.
pub(super) fn settle(
    mut candidates: Vec<Candidate>,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Vec<(Arc<str>, Api)>, Ports) {
    candidates
        .sort_by(|a, b| (a.created.is_none(), a.created, &a.name).cmp(&(b.created.is_none(), b.created, &b.name)));
    let contested_ids = Contested::among(candidates.iter().map(|one| &*one.id));
    let contested_routes = Contested::among(
        candidates
            .iter()
            .filter_map(|one| one.api.payload.claims().route.as_deref()),
    );
    let mut winners: Vec<(Arc<str>, Api)> = Vec::with_capacity(candidates.len());
    let (mut ids, mut routes, mut ports) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for Candidate { id, api, .. } in candidates {
        let source = |winner: &usize| &winners[*winner].1.source;
        if let Some(winner) = ids.get(&id).map(source) {
            let message = format!("API id {id:?} belongs to {winner}");
            let field = field(&api, "spec.api_id");
            diagnostics.push(Diagnostic::new(Code::ApiIdConflict, api.source, field, message));
            continue;
        }
        let Claims { route: own, port } = api.payload.claims();
        if let Some((port, family)) = *port {
            let (first, winner) = ports.entry(port).or_insert_with(|| (family, api.source.clone()));
            if *first != family {
                let message = format!("port {port} is that of {winner}, which speaks {first} there");
                let field = field(&api, "spec.listen_port");
                diagnostics.push(Diagnostic::new(Code::ListenPathCollision, api.source, field, message));
                continue;
            }
        }
        if let Some(own) = own.as_ref().filter(|own| contested_routes.has(own)) {
            if let Some(winner) = routes.get(own).map(source) {
                let what = route(&api.payload.value()).map(|(_, what)| what);
                let message = format!("{} belongs to {winner}", what.unwrap_or_default());
                let field = field(&api, "spec.proxy.listen_path");
                diagnostics.push(Diagnostic::new(Code::ListenPathCollision, api.source, field, message));
                continue;
            }
            routes.insert(Arc::clone(own), winners.len());
        }
        if contested_ids.has(&id) {
            ids.insert(Arc::clone(&id), winners.len());
        }
        winners.push((id, api));
    }
    (winners, ports)
}

/// Texts that come more than once, by their hashes: hardly any, and hashes are compared much sooner than texts that lie all
/// over the memory. A text of the same hash as another one may be among them.
struct Contested(BTreeSet<u64>);

impl Contested {
    fn among<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut hashes: Vec<_> = texts.map(short).collect();
        hashes.sort_unstable();
        let twice = hashes.windows(2).filter(|two| two[0] == two[1]);
        Self(twice.map(|two| two[0]).collect())
    }

    fn has(&self, text: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&short(text))
    }
}

/// A hash of a text: equal for equal ones, and seldom for others.
pub(crate) fn short(text: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(text)
}

/// The field to change: `classic`, or where the document is.
fn field(api: &Api, classic: &'static str) -> &'static str {
    oas::source_field(api.source.kind).unwrap_or(classic)
}

/// The text by which the gateway tells routes apart (the port is not part of it), and how to name it.
fn route(payload: &Value) -> Option<(String, String)> {
    // Only a Dashboard is sent what is not to be served.
    let state = match oas::is_document(payload) {
        true => payload.pointer("/x-tyk-api-gateway/info/state/active"),
        false => payload.get("active"),
    };
    if state == Some(&Value::Bool(false)) {
        return None;
    }
    if oas::is_document(payload) {
        let (domain, listen_path) = oas::route(payload);
        return Some(named(domain, listen_path));
    }
    if is_stream(payload) {
        let port = port(payload)?;
        // Of connections in plain text nobody knows the name that the client has asked for.
        let name = match payload["protocol"].as_str() {
            Some("tls") => payload["domain"].as_str().unwrap_or_default(),
            _ => "",
        };
        let what = match name {
            "" => format!("port {port}"),
            name => format!("port {port} of domain {name:?}"),
        };
        return Some((format!(":{port} {name}"), what));
    }
    let domain = match payload["domain_disabled"].as_bool() {
        Some(true) => "",
        _ => payload["domain"].as_str().unwrap_or_default(),
    };
    Some(named(domain, payload["proxy"]["listen_path"].as_str()?))
}

/// Whether connections are passed on as they come, without a look at requests.
fn is_stream(payload: &Value) -> bool {
    matches!(payload["protocol"].as_str(), Some("tcp" | "tls"))
}

/// What clients speak to it. The gateway drops an API whose port already speaks something else, and says so in its log
/// alone (source).
fn family(payload: &Value) -> &'static str {
    let protocol = match oas::is_document(payload) {
        true => &payload[EXTENSION]["server"]["protocol"],
        false => &payload["protocol"],
    };
    match protocol.as_str() {
        Some("tcp" | "tls") => "tcp",
        Some("https") => "https",
        _ => "http",
    }
}

/// The port of its own; `None` for the gateway's main port.
fn port(payload: &Value) -> Option<u64> {
    let port = match oas::is_document(payload) {
        true => &payload[EXTENSION]["server"]["port"],
        false => &payload["listen_port"],
    };
    port.as_u64().filter(|port| *port != 0)
}

fn named(domain: &str, listen_path: &str) -> (String, String) {
    let host = if domain.is_empty() {
        "all hosts".to_owned()
    } else {
        format!("domain {domain:?}")
    };
    (
        format!("{domain}{listen_path}"),
        format!("listen path {listen_path:?} of {host}"),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::snapshot::NamespacedName;

    /// Names of those that lose, of APIs in the order of their age.
    fn losers(payloads: &[Value]) -> Vec<String> {
        let candidate = |(index, payload): (usize, &Value)| {
            let name = ["a", "b", "c"][index];
            Candidate {
                id: name.into(),
                api: Api {
                    source: ObjectRef::new("ApiDefinition", "ns", name),
                    generation: 1,
                    payload: payload.clone().into(),
                },
                created: Some(Timestamp::from_second(index.try_into().unwrap()).unwrap()),
                name: NamespacedName::new("ns", name),
            }
        };
        let mut found = Vec::new();
        settle(payloads.iter().enumerate().map(candidate).collect(), &mut found);
        found.into_iter().map(|one| one.object.name.to_string()).collect()
    }

    #[test]
    fn a_port_speaks_one_protocol_and_a_tcp_port_has_one_api() {
        let http = |path: &str| json!({"listen_port": 6000, "proxy": {"listen_path": path}});
        let stream =
            |protocol: &str, domain: &str| json!({"listen_port": 6000, "protocol": protocol, "domain": domain});
        let none: [&str; 0] = [];
        assert_eq!(losers(&[http("/a"), http("/b")]), none);
        assert_eq!(losers(&[http("/a"), stream("tcp", "")]), ["b"]);
        assert_eq!(losers(&[http("/a"), stream("https", "")]), ["b"]);
        assert_eq!(losers(&[stream("tcp", "a.com"), stream("tcp", "b.com")]), ["b"]);
        assert_eq!(
            losers(&[stream("tls", "a.com"), stream("tls", "b.com"), stream("tls", "a.com")]),
            ["c"]
        );
    }
}
