//! One round against one gateway: read, compare, apply, reload, read back.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ahead::{Ahead, Change, LastList, View};
use super::batch::{self, Batch, Sort, Step, Work};
use super::certificates::{Certificates, Ensured};
use super::diff::diff_read;
use super::part::{Done, Memory, Part};
use super::policies::{self, Listed, Policies};
use super::portal::{self, Portal};
use super::seen::Seen;
use super::tyk::Tyk;
use super::{ApiOutcome, Calls, Observed, Outcome, Plan, late, verify};
use crate::desired::{Desired, Wanted};
use crate::tyk::Error;
use crate::tyk::list::Keep;

/// A resync comes up to a tenth early.
const RESYNC_SHARE: f64 = 0.9;

/// The latest state with its number, if there is one.
pub(super) type Latest = watch::Receiver<Option<(u64, Arc<Desired>)>>;

/// What a worker remembers of its gateway between rounds. Only hints: every round reads the gateway.
pub(super) struct Session {
    tyk: Tyk,
    owner: String,
    latest: Latest,
    cancel: CancellationToken,
    /// Files may have been written that are not loaded, or a reload may still run. True at first: an earlier process
    /// can have left such files.
    reload_owed: bool,
    seen: Seen,
    last: LastList,
    apis: Memory,
    policies: Policies,
    certificates: Certificates,
    portal: Portal,
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

impl Ended {
    /// What the gateway failed with.
    pub(super) fn error(&self) -> Option<&Error> {
        match self {
            Ended::Failed(error) => Some(error),
            Ended::Done | Ended::Cancelled => None,
        }
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Ended::Failed(error)
    }
}

/// What a gateway holds.
struct Held {
    apis: Observed,
    policies: Listed,
}

/// Two plans with what is left out of them for now.
struct Round<'a> {
    desired: &'a Desired,
    apis: Part<'a>,
    policies: Part<'a>,
    /// What is still to be sent.
    steps: Vec<Step>,
    ensured: Ensured,
}

impl Session {
    /// `resync` is the time after which what is known of certificates is looked up anew; `latest` is asked for states that
    /// can join a batch.
    pub(super) fn new(tyk: Tyk, owner: String, resync: Duration, latest: Latest, cancel: CancellationToken) -> Self {
        Self {
            latest,
            certificates: Certificates::new(owner.clone(), resync.mul_f64(RESYNC_SHARE)),
            apis: Memory::new(Sort::Api, owner.clone()),
            policies: Policies::new(owner.clone()),
            portal: Portal::default(),
            tyk,
            owner,
            cancel,
            reload_owed: true,
            seen: Seen::default(),
            last: LastList::default(),
        }
    }

    /// When something that waits alone wants another round.
    pub(super) fn next(&self) -> Option<Instant> {
        let waits = [
            self.apis.next(),
            self.policies.memory.next(),
            self.certificates.next(),
            self.portal.next(),
        ];
        waits.into_iter().flatten().min()
    }

    /// Brings the gateway in step with `desired` as far as it lets us, or with a later state that joins it; `change` is all in
    /// which it differs from what the round before has settled, where that is known and little.
    pub(super) async fn round(
        &mut self,
        revision: u64,
        desired: Arc<Desired>,
        change: Option<Change>,
    ) -> (Outcome, Ended) {
        let mut outcome = Outcome {
            revision,
            desired,
            ..Outcome::default()
        };
        let ended = self.attempt(change, &mut outcome).await;
        let ended = ended.err().unwrap_or(Ended::Done);
        if let Ended::Failed(error) = &ended {
            let message = error.to_string();
            let desired = &*Arc::clone(&outcome.desired);
            let apis = Arc::make_mut(&mut outcome.apis);
            let wanted = desired.wanted().map(|(id, _)| id.clone());
            let removals = desired.removals.iter().map(|id| id.as_str().into());
            for id in wanted.chain(removals) {
                let unproven = || ApiOutcome::Failed(message.clone());
                apis.entry(id).or_insert_with(unproven);
            }
            for id in desired.certificates.keys() {
                let unproven = || ApiOutcome::Failed(message.clone());
                let of_it = outcome.certificates.entry(id.as_str().into());
                of_it.or_insert_with(unproven);
            }
            policies::fail_unproven(desired, &message, &mut outcome);
            portal::fail_unproven(desired, &message, &mut outcome);
            self.certificates.doubt();
            outcome.endpoint_error = Some(message);
        }
        (outcome, ended)
    }

    async fn attempt(&mut self, change: Option<Change>, outcome: &mut Outcome) -> Result<(), Ended> {
        let desired = &*Arc::clone(&outcome.desired);
        let Ahead { plan, mut batch } = match change {
            Some(change) => self.write_ahead(desired, &change, &mut outcome.calls).await,
            None => Ahead::default(),
        };
        let done = self.bring_in_step(desired, (plan, &mut batch), outcome).await;
        if let Some((sort, id, error)) = batch.stopped {
            match sort {
                Sort::Api => self.apis.suspects.insert(id),
                Sort::Policy => self.policies.memory.suspects.insert(id),
            };
            return Err(error.into());
        }
        done
    }

