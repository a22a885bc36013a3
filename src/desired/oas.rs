//! A `TykOasApiDefinition`, `TykStreamsApiDefinition` or `TykMcpProxyDefinition` to the document that the gateway reads.
//!
//! The document stays opaque JSON, so that no field of it is ever lost; only what the resource says itself is put in.

mod check;
mod kind;
mod merge;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Api, Builder, Candidate, Context, owner};
use crate::api::{Generated, HasDocument, TykOasApiDefinitionSpec, names};
use crate::diagnostic::{Code, Severity};
use crate::ingress::{Child, Translation};
use crate::snapshot::document::{EXTENSION, Problem, read};
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind};

use kind::Kind;
pub use kind::source_field;
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
pub fn identity<K: HasDocument>(snapshot: &Snapshot, resource: &K) -> Identity {
    match read(snapshot, resource) {
        Ok(document) => identity_in(&document, resource),
        Err(_) => Identity {
            id: resource
                .confirmed_id()
                .map_or_else(|| default_id(resource), str::to_owned),
            inactive: false,
        },
    }
}

fn identity_in<K: HasDocument>(document: &Map<String, Value>, resource: &K) -> Identity {
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

fn default_id<K: HasDocument>(resource: &K) -> String {
    names::api_id(&resource.namespace().unwrap_or_default(), &resource.name_any())
}

/// Adds what the snapshot and the translation have of documents, in the way of [`super::build`].
pub(super) fn add_all(builder: &mut Builder<'_>, translation: &Translation, own: &Context) {
    let snapshot = builder.snapshot;
    let mut adder = Adder { builder, snapshot };
    for child in translation.oas_children.values() {
        adder.add(&child.definition(), Some(child), child.created);
    }
    for (name, resource) in snapshot.tyk_oas_api_definitions.iter() {
        let foreign = resource.is_of_another(&own.owner);
        if translation.oas_children.contains_key(name) || resource.is_template() || foreign {
            continue;
        }
        let last_good = translation.held.contains(name);
        if last_good || !resource.is_child() || resource.metadata.deletion_timestamp.is_some() {
            adder.add_written(resource.as_ref());
        }
    }
    for resource in snapshot.tyk_streams_api_definitions.values() {
        adder.add_written(resource.as_ref());
    }
    for resource in snapshot.tyk_mcp_proxy_definitions.values() {
        adder.add_written(resource.as_ref());
    }
}

struct Adder<'a, 'b> {
    builder: &'a mut Builder<'b>,
    snapshot: &'a Snapshot,
}

impl Adder<'_, '_> {
    fn add_written<K: Kind>(&mut self, resource: &K) {
        let created = resource.meta().creation_timestamp.as_ref();
        self.add(resource, None, created.map(|time| time.0));
    }

    fn add<K: Kind>(
        &mut self,
        resource: &K,
        child: Option<&Child<TykOasApiDefinitionSpec>>,
        created: Option<Timestamp>,
    ) {
        let document = match read(self.snapshot, resource) {
            Ok(document) => document,
            Err(problem) => return self.unreadable(resource, problem),
        };
        let Identity { id, inactive } = identity_in(&document, resource);
        let id: Arc<str> = id.into();
        let source = SnapshotKind::object_ref(resource);
        let reference = resource.context_ref();
        let removed = inactive && !self.builder.keeps_inactive(reference, &source.namespace);
        if self.builder.is_leaving(&source, resource.meta()) || removed {
            self.builder.remove(source, reference, id);
            return;
        }
        let Some(context) = self.builder.place(&source, reference, &id, child) else {
            return;
        };
        let (payload, mut problems) = self.payload(document, resource, &id, &context);
        if let Some((field, namespace)) = resource
            .foreign_secret()
            .filter(|_| !self.builder.contexts.cross_namespace())
        {
            let message = format!(
                "its Secret is in the namespace {namespace}, and Secrets are read from the resource's own namespace \
                 alone (--cross-namespace-contexts=deny); move the Secret"
            );
            problems = vec![(Code::SecretNotFound, field.to_owned(), message)];
        }
        let fatal = problems.iter().any(|(code, ..)| code.severity() == Severity::Error);
        self.builder.report(&source, problems);
        if fatal {
            self.builder.held.push((Some(context.tyk), id.to_string()));
            return;
        }
        let generation = resource.meta().generation.unwrap_or_default();
        self.builder.candidates.entry(context.tyk).or_default().push(Candidate {
            id,
            api: Api {
                source,
                generation,
                payload: payload.into(),
            },
            created,
            name: NamespacedName::of(resource.meta()),
        });
    }

    /// Without its document a resource may have had an id of its own: what the gateway confirmed last stays too.
    fn unreadable<K: Kind>(&mut self, resource: &K, problem: Problem) {
        let confirmed = resource.confirmed_id().map(str::to_owned);
        let ids = confirmed.into_iter().chain([default_id(resource)]);
        let source = SnapshotKind::object_ref(resource);
        let reference = resource.context_ref();
        if self.builder.is_leaving(&source, resource.meta()) {
            ids.take(1)
                .for_each(|id| self.builder.remove(source.clone(), reference, id.into()));
            return;
        }
        let held = ids.collect::<Vec<_>>();
        let first = held.first().cloned().unwrap_or_default().into();
        if let Some(context) = self.builder.place::<()>(&source, reference, &first, None) {
            let tyk = Some(context.tyk);
            self.builder.held.extend(held.into_iter().map(|id| (tyk.clone(), id)));
        }
        self.builder.report(&source, vec![problem]);
    }

    fn payload<K: Kind>(
        &mut self,
        mut document: Map<String, Value>,
        resource: &K,
        id: &str,
        context: &Context,
    ) -> (Value, Vec<Problem>) {
        let mut problems = check::shape(&document, K::SOURCE_FIELD);
        if !problems.is_empty() {
            return (Value::Null, problems);
        }
        problems.extend(K::check(&document));
        complete(&mut document, resource, id, context);
        problems.extend(resource.put_into(&mut document, self.snapshot, &mut self.builder.certificates));
        problems.extend(check::routing(&document, K::SOURCE_FIELD));
        owner::mark_document(
            &mut document,
            &context.owner,
            &SnapshotKind::object_ref(resource).to_string(),
        );
        owner::mark_context(&mut document, &context.name);
        if context.tyk.is_dashboard() {
            let owners = [context.user_owners.as_slice(), &context.user_group_owners];
            owner::mark_beside(&mut document, owners, resource.categories());
        }
        (Value::Object(document), problems)
    }
}

/// What the gateway's schema requires and a resource has elsewhere: id, name, state.
fn complete<K: HasDocument>(document: &mut Map<String, Value>, resource: &K, id: &str, context: &Context) {
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
