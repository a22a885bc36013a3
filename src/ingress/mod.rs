//! Stage 1, the ingress engine: every Ingress of our classes is rendered together, from one snapshot, into
//! `ApiDefinition` children. Pure, and it always succeeds: bad input costs its own path and leaves a diagnostic.

mod backend;
mod children;
mod class;
mod conflict;
mod host;
mod oas;
mod path;
mod route;
mod validation;

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{ApiDefinition, TykOasApiDefinition};
use crate::diagnostic::Diagnostic;
use crate::snapshot::{NamespacedName, Snapshot};

pub use class::Classes;
pub use host::Host;
pub use path::PathMatch;

/// What the engine is told by the operator's settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// Class that the annotation `kubernetes.io/ingress.class` names, and that `spec.ingressClassName` names when no
    /// IngressClass of that name exists. Tyk Operator's `WATCH_INGRESS_CLASS`, default `tyk`.
    pub class: String,
    /// `spec.controller` of the IngressClasses that are ours, default `tyk.io/ingress-controller`.
    pub controller: String,
    /// DNS suffix of the cluster, default `cluster.local`.
    pub cluster_domain: String,
    /// Port that http routes listen on; 0 is the gateway's main port.
    pub http_port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            class: "tyk".into(),
            controller: crate::api::names::CONTROLLER_NAME.into(),
            cluster_domain: "cluster.local".into(),
            http_port: 0,
        }
    }
}

/// What the engine makes of a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Translation {
    /// The children, by their name in the cluster.
    pub children: BTreeMap<NamespacedName, Child>,
    /// The children that are OAS APIs, by their name in the cluster. No name is in both.
    pub oas_children: BTreeMap<NamespacedName, Child<TykOasApiDefinition>>,
    /// Children that cannot be rendered now because their template is missing: what there is of them stays as it is.
    pub held: BTreeSet<NamespacedName>,
    /// Ingresses of our classes, whether or not anything of them is served.
    pub ingresses: Vec<NamespacedName>,
    /// Findings, sorted by object and field.
    pub diagnostics: Vec<Diagnostic>,
}

/// A generated resource and what it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Child<K = ApiDefinition> {
    /// The resource to apply: name, labels, owner reference and spec.
    pub definition: K,
    /// The Ingress that owns it.
    pub ingress: NamespacedName,
    /// The field of the Ingress that it serves, for example `spec.rules[0].http.paths[1]`.
    pub field: String,
    /// Host as written, `*` for every host.
    pub host: String,
    /// Path as written, `/` for a default backend.
    pub path: String,
    /// `pathType` as written, or `default backend`.
    pub path_type: &'static str,
}

/// Renders every Ingress of our classes.
pub fn render(snapshot: &Snapshot, options: &Options) -> Translation {
    let classes = Classes::new(&snapshot.ingress_classes, options);
    let ours: Vec<_> = snapshot
        .ingresses
        .values()
        .filter(|ingress| classes.own(ingress))
        .collect();
    let mut diagnostics = Vec::new();
    let routes = ours
        .iter()
        .flat_map(|ingress| route::routes_of(ingress, &mut diagnostics))
        .collect();
    let routes = conflict::settle(routes, &mut diagnostics);
    let (children, oas_children, held) = children::of_routes(&routes, snapshot, options, &mut diagnostics);
    diagnostics.sort();
    diagnostics.dedup();
    let ingresses = ours
        .iter()
        .map(|ingress| NamespacedName::of(&ingress.metadata))
        .collect();
    Translation {
        children,
        oas_children,
        held,
        ingresses,
        diagnostics,
    }
}
