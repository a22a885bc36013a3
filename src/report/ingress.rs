//! The addresses in the status of Ingresses, and when one begins to be served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::networking::v1::{
    IngressLoadBalancerIngress, IngressLoadBalancerStatus, IngressStatus as Status,
};

use super::answer::{self, ChildState};
use super::{Report, ReportInput, status};
use crate::api::{ApiDefinition, Generated, TykOasApiDefinition, names};
use crate::diagnostic::ObjectRef;
use crate::packed::PackedAs;
use crate::snapshot::{NamespacedName, SnapshotKind, Stored, StoredIngress};

/// `status.loadBalancer.ingress` of one Ingress.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IngressStatus {
    /// The Ingress that is meant, so that one of the same name made later is not.
    pub uid: Option<Box<str>>,
    /// The addresses, sorted; none takes away what this operator wrote before.
    pub addresses: Arc<[IngressLoadBalancerIngress]>,
}

/// How much of an Ingress the gateway has confirmed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Served {
    /// Every path.
    All,
    /// At least one, and of each other one it is known that it cannot be served as it is.
    Part,
    /// There is no path that could be served.
    Nothing,
    /// Not known, or nothing yet.
    Waiting,
}

/// Adds what there is to say about Ingresses.
///
/// An Ingress shows the addresses from the moment when the gateway serves it. One bad path does not take the address
/// (and with external-dns the name) from the good ones, so it is enough that some are served and no other is on its
/// way. While the gateway does not answer, what was confirmed stays.
///
/// `heard` is known of the children that the cluster has.
pub(super) fn report(input: &ReportInput<'_>, heard: &BTreeMap<ObjectRef, Heard>, report: &mut Report) {
    let round = Round::new(input, heard, report);
    let published = Wanted::of(input.addresses.into_iter().flatten().map(Into::into).collect());
    let nothing = Wanted::of(Vec::new());
    let manager = names::ingress_status_manager(input.owner);
    for (name, ingress) in input.snapshot.ingresses.iter() {
        let served = match input.translation.ingresses.binary_search(name) {
            Ok(_) => round.served(name),
            Err(_) => Served::Nothing,
        };
        if served == Served::All {
            let news = round.news(name).map(|note| (ingress.object_ref(), note));
            report.synced.extend(news);
        }
        let wanted = match served {
            _ if input.addresses.is_none() || ingress.is_leaving() => continue,
            Served::Waiting => continue,
            Served::All | Served::Part => &published,
            Served::Nothing => &nothing,
        };
        if wanted.is_due(ingress, &manager) {
            let status = IngressStatus {
                uid: ingress.uid().map(Into::into),
                addresses: Arc::clone(&wanted.addresses),
            };
            report.ingresses.insert(name.clone(), status);
        }
    }
}

/// Addresses that an Ingress is to show.
struct Wanted {
    addresses: Arc<[IngressLoadBalancerIngress]>,
    /// The status that shows them, if they are all that it has.
    status: PackedAs<Status>,
}

impl Wanted {
    fn of(addresses: Vec<IngressLoadBalancerIngress>) -> Self {
        let balancer = IngressLoadBalancerStatus {
            ingress: Some(addresses.clone()),
        };
        Self {
            addresses: addresses.into(),
            status: PackedAs::of(&Status {
                load_balancer: Some(balancer),
            }),
        }
    }

    /// Whether the status is another. Addresses that this operator has no hand in are never taken away.
    fn is_due(&self, ingress: &StoredIngress, manager: &str) -> bool {
        if self.addresses.is_empty() {
            return ingress.status_managers().any(|hand| hand == manager);
        }
        let Some(now) = ingress.status().filter(|now| **now != self.status) else {
            return ingress.status().is_none();
        };
        let now = now.read().load_balancer.and_then(|balancer| balancer.ingress);
        now.is_none_or(|now| *now != *self.addresses)
    }
}

/// The children, by their Ingress.
struct Round<'a> {
    input: &'a ReportInput<'a>,
    children: BTreeMap<&'a NamespacedName, Vec<Made>>,
    /// Ingresses of which children wait for their template: what was served of them still is.
    held: BTreeSet<NamespacedName>,
}

/// What is known of the object of a child.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    /// Whether its status already says that it is served.
    pub(super) is_told: bool,
    /// Whether its Tyk serves it as it is now.
    pub(super) is_synced: bool,
}

/// One child.
struct Made {
    source: ObjectRef,
    heard: Heard,
    /// Whether its status says that it is served when this report is written.
    confirmed: bool,
}

impl<'a> Round<'a> {
    fn new(input: &'a ReportInput<'a>, heard: &BTreeMap<ObjectRef, Heard>, report: &Report) -> Self {
        let mut children: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let made = |kind: &'static str, name: &NamespacedName| {
            let source = name.object(kind);
            let heard = heard.get(&source).copied().unwrap_or_default();
            let is_to_be_told = || {
                let status = report.statuses.get(&source);
                status.is_some_and(|status| status::is_synced(&status.fields()))
            };
            Made {
                confirmed: heard.is_told || is_to_be_told(),
                heard,
                source,
            }
        };
        for (name, child) in &input.translation.children {
            let made = made(ApiDefinition::KIND, name);
            children.entry(&child.ingress).or_default().push(made);
        }
        for (name, child) in &input.translation.oas_children {
            let made = made(TykOasApiDefinition::KIND, name);
            children.entry(&child.ingress).or_default().push(made);
        }
        let held = input.translation.held.iter().filter_map(|name| {
            let ingress = input.snapshot.api_definitions.get(name)?.ingress()?;
            Some(NamespacedName::new(&name.namespace, ingress))
        });
        Self {
            input,
            children,
            held: held.collect(),
        }
    }

    fn children(&self, name: &NamespacedName) -> &[Made] {
        self.children.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    fn served(&self, name: &NamespacedName) -> Served {
        let children = self.children(name);
        let states: Vec<_> = children
            .iter()
            .map(|child| match child.heard.is_synced {
                true => ChildState::Synced,
                false => answer::of_child(self.input, &child.source),
            })
            .collect();
        let count = |wanted: fn(&ChildState) -> bool| states.iter().filter(|state| wanted(state)).count();
        let synced = count(|state| *state == ChildState::Synced);
        let failed = count(|state| *state == ChildState::Failed);
        match children.len() {
            0 if self.held.contains(name) || !self.is_any_tyk_in_step() => Served::Waiting,
            0 => Served::Nothing,
            all if synced == all => Served::All,
            all if synced > 0 && synced + failed == all => Served::Part,
            _ => Served::Waiting,
        }
    }

    /// Whether a round has ended since the start: before, nobody knows what was served.
    fn is_any_tyk_in_step(&self) -> bool {
        let mut outcomes = self.input.outcomes.values();
        outcomes.any(|outcome| outcome.endpoint_error.is_none())
    }

    /// What the cluster was not told yet: that all of it is served. It outlives a restart in the children's status, so
    /// it waits until each of them says it: the gateway may serve a child before the cluster has the object.
    fn news(&self, name: &NamespacedName) -> Option<String> {
        let children = self.children(name);
        let plural = if children.len() == 1 { "" } else { "s" };
        let note = format!("The gateway serves {} API{plural} of the Ingress.", children.len());
        let news = children.iter().all(|child| child.confirmed) && !children.iter().all(|child| child.heard.is_told);
        news.then_some(note)
    }
}

#[cfg(test)]
mod tests;
