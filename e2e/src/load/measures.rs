//! What was measured, with what it is measured against.

use std::time::Duration;

use serde::Serialize;

use super::counters::Counters;
use super::floor::Floor;

/// All results of one run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Results {
    /// Paths.
    pub paths: usize,
    /// `simulated` or `real`.
    pub gateway: String,
    /// Seconds that the gateway alone needs for all paths.
    pub floor_all_seconds: f64,
    /// Seconds of one reload of the gateway with all paths, at the median.
    pub floor_reload_seconds: f64,
    /// In the order of measuring.
    pub measures: Vec<Measure>,
}

/// One number.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    /// What it is.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Its unit; empty for a count.
    pub unit: &'static str,
    /// How many times the floor it is.
    pub ratio: Option<f64>,
    /// What it should be at most, or at least.
    pub target: Option<f64>,
    /// Whether it is what it should be.
    pub reached: Option<bool>,
}

/// Of several times, in seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// Half of them are longer.
    pub median: f64,
    /// One of a hundred is longer.
    pub p99: f64,
    /// The longest.
    pub longest: f64,
}

impl Spread {
    /// Of at least one time; zero of none.
    #[must_use]
    pub fn of(times: &[Duration]) -> Self {
        let mut seconds: Vec<_> = times.iter().map(Duration::as_secs_f64).collect();
        seconds.sort_by(f64::total_cmp);
        // The nearest rank.
        let at = |share: f64| {
            let rank = (share * seconds.len() as f64).ceil() as usize;
            seconds.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Self {
            median: at(0.5),
            p99: at(0.99),
            longest: at(1.0),
        }
    }
}

impl Results {
    pub(super) fn floor(&mut self, floor: &Floor) {
        self.floor_all_seconds = floor.all.as_secs_f64();
        self.floor_reload_seconds = floor.again.median;
        self.set("floor: writes", floor.writes.as_secs_f64(), "s", None);
        self.set("floor: first reload", floor.reload.as_secs_f64(), "s", None);
        self.set("floor: all paths answer after", floor.all.as_secs_f64(), "s", None);
        self.set("floor: a later reload, median", floor.again.median, "s", None);
        self.set("floor: a later reload, longest", floor.again.longest, "s", None);
        self.set("floor: one list", floor.list.as_secs_f64(), "s", None);
    }

    /// Long enough for the rest of a round.
    pub(super) fn pause(&self) -> Duration {
        Duration::from_secs_f64(0.5 + 2.0 * self.floor_reload_seconds)
    }

    /// Adds a number that should be at most `target`.
    pub(super) fn set(&mut self, name: &str, value: f64, unit: &'static str, target: Option<f64>) {
        self.add(name, value, unit, None, target.map(|target| (target, value <= target)));
    }

    /// The same as a multiple of the floor.
    pub(super) fn against(&mut self, name: &str, value: f64, unit: &'static str, floor: f64, target: Option<f64>) {
        let target = target.map(|target| (target, value <= target));
        self.add(name, value, unit, Some(value / floor), target);
    }

    /// Adds a number that should be at least `target`.
    pub(super) fn at_least(&mut self, name: &str, value: f64, unit: &'static str, target: f64) {
        self.add(name, value, unit, None, Some((target, value >= target)));
    }

    /// Adds what was written and called.
    pub(super) fn counted(&mut self, what: &str, counters: &Counters) {
        for (name, count) in [
            ("objects written to the cluster", counters.objects),
            ("statuses written to the cluster", counters.statuses),
            ("statuses of Ingresses written", counters.ingress_statuses),
            ("Events", counters.events),
            ("rounds against the gateway", counters.rounds),
            ("lists", counters.lists),
            ("definitions written or deleted", counters.writes),
            ("reloads", counters.reloads),
        ] {
            self.set(&format!("{what}: {name}"), count, "", None);
        }
    }

    fn add(&mut self, name: &str, value: f64, unit: &'static str, ratio: Option<f64>, target: Option<(f64, bool)>) {
        self.measures.push(Measure {
            name: name.to_owned(),
            value,
            unit,
            ratio,
            target: target.map(|(target, _)| target),
            reached: target.map(|(_, reached)| reached),
        });
    }
}
