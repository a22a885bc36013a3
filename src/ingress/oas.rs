//! Children made from a template of kind `TykOasApiDefinition`.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;
use serde_json::{Map, Value, json};

use super::children;
use super::route::Route;
use super::{Child, Options};
use crate::api::{ApiDefinition, ApiDefinitionSpec, TykOas, TykOasApiDefinition, TykOasApiDefinitionSpec, names};
use crate::diagnostic::{Code, Diagnostic};
use crate::snapshot::document::{EXTENSION, read, works_by_operation};
use crate::snapshot::{NamespacedName, Snapshot};

/// Kind that the annotation `tyk.io/template-kind` names.
const KIND: &str = "TykOasApiDefinition";

/// Whether the Ingress of a route names an OAS template.
pub(super) fn is_asked_for(route: &Route<'_>) -> bool {
    let annotations = route.ingress.annotations();
    let kind = annotations.get(names::ANNOTATION_TEMPLATE_KIND).map(String::as_str);
    annotations.contains_key(names::ANNOTATION_TEMPLATE) && kind == Some(KIND)
}

/// The children of one route.
pub(super) struct Pair {
    /// The OAS API.
    pub oas: Child<TykOasApiDefinition>,
    /// The classic API in front of it, if it needs one.
    pub front: Option<Child>,
}

/// Where a route leads.
pub(super) struct Served<'a> {
    /// Domain expression, empty for every host.
    pub domain: &'a str,
    /// URL of the backend.
    pub target: &'a str,
}

/// Renders the children of a route; `None` when its template cannot be used.
///
/// The gateway finds operations that validate requests or answer by themselves below the literal listen path, and
/// silently skips them when that is an expression. Then the expression stands in a classic keyless API which hands the
/// request over to the OAS API. The gateway looks such a request up below `/` and the id of the API it is handed to, so
/// that is the literal listen path of the OAS API, which is internal (all of this was seen on a gateway 5.11).
pub(super) fn render(
    route: &Route<'_>,
    served: &Served<'_>,
    snapshot: &Snapshot,
    options: &Options,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Pair> {
    let (mut spec, mut document) = template(route, snapshot, diagnostics)?;
    let metadata = children::metadata(route);
    let name = metadata.name.clone().unwrap_or_default();
    let id = names::api_id(&route.ingress.namespace().unwrap_or_default(), &name);
    let listen_path = route.path.listen_path();
    let in_front = listen_path.contains('{') && works_by_operation(document.get(EXTENSION));

    let extension = object(&mut document, EXTENSION)?;
    let info = object(extension, "info")?;
    info.remove("id");
    info.remove("dbId");
    info.insert("name".into(), json!(name));
    let state = object(info, "state")?;
    state.insert("active".into(), json!(true));
    if in_front {
        state.insert("internal".into(), json!(true));
    }
    upstream(object(extension, "upstream")?, served.target);
    let server = object(extension, "server")?;
    let strip = server
        .get("listenPath")
        .and_then(|path| path.get("strip")?.as_bool())
        .unwrap_or(false);
    let front = in_front.then(|| front(route, served, &id, strip, &spec, options));
    let inner_path = json!({"value": format!("/{id}"), "strip": false});
    if in_front {
        server.insert("listenPath".into(), inner_path);
        server.remove("customDomain");
        spec.custom_domain = None;
    } else {
        server.insert("listenPath".into(), json!({"value": listen_path, "strip": strip}));
        listener(server, options);
        domain(server, &mut spec, served.domain);
    }
    spec.tyk_oas = TykOas {
        configmap_ref: None,
        document: Some(document),
    };
    let definition = TykOasApiDefinition {
        metadata,
        spec,
        status: None,
    };
    Some(Pair {
        oas: children::child(route, definition),
        front,
    })
}

/// Names of all children that the route can have.
pub(super) fn names_of(route: &Route<'_>) -> [NamespacedName; 2] {
    [route, &front_route(route)].map(|route| NamespacedName::of(&children::metadata(route)))
}

fn template(
    route: &Route<'_>,
    snapshot: &Snapshot,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<(TykOasApiDefinitionSpec, Map<String, Value>)> {
    let name = route.ingress.annotations().get(names::ANNOTATION_TEMPLATE)?;
    let key = NamespacedName::new(route.ingress.namespace().unwrap_or_default(), name);
    let found = match snapshot.tyk_oas_api_definitions.get(&key) {
        None => Err("does not exist".to_owned()),
        Some(template) => match read(snapshot, template) {
            Ok(document) if document.get(EXTENSION).is_some_and(Value::is_object) => {
                Ok((template.spec.clone(), document))
            }
            Ok(_) => Err(format!("has a document without `{EXTENSION}`")),
            Err((_, _, message)) => Err(format!("has no document: {message}")),
        },
    };
    let report = |why: String| {
        let field = format!("metadata.annotations[{}]", names::ANNOTATION_TEMPLATE);
        let message = format!("template {KIND} {key} {why}, so nothing new of the Ingress is served");
        diagnostics.push(Diagnostic::new(Code::TemplateNotFound, route.object(), field, message));
    };
    found.map_err(report).ok()
}

/// The backend in place of every other target; path and Host reach it unchanged unless the template says otherwise.
fn upstream(upstream: &mut Map<String, Value>, target: &str) {
    for other_target in ["loadBalancing", "serviceDiscovery"] {
        upstream.remove(other_target);
    }
    upstream.insert("url".into(), json!(target));
    for preserved in ["preserveHostHeader", "preserveTrailingSlash"] {
        upstream.entry(preserved).or_insert_with(|| json!({"enabled": true}));
    }
}

fn listener(server: &mut Map<String, Value>, options: &Options) {
    if options.http_port != 0 {
        server.insert("port".into(), json!(options.http_port));
        server.insert("protocol".into(), json!("http"));
    }
}

/// Settings of the resource win over the document, so the domain goes to where the template has one.
fn domain(server: &mut Map<String, Value>, spec: &mut TykOasApiDefinitionSpec, domain: &str) {
    if domain.is_empty() {
        return;
    }
    if let Some(custom) = &mut spec.custom_domain {
        custom.enabled = true;
        custom.name = domain.to_owned();
    } else {
        let custom = server.entry("customDomain").or_insert_with(|| json!({}));
        if let Some(custom) = custom.as_object_mut() {
            custom.insert("enabled".into(), json!(true));
            custom.insert("name".into(), json!(domain));
        }
    }
}

fn front_route<'a>(route: &Route<'a>) -> Route<'a> {
    Route {
        hash: names::child_hash(&route.hash, "", Some("front")),
        ..route.clone()
    }
}

