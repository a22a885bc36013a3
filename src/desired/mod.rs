//! From resources to what one Tyk context should hold. Pure: no I/O, no clock, no randomness.

pub mod certificates;
mod classic;
mod collision;
mod context;
pub mod graph;
mod installation;
mod links;
mod memo;
pub mod oas;
pub mod owner;
mod payload;
pub mod policy;
pub mod portal;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value};

use certificates::Certificates;
use context::Contexts;
use links::Links;
use memo::Known;

pub use classic::{Link, links};
pub use collision::Claims;
pub(crate) use collision::short;
pub use context::{Context, Operator};
pub use installation::{GatewayService, Installation};
pub use memo::Memo;
pub use payload::{Payload, Wanted, hash};

use crate::api::{ApiDefinition, Generated, Target, TykMcpProxyDefinition};
use crate::diagnostic::{Code, Diagnostic, ObjectRef, Severity};
use crate::ingress::{Child, Translation};
use crate::secret::Secret;
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind, Stored};

/// All that one Tyk should hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Classic API definitions by API id.
    pub apis: BTreeMap<Arc<str>, Api>,
    /// OAS API definitions by API id, streams among them: the documents of `/tyk/apis/oas`.
    pub oas: BTreeMap<Arc<str>, Api>,
    /// MCP proxies by API id: the documents of `/tyk/mcps`.
    pub mcps: BTreeMap<Arc<str>, Api>,
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
    /// The catalogue and the configuration of the portal, by [`portal::CATALOGUE`] and [`portal::CONFIGURATION`].
    pub portal: BTreeMap<String, portal::PortalObject>,
    /// Those of them that are wanted, but whose resource cannot be used as it now stands.
    pub held_portal: BTreeSet<String>,
    /// Those of them whose resource is being deleted.
    pub portal_removals: BTreeMap<String, portal::PortalRemoval>,
    /// By port that an API has for itself: what is spoken there, and the one that decided it.
    pub ports: BTreeMap<u64, (&'static str, ObjectRef)>,
    /// Names of the contexts that mean this Tyk, as owner marks have them. What bears our mark under another one is the
    /// business of another worker, which may reach the same Tyk by another URL.
    pub contexts: BTreeSet<String>,
}

/// Nothing, under the operator's own settings.
impl Default for Desired {
    fn default() -> Self {
        Self::of(BTreeSet::from([String::new()]))
    }
}

impl Desired {
    /// Nothing, under these contexts.
    pub fn of(contexts: BTreeSet<String>) -> Self {
        Self {
            apis: BTreeMap::new(),
            oas: BTreeMap::new(),
            mcps: BTreeMap::new(),
            certificates: BTreeMap::new(),
            held: BTreeSet::new(),
            removals: BTreeSet::new(),
            policies: BTreeMap::new(),
            held_policies: BTreeSet::new(),
            policy_removals: BTreeSet::new(),
            portal: BTreeMap::new(),
            held_portal: BTreeSet::new(),
            portal_removals: BTreeMap::new(),
            ports: BTreeMap::new(),
            contexts,
        }
    }

    /// The wanted API with this id, of any form.
    pub fn api(&self, id: &str) -> Option<&Api> {
        let document = || self.oas.get(id).or_else(|| self.mcps.get(id));
        self.apis.get(id).or_else(document)
    }

    /// Every wanted API by id, in all forms. No id is in two of them.
    pub fn wanted(&self) -> impl Iterator<Item = (&Arc<str>, &Api)> {
        self.apis.iter().chain(&self.oas).chain(&self.mcps)
    }

    /// What is to be sent of every wanted API, by id.
    pub fn payloads(&self) -> impl Iterator<Item = (&str, Wanted<'_>)> {
        self.wanted()
            .map(|(id, api)| (id.as_ref(), Wanted::Packed(&api.payload)))
    }

    /// The wanted APIs whose definition is a document.
    pub fn documents(&self) -> impl Iterator<Item = &Api> {
        self.oas.values().chain(self.mcps.values())
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

/// One API definition, classic or a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// The resource that it is made from.
    pub source: ObjectRef,
    /// `metadata.generation` of that resource, 0 when unknown.
    pub generation: i64,
    /// The JSON to send, with id, organisation and the owner mark in it.
    pub payload: Payload,
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

/// What every Tyk should hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fleet {
    /// By Tyk: the operator's own, and that of every OperatorContext that can be used.
    pub tyks: BTreeMap<Arc<Installation>, Arc<Desired>>,
    /// Where each resource goes. One whose context cannot be used goes nowhere.
    pub places: BTreeMap<ObjectRef, Place>,
    /// The OperatorContexts that can be used.
    pub contexts: BTreeMap<NamespacedName, Context>,
    /// Why the deletion of a resource waits, in the words that Tyk Operator's users know.
    pub refusals: BTreeMap<ObjectRef, String>,
    /// What was being deleted. Of anything that began to be deleted later it is not known yet who uses it.
    pub leaving: BTreeSet<ObjectRef>,
    /// Fields of a resource's status that say who uses it and whom it uses.
    pub links: BTreeMap<ObjectRef, Map<String, Value>>,
    /// When the certificates of each Secret that a resource names expire, even if they have already.
    pub expiries: BTreeMap<NamespacedName, Timestamp>,
}

/// Where a resource goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The Tyk.
    pub tyk: Arc<Installation>,
    /// Id that it has there.
    pub id: Arc<str>,
}

