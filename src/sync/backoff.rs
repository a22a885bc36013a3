//! How long to wait after failures. Without a clock: the caller says what time it is.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

const ENDPOINT_FIRST: Duration = Duration::from_millis(200);
const ENDPOINT_LAST: Duration = Duration::from_secs(30);
const OBJECT_FIRST: Duration = Duration::from_secs(1);
const OBJECT_LAST: Duration = Duration::from_secs(300);

/// `delay` shortened by up to a fifth, so that many do not come back at once. `jitter` is from 0 to 1.
fn jittered(delay: Duration, jitter: f64) -> Duration {
    delay.mul_f64(1.0 - 0.2 * jitter.clamp(0.0, 1.0))
}

fn doubled(first: Duration, last: Duration, failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(last)
}

/// Wait of one endpoint that fails: 0.2 s to 30 s.
#[derive(Debug, Default)]
pub(super) struct EndpointBackoff {
    failures: u32,
    last_try: Option<Instant>,
    retry_at: Option<Instant>,
    not_before: Option<Instant>,
}

impl EndpointBackoff {
    /// The endpoint failed; `asked` is how long it wants to be left alone.
    pub(super) fn failed(&mut self, now: Instant, asked: Option<Duration>, jitter: f64) {
        self.failures = self.failures.saturating_add(1);
        let delay = doubled(ENDPOINT_FIRST, ENDPOINT_LAST, self.failures);
        let delay = jittered(delay, jitter).max(ENDPOINT_FIRST);
        self.last_try = Some(now);
        self.not_before = asked.map(|asked| now + asked);
        self.retry_at = Some(now + delay.max(asked.unwrap_or_default()));
    }

    /// The endpoint answered.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// When to try again by itself; `None` when nothing failed.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// The earliest time for a round that is asked for at `now`.
    pub(super) fn earliest(&self, now: Instant) -> Instant {
        let spaced = self.last_try.map(|last| last + ENDPOINT_FIRST);
        [spaced, self.not_before].into_iter().flatten().fold(now, Instant::max)
    }
}

/// APIs that failed by their own fault; each waits alone, 1 s to 300 s, until its definition changes.
#[derive(Debug, Default)]
pub(super) struct ObjectBackoff {
    objects: BTreeMap<String, Failure>,
}

#[derive(Debug)]
struct Failure {
    hash: String,
    failures: u32,
    retry_at: Instant,
    message: String,
}

impl ObjectBackoff {
    /// Why API `id` has to wait at `now`, if it failed with this same definition.
    pub(super) fn waits(&self, id: &str, hash: &str, now: Instant) -> Option<&str> {
        let failure = self.objects.get(id)?;
        (failure.hash == hash && now < failure.retry_at).then_some(failure.message.as_str())
    }

    /// API `id` failed although the endpoint works.
    pub(super) fn failed(&mut self, id: &str, hash: &str, message: &str, now: Instant, jitter: f64) {
        let before = self.objects.get(id).filter(|failure| failure.hash == hash);
        let failures = before.map_or(0, |failure| failure.failures).saturating_add(1);
        let delay = jittered(doubled(OBJECT_FIRST, OBJECT_LAST, failures), jitter);
        let failure = Failure {
            hash: hash.to_owned(),
            failures,
            retry_at: now + delay,
            message: message.to_owned(),
        };
        self.objects.insert(id.to_owned(), failure);
    }

    /// Forgets every API that `failing` does not name.
    pub(super) fn keep(&mut self, failing: impl Fn(&str) -> bool) {
        self.objects.retain(|id, _| failing(id));
    }

    /// When the first of them may be tried again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.objects.values().map(|failure| failure.retry_at).min()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_endpoint_waits_longer_each_time_and_not_for_ever() {
        let now = Instant::now();
        let mut backoff = EndpointBackoff::default();
        assert_eq!((backoff.retry_at(), backoff.earliest(now)), (None, now));
        let waits: Vec<_> = (0..40)
            .map(|_| {
                backoff.failed(now, None, 0.0);
                (backoff.retry_at().unwrap() - now).as_millis()
            })
            .collect();
        assert_eq!(waits[..4], [200, 400, 800, 1600]);
        assert_eq!(waits[39], 30_000);
        assert_eq!(backoff.earliest(now) - now, ENDPOINT_FIRST);
        backoff.succeeded();
        assert_eq!(backoff.retry_at(), None);
    }

    #[test]
    fn an_endpoint_is_left_alone_as_it_asks() {
        let now = Instant::now();
        let mut backoff = EndpointBackoff::default();
        backoff.failed(now, Some(7 * SECOND), 1.0);
        assert_eq!(backoff.retry_at().unwrap() - now, 7 * SECOND);
        assert_eq!(backoff.earliest(now) - now, 7 * SECOND);
    }

    #[test]
    fn an_object_waits_until_its_definition_changes() {
        let now = Instant::now();
        let mut backoff = ObjectBackoff::default();
        backoff.failed("a", "1", "no", now, 0.0);
        assert_eq!(backoff.waits("a", "1", now), Some("no"));
        assert_eq!(backoff.waits("a", "2", now), None);
        assert_eq!(backoff.waits("b", "1", now), None);
        assert_eq!(backoff.waits("a", "1", now + SECOND), None);
        assert_eq!(backoff.next(), Some(now + SECOND));
        backoff.failed("a", "1", "no", now, 0.0);
        assert_eq!(backoff.next(), Some(now + 2 * SECOND));
        backoff.failed("a", "2", "no", now, 1.0);
        assert_eq!(backoff.next(), Some(now + SECOND.mul_f64(0.8)));
        backoff.keep(|id| id != "a");
        assert_eq!(backoff.next(), None);
    }
}
