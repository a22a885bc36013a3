//! From resources to what one Tyk context should hold. Pure: no I/O, no clock, no randomness.

pub mod certificates;
mod classic;
mod collision;
mod context;
pub mod oas;
pub mod owner;
pub mod policy;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value};

use certificates::Certificates;

use crate::api::{ApiDefinition, Generated};
use crate::diagnostic::{Code, Diagnostic, ObjectRef};
use crate::ingress::{Child, Translation};
use crate::secret::Secret;
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind};

/// All that one Tyk context should hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// Classic API definitions by API id.
    pub apis: BTreeMap<String, Api>,
    /// OAS API definitions by API id: the documents of `/tyk/apis/oas`.
    pub oas: BTreeMap<String, Api>,
    /// Certificates by their id: the organisation, then the hex SHA-256 of the leaf's DER, or of a pinned public key's.
    pub certificates: BTreeMap<String, Certificate>,
    /// Ids of APIs that are wanted, but whose definition cannot be used as it now stands: what the gateway holds of
    /// them stays as it is.
    pub held: BTreeSet<String>,
    /// Ids of APIs whose resource is inactive or being deleted: each is reported as gone once it is.
    pub removals: BTreeSet<String>,
    /// Policies by policy id.
    pub policies: BTreeMap<String, Policy>,
    /// Ids of policies that are wanted, but whose resource cannot be understood: what the gateway holds of them stays.
    pub held_policies: BTreeSet<String>,
    /// Ids of policies whose resource is being deleted: each is reported as gone once it is.
    pub policy_removals: BTreeSet<String>,
}

impl Desired {
    /// The wanted API with this id, classic or OAS.
    pub fn api(&self, id: &str) -> Option<&Api> {
        self.apis.get(id).or_else(|| self.oas.get(id))
    }

    /// Every wanted API by id, classic and OAS. No id is in both.
    pub fn wanted(&self) -> impl Iterator<Item = (&String, &Api)> {
        self.apis.iter().chain(&self.oas)
    }
}

/// A certificate with its private key, as Tyk stores it.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// The Secret that it comes from.
    pub source: ObjectRef,
    /// Private key and chain, the leaf first, or a public key; PEM.
    pub pem: Secret,
}

/// One API definition, classic or OAS.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// The resource that it is made from.
    pub source: ObjectRef,
    /// `metadata.generation` of that resource, 0 when unknown.
    pub generation: i64,
    /// The JSON to send, with id, organisation and the owner mark in it.
    pub payload: Value,
}

/// One policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The resource that it is made from.
    pub source: ObjectRef,
    /// `metadata.generation` of that resource, 0 when unknown.
    pub generation: i64,
    /// The JSON to send, with id, organisation and the owner mark in it, and with the rights to those APIs that can be
    /// used.
    pub payload: Value,
    /// Whether APIs are missing from its rights that cannot be used now. Such a policy is not made on a gateway that does
    /// not have it; one that has it is brought to `payload` at once, so that nobody keeps a right that was taken away.
    pub waits: bool,
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
    /// Time at which certificates have to be valid; without one their dates count nothing.
    pub now: Option<Timestamp>,
}

impl Context {
    /// The same at another time.
    pub fn at(&self, now: Timestamp) -> Self {
        Self {
            now: Some(now),
            ..self.clone()
        }
    }
}