/// What the operator's own Tyk should hold, see [`build_all`].
pub fn build(snapshot: &Snapshot, translation: &Translation, context: &Context) -> (Desired, Vec<Diagnostic>) {
    let (fleet, diagnostics) = build_all(snapshot, translation, &Operator::new(context.clone()));
    let desired = fleet.tyks.get(&context.tyk).map(|desired| Desired::clone(desired));
    (desired.unwrap_or_default(), diagnostics)
}

/// What every Tyk should hold: the hand-written resources of the snapshot and the children of the translation, which
/// take the place of the children that the snapshot has.
pub fn build_all(snapshot: &Snapshot, translation: &Translation, operator: &Operator) -> (Fleet, Vec<Diagnostic>) {
    build_again(snapshot, translation, operator, &mut Memo::default())
}

/// The same, and sooner, with what is remembered of the last time.
pub fn build_again(
    snapshot: &Snapshot,
    translation: &Translation,
    operator: &Operator,
    memo: &mut Memo,
) -> (Fleet, Vec<Diagnostic>) {
    let context = &operator.own;
    let contexts = Contexts::new(snapshot, operator);
    let edges = graph::edges(snapshot);
    let mut diagnostics = graph::diagnose(snapshot, &edges);
    diagnostics.extend(contexts.diagnostics());
    let links = Links::of(snapshot, &edges);
    let mut builder = Builder {
        snapshot,
        refusals: links.refusals(),
        translation,
        contexts,
        candidates: BTreeMap::new(),
        held: Vec::new(),
        removals: Vec::new(),
        places: Vec::with_capacity(translation.children.len()),
        certificates: Certificates::new(&snapshot.tls_secrets, context.now),
        edges,
        diagnostics,
    };
    let mut before = memo.of(&operator.own);
    for (name, child) in &translation.children {
        if let Some(known) = before.next(name, child) {
            builder.add_known(&known, name, &operator.own, child.created);
            memo.keep(name, known);
            continue;
        }
        let told = builder.diagnostics.len();
        builder.add(&child.definition(), Some(child), child.created);
        if builder.diagnostics.len() == told {
            let made = builder
                .candidates
                .get(&operator.own.tyk)
                .and_then(|of_own| of_own.last());
            memo.remember(name, child, made);
        }
    }
    memo.end();
    for (name, resource) in snapshot.api_definitions.iter() {
        // Of thousands of children nearly all are rendered, which is seen at once.
        let stands_for_itself = translation.held.contains(name) || !resource.is_child() || resource.is_leaving();
        let is_none = resource.is_template() || resource.is_of_another(&context.owner);
        if !stands_for_itself || is_none || translation.children.contains_key(name) {
            continue;
        }
        let resource = resource.whole();
        let created = resource.metadata.creation_timestamp.as_ref();
        builder.add(&resource, None, created.map(|time| time.0));
    }
    oas::add_all(&mut builder, translation, context);
    builder.finish(&links)
}

/// A definition that may be served, and what decides between it and a rival.
struct Candidate {
    id: Arc<str>,
    api: Api,
    created: Option<Timestamp>,
    name: NamespacedName,
}

struct Builder<'a> {
    snapshot: &'a Snapshot,
    translation: &'a Translation,
    contexts: Contexts<'a>,
    candidates: BTreeMap<Arc<Installation>, Vec<Candidate>>,
    /// Ids to hold, each at its Tyk, or at every one when it is not known which that is.
    held: Vec<(Option<Arc<Installation>>, String)>,
    removals: Vec<(Arc<Installation>, String)>,
    /// The last one of a resource counts.
    places: Vec<(ObjectRef, Place)>,
    certificates: Certificates<'a>,
    edges: graph::Edges,
    /// Why the deletion of a resource waits. Until then it is wanted as before.
    refusals: BTreeMap<ObjectRef, String>,
    diagnostics: Vec<Diagnostic>,
}

