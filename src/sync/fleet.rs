//! The gateways of one Tyk: one worker for each, and one outcome for all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::workers::{client, endpoint};
use super::{ApiOutcome, Calls, Drift, Outcome, Tyk, Worker, merge};
use crate::desired::{Desired, GatewayService, Installation};
use crate::permit::Permit;
use crate::tyk::Error;

/// The gateways of a Tyk by where they are reached (`None`: wherever its URL leads), each with whether users' requests
/// go to it. `None` while that is not known.
pub type Found = Option<BTreeMap<Option<SocketAddr>, bool>>;

/// Follows the endpoints of a Service.
pub type Finder = Arc<dyn Fn(&GatewayService, CancellationToken) -> watch::Receiver<Found> + Send + Sync>;

/// How long a gateway that has just been found may take until it is in step. Meanwhile nothing new is reported: neither
/// that all gateways have an object, nor that one has not. After that it counts as it is.
const JOIN_LIMIT: Duration = Duration::from_secs(15);

/// The workers of one Tyk.
pub(super) struct Fleet {
    /// The Tyk.
    pub(super) tyk: Arc<Installation>,
    /// Value of the owner mark.
    pub(super) owner: String,
    /// Time between two looks for drift.
    pub(super) resync: Duration,
    /// Without it nothing is changed.
    pub(super) permit: Permit,
    /// What is wanted.
    pub(super) wanted: watch::Receiver<Option<(u64, Arc<Desired>)>>,
    /// Where the merged outcomes go.
    pub(super) outcomes: mpsc::Sender<Outcome>,
}

/// One gateway.
struct Member {
    serves: bool,
    since: Instant,
    /// Whether it was in step once.
    joined: bool,
    latest: Option<Outcome>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Member {
    /// Until when its first answers are waited for.
    fn joins_until(&self) -> Option<Instant> {
        (!self.joined).then(|| self.since + JOIN_LIMIT)
    }
}

/// Gateways that are there, and those that left and whose worker may still be at a round.
struct Members {
    /// By host and port.
    present: BTreeMap<String, Member>,
    ending: Vec<JoinHandle<()>>,
    /// Since when none is there, or since that was last told.
    empty_since: Instant,
}

impl Members {
    fn new() -> Self {
        Self {
            present: BTreeMap::new(),
            ending: Vec::new(),
            empty_since: Instant::now(),
        }
    }

    /// Keeps those with these names; whether one left.
    fn retain(&mut self, stays: impl Fn(&str) -> bool) -> bool {
        let names: Vec<_> = self.present.keys().filter(|name| !stays(name)).cloned().collect();
        for name in &names {
            if let Some(member) = self.present.remove(name) {
                tracing::info!(gateway = name, "a gateway is gone");
                member.cancel.cancel();
                self.ending.push(member.task);
            }
        }
        if self.present.is_empty() && !names.is_empty() {
            self.empty_since = Instant::now();
        }
        !names.is_empty()
    }

    /// Takes in an outcome; whether it is about one that is there.
    fn take(&mut self, outcome: Outcome) -> bool {
        let Some(member) = self.present.get_mut(&outcome.gateway) else {
            return false;
        };
        member.joined |= outcome.endpoint_error.is_none();
        member.latest = Some(outcome);
        true
    }

    /// Those that users' requests go to; all when they go to none.
    fn serving(&self) -> impl Iterator<Item = &Member> {
        let none = !self.present.values().any(|member| member.serves);
        self.present.values().filter(move |member| member.serves || none)
    }

    /// Until when nothing is told, because a gateway has just been found.
    fn held_until(&self) -> Option<Instant> {
        let now = Instant::now();
        let limit = match self.present.len() {
            0 => Some(self.empty_since + JOIN_LIMIT),
            // There is no other one that it could differ from.
            1 => None,
            _ => self.serving().filter_map(Member::joins_until).max(),
        };
        limit.filter(|limit| *limit > now)
    }

    fn merged(&self) -> Option<Outcome> {
        let latest: Vec<_> = self.serving().filter_map(|member| member.latest.as_ref()).collect();
        merge::merge(&latest)
    }

