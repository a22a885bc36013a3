//! A `TykOasApiDefinition` to the document that the gateway reads.
//!
//! The document stays opaque JSON, so that no field of it is ever lost; only what the resource says itself is put in.

mod check;
mod merge;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Map, Value, json};

use super::{Api, Builder, Candidate, Context, owner};
use crate::api::{Generated, TykOasApiDefinition, names};
use crate::ingress::{Child, Translation};
use crate::snapshot::document::{EXTENSION, Problem, read};
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind};

pub use merge::{Reference, Resolve};

/// Whether a definition to send is a document rather than a classic definition.
pub fn is_document(definition: &Value) -> bool {
    definition["openapi"].is_string() && definition[EXTENSION].is_object()
}

/// A definition as it may be shown: secrets that the operator reads out of Kubernetes and puts in are left out.
pub fn without_secrets(definition: &Value) -> Value {
    let mut shown = definition.clone();
    let signing = format!("/{EXTENSION}/upstream/authentication/requestSigning/secret");
    if let Some(secret) = shown.pointer_mut(&signing) {
        *secret = json!("***");
    }
    shown
}

/// Domain (empty for every host) and listen path of a document.
pub fn route(document: &Value) -> (&str, &str) {
    let server = &document[EXTENSION]["server"];
    let domain = match server["customDomain"]["enabled"].as_bool() {
        Some(true) => server["customDomain"]["name"].as_str().unwrap_or_default(),
        _ => "",
    };
    (domain, server["listenPath"]["value"].as_str().unwrap_or_default())
}

/// Who an API is on Tyk, and whether it is wanted there.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Id on Tyk: the document's own, else made from the name of the resource.
    pub id: String,
    /// Whether the document says that the API is not to be served.
    pub inactive: bool,
}

/// The identity of a resource. While its document cannot be read, it is the one that the gateway confirmed last.
pub fn identity(snapshot: &Snapshot, resource: &TykOasApiDefinition) -> Identity {
    match read(snapshot, resource) {
        Ok(document) => identity_in(&document, resource),
        Err(_) => Identity {
            id: confirmed_id(resource).unwrap_or_else(|| default_id(resource)),
            inactive: false,
        },
    }
}

fn identity_in(document: &Map<String, Value>, resource: &TykOasApiDefinition) -> Identity {
    let info = document.get(EXTENSION).and_then(|extension| extension.get("info"));
    let given = info
        .and_then(|info| info.get("id")?.as_str())
        .filter(|id| !id.is_empty());
    let active = info.and_then(|info| info.get("state")?.get("active")?.as_bool());
    Identity {
        id: given.map_or_else(|| default_id(resource), str::to_owned),
        inactive: active == Some(false),
    }
}

fn default_id(resource: &TykOasApiDefinition) -> String {
    names::api_id(&resource.namespace().unwrap_or_default(), &resource.name_any())
}

fn confirmed_id(resource: &TykOasApiDefinition) -> Option<String> {
    resource.status.as_ref()?.id.clone().filter(|id| !id.is_empty())
}

/// Adds what the snapshot and the translation have of OAS APIs, in the way of [`super::build`].
pub(super) fn add_all(builder: &mut Builder<'_>, translation: &Translation, own: &Context) {
    let snapshot = builder.snapshot;
    let mut adder = Adder { builder, snapshot };
    for child in translation.oas_children.values() {
        let ingress = snapshot.ingresses.get(&child.ingress);
        let created = ingress.and_then(|ingress| ingress.metadata.creation_timestamp.as_ref());
        adder.add(&child.definition, Some(child), created.map(|time| time.0));
    }
    for (name, resource) in &snapshot.tyk_oas_api_definitions {
        let foreign = resource.is_of_another(&own.owner);
        if translation.oas_children.contains_key(name) || resource.is_template() || foreign {
            continue;
        }
        let last_good = translation.held.contains(name);
        if last_good || !resource.is_child() || resource.metadata.deletion_timestamp.is_some() {
            let created = resource.metadata.creation_timestamp.as_ref();
            adder.add(resource, None, created.map(|time| time.0));
        }
    }
}

