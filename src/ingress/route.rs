//! The rules of one Ingress as routes: a host, a path, and where its requests go.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use k8s_openapi::api::networking::v1::{HTTPIngressPath, IngressBackend, IngressRule, IngressSpec};

use super::annotations::{self, Annotations, PathMatching};
use super::host::Host;
use super::path::{PathMatch, PathType};
use super::validation::check_path;
use super::{pattern, redirect, tls};
use crate::api::names;
use crate::diagnostic::{Code, Diagnostic, ObjectRef};
use crate::expression;
use crate::snapshot::{NamespacedName, StoredIngress};

/// One host and path of an Ingress.
#[derive(Clone, Debug)]
pub struct Route {
    /// The Ingress that asks for it.
    pub ingress: StoredIngress,
    /// Its field, for example `spec.rules[0].http.paths[1]`.
    pub field: String,
    /// What the host matches.
    pub host: Host,
    /// What the path matches.
    pub path: PathMatch,
    /// The Tyk listen path of that.
    pub listen_path: String,
    /// The path as written; empty for a default backend.
    pub path_text: String,
    /// `pathType` as written; `None` for a default backend, which yields to every path that is written out.
    pub path_type: Option<PathType>,
    /// Where requests go.
    pub backend: IngressBackend,
    /// Secrets of the host, see [`tls::secrets_for`]; `None` when it is served over http alone.
    pub secrets: Option<Box<[String]>>,
    /// What the annotations of the Ingress say.
    pub annotations: Arc<Annotations>,
    /// Hash that names the child among those of the Ingress.
    pub hash: String,
}

impl Route {
    /// The field of the backend.
    pub fn backend_field(&self) -> String {
        match self.path_type {
            Some(_) => format!("{}.backend", self.field),
            None => "spec.defaultBackend".into(),
        }
    }

    /// Name of the child with this hash.
    pub fn child_name(&self, hash: &str) -> String {
        let NamespacedName { namespace, name } = self.ingress.name();
        names::child_name(namespace, name, hash)
    }

    /// Reference to the Ingress for diagnostics.
    pub fn object(&self) -> ObjectRef {
        self.ingress.object_ref()
    }
}

/// Most Ingresses have none, and share that.
fn shared(annotations: Annotations) -> Arc<Annotations> {
    static NONE: LazyLock<Arc<Annotations>> = LazyLock::new(Arc::default);
    match annotations == **NONE {
        true => Arc::clone(&NONE),
        false => Arc::new(annotations),
    }
}

/// The routes of one Ingress, in the order of its rules, with the default backend last.
pub fn routes_of(ingress: &StoredIngress, diagnostics: &mut Vec<Diagnostic>) -> Vec<Route> {
    let Some(spec) = &ingress.spec() else { return Vec::new() };
    let (annotations, problems) = Annotations::parse(ingress);
    let mut reader = Reader {
        ingress,
        spec,
        annotations: shared(annotations),
        diagnostics,
    };
    for (code, field, message) in problems {
        reader.report(code, field, message);
    }
    let rules = spec.rules.iter().flatten().enumerate();
    let mut routes: Vec<_> = rules.flat_map(|(index, rule)| reader.rule(index, rule)).collect();
    routes.extend(
        spec.default_backend
            .as_ref()
            .map(|b| reader.default_route("spec.defaultBackend".into(), Host::Any, "", b)),
    );
    if routes.is_empty() && spec.rules.iter().flatten().next().is_none() {
        reader.report(
            Code::RuleWithoutPaths,
            "spec".into(),
            "there are no rules and no default backend".into(),
        );
    }
    reader.report_unused_listen_path(&routes);
    set_apart(&mut routes);
    routes
}

struct Reader<'a, 'd> {
    ingress: &'a StoredIngress,
    spec: &'a IngressSpec,
    annotations: Arc<Annotations>,
    diagnostics: &'d mut Vec<Diagnostic>,
}

impl Reader<'_, '_> {
    fn rule(&mut self, index: usize, rule: &IngressRule) -> Vec<Route> {
        let field = format!("spec.rules[{index}]");
        let host = match Host::parse(rule.host.as_deref()) {
            Ok(host) => host,
            Err(message) => {
                self.report(Code::InvalidHost, format!("{field}.host"), message);
                return Vec::new();
            }
        };
        let paths = rule.http.as_ref().map_or(&[][..], |http| &http.paths);
        if paths.is_empty() {
            return self.rule_without_paths(field, host, rule).into_iter().collect();
        }
        let paths = paths.iter().enumerate();
        paths
            .filter_map(|(i, path)| self.path(format!("{field}.http.paths[{i}]"), &host, rule, path))
            .collect()
    }

    /// A rule without paths sends its whole host to the default backend, as `IngressRule.http` is documented.
    fn rule_without_paths(&mut self, field: String, host: Host, rule: &IngressRule) -> Option<Route> {
        match &self.spec.default_backend {
            Some(_) if host == Host::Any => None,
            Some(backend) => Some(self.default_route(field, host, rule.host.as_deref().unwrap_or_default(), backend)),
            None => {
                let host = rule.host.as_deref().unwrap_or("without a host");
                let message =
                    format!("the rule for {host} has no paths, and there is no default backend to take its requests");
                self.report(Code::RuleWithoutPaths, field, message);
                None
            }
        }
    }

