//! From resources to what one Tyk context should hold. Pure: no I/O, no clock, no randomness.

mod classic;
mod collision;
mod context;
pub mod owner;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use crate::api::ApiDefinition;
use crate::diagnostic::{Code, Diagnostic, ObjectRef};
use crate::ingress::Translation;
use crate::secret::Secret;
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind};

/// All that one Tyk context should hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// Classic API definitions by API id.
    pub apis: BTreeMap<String, Api>,
    /// OAS API definitions by API id: the documents of `/tyk/apis/oas`.
    pub oas: BTreeMap<String, Api>,
    /// Certificates by their id: the organisation, then the hex SHA-256 of the leaf's DER.
    pub certificates: BTreeMap<String, Certificate>,
    /// Ids of APIs that are wanted, but whose definition cannot be used as it now stands: what the gateway holds of
    /// them stays as it is.
    pub held: BTreeSet<String>,
    /// Ids of APIs whose resource is inactive or being deleted: each is reported as gone once it is.
    pub removals: BTreeSet<String>,
}

/// A certificate with its private key, as Tyk stores it.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// The Secret that it comes from.
    pub source: ObjectRef,
    /// Private key and chain, PEM, the leaf first.
    pub pem: Secret,
}

/// One classic API definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// The resource that it is made from.
    pub source: ObjectRef,
    /// `metadata.generation` of that resource, 0 when unknown.
    pub generation: i64,
    /// The JSON to send, with `api_id`, `org_id` and the owner mark in it.
    pub payload: Value,
}

/// What the definitions of one Tyk context have in common.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Organisation, empty when none is set.
    pub org: String,
    /// Value of the owner mark; two operators that share a gateway need different ones.
    pub owner: String,
    /// Base URL of the control API, to tell whether an OperatorContext means this Tyk.
    pub url: String,
}

/// What the operator's own Tyk context should hold: the hand-written resources of the snapshot and the children of the
/// translation, which take the place of the children that the snapshot has.
pub fn build(snapshot: &Snapshot, translation: &Translation, context: &Context) -> (Desired, Vec<Diagnostic>) {
    let mut builder = Builder {
        snapshot,
        context,
        desired: Desired::default(),
        candidates: Vec::new(),
        diagnostics: Vec::new(),
    };
    for child in translation.children.values() {
        let ingress = snapshot.ingresses.get(&child.ingress);
        let created = ingress
            .and_then(|ingress| ingress.metadata.creation_timestamp.as_ref())
            .map(|time| time.0);
        builder.add(&child.definition, created);
    }
    for (name, resource) in &snapshot.api_definitions {
        if translation.children.contains_key(name) || resource.is_template() {
            continue;
        }
        let last_good = translation.held.contains(name);
        if last_good || !resource.is_child() || resource.metadata.deletion_timestamp.is_some() {
            builder.add(
                resource,
                resource.metadata.creation_timestamp.as_ref().map(|time| time.0),
            );
        }
    }
    builder.finish()
}

/// A definition that may be served, and what decides between it and a rival.
struct Candidate {
    id: String,
    api: Api,
    created: Option<Timestamp>,
    name: NamespacedName,
}

struct Builder<'a> {
    snapshot: &'a Snapshot,
    context: &'a Context,
    desired: Desired,
    candidates: Vec<Candidate>,
    diagnostics: Vec<Diagnostic>,
}

impl Builder<'_> {
    fn add(&mut self, resource: &ApiDefinition, created: Option<Timestamp>) {
        let id = resource.api_id();
        if resource.metadata.deletion_timestamp.is_some() || resource.is_inactive() {
            self.desired.removals.insert(id);
            return;
        }
        let mut problems = classic::check(&resource.spec.definition);
        let mut context = self.context.clone();
        if let Some(target) = &resource.spec.context_ref {
            let namespace = resource.metadata.namespace.as_deref().unwrap_or_default();
            match context::resolve(target, namespace, self.snapshot, self.context) {
                Ok(found) => context = found,
                Err(message) => problems.push((Code::ContextNotFound, "spec.contextRef".into(), message)),
            }
        }
        let source = resource.object_ref();
        if !problems.is_empty() {
            self.desired.held.insert(id);
            let found = problems.into_iter();
            self.diagnostics
                .extend(found.map(|(code, field, message)| Diagnostic::new(code, source.clone(), field, message)));
            return;
        }
        let payload = classic::payload(&resource.spec.definition, &id, &source, &context);
        let generation = resource.metadata.generation.unwrap_or_default();
        let api = Api {
            source,
            generation,
            payload,
        };
        self.candidates.push(Candidate {
            id,
            api,
            created,
            name: NamespacedName::of(&resource.metadata),
        });
    }

    fn finish(mut self) -> (Desired, Vec<Diagnostic>) {
        self.desired.apis = collision::settle(self.candidates, &mut self.diagnostics);
        let desired = &mut self.desired;
        desired.held.retain(|id| !desired.apis.contains_key(id));
        desired
            .removals
            .retain(|id| !desired.apis.contains_key(id) && !desired.held.contains(id));
        self.diagnostics.sort();
        (self.desired, self.diagnostics)
    }
}
