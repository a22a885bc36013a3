//! Which of several processes works: a Lease, taken and kept by compare-and-swap.
//!
//! Times of other machines count nothing. A holder is taken for gone when its Lease has stood unchanged for its whole
//! duration on this process's clock, and a holder's own right ends a share of the duration after it *asked* for its
//! last renewal. So writes have stopped before another process can begin.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{sleep, timeout_at};

use super::{Told, message, status_code};
use crate::permit::Permit;
use crate::snapshot::NamespacedName;

/// The Lease and its times.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The Lease.
    pub name: NamespacedName,
    /// Name of this process, which no other process ever has.
    pub identity: String,
    /// How long the Lease must stand unchanged until others may take it.
    pub duration: Duration,
    /// How long a holder goes on without a renewal; shorter than `duration`.
    pub renew_deadline: Duration,
    /// Time between two looks, or between two renewals.
    pub retry: Duration,
}

/// A candidate, and after [`Elector::acquire`] the holder.
pub struct Elector {
    api: Api<Lease>,
    terms: Terms,
    permit: Permit,
    view: View,
    logged: Told,
}

impl Elector {
    /// A candidate that asks nothing yet. `permit` is valid while the Lease is held; `client` must work without it.
    pub fn new(client: Client, terms: Terms, permit: Permit) -> Self {
        Self {
            api: Api::namespaced(client, &terms.name.namespace),
            view: View::new(&terms),
            terms,
            permit,
            logged: Told::default(),
        }
    }

    /// Waits until the Lease is held.
    pub async fn acquire(&mut self) {
        loop {
            let asked = Instant::now();
            let end = asked + self.terms.renew_deadline;
            match timeout_at(end.into(), self.attempt()).await {
                Ok(Ok(true)) => return self.permit.extend(end),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => self.log(&error),
                Err(_) => self.log("no answer in time"),
            }
            sleep(self.terms.retry).await;
        }
    }

    /// Renews the Lease for as long as that works, and returns why it does not any more.
    pub async fn keep(&mut self) -> String {
        let mut end = Instant::now() + self.terms.renew_deadline;
        let reason = loop {
            sleep(self.terms.retry.min(end.saturating_duration_since(Instant::now()))).await;
            let asked = Instant::now();
            match timeout_at(end.into(), self.attempt()).await {
                Err(_) => break "it could not be renewed in time".to_owned(),
                Ok(Ok(true)) => {
                    end = asked + self.terms.renew_deadline;
                    self.permit.extend(end);
                }
                Ok(Ok(false)) => break format!("{} holds it", self.view.holder()),
                Ok(Err(error)) if asked >= end => break format!("it could not be renewed: {error}"),
                Ok(Err(error)) => self.log(&error),
            }
        };
        self.permit.revoke();
        format!("the Lease {} is lost: {reason}", self.terms.name)
    }

    /// Gives the Lease up, so that another process need not wait. To be called when nothing is being written.
    pub async fn release(&mut self) {
        self.permit.revoke();
        let Some(lease) = self.view.released(Timestamp::now()) else {
            return;
        };
        match self.write(Step::Replace(lease)).await {
            Ok(_) => tracing::info!(lease = %self.terms.name, "gave up the lease"),
            Err(error) => {
                tracing::warn!(lease = %self.terms.name, error = message(&error), "the lease is not given up")
            }
        }
    }

    /// One look and, when it is due, one write; whether the Lease is held after it.
    async fn attempt(&mut self) -> Result<bool, String> {
        // What was written last is known, so that a renewal is one call.
        let known = self.view.mine.clone();
        let found = match known {
            Some(mine) => Some(mine),
            None => self.api.get_opt(&self.terms.name.name).await.map_err(|e| message(&e))?,
        };
        let step = self.view.step(found, Instant::now(), Timestamp::now());
        if matches!(step, Step::Wait) {
            return Ok(false);
        }
        // Until the answer is here, nothing is known.
        self.view.mine = None;
        match self.write(step).await {
            Ok(lease) => {
                self.view.mine = Some(lease);
                Ok(true)
            }
            // Another process was faster, or somebody deleted or edited the Lease: the next look tells.
            Err(error) if matches!(status_code(&error), Some(404 | 409)) => self.look_again().await,
            Err(error) => Err(message(&error)),
        }
    }

