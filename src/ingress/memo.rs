//! What is remembered of the last rendering: the routes of an Ingress that is still the same object, and what a route
//! became, while all that was looked up for it is still the same. It changes how long a rendering takes and nothing else.
//!
//! Not remembered is what depends on more than its own Ingress, its Service and its template: routes of wildcards, which
//! leave out the exact hosts of others; of OAS templates, with their documents; of a context; of endpoints and canaries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::IngressClass;

use super::annotations::TemplateKind;
use super::children::Rendered;
use super::host::Host;
use super::route::{self, Route};
use super::{Named, Options, conflict};
use crate::api::ApiDefinition;
use crate::diagnostic::Diagnostic;
use crate::parallel;
use crate::snapshot::{InOrder, NamespacedName, Objects, Snapshot, Stored, StoredIngress};

/// What is remembered of one rendering for the next.
#[derive(Debug, Default)]
pub struct Memo {
    /// What everything depends on: options and classes.
    common: Option<(Options, Arc<Objects<IngressClass>>)>,
    /// Sorted by name.
    ingresses: Vec<(NamespacedName, Entry)>,
    services: Arc<Objects<Service>>,
    templates: Arc<Objects<ApiDefinition>>,
}

/// Of one Ingress.
#[derive(Debug)]
struct Entry {
    ingress: StoredIngress,
    slots: Vec<Slot>,
    diagnostics: Vec<Diagnostic>,
}

/// A route, and what it became.
#[derive(Debug)]
pub struct Slot {
    /// The route.
    pub route: Route,
    /// The print of what it claims.
    pub print: u64,
    became: OnceLock<Rendered>,
}

impl Memo {
    /// Takes in the Ingresses that are to be rendered, sorted by name; forgets the others.
    pub(super) fn take_in(&mut self, ours: &[Named<'_>], snapshot: &Snapshot, options: &Options) {
        let classes = &snapshot.ingress_classes;
        let common = self.common.take();
        if !common.is_some_and(|(before, known)| before == *options && changes(&known, classes).is_empty()) {
            self.ingresses.clear();
        }
        self.common = Some((options.clone(), classes.clone()));
        let knows_any = !self.ingresses.is_empty();
        let mut before = InOrder::of(&mut self.ingresses);
        let known = ours.iter().map(|&(name, ingress)| match before.next(name) {
            Some((name, entry)) if entry.ingress.is(ingress) => (name, Ok(entry)),
            Some((name, entry)) if entry.ingress.asks_the_same(ingress) => (name, Ok(entry.of_copy(ingress))),
            _ => (name.clone(), Err(ingress)),
        });
        self.ingresses = with_new(known.collect());
        if knows_any {
            self.forget_users(snapshot);
        }
        self.services = Arc::clone(&snapshot.services);
        self.templates = Arc::clone(&snapshot.api_definitions);
    }

    /// Forgets what routes became whose Service or template is another one now, or went or came.
    fn forget_users(&mut self, snapshot: &Snapshot) {
        let services = changes(&self.services, &snapshot.services);
        let templates = changes(&self.templates, &snapshot.api_definitions);
        if !services.is_empty() || !templates.is_empty() {
            let slots = self.ingresses.iter_mut().flat_map(|(_, entry)| &mut entry.slots);
            let all = slots.filter(|slot| slot.uses(&services, &templates));
            all.for_each(|slot| drop(slot.became.take()));
        }
    }

    /// Every route, in the order of the Ingresses.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.ingresses.iter().flat_map(|(_, entry)| &entry.slots)
    }

    /// What there is to say about the rules themselves.
    pub(super) fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.ingresses.iter().flat_map(|(_, entry)| &entry.diagnostics)
    }
}

/// What is known of Ingresses, with entries for those of which nothing is.
fn with_new(known: Vec<(NamespacedName, Result<Entry, &StoredIngress>)>) -> Vec<(NamespacedName, Entry)> {
    let new: Vec<_> = known
        .iter()
        .filter_map(|(_, entry)| entry.as_ref().err().copied())
        .collect();
    let made = parallel::in_parts(&new, |part| {
        part.iter().map(|ingress| Entry::of(ingress)).collect::<Vec<_>>()
    });
    let mut made = made.into_iter().flatten();
    let all = known.into_iter();
    all.filter_map(|(name, entry)| Some((name, entry.ok().or_else(|| made.next())?)))
        .collect()
}

/// Names of the objects that are not the very same in both.
fn changes<S: Stored>(
    one: &Arc<BTreeMap<NamespacedName, S>>,
    other: &Arc<BTreeMap<NamespacedName, S>>,
) -> BTreeSet<NamespacedName> {
    let mut changed = BTreeSet::new();
    if Arc::ptr_eq(one, other) {
        return changed;
    }
    let mut before = one.iter().peekable();
    for (name, object) in other.iter() {
        while let Some((gone, _)) = before.next_if(|(other, _)| *other < name) {
            changed.insert(gone.clone());
        }
        match before.next_if(|(other, _)| *other == name) {
            Some((_, same)) if same.is(object) => {}
            _ => drop(changed.insert(name.clone())),
        }
    }
    changed.extend(before.map(|(gone, _)| gone.clone()));
    changed
}

impl Entry {
    /// The same of a newer object that asks for the same, so that nothing holds the older one.
    fn of_copy(mut self, ingress: &StoredIngress) -> Self {
        self.ingress = ingress.clone();
        for slot in &mut self.slots {
            slot.route.ingress = ingress.clone();
        }
        self
    }

    fn of(ingress: &StoredIngress) -> Self {
        let mut diagnostics = Vec::new();
        let routes = route::routes_of(ingress, &mut diagnostics);
        let slot = |route| Slot {
            print: conflict::print_of(&route),
            route,
            became: OnceLock::new(),
        };
        Self {
            ingress: ingress.clone(),
            slots: routes.into_iter().map(slot).collect(),
            diagnostics,
        }
    }
}

impl Slot {
    /// What the route became, if it would become the same now.
    pub(super) fn before(&self) -> Option<&Rendered> {
        self.became.get()
    }

    /// Remembers what the route became, if nothing has a part in it that is not looked at.
    pub(super) fn remember(&self, rendered: Rendered) {
        let annotations = &self.route.annotations;
        let is_oas = annotations.template_kind == Some(TemplateKind::TykOasApiDefinition);
        let others = matches!(self.route.host, Host::Wildcard(_)) || annotations.canary.is_some() || is_oas;
        if !others {
            self.became.get_or_init(|| rendered);
        }
    }

    /// Whether one of these Services or templates is looked up for the route.
    fn uses(&self, services: &BTreeSet<NamespacedName>, templates: &BTreeSet<NamespacedName>) -> bool {
        let is_in = |name: Option<&String>, changed: &BTreeSet<_>| {
            let name = name.filter(|_| !changed.is_empty());
            let namespace = &self.route.ingress.name().namespace;
            name.is_some_and(|name| changed.contains(&NamespacedName::new(namespace, name)))
        };
        let service = self.route.backend.service.as_ref().map(|service| &service.name);
        is_in(service, services) || is_in(self.route.annotations.template.as_ref(), templates)
    }
}
