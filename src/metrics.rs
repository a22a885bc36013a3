//! Prometheus metrics.

mod latency;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, exponential_buckets,
};

use crate::desired::{Desired, Fleet, Installation};
use crate::diagnostic::Diagnostic;
use crate::sync::{ApiOutcome, Outcome};
use latency::Latency;

/// All metrics of the controller.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// What is set as a whole is never read in the middle of it.
    whole: Mutex<Whole>,
    translation: Histogram,
    stages: HistogramVec,
    latency: HistogramVec,
    leader: IntGauge,
    ingresses: IntGauge,
    diagnostics: IntGaugeVec,
    objects: IntGaugeVec,
    up: IntGaugeVec,
    last_success: GaugeVec,
    expiry: GaugeVec,
    rounds: IntCounterVec,
    calls: IntCounterVec,
    drift: IntCounterVec,
    reviews: HistogramVec,
}

#[derive(Debug, Default)]
struct Whole {
    /// Objects by state at each Tyk, after its last round.
    tyks: BTreeMap<Arc<Installation>, Seen>,
    latency: Latency,
}

/// What a round leaves to show until the next one.
#[derive(Debug, Default)]
struct Seen {
    up: bool,
    last_success: Option<f64>,
    objects: BTreeMap<(&'static str, &'static str), usize>,
}

