//! The decisions of a candidate.
#![allow(clippy::unwrap_used)]

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn view(identity: &str) -> View {
    View::new(&Terms {
        name: NamespacedName::new("system", "tyk-ingress"),
        identity: identity.into(),
        duration: 15 * SECOND,
        renew_deadline: 10 * SECOND,
        retry: 2 * SECOND,
    })
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

/// What is there after a step, as the API server answers it.
fn written(step: Step, version: &str) -> Lease {
    let (Step::Create(mut lease) | Step::Replace(mut lease)) = step else {
        panic!("nothing is written");
    };
    lease.metadata.resource_version = Some(version.into());
    lease
}

#[test]
fn a_missing_lease_is_made() {
    let lease = written(view("a").step(None, Instant::now(), time(1)), "1");
    assert_eq!(holder(&lease), Some("a"));
    let spec = lease.spec.unwrap();
    assert_eq!(
        (spec.lease_transitions, spec.lease_duration_seconds),
        (Some(0), Some(15))
    );
}

#[test]
fn a_lease_of_another_is_taken_when_it_has_stood_for_its_duration_on_our_clock() {
    let now = Instant::now();
    // Its times say nothing: they are from another machine, here years ago.
    let theirs = written(view("a").step(None, now, time(1)), "1");
    let mut b = view("b");
    for seconds in [0, 5, 14] {
        assert_eq!(
            b.step(Some(theirs.clone()), now + seconds * SECOND, time(2_000_000_000)),
            Step::Wait
        );
    }
    let taken = written(b.step(Some(theirs), now + 15 * SECOND, time(2_000_000_000)), "2");
    assert_eq!(holder(&taken), Some("b"));
    assert_eq!(taken.spec.unwrap().lease_transitions, Some(1));
}

#[test]
fn a_renewal_starts_the_wait_anew() {
    let now = Instant::now();
    let mut a = view("a");
    let first = written(a.step(None, now, time(1)), "1");
    let mut b = view("b");
    assert_eq!(b.step(Some(first.clone()), now, time(1)), Step::Wait);
    let second = written(a.step(Some(first), now + 10 * SECOND, time(11)), "2");
    assert_eq!(b.step(Some(second.clone()), now + 14 * SECOND, time(15)), Step::Wait);
    assert_eq!(b.step(Some(second), now + 28 * SECOND, time(29)), Step::Wait);
}

#[test]
fn the_holder_says_how_long_its_lease_counts() {
    let now = Instant::now();
    let mut theirs = written(view("a").step(None, now, time(1)), "1");
    theirs.spec.as_mut().unwrap().lease_duration_seconds = Some(60);
    let mut b = view("b");
    assert_eq!(b.step(Some(theirs.clone()), now, time(1)), Step::Wait);
    assert_eq!(b.step(Some(theirs.clone()), now + 59 * SECOND, time(60)), Step::Wait);
    assert!(matches!(
        b.step(Some(theirs), now + 60 * SECOND, time(61)),
        Step::Replace(_)
    ));
}

#[test]
fn a_lease_that_was_given_up_is_taken_at_once() {
    let now = Instant::now();
    let mut a = view("a");
    a.mine = Some(written(a.step(None, now, time(1)), "1"));
    let free = a.released(time(2)).unwrap();
    assert_eq!((holder(&free), a.mine.as_ref()), (None, None));
    let taken = written(view("b").step(Some(free), now, time(3)), "3");
    assert_eq!(holder(&taken), Some("b"));
}

#[test]
fn a_write_carries_the_version_that_was_read() {
    let now = Instant::now();
    let mut a = view("a");
    let first = written(a.step(None, now, time(1)), "7");
    let Step::Replace(renewal) = a.step(Some(first), now, time(2)) else {
        panic!("no renewal");
    };
    assert_eq!(renewal.metadata.resource_version.as_deref(), Some("7"));
}

#[test]
fn nobody_can_take_a_lease_before_its_holder_has_stopped() {
    // Every moment at which the last renewal can have been seen, and every one at which it can have been asked for.
    let terms = view("a");
    let begin = Instant::now();
    let lease = written(view("a").step(None, begin, time(1)), "1");
    for seen_after in 0..20 {
        let mut b = view("b");
        let seen = begin + seen_after * SECOND;
        b.step(Some(lease.clone()), seen, time(1));
        let stopped = begin + 10 * SECOND;
        let free = (0..60)
            .map(|s| seen + s * SECOND)
            .find(|now| b.step(Some(lease.clone()), *now, time(1)) != Step::Wait);
        assert!(free.unwrap() >= stopped + (terms.duration - 10 * SECOND));
    }
}
