//! A gateway is never emptied by accident: a plan that deletes most of what is ours needs the same answer twice.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

/// Up to so many deletes are never held back.
pub(super) const FREE: usize = 10;
/// How long a plan has to stay the same before it counts.
const PAUSE: Duration = Duration::from_secs(2);

/// Remembers the mass delete that waits for its second answer.
#[derive(Debug, Default)]
pub(super) struct DeleteGuard {
    waiting: Option<(BTreeSet<String>, Instant)>,
}

impl DeleteGuard {
    /// Whether `deletes` may be applied at `now` to a gateway that holds `ours` APIs of ours.
    pub(super) fn allows(&mut self, deletes: &BTreeSet<String>, ours: usize, now: Instant) -> bool {
        if deletes.len() <= FREE || deletes.len() * 2 <= ours {
            self.waiting = None;
            return true;
        }
        match &self.waiting {
            Some((same, since)) if same == deletes && now < *since + PAUSE => false,
            Some((same, _)) if same == deletes => {
                self.waiting = None;
                true
            }
            _ => {
                self.waiting = Some((deletes.clone(), now));
                false
            }
        }
    }

    /// When a plan that was not allowed may be applied.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|(_, since)| *since + PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> BTreeSet<String> {
        (0..count).map(|n| n.to_string()).collect()
    }

    #[test]
    fn few_or_a_small_share_go_at_once() {
        let mut guard = DeleteGuard::default();
        let now = Instant::now();
        assert!(guard.allows(&ids(10), 10, now));
        assert!(guard.allows(&ids(50), 100, now));
        assert_eq!(guard.due(), None);
    }

    #[test]
    fn most_of_them_need_the_same_answer_again() {
        let mut guard = DeleteGuard::default();
        let now = Instant::now();
        assert!(!guard.allows(&ids(11), 11, now));
        assert!(!guard.allows(&ids(11), 11, now + PAUSE / 2));
        assert_eq!(guard.due(), Some(now + PAUSE));
        assert!(!guard.allows(&ids(12), 12, now + PAUSE), "another set starts anew");
        assert!(guard.allows(&ids(12), 12, now + 2 * PAUSE));
    }
}
