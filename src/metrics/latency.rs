//! How long changes wait for their confirmation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::desired::Installation;
use crate::sync::Outcome;

/// Changes that were handed over and that no round has confirmed yet.
#[derive(Debug, Default)]
pub(super) struct Latency {
    /// By Tyk: the number of the state that was handed over, and when the oldest change in it came.
    waiting: BTreeMap<Arc<Installation>, Vec<(u64, Instant)>>,
}

impl Latency {
    /// A state was handed over to these Tyks.
    pub(super) fn handed_over(&mut self, revision: u64, tyks: &[Arc<Installation>], since: Instant) {
        for tyk in tyks {
            self.waiting.entry(tyk.clone()).or_default().push((revision, since));
        }
    }

    /// How long each state waited that this round confirms: it or a newer one was seen on the Tyk.
    pub(super) fn confirmed(&mut self, outcome: &Outcome, now: Instant) -> Vec<Duration> {
        let Some(waiting) = self.waiting.get_mut(&outcome.tyk) else {
            return Vec::new();
        };
        if outcome.endpoint_error.is_some() {
            return Vec::new();
        }
        let (done, left) = std::mem::take(waiting)
            .into_iter()
            .partition(|(revision, _)| *revision <= outcome.revision);
        *waiting = left;
        let done: Vec<_> = done;
        done.into_iter().map(|(_, since)| now.duration_since(since)).collect()
    }

    /// Nobody confirms anything for a Tyk that left the fleet.
    pub(super) fn retain(&mut self, is_there: impl Fn(&Arc<Installation>) -> bool) {
        self.waiting.retain(|tyk, _| is_there(tyk));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(revision: u64, error: Option<&str>) -> Outcome {
        Outcome {
            revision,
            endpoint_error: error.map(str::to_owned),
            ..Outcome::default()
        }
    }

    #[test]
    fn a_state_is_confirmed_once_by_its_round_or_a_later_one() {
        let mut latency = Latency::default();
        let (start, tyks) = (Instant::now(), [Arc::default()]);
        let at = |seconds| start + Duration::from_secs(seconds);
        latency.handed_over(1, &tyks, at(0));
        latency.handed_over(3, &tyks, at(2));
        assert!(latency.confirmed(&outcome(0, None), at(3)).is_empty());
        assert!(latency.confirmed(&outcome(3, Some("down")), at(4)).is_empty());
        let both = [Duration::from_secs(5), Duration::from_secs(3)];
        assert_eq!(latency.confirmed(&outcome(3, None), at(5)), both);
        assert!(latency.confirmed(&outcome(3, None), at(6)).is_empty());
    }

    #[test]
    fn a_tyk_that_is_gone_is_forgotten() {
        let mut latency = Latency::default();
        latency.handed_over(1, &[Arc::default()], Instant::now());
        latency.retain(|_| false);
        assert!(latency.confirmed(&outcome(1, None), Instant::now()).is_empty());
    }
}
