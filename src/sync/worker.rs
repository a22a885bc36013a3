//! One task per Tyk endpoint, which decides when a round is due.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::ahead::Change;
use super::backoff::EndpointBackoff;
use super::probe::Probe;
use super::round::{Ended, Latest, Session};
use super::tyk::Tyk;
use super::{Outcome, settled};
use crate::desired::{Desired, Installation};

/// How long a batch that runs when the worker is told to stop may take to end in its reload.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// States that follow each other within this time are one burst of changes.
const BURST: Duration = Duration::from_millis(500);

/// Keeps one gateway in step with the latest desired state.
pub struct Worker {
    tyk: Arc<Installation>,
    at: Tyk,
    owner: String,
    resync: Duration,
    desired: Latest,
    outcomes: mpsc::Sender<Outcome>,
    trigger: Trigger,
}

/// Asks a worker for a round at once.
#[derive(Clone, Debug, Default)]
pub struct Trigger(Arc<Notify>);

impl Trigger {
    /// A round starts as soon as the running one has ended, if the gateway does not ask for a pause.
    pub fn fire(&self) {
        self.0.notify_one();
    }
}

impl Worker {
    /// A worker that writes `owner` into its marks and looks for drift every `resync` (± 10 %). Nothing is done before
    /// `desired` holds a state; only the latest one counts. One outcome per round goes to `outcomes`; the next round
    /// waits until there is room for it, so that none is lost.
    pub fn new(
        at: impl Into<Tyk>,
        owner: String,
        resync: Duration,
        desired: watch::Receiver<Option<(u64, Arc<Desired>)>>,
        outcomes: mpsc::Sender<Outcome>,
    ) -> Self {
        Self {
            tyk: Arc::default(),
            at: at.into(),
            owner,
            resync,
            desired,
            outcomes,
            trigger: Trigger::default(),
        }
    }

    /// The same, which says in its outcomes which Tyk they are about.
    pub fn of(self, tyk: Arc<Installation>) -> Self {
        Self { tyk, ..self }
    }

    /// A handle that asks this worker for a round.
    pub fn trigger(&self) -> Trigger {
        self.trigger.clone()
    }

    /// Runs until `cancel`; a batch that is on its way then still ends in a reload, for at most 20 s.
    pub fn spawn(self, cancel: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(self.run(cancel))
    }

    async fn run(mut self, cancel: CancellationToken) {
        let (at, owner, latest) = (self.at.clone(), self.owner.clone(), self.desired.clone());
        let mut session = Session::new(at, owner, self.resync, latest, cancel.clone());
        let mut schedule = Schedule::default();
        let mut probe = Probe::new(self.at.clone());
        self.desired.mark_changed();
        let mut settled = None;
        while self.wait(&mut schedule, &mut probe, &cancel).await {
            let Some((revision, desired)) = self.desired.borrow_and_update().clone() else {
                schedule.taken();
                continue;
            };
            let last = settled.take().filter(|_| schedule.is_for_news_only(Instant::now()));
            let change = match last {
                Some(last) if settled::covers(&last, &desired) => {
                    schedule.taken();
                    let outcome = settled::again(last, revision, &desired);
                    settled = Some(outcome.clone());
                    let _ = cancel.run_until_cancelled(self.outcomes.send(outcome)).await;
                    continue;
                }
                last => last.and_then(|last| Change::between(&last, &desired)),
            };
            let start = Instant::now();
            let Some((mut outcome, ended)) = self
                .round(&mut session, &mut schedule, (revision, desired, change), &cancel)
                .await
            else {
                return;
            };
            outcome.tyk = self.tyk.clone();
            outcome.gateway = self.at.authority();
            outcome.took = start.elapsed();
            if self.is_latest(outcome.revision) {
                schedule.news = None;
            }
            schedule.ended(Instant::now(), &ended, outcome.took);
            schedule.wait_for(session.next(), self.resync);
            probe.ended(&outcome, ended.error());
            self.log(&outcome, &ended);
            if matches!(ended, Ended::Cancelled) {
                return;
            }
            settled = matches!(ended, Ended::Done).then(|| settled::last(&outcome));
            // Nobody reads them any more: the gateway is kept in step all the same.
            let _ = cancel.run_until_cancelled(self.outcomes.send(outcome)).await;
        }
    }

    /// Whether there is no newer state, also because a newer one has joined the round.
    fn is_latest(&self, revision: u64) -> bool {
        let latest = self.desired.borrow();
        latest.as_ref().is_some_and(|(latest, _)| *latest == revision)
    }

    /// One round, while which news are noted; `None` when it did not end in time after the worker was told to stop.
    async fn round(
        &mut self,
        session: &mut Session,
        schedule: &mut Schedule,
        (revision, desired, change): (u64, Arc<Desired>, Option<Change>),
        cancel: &CancellationToken,
    ) -> Option<(Outcome, Ended)> {
        schedule.taken();
        let stopped = async {
            cancel.cancelled().await;
            sleep(STOP_LIMIT).await;
        };
        tokio::pin!(stopped);
        let round = session.round(revision, desired, change);
        tokio::pin!(round);
        loop {
            tokio::select! {
                done = &mut round => return Some(done),
                () = &mut stopped => return None,
                changed = self.desired.changed(), if !schedule.closed => schedule.changed(changed.is_ok(), Instant::now()),
            }
        }
    }