/// A step of a change on its way to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Ingresses to children.
    Ingress,
    /// Resources to what Tyk is sent.
    Desired,
    /// Children and finalizers are written to the cluster.
    Children,
    /// A round against a Tyk.
    Round,
    /// Statuses and Events are written to the cluster.
    Report,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Stage::Ingress => "ingress",
            Stage::Desired => "desired",
            Stage::Children => "children",
            Stage::Round => "round",
            Stage::Report => "report",
        }
    }
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// When two metrics have one name.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let build = gauges(
            &registry,
            "tyk_ingress_build_info",
            "Version of this program.",
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self {
            whole: Mutex::default(),
            translation: register(
                &registry,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "tyk_ingress_translation_seconds",
                        "Time to render one snapshot, in seconds.",
                    )
                    .buckets(exponential_buckets(0.0005, 4.0, 8)?),
                ),
            )?,
            stages: histograms(
                &registry,
                (
                    "tyk_ingress_stage_seconds",
                    "Time of each stage of a change, in seconds.",
                ),
                "stage",
                exponential_buckets(0.0005, 4.0, 9)?,
            )?,
            latency: histograms(
                &registry,
                (
                    "tyk_ingress_sync_latency_seconds",
                    "Time from a change to its confirmation by the gateway, in seconds.",
                ),
                "tyk",
                vec![0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0],
            )?,
            leader: register(
                &registry,
                IntGauge::new("tyk_ingress_leader", "Whether this process writes."),
            )?,
            ingresses: register(
                &registry,
                IntGauge::new("tyk_ingress_ingresses", "Ingresses of our classes."),
            )?,
            diagnostics: gauges(
                &registry,
                "tyk_ingress_diagnostics",
                "Present diagnostics.",
                &["code", "severity"],
            )?,
            objects: gauges(
                &registry,
                "tyk_ingress_objects",
                "Managed objects by what the last round against their Tyk saw of them.",
                &["tyk", "kind", "state"],
            )?,
            up: gauges(
                &registry,
                "tyk_ingress_up",
                "Whether the last round against the Tyk ended without an error of it.",
                &["tyk"],
            )?,
            last_success: timestamps(
                &registry,
                "tyk_ingress_last_successful_sync_timestamp_seconds",
                "When a round last ended without an error of the Tyk, in Unix time.",
                &["tyk"],
            )?,
            expiry: timestamps(
                &registry,
                "tyk_ingress_certificate_expiry_timestamp_seconds",
                "When the certificate chain of a Secret expires, in Unix time.",
                &["secret_namespace", "secret"],
            )?,
            rounds: counters(
                &registry,
                "tyk_ingress_sync_rounds_total",
                "Rounds against a Tyk.",
                &["tyk", "result"],
            )?,
            calls: counters(
                &registry,
                "tyk_ingress_gateway_calls_total",
                "Calls of the control API.",
                &["tyk", "call"],
            )?,
            drift: counters(
                &registry,
                "tyk_ingress_drift_repaired_total",
                "Changes made behind our back and repaired.",
                &["tyk", "reason"],
            )?,
            reviews: histograms(
                &registry,
                (
                    "tyk_ingress_admission_review_seconds",
                    "Time to answer a review of the admission webhook, in seconds.",
                ),
                "result",
                vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0],
            )?,
            registry,
        })
    }

    /// Time that a stage took.
    pub fn stage(&self, stage: Stage, took: Duration) {
        let stage = self.stages.with_label_values(&[stage.as_str()]);
        stage.observe(took.as_secs_f64());
    }

    /// One answer of the admission webhook.
    pub fn reviewed(&self, allowed: bool, took: Duration) {
        let result = if allowed { "allowed" } else { "denied" };
        self.reviews.with_label_values(&[result]).observe(took.as_secs_f64());
    }

    /// Whether this process writes.
    pub fn set_leader(&self, leader: bool) {
        self.leader.set(leader.into());
    }

    /// What is wrong now.
    pub fn set_diagnostics(&self, diagnostics: &[Diagnostic]) {
        let mut by_code: BTreeMap<_, usize> = BTreeMap::new();
        for diagnostic in diagnostics {
            *by_code.entry(diagnostic.code).or_default() += 1;
        }
        let _whole = self.whole();
        self.diagnostics.reset();
        for (code, number) in by_code {
            let labels = [code.as_str(), code.severity().as_str()];
            self.diagnostics.with_label_values(&labels).set(count(number));
        }
    }

    /// A translation ended whose first stage, Ingresses to children, took `rendered` of `all`.
    pub fn translation(&self, rendered: Duration, all: Duration) {
        self.stage(Stage::Ingress, rendered);
        self.stage(Stage::Desired, all.saturating_sub(rendered));
        self.translation.observe(all.as_secs_f64());
    }

    /// Shows what came of a translation. Tyks that are not in the fleet any more show nothing but their counters.
    pub fn translated(&self, ingresses: usize, fleet: &Fleet) {
        let mut whole = self.whole();
        self.ingresses.set(count(ingresses));
        whole.tyks.retain(|tyk, _| fleet.tyks.contains_key(tyk));
        whole.latency.retain(|tyk| fleet.tyks.contains_key(tyk));
        self.show(&whole);
        self.expiry.reset();
        for (secret, end) in &fleet.expiries {
            let labels = [secret.namespace.as_ref(), secret.name.as_ref()];
            self.expiry.with_label_values(&labels).set(unix(*end));
        }
    }

    /// A state was handed over to these Tyks; the oldest change in it came at `since`.
    pub fn handed_over(&self, revision: u64, tyks: &[Arc<Installation>], since: Instant) {
        self.whole().latency.handed_over(revision, tyks, since);
    }

    /// One round that ended now.
    pub fn ended(&self, outcome: &Outcome, now: Timestamp) {
        let tyk = outcome.tyk.authority();
        let result = if outcome.endpoint_error.is_some() {
            "error"
        } else {
            "ok"
        };
        self.rounds.with_label_values(&[tyk, result]).inc();
        let calls = outcome.calls;
        for (call, number) in [
            ("list", calls.lists),
            ("read", calls.reads),
            ("write", calls.writes),
            ("delete", calls.deletes),
            ("reload", calls.reloads),
        ] {
            self.calls.with_label_values(&[tyk, call]).inc_by(number);
        }
        let drift = &outcome.drift;
        for (reason, number) in [
            ("lost", drift.lost),
            ("edited", drift.edited),
            ("renamed", drift.renamed),
            ("certificate", drift.certificates),
        ] {
            self.drift.with_label_values(&[tyk, reason]).inc_by(number);
        }
        self.stage(Stage::Round, outcome.took);
        let mut whole = self.whole();
        for waited in whole.latency.confirmed(outcome, Instant::now()) {
            self.latency.with_label_values(&[tyk]).observe(waited.as_secs_f64());
        }
        let seen = whole.tyks.entry(outcome.tyk.clone()).or_default();
        seen.up = outcome.endpoint_error.is_none();
        if seen.up {
            seen.last_success = Some(unix(now));
        }
        seen.objects = objects(outcome);
        self.show(&whole);
    }

    /// Several contexts can mean one address with other credentials: their objects are added up, and it is up when all
    /// of them get through.
    fn show(&self, whole: &Whole) {
        self.up.reset();
        self.last_success.reset();
        self.objects.reset();
        let names: BTreeSet<&str> = whole.tyks.keys().map(|tyk| tyk.authority()).collect();
        for name in names {
            let all = whole.tyks.iter().filter(|(tyk, _)| tyk.authority() == name);
            let all: Vec<_> = all.map(|(_, seen)| seen).collect();
            self.up
                .with_label_values(&[name])
                .set(all.iter().all(|seen| seen.up).into());
            if let Some(oldest) = all.iter().filter_map(|seen| seen.last_success).reduce(f64::min) {
                self.last_success.with_label_values(&[name]).set(oldest);
            }
            for ((kind, state), number) in all.iter().flat_map(|seen| &seen.objects) {
                self.objects.with_label_values(&[name, kind, state]).add(count(*number));
            }
        }
    }

    /// The text format.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn text(&self) -> prometheus::Result<Vec<u8>> {
        let families = {
            let _whole = self.whole();
            self.registry.gather()
        };
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(text)
    }

    fn whole(&self) -> MutexGuard<'_, Whole> {
        self.whole.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every kind and state, so that a series does not come and go with its objects.
