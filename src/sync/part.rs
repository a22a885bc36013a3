//! What is remembered between rounds of one sort of objects, the APIs or the policies, and how each of them is judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::backoff::ObjectBackoff;
use super::batch::{Sent, Sort};
use super::diff::{Reading, Readings};
use super::guard::DeleteGuard;
use super::{ApiOutcome, Drift, Loaded, Observed, Plan, Results, verify};
use crate::desired::Wanted;

/// Only hints: every round reads the gateway.
pub(super) struct Memory {
    sort: Sort,
    owner: String,
    /// Contexts whose marks are ours, as the round's state names them.
    pub(super) contexts: BTreeSet<String>,
    pub(super) readings: Readings,
    /// Hash of each object that was seen as wanted.
    synced: BTreeMap<Arc<str>, Box<str>>,
    /// Objects at whose write the gateway broke.
    pub(super) suspects: BTreeSet<String>,
    guard: DeleteGuard,
    backoff: ObjectBackoff,
}

/// One sort of objects in one round: a plan with what is left out of it for now.
pub(super) struct Part<'a> {
    /// Payloads by id.
    wanted: BTreeMap<Arc<str>, Wanted<'a>>,
    /// What is on its way out.
    removals: &'a BTreeSet<String>,
    pub(super) plan: Plan,
    /// All that should be gone afterwards, now or later.
    unwanted: BTreeSet<String>,
    /// Objects that wait for their time, and why.
    waiting: BTreeMap<String, String>,
    /// Objects that wait for something else to change, and why.
    pub(super) refused: BTreeMap<String, String>,
}

/// What a batch did to one sort of objects.
pub(super) struct Done<'a> {
    pub(super) sent: &'a Sent,
    /// Whether the batch ended early.
    pub(super) stopped: bool,
    /// Whether the gateway went through a reload since it was read for the plan.
    pub(super) touched: bool,
}

impl Part<'_> {
    /// Takes in what was sent before the plan was made.
    pub(super) fn was_sent(&mut self, before: Plan) {
        self.unwanted.extend(before.deletes.iter().cloned());
        self.plan.writes.extend(before.writes);
        self.plan.deletes.extend(before.deletes);
    }
}

impl Memory {
    /// Nothing is known yet.
    pub(super) fn new(sort: Sort, owner: String) -> Self {
        Self {
            sort,
            owner,
            contexts: BTreeSet::new(),
            readings: Readings::new(),
            synced: BTreeMap::new(),
            suspects: BTreeSet::new(),
            guard: DeleteGuard::default(),
            backoff: ObjectBackoff::default(),
        }
    }

    /// When something that waits alone wants another round.
    pub(super) fn next(&self) -> Option<Instant> {
        [self.backoff.next(), self.guard.due()].into_iter().flatten().min()
    }

    /// How many of `observed` are ours.
    pub(super) fn owned(&self, observed: &Observed) -> usize {
        let ours = observed
            .values()
            .filter(|held| held.is_ours(&self.owner, &self.contexts));
        ours.count()
    }

    /// Fields that the gateway reads otherwise, by id.
    pub(super) fn altered(&self) -> BTreeMap<String, BTreeSet<String>> {
        let altered = self.readings.iter().filter(|(_, reading)| !reading.fields.is_empty());
        altered
            .map(|(id, reading)| (id.clone(), reading.fields.keys().cloned().collect()))
            .collect()
    }

