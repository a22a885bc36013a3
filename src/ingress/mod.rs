//! Stage 1, the ingress engine: every Ingress of our classes is rendered together, from one snapshot, into
//! `ApiDefinition` children. Pure, and it always succeeds: bad input costs its own path and leaves a diagnostic.

pub mod annotations;
mod backend;
mod children;
mod class;
mod conflict;
mod endpoints;
mod exposure;
mod host;
mod listener;
mod memo;
mod oas;
mod overrides;
mod path;
pub mod pattern;
mod redirect;
mod route;
mod tls;
mod validation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{ApiDefinition, ApiDefinitionSpec, TykOasApiDefinition, TykOasApiDefinitionSpec, child_metadata};
use crate::diagnostic::Diagnostic;
use crate::parallel;
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind, Stored, StoredIngress};

use children::{Rendered, Renderer};
use exposure::ExactLabels;
use memo::Slot;

pub use class::Classes;
pub use host::Host;
pub use listener::HttpForTlsHosts;
pub use memo::Memo;
pub use overrides::{EVERY_PATH, METHODS};
pub use path::{PathMatch, PathType};

/// What the engine is told by the operator's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Name of this operator, the label `tyk.io/operator` of its children, default `tyk-ingress`.
    pub owner: String,
    /// Class that the annotation `kubernetes.io/ingress.class` names, and that `spec.ingressClassName` names when no
    /// IngressClass of that name exists. Tyk Operator's `WATCH_INGRESS_CLASS`, default `tyk`.
    pub class: String,
    /// `spec.controller` of the IngressClasses that are ours, default `tyk.io/ingress-controller`.
    pub controller: String,
    /// DNS suffix of the cluster, default `cluster.local`.
    pub cluster_domain: String,
    /// Port that http routes listen on; 0 is the gateway's main port.
    pub http_port: u16,
    /// Port that https routes listen on, default 8443; 0 is the gateway's main port.
    pub https_port: u16,
    /// What http serves for a host that `spec.tls` covers.
    pub http_for_tls_hosts: HttpForTlsHosts,
    /// Base URL of the redirect responder; without one nothing can be redirected.
    pub redirector_url: Option<String>,
    /// Value of the `Server` response header of default backends without a template; the gateway sends none by itself.
    pub server_header: Option<String>,
    /// Whether annotations of ingress-nginx are translated before the Ingresses are rendered.
    pub nginx_annotations: bool,
}

impl Options {
    /// The ports of Ingresses without a context.
    fn ports(&self) -> listener::Ports {
        listener::Ports {
            http: self.http_port,
            https: self.https_port,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            owner: "tyk-ingress".into(),
            class: "tyk".into(),
            controller: crate::api::names::CONTROLLER_NAME.into(),
            cluster_domain: "cluster.local".into(),
            http_port: 0,
            https_port: 8443,
            http_for_tls_hosts: HttpForTlsHosts::default(),
            redirector_url: None,
            server_header: Some("Tyk".into()),
            nginx_annotations: false,
        }
    }
}

/// What the engine makes of a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Translation {
    /// The children, by their name in the cluster.
    pub children: BTreeMap<NamespacedName, Arc<Child>>,
    /// The children that are OAS APIs, by their name in the cluster. No name is in both.
    pub oas_children: BTreeMap<NamespacedName, Arc<Child<TykOasApiDefinitionSpec>>>,
    /// Children that must not be deleted now, because their template is missing or their context cannot be used: what
    /// there is of them stays, but for those that are rendered all the same.
    pub held: BTreeSet<NamespacedName>,
    /// Ingresses of our classes, whether or not anything of them is served.
    pub ingresses: Vec<NamespacedName>,
    /// Ingresses of our classes that are being deleted, alone or with their namespace.
    pub ending: Vec<NamespacedName>,
    /// Findings, sorted by object and field.
    pub diagnostics: Vec<Diagnostic>,
}

impl Translation {
    /// The Ingress that a child is made from, and its field; `None` for a resource that is no child.
    pub fn origin(&self, kind: &str, name: &NamespacedName) -> Option<(&NamespacedName, &str)> {
        fn of<S>(child: &Child<S>) -> (&NamespacedName, &str) {
            (&child.ingress, &child.field)
        }
        match kind {
            ApiDefinition::KIND => self.children.get(name).map(|child| of(child)),
            TykOasApiDefinition::KIND => self.oas_children.get(name).map(|child| of(child)),
            _ => None,
        }
    }
}

