//! Policies of one gateway: read when there can be any of ours, planned like APIs, and sent in the same batch.

use std::collections::BTreeMap;

use super::batch::Sort;
use super::diff::{self, Readings};
use super::part::{Memory, Part};
use super::tyk::Tyk;
use super::{Calls, Loaded, Observed, Outcome, Plan, verify};
use crate::desired::{Desired, Wanted, owner};
use crate::tyk::{Error, Kind};

/// What is known of a gateway's policies.
pub(super) struct Policies {
    pub(super) memory: Memory,
    /// Whether the gateway may hold some of ours; true until it was asked.
    may_own: bool,
}

/// Policies as a gateway lists them.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) held: Observed,
    /// Why nothing is known of them although the gateway answers.
    pub(super) failure: Option<String>,
}

impl Policies {
    /// Nothing is known yet.
    pub(super) fn new(owner: String) -> Self {
        Self {
            memory: Memory::new(Sort::Policy, owner),
            may_own: true,
        }
    }

    /// What the gateway holds. It is not asked when nobody wants policies and it has none of ours.
    ///
    /// # Errors
    /// The gateway does not answer. One without policies is none: that costs the policies alone.
    pub(super) async fn read(&mut self, tyk: &Tyk, desired: &Desired, calls: &mut Calls) -> Result<Listed, Error> {
        self.memory.contexts.clone_from(&desired.contexts);
        let concerned = concerns_policies(desired);
        if !concerned && !self.may_own {
            return Ok(Listed::default());
        }
        calls.lists += 1;
        let mut held = match tyk.list_policies(desired).await {
            Ok(held) => held,
            Err(error) if error.kind() == Kind::NotFound || !concerned && gives_an_answer(&error) => {
                self.may_own &= error.kind() != Kind::NotFound;
                let failure = Some(format!(
                    "{error}; this gateway has no policies that could be set by its REST API"
                ));
                return Ok(Listed {
                    failure,
                    ..Listed::default()
                });
            }
            Err(error) => return Err(error),
        };
        let policies = held.values_mut().filter_map(Loaded::value_mut);
        policies.for_each(owner::expose_policy_mark);
        self.may_own = self.memory.owned(&held) > 0;
        Ok(Listed { held, failure: None })
    }

    /// The difference, without what has to wait.
    pub(super) fn plan<'a>(&mut self, desired: &'a Desired, listed: &Listed, owner: &str) -> Part<'a> {
        let wanted = wanted(desired, &listed.held, owner);
        let mut plan = difference(desired, &listed.held, owner, &self.memory.readings);
        let mut refused: BTreeMap<_, _> = plan
            .foreign
            .iter()
            .map(|(id, other)| (id.clone(), verify::foreign(Sort::Policy, other)))
            .collect();
        if let Some(failure) = &listed.failure {
            plan.writes.clear();
            refused.extend(wanted.keys().map(|id| ((*id).to_owned(), failure.clone())));
        }
        let wanted = wanted.into_iter().map(|(id, payload)| (id.into(), payload));
        let mut part = self
            .memory
            .hold_back(plan, wanted.collect(), &desired.policy_removals, &listed.held);
        part.refused = refused;
        // The first one of ours, once written, has to be found again.
        self.may_own |= !part.plan.writes.is_empty();
        part
    }
}

/// Compares the policies that should be there with those that are.
pub(super) fn difference(desired: &Desired, held: &Observed, owner: &str, readings: &Readings) -> Plan {
    let keeps = |id: &str| desired.policies.contains_key(id) || desired.held_policies.contains(id);
    let wanted = wanted(desired, held, owner);
    diff::diff_payloads(&wanted, keeps, held, (owner, &desired.contexts), readings)
}

/// Names a policy that nothing is known of as failed.
pub(super) fn fail_unproven(desired: &Desired, message: &str, outcome: &mut Outcome) {
    let wanted = desired.policies.iter().filter(|(_, policy)| !policy.waits);
    for id in wanted.map(|(id, _)| id).chain(&desired.policy_removals) {
        let unproven = || super::ApiOutcome::Failed(message.to_owned());
        let of_it = outcome.policies.entry(id.as_str().into());
        of_it.or_insert_with(unproven);
    }
}

fn concerns_policies(desired: &Desired) -> bool {
    !desired.policies.is_empty() || !desired.held_policies.is_empty() || !desired.policy_removals.is_empty()
}

/// Whether the gateway is there, and says no.
fn gives_an_answer(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::Rejected | Kind::Malformed | Kind::Unavailable | Kind::Forbidden | Kind::Unlicensed
    )
}

/// Payloads by id. One that waits is only brought up to date where it is, and is ours, already.
fn wanted<'a>(desired: &'a Desired, held: &Observed, owner: &str) -> BTreeMap<&'a str, Wanted<'a>> {
    let ours = |id: &String| held.get(id).is_some_and(|held| held.is_ours(owner, &desired.contexts));
    let policies = desired.policies.iter();
    policies
        .filter(|(id, policy)| !policy.waits || ours(id))
        .map(|(id, policy)| (id.as_str(), Wanted::Whole(&policy.payload)))
        .collect()
}