    /// After a refused write: whether it is another process that holds the Lease decides.
    async fn look_again(&mut self) -> Result<bool, String> {
        let found = self.api.get_opt(&self.terms.name.name).await.map_err(|e| message(&e))?;
        match self.view.step(found, Instant::now(), Timestamp::now()) {
            Step::Wait => Ok(false),
            _ => Err("the Lease was changed meanwhile".to_owned()),
        }
    }

    async fn write(&self, step: Step) -> kube::Result<Lease> {
        match step {
            Step::Create(lease) => self.api.create(&PostParams::default(), &lease).await,
            // With the resourceVersion that was read: the API server refuses it when that is not the latest.
            Step::Replace(lease) => {
                let name = &self.terms.name.name;
                self.api.replace(name, &PostParams::default(), &lease).await
            }
            Step::Wait => Ok(Lease::default()),
        }
    }

    fn log(&mut self, error: &str) {
        if self.logged.is_due() {
            tracing::warn!(lease = %self.terms.name, error, "the lease cannot be read or written; retrying");
        }
    }
}

/// What one candidate knows of the Lease. Without a clock: the caller says what time it is.
#[derive(Debug)]
struct View {
    name: NamespacedName,
    identity: String,
    duration: Duration,
    /// What was seen last, and since when it has stood so.
    seen: Option<(LeaseSpec, Instant)>,
    /// The Lease as this process wrote it last.
    mine: Option<Lease>,
}

/// What a candidate does next.
#[derive(Debug, PartialEq)]
enum Step {
    Create(Lease),
    Replace(Lease),
    /// Another process holds the Lease.
    Wait,
}

impl View {
    fn new(terms: &Terms) -> Self {
        Self {
            name: terms.name.clone(),
            identity: terms.identity.clone(),
            duration: terms.duration,
            seen: None,
            mine: None,
        }
    }

    /// Who holds the Lease, as far as was seen.
    fn holder(&self) -> &str {
        let holder = self.seen.as_ref().and_then(|(spec, _)| spec.holder_identity.as_deref());
        holder.unwrap_or("nobody")
    }

    fn step(&mut self, found: Option<Lease>, now: Instant, time: Timestamp) -> Step {
        let Some(mut lease) = found else {
            self.seen = None;
            return Step::Create(Lease {
                metadata: ObjectMeta {
                    namespace: Some(self.name.namespace.to_string()),
                    name: Some(self.name.name.to_string()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.taken(None, time)),
            });
        };
        let spec = lease.spec.take().unwrap_or_default();
        let since = match &self.seen {
            Some((before, since)) if *before == spec => *since,
            _ => now,
        };
        self.seen = Some((spec.clone(), since));
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder == self.identity {
            lease.spec = Some(LeaseSpec {
                renew_time: Some(MicroTime(time)),
                lease_duration_seconds: Some(seconds(self.duration)),
                ..spec
            });
            return Step::Replace(lease);
        }
        let theirs = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok());
        let duration = theirs.map_or(self.duration, Duration::from_secs);
        if !holder.is_empty() && now < since + duration {
            return Step::Wait;
        }
        lease.spec = Some(self.taken(Some(&spec), time));
        Step::Replace(lease)
    }

    fn taken(&self, before: Option<&LeaseSpec>, time: Timestamp) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(seconds(self.duration)),
            acquire_time: Some(MicroTime(time)),
            renew_time: Some(MicroTime(time)),
            lease_transitions: Some(before.map_or(0, |spec| spec.lease_transitions.unwrap_or(0).saturating_add(1))),
            ..before.cloned().unwrap_or_default()
        }
    }

    /// The Lease without a holder; `None` when it is not held.
    fn released(&mut self, time: Timestamp) -> Option<Lease> {
        let mut lease = self.mine.take()?;
        let spec = lease.spec.take().unwrap_or_default();
        lease.spec = Some(LeaseSpec {
            holder_identity: None,
            renew_time: Some(MicroTime(time)),
            ..spec
        });
        Some(lease)
    }
}

/// Kubernetes counts in whole seconds; a part of one counts as a whole.
fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis().div_ceil(1000))
        .unwrap_or(i32::MAX)
        .max(1)
}

#[cfg(test)]
mod tests;
