//! Which API answers a request, which one would without it, and why the one goes before the other.
//!
//! The routes are those of the simulated gateway. The second is found by hiding the rule of the first in its manifest and
//! translating anew, because a rule shapes others: exact hosts are cut out of the wildcard that covers them, and the
//! loser of a conflict is not rendered at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::{Ingress, IngressSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::request::Request;
use crate::api::{ApiDefinition, TykMcpProxyDefinition, TykOasApiDefinition, TykStreamsApiDefinition};
use crate::cli::input::World;
use crate::desired::{Api, oas};
use crate::diagnostic::Severity;
use crate::ingress::Options;
use crate::inspect::routes::{self, Route};
use crate::sim::{self, Routes};
use crate::snapshot::{Loaded, NamespacedName, Snapshot, Stored, StoredIngress};

/// A path that no request of anybody has; it takes the place of a rule that is left out.
const HIDDEN_PATH: &str = "/tyk-ingress.hidden-by-explain";

/// What a request gets.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Answer {
    /// Who answers, if anybody does.
    pub winner: Option<Candidate>,
    /// Who would answer without the winner.
    pub second: Option<Candidate>,
    /// Why the winner goes before the second, or why nobody answers.
    pub because: Option<String>,
}

/// An API that could answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Candidate {
    /// Resource to edit, for example `Ingress default/shop`.
    pub source: String,
    /// Field of the Ingress, empty for a hand-written definition.
    pub field: String,
    /// File and line of the resource.
    pub at: Option<String>,
    /// Host as written, `*` for every host.
    pub host: String,
    /// Path as written, or the listen path of a hand-written definition.
    pub path: String,
    /// `pathType`, `default backend`, or `listen path`.
    pub matching: String,
    /// Resource of the API, for example `ApiDefinition default/shop-1`.
    pub api: String,
    /// Id of the API.
    pub id: String,
    /// Domain as the gateway sees it, empty for every host.
    pub domain: String,
    /// Listen path as the gateway sees it.
    pub listen_path: String,
    /// Port that the API listens on, 0 for the gateway's main one.
    pub port: u64,
    /// Target URL.
    pub target: String,
}

/// Follows a request through manifests, of which `make` makes what the operator would.
///
/// # Errors
/// A definition cannot be loaded.
pub fn of(
    request: &Request,
    loaded: Loaded,
    options: &Options,
    make: &dyn Fn(Loaded) -> World,
) -> anyhow::Result<Answer> {
    let world = make(loaded);
    let port = match port_of(request, &world, options) {
        Ok(port) => port,
        Err(because) => {
            return Ok(Answer {
                because: Some(because),
                ..Answer::default()
            });
        }
    };
    let (winner, id) = match ask(request, port, &world)? {
        sim::Answer::Api(id) => (candidate(&world, &id), id),
        other => {
            return Ok(Answer {
                because: Some(nobody(other, request, port, &world)),
                ..Answer::default()
            });
        }
    };
    let mut without = world.loaded.clone();
    hide(&mut without.snapshot, &world, &id);
    let mut second = runner_up(request, port, make(without.clone()))?;
    if let (None, Some(winner)) = (&second, &winner) {
        // A host with rules of its own gets nothing from a wildcard, whatever their paths.
        hide_host(&mut without.snapshot, &winner.host);
        second = runner_up(request, port, make(without))?;
    }
    let because = match (&winner, &second) {
        (Some(winner), Some(second)) => Some(why(winner, second)),
        _ => None,
    };
    Ok(Answer {
        winner,
        second,
        because,
    })
}

fn runner_up(request: &Request, port: u64, world: World) -> Result<Option<Candidate>, sim::Error> {
    match ask(request, port, &world)? {
        sim::Answer::Api(id) => Ok(candidate(&world, &id)),
        _ => Ok(None),
    }
}

