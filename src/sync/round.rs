//! One round against one gateway: read, compare, apply, reload, read back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::ObjectBackoff;
use super::batch::{self, Batch};
use super::certificates::{Certificates, Ensured};
use super::diff::{Readings, diff_read};
use super::guard::DeleteGuard;
use super::{ApiOutcome, Calls, Observed, Outcome, Plan, form, mark, verify};
use crate::desired::{Api, Desired, owner};
use crate::tyk::Error;
use crate::tyk::gateway::Gateway;

/// A resync comes up to a tenth early.
const RESYNC_SHARE: f64 = 0.9;

/// What a worker remembers of its gateway between rounds. Only hints: every round reads the gateway.
pub(super) struct Session {
    gateway: Gateway,
    owner: String,
    cancel: CancellationToken,
    /// Files may have been written that are not loaded, or a reload may still run. True at first: an earlier process
    /// can have left such files.
    reload_owed: bool,
    readings: Readings,
    /// Hash of each API that was seen as wanted.
    synced: BTreeMap<String, String>,
    /// APIs at whose write the gateway broke.
    suspects: BTreeSet<String>,
    guard: DeleteGuard,
    objects: ObjectBackoff,
    certificates: Certificates,
}

/// How a round ended.
pub(super) enum Ended {
    /// All was sent and read back.
    Done,
    /// The gateway failed.
    Failed(Error),
    /// The worker was told to stop.
    Cancelled,
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Ended::Failed(error)
    }
}

/// A plan with what is left out of it for now.
struct Round<'a> {
    desired: &'a Desired,
    plan: Plan,
    /// All that should be gone afterwards, now or later.
    unwanted: BTreeSet<String>,
    /// APIs that wait, and why.
    waiting: BTreeMap<String, String>,
    batch: Batch,
    ensured: Ensured,
    /// APIs that wait for a certificate, and why it is not there.
    without_certificate: BTreeMap<String, String>,
}

impl Session {
    /// `resync` is the time after which what is known of certificates is looked up anew.
    pub(super) fn new(gateway: Gateway, owner: String, resync: Duration, cancel: CancellationToken) -> Self {
        Self {
            certificates: Certificates::new(owner.clone(), resync.mul_f64(RESYNC_SHARE)),
            gateway,
            owner,
            cancel,
            reload_owed: true,
            readings: Readings::new(),
            synced: BTreeMap::new(),
            suspects: BTreeSet::new(),
            guard: DeleteGuard::default(),
            objects: ObjectBackoff::default(),
        }
    }

    /// When something that waits alone wants another round.
    pub(super) fn next(&self) -> Option<Instant> {
        let waits = [self.objects.next(), self.guard.due(), self.certificates.next()];
        waits.into_iter().flatten().min()
    }

    /// Brings the gateway in step with `desired` as far as it lets us.
    pub(super) async fn round(&mut self, revision: u64, desired: &Desired) -> (Outcome, Ended) {
        let mut outcome = Outcome {
            revision,
            ..Outcome::default()
        };
        let ended = self.attempt(desired, &mut outcome).await.err().unwrap_or(Ended::Done);
        if let Ended::Failed(error) = &ended {
            let message = error.to_string();
            for id in desired.wanted().map(|(id, _)| id).chain(&desired.removals) {
                let unproven = || ApiOutcome::Failed(message.clone());
                outcome.apis.entry(id.clone()).or_insert_with(unproven);
            }
            for id in desired.certificates.keys() {
                let unproven = || ApiOutcome::Failed(message.clone());
                outcome.certificates.entry(id.clone()).or_insert_with(unproven);
            }
            self.certificates.doubt();
            outcome.endpoint_error = Some(message);
        }
        (outcome, ended)
    }

