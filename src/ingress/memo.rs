//! What is remembered of the last rendering: the routes of an Ingress that is still the same object, and what a route
//! became, while all that was looked up for it is still the same. It changes how long a rendering takes and nothing else.
//!
//! Not remembered is what depends on more than its own Ingress, its Service and its template: routes of wildcards, which
//! leave out the exact hosts of others; of OAS templates, with their documents; of a context; of endpoints and canaries.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::ResourceExt;

use super::annotations::TemplateKind;
use super::children::Rendered;
use super::host::Host;
use super::route::{self, Route};
use super::{Named, Options};
use crate::api::ApiDefinition;
use crate::diagnostic::Diagnostic;
use crate::snapshot::{InOrder, NamespacedName, Objects, Snapshot};

/// What is remembered of one rendering for the next.
#[derive(Debug, Default)]
pub struct Memo {
    /// What everything depends on: options and classes.
    common: Option<(Options, Objects<IngressClass>)>,
    ingresses: BTreeMap<NamespacedName, Entry>,
}

/// Of one Ingress.
#[derive(Debug)]
struct Entry {
    ingress: Arc<Ingress>,
    slots: Vec<Slot>,
    diagnostics: Vec<Diagnostic>,
}

/// A route, and what it became.
#[derive(Debug)]
pub struct Slot {
    /// The route.
    pub route: Route,
    became: RefCell<Option<Became>>,
}

#[derive(Clone, Debug)]
struct Became {
    from: Sources,
    rendered: Arc<Rendered>,
}

/// What was looked up for a route, and what was found.
#[derive(Clone, Debug)]
struct Sources {
    service: Option<Found<Service>>,
    template: Option<Found<ApiDefinition>>,
}

type Found<K> = (NamespacedName, Option<Arc<K>>);

impl Memo {
    /// Takes in the Ingresses that are to be rendered, sorted by name; forgets the others.
    pub(super) fn take_in(&mut self, ours: &[Named<'_>], snapshot: &Snapshot, options: &Options) {
        let classes = &snapshot.ingress_classes;
        let common = self.common.take();
        if !common.is_some_and(|(before, known)| before == *options && are_the_same(&known, classes)) {
            self.ingresses.clear();
        }
        self.common = Some((options.clone(), classes.clone()));
        let mut before = InOrder::of(&mut self.ingresses);
        let entries = ours.iter().map(|&(name, ingress)| match before.next(name) {
            Some((name, entry)) if Arc::ptr_eq(&entry.ingress, ingress) => (name, entry),
            _ => (name.clone(), Entry::of(ingress)),
        });
        self.ingresses = entries.collect();
    }

    /// Every route, in the order of the Ingresses.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.ingresses.values().flat_map(|entry| &entry.slots)
    }

    /// What there is to say about the rules themselves.
    pub(super) fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.ingresses.values().flat_map(|entry| &entry.diagnostics)
    }
}

/// Whether the very same objects are in both.
fn are_the_same<K>(one: &Objects<K>, other: &Objects<K>) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| one.0 == other.0 && Arc::ptr_eq(one.1, other.1))
}

impl Entry {
    fn of(ingress: &Arc<Ingress>) -> Self {
        let mut diagnostics = Vec::new();
        let routes = route::routes_of(ingress, &mut diagnostics);
        let slot = |route| Slot {
            route,
            became: RefCell::new(None),
        };
        Self {
            ingress: Arc::clone(ingress),
            slots: routes.into_iter().map(slot).collect(),
            diagnostics,
        }
    }
}

impl Slot {
    /// What the route became, if it would become the same now.
    pub(super) fn before(&self, snapshot: &Snapshot) -> Option<Arc<Rendered>> {
        let became = self.became.borrow();
        let became = became.as_ref().filter(|became| became.from.are_the_same_in(snapshot))?;
        Some(Arc::clone(&became.rendered))
    }

    /// Remembers what the route became, if nothing has a part in it that is not remembered.
    pub(super) fn remember(&self, rendered: Rendered, snapshot: &Snapshot) {
        let sources = Sources::of(&self.route, snapshot);
        self.became.replace(sources.map(|from| Became {
            from,
            rendered: Arc::new(rendered),
        }));
    }
}

impl Sources {
    /// `None` when there are others.
    fn of(route: &Route, snapshot: &Snapshot) -> Option<Self> {
        let annotations = &route.annotations;
        let is_oas = annotations.template_kind == Some(TemplateKind::TykOasApiDefinition);
        if matches!(route.host, Host::Wildcard(_)) || annotations.canary.is_some() || is_oas {
            return None;
        }
        let namespace = route.ingress.namespace().unwrap_or_default();
        let named = |name: &String| NamespacedName::new(&namespace, name);
        let service = route.backend.service.as_ref().map(|service| named(&service.name));
        let template = annotations.template.as_ref().map(named);
        Some(Self {
            service: service.map(|name| found(name, &snapshot.services)),
            template: template.map(|name| found(name, &snapshot.api_definitions)),
        })
    }

    fn are_the_same_in(&self, snapshot: &Snapshot) -> bool {
        is_the_same(self.service.as_ref(), &snapshot.services)
            && is_the_same(self.template.as_ref(), &snapshot.api_definitions)
    }
}

fn found<K>(name: NamespacedName, objects: &Objects<K>) -> Found<K> {
    let object = objects.get(&name).cloned();
    (name, object)
}

fn is_the_same<K>(before: Option<&Found<K>>, objects: &Objects<K>) -> bool {
    before.is_none_or(|(name, before)| match (before, objects.get(name)) {
        (None, None) => true,
        (Some(before), Some(now)) => Arc::ptr_eq(before, now),
        _ => false,
    })
}