/// A generated resource, and what it came from. There are thousands, so its metadata is made when somebody asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Child<S = ApiDefinitionSpec> {
    /// What the resource asks for.
    pub spec: S,
    /// The Ingress that owns it.
    pub ingress: NamespacedName,
    /// `metadata.uid` of that; `None` when it never was in a cluster.
    pub uid: Option<Box<str>>,
    /// `metadata.creationTimestamp` of that. The child itself may be younger than what it serves.
    pub created: Option<Timestamp>,
    /// Hash that names it among the children of the Ingress, its label `tyk.io/apidefinition`.
    pub hash: Box<str>,
    /// The operator that makes it, its label `tyk.io/operator`.
    pub operator: Arc<str>,
    /// The field of the Ingress that it serves, for example `spec.rules[0].http.paths[1]`.
    pub field: Box<str>,
    /// Host as written, `*` for every host.
    pub host: Box<str>,
    /// Path as written, `/` for a default backend.
    pub path: Box<str>,
    /// `pathType` as written, or `default backend`.
    pub path_type: &'static str,
    /// Whether it is made from its route and the operator's settings alone, and names no other object: no template, no
    /// context, no Secret. Then what the gateway is sent depends on nothing else either.
    pub alone: bool,
}

/// The spec of a kind whose objects can be children.
pub trait ChildSpec: Clone {
    /// The kind.
    type Object;

    /// An object without a status.
    fn with(self, metadata: ObjectMeta) -> Self::Object;
}

impl ChildSpec for ApiDefinitionSpec {
    type Object = ApiDefinition;

    fn with(self, metadata: ObjectMeta) -> ApiDefinition {
        ApiDefinition {
            metadata,
            spec: self,
            status: None,
        }
    }
}

impl ChildSpec for TykOasApiDefinitionSpec {
    type Object = TykOasApiDefinition;

    fn with(self, metadata: ObjectMeta) -> TykOasApiDefinition {
        TykOasApiDefinition {
            metadata,
            spec: self,
            status: None,
        }
    }
}

impl<S: ChildSpec> Child<S> {
    /// The resource to apply: name, labels, owner reference and spec.
    pub fn definition(&self) -> S::Object {
        self.spec.clone().with(self.metadata())
    }
}

impl<S> Child<S> {
    fn metadata(&self) -> ObjectMeta {
        let NamespacedName { namespace, name } = &self.ingress;
        child_metadata((namespace, name, self.uid.as_deref()), &self.hash, &self.operator)
    }
}

/// Renders every Ingress of our classes.
pub fn render(snapshot: &Snapshot, options: &Options) -> Translation {
    render_again(snapshot, options, &mut Memo::default())
}

/// The same, and sooner, with what is remembered of the last time.
pub fn render_again(snapshot: &Snapshot, options: &Options, memo: &mut Memo) -> Translation {
    let classes = Classes::new(&snapshot.ingress_classes, options);
    let leaving = leaving_namespaces(snapshot);
    let own = snapshot.ingresses.iter().filter(|(_, ingress)| classes.own(ingress));
    // What is being deleted does not compete any more.
    let (ending, ours): (Vec<Named<'_>>, Vec<_>) =
        own.partition(|(name, ingress)| ingress.is_leaving() || leaving.contains(name.namespace.as_ref()));
    memo.take_in(&ours, snapshot, options);
    let mut diagnostics: Vec<_> = memo.diagnostics().cloned().collect();
    let slots = conflict::settle(memo.slots().collect(), &mut diagnostics);
    let rendered = rendered(&slots, &classes, snapshot, options);
    diagnostics.extend(rendered.diagnostics);
    diagnostics.sort();
    diagnostics.dedup();
    Translation {
        children: rendered.children.into_iter().collect(),
        oas_children: rendered.oas_children.into_iter().collect(),
        held: rendered.held.into_iter().collect(),
        ingresses: names_of(&ours),
        ending: names_of(&ending),
        diagnostics,
    }
}

/// What routes that do not compete any more become, or have become where that is still so.
fn rendered(slots: &[&Slot], classes: &Classes, snapshot: &Snapshot, options: &Options) -> Rendered {
    let mut all = Rendered::default();
    let mut new = Vec::new();
    for &slot in slots {
        match slot.before() {
            Some(before) => all.extend(before),
            None => new.push(slot),
        }
    }
    let exact = ExactLabels::of(slots.iter().map(|slot| &slot.route));
    let render = |slots: &[&Slot]| {
        let mut renderer = Renderer::new(&exact, classes, snapshot, options);
        slots.iter().for_each(|slot| renderer.add(slot));
        renderer.finish()
    };
    let made = parallel::in_parts(&new, render);
    made.iter().for_each(|part| all.extend(part));
    all
}

/// An Ingress with its name.
type Named<'a> = (&'a NamespacedName, &'a StoredIngress);

fn names_of(ingresses: &[Named<'_>]) -> Vec<NamespacedName> {
    ingresses.iter().map(|(name, _)| (*name).clone()).collect()
}

/// Namespaces that are being deleted, and with them all that is in them.
fn leaving_namespaces(snapshot: &Snapshot) -> BTreeSet<&str> {
    let leaving = snapshot.namespaces.iter();
    leaving
        .filter(|(_, namespace)| namespace.metadata.deletion_timestamp.is_some())
        .map(|(name, _)| name.name.as_ref())
        .collect()
}
