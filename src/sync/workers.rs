//! The Tyks of a fleet, so that one that hangs delays no other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::fleet::{Finder, Fleet};
use super::{Outcome, Tyk, resolve};
use crate::desired::{self, Desired, Installation};
use crate::permit::Permit;
use crate::tyk::dashboard::Dashboard;
use crate::tyk::gateway::Gateway;
use crate::tyk::{Endpoint, Error};

/// The workers of a fleet.
pub struct Workers {
    owner: String,
    resync: Duration,
    outcomes: mpsc::Sender<Outcome>,
    permit: Permit,
    find: Option<Finder>,
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
    /// No worker yet; each gateway of each Tyk gets one. All of them write `owner` into their marks, look for drift every `resync`, send what they did to
    /// `outcomes`, one for all gateways of a Tyk, change nothing without `permit`, and end with `cancel`.
    pub fn new(
        owner: String,
        resync: Duration,
        outcomes: mpsc::Sender<Outcome>,
        permit: Permit,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            permit,
            find: None,
            owner,
            resync,
            outcomes,
            cancel,
            running: BTreeMap::new(),
            ending: Vec::new(),
        }
    }

    /// The same, which can follow the Services that Tyks name. Without it the host of the URL is looked up.
    pub fn finding(self, find: Finder) -> Self {
        let find = Some(find);
        Self { find, ..self }
    }

    /// Gives every Tyk of the fleet what it should hold, under this number when that is news to it. Workers begin and end
    /// with their Tyk. Nothing is taken off a Tyk that leaves the fleet: its settings may mean the same one under another
    /// URL or credential. Gives back the Tyks to which it is news.
    pub fn hand_over(&mut self, revision: u64, fleet: &desired::Fleet) -> Vec<Arc<Installation>> {
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
        let fleet = Fleet {
            owner: self.owner.clone(),
            resync: self.resync,
            permit: self.permit.clone(),
            wanted: desired,
            outcomes: self.outcomes.clone(),
            tyk: tyk.clone(),
        };
        let (token, find) = (cancel.clone(), self.find.clone());
        let task = tokio::spawn(async move {
            // Two that write to one gateway at the same time lose APIs.
            let before: JoinSet<_> = before.into_iter().map(|(_, task)| task).collect();
            before.join_all().await;
            let found = match (&tyk.service, find) {
                (Some(service), Some(find)) if !tyk.is_dashboard() => find(service, token.clone()),
                _ if !tyk.is_dashboard() => resolve::follow(&tyk.url, token.clone()),
                // The Dashboard spreads what it is told by itself.
                _ => watch::channel(Some(BTreeMap::from([(None, true)]))).1,
            };
            fleet.run(found, token).await;
        });
        Running { wanted, cancel, task }
    }

    /// Waits until every worker has ended.
    pub async fn ended(self) {
        let tasks = self.running.into_values().map(|running| running.task);
        let all: JoinSet<_> = tasks.chain(self.ending.into_iter().map(|(_, task)| task)).collect();
        all.join_all().await;
    }
}

/// The client that a Tyk is spoken to by.
///
/// # Errors
/// When its URL or its certificates cannot be used.
pub fn client(tyk: &Installation, endpoint: Endpoint) -> Result<Tyk, Error> {
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
