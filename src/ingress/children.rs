//! Routes to `ApiDefinition` children: one for each listener of a route.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;
use serde_json::{Map, Value, json};

use super::annotations::{Annotations, TemplateKind};
use super::backend::{Backends, Target as BackendTarget};
use super::host::Host;
use super::listener::{self, HttpForTlsHosts, Listener};
use super::route::Route;
use super::{Child, Classes, Options, overrides};
use crate::api::{ApiDefinition, ApiDefinitionSpec, Target, names};
use crate::diagnostic::{Code, Diagnostic};
use crate::snapshot::{NamespacedName, Snapshot};

/// Labels of the exact hosts, by the suffix of the wildcard that would match them as well.
type ExactLabels<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Renders routes that do not compete any more.
pub struct Renderer<'a> {
    exact: ExactLabels<'a>,
    backends: Backends<'a>,
    classes: &'a Classes,
    snapshot: &'a Snapshot,
    options: &'a Options,
    children: BTreeMap<NamespacedName, Child>,
    held: BTreeSet<NamespacedName>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Renderer<'a> {
    /// A renderer for these routes.
    pub fn new(routes: &'a [Route<'_>], classes: &'a Classes, snapshot: &'a Snapshot, options: &'a Options) -> Self {
        Self {
            exact: exact_labels(routes),
            backends: Backends::new(snapshot, options),
            classes,
            snapshot,
            options,
            children: BTreeMap::new(),
            held: BTreeSet::new(),
            diagnostics: Vec::new(),
        }
    }

    /// The children, and the names of those that cannot be rendered because their template is missing.
    pub fn finish(
        self,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> (BTreeMap<NamespacedName, Child>, BTreeSet<NamespacedName>) {
        diagnostics.extend(self.diagnostics);
        (self.children, self.held)
    }

    /// Renders one route.
    pub fn add(&mut self, route: &Route<'_>) {
        let base = self.base(route);
        let context = base
            .as_ref()
            .and_then(|base| base.context_ref.clone())
            .or_else(|| self.class_context(route));
        let namespace = route.ingress.namespace().unwrap_or_default();
        let found = context
            .as_ref()
            .and_then(|target| listener::context(target, &namespace, self.snapshot));
        let listeners = listener::listeners(
            route,
            listener::ports(found, self.options),
            self.http_for_tls_hosts(route),
        );
        let Some(mut base) = base else {
            let names = listeners
                .iter()
                .map(|listener| NamespacedName::of(&metadata(route, listener, &listeners)));
            self.held.extend(names);
            return;
        };
        base.context_ref = context;
        let target = self.backends.resolve(&namespace, route.backend, annotations(route));
        if let Some((code, message)) = &target.problem {
            self.report(*code, route, route.backend_field(), message.clone());
        }
        for listener in &listeners {
            let metadata = metadata(route, listener, &listeners);
            self.add_child(route, listener, metadata, &base, &target);
        }
    }

    fn add_child(
        &mut self,
        route: &Route<'_>,
        listener: &Listener<'_>,
        metadata: ObjectMeta,
        base: &ApiDefinitionSpec,
        target: &BackendTarget,
    ) {
        let spec = match listener {
            Listener::Redirect(_) => match self.options.redirector_url.as_deref() {
                Some(url) => {
                    let base = ApiDefinitionSpec {
                        context_ref: base.context_ref.clone(),
                        ..self.keyless()
                    };
                    self.spec(route, listener, &base, url, &metadata)
                }
                None => {
                    let message = "http cannot be redirected to https without --redirector-url, so it is not served";
                    self.report(Code::RedirectorMissing, route, "spec.tls".into(), message.into());
                    return;
                }
            },
            Listener::Http(_) | Listener::Https(..) => {
                let mut spec = self.spec(route, listener, base, &target.url, &metadata);
                for (code, field, message) in overrides::apply(&mut spec.definition, annotations(route), target) {
                    self.report(code, route, field, message);
                }
                spec
            }
        };
        let name = NamespacedName::of(&metadata);
        let child = Child {
            definition: ApiDefinition {
                metadata,
                spec,
                status: None,
            },
            ingress: NamespacedName::of(&route.ingress.metadata),
            field: route.field.clone(),
            host: route.host.to_string(),
            path: if route.path_text.is_empty() {
                "/".into()
            } else {
                route.path_text.to_owned()
            },
            path_type: route
                .path_type
                .map_or("default backend", |path_type| path_type.as_str()),
        };
        self.children.insert(name, child);
    }

    /// What a child is made from: the template that the Ingress names, or a keyless API. `None` when the template is
    /// missing, since to serve the route without it could leave out its authentication.
    fn base(&mut self, route: &Route<'_>) -> Option<ApiDefinitionSpec> {
        let annotations = annotations(route);
        let Some(name) = &annotations.template else {
            return Some(self.keyless());
        };
        let kind = match annotations.template_kind {
            Some(TemplateKind::TykOasApiDefinition) => "TykOasApiDefinition",
            Some(TemplateKind::ApiDefinition) | None => "ApiDefinition",
        };
        let key = NamespacedName::new(route.ingress.namespace().unwrap_or_default(), name);
        let template = self
            .snapshot
            .api_definitions
            .get(&key)
            .filter(|_| kind == "ApiDefinition");
        if template.is_none() {
            let field = format!("metadata.annotations[{}]", names::ANNOTATION_TEMPLATE);
            let message =
                format!("template {kind} {key} does not exist; what was served before it went is still served");
            self.report(Code::TemplateNotFound, route, field, message);
        }
        template.map(|template| template.spec.clone())
    }

    /// The definition of an Ingress without a template.
    fn keyless(&self) -> ApiDefinitionSpec {
        let mut definition = Map::from_iter([("use_keyless".to_owned(), json!(true))]);
        if let Some(server) = &self.options.server_header {
            let mut version_data = unversioned();
            version_data["versions"]["Default"]["global_response_headers"] = json!({"Server": server});
            definition.insert("version_data".into(), version_data);
            definition.insert(
                "response_processors".into(),
                json!([{"name": "header_injector", "options": {}}]),
            );
        }
        ApiDefinitionSpec {
            context_ref: None,
            definition,
        }
    }

    fn class_context(&self, route: &Route<'_>) -> Option<Target> {
        let class = NamespacedName::new("", self.classes.name_of(route.ingress)?);
        listener::context_of_class(self.snapshot.ingress_classes.get(&class)?)
    }

    fn http_for_tls_hosts(&self, route: &Route<'_>) -> HttpForTlsHosts {
        match annotations(route).ssl_redirect {
            Some(true) => HttpForTlsHosts::Redirect,
            Some(false) => HttpForTlsHosts::Serve,
            None => self.options.http_for_tls_hosts,
        }
    }

    fn spec(
        &self,
        route: &Route<'_>,
        listener: &Listener<'_>,
        base: &ApiDefinitionSpec,
        target: &str,
        metadata: &ObjectMeta,
    ) -> ApiDefinitionSpec {
        let mut spec = base.definition.clone();
        // These belong to the template itself: its children would all have one identity.
        for own in ["api_id", "id", "slug"] {
            spec.remove(own);
        }
        spec.insert("name".into(), json!(metadata.name));
        spec.insert("active".into(), json!(true));
        spec.entry("protocol").or_insert_with(|| json!(""));
        self.listen(route, listener, &mut spec);
        spec.entry("version_data").or_insert_with(unversioned);
        let listen_path = match listener {
            Listener::Https(..) if route.host == Host::Any => route.path.listen_path_for_https(),
            _ => route.path.listen_path(),
        };
        route_proxy(spec.entry("proxy").or_insert_with(|| json!({})), &listen_path, target);
        ApiDefinitionSpec {
            context_ref: base.context_ref.clone(),
            definition: spec,
        }
    }

    /// Domain, port, protocol and certificates.
    fn listen(&self, route: &Route<'_>, listener: &Listener<'_>, spec: &mut Map<String, Value>) {
        static NONE: BTreeSet<&str> = BTreeSet::new();
        let exact = match &route.host {
            Host::Wildcard(suffix) => self.exact.get(suffix.as_str()).unwrap_or(&NONE),
            Host::Any | Host::Exact(_) => &NONE,
        };
        let mutual_tls = spec.get("use_mutual_tls_auth") == Some(&json!(true));
        let (domain, port, protocol) = match listener {
            Listener::Http(port) | Listener::Redirect(port) => (route.host.domain(exact), *port, "http"),
            Listener::Https(port, secrets) => {
                if !secrets.is_empty() {
                    spec.insert("certificate_secret_names".into(), json!(secrets));
                }
                (route.host.domain_for_https(exact, mutual_tls), *port, "https")
            }
        };
        if !domain.is_empty() {
            spec.insert("domain".into(), json!(domain));
            // A template without a domain may have it, and the gateway would then serve the route on every host.
            spec.remove("domain_disabled");
        }
        if port != 0 {
            spec.insert("listen_port".into(), json!(port));
            spec.insert("protocol".into(), json!(protocol));
        }
    }

    fn report(&mut self, code: Code, route: &Route<'_>, field: String, message: String) {
        self.diagnostics
            .push(Diagnostic::new(code, route.object(), field, message));
    }
}