    /// Sends what few APIs want before all are listed, see [`super::ahead`].
    async fn write_ahead(&mut self, desired: &Desired, change: &Change, calls: &mut Calls) -> Ahead {
        if self.reload_owed {
            return Ahead::default();
        }
        let view = View {
            tyk: &self.tyk,
            owner: &self.owner,
            desired,
            readings: &self.apis.readings,
            certificates: &self.certificates,
            last: &self.last,
        };
        let plan = self.cancel.run_until_cancelled(view.plan(change, calls)).await;
        let Some((plan, observed)) = plan.flatten() else {
            return Ahead::default();
        };
        let none = (&Plan::default(), &BTreeSet::new());
        let work = Work {
            desired,
            apis: &observed,
            policies: &Observed::new(),
            steps: batch::steps(none, (&plan, none.1), &observed),
        };
        let batch = self.send(&work, calls).await;
        Ahead { plan, batch }
    }

    /// Makes the calls of a batch, and notes that a reload is due.
    async fn send(&mut self, work: &Work<'_>, calls: &mut Calls) -> Batch {
        // Set before the first call, since this future can be dropped at any of them.
        let owed = std::mem::replace(&mut self.reload_owed, true);
        let sender = batch::Sender {
            tyk: &self.tyk,
            owner: &self.owner,
            certificates: &self.certificates,
        };
        let batch = batch::send(sender, work, (&self.cancel, calls)).await;
        self.reload_owed = owed || batch.touched;
        batch
    }

    /// Reads, compares and applies, after what was sent `ahead` and of the same round.
    async fn bring_in_step(
        &mut self,
        desired: &Desired,
        (ahead, batch): (Plan, &mut Batch),
        outcome: &mut Outcome,
    ) -> Result<(), Ended> {
        if batch.touched {
            self.reload(&mut outcome.calls).await?;
        }
        let cancel = self.cancel.clone();
        let keep = OnceLock::new();
        let read = self.read((desired, &keep), &mut outcome.calls);
        let read = cancel.run_until_cancelled(read).await;
        let held = read.ok_or(Ended::Cancelled)??;
        let ensured = self
            .certificates
            .ensure(&self.tyk, desired, &held.apis, (&cancel, outcome));
        let ensured = ensured.await?;
        if cancel.is_cancelled() {
            return Err(Ended::Cancelled);
        }
        // What the catalogue drops may be deleted after it; what it adds may have to be made before it.
        self.portal
            .round(&self.tyk, desired, &held.policies.held, outcome)
            .await?;
        // What a gateway could not find when it loaded an API it does not look for again.
        let changed = ensured.restored > 0 || ensured.replaced;
        self.reload_owed |= changed;
        batch.touched |= changed;
        outcome.drift.certificates += ensured.restored;
        self.apply((held, keep), (ensured, ahead), batch, outcome).await
    }

    /// Sends the differences between the wanted state and what the gateway holds, but for what was sent `ahead`; then the
    /// differences of states that came meanwhile and can join them.
    async fn apply(
        &mut self,
        (held, mut keep): (Held, OnceLock<Keep>),
        (mut ensured, mut ahead): (Ensured, Plan),
        batch: &mut Batch,
        outcome: &mut Outcome,
    ) -> Result<(), Ended> {
        let begin = Instant::now();
        let mut until = None;
        loop {
            let desired = Arc::clone(&outcome.desired);
            let mut round = self.plan(&desired, &held, (ensured, ahead));
            if batch.stopped.is_some() {
                round.steps.clear();
            }
            outcome.plan = Arc::new(round.apis.plan.clone());
            outcome.policy_plan = Arc::new(round.policies.plan.clone());
            if round.steps.is_empty() && !self.reload_owed {
                self.settle((&round, batch), &held, outcome);
                self.collect_certificates((&round, batch), &held).await;
                return Ok(());
            }
            let work = Work {
                desired: &desired,
                apis: &held.apis,
                policies: &held.policies.held,
                steps: std::mem::take(&mut round.steps),
            };
            batch.join(self.send(&work, &mut outcome.calls).await);
            drop(work);
            let until = *until.get_or_insert_with(|| late::limit(begin, Instant::now()));
            let late = self.late((outcome.revision, &round), batch);
            let Some((revision, more)) = late.filter(|_| Instant::now() < until) else {
                return self.read_back((&round, batch), (held, &keep), outcome).await;
            };
            (outcome.revision, outcome.desired) = (revision, more);
            (ensured, ahead) = (round.ensured, round.apis.plan);
            // Other fields may be looked at for it.
            keep = OnceLock::new();
        }
    }