    fn default_route(&self, field: String, host: Host, host_text: &str, backend: &IngressBackend) -> Route {
        let path = PathMatch::Prefix(String::new());
        Route {
            ingress: self.ingress.clone(),
            field,
            secrets: tls::secrets_for(self.spec, &host),
            host,
            listen_path: path.listen_path(),
            path,
            path_text: String::new(),
            path_type: None,
            backend: backend.clone(),
            annotations: Arc::clone(&self.annotations),
            hash: names::child_hash(host_text, "", Some("defaultBackend")),
        }
    }

    fn path(&mut self, field: String, host: &Host, rule: &IngressRule, path: &HTTPIngressPath) -> Option<Route> {
        let Some(path_type) = PathType::parse(&path.path_type) else {
            let message = format!("pathType {:?} is not known", path.path_type);
            self.report(Code::InvalidPathType, format!("{field}.pathType"), message);
            return None;
        };
        let text = path.path.as_deref().unwrap_or_default();
        let parsed = check_path(path_type, text).and_then(|()| self.path_match(path_type, text));
        let (matched, cleaned) = match parsed {
            Ok(parsed) => parsed,
            Err(message) => {
                self.report(Code::InvalidPath, format!("{field}.path"), message);
                return None;
            }
        };
        if let Some(cleaned) = cleaned {
            let message = format!("path {text:?} is served as {cleaned:?}");
            self.report(Code::PathUnreachable, format!("{field}.path"), message);
        }
        Some(Route {
            ingress: self.ingress.clone(),
            field,
            host: host.clone(),
            listen_path: matched.listen_path(),
            path: matched,
            path_text: text.to_owned(),
            path_type: Some(path_type),
            backend: path.backend.clone(),
            secrets: tls::secrets_for(self.spec, host),
            annotations: Arc::clone(&self.annotations),
            hash: names::child_hash(rule.host.as_deref().unwrap_or_default(), text, None),
        })
    }

    /// The match as the annotations want it, and the cleaned path as with [`PathMatch::parse`].
    fn path_match(&self, path_type: PathType, text: &str) -> Result<(PathMatch, Option<String>), String> {
        if path_type == PathType::ImplementationSpecific
            && let Some(listen_path) = &self.annotations.listen_path
        {
            return Ok((PathMatch::Verbatim(listen_path.0.clone()), None));
        }
        if self.annotations.path_matching == Some(PathMatching::Legacy) {
            let text = if text.is_empty() { "/" } else { text };
            expression::check_listen_path(text)?;
            return Ok((PathMatch::Verbatim(text.into()), None));
        }
        match self.annotations.path_matching {
            Some(PathMatching::Nginx) if path_type == PathType::ImplementationSpecific => {
                Ok((PathMatch::Verbatim(pattern::string_prefix(text)?), None))
            }
            Some(PathMatching::NginxRegex) => {
                let text = if text.is_empty() { "/" } else { text };
                let redirect = redirect::of(&self.annotations, Some(path_type), text);
                let listen_path = match redirect.is_some_and(|redirect| redirect.path.is_some()) {
                    // A redirect is of one path, and ingress-nginx looks at it before the expressions.
                    true => pattern::exact(text)?,
                    false => pattern::expression(text)?,
                };
                Ok((PathMatch::Verbatim(listen_path), None))
            }
            _ => PathMatch::parse(path_type, text),
        }
    }

    fn report_unused_listen_path(&mut self, routes: &[Route]) {
        let used = |route: &Route| route.path_type == Some(PathType::ImplementationSpecific);
        if self.annotations.listen_path.is_some() && !routes.iter().any(used) {
            let message = "no path of the Ingress has the pathType ImplementationSpecific";
            self.report(
                Code::AnnotationWithoutEffect,
                annotations::field("listen-path"),
                message.into(),
            );
        }
    }

    fn report(&mut self, code: Code, field: String, message: String) {
        self.diagnostics
            .push(Diagnostic::new(code, self.ingress.object_ref(), field, message));
    }
}

/// Routes of one host and path text share Tyk Operator's hash. The first pathType keeps it, each further one gets a
/// hash of its own.
fn set_apart(routes: &mut [Route]) {
    let mut first: BTreeMap<String, PathType> = BTreeMap::new();
    for route in routes.iter() {
        if let Some(path_type) = route.path_type {
            let first = first.entry(route.hash.clone()).or_insert(path_type);
            *first = path_type.min(*first);
        }
    }
    for route in routes {
        if let Some(path_type) = route
            .path_type
            .filter(|path_type| first.get(&route.hash) != Some(path_type))
        {
            route.hash = names::child_hash(&route.hash, "", Some(path_type.as_str()));
        }
    }
}
