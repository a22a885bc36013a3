//! States that come while a batch is sent. One that only asks for more joins it, so that one reload serves it too.

use tokio::time::Instant;

use super::Plan;
use super::ahead::differing;
use super::settled::wants_the_same_beside_apis;
use crate::desired::Desired;

/// Until when others may join: a batch is sent for at most twice as long as its first part took.
pub(super) fn limit(begin: Instant, end: Instant) -> Instant {
    end + (end - begin)
}

/// Whether a state wants all that another one wants, and of classic APIs more. Those that were written or deleted for the
/// other one stay as they were `sent`.
pub(super) fn joins(state: &Desired, before: &Desired, sent: &Plan) -> bool {
    let was_sent = |id: &str| sent.names(id) || sent.deletes.contains(id);
    let is_more = |id: &str| state.apis.contains_key(id) && !was_sent(id);
    wants_the_same_beside_apis(before, state) && differing(&before.apis, &state.apis).all(is_more)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::desired::Api;
    use crate::diagnostic::ObjectRef;
    use crate::sync::WriteReason;

    /// APIs by id and path.
    fn state(apis: &[(&str, &str)]) -> Desired {
        let api = |path: &str| Api {
            source: ObjectRef::new("ApiDefinition", "default", "a"),
            generation: 1,
            payload: json!({"proxy": {"listen_path": path}}).into(),
        };
        Desired {
            apis: apis.iter().map(|&(id, path)| (id.into(), api(path))).collect(),
            ..Desired::default()
        }
    }

    #[test]
    fn more_of_what_was_not_sent_joins() {
        let before = state(&[("1", "/a"), ("2", "/b")]);
        let sent = Plan {
            writes: [("2".to_owned(), WriteReason::Missing)].into(),
            deletes: ["4".to_owned()].into(),
            ..Plan::default()
        };
        let joins = |apis: &[(&str, &str)]| super::joins(&state(apis), &before, &sent);
        assert!(joins(&[("1", "/a"), ("2", "/b"), ("3", "/c")]));
        assert!(joins(&[("1", "/otherwise"), ("2", "/b")]));
        assert!(!joins(&[("1", "/a"), ("2", "/otherwise")]));
        assert!(!joins(&[("1", "/a"), ("2", "/b"), ("4", "/d")]));
        assert!(!joins(&[("1", "/a")]));
        assert!(!joins(&[("2", "/b")]));
    }

    #[test]
    fn what_is_otherwise_beside_classic_apis_does_not_join() {
        let before = state(&[]);
        let joins = |change: fn(&mut Desired)| {
            let mut next = state(&[("1", "/a")]);
            change(&mut next);
            super::joins(&next, &before, &Plan::default())
        };
        assert!(joins(|_| {}));
        assert!(joins(|next| next.removals.extend(["2".to_owned()])));
        assert!(!joins(|next| next.held.extend(["2".to_owned()])));
        assert!(!joins(|next| next.contexts.extend(["2".to_owned()])));
    }

    #[test]
    fn a_batch_is_sent_for_at_most_twice_as_long_as_its_first_part() {
        let (begin, part) = (Instant::now(), Duration::from_secs(2));
        assert_eq!(limit(begin, begin + part), begin + 2 * part);
    }
}