    /// Waits until a round is due; false when there will be none.
    async fn wait(&mut self, schedule: &mut Schedule, probe: &mut Probe, cancel: &CancellationToken) -> bool {
        loop {
            let due = schedule.due(Instant::now());
            tokio::select! {
                biased;
                () = cancel.cancelled() => return false,
                () = self.trigger.0.notified() => schedule.asked = true,
                () = probe.alarm(), if !schedule.asked => {
                    tracing::info!(gateway = %self.at.authority(), "the gateway was restarted or lost an API");
                    schedule.asked = true;
                }
                changed = self.desired.changed(), if !schedule.closed => schedule.changed(changed.is_ok(), Instant::now()),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => return true,
            }
        }
    }

    fn log(&self, outcome: &Outcome, ended: &Ended) {
        let gateway = self.at.authority();
        let calls = outcome.calls;
        match ended {
            Ended::Failed(error) => {
                tracing::warn!(%gateway, revision = outcome.revision, %error, "the gateway could not be brought in step");
            }
            Ended::Done if calls.writes + calls.deletes > 0 => {
                let (writes, deletes, revision) = (calls.writes, calls.deletes, outcome.revision);
                tracing::info!(%gateway, revision, writes, deletes, "the gateway was changed");
            }
            Ended::Done | Ended::Cancelled => {}
        }
    }
}

/// When the next round is due.
#[derive(Debug, Default)]
struct Schedule {
    /// A trigger waits for a round.
    asked: bool,
    /// When the last state came that waits for a round.
    news: Option<Instant>,
    /// Until when states are gathered, of which the first came while the last round ran.
    gathers: Option<Instant>,
    /// No new state will come.
    closed: bool,
    /// Resync, or something that waits alone.
    next: Option<Instant>,
    endpoint: EndpointBackoff,
}

impl Schedule {
    /// A new state came, or none will come any more: the last one stays wanted.
    fn changed(&mut self, came: bool, now: Instant) {
        match came {
            true => self.news = Some(now),
            false => self.closed = true,
        }
    }

    /// Whether a round is due for nothing but a new state.
    fn is_for_news_only(&self, now: Instant) -> bool {
        let by_itself = self.endpoint.retry_at().or(self.next);
        !self.asked && self.news.is_some() && by_itself.is_none_or(|at| at > now)
    }

    fn due(&self, now: Instant) -> Option<Instant> {
        let gathered = self
            .news
            .map(|last| self.gathers.map_or(last, |until| until.min(last + BURST)));
        let asked = self.asked.then_some(now).into_iter().chain(gathered).min();
        let asked = asked.map(|at| self.endpoint.earliest(now).max(at));
        let by_itself = self.endpoint.retry_at().or(self.next);
        [asked, by_itself].into_iter().flatten().min()
    }

    /// What was asked for is being done.
    fn taken(&mut self) {
        (self.asked, self.news, self.gathers) = (false, None, None);
    }

    /// A change of a gateway ends in a reload, whatever its size. So while changes keep coming, at most half of the time
    /// goes to rounds; the first change, and one that comes alone, waits for nothing.
    fn ended(&mut self, now: Instant, ended: &Ended, took: Duration) {
        self.gathers = self.news.map(|_| now + took);
        match ended {
            Ended::Failed(error) => self.endpoint.failed(now, error.wait(), rand::random()),
            Ended::Done | Ended::Cancelled => self.endpoint.succeeded(),
        }
    }

    /// What comes by itself: something that waits alone, or the next look for drift.
    fn wait_for(&mut self, waiting: Option<Instant>, resync: Duration) {
        let resync = Instant::now() + resync.mul_f64(0.9 + 0.2 * rand::random::<f64>());
        self.next = Some(waiting.map_or(resync, |waiting| waiting.min(resync)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_change_that_comes_alone_waits_for_nothing() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.ended(now, &Ended::Done, 2000 * MS);
        schedule.changed(true, now);
        assert_eq!(schedule.due(now), Some(now));
    }

    #[test]
    fn a_change_long_before_the_end_of_a_round_waits_for_nothing() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.changed(true, now - BURST);
        schedule.ended(now, &Ended::Done, 2000 * MS);
        assert_eq!(schedule.due(now), Some(now));
    }

    #[test]
    fn a_burst_is_gathered_for_as_long_as_the_round_before_took() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.changed(true, now - 100 * MS);
        schedule.ended(now, &Ended::Done, 2000 * MS);
        assert_eq!(schedule.due(now), Some(now + 400 * MS));
        schedule.changed(true, now + 300 * MS);
        assert_eq!(schedule.due(now), Some(now + 800 * MS));
        schedule.changed(true, now + 1900 * MS);
        assert_eq!(schedule.due(now), Some(now + 2000 * MS));
    }

    #[test]
    fn who_asks_gets_a_round_at_once() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.changed(true, now);
        schedule.ended(now, &Ended::Done, 2000 * MS);
        schedule.asked = true;
        assert_eq!(schedule.due(now), Some(now));
        schedule.taken();
        assert_eq!(schedule.due(now), None);
    }
}