fn front(
    route: &Route<'_>,
    served: &Served<'_>,
    id: &str,
    strip: bool,
    spec: &TykOasApiDefinitionSpec,
    options: &Options,
) -> Child {
    let mut definition = Map::from_iter([
        ("use_keyless".to_owned(), json!(true)),
        ("proxy".to_owned(), json!({"strip_listen_path": strip})),
    ]);
    if let Some(domain) = &spec.custom_domain {
        for (field, values) in [
            ("certificates", &domain.certificates),
            ("certificate_secret_names", &domain.certificates_ref),
        ] {
            if !values.is_empty() {
                definition.insert(field.to_owned(), json!(values));
            }
        }
    }
    let base = ApiDefinitionSpec {
        context_ref: spec.context_ref.clone(),
        definition,
    };
    let route = front_route(route);
    let definition: ApiDefinition = children::definition(&route, base, served.domain, &format!("tyk://{id}"), options);
    children::child(&route, definition)
}

/// The object at `key`, made if there is none.
fn object<'a>(fields: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    let value = fields.entry(key).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut()
}

/// What [`children::of_routes`] collects of OAS APIs.
pub(super) type OasChildren = BTreeMap<NamespacedName, Child<TykOasApiDefinition>>;

/// Renders a route into the collections of all children.
pub(super) fn add(
    route: &Route<'_>,
    rendered: Option<Pair>,
    (children, oas_children): (&mut BTreeMap<NamespacedName, Child>, &mut OasChildren),
    held: &mut BTreeSet<NamespacedName>,
) {
    let Some(Pair { oas, front }) = rendered else {
        held.extend(names_of(route));
        return;
    };
    children.extend(front.map(|front| (NamespacedName::of(&front.definition.metadata), front)));
    oas_children.insert(NamespacedName::of(&oas.definition.metadata), oas);
}

#[cfg(test)]
mod tests;
