//! Routes to `ApiDefinition` children.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;
use serde_json::{Map, Value, json};

use super::host::Host;
use super::oas::OasChildren;
use super::route::Route;
use super::{Child, Options, backend, oas};
use crate::api::{ApiDefinition, ApiDefinitionSpec, names};
use crate::diagnostic::{Code, Diagnostic};
use crate::snapshot::{NamespacedName, Snapshot};

/// Renders the children of routes that do not compete any more, and names those that have no template.
pub fn of_routes(
    routes: &[Route<'_>],
    snapshot: &Snapshot,
    options: &Options,
    diagnostics: &mut Vec<Diagnostic>,
) -> (BTreeMap<NamespacedName, Child>, OasChildren, BTreeSet<NamespacedName>) {
    let exact = exact_labels(routes);
    let (mut children, mut oas_children, mut held) = (BTreeMap::new(), OasChildren::new(), BTreeSet::new());
    for route in routes {
        if oas::is_asked_for(route) {
            let target = target(route, snapshot, options, diagnostics);
            let domain = route.host.domain(labels_below(&route.host, &exact));
            let served = oas::Served {
                domain: &domain,
                target: &target,
            };
            let rendered = oas::render(route, &served, snapshot, options, diagnostics);
            oas::add(route, rendered, (&mut children, &mut oas_children), &mut held);
            continue;
        }
        let Some(base) = base_of(route, snapshot, diagnostics) else {
            held.insert(NamespacedName::of(&metadata(route)));
            continue;
        };
        let target = target(route, snapshot, options, diagnostics);
        let domain = route.host.domain(labels_below(&route.host, &exact));
        let definition = definition(route, base, &domain, &target, options);
        let child = child(route, definition);
        children.insert(NamespacedName::of(&child.definition.metadata), child);
    }
    (children, oas_children, held)
}

/// A resource with what it was made from.
pub(super) fn child<K>(route: &Route<'_>, definition: K) -> Child<K> {
    Child {
        definition,
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
    }
}

/// URL of the backend.
fn target(route: &Route<'_>, snapshot: &Snapshot, options: &Options, diagnostics: &mut Vec<Diagnostic>) -> String {
    let namespace = route.ingress.namespace().unwrap_or_default();
    let target = backend::resolve(&namespace, route.backend, snapshot, options);
    if let Some((code, message)) = target.problem {
        diagnostics.push(Diagnostic::new(code, route.object(), route.backend_field(), message));
    }
    target.url
}

/// Labels of the exact hosts, by the suffix of the wildcard that would match them as well.
type ExactLabels<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

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

fn labels_below<'a>(host: &Host, exact: &'a ExactLabels<'a>) -> &'a BTreeSet<&'a str> {
    static NONE: BTreeSet<&str> = BTreeSet::new();
    match host {
        Host::Wildcard(suffix) => exact.get(suffix.as_str()).unwrap_or(&NONE),
        Host::Any | Host::Exact(_) => &NONE,
    }
}

/// What a child is made from: the template that the Ingress names, or a keyless API. `None` when the template is
/// missing, since to serve the route without it could leave out its authentication.
fn base_of(route: &Route<'_>, snapshot: &Snapshot, diagnostics: &mut Vec<Diagnostic>) -> Option<ApiDefinitionSpec> {
    let annotations = route.ingress.annotations();
    let Some(name) = annotations.get(names::ANNOTATION_TEMPLATE) else {
        let definition = Map::from_iter([("use_keyless".to_owned(), Value::Bool(true))]);
        return Some(ApiDefinitionSpec {
            context_ref: None,
            definition,
        });
    };
    let kind = annotations
        .get(names::ANNOTATION_TEMPLATE_KIND)
        .map_or("ApiDefinition", String::as_str);
    let key = NamespacedName::new(route.ingress.namespace().unwrap_or_default(), name);
    let template = snapshot.api_definitions.get(&key).filter(|_| kind == "ApiDefinition");
    if template.is_none() {
        let field = format!("metadata.annotations[{}]", names::ANNOTATION_TEMPLATE);
        let message = format!("template {kind} {key} does not exist, so nothing of the Ingress is served");
        diagnostics.push(Diagnostic::new(Code::TemplateNotFound, route.object(), field, message));
    }
    template.map(|template| template.spec.clone())
}

/// The classic child of a route.
pub(super) fn definition(
    route: &Route<'_>,
    base: ApiDefinitionSpec,
    domain: &str,
    target: &str,
    options: &Options,
) -> ApiDefinition {
    let metadata = metadata(route);
    let name = metadata.name.clone().unwrap_or_default();
    let mut spec = base.definition;
    // These belong to the template itself: its children would all have one identity.
    for own in ["api_id", "id", "slug"] {
        spec.remove(own);
    }
    spec.insert("name".into(), json!(name));
    spec.insert("active".into(), json!(true));
    spec.entry("protocol").or_insert_with(|| json!(""));
    if !domain.is_empty() {
        spec.insert("domain".into(), json!(domain));
    }
    if options.http_port != 0 {
        spec.insert("listen_port".into(), json!(options.http_port));
        spec.insert("protocol".into(), json!("http"));
    }
    spec.entry("version_data").or_insert_with(unversioned);
    route_proxy(
        spec.entry("proxy").or_insert_with(|| json!({})),
        &route.path.listen_path(),
        target,
    );
    ApiDefinition {
        metadata,
        spec: ApiDefinitionSpec {
            context_ref: base.context_ref,
            definition: spec,
        },
        status: None,
    }
}

/// The proxy section: the route's own path and target; path and Host reach the backend unchanged unless the template
/// says otherwise.
fn route_proxy(proxy: &mut Value, listen_path: &str, target: &str) {
    if !proxy.is_object() {
        *proxy = json!({});
    }
    let Value::Object(proxy) = proxy else { return };
    for other_target in ["target_internal", "target_list", "enable_load_balancing"] {
        proxy.remove(other_target);
    }
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

/// Name, labels and owner of a child.
pub(super) fn metadata(route: &Route<'_>) -> ObjectMeta {
    let ingress = route.ingress;
    let namespace = ingress.namespace().unwrap_or_default();
    let name = ingress.name_any();
    let labels = [
        (names::LABEL_INGRESS, names::label_value(&name)),
        (names::LABEL_APIDEFINITION, route.hash.clone()),
    ];
    ObjectMeta {
        name: Some(names::child_name(&namespace, &name, &route.hash)),
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