impl Builder<'_> {
    /// Adds what [`Builder::add`] made of a child before.
    fn add_known(&mut self, known: &Known, name: &NamespacedName, own: &Context, created: Option<Timestamp>) {
        let tyk = own.tyk.clone();
        let id = known.id.clone();
        let place = Place {
            tyk: tyk.clone(),
            id: id.clone(),
        };
        self.places.push((known.api.source.clone(), place));
        self.candidates.entry(tyk).or_default().push(Candidate {
            id,
            api: known.api.clone(),
            created,
            name: name.clone(),
        });
    }

    fn add(&mut self, resource: &ApiDefinition, child: Option<&Child>, created: Option<Timestamp>) {
        let id: Arc<str> = resource.api_id().into();
        let source = resource.object_ref();
        let reference = resource.spec.context_ref.as_ref();
        let inactive = resource.is_inactive() && !self.keeps_inactive(reference, &source.namespace);
        if self.is_leaving(&source, &resource.metadata) || inactive {
            self.remove(source, reference, id);
            return;
        }
        let Some(context) = self.place(&source, reference, &id, child) else {
            return;
        };
        let mut definition = resource.spec.definition.fields();
        let mut problems = classic::check(&definition);
        let name = NamespacedName::of(&resource.metadata);
        problems.extend(graph::resolve(&mut definition, &name, self.snapshot, &self.edges));
        let world = classic::World {
            snapshot: self.snapshot,
            translation: self.translation,
        };
        problems.extend(classic::resolve(&mut definition, &source.namespace, world));
        let unusable = problems.iter().any(|(code, ..)| code.severity() == Severity::Error);
        self.report(&source, problems);
        if unusable {
            self.held.push((Some(context.tyk), id.to_string()));
            return;
        }
        if self.certify(&mut definition, (&source, &context), child) {
            self.held.push((Some(context.tyk), id.to_string()));
            return;
        }
        let payload = classic::payload(&definition, &id, &source, &context);
        let generation = resource.metadata.generation.unwrap_or_default();
        self.candidates.entry(context.tyk).or_default().push(Candidate {
            id,
            api: Api {
                source,
                generation,
                payload: payload.into(),
            },
            created,
            name,
        });
    }

    /// The context of a resource, which from now on has its place there. Without one that can be used, what any Tyk
    /// holds of the resource stays.
    fn place<S>(
        &mut self,
        source: &ObjectRef,
        reference: Option<&Target>,
        id: &Arc<str>,
        child: Option<&Child<S>>,
    ) -> Option<Context> {
        let before = self.diagnostics.len();
        let context = self.context(source, reference);
        let found: Vec<_> = self.diagnostics[before..]
            .iter()
            .map(|one| (one.code, one.message.clone()))
            .collect();
        for (code, message) in found {
            self.tell_ingress_of_context(child, code, &message);
        }
        match &context {
            Some(context) => {
                let tyk = context.tyk.clone();
                self.places.push((source.clone(), Place { tyk, id: id.clone() }));
            }
            None => self.held.push((None, id.to_string())),
        }
        context
    }

    /// The context of a resource, if it can be used; what there is to tell of it is told.
    fn context(&mut self, source: &ObjectRef, reference: Option<&Target>) -> Option<Context> {
        let (context, problem) = match self.contexts.of(reference, &source.namespace) {
            Ok((context, warning)) => (Some(context.clone()), warning),
            Err(refusal) => (None, Some(refusal)),
        };
        let problem = problem.map(|(code, message)| (code, "spec.contextRef".to_owned(), message));
        self.report(source, problem.into_iter().collect());
        context
    }

    /// Whether the Tyk of a resource keeps what is not to be served. A gateway serves all that it holds.
    fn keeps_inactive(&self, reference: Option<&Target>, namespace: &str) -> bool {
        let context = self.contexts.of(reference, namespace);
        context.is_ok_and(|(context, _)| context.tyk.is_dashboard())
    }

    /// Whether a resource is being deleted and nothing keeps it.
    fn is_leaving(&self, source: &ObjectRef, metadata: &ObjectMeta) -> bool {
        metadata.deletion_timestamp.is_some() && !self.refusals.contains_key(source)
    }

    /// Takes a resource off its Tyk. Without a context that tells which that is, it stays and the user is told.
    fn remove(&mut self, source: ObjectRef, reference: Option<&Target>, id: Arc<str>) {
        let Some(context) = self.contexts.of_leaving(reference, &source.namespace) else {
            self.place::<ApiDefinition>(&source, reference, &id, None);
            return;
        };
        let tyk = context.tyk.clone();
        self.removals.push((tyk.clone(), id.to_string()));
        self.places.push((source, Place { tyk, id }));
    }

    fn report(&mut self, source: &ObjectRef, problems: Vec<classic::Problem>) {
        let found = problems.into_iter();
        self.diagnostics
            .extend(found.map(|(code, field, message)| Diagnostic::new(code, source.clone(), field, message)));
    }

    /// Whoever wrote the Ingress may never look at its children. All of them have the same to say.
    fn tell_ingress_of_context<S>(&mut self, child: Option<&Child<S>>, code: Code, message: &str) {
        let Some(NamespacedName { namespace, name }) = child.map(|child| &child.ingress) else {
            return;
        };
        let ingress = ObjectRef::new("Ingress", namespace, name);
        let finding = Diagnostic::new(code, ingress, "", message);
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
        let host = child.map(|child| &*child.host).filter(|host| *host != "*");
        let scope = (source.namespace.as_ref(), org.as_str());
        let resolved = self.certificates.resolve(definition, scope, host);
        self.report(source, resolved.problems);
        if let Some(NamespacedName { namespace, name }) = child.map(|child| &child.ingress) {
            self.report(&ObjectRef::new("Ingress", namespace, name), resolved.of_ingress);
        }
        resolved.held
    }

    fn finish(mut self, links: &Links) -> (Fleet, Vec<Diagnostic>) {
        let certificates = std::mem::replace(
            &mut self.certificates,
            Certificates::new(&self.snapshot.tls_secrets, None),
        );
        let expiries = certificates.expiries();
        let (certificates, found) = certificates.finish();
        self.diagnostics.extend(found);
        let tyks = self.contexts.installations().into_iter();
        let mut tyks: BTreeMap<_, _> = tyks.map(|(tyk, contexts)| (tyk, Desired::of(contexts))).collect();
        let mut candidates = std::mem::take(&mut self.candidates);
        for (tyk, id) in std::mem::take(&mut self.removals) {
            tyks.entry(tyk)
                .or_insert_with(|| Desired::of(BTreeSet::new()))
                .removals
                .insert(id);
        }
        for (tyk, desired) in &mut tyks {
            let rivals = candidates.remove(tyk).unwrap_or_default();
            let apis;
            (apis, desired.ports) = collision::settle(rivals, &mut self.diagnostics);
            let held = self
                .held
                .iter()
                .filter(|(at, _)| at.as_ref().is_none_or(|at| at == tyk));
            desired.held = held.map(|(_, id)| id.clone()).collect();
            desired.complete(apis, &certificates);
        }
        policy::add_all(&mut self, &mut tyks);
        portal::add_all(&mut self, &mut tyks);
        self.diagnostics.sort();
        self.diagnostics.dedup();
        let fleet = Fleet {
            tyks: tyks
                .into_iter()
                .map(|(tyk, desired)| (tyk, Arc::new(desired)))
                .collect(),
            places: self.places.into_iter().collect(),
            contexts: self.contexts.usable().clone(),
            refusals: self.refusals,
            leaving: links.leaving().clone(),
            links: links.statuses(self.snapshot),
            expiries,
        };
        (fleet, self.diagnostics)
    }
}

