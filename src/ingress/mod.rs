//! Stage 1, the ingress engine: every Ingress of our classes is rendered together, from one snapshot, into
//! `ApiDefinition` children. Pure, and it always succeeds: bad input costs its own path and leaves a diagnostic.

pub mod annotations;
mod backend;
mod children;
mod class;
mod conflict;
mod endpoints;
mod host;
mod listener;
mod overrides;
mod path;
mod route;
mod tls;
mod validation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt;

use crate::api::ApiDefinition;
use crate::diagnostic::Diagnostic;
use crate::snapshot::{NamespacedName, Snapshot};

pub use class::Classes;
pub use host::Host;
pub use listener::HttpForTlsHosts;
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
    /// Port that https routes listen on, default 8443; 0 is the gateway's main port.
    pub https_port: u16,
    /// What http serves for a host that `spec.tls` covers.
    pub http_for_tls_hosts: HttpForTlsHosts,
    /// Base URL of the redirect responder; without one nothing can be redirected.
    pub redirector_url: Option<String>,
    /// Value of the `Server` response header of Ingresses without a template; the gateway sends none by itself.
    pub server_header: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            class: "tyk".into(),
            controller: crate::api::names::CONTROLLER_NAME.into(),
            cluster_domain: "cluster.local".into(),
            http_port: 0,
            https_port: 8443,
            http_for_tls_hosts: HttpForTlsHosts::default(),
            redirector_url: None,
            server_header: Some("Tyk".into()),
        }
    }
}

/// What the engine makes of a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Translation {
    /// The children, by their name in the cluster.
    pub children: BTreeMap<NamespacedName, Child>,
    /// Children that cannot be rendered now because their template is missing: what there is of them stays as it is.
    pub held: BTreeSet<NamespacedName>,
    /// Ingresses of our classes, whether or not anything of them is served.
    pub ingresses: Vec<NamespacedName>,
    /// Findings, sorted by object and field.
    pub diagnostics: Vec<Diagnostic>,
}

/// A generated `ApiDefinition` and what it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// The resource to apply: name, labels, owner reference and spec.
    pub definition: ApiDefinition,
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
    let is_ours = |ingress: &&Arc<Ingress>| classes.own(ingress) && !is_ending(ingress, snapshot);
    let ours: Vec<_> = snapshot.ingresses.values().filter(is_ours).collect();
    let mut diagnostics = Vec::new();
    let routes = ours
        .iter()
        .flat_map(|ingress| route::routes_of(ingress, &mut diagnostics))
        .collect();
    let routes = conflict::settle(routes, &mut diagnostics);
    let mut renderer = children::Renderer::new(&routes, &classes, snapshot, options);
    routes.iter().for_each(|route| renderer.add(route));
    let (children, held) = renderer.finish(&mut diagnostics);
    diagnostics.sort();
    diagnostics.dedup();
    let ingresses = ours
        .iter()
        .map(|ingress| NamespacedName::of(&ingress.metadata))
        .collect();
    Translation {
        children,
        held,
        ingresses,
        diagnostics,
    }
}

/// Whether an Ingress, or its whole namespace, is being deleted: it does not compete any more.
fn is_ending(ingress: &Ingress, snapshot: &Snapshot) -> bool {
    let namespace = NamespacedName::new("", ingress.namespace().unwrap_or_default());
    let ending = snapshot
        .namespaces
        .get(&namespace)
        .is_some_and(|ns| ns.metadata.deletion_timestamp.is_some());
    ending || ingress.metadata.deletion_timestamp.is_some()
}