/// What the operator's own Tyk context should hold: the hand-written resources of the snapshot and the children of the
/// translation, which take the place of the children that the snapshot has.
pub fn build(snapshot: &Snapshot, translation: &Translation, context: &Context) -> (Desired, Vec<Diagnostic>) {
    let mut builder = Builder {
        snapshot,
        context,
        desired: Desired::default(),
        candidates: Vec::new(),
        certificates: Certificates::new(&snapshot.tls_secrets, context.now),
        diagnostics: Vec::new(),
    };
    for child in translation.children.values() {
        let ingress = snapshot.ingresses.get(&child.ingress);
        let created = ingress
            .and_then(|ingress| ingress.metadata.creation_timestamp.as_ref())
            .map(|time| time.0);
        builder.add(&child.definition, Some(child), created);
    }
    for (name, resource) in &snapshot.api_definitions {
        if translation.children.contains_key(name) || resource.is_template() || resource.is_of_another(&context.owner) {
            continue;
        }
        let last_good = translation.held.contains(name);
        if last_good || !resource.is_child() || resource.metadata.deletion_timestamp.is_some() {
            builder.add(
                resource,
                None,
                resource.metadata.creation_timestamp.as_ref().map(|time| time.0),
            );
        }
    }
    oas::add_all(&mut builder, snapshot, translation);
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
    certificates: Certificates<'a>,
    diagnostics: Vec<Diagnostic>,
}

impl Builder<'_> {
    fn add(&mut self, resource: &ApiDefinition, child: Option<&Child>, created: Option<Timestamp>) {
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
                Err(message) => {
                    self.tell_ingress_of_context(child, &message);
                    problems.push((Code::ContextNotFound, "spec.contextRef".into(), message));
                }
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
        let mut definition = resource.spec.definition.clone();
        if self.certify(&mut definition, (&source, &context), child) {
            self.desired.held.insert(id);
            return;
        }
        let payload = classic::payload(&definition, &id, &source, &context);
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

    /// Whoever wrote the Ingress may never look at its children. All of them have the same to say.
    fn tell_ingress_of_context<K>(&mut self, child: Option<&Child<K>>, message: &str) {
        let Some(NamespacedName { namespace, name }) = child.map(|child| &child.ingress) else {
            return;
        };
        let ingress = ObjectRef::new("Ingress", namespace, name);
        let finding = Diagnostic::new(Code::ContextNotFound, ingress, "", message);
        if !self.diagnostics.contains(&finding) {
            self.diagnostics.push(finding);
        }
    }

    /// Resolves what a definition refers to; true when it cannot be used as it is.
    fn certify(
        &mut self,
        definition: &mut Map<String, Value>,
        (source, context): (&ObjectRef, &Context),
        child: Option<&Child>,
    ) -> bool {
        let org = classic::organisation(definition, context).to_owned();
        let host = child.map(|child| child.host.as_str()).filter(|host| *host != "*");
        let scope = (source.namespace.as_str(), org.as_str());
        let resolved = self.certificates.resolve(definition, scope, host);
        let about = |object: &ObjectRef, problems: Vec<classic::Problem>| {
            let object = object.clone();
            let finding = move |(code, field, message)| Diagnostic::new(code, object.clone(), field, message);
            problems.into_iter().map(finding)
        };
        self.diagnostics.extend(about(source, resolved.problems));
        if let Some(NamespacedName { namespace, name }) = child.map(|child| &child.ingress) {
            let ingress = ObjectRef::new("Ingress", namespace, name);
            self.diagnostics.extend(about(&ingress, resolved.of_ingress));
        }
        resolved.held
    }

    fn finish(mut self) -> (Desired, Vec<Diagnostic>) {
        let apis = collision::settle(self.candidates, &mut self.diagnostics);
        let (mut certificates, found) = self.certificates.finish();
        self.diagnostics.extend(found);
        if !certificates.is_empty() {
            let used: BTreeSet<_> = apis
                .values()
                .flat_map(|api| certificates::references(&api.payload))
                .collect();
            certificates.retain(|id, _| used.contains(id.as_str()));
        }
        self.desired.certificates = certificates;
        let desired = &mut self.desired;
        (desired.oas, desired.apis) = apis.into_iter().partition(|(_, api)| oas::is_document(&api.payload));
        let wanted = |id: &String| desired.apis.contains_key(id) || desired.oas.contains_key(id);
        desired.held.retain(|id| !wanted(id));
        desired.removals.retain(|id| !wanted(id) && !desired.held.contains(id));
        policy::add_all(desired, self.snapshot, self.context, &mut self.diagnostics);
        self.diagnostics.sort();
        self.diagnostics.dedup();
        (self.desired, self.diagnostics)
    }
}