    async fn attempt(&mut self, desired: &Desired, outcome: &mut Outcome) -> Result<(), Ended> {
        let cancel = self.cancel.clone();
        let read = cancel.run_until_cancelled(self.read(desired, &mut outcome.calls)).await;
        let observed = read.ok_or(Ended::Cancelled)??;
        let ensured = self
            .certificates
            .ensure(&self.gateway, desired, &observed, (&cancel, outcome));
        let ensured = ensured.await?;
        if cancel.is_cancelled() {
            return Err(Ended::Cancelled);
        }
        let (restored, changed) = (ensured.restored, ensured.restored > 0 || ensured.replaced);
        let mut round = self.plan(desired, &observed, ensured);
        if round.plan.is_empty() && !changed {
            self.settle(&round, &observed, outcome);
            self.certificates.collect(&self.gateway, desired, &observed).await;
            return Ok(());
        }
        let work = (desired, &observed, &round.plan);
        let calls = (&self.cancel, &mut outcome.calls);
        // Set before the first call, since this future can be dropped at any of them.
        self.reload_owed = true;
        let certificates = &self.certificates;
        round.batch = batch::send(&self.gateway, &self.owner, work, &self.suspects, certificates, calls).await;
        // What a gateway could not find when it loaded an API it does not look for again.
        round.batch.touched |= changed;
        outcome.drift_repaired += restored;
        self.reload_owed = round.batch.touched;
        let reread = self.read_back(&round, outcome).await;
        if let Some((id, error)) = round.batch.stopped.take() {
            self.suspects.insert(id);
            return Err(error.into());
        }
        reread
    }

    /// What the gateway holds, after a reload if there may be something to load.
    async fn read(&mut self, desired: &Desired, calls: &mut Calls) -> Result<Observed, Error> {
        self.reload(calls).await?;
        calls.lists += 1;
        let mut observed = self.gateway.list_apis().await?;
        if form::needs_documents(desired, &observed) {
            calls.lists += 1;
            form::add_documents(&mut observed, self.gateway.list_oas().await?);
        }
        Ok(observed)
    }

    async fn reload(&mut self, calls: &mut Calls) -> Result<(), Error> {
        if self.reload_owed {
            calls.reloads += 1;
            self.gateway.reload().await?;
            self.reload_owed = false;
        }
        Ok(())
    }

    async fn read_back(&mut self, round: &Round<'_>, outcome: &mut Outcome) -> Result<(), Ended> {
        if self.cancel.is_cancelled() {
            self.reload(&mut outcome.calls).await?;
            return Err(Ended::Cancelled);
        }
        let observed = self.read(round.desired, &mut outcome.calls).await?;
        self.settle(round, &observed, outcome);
        if round.batch.stopped.is_none() {
            self.certificates.collect(&self.gateway, round.desired, &observed).await;
        }
        Ok(())
    }

