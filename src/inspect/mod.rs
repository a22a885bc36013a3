//! What the operator knows, for people and without secrets: as JSON and as a page. Pure.

pub mod json;
mod page;
mod redact;
pub mod routes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::desired::{Fleet, Installation};
use crate::diagnostic::{Code, Diagnostic};
use crate::ingress::Translation;
use crate::snapshot::Snapshot;
use crate::sync::{ApiOutcome, Outcome, Results};

pub use page::{PageRequest, page};

/// All that is known at one moment. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The objects that the last translation looked at.
    pub snapshot: Arc<Snapshot>,
    /// The children of its Ingresses.
    pub translation: Arc<Translation>,
    /// What every Tyk should hold.
    pub fleet: Arc<Fleet>,
    /// Findings of the translation.
    pub diagnostics: Arc<Vec<Diagnostic>>,
    /// When the last translation ended; `None` before the first.
    pub translated: Option<Timestamp>,
    /// The last round against each Tyk.
    pub rounds: BTreeMap<Arc<Installation>, Round>,
    /// Why the operator is not ready; empty when it is.
    pub unready: Vec<String>,
    /// Whether this process writes.
    pub leader: bool,
}

/// The last round against one Tyk.
#[derive(Clone, Debug)]
pub struct Round {
    /// How it ended.
    pub outcome: Arc<Outcome>,
    /// When it ended.
    pub ended: Timestamp,
    /// When a round last ended without an error of the Tyk.
    pub last_success: Option<Timestamp>,
}

impl World {
    /// Takes in the end of a round.
    pub fn ended(&mut self, outcome: Outcome, now: Timestamp) {
        let before = self.rounds.get(&outcome.tyk).and_then(|round| round.last_success);
        let last_success = match outcome.endpoint_error {
            None => Some(now),
            Some(_) => before,
        };
        let round = Round {
            ended: now,
            last_success,
            outcome: Arc::new(outcome),
        };
        self.rounds.insert(round.outcome.tyk.clone(), round);
    }

    /// Takes in a translation. Rounds against Tyks that left the fleet are forgotten.
    pub fn translated(
        &mut self,
        snapshot: Arc<Snapshot>,
        (translation, fleet): (Arc<Translation>, Arc<Fleet>),
        diagnostics: Arc<Vec<Diagnostic>>,
        now: Timestamp,
    ) {
        self.rounds.retain(|tyk, _| fleet.tyks.contains_key(tyk));
        (self.snapshot, self.translation) = (snapshot, translation);
        (self.fleet, self.diagnostics) = (fleet, diagnostics);
        self.translated = Some(now);
    }

    /// What is wrong now: the findings of the translation, and one for everything that a Tyk did not take.
    pub fn findings(&self) -> Vec<Diagnostic> {
        let mut findings = self.diagnostics.to_vec();
        for round in self.rounds.values() {
            findings.extend(refused(&round.outcome));
        }
        findings.sort();
        findings.dedup();
        findings
    }
}

/// When the Tyk as a whole does not answer, that is said of the Tyk and not of each of its objects.
fn refused(outcome: &Outcome) -> Vec<Diagnostic> {
    if outcome.endpoint_error.is_some() {
        return Vec::new();
    }
    let desired = &outcome.desired;
    let apis = failed(&outcome.apis).map(|(id, message)| (desired.api(id).map(|api| &api.source), message));
    let policies =
        failed(&outcome.policies).map(|(id, message)| (desired.policies.get(id).map(|policy| &policy.source), message));
    let certificates = failed(&outcome.certificates)
        .map(|(id, message)| (desired.certificates.get(id).map(|one| &one.source), message));
    let all = apis.chain(policies).chain(certificates);
    all.filter_map(|(source, message)| Some(Diagnostic::new(Code::SyncFailed, source?.clone(), "", message)))
        .collect()
}

fn failed(results: &Results) -> impl Iterator<Item = (&str, &String)> {
    results.iter().filter_map(|(id, state)| match state {
        ApiOutcome::Failed(message) => Some((id.as_ref(), message)),
        _ => None,
    })
}
