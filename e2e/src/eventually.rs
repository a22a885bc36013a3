//! Waiting for a condition, the only kind of waiting these tests know.

use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::{Instant, sleep, timeout};

/// How long a test waits for something that should take about a second.
pub const PATIENCE: Duration = Duration::from_secs(30);

const INTERVAL: Duration = Duration::from_millis(50);

/// Asks `probe` until it answers `Ok`, and returns that answer.
///
/// An `Err` of the probe means "not yet": its text is the observation that the failure shows.
///
/// # Errors
/// After `deadline`, with `what` was waited for and the last observation.
pub async fn eventually<T, F>(deadline: Duration, what: &str, mut probe: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<T>,
{
    let end = Instant::now() + deadline;
    let mut last = anyhow!("the first look did not come back");
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match timeout(left, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(observation)) => last = observation,
            Err(_) => {}
        }
        // A probe that never waits is not stopped by the timeout.
        if Instant::now() >= end {
            return Err(last.context(format!("waited {deadline:?} for {what}")));
        }
        sleep(INTERVAL).await;
    }
}