fn objects(outcome: &Outcome) -> BTreeMap<(&'static str, &'static str), usize> {
    let desired: &Desired = &outcome.desired;
    let is_oas = |id: &Arc<str>| desired.oas.contains_key(id);
    let of = |oas: bool| {
        outcome
            .apis
            .iter()
            .filter(move |(id, _)| is_oas(id) == oas)
            .map(|(_, state)| state)
    };
    let mut counts = BTreeMap::new();
    let kinds: [(&'static str, Vec<&ApiOutcome>); 4] = [
        ("api", of(false).collect()),
        ("oas", of(true).collect()),
        ("policy", outcome.policies.values().collect()),
        ("certificate", outcome.certificates.values().collect()),
    ];
    for (kind, states) in kinds {
        let synced = states
            .iter()
            .filter(|state| matches!(state, ApiOutcome::Synced))
            .count();
        let failed = states
            .iter()
            .filter(|state| matches!(state, ApiOutcome::Failed(_)))
            .count();
        counts.insert((kind, "synced"), synced);
        counts.insert((kind, "failed"), failed);
    }
    // What cannot be used now has no definition that would tell classic from OAS.
    counts.insert(("api", "held"), desired.held.len());
    counts.insert(("policy", "held"), desired.held_policies.len());
    counts
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> prometheus::Result<C> {
    let metric = made?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels))
}

fn timestamps(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
    register(registry, GaugeVec::new(Opts::new(name, help), labels))
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

fn histograms(
    registry: &Registry,
    (name, help): (&str, &str),
    label: &str,
    buckets: Vec<f64>,
) -> prometheus::Result<HistogramVec> {
    let options = HistogramOpts::new(name, help).buckets(buckets);
    register(registry, HistogramVec::new(options, &[label]))
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Seconds since the start of 1970.
fn unix(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn tyk(auth: &str) -> Arc<Installation> {
        Arc::new(Installation {
            url: "http://user:hunter2@gateway:8080/base".into(),
            auth: crate::secret::Secret::new(auth),
            ..Installation::default()
        })
    }

    fn outcome(tyk: &Arc<Installation>, error: Option<&str>) -> Outcome {
        Outcome {
            tyk: tyk.clone(),
            apis: BTreeMap::from([("a".into(), ApiOutcome::Synced), ("b".into(), ApiOutcome::Gone)]).into(),
            endpoint_error: error.map(str::to_owned),
            ..Outcome::default()
        }
    }

    fn text(metrics: &Metrics) -> String {
        String::from_utf8(metrics.text().unwrap()).unwrap()
    }

    #[test]
    fn contexts_with_one_address_are_one_series() {
        let metrics = Metrics::new().unwrap();
        let (one, other) = (tyk("a"), tyk("b"));
        metrics.ended(&outcome(&one, None), Timestamp::from_second(100).unwrap());
        metrics.ended(&outcome(&other, Some("refused")), Timestamp::from_second(200).unwrap());
        let shown = text(&metrics);
        assert!(
            shown.contains(r#"tyk_ingress_objects{kind="api",state="synced",tyk="gateway:8080"} 2"#),
            "{shown}"
        );
        assert!(shown.contains(r#"tyk_ingress_up{tyk="gateway:8080"} 0"#), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
        metrics.ended(&outcome(&other, None), Timestamp::from_second(300).unwrap());
        let shown = text(&metrics);
        assert!(shown.contains(r#"tyk_ingress_up{tyk="gateway:8080"} 1"#), "{shown}");
        let last = r#"tyk_ingress_last_successful_sync_timestamp_seconds{tyk="gateway:8080"} 100"#;
        assert!(shown.contains(last), "{shown}");
    }

    #[test]
    fn a_tyk_that_left_keeps_only_its_counters() {
        let metrics = Metrics::new().unwrap();
        metrics.ended(&outcome(&tyk("a"), None), Timestamp::UNIX_EPOCH);
        metrics.translated(0, &Fleet::default());
        let shown = text(&metrics);
        assert!(
            !shown.contains("tyk_ingress_up{") && !shown.contains("tyk_ingress_objects{"),
            "{shown}"
        );
        assert!(shown.contains("tyk_ingress_sync_rounds_total{"), "{shown}");
    }
}
