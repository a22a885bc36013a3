//! The right to write, which ends by itself unless it is renewed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a refused write says.
pub const REFUSAL: &str = "this process does not hold the lease (any more), so nothing is written";

/// Whether this process may write to Tyk and to Kubernetes. Every client asks before every call that changes
/// something, so that a process that was paused does not write what another has replaced since.
#[derive(Clone, Debug, Default)]
pub struct Permit(Option<Arc<Term>>);

#[derive(Debug)]
struct Term {
    start: Instant,
    /// Microseconds after `start`; 0 while nothing is permitted.
    end: AtomicU64,
}

impl Permit {
    /// For a process that shares its work with no other.
    pub fn always() -> Self {
        Self(None)
    }

    /// Nothing is permitted before the first [`Permit::extend`].
    pub fn none_yet() -> Self {
        Self(Some(Arc::new(Term {
            start: Instant::now(),
            end: AtomicU64::new(0),
        })))
    }

    /// Permits writes before `end`, for this permit and all its clones.
    pub fn extend(&self, end: Instant) {
        self.set(|term| micros(end.saturating_duration_since(term.start)));
    }

    /// Permits nothing from now on.
    pub fn revoke(&self) {
        self.set(|_| 0);
    }

    /// Whether a write may begin now.
    pub fn is_valid(&self) -> bool {
        match &self.0 {
            None => true,
            Some(term) => micros(term.start.elapsed()) < term.end.load(Ordering::Acquire),
        }
    }

    fn set(&self, end: impl Fn(&Term) -> u64) {
        if let Some(term) = &self.0 {
            term.end.store(end(term), Ordering::Release);
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_ends_by_itself_and_for_all() {
        let permit = Permit::none_yet();
        let clone = permit.clone();
        assert!(!clone.is_valid());
        permit.extend(Instant::now() + Duration::from_secs(60));
        assert!(clone.is_valid());
        permit.revoke();
        assert!(!clone.is_valid());
        permit.extend(Instant::now());
        assert!(!clone.is_valid(), "the end is not part of the term");
        assert!(Permit::always().is_valid());
    }
}