    /// The difference, without what has to wait.
    fn plan<'a>(&mut self, desired: &'a Desired, observed: &Observed, ensured: Ensured) -> Round<'a> {
        let now = Instant::now();
        let mut plan = diff_read(desired, observed, &self.owner, &self.readings);
        let unwanted = plan.deletes.clone();
        let mut waiting = BTreeMap::new();
        let ours = observed
            .values()
            .filter(|held| owner::is_ours(held, &self.owner, &desired.contexts))
            .count();
        if !self.guard.allows(&plan.deletes, ours, now) {
            tracing::warn!(
                deletes = plan.deletes.len(),
                ours,
                "a plan that deletes most APIs waits for a second look"
            );
            let message = "it is deleted after a second look, because most APIs would be";
            waiting.extend(plan.deletes.iter().map(|id| (id.clone(), message.to_owned())));
            plan.deletes.clear();
        }
        let wait = |id: &str, hash: &str| self.objects.waits(id, hash, now).map(str::to_owned);
        plan.deletes.retain(|id| match wait(id, "") {
            Some(message) => waiting.insert(id.clone(), message).is_some(),
            None => true,
        });
        plan.writes.retain(|id, _| {
            let hash = desired.api(id).map(|api| mark::hash(&api.payload)).unwrap_or_default();
            match wait(id, &hash) {
                Some(message) => waiting.insert(id.clone(), message).is_some(),
                None => true,
            }
        });
        let without_certificate = ensured.hold_back(&mut plan, desired, observed);
        plan.stop_collisions(desired, observed);
        Round {
            ensured,
            without_certificate,
            desired,
            plan,
            unwanted,
            waiting,
            batch: Batch::default(),
        }
    }

    /// Decides every API by what the gateway holds now.
    fn settle(&mut self, round: &Round<'_>, observed: &Observed, outcome: &mut Outcome) {
        let known = std::mem::take(&mut self.synced);
        let mut failing = BTreeSet::new();
        for (id, api) in round.desired.wanted() {
            let hash = mark::hash(&api.payload);
            let Some(result) = self.settle_api((id, api), round, observed, &mut failing, &hash) else {
                // Not sent any more: nothing is known of it.
                self.synced.extend(known.get(id).map(|hash| (id.clone(), hash.clone())));
                failing.insert(id.clone());
                continue;
            };
            if result == ApiOutcome::Synced {
                if let Some(reason) = round.plan.writes.get(id)
                    && (reason.is_drift() || known.get(id) == Some(&hash))
                {
                    outcome.drift_repaired += 1;
                    tracing::warn!(api = %id, %reason, "drift repaired");
                }
                self.synced.insert(id.clone(), hash);
            }
            outcome.apis.insert(id.clone(), result);
        }
        self.settle_removals(round, observed, outcome, &mut failing);
        self.objects.keep(|id| failing.contains(id));
        self.suspects
            .retain(|id| !self.synced.contains_key(id) && round.desired.api(id).is_some());
        self.readings.retain(|id, _| round.desired.api(id).is_some());
        let altered = self.readings.iter().filter(|(_, reading)| !reading.fields.is_empty());
        outcome.altered = altered
            .map(|(id, reading)| (id.clone(), reading.fields.keys().cloned().collect()))
            .collect();
    }

    fn settle_api(
        &mut self,
        (id, api): (&str, &Api),
        round: &Round<'_>,
        observed: &Observed,
        failing: &mut BTreeSet<String>,
        hash: &str,
    ) -> Option<ApiOutcome> {
        if let Some(other) = round.plan.foreign.get(id) {
            return Some(ApiOutcome::Failed(verify::foreign(other)));
        }
        if let Some(rival) = round.plan.rivals.get(id) {
            return Some(ApiOutcome::Failed(verify::rival(rival)));
        }
        if let Some(message) = round.without_certificate.get(id) {
            return Some(ApiOutcome::Failed(message.clone()));
        }
        if let Some(message) = round.waiting.get(id) {
            failing.insert(id.to_owned());
            return Some(ApiOutcome::Failed(message.clone()));
        }
        let result = if let Some(message) = round.batch.refused.get(id) {
            Err(message.clone())
        } else if let Some(stamp) = round.batch.sent.get(id) {
            verify::written(id, api, stamp, observed).map(|reading| drop(self.readings.insert(id.to_owned(), reading)))
        } else if round.plan.writes.contains_key(id) {
            return None;
        } else if !round.batch.touched {
            // The list that made the plan is still the latest.
            Ok(())
        } else {
            verify::kept(id, api, observed, &self.readings)
        };
        // In step as far as its definition goes, so nothing of it has to wait.
        if let (Ok(()), Some(message)) = (&result, round.ensured.missing_of(&api.payload)) {
            return Some(ApiOutcome::Failed(message));
        }
        Some(self.judge(id, hash, result, ApiOutcome::Synced, failing))
    }

    fn settle_removals(
        &mut self,
        round: &Round<'_>,
        observed: &Observed,
        outcome: &mut Outcome,
        failing: &mut BTreeSet<String>,
    ) {
        let unwanted = round.unwanted.union(&round.desired.removals);
        for id in unwanted.filter(|id| round.desired.api(id).is_none()) {
            let ours = |held: &serde_json::Value| owner::is_ours(held, &self.owner, &round.desired.contexts);
            let held = observed.get(id).is_some_and(ours);
            let result = match round.waiting.get(id) {
                Some(message) if held => {
                    failing.insert(id.clone());
                    ApiOutcome::Failed(message.clone())
                }
                _ if held && round.batch.stopped.is_some() => continue,
                _ => {
                    let refused = round.batch.refused.get(id).cloned();
                    let message = || refused.unwrap_or_else(|| "the gateway still holds it after a reload".to_owned());
                    let result = if held { Err(message()) } else { Ok(()) };
                    self.judge(id, "", result, ApiOutcome::Gone, failing)
                }
            };
            outcome.apis.insert(id.clone(), result);
        }
    }

    /// Turns a check into an outcome; a failure makes the API wait alone.
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
                self.objects.failed(id, hash, &message, Instant::now(), rand::random());
                ApiOutcome::Failed(message)
            }
        }
    }
}