struct Adder<'a, 'b> {
    builder: &'a mut Builder<'b>,
    snapshot: &'a Snapshot,
}

impl Adder<'_, '_> {
    fn add(
        &mut self,
        resource: &TykOasApiDefinition,
        child: Option<&Child<TykOasApiDefinition>>,
        created: Option<Timestamp>,
    ) {
        let document = match read(self.snapshot, resource) {
            Ok(document) => document,
            Err(problem) => return self.unreadable(resource, problem),
        };
        let Identity { id, inactive } = identity_in(&document, resource);
        let source = resource.object_ref();
        let reference = resource.spec.context_ref.as_ref();
        let removed = inactive && !self.builder.keeps_inactive(reference, &source.namespace);
        if self.builder.is_leaving(&source, &resource.metadata) || removed {
            self.builder.remove(source, reference, id);
            return;
        }
        let Some(context) = self.builder.place(&source, reference, &id, child) else {
            return;
        };
        let (payload, problems) = self.payload(document, resource, &id, &context);
        let fatal = problems
            .iter()
            .any(|(code, ..)| code.severity() == crate::diagnostic::Severity::Error);
        self.builder.report(&source, problems);
        if fatal {
            self.builder.held.push((Some(context.tyk), id));
            return;
        }
        let generation = resource.metadata.generation.unwrap_or_default();
        self.builder.candidates.push(Candidate {
            tyk: context.tyk,
            id,
            api: Api {
                source,
                generation,
                payload,
            },
            created,
            name: NamespacedName::of(&resource.metadata),
        });
    }

    /// Without its document a resource may have had an id of its own: what the gateway confirmed last stays too.
    fn unreadable(&mut self, resource: &TykOasApiDefinition, problem: Problem) {
        let ids = [confirmed_id(resource), Some(default_id(resource))]
            .into_iter()
            .flatten();
        let source = resource.object_ref();
        let reference = resource.spec.context_ref.as_ref();
        if self.builder.is_leaving(&source, &resource.metadata) {
            ids.take(1)
                .for_each(|id| self.builder.remove(source.clone(), reference, id));
            return;
        }
        let held = ids.collect::<Vec<_>>();
        let first = held.first().cloned().unwrap_or_default();
        if let Some(context) = self.builder.place::<()>(&source, reference, &first, None) {
            let tyk = Some(context.tyk);
            self.builder.held.extend(held.into_iter().map(|id| (tyk.clone(), id)));
        }
        self.builder.report(&source, vec![problem]);
    }

    fn payload(
        &mut self,
        mut document: Map<String, Value>,
        resource: &TykOasApiDefinition,
        id: &str,
        context: &Context,
    ) -> (Value, Vec<Problem>) {
        let mut problems = check::shape(&document);
        if !problems.is_empty() {
            return (Value::Null, problems);
        }
        complete(&mut document, resource, id, context);
        let secrets = &mut self.builder.certificates;
        problems.extend(merge::resource(&mut document, resource, self.snapshot, secrets));
        problems.extend(check::routing(&document));
        owner::mark_document(&mut document, &context.owner, &resource.object_ref().to_string());
        owner::mark_context(&mut document, &context.name);
        if context.tyk.is_dashboard() {
            let owners = [context.user_owners.as_slice(), &context.user_group_owners];
            owner::mark_beside(&mut document, owners, &resource.spec.categories);
        }
        (Value::Object(document), problems)
    }
}

/// What the gateway's schema requires and a resource has elsewhere: id, name, state.
fn complete(document: &mut Map<String, Value>, resource: &TykOasApiDefinition, id: &str, context: &Context) {
    let info = merge::object(document, &[EXTENSION, "info"]);
    info.insert("id".into(), json!(id));
    let empty = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().trim().is_empty();
    if empty(info.get("orgId")) && !context.org.is_empty() {
        info.insert("orgId".into(), json!(context.org));
    }
    if empty(info.get("name")) {
        info.insert("name".into(), json!(resource.name_any()));
    }
    let state = merge::object(info, &["state"]);
    if state.get("active") != Some(&json!(false)) || !context.tyk.is_dashboard() {
        state.insert("active".into(), json!(true));
    }
}
