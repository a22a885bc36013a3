//! Routes to children: one for each listener of a route.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};

use super::annotations::{self, Annotations, TemplateKind};
use super::backend::{Backends, Target as BackendTarget};
use super::exposure::{ExactLabels, Exposure};
use super::listener::{self, HttpForTlsHosts, Listener, Ports};
use super::memo::Slot;
use super::route::Route;
use super::{Child, Classes, Options, oas, overrides, redirect};
use crate::api::{ApiDefinitionSpec, Target, TykOasApiDefinitionSpec, names};
use crate::diagnostic::{Code, Diagnostic};
use crate::snapshot::{ContextProblem, NamespacedName, Snapshot};

/// What the routes become.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// Classic children.
    pub children: Vec<(NamespacedName, Arc<Child>)>,
    /// OAS children.
    pub oas_children: Vec<(NamespacedName, Arc<Child<TykOasApiDefinitionSpec>>)>,
    /// Names of children that stay although they are not rendered, because their template is missing or their context
    /// cannot be used.
    pub held: Vec<NamespacedName>,
    /// Findings.
    pub diagnostics: Vec<Diagnostic>,
}

impl Rendered {
    /// Adds what routes became before, or have become elsewhere.
    pub fn extend(&mut self, other: &Self) {
        self.children.extend_from_slice(&other.children);
        self.oas_children.extend_from_slice(&other.oas_children);
        self.held.extend_from_slice(&other.held);
        self.diagnostics.extend_from_slice(&other.diagnostics);
    }
}

/// Renders routes that do not compete any more.
pub struct Renderer<'a> {
    exact: &'a ExactLabels<'a>,
    backends: Backends<'a>,
    classes: &'a Classes,
    snapshot: &'a Snapshot,
    options: &'a Options,
    /// Label value of the operator's name.
    operator: Arc<str>,
    rendered: Rendered,
}

/// What a child is made from.
enum Base {
    Classic(Classic),
    Oas(Box<oas::Template>),
}

/// A classic definition while it is made.
pub(super) struct Classic {
    /// As in [`ApiDefinitionSpec`].
    pub(super) context_ref: Option<Target>,
    /// Everything else.
    pub(super) definition: Map<String, Value>,
}

impl Classic {
    fn of(spec: &ApiDefinitionSpec) -> Self {
        Self {
            context_ref: spec.context_ref.clone(),
            definition: spec.definition.fields(),
        }
    }
}

impl From<Classic> for ApiDefinitionSpec {
    fn from(made: Classic) -> Self {
        Self {
            context_ref: made.context_ref,
            definition: made.definition.into(),
        }
    }
}

impl Base {
    fn context(&self) -> Option<&Target> {
        match self {
            Base::Classic(spec) => spec.context_ref.as_ref(),
            Base::Oas(template) => template.spec.context_ref.as_ref(),
        }
    }

    /// Whether clients show certificates, which the gateway looks up by the literal domain.
    fn mutual_tls(&self) -> bool {
        match self {
            Base::Classic(spec) => spec.definition.get("use_mutual_tls_auth") == Some(&json!(true)),
            Base::Oas(template) => template.mutual_tls(),
        }
    }
}

impl<'a> Renderer<'a> {
    /// A renderer for some of the routes, of all of which `exact` is.
    pub fn new(exact: &'a ExactLabels<'a>, classes: &'a Classes, snapshot: &'a Snapshot, options: &'a Options) -> Self {
        Self {
            exact,
            backends: Backends::new(snapshot, options),
            classes,
            snapshot,
            options,
            operator: names::label_value(&options.owner).into(),
            rendered: Rendered::default(),
        }
    }

    /// All that was rendered.
    pub fn finish(self) -> Rendered {
        self.rendered
    }

    /// Adds what a route becomes, and lets it be remembered.
    pub fn add(&mut self, slot: &Slot) {
        let others = std::mem::take(&mut self.rendered);
        let from_context = self.render(&slot.route);
        let own = std::mem::replace(&mut self.rendered, others);
        self.rendered.extend(&own);
        // Read in any case, for the next route.
        let from_slices = self.backends.took_slices();
        if !from_context && !from_slices {
            slot.remember(own);
        }
    }

