//! Snapshot in, desired state out: the pure stages with their metrics, and the hand-over to the worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;

use crate::desired::{Fleet, Installation, Operator};
use crate::diagnostic::Diagnostic;
use crate::http::Health;
use crate::ingress::{self, Translation};
use crate::snapshot::Snapshot;
use crate::stages;
use crate::sync::Workers;

/// All that was made of one snapshot.
pub struct Translated {
    /// Children of its Ingresses.
    pub translation: Arc<Translation>,
    /// What every Tyk should hold.
    pub fleet: Arc<Fleet>,
    /// Findings of both stages.
    pub diagnostics: Arc<Vec<Diagnostic>>,
}

/// Runs the pure stages.
pub struct Engine {
    options: Arc<ingress::Options>,
    operator: Operator,
    workers: Workers,
    revision: u64,
    health: Arc<Health>,
    memo: stages::Memo,
}

impl Engine {
    /// An engine that hands its results to these workers.
    pub fn new(options: ingress::Options, operator: Operator, workers: Workers, health: Arc<Health>) -> Self {
        Self {
            options: Arc::new(options),
            operator,
            workers,
            revision: 0,
            health,
            memo: stages::Memo::default(),
        }
    }

    /// The operator's own Tyk.
    pub fn own(&self) -> &Arc<Installation> {
        &self.operator.own.tyk
    }

    /// How Ingresses are rendered, and what holds for resources that name no context.
    pub fn settings(&self) -> (&ingress::Options, &Operator) {
        (&self.options, &self.operator)
    }

    /// Where health is reported.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Translates a snapshot.
    ///
    /// # Errors
    /// When the translation panicked, which ends the process.
    pub async fn translate(&mut self, snapshot: Arc<Snapshot>) -> anyhow::Result<Translated> {
        let (options, input) = (self.options.clone(), snapshot.clone());
        let mut operator = self.operator.clone();
        operator.own = operator.own.at(Timestamp::now());
        let mut memo = std::mem::take(&mut self.memo);
        let pure = move || {
            let start = Instant::now();
            let mut rendered = Duration::ZERO;
            let tell = || rendered = start.elapsed();
            let mut made = stages::run_again(&input, &options, &operator, (&mut memo, tell));
            made.diagnostics.sort();
            (made, memo, rendered, start.elapsed())
        };
        let (made, memo, rendered, all) = tokio::task::spawn_blocking(pure)
            .await
            .context("the translation failed")?;
        self.memo = memo;
        self.health.metrics.translation(rendered, all);
        self.remember(&snapshot, &made.fleet);
        Ok(Translated {
            translation: Arc::new(made.translation),
            fleet: Arc::new(made.fleet),
            diagnostics: Arc::new(made.diagnostics),
        })
    }

    /// Tells the metrics and the pages what was made of a snapshot, for which no gateway has to wait.
    pub fn tell(&self, snapshot: Arc<Snapshot>, translated: &Translated) {
        let made = (translated.translation.clone(), translated.fleet.clone());
        self.health.translated(snapshot, made, translated.diagnostics.clone());
    }

    /// Tells the workers what every Tyk should hold, because of changes of which the oldest came at `since`. One gets a
    /// new state only when it differs from the one before. Gives back the number of the state, and the Tyks to which it is news.
    pub fn hand_over(&mut self, translated: &Translated, since: Instant) -> (u64, Vec<Arc<Installation>>) {
        self.revision += 1;
        let news = self.workers.hand_over(self.revision, &translated.fleet);
        self.health.handed_over(self.revision, &news, since);
        (self.revision, news)
    }

    /// Keeps what the contexts are, for as long as they exist.
    fn remember(&mut self, snapshot: &Snapshot, fleet: &Fleet) {
        let mut last = BTreeMap::clone(&self.operator.last);
        last.retain(|name, _| snapshot.operator_contexts.contains_key(name));
        last.extend(
            fleet
                .contexts
                .iter()
                .map(|(name, context)| (name.clone(), context.clone())),
        );
        self.operator.last = Arc::new(last);
    }

    /// Waits until every worker has ended.
    pub async fn ended(self) {
        self.workers.ended().await;
    }
}
