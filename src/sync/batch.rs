//! The calls of one batch: all writes and deletes, one after the other. The reload is the caller's.

use std::collections::{BTreeMap, BTreeSet};

use tokio_util::sync::CancellationToken;

use super::certificates::Certificates;
use super::mark::Stamp;
use super::{Calls, Observed, Plan};
use crate::desired::Desired;
use crate::tyk::gateway::Gateway;
use crate::tyk::{Error, Kind};

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// APIs that the gateway took, with the stamp that was sent.
    pub(super) sent: BTreeMap<String, Stamp>,
    /// APIs whose write or delete the gateway did not want, with its message.
    pub(super) refused: BTreeMap<String, String>,
    /// Why the rest was not sent, and the API at which that was.
    pub(super) stopped: Option<(String, Error)>,
    /// Whether the gateway may have something to load.
    pub(super) touched: bool,
}

/// Sends `plan`. Writes of `suspects` go last, so that an API at which the gateway breaks costs its neighbours nothing.
pub(super) async fn send(
    gateway: &Gateway,
    owner: &str,
    (desired, observed, plan): (&Desired, &Observed, &Plan),
    suspects: &BTreeSet<String>,
    certificates: &Certificates,
    (cancel, calls): (&CancellationToken, &mut Calls),
) -> Batch {
    let mut batch = Batch::default();
    let (last, first): (Vec<_>, Vec<_>) = plan.writes.keys().partition(|id| suspects.contains(*id));
    for id in first.into_iter().chain(last) {
        if cancel.is_cancelled() {
            return batch;
        }
        let payload = &desired.apis[id].payload;
        let stamp = Stamp::next(payload, observed.get(id));
        let uploaded = certificates.of_api(payload, observed.get(id), desired);
        calls.writes += 1;
        let answer = gateway.put_api(&stamp.put(payload, owner, &uploaded)).await;
        if batch.stops(id, &answer) {
            return batch;
        }
        if answer.is_ok() {
            batch.sent.insert(id.clone(), stamp);
        }
    }
    for id in &plan.deletes {
        if cancel.is_cancelled() {
            return batch;
        }
        calls.deletes += 1;
        // 404 is also said of a file that is not loaded, 500 also of a loaded API whose file is gone.
        let answer = match gateway.delete_api(id).await {
            Err(error) if matches!(error.status(), Some(404 | 500)) => Ok(()),
            answer => answer,
        };
        if batch.stops(id, &answer) {
            return batch;
        }
    }
    batch
}

impl Batch {
    /// Notes a call's answer; says whether the gateway should be left alone.
    fn stops(&mut self, id: &str, answer: &Result<(), Error>) -> bool {
        self.touched = true;
        match answer {
            Ok(()) => false,
            Err(error) if matches!(error.kind(), Kind::Rejected | Kind::Malformed) => {
                self.refused.insert(id.to_owned(), error.to_string());
                false
            }
            Err(error) => {
                self.stopped = Some((id.to_owned(), error.clone()));
                true
            }
        }
    }
}