    /// Renders one route; whether a context has a part in it.
    fn render(&mut self, route: &Route) -> bool {
        let base = self.base(route);
        let context = base.as_ref().and_then(Base::context).cloned();
        let context = context.or_else(|| self.class_context(route));
        let from_context = context.is_some();
        let (listeners, held) = match self.ports(route, context.as_ref()) {
            Ok(ports) => (self.listeners(route, ports), base.is_none()),
            // The gateway's API is held as long as its context cannot be used, whatever its child says.
            Err(_) => (self.listeners(route, self.options.ports()), true),
        };
        if held {
            self.hold(route);
        }
        let Some(base) = base else { return from_context };
        let literal = base.mutual_tls();
        let exposure = |listener: &Listener<'_>| {
            let hash = hash_of(route, listener, &listeners);
            Exposure::of(route, listener, hash, self.exact, literal)
        };
        let exposures: Vec<_> = listeners.iter().map(exposure).collect();
        let (redirects, served): (Vec<_>, Vec<_>) = exposures
            .into_iter()
            .zip(&listeners)
            .partition(|(_, listener)| matches!(listener, Listener::Redirect(_)));
        for (exposure, _) in redirects {
            self.add_redirect(route, exposure, context.clone());
        }
        let served = served.into_iter().map(|(exposure, _)| exposure).collect();
        self.add_served(route, served, base, context);
        from_context
    }

    fn ports(&self, route: &Route, context: Option<&Target>) -> Result<Ports, ContextProblem> {
        let namespace = &route.ingress.name().namespace;
        listener::ports(context, namespace, self.snapshot, self.options)
    }

    fn listeners<'r>(&self, route: &'r Route, ports: Ports) -> Vec<Listener<'r>> {
        listener::listeners(route, ports, self.http_for_tls_hosts(route))
    }

    /// Keeps every child that the route may have, on whatever ports.
    fn hold(&mut self, route: &Route) {
        let apart = self.listeners(route, Ports { http: 0, https: 1 });
        let hashes: Vec<_> = apart.iter().map(|listener| hash_of(route, listener, &apart)).collect();
        let fronts = hashes.iter().map(|hash| oas::front_hash(hash));
        let all = fronts.chain(hashes.iter().cloned());
        let namespace = &route.ingress.name().namespace;
        let names = all.map(|hash| NamespacedName::new(namespace, route.child_name(&hash)));
        self.rendered.held.extend(names);
    }

    fn add_redirect(&mut self, route: &Route, exposure: Exposure, context: Option<Target>) {
        let Some(url) = self.options.redirector_url.as_deref() else {
            let message = "http cannot be redirected to https without --redirector-url, so it is not served";
            self.report(Code::RedirectorMissing, route, "spec.tls".into(), message.into());
            return;
        };
        let definition = classic_spec(&exposure, self.keyless(route), url);
        self.insert(
            route,
            exposure.hash,
            Classic {
                context_ref: context,
                definition,
            },
        );
    }

    fn add_served(&mut self, route: &Route, exposures: Vec<Exposure>, base: Base, context: Option<Target>) {
        let namespace = &route.ingress.name().namespace;
        let target = self.backends.resolve(namespace, &route.backend, annotations(route));
        if let Some((code, message)) = &target.problem {
            self.report(*code, route, route.backend_field(), message.clone());
        }
        match base {
            Base::Classic(base) => {
                for exposure in exposures {
                    self.add_classic(route, exposure, &base.definition, &target, context.clone());
                }
            }
            Base::Oas(mut template) => {
                template.spec.context_ref = context;
                self.add_oas(route, &exposures, &template, &target);
            }
        }
    }

    fn add_classic(
        &mut self,
        route: &Route,
        exposure: Exposure,
        base: &Map<String, Value>,
        target: &BackendTarget,
        context: Option<Target>,
    ) {
        let mut definition = classic_spec(&exposure, base.clone(), &target.url);
        for (code, field, message) in overrides::apply(&mut definition, annotations(route), target) {
            self.report(code, route, field, message);
        }
        if let Some(redirect) = redirect::of(annotations(route), route.path_type, &route.path_text)
            && let Err(message) = redirect::apply(&mut definition, redirect)
        {
            self.report(
                Code::AnnotationWithoutEffect,
                route,
                annotations::field("redirect"),
                message,
            );
        }
        self.insert(
            route,
            exposure.hash,
            Classic {
                context_ref: context,
                definition,
            },
        );
    }

    fn add_oas(&mut self, route: &Route, exposures: &[Exposure], template: &oas::Template, target: &BackendTarget) {
        let (resources, fronts) = oas::render(route, exposures, template, annotations(route), target);
        for (hash, spec) in fronts {
            self.insert(route, hash, spec);
        }
        for (hash, spec) in resources {
            let (name, child) = self.child(route, hash, spec, false);
            self.rendered.oas_children.push((name, Arc::new(child)));
        }
        for (code, field, message) in oas::without_effect(annotations(route)) {
            self.report(code, route, field, message);
        }
    }

    fn insert(&mut self, route: &Route, hash: String, spec: Classic) {
        let names_others = spec.context_ref.is_some()
            || spec.definition.contains_key("certificate_secret_names")
            || route.annotations.template.is_some();
        let (name, child) = self.child(route, hash, spec.into(), !names_others);
        self.rendered.children.push((name, Arc::new(child)));
    }

    /// A child with its name.
    fn child<S>(&self, route: &Route, hash: String, spec: S, alone: bool) -> (NamespacedName, Child<S>) {
        let ingress = route.ingress.name().clone();
        let name = NamespacedName {
            namespace: Arc::clone(&ingress.namespace),
            name: route.child_name(&hash).into(),
        };
        let child = Child {
            spec,
            ingress,
            uid: route.ingress.uid().map(Into::into),
            created: route.ingress.created(),
            hash: hash.into(),
            operator: Arc::clone(&self.operator),
            field: route.field.as_str().into(),
            host: route.host.to_string().into(),
            path: match route.path_text.as_str() {
                "" => "/".into(),
                path => path.into(),
            },
            path_type: route
                .path_type
                .map_or("default backend", |path_type| path_type.as_str()),
            alone,
        };
        (name, child)
    }

    /// What the children of a route are made from: the template that the Ingress names, or a keyless API. `None` when
    /// the template is missing, since to serve the route without it could leave out its authentication.
    fn base(&mut self, route: &Route) -> Option<Base> {
        let annotations = annotations(route);
        let Some(name) = &annotations.template else {
            return Some(Base::Classic(Classic {
                context_ref: None,
                definition: self.keyless(route),
            }));
        };
        let key = NamespacedName::new(&route.ingress.name().namespace, name);
        let found = match annotations.template_kind {
            Some(TemplateKind::TykOasApiDefinition) => {
                oas::Template::find(self.snapshot, &key).map(|template| Base::Oas(Box::new(template)))
            }
            Some(TemplateKind::ApiDefinition) | None => match self.snapshot.api_definitions.get(&key) {
                Some(template) => Ok(Base::Classic(Classic::of(template.spec()))),
                None => Err(format!("ApiDefinition {key} does not exist")),
            },
        };
        let report = |why: String| {
            let field = format!("metadata.annotations[{}]", names::ANNOTATION_TEMPLATE);
            let message = format!("template {why}; what was served before is still served");
            self.report(Code::TemplateNotFound, route, field, message);
        };
        found.map_err(report).ok()
    }

    /// The definition of an Ingress without a template. Only answers of default backends name their server, which costs
    /// the gateway a look at the path of each: Kubernetes' conformance suite wants it of these, and nothing of the others.
    fn keyless(&self, route: &Route) -> Map<String, Value> {
        let mut definition = Map::from_iter([("use_keyless".to_owned(), json!(true))]);
        let server = self.options.server_header.as_ref();
        if let Some(server) = server.filter(|_| route.path_type.is_none()) {
            let mut version_data = unversioned();
            version_data["versions"]["Default"]["global_response_headers"] = json!({"Server": server});
            definition.insert("version_data".into(), version_data);
            definition.insert(
                "response_processors".into(),
                json!([{"name": "header_injector", "options": {}}]),
            );
        }
        definition
    }

    fn class_context(&self, route: &Route) -> Option<Target> {
        let class = NamespacedName::new("", self.classes.name_of(&route.ingress)?);
        listener::context_of_class(self.snapshot.ingress_classes.get(&class)?)
    }

    fn http_for_tls_hosts(&self, route: &Route) -> HttpForTlsHosts {
        match annotations(route).ssl_redirect {
            Some(true) => HttpForTlsHosts::Redirect,
            Some(false) => HttpForTlsHosts::Serve,
            None => self.options.http_for_tls_hosts,
        }
    }

    fn report(&mut self, code: Code, route: &Route, field: String, message: String) {
        let diagnostic = Diagnostic::new(code, route.object(), field, message);
        self.rendered.diagnostics.push(diagnostic);
    }
}

