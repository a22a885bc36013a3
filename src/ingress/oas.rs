//! Children made from a template of kind `TykOasApiDefinition`.

use serde_json::{Map, Value, json};

use super::annotations::{self, Annotations, Problem};
use super::backend::Target;
use super::children::{self, Classic};
use super::exposure::Exposure;
use super::route::Route;
use crate::api::{CustomDomain, DocumentSource, TykOasApiDefinitionSpec, names};
use crate::diagnostic::Code;
use crate::snapshot::document::{EXTENSION, read, works_by_operation};
use crate::snapshot::{NamespacedName, Snapshot};

/// The hash that names a child, and what it is.
type Named<S> = (String, S);

/// A template with its document.
pub struct Template {
    /// Settings of the resource, which win over the document.
    pub spec: TykOasApiDefinitionSpec,
    document: Map<String, Value>,
}

impl Template {
    /// Finds a template.
    ///
    /// # Errors
    /// Why there is none that can be used.
    pub fn find(snapshot: &Snapshot, name: &NamespacedName) -> Result<Self, String> {
        let Some(template) = snapshot.tyk_oas_api_definitions.get(name) else {
            return Err(format!("TykOasApiDefinition {name} does not exist"));
        };
        match read(snapshot, template.as_ref()) {
            Ok(document) if document.get(EXTENSION).is_some_and(Value::is_object) => {
                let spec = template.spec.clone();
                Ok(Self { spec, document })
            }
            Ok(_) => Err(format!(
                "TykOasApiDefinition {name} has a document without `{EXTENSION}`"
            )),
            Err((_, _, message)) => Err(format!("TykOasApiDefinition {name} has no document: {message}")),
        }
    }

    /// Whether clients show certificates.
    pub fn mutual_tls(&self) -> bool {
        let in_document = || {
            let server = self.document.get(EXTENSION)?.get("server")?;
            server.get("clientCertificates")?.get("enabled")?.as_bool()
        };
        let of_resource = self.spec.client_certificate.as_ref().and_then(|client| client.enabled);
        of_resource.or_else(in_document).unwrap_or(false)
    }

    fn strip(&self, annotations: &Annotations) -> bool {
        let in_document = || {
            let server = self.document.get(EXTENSION)?.get("server")?;
            server.get("listenPath")?.get("strip")?.as_bool()
        };
        annotations.strip_path.or_else(in_document).unwrap_or(false)
    }
}

/// The OAS children of a route, and the classic APIs in front of them.
///
/// The gateway finds operations that validate requests or answer by themselves below the literal listen path, and
/// silently skips them when that is an expression. Then the expression stands in a classic keyless API for each
/// listener, which hands the request over to one OAS API. The gateway looks such a request up below `/` and the id of
/// the API it is handed to, so that is the literal listen path of the OAS API, which is internal (all of this was seen
/// on a gateway 5.11).
pub fn render(
    route: &Route,
    exposures: &[Exposure],
    template: &Template,
    annotations: &Annotations,
    target: &Target,
) -> (Vec<Named<TykOasApiDefinitionSpec>>, Vec<Named<Classic>>) {
    let expression = exposures.iter().any(|exposure| exposure.listen_path.contains('{'));
    if !(expression && works_by_operation(template.document.get(EXTENSION))) {
        let direct = exposures
            .iter()
            .map(|exposure| direct(exposure, template, annotations, target));
        return (direct.collect(), Vec::new());
    }
    let Some(first) = exposures.first() else {
        return (Vec::new(), Vec::new());
    };
    let namespace = &route.ingress.name().namespace;
    let id = names::api_id(namespace, &first.name);
    let fronts = exposures
        .iter()
        .map(|exposure| front(route, exposure, template, annotations, &id));
    (vec![inner(first, template, annotations, target, &id)], fronts.collect())
}

/// Hash of the API in front of the one with `hash`.
pub fn front_hash(hash: &str) -> String {
    names::child_hash(hash, "", Some("front"))
}

/// Annotations that say nothing to an OAS API.
pub fn without_effect(annotations: &Annotations) -> Vec<Problem> {
    let unused = [
        ("backend-tls-verify", annotations.backend_tls_verify.is_some()),
        ("redirect", annotations.redirect.is_some()),
        ("timeout", annotations.timeout.is_some()),
        ("tags", annotations.tags.is_some()),
        ("categories", annotations.categories.is_some()),
    ];
    let given = unused.into_iter().filter(|(_, given)| *given);
    let problem = |(name, _)| {
        let message = "an OAS template says this itself, in its document".to_owned();
        (Code::AnnotationWithoutEffect, annotations::field(name), message)
    };
    given.map(problem).collect()
}

