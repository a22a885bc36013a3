//! How far the Tyks are behind the last state that was handed over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::desired::{Fleet, Installation};
use crate::sync::Outcome;

/// The number of the state that each Tyk has not answered for yet.
#[derive(Clone, Debug, Default)]
pub struct Progress(watch::Sender<BTreeMap<Arc<Installation>, u64>>);

impl Progress {
    /// A state was handed over, which is news to these Tyks.
    pub fn handed_over(&self, revision: u64, news: &[Arc<Installation>], fleet: &Fleet) {
        self.0.send_modify(|behind| {
            behind.retain(|tyk, _| fleet.tyks.contains_key(tyk));
            behind.extend(news.iter().map(|tyk| (tyk.clone(), revision)));
        });
    }

    /// A round ended, however it did.
    pub fn ended(&self, outcome: &Outcome) {
        self.0
            .send_modify(|behind| behind.retain(|tyk, revision| *tyk != outcome.tyk || *revision > outcome.revision));
    }

    /// Whether no Tyk is behind.
    pub fn is_settled(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Waits until no Tyk is behind, for at most this time.
    pub async fn settled(&self, most: Duration) {
        let mut behind = self.0.subscribe();
        // The sender lives as long as this does.
        let _ = timeout(most, behind.wait_for(BTreeMap::is_empty)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(revision: u64) -> Outcome {
        Outcome {
            revision,
            endpoint_error: Some("down".into()),
            ..Outcome::default()
        }
    }

    #[test]
    fn a_tyk_is_behind_until_a_round_about_its_last_state_ended() {
        let progress = Progress::default();
        let tyk = Arc::<Installation>::default();
        let fleet = Fleet {
            tyks: BTreeMap::from([(tyk.clone(), Arc::default())]),
            ..Fleet::default()
        };
        assert!(progress.is_settled());
        progress.handed_over(1, std::slice::from_ref(&tyk), &fleet);
        progress.handed_over(2, &[tyk], &fleet);
        progress.handed_over(3, &[], &fleet);
        progress.ended(&outcome(1));
        assert!(!progress.is_settled());
        progress.ended(&outcome(2));
        assert!(progress.is_settled());
    }

    #[test]
    fn nobody_waits_for_a_tyk_that_left() {
        let progress = Progress::default();
        progress.handed_over(1, &[Arc::default()], &Fleet::default());
        assert!(!progress.is_settled());
        progress.handed_over(2, &[], &Fleet::default());
        assert!(progress.is_settled());
    }
}