    /// Takes out of `plan` what has to wait for its time.
    pub(super) fn hold_back<'a>(
        &mut self,
        mut plan: Plan,
        wanted: BTreeMap<Arc<str>, Wanted<'a>>,
        removals: &'a BTreeSet<String>,
        observed: &Observed,
    ) -> Part<'a> {
        let now = Instant::now();
        let unwanted = plan.deletes.clone();
        let mut waiting = BTreeMap::new();
        let ours = self.owned(observed);
        if !self.guard.allows(&plan.deletes, ours, now) {
            let (deletes, objects) = (plan.deletes.len(), self.sort.plural());
            tracing::warn!(
                deletes,
                ours,
                "a plan that deletes most {objects} waits for a second look"
            );
            let message = format!("it is deleted after a second look, because most {objects} would be");
            waiting.extend(plan.deletes.iter().map(|id| (id.clone(), message.clone())));
            plan.deletes.clear();
        }
        let wait = |id: &str, hash: &str| self.backoff.waits(id, hash, now).map(str::to_owned);
        plan.deletes.retain(|id| match wait(id, "") {
            Some(message) => waiting.insert(id.clone(), message).is_some(),
            None => true,
        });
        plan.writes.retain(|id, _| {
            let hash = wanted
                .get(id.as_str())
                .map(|payload| payload.hash())
                .unwrap_or_default();
            match wait(id, &hash) {
                Some(message) => waiting.insert(id.clone(), message).is_some(),
                None => true,
            }
        });
        Part {
            wanted,
            removals,
            plan,
            unwanted,
            waiting,
            refused: BTreeMap::new(),
        }
    }

    /// Decides every object by what the gateway holds now. `missing` says what else an object needs and has not; `drift`
    /// counts repairs.
    pub(super) fn settle(
        &mut self,
        part: &Part<'_>,
        done: &Done<'_>,
        observed: &Observed,
        missing: impl Fn(Wanted<'_>) -> Option<String>,
        drift: &mut Drift,
    ) -> Results {
        let known = std::mem::take(&mut self.synced);
        let mut outcomes = Results::new();
        let mut failing = BTreeSet::new();
        for (id, &payload) in &part.wanted {
            let hash = payload.hash();
            let Some(result) = self.settle_wanted((id, payload, &hash), part, done, observed, &mut failing) else {
                // Not sent any more: nothing is known of it.
                self.synced.extend(known.get(id).map(|hash| (id.clone(), hash.clone())));
                failing.insert(id.to_string());
                continue;
            };
            // In step as far as its definition goes, so nothing of it has to wait.
            let result = match missing(payload).filter(|_| result == ApiOutcome::Synced) {
                Some(message) => ApiOutcome::Failed(message),
                None => result,
            };
            if result == ApiOutcome::Synced {
                if let Some(reason) = part.plan.writes.get(&**id)
                    && (reason.is_drift() || known.get(id).is_some_and(|known| **known == *hash))
                {
                    drift.count(self.sort, id, reason);
                    tracing::warn!(%id, %reason, "drift of {} repaired", self.sort.indefinite());
                }
                self.synced.insert(id.clone(), hash.into());
            }
            outcomes.insert(id.clone(), result);
        }
        self.settle_removals(part, done, observed, &mut outcomes, &mut failing);
        self.backoff.keep(|id| failing.contains(id));
        self.suspects
            .retain(|id| !self.synced.contains_key(id.as_str()) && part.wanted.contains_key(id.as_str()));
        self.readings.retain(|id, _| part.wanted.contains_key(id.as_str()));
        // What has come in order leaves as much room as it takes.
        self.synced = std::mem::take(&mut self.synced).into_iter().collect();
        outcomes.into_iter().collect()
    }

    fn settle_wanted(
        &mut self,
        (id, payload, hash): (&str, Wanted<'_>, &str),
        part: &Part<'_>,
        done: &Done<'_>,
        observed: &Observed,
        failing: &mut BTreeSet<String>,
    ) -> Option<ApiOutcome> {
        if let Some(message) = part.refused.get(id) {
            return Some(ApiOutcome::Failed(message.clone()));
        }
        if let Some(message) = part.waiting.get(id) {
            failing.insert(id.to_owned());
            return Some(ApiOutcome::Failed(message.clone()));
        }
        let result = if let Some(message) = done.sent.refused.get(id) {
            Err(message.clone())
        } else if let Some(stamp) = done.sent.written.get(id) {
            verify::written(self.sort, id, payload, stamp, observed).map(|reading| self.learn(id, reading))
        } else if part.plan.writes.contains_key(id) {
            return None;
        } else if !done.touched {
            // The list that made the plan is still the latest.
            Ok(())
        } else {
            verify::kept(id, payload, observed, &self.readings)
        };
        Some(self.judge(id, hash, result, ApiOutcome::Synced, failing))
    }

    /// Only what is read otherwise is worth knowing.
    fn learn(&mut self, id: &str, reading: Reading) {
        match reading.fields.is_empty() {
            true => drop(self.readings.remove(id)),
            false => drop(self.readings.insert(id.to_owned(), reading)),
        }
    }

    fn settle_removals(
        &mut self,
        part: &Part<'_>,
        done: &Done<'_>,
        observed: &Observed,
        outcomes: &mut Results,
        failing: &mut BTreeSet<String>,
    ) {
        let unwanted = part.unwanted.union(part.removals);
        for id in unwanted.filter(|id| !part.wanted.contains_key(id.as_str())) {
            let ours = |held: &Loaded| held.is_ours(&self.owner, &self.contexts);
            let held = observed.get(id).is_some_and(ours);
            let result = match part.waiting.get(id) {
                Some(message) if held => {
                    failing.insert(id.clone());
                    ApiOutcome::Failed(message.clone())
                }
                _ if held && done.stopped => continue,
                _ => {
                    let refused = done.sent.refused.get(id).cloned();
                    let message = || refused.unwrap_or_else(|| "the gateway still holds it after a reload".to_owned());
                    let result = if held { Err(message()) } else { Ok(()) };
                    self.judge(id, "", result, ApiOutcome::Gone, failing)
                }
            };
            outcomes.insert(id.as_str().into(), result);
        }
    }

    /// Turns a check into an outcome; a failure makes the object wait alone.
    fn judge(
        &mut self,
        id: &str,
        hash: &str,
        result: Result<(), String>,
        good: ApiOutcome,
        failing: &mut BTreeSet<String>,
    ) -> ApiOutcome {
        match result {
            Ok(()) => good,
            Err(message) => {
                failing.insert(id.to_owned());
                self.backoff.failed(id, hash, &message, Instant::now(), rand::random());
                ApiOutcome::Failed(message)
            }
        }
    }
}
