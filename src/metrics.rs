//! Prometheus metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::diagnostic::Diagnostic;
use crate::sync::{ApiOutcome, Outcome};

/// All metrics of the controller.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    translation: Histogram,
    ingresses: IntGauge,
    diagnostics: IntGaugeVec,
    apis: IntGaugeVec,
    rounds: IntCounterVec,
    calls: IntCounterVec,
    drift: IntCounter,
    last_success: Gauge,
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// When two metrics have one name.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let metrics = Self {
            translation: Histogram::with_opts(
                HistogramOpts::new("tyk_ingress_translation_seconds", "Time to render one snapshot.")
                    .buckets(prometheus::exponential_buckets(0.0005, 4.0, 8)?),
            )?,
            ingresses: IntGauge::new("tyk_ingress_ingresses", "Ingresses of our classes.")?,
            diagnostics: gauges("tyk_ingress_diagnostics", "Present diagnostics.", &["code", "severity"])?,
            apis: gauges(
                "tyk_ingress_apis",
                "APIs by what the last round saw of them.",
                &["state"],
            )?,
            rounds: counters(
                "tyk_ingress_sync_rounds_total",
                "Rounds against the gateway.",
                &["result"],
            )?,
            calls: counters(
                "tyk_ingress_gateway_calls_total",
                "Calls of the gateway's control API.",
                &["call"],
            )?,
            drift: IntCounter::new(
                "tyk_ingress_drift_repaired_total",
                "Changes made behind our back and repaired.",
            )?,
            last_success: Gauge::new(
                "tyk_ingress_last_successful_sync_timestamp_seconds",
                "When a round last ended without an error of the gateway, in Unix time.",
            )?,
            registry,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> prometheus::Result<()> {
        let build = gauges("tyk_ingress_build_info", "Version of this program.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let registry = &self.registry;
        registry.register(Box::new(build))?;
        registry.register(Box::new(self.translation.clone()))?;
        registry.register(Box::new(self.ingresses.clone()))?;
        registry.register(Box::new(self.diagnostics.clone()))?;
        registry.register(Box::new(self.apis.clone()))?;
        registry.register(Box::new(self.rounds.clone()))?;
        registry.register(Box::new(self.calls.clone()))?;
        registry.register(Box::new(self.drift.clone()))?;
        registry.register(Box::new(self.last_success.clone()))
    }

    /// One translation.
    pub fn translated(&self, took: Duration, ingresses: usize, diagnostics: &[Diagnostic]) {
        self.translation.observe(took.as_secs_f64());
        self.ingresses.set(count(ingresses));
        let mut by_code: BTreeMap<_, usize> = BTreeMap::new();
        for diagnostic in diagnostics {
            *by_code.entry(diagnostic.code).or_default() += 1;
        }
        self.diagnostics.reset();
        for (code, number) in by_code {
            self.diagnostics
                .with_label_values(&[code.as_str(), code.severity().as_str()])
                .set(count(number));
        }
    }

    /// One round against a gateway that ended at `now` (Unix time in seconds).
    pub fn synced(&self, outcome: &Outcome, now: f64) {
        let result = if outcome.endpoint_error.is_some() {
            "error"
        } else {
            "ok"
        };
        self.rounds.with_label_values(&[result]).inc();
        if outcome.endpoint_error.is_none() {
            self.last_success.set(now);
        }
        let calls = outcome.calls;
        for (call, number) in [
            ("list", calls.lists),
            ("write", calls.writes),
            ("delete", calls.deletes),
            ("reload", calls.reloads),
        ] {
            self.calls.with_label_values(&[call]).inc_by(number);
        }
        self.drift.inc_by(outcome.drift_repaired);
        let states = [("synced", is_synced as fn(&ApiOutcome) -> bool), ("failed", is_failed)];
        for (state, is) in states {
            self.apis
                .with_label_values(&[state])
                .set(count(outcome.apis.values().filter(|api| is(api)).count()));
        }
    }

    /// The text format.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn text(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    IntGaugeVec::new(Opts::new(name, help), labels)
}

fn counters(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(Opts::new(name, help), labels)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn is_synced(outcome: &ApiOutcome) -> bool {
    matches!(outcome, ApiOutcome::Synced)
}

fn is_failed(outcome: &ApiOutcome) -> bool {
    matches!(outcome, ApiOutcome::Failed(_))
}
