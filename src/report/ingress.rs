//! The addresses in the status of Ingresses, and when one begins to be served.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::networking::v1::{Ingress, IngressLoadBalancerIngress};
use kube::ResourceExt;

use super::answer::{self, ChildState};
use super::{Report, ReportInput, status};
use crate::api::{ApiDefinition, Generated, TykOasApiDefinition, names};
use crate::diagnostic::ObjectRef;
use crate::snapshot::{NamespacedName, SnapshotKind};

/// `status.loadBalancer.ingress` of one Ingress.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IngressStatus {
    /// The Ingress that is meant, so that one of the same name made later is not.
    pub uid: Option<String>,
    /// The addresses, sorted; none takes away what this operator wrote before.
    pub addresses: Vec<IngressLoadBalancerIngress>,
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
    for (name, ingress) in input.snapshot.ingresses.iter() {
        let served = match input.translation.ingresses.binary_search(name) {
            Ok(_) => round.served(name),
            Err(_) => Served::Nothing,
        };
        if served == Served::All {
            let news = round.news(name).map(|note| (ingress.object_ref(), note));
            report.synced.extend(news);
        }
        let published = input.addresses.into_iter().flatten().map(Into::into).collect();
        let wanted = match served {
            _ if input.addresses.is_none() || ingress.metadata.deletion_timestamp.is_some() => continue,
            Served::Waiting => continue,
            Served::All | Served::Part => published,
            Served::Nothing => Vec::new(),
        };
        if is_due(ingress, &wanted, input.owner) {
            let uid = ingress.uid();
            let status = IngressStatus { uid, addresses: wanted };
            report.ingresses.insert(name.clone(), status);
        }
    }
}

/// Whether the status is another. Addresses that this operator has no hand in are never taken away.
fn is_due(ingress: &Ingress, wanted: &[IngressLoadBalancerIngress], owner: &str) -> bool {
    let manager = names::ingress_status_manager(owner);
    let mut hands = ingress.managed_fields().iter();
    let now = ingress
        .status
        .iter()
        .flat_map(|status| &status.load_balancer)
        .flat_map(|balancer| balancer.ingress.iter().flatten());
    match wanted.is_empty() {
        true => hands.any(|entry| entry.manager.as_ref() == Some(&manager)),
        false => !now.eq(wanted),
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