/// What the annotations ask for. A challenge is served as it is, whatever they say.
fn annotations(route: &Route) -> &Annotations {
    static NONE: LazyLock<Annotations> = LazyLock::new(Annotations::default);
    if listener::is_acme(route) {
        &NONE
    } else {
        &route.annotations
    }
}

/// The definition of a classic child.
pub(super) fn classic_spec(exposure: &Exposure, base: Map<String, Value>, target: &str) -> Map<String, Value> {
    let mut spec = base;
    // These belong to the template itself: its children would all have one identity.
    for own in ["api_id", "id", "slug"] {
        spec.remove(own);
    }
    spec.insert("name".into(), json!(exposure.name));
    spec.insert("active".into(), json!(true));
    spec.entry("protocol").or_insert_with(|| json!(""));
    if !exposure.secrets.is_empty() {
        spec.insert("certificate_secret_names".into(), json!(exposure.secrets));
    }
    if !exposure.domain.is_empty() {
        spec.insert("domain".into(), json!(exposure.domain));
        // A template without a domain may have it, and the gateway would then serve the route on every host.
        spec.remove("domain_disabled");
    }
    if let Some((port, protocol)) = exposure.listen {
        spec.insert("listen_port".into(), json!(port));
        spec.insert("protocol".into(), json!(protocol));
    }
    spec.entry("version_data").or_insert_with(unversioned);
    route_proxy(
        spec.entry("proxy").or_insert_with(|| json!({})),
        &exposure.listen_path,
        target,
    );
    spec
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

/// Hash that names the child of a listener. The first listener keeps the one of the route, and so the name of Tyk
/// Operator's child; a twin hashes what sets it apart.
fn hash_of(route: &Route, listener: &Listener<'_>, all: &[Listener<'_>]) -> String {
    match all.first() == Some(listener) {
        true => route.hash.clone(),
        false => names::child_hash(&route.hash, "", Some("http")),
    }
}
