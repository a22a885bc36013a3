//! Which API answers a request: one router per port, routes in the order of registration, the first match wins.

use super::spec::Spec;
use super::template::{Kind, Template, TemplateError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The routers of all ports after a reload.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub ports: BTreeMap<u16, Router>,
    /// Whether a reload has built this table: before the first one, unknown paths get another text.
    pub loaded: bool,
}

/// The routes of one port.
#[derive(Debug, Default)]
pub(super) struct Router {
    /// The protocol of the first API of the port; APIs with another one get no route.
    pub protocol: String,
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    /// `Ok(None)` is any host.
    host: Result<Option<Template>, Swallow>,
    prefixes: Vec<Prefix>,
}

/// A domain with a capture group: the router panics after it has added an empty route, and that route matches everything.
#[derive(Debug)]
pub(super) struct Swallow;

#[derive(Debug)]
struct Prefix {
    template: Template,
    /// With strict routes: only this path and what is below it, anything else is 404 at once.
    strict: Option<String>,
    spec: Arc<Spec>,
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Found {
    Api(Arc<Spec>),
    /// 404 from a route that caught the request, with the text `Not Found`.
    StrictMiss,
    /// 404 from a broken route that catches everything, with the text of an unknown path.
    Swallowed,
    /// No route.
    Nothing,
}

/// What the routes of an API need besides its definition.
pub(super) struct Registration<'a> {
    pub strict_routes: bool,
    pub spec: &'a Arc<Spec>,
}

impl Router {
    /// A port without routes.
    pub fn new(protocol: &str) -> Router {
        Router {
            protocol: protocol.to_owned(),
            routes: Vec::new(),
        }
    }

    /// Compiles the host of an API.
    ///
    /// # Errors
    /// A capture group: the API then has no route, and neither has any after it.
    pub fn host(&mut self, spec: &Spec, custom_domains: bool) -> Result<HostRule, Swallow> {
        if !custom_domains || spec.active_domain().is_empty() {
            return Ok(HostRule(Ok(None)));
        }
        match Template::compile(spec.active_domain(), Kind::Host) {
            Ok(template) => Ok(HostRule(Ok(Some(template)))),
            Err(TemplateError::Invalid(_)) => Ok(HostRule(Err(Unmatchable))),
            Err(TemplateError::CaptureGroup(_)) => {
                self.routes.push(Route {
                    host: Err(Swallow),
                    prefixes: Vec::new(),
                });
                Err(Swallow)
            }
        }
    }

    /// Adds the routes of an API: its id, and its listen path.
    pub fn add(&mut self, host: HostRule, registration: &Registration<'_>) {
        let Ok(host) = host.0 else { return };
        let spec = registration.spec;
        let by_id = format!("/{}/", spec.id);
        let id_template = Template::compile(&by_id, Kind::Prefix).ok();
        let both = [
            (by_id, id_template),
            (spec.listen_path.clone(), spec.template.clone()),
        ];
        let prefixes = both.into_iter().filter_map(|(text, template)| {
            let template = template?;
            if host
                .as_ref()
                .is_some_and(|host| host.shares_name(&template))
            {
                return None;
            }
            let literal = !(text.ends_with('/') || text.contains('{') && text.contains('}'));
            let strict = (registration.strict_routes && literal).then_some(text);
            Some(Prefix {
                template,
                strict,
                spec: spec.clone(),
            })
        });
        let prefixes = prefixes.collect();
        self.routes.push(Route {
            host: Ok(host),
            prefixes,
        });
    }

    /// Finds the API for a host (as sent, with its port) and a decoded path.
    pub fn find(&self, host: &str, path: &str) -> Found {
        for route in &self.routes {
            match &route.host {
                Err(Swallow) => return Found::Swallowed,
                Ok(Some(template)) if !template.matches_host(host) => continue,
                Ok(_) => {}
            }
            if let Some(prefix) = route
                .prefixes
                .iter()
                .find(|prefix| prefix.template.matches_path(path))
            {
                return match &prefix.strict {
                    Some(text) if !below(text, path) => Found::StrictMiss,
                    _ => Found::Api(prefix.spec.clone()),
                };
            }
        }
        Found::Nothing
    }
}

/// The compiled host of an API, or one that never matches.
#[derive(Debug)]
pub(super) struct HostRule(Result<Option<Template>, Unmatchable>);

/// A domain that the router refuses: its route exists and never matches.
#[derive(Debug)]
struct Unmatchable;

fn below(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