impl Desired {
    /// Puts in the APIs, and of all certificates those that they use.
    fn complete(&mut self, mut apis: Vec<(Arc<str>, Api)>, certificates: &BTreeMap<String, Certificate>) {
        if !certificates.is_empty() {
            let payloads = apis.iter().map(|(_, api)| &api.payload);
            let naming: Vec<_> = payloads
                .filter(|payload| payload.names_certificates())
                .map(Payload::value)
                .collect();
            let used: BTreeSet<_> = naming.iter().flat_map(certificates::references).collect();
            let of_these = certificates.iter().filter(|(id, _)| used.contains(id.as_str()));
            self.certificates = of_these.map(|(id, one)| (id.clone(), one.clone())).collect();
        }
        // Maps that are made at once have no room to grow.
        let documents: Vec<_> = apis.extract_if(.., |(_, api)| api.payload.is_document()).collect();
        (self.mcps, self.oas) = documents.into_iter().partition(|(_, api)| is_mcp(api));
        self.apis = apis.into_iter().collect();
        let (mut held, mut removals) = (std::mem::take(&mut self.held), std::mem::take(&mut self.removals));
        held.retain(|id| self.api(id).is_none());
        removals.retain(|id| self.api(id).is_none() && !held.contains(id));
        (self.held, self.removals) = (held, removals);
    }
}

fn is_mcp(api: &Api) -> bool {
    api.source.kind == TykMcpProxyDefinition::KIND
}
