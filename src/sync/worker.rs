//! One task per Tyk endpoint, which decides when a round is due.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Outcome;
use super::backoff::EndpointBackoff;
use super::probe::Probe;
use super::round::{Ended, Session};
use super::tyk::Tyk;
use crate::desired::{Desired, Installation};

/// How long a batch that runs when the worker is told to stop may take to end in its reload.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Keeps one gateway in step with the latest desired state.
pub struct Worker {
    tyk: Arc<Installation>,
    at: Tyk,
    owner: String,
    resync: Duration,
    desired: watch::Receiver<Option<(u64, Arc<Desired>)>>,
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
        let mut session = Session::new(self.at.clone(), self.owner.clone(), self.resync, cancel.clone());
        let mut schedule = Schedule::default();
        let mut probe = Probe::new(self.at.clone());
        self.desired.mark_changed();
        while self.wait(&mut schedule, &mut probe, &cancel).await {
            let Some((revision, desired)) = self.desired.borrow_and_update().clone() else {
                schedule.asked = false;
                continue;
            };
            let stopped = async {
                cancel.cancelled().await;
                sleep(STOP_LIMIT).await;
            };
            let start = Instant::now();
            let (mut outcome, ended) = tokio::select! {
                done = session.round(revision, &desired) => done,
                () = stopped => return,
            };
            (outcome.tyk, outcome.desired) = (self.tyk.clone(), desired);
            outcome.gateway = self.at.authority();
            outcome.took = start.elapsed();
            schedule.ended(&ended, session.next(), self.resync);
            probe.ended(&outcome, ended.error());
            self.log(&outcome, &ended);
            if matches!(ended, Ended::Cancelled) {
                return;
            }
            // Nobody reads them any more: the gateway is kept in step all the same.
            let _ = cancel.run_until_cancelled(self.outcomes.send(outcome)).await;
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
                changed = self.desired.changed(), if !schedule.closed => match changed {
                    Ok(()) => schedule.asked = true,
                    // The last state stays wanted.
                    Err(_) => schedule.closed = true,
                },
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
    /// A new state or a trigger waits for a round.
    asked: bool,
    /// No new state will come.
    closed: bool,
    /// Resync, or something that waits alone.
    next: Option<Instant>,
    endpoint: EndpointBackoff,
}

impl Schedule {
    fn due(&self, now: Instant) -> Option<Instant> {
        let asked = self.asked.then(|| self.endpoint.earliest(now));
        let by_itself = self.endpoint.retry_at().or(self.next);
        [asked, by_itself].into_iter().flatten().min()
    }

    fn ended(&mut self, ended: &Ended, waiting: Option<Instant>, resync: Duration) {
        let now = Instant::now();
        self.asked = false;
        match ended {
            Ended::Failed(error) => self.endpoint.failed(now, error.wait(), rand::random()),
            Ended::Done | Ended::Cancelled => self.endpoint.succeeded(),
        }
        let resync = now + resync.mul_f64(0.9 + 0.2 * rand::random::<f64>());
        self.next = Some(waiting.map_or(resync, |waiting| waiting.min(resync)));
    }
}
