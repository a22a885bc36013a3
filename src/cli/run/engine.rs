//! Snapshot in, desired state out: the pure stages with their metrics, and the hand-over to the worker.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::sync::watch;

use super::Wanted;
use crate::desired::{self, Desired};
use crate::diagnostic::Diagnostic;
use crate::http::Health;
use crate::ingress::{self, Translation};
use crate::nginx;
use crate::snapshot::Snapshot;

/// All that was made of one snapshot.
pub struct Translated {
    /// Children of its Ingresses.
    pub translation: Translation,
    /// What the gateway should hold.
    pub desired: Arc<Desired>,
    /// Number under which the worker knows this desired state.
    pub revision: u64,
    /// Findings of both stages.
    pub diagnostics: Vec<Diagnostic>,
}

/// Runs the pure stages.
pub struct Engine {
    options: Arc<ingress::Options>,
    context: Arc<desired::Context>,
    wanted: watch::Sender<Wanted>,
    health: Arc<Health>,
}

impl Engine {
    /// An engine that hands its results to a worker.
    pub fn new(
        options: ingress::Options,
        context: desired::Context,
        wanted: watch::Sender<Wanted>,
        health: Arc<Health>,
    ) -> Self {
        Self {
            options: Arc::new(options),
            context: Arc::new(context),
            wanted,
            health,
        }
    }

    /// Where health is reported.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Translates a snapshot. The worker gets a new state only when it differs from the one before.
    ///
    /// # Errors
    /// When the translation panicked, which ends the process.
    pub async fn translate(&self, snapshot: Arc<Snapshot>) -> anyhow::Result<Translated> {
        let (options, context, input) = (self.options.clone(), self.context.clone(), snapshot.clone());
        let pure = move || {
            let start = Instant::now();
            let (prepared, not_kept) = nginx::prepared(&input, &options);
            let translation = ingress::render(&prepared, &options);
            let (desired, found) = desired::build(&prepared, &translation, &context.at(Timestamp::now()));
            let mut diagnostics = translation.diagnostics.clone();
            diagnostics.extend(not_kept);
            diagnostics.extend(found);
            diagnostics.sort();
            (translation, desired, diagnostics, start.elapsed())
        };
        let (translation, desired, diagnostics, took) = tokio::task::spawn_blocking(pure)
            .await
            .context("the translation failed")?;
        self.health
            .metrics
            .translated(took, translation.ingresses.len(), &diagnostics);
        let (revision, desired) = self.hand_over(desired);
        Ok(Translated {
            translation,
            desired,
            revision,
            diagnostics,
        })
    }

    fn hand_over(&self, desired: Desired) -> (u64, Arc<Desired>) {
        let before = self.wanted.borrow().clone();
        match before {
            Some((revision, before)) if *before == desired => (revision, before),
            before => {
                let revision = before.map_or(1, |(revision, _)| revision + 1);
                let desired = Arc::new(desired);
                self.wanted.send_replace(Some((revision, desired.clone())));
                (revision, desired)
            }
        }
    }
}

/// Seconds since the start of 1970.
pub fn unix_now() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}