    async fn end(self) {
        let tasks = self.present.into_values().map(|member| member.task);
        tasks.chain(self.ending).collect::<JoinSet<_>>().join_all().await;
    }
}

impl Fleet {
    /// Follows `found` until `cancel`, and ends when every worker has ended.
    pub(super) async fn run(self, mut found: watch::Receiver<Found>, cancel: CancellationToken) {
        if let Err(error) = self.gateway(None) {
            // With these settings there is no way to speak to any gateway.
            return self.refuse(&error.to_string(), cancel).await;
        }
        let (sender, mut ended) = mpsc::channel(16);
        let mut members = Members::new();
        let mut counted = (Drift::default(), Calls::default());
        found.mark_changed();
        while !cancel.is_cancelled() {
            let until = members.held_until();
            let news = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Ok(()) = found.changed() => {
                    let now = found.borrow_and_update().clone();
                    now.is_some_and(|now| self.follow(&mut members, &now, &sender, &cancel))
                }
                Some(mut outcome) = ended.recv() => {
                    counted.0.add(std::mem::take(&mut outcome.drift));
                    counted.1.add(outcome.calls);
                    members.take(outcome)
                }
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => true,
            };
            if !news || members.held_until().is_some_and(|until| until > Instant::now()) {
                continue;
            }
            let outcome = match members.present.is_empty() {
                true => {
                    members.empty_since = Instant::now();
                    self.failed("no gateway is known: the Service of gateways has no endpoints with this port (TYK_GATEWAY_SERVICE)")
                }
                false => members.merged(),
            };
            if let Some(mut outcome) = outcome {
                (outcome.drift, outcome.calls) = std::mem::take(&mut counted);
                // Nobody reads them any more: the gateways are kept in step all the same.
                let _ = cancel.run_until_cancelled(self.outcomes.send(outcome)).await;
            }
        }
        members.end().await;
    }

    /// Begins and ends workers; whether there is something new to tell.
    fn follow(
        &self,
        members: &mut Members,
        now: &BTreeMap<Option<SocketAddr>, bool>,
        outcomes: &mpsc::Sender<Outcome>,
        cancel: &CancellationToken,
    ) -> bool {
        let mut gateways = BTreeMap::new();
        for (address, serves) in now {
            match self.gateway(*address) {
                Ok(gateway) => drop(gateways.insert(gateway.authority(), (gateway, *serves))),
                Err(error) => {
                    tracing::error!(tyk = %self.tyk, %error, "a gateway cannot be spoken to");
                }
            }
        }
        let mut news = members.retain(|name| gateways.contains_key(name));
        let several = gateways.len() > 1 || !members.present.is_empty();
        for (name, (gateway, serves)) in gateways {
            if let Some(member) = members.present.get_mut(&name) {
                news |= member.serves != serves;
                member.serves = serves;
                continue;
            }
            if several {
                tracing::info!(tyk = %self.tyk, gateway = name, "found a gateway");
            }
            let cancel = cancel.child_token();
            // It can be one of those that left, under another name.
            let before = std::mem::take(&mut members.ending);
            let worker = Worker::new(
                gateway,
                self.owner.clone(),
                self.resync,
                self.wanted.clone(),
                outcomes.clone(),
            );
            let (worker, token) = (worker.of(self.tyk.clone()), cancel.clone());
            let task = tokio::spawn(async move {
                // Two that write to one gateway at the same time lose APIs.
                before.into_iter().collect::<JoinSet<_>>().join_all().await;
                let _ = worker.spawn(token).await;
            });
            let member = Member {
                serves,
                since: Instant::now(),
                joined: false,
                latest: None,
                cancel,
                task,
            };
            members.present.insert(name, member);
        }
        news
    }

    /// Answers every wanted state with the same error until `cancel`.
    async fn refuse(mut self, error: &str, cancel: CancellationToken) {
        self.wanted.mark_changed();
        while let Some(Ok(())) = cancel.run_until_cancelled(self.wanted.changed()).await {
            self.wanted.mark_unchanged();
            if let Some(outcome) = self.failed(error) {
                let _ = cancel.run_until_cancelled(self.outcomes.send(outcome)).await;
            }
        }
    }

    /// What is wanted, all of it failed.
    fn failed(&self, error: &str) -> Option<Outcome> {
        let (revision, desired) = self.wanted.borrow().clone()?;
        let failed = |id: Arc<str>| (id, ApiOutcome::Failed(error.to_owned()));
        let of = |id: &String| failed(id.as_str().into());
        let wanted = desired.wanted().map(|(id, _)| failed(id.clone()));
        let portal = desired.portal.keys().chain(desired.portal_removals.keys());
        let policies = desired.policies.keys().chain(&desired.policy_removals);
        Some(Outcome {
            tyk: self.tyk.clone(),
            revision,
            apis: Arc::new(wanted.chain(desired.removals.iter().map(of)).collect()),
            portal: portal.map(of).collect(),
            policies: policies.map(of).collect(),
            certificates: desired.certificates.keys().map(of).collect(),
            endpoint_error: Some(error.to_owned()),
            desired: desired.clone(),
            ..Outcome::default()
        })
    }

    fn gateway(&self, address: Option<SocketAddr>) -> Result<Tyk, Error> {
        let mut endpoint = endpoint(&self.tyk);
        endpoint.address = address;
        endpoint.permit = self.permit.clone();
        client(&self.tyk, endpoint)
    }
}
