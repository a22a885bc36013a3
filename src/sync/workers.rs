//! One worker for each Tyk, so that one that hangs delays no other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{ApiOutcome, Outcome, Tyk, Worker};
use crate::desired::{Desired, Fleet, Installation};
use crate::tyk::dashboard::Dashboard;
use crate::tyk::gateway::Gateway;
use crate::tyk::{Endpoint, Error};

/// The workers of a fleet.
pub struct Workers {
    owner: String,
    resync: Duration,
    outcomes: mpsc::Sender<Outcome>,
    cancel: CancellationToken,
    running: BTreeMap<Arc<Installation>, Running>,
    /// Workers whose Tyk left the fleet and that may still be at a round.
    ending: Vec<(String, JoinHandle<()>)>,
}

struct Running {
    wanted: watch::Sender<Option<(u64, Arc<Desired>)>>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Workers {
    /// No worker yet. All of them write `owner` into their marks, look for drift every `resync`, send what they did to
    /// `outcomes` and end with `cancel`.
    pub fn new(owner: String, resync: Duration, outcomes: mpsc::Sender<Outcome>, cancel: CancellationToken) -> Self {
        Self {
            owner,
            resync,
            outcomes,
            cancel,
            running: BTreeMap::new(),
            ending: Vec::new(),
        }
    }

    /// Gives every Tyk of the fleet what it should hold, under this number when that is news to it. Workers begin and end
    /// with their Tyk. Nothing is taken off a Tyk that leaves the fleet: its settings may mean the same one under another
    /// URL or credential. Gives back the Tyks to which it is news.
    pub fn hand_over(&mut self, revision: u64, fleet: &Fleet) -> Vec<Arc<Installation>> {
        let gone: Vec<_> = self
            .running
            .keys()
            .filter(|tyk| !fleet.tyks.contains_key(*tyk))
            .cloned()
            .collect();
        for tyk in gone {
            if let Some(running) = self.running.remove(&tyk) {
                tracing::info!(%tyk, "no context means this Tyk any more; it is left as it is");
                running.cancel.cancel();
                self.ending.push((tyk.url.clone(), running.task));
            }
        }
        self.ending.retain(|(_, task)| !task.is_finished());
        let mut news = Vec::new();
        for (tyk, desired) in &fleet.tyks {
            let running = match self.running.get(tyk) {
                Some(running) => running,
                None => {
                    let running = self.start(tyk.clone());
                    self.running.entry(tyk.clone()).or_insert(running)
                }
            };
            let is_news = running.wanted.send_if_modified(|wanted| match wanted {
                Some((_, before)) if before == desired => false,
                _ => {
                    *wanted = Some((revision, desired.clone()));
                    true
                }
            });
            if is_news {
                news.push(tyk.clone());
            }
        }
        news
    }

    fn start(&mut self, tyk: Arc<Installation>) -> Running {
        let (wanted, desired) = watch::channel(None);
        let cancel = self.cancel.child_token();
        let before: Vec<_>;
        (before, self.ending) = std::mem::take(&mut self.ending)
            .into_iter()
            .partition(|(url, _)| *url == tyk.url);
        let outcomes = self.outcomes.clone();
        let task = match client(&tyk) {
            Ok(client) => {
                let worker = Worker::new(client, self.owner.clone(), self.resync, desired, outcomes).of(tyk);
                let cancel = cancel.clone();
                tokio::spawn(async move {
                    // Two that write to one gateway at the same time lose APIs.
                    let before: JoinSet<_> = before.into_iter().map(|(_, task)| task).collect();
                    before.join_all().await;
                    let _ = worker.spawn(cancel).await;
                })
            }
            Err(error) => tokio::spawn(unusable(tyk, error.to_string(), desired, outcomes, cancel.clone())),
        };
        Running { wanted, cancel, task }
    }

    /// Waits until every worker has ended.
    pub async fn ended(self) {
        let tasks = self.running.into_values().map(|running| running.task);
        let all: JoinSet<_> = tasks.chain(self.ending.into_iter().map(|(_, task)| task)).collect();
        all.join_all().await;
    }
}

fn client(tyk: &Installation) -> Result<Tyk, Error> {
    let endpoint = endpoint(tyk);
    match tyk.is_dashboard() {
        true => Dashboard::new(endpoint).map(Tyk::from),
        false => Gateway::new(endpoint).map(Tyk::from),
    }
}

/// Where a Tyk answers.
pub fn endpoint(tyk: &Installation) -> Endpoint {
    let mut endpoint = Endpoint::new(&tyk.url, tyk.auth.expose());
    endpoint.insecure_skip_verify = tyk.insecure_skip_verify;
    endpoint.ca_bundle = tyk.ca_bundle.clone();
    endpoint
}

/// Answers for a Tyk that cannot be spoken to at all with these settings.
async fn unusable(
    tyk: Arc<Installation>,
    error: String,
    mut desired: watch::Receiver<Option<(u64, Arc<Desired>)>>,
    outcomes: mpsc::Sender<Outcome>,
    cancel: CancellationToken,
) {
    while let Some(Ok(())) = cancel.run_until_cancelled(desired.changed()).await {
        let Some((revision, desired)) = desired.borrow_and_update().clone() else {
            continue;
        };
        let failed = || ApiOutcome::Failed(error.clone());
        let ids = desired.wanted().map(|(id, _)| id).chain(&desired.removals);
        let portal = desired.portal.keys().chain(desired.portal_removals.keys());
        let policies = desired.policies.keys().chain(&desired.policy_removals);
        let outcome = Outcome {
            tyk: tyk.clone(),
            revision,
            apis: ids.map(|id| (id.clone(), failed())).collect(),
            portal: portal.map(|name| (name.clone(), failed())).collect(),
            policies: policies.map(|id| (id.clone(), failed())).collect(),
            endpoint_error: Some(error.clone()),
            desired: desired.clone(),
            ..Outcome::default()
        };
        let _ = cancel.run_until_cancelled(outcomes.send(outcome)).await;
    }
}