    /// A state that came while a round sent its batch, and can join it.
    fn late(&self, (revision, round): (u64, &Round<'_>), batch: &Batch) -> Option<(u64, Arc<Desired>)> {
        let can_wait = !self.tyk.is_dashboard() && batch.stopped.is_none() && !self.cancel.is_cancelled();
        let is_apis_only = round.policies.plan.is_empty();
        let (latest, state) = self.latest.borrow().clone().filter(|_| can_wait && is_apis_only)?;
        let joins = latest != revision && late::joins(&state, round.desired, &round.apis.plan);
        joins.then_some((latest, state))
    }

    /// What the gateway holds, after a reload if there may be something to load.
    async fn read(&mut self, (desired, keep): (&Desired, &OnceLock<Keep>), calls: &mut Calls) -> Result<Held, Error> {
        self.reload(calls).await?;
        let apis = self.tyk.list_apis(desired, (keep, &mut self.seen), calls).await?;
        self.last = LastList::of(&apis);
        let policies = self.policies.read(&self.tyk, desired, calls).await?;
        Ok(Held { apis, policies })
    }

    async fn reload(&mut self, calls: &mut Calls) -> Result<(), Error> {
        if self.reload_owed {
            self.tyk.load(calls).await?;
            self.reload_owed = false;
        }
        Ok(())
    }

    async fn read_back(
        &mut self,
        (round, batch): (&Round<'_>, &Batch),
        (before, keep): (Held, &OnceLock<Keep>),
        outcome: &mut Outcome,
    ) -> Result<(), Ended> {
        self.reload(&mut outcome.calls).await?;
        if self.cancel.is_cancelled() {
            return Err(Ended::Cancelled);
        }
        // Both lists at the same time would be most of what the process holds. To let one go takes its time, for which
        // the reload does not wait.
        drop(before);
        let held = self.read((round.desired, keep), &mut outcome.calls).await?;
        self.settle((round, batch), &held, outcome);
        if outcome.portal.values().any(|one| matches!(one, ApiOutcome::Failed(_))) {
            self.portal
                .round(&self.tyk, round.desired, &held.policies.held, outcome)
                .await?;
        }
        self.collect_certificates((round, batch), &held).await;
        Ok(())
    }

    async fn collect_certificates(&mut self, (round, batch): (&Round<'_>, &Batch), held: &Held) {
        if batch.stopped.is_none() {
            self.certificates.collect(&self.tyk, round.desired, &held.apis).await;
        }
    }

    /// The differences, without what has to wait, and without what was sent `ahead` of the list.
    fn plan<'a>(&mut self, desired: &'a Desired, held: &Held, (ensured, ahead): (Ensured, Plan)) -> Round<'a> {
        self.apis.contexts.clone_from(&desired.contexts);
        let mut plan = diff_read(desired, &held.apis, &self.owner, &self.apis.readings);
        plan.take_out(&ahead);
        let wanted = desired.wanted();
        let wanted = wanted
            .map(|(id, api)| (id.clone(), Wanted::Packed(&api.payload)))
            .collect();
        plan.complete(desired, &held.apis, |api, held| self.tyk.lacks(api, held));
        let mut apis = self.apis.hold_back(plan, wanted, &desired.removals, &held.apis);
        apis.refused = ensured.hold_back(&mut apis.plan, desired, &held.apis);
        apis.plan.stop_collisions(desired, &held.apis);
        let rivals = apis.plan.rivals.iter();
        apis.refused
            .extend(rivals.map(|(id, rival)| (id.clone(), verify::rival(rival))));
        let foreign = apis.plan.foreign.iter();
        apis.refused
            .extend(foreign.map(|(id, other)| (id.clone(), verify::foreign(Sort::Api, other))));
        let policies = self.policies.plan(desired, &held.policies, &self.owner);
        let steps = batch::steps(
            (&policies.plan, &self.policies.memory.suspects),
            (&apis.plan, &self.apis.suspects),
            &held.apis,
        );
        apis.was_sent(ahead);
        Round {
            steps: match self.tyk.is_dashboard() {
                true => batch::in_turn(&steps, desired, &held.apis),
                false => steps,
            },
            policies,
            apis,
            ensured,
            desired,
        }
    }

    /// Decides every API and every policy by what the gateway holds now.
    fn settle(&mut self, (round, batch): (&Round<'_>, &Batch), held: &Held, outcome: &mut Outcome) {
        let Batch {
            apis,
            policies,
            stopped,
            touched,
        } = batch;
        let done = |sent| Done {
            sent,
            stopped: stopped.is_some(),
            touched: *touched,
        };
        let drift = &mut outcome.drift;
        let missing = |payload: Wanted<'_>| round.ensured.missing_of(payload);
        let results = self.apis.settle(&round.apis, &done(apis), &held.apis, missing, drift);
        outcome.apis = Arc::new(results);
        outcome.altered = self.apis.altered();
        let memory = &mut self.policies.memory;
        outcome.policies = memory.settle(&round.policies, &done(policies), &held.policies.held, |_| None, drift);
        outcome.altered_policies = memory.altered();
        if self.tyk.is_dashboard() {
            let given = |id: &String| {
                let held = held.policies.held.get(id)?.value();
                Some((id.clone(), held["_id"].as_str()?.to_owned()))
            };
            outcome.database_ids = round.desired.policies.keys().filter_map(given).collect();
        }
    }
}