/// What the annotations ask for. A challenge is served as it is, whatever they say.
fn annotations<'a>(route: &'a Route<'_>) -> &'a Annotations {
    static NONE: LazyLock<Annotations> = LazyLock::new(Annotations::default);
    if listener::is_acme(route) {
        &NONE
    } else {
        &route.annotations
    }
}

fn exact_labels<'a>(routes: &'a [Route<'_>]) -> ExactLabels<'a> {
    let mut labels = ExactLabels::new();
    for route in routes {
        if let Host::Exact(name) = &route.host
            && let Some((label, suffix)) = name.split_once('.')
        {
            labels.entry(suffix).or_default().insert(label);
        }
    }
    labels
}

/// The proxy section: the route's own path and target; path and Host reach the backend unchanged unless the template
/// says otherwise.
fn route_proxy(proxy: &mut Value, listen_path: &str, target: &str) {
    if !proxy.is_object() {
        *proxy = json!({});
    }
    let Value::Object(proxy) = proxy else { return };
    proxy.insert("listen_path".into(), json!(listen_path));
    proxy.insert("target_url".into(), json!(target));
    proxy.entry("strip_listen_path").or_insert_with(|| json!(false));
    proxy.entry("preserve_host_header").or_insert_with(|| json!(true));
    proxy.entry("disable_strip_slash").or_insert_with(|| json!(true));
}

/// Without a version the gateway answers every request with 403 (read in its source).
fn unversioned() -> Value {
    json!({
        "not_versioned": true,
        "default_version": "Default",
        "versions": {"Default": {"name": "Default", "use_extended_paths": true}}
    })
}

/// The twin of an https child hashes what sets it apart, so that the https child keeps the name of Tyk Operator's.
fn metadata(route: &Route<'_>, listener: &Listener<'_>, all: &[Listener<'_>]) -> ObjectMeta {
    let ingress = route.ingress;
    let namespace = ingress.namespace().unwrap_or_default();
    let name = ingress.name_any();
    let hash = match all.first() == Some(listener) {
        true => route.hash.clone(),
        false => names::child_hash(&route.hash, "", Some("http")),
    };
    let labels = [
        (names::LABEL_INGRESS, names::label_value(&name)),
        (names::LABEL_APIDEFINITION, hash.clone()),
    ];
    ObjectMeta {
        name: Some(names::child_name(&namespace, &name, &hash)),
        namespace: Some(namespace),
        labels: Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        owner_references: owner_reference(ingress).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// `None` for an Ingress that never was in a cluster and so has no uid.
fn owner_reference(ingress: &Ingress) -> Option<OwnerReference> {
    Some(OwnerReference {
        api_version: "networking.k8s.io/v1".into(),
        kind: "Ingress".into(),
        name: ingress.name_any(),
        uid: ingress.uid()?,
        controller: Some(true),
        block_owner_deletion: Some(true),
    })
}
