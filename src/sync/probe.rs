//! Between two rounds: whether the gateway is still the one that was left in step.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::tyk::Tyk;
use super::{ApiOutcome, Outcome, Results};
use crate::tyk::{Error, Kind};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Looks at a gateway with the cheapest call that can tell. What it misses, the next resync finds.
#[derive(Debug)]
pub(super) struct Probe {
    tyk: Tyk,
    /// How the last round ended: the APIs that the gateway then had are looked for one after the other.
    apis: Arc<Results>,
    /// The one that was looked for last.
    last: Arc<str>,
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
            apis: Arc::default(),
            last: "".into(),
            away: false,
            refused: false,
        }
    }

    /// Takes in how a round ended.
    pub(super) fn ended(&mut self, outcome: &Outcome, error: Option<&Error>) {
        self.away = error.is_some_and(|error| is_silence(error.kind()));
        self.refused = error.is_some() && !self.away;
        self.apis = Arc::clone(&outcome.apis);
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
    fn sentinel(&mut self) -> Option<Arc<str>> {
        let after = (Bound::Excluded(&*self.last), Bound::Unbounded);
        let rest = self.apis.range::<str, _>(after).chain(self.apis.iter());
        let mut synced = rest.filter(|(_, api)| **api == ApiOutcome::Synced);
        let id = synced.next()?.0.clone();
        self.last.clone_from(&id);
        Some(id)
    }
}

fn is_silence(kind: Kind) -> bool {
    matches!(kind, Kind::Unreachable | Kind::Timeout)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::tyk::Endpoint;
    use crate::tyk::gateway::Gateway;

    #[test]
    fn each_api_that_the_gateway_had_is_looked_for_in_turn() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoint = Endpoint::new("http://127.0.0.1:1", "secret");
        let mut probe = Probe::new(Gateway::new(endpoint).unwrap().into());
        assert_eq!(probe.sentinel(), None);
        let apis = [
            ("1", ApiOutcome::Synced),
            ("2", ApiOutcome::Gone),
            ("3", ApiOutcome::Synced),
            ("4", ApiOutcome::Failed("no".into())),
        ];
        let mut outcome = Outcome {
            apis: Arc::new(apis.map(|(id, api)| (id.into(), api)).into()),
            ..Outcome::default()
        };
        probe.ended(&outcome, None);
        let mut next = || probe.sentinel().unwrap();
        assert_eq!([next(), next(), next()], ["1", "3", "1"].map(Into::into));
        outcome.apis = Arc::default();
        probe.ended(&outcome, None);
        assert_eq!(probe.sentinel(), None);
    }
}