/// The port at which the request arrives, as the APIs name it.
fn port_of(request: &Request, world: &World, options: &Options) -> Result<u64, String> {
    let routes = routes::by_id(&world.desired, &world.translation);
    let ports = |secure: bool| -> Vec<u64> {
        let mut ports: Vec<_> = routes
            .values()
            .filter(|route| route.secure == secure)
            .map(|route| route.port)
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    };
    let (own, usual) = match request.secure {
        true => (ports(true), u64::from(options.https_port)),
        false => (ports(false), u64::from(options.http_port)),
    };
    let named = request.port.map(u64::from).filter(|port| own.contains(port));
    match named
        .or_else(|| own.iter().copied().find(|port| *port == usual))
        .or(own.first().copied())
    {
        Some(port) => Ok(port),
        None if request.secure => Err(no_https(world)),
        None => Err("no API is served over http".into()),
    }
}

fn no_https(world: &World) -> String {
    let mut errors = world.diagnostics.iter().filter(|one| one.severity() == Severity::Error);
    match errors.find(|one| one.field.starts_with("spec.tls")) {
        Some(error) => format!("no API is served over https: {}: {}", error.object, error.message),
        None => "no API is served over https; give the Ingress `spec.tls`".into(),
    }
}

fn ask(request: &Request, port: u64, world: &World) -> Result<sim::Answer, sim::Error> {
    let served = routes::by_id(&world.desired, &world.translation);
    let here = |id: &str, route: &Route| (route.secure, route.port) == (request.secure, port) && !id.is_empty();
    let definitions: Vec<Value> = served
        .iter()
        .filter(|(id, route)| here(id, route))
        .filter_map(|(id, _)| Some(definition(id, world.desired.api(id)?)))
        .collect();
    Ok(Routes::load(&definitions)?.answer(&request.host, &request.path))
}

/// The part of a definition, in classic form, that routes depend on.
fn definition(id: &str, api: &Api) -> Value {
    let payload = api.payload.value();
    let (domain, listen_path) = route(&payload);
    json!({"api_id": id, "domain": domain, "internal": payload["internal"], "proxy": {"listen_path": listen_path}})
}

fn route(payload: &Value) -> (&str, &str) {
    if oas::is_document(payload) {
        return oas::route(payload);
    }
    let domain = match payload["domain_disabled"].as_bool() {
        Some(true) => "",
        _ => payload["domain"].as_str().unwrap_or_default(),
    };
    (domain, payload["proxy"]["listen_path"].as_str().unwrap_or_default())
}

fn candidate(world: &World, id: &str) -> Option<Candidate> {
    let api = world.desired.api(id)?;
    let shown = routes::by_id(&world.desired, &world.translation).remove(id)?;
    let payload = api.payload.value();
    let (domain, listen_path) = route(&payload);
    let place = place(world, api);
    let object = world
        .loaded
        .locations
        .iter()
        .find(|(object, _)| object.to_string() == shown.source);
    Some(Candidate {
        at: object.map(|(_, location)| format!("{}:{}", location.file, location.line)),
        field: place.map(|(_, field)| field.to_owned()).unwrap_or_default(),
        source: shown.source,
        host: shown.host,
        path: shown.path,
        matching: shown.matching,
        api: api.source.to_string(),
        id: id.to_owned(),
        domain: domain.to_owned(),
        listen_path: listen_path.to_owned(),
        port: shown.port,
        target: shown.target,
    })
}

/// The Ingress and its field that an API is made from; `None` for a hand-written definition.
fn place<'a>(world: &'a World, api: &Api) -> Option<(&'a NamespacedName, &'a str)> {
    world.translation.origin(api.source.kind, &routes::name(api))
}

/// Takes the rule or the definition of an API out of the world. Rules beside it keep their numbers.
fn hide(snapshot: &mut Snapshot, world: &World, id: &str) {
    let Some(api) = world.desired.api(id) else { return };
    let Some((ingress, field)) = place(world, api) else {
        let name = routes::name(api);
        match api.source.kind {
            "TykStreamsApiDefinition" => drop(snapshot.remove::<TykStreamsApiDefinition>(&name)),
            "TykMcpProxyDefinition" => drop(snapshot.remove::<TykMcpProxyDefinition>(&name)),
            "TykOasApiDefinition" => drop(snapshot.remove::<TykOasApiDefinition>(&name)),
            _ => drop(snapshot.remove::<ApiDefinition>(&name)),
        }
        return;
    };
    let Some(mut object) = snapshot.remove::<Ingress>(ingress).map(of_its_own) else {
        return;
    };
    if let Some(spec) = &mut object.spec {
        hide_path(spec, field);
    }
    snapshot.insert(object);
}

