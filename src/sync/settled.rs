//! States that ask for nothing which the last round has not settled: no gateway has to be asked about them.
//!
//! When a resource goes, its API is removed as soon as it is not wanted any more. That the resource is being deleted,
//! and then that it is gone, come as states of their own.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{ApiOutcome, Calls, Drift, Outcome, Results};
use crate::desired::Desired;

/// Whether a round that ended well has said all that there is to say of this state too.
pub(super) fn covers(last: &Outcome, desired: &Desired) -> bool {
    let gone = are_gone(&desired.removals, &last.apis, |id| desired.api(id).is_some())
        && are_gone(&desired.policy_removals, &last.policies, |id| {
            desired.policies.contains_key(id)
        });
    gone && wants_the_same(&last.desired, desired)
}

/// What is remembered of a round that ended well: what it found, and nothing of what it did.
pub(super) fn last(outcome: &Outcome) -> Outcome {
    Outcome {
        drift: Drift::default(),
        calls: Calls::default(),
        plan: Arc::default(),
        policy_plan: Arc::default(),
        took: std::time::Duration::ZERO,
        ..outcome.clone()
    }
}

/// What is remembered of a round says the same of a state that it covers.
pub(super) fn again(last: Outcome, revision: u64, desired: &Arc<Desired>) -> Outcome {
    Outcome {
        revision,
        desired: Arc::clone(desired),
        ..last
    }
}

fn are_gone(removals: &BTreeSet<String>, results: &Results, is_wanted: impl Fn(&str) -> bool) -> bool {
    removals
        .iter()
        .all(|id| is_wanted(id) || results.get(id.as_str()) == Some(&ApiOutcome::Gone))
}

/// Whether two states differ in nothing but what is on its way out.
fn wants_the_same(one: &Desired, other: &Desired) -> bool {
    one.apis == other.apis && wants_the_same_beside_apis(one, other)
}

/// Whether two states differ in nothing but classic APIs and what is on its way out.
pub(super) fn wants_the_same_beside_apis(one: &Desired, other: &Desired) -> bool {
    let Desired {
        apis: _,
        oas,
        mcps,
        certificates,
        held,
        removals: _,
        policies,
        held_policies,
        policy_removals: _,
        portal,
        held_portal,
        portal_removals,
        ports: _,
        contexts,
    } = one;
    *oas == other.oas
        && *mcps == other.mcps
        && *certificates == other.certificates
        && *held == other.held
        && *policies == other.policies
        && *held_policies == other.held_policies
        && *portal == other.portal
        && *held_portal == other.held_portal
        && *portal_removals == other.portal_removals
        && *contexts == other.contexts
}
