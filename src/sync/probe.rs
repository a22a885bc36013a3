//! Between two rounds: whether the gateway is still the one that was left in step.

use std::time::Duration;

use tokio::time::sleep;

use super::tyk::Tyk;
use super::{ApiOutcome, Outcome};
use crate::tyk::{Error, Kind};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Looks at a gateway with the cheapest call that can tell. What it misses, the next resync finds.
#[derive(Debug)]
pub(super) struct Probe {
    tyk: Tyk,
    /// APIs that the gateway had at the end of the last round; looked for one after the other.
    apis: Vec<String>,
    next: usize,
    /// The gateway was away: whatever comes back may be another one, or an empty one.
    away: bool,
    /// Whether the last round failed in another way than by silence; it has its own time to come back.
    refused: bool,
}

impl Probe {
    /// Nothing is known of the gateway.
    pub(super) fn new(tyk: Tyk) -> Self {
        Self {
            tyk,
            apis: Vec::new(),
            next: 0,
            away: false,
            refused: false,
        }
    }

    /// Takes in how a round ended.
    pub(super) fn ended(&mut self, outcome: &Outcome, error: Option<&Error>) {
        self.away = error.is_some_and(|error| is_silence(error.kind()));
        self.refused = error.is_some() && !self.away;
        let synced = outcome.apis.iter().filter(|(_, api)| **api == ApiOutcome::Synced);
        self.apis = synced.map(|(id, _)| id.clone()).collect();
    }

    /// Waits until the gateway has come back, or lacks an API that it had. Safe to drop at any time.
    pub(super) async fn alarm(&mut self) {
        loop {
            sleep(INTERVAL).await;
            if self.refused {
                continue;
            }
            let answer = match self.sentinel() {
                Some(id) if !self.away => self.tyk.has_api(&id).await,
                _ => self.tyk.answers().await.map(|()| true),
            };
            match answer {
                Ok(true) if !self.away => {}
                Ok(_) => {
                    self.away = false;
                    return;
                }
                Err(error) => self.away |= is_silence(error.kind()),
            }
        }
    }

    /// Another one each time, so that in the end all are looked for.
    fn sentinel(&mut self) -> Option<String> {
        let id = self.apis.get(self.next % self.apis.len().max(1)).cloned();
        self.next = self.next.wrapping_add(1);
        id
    }
}

fn is_silence(kind: Kind) -> bool {
    matches!(kind, Kind::Unreachable | Kind::Timeout)
}