fn hide_path(spec: &mut IngressSpec, field: &str) {
    let mut numbers = field.split(['[', ']']).filter_map(|part| part.parse::<usize>().ok());
    let (Some(rule), Some(path)) = (numbers.next(), numbers.next()) else {
        spec.default_backend = None;
        return;
    };
    let rules = spec.rules.iter_mut().flatten().nth(rule);
    let paths = rules.and_then(|rule| rule.http.as_mut()).map(|http| &mut http.paths);
    if let Some(path) = paths.and_then(|paths| paths.get_mut(path)) {
        (path.path, path.path_type) = (Some(HIDDEN_PATH.into()), "Exact".into());
    }
}

/// Takes every rule of a host out of the world.
fn hide_host(snapshot: &mut Snapshot, host: &str) {
    let ingresses: Vec<_> = snapshot.ingresses.values().cloned().collect();
    for mut object in ingresses.into_iter().map(of_its_own) {
        let rules = object.spec.as_mut().and_then(|spec| spec.rules.as_mut());
        for rule in rules
            .into_iter()
            .flatten()
            .filter(|rule| rule.host.as_deref() == Some(host))
        {
            (rule.host, rule.http) = (Some("hidden-by-explain.invalid".into()), None);
        }
        snapshot.insert(object);
    }
}

/// A copy that can be changed.
fn of_its_own(ingress: StoredIngress) -> Ingress {
    Arc::unwrap_or_clone(ingress.whole())
}

fn why(winner: &Candidate, second: &Candidate) -> String {
    let wildcard = |one: &Candidate| one.host.starts_with("*.");
    let place = |one: &Candidate| {
        (
            one.host.clone(),
            one.path.trim_end_matches('/').to_owned(),
            one.matching.clone(),
        )
    };
    let length = |one: &Candidate| one.path.trim_end_matches('/').len();
    if place(winner) == place(second) && winner.source != second.source {
        return "both ask for the same host and path; the older resource wins, then the first by namespace and name"
            .into();
    }
    if winner.domain.is_empty() != second.domain.is_empty() {
        return "a rule for the host goes before one for every host".into();
    }
    if wildcard(winner) != wildcard(second) {
        return match wildcard(second) {
            true => "a host with rules of its own gets nothing from a wildcard".into(),
            false => "the gateway puts the longer listen path first, whatever the host".into(),
        };
    }
    if second.matching == "default backend" {
        return "a default backend answers what no rule does".into();
    }
    if length(winner) != length(second) {
        return "the longer path goes first".into();
    }
    match (winner.matching.as_str(), second.matching.as_str()) {
        ("Exact", other) if other != "Exact" => "of equal paths, Exact goes before Prefix".into(),
        _ => "the gateway puts the longer listen path first".into(),
    }
}

fn nobody(answer: sim::Answer, request: &Request, port: u64, world: &World) -> String {
    match answer {
        sim::Answer::Redirect => "the gateway redirects to the cleaned form of the path (301); ask for that one".into(),
        sim::Answer::BadRequest => "the path cannot be read (400)".into(),
        _ => {
            let served = routes::by_id(&world.desired, &world.translation);
            let mut paths: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for route in served
                .values()
                .filter(|route| (route.secure, route.port) == (request.secure, port))
            {
                paths.entry(&route.host).or_default().push(&route.path);
            }
            match paths.get(request.host.as_str()) {
                Some(paths) => format!("no path of the host matches (404); it has {}", paths.join(", ")),
                None => {
                    let hosts: Vec<_> = paths.keys().copied().collect();
                    format!(
                        "no rule is for this host (404); there are rules for {}",
                        hosts.join(", ")
                    )
                }
            }
        }
    }
}