/// An OAS API that has the route's own listen path.
fn direct(
    exposure: &Exposure,
    template: &Template,
    annotations: &Annotations,
    target: &Target,
) -> Named<TykOasApiDefinitionSpec> {
    let (mut spec, mut document) = (template.spec.clone(), template.document.clone());
    let extension = named(&mut document, exposure, false);
    upstream(object(extension, "upstream"), annotations, target);
    let server = object(extension, "server");
    let strip = template.strip(annotations);
    server.insert(
        "listenPath".into(),
        json!({"value": exposure.listen_path, "strip": strip}),
    );
    if let Some((port, protocol)) = exposure.listen {
        server.insert("port".into(), json!(port));
        server.insert("protocol".into(), json!(protocol));
    }
    domain(server, &mut spec, exposure);
    resource(exposure, spec, document)
}

/// The OAS API behind a front.
fn inner(
    exposure: &Exposure,
    template: &Template,
    annotations: &Annotations,
    target: &Target,
    id: &str,
) -> Named<TykOasApiDefinitionSpec> {
    let (mut spec, mut document) = (template.spec.clone(), template.document.clone());
    let extension = named(&mut document, exposure, true);
    upstream(object(extension, "upstream"), annotations, target);
    let server = object(extension, "server");
    server.insert("listenPath".into(), json!({"value": format!("/{id}"), "strip": false}));
    server.remove("customDomain");
    spec.custom_domain = None;
    resource(exposure, spec, document)
}

fn front(
    route: &Route,
    exposure: &Exposure,
    template: &Template,
    annotations: &Annotations,
    id: &str,
) -> Named<Classic> {
    let mut definition = Map::from_iter([
        ("use_keyless".to_owned(), json!(true)),
        (
            "proxy".to_owned(),
            json!({"strip_listen_path": template.strip(annotations)}),
        ),
    ]);
    if let Some(domain) = &template.spec.custom_domain {
        for (field, values) in [
            ("certificates", &domain.certificates),
            ("certificate_secret_names", &domain.certificates_ref),
        ] {
            if !values.is_empty() {
                definition.insert(field.to_owned(), json!(values));
            }
        }
    }
    let hash = front_hash(&exposure.hash);
    let exposure = Exposure {
        name: route.child_name(&hash),
        hash,
        ..exposure.clone()
    };
    let definition = children::classic_spec(&exposure, definition, &format!("tyk://{id}"));
    let context_ref = template.spec.context_ref.clone();
    (
        exposure.hash,
        Classic {
            context_ref,
            definition,
        },
    )
}

/// The gateway's extension of a document that has the child's own name and no id.
fn named<'a>(document: &'a mut Map<String, Value>, exposure: &Exposure, internal: bool) -> &'a mut Map<String, Value> {
    let extension = object(document, EXTENSION);
    let info = object(extension, "info");
    info.remove("id");
    info.remove("dbId");
    info.insert("name".into(), json!(exposure.name));
    let state = object(info, "state");
    state.insert("active".into(), json!(true));
    if internal {
        state.insert("internal".into(), json!(true));
    }
    extension
}

fn resource(
    exposure: &Exposure,
    mut spec: TykOasApiDefinitionSpec,
    document: Map<String, Value>,
) -> Named<TykOasApiDefinitionSpec> {
    spec.tyk_oas = DocumentSource {
        configmap_ref: None,
        document: Some(document),
    };
    (exposure.hash.clone(), spec)
}

/// The backend in place of every other target; path and Host reach it unchanged unless the template says otherwise.
fn upstream(upstream: &mut Map<String, Value>, annotations: &Annotations, target: &Target) {
    for other_target in ["loadBalancing", "serviceDiscovery"] {
        upstream.remove(other_target);
    }
    upstream.insert("url".into(), json!(target.url));
    if !target.list.is_empty() {
        let targets: Vec<_> = target.list.iter().map(|url| json!({"url": url, "weight": 1})).collect();
        upstream.insert("loadBalancing".into(), json!({"enabled": true, "targets": targets}));
    }
    for preserved in ["preserveHostHeader", "preserveTrailingSlash"] {
        upstream.entry(preserved).or_insert_with(|| json!({"enabled": true}));
    }
    if let Some(enabled) = annotations.preserve_host {
        upstream.insert("preserveHostHeader".into(), json!({"enabled": enabled}));
    }
}

/// Settings of the resource win over the document, so the domain goes to where the template has one; Secrets can be
/// named in the resource only.
fn domain(server: &mut Map<String, Value>, spec: &mut TykOasApiDefinitionSpec, exposure: &Exposure) {
    if exposure.domain.is_empty() && exposure.secrets.is_empty() {
        return;
    }
    if !exposure.secrets.is_empty() {
        let custom = spec.custom_domain.get_or_insert_with(CustomDomain::default);
        custom.certificates_ref.clone_from(&exposure.secrets);
    }
    if let Some(custom) = &mut spec.custom_domain {
        custom.enabled = true;
        custom.name.clone_from(&exposure.domain);
        return;
    }
    let custom = object(server, "customDomain");
    custom.insert("enabled".into(), json!(true));
    custom.insert("name".into(), json!(exposure.domain));
}

/// The object at `key`, made if there is none.
fn object<'a>(fields: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = fields.entry(key).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(fields) => fields,
        _ => unreachable!("made an object above"),
    }
}

#[cfg(test)]
mod tests;
