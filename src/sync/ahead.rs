//! A change of few APIs does not wait for the list of all, which takes a gateway with thousands of them longer than all
//! else up to the write. What it holds of these few is asked for one by one, they are written, and then the round begins:
//! its reload and its list say of every API what came of it, of these few and of all others.
//!
//! So nothing is written or deleted that was not read just before. What is remembered of the last list decides only that
//! the list had better come first: whenever something looks other than plain, nothing is done here.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::batch::Batch;
use super::certificates::Certificates;
use super::diff::{self, Readings};
use super::tyk::Tyk;
use super::{ApiOutcome, Calls, Observed, Outcome, Plan, form, guard, route, settled};
use crate::desired::{Api, Desired, Wanted, short};

/// Few enough that no guard has to look at deletes among them.
const MOST: usize = guard::FREE;

type Apis = BTreeMap<Arc<str>, Api>;

/// Ids of the APIs in which a state differs from the one that the last round has settled: those that are new, otherwise,
/// or not wanted any more.
#[derive(Debug, PartialEq)]
pub(super) struct Change(BTreeSet<String>);

impl Change {
    /// From the state of a round that ended well to the next; `None` when there is none, when it is more than a few classic
    /// APIs, and when the last round could not bring one of them in step.
    pub(super) fn between(last: &Outcome, desired: &Desired) -> Option<Self> {
        if !settled::wants_the_same_beside_apis(&last.desired, desired) {
            return None;
        }
        let (before, now) = (&last.desired.apis, &desired.apis);
        let ids: BTreeSet<String> = differing(before, now).take(MOST + 1).map(ToString::to_string).collect();
        let failed = |id: &String| matches!(last.apis.get(id.as_str()), Some(ApiOutcome::Failed(_)));
        let is_plain = !ids.is_empty() && ids.len() <= MOST && !ids.iter().any(failed);
        is_plain.then_some(Self(ids))
    }
}

/// Ids of the APIs that only one of two states has, or that have another payload in the other one.
pub(super) fn differing<'a>(before: &'a Apis, now: &'a Apis) -> impl Iterator<Item = &'a str> {
    let mut before = before.iter().peekable();
    let mut now = now.iter().peekable();
    // In one walk over both: to look for each id takes several times as long.
    std::iter::from_fn(move || {
        loop {
            let order = match (before.peek(), now.peek()) {
                (Some((one, _)), Some((other, _))) => one.cmp(other),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return None,
            };
            let gone = before.next_if(|_| order.is_le());
            let come = now.next_if(|_| order.is_ge());
            match (gone, come) {
                (Some((_, one)), Some((_, other))) if one.payload == other.payload => {}
                (gone, come) => return come.or(gone).map(|(id, _)| &**id),
            }
        }
    })
}

/// What is remembered of the last list: 16 bytes for each API, or 32 for one that was renamed. Where two texts have one
/// hash, a list comes first for nothing.
#[derive(Debug, Default)]
pub(super) struct LastList {
    /// Hashes of a route and of the API that has it, in order.
    routes: Vec<(u64, u64)>,
}

impl LastList {
    pub(super) fn of(observed: &Observed) -> Self {
        let routes = observed.iter().flat_map(|(id, held)| {
            let holder = short(id);
            route::held_by(id, held).map(|route| (short(&route), holder))
        });
        let mut routes: Vec<_> = routes.collect();
        routes.sort_unstable();
        routes.dedup();
        routes.shrink_to_fit();
        Self { routes }
    }

    /// Whether it had an API with this id.
    fn has(&self, id: &str) -> bool {
        let id = short(id);
        self.routes.iter().any(|(_, holder)| *holder == id)
    }

    /// Whether another API than these has this route, or had it before it was renamed.
    fn has_rival(&self, change: &Change, route: &str) -> bool {
        let route = short(route);
        let start = self.routes.partition_point(|(other, _)| *other < route);
        let mut same = self.routes[start..].iter().take_while(|(other, _)| *other == route);
        same.any(|(_, holder)| !change.0.iter().any(|id| short(id) == *holder))
    }
}

/// What was sent ahead of the list.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    pub(super) plan: Plan,
    pub(super) batch: Batch,
}

/// What decides whether a change goes ahead of the list.
pub(super) struct View<'a> {
    pub(super) tyk: &'a Tyk,
    pub(super) owner: &'a str,
    pub(super) desired: &'a Desired,
    pub(super) readings: &'a Readings,
    pub(super) certificates: &'a Certificates,
    pub(super) last: &'a LastList,
}

impl View<'_> {
    /// What to send ahead, and what the gateway holds of it; `None` when the list has to come first.
    pub(super) async fn plan(&self, change: &Change, calls: &mut Calls) -> Option<(Plan, Observed)> {
        let observed = self.read(change, calls).await?;
        let plan = self.compare(change, &observed);
        let is_free = |id: &String| self.is_free(change, id);
        plan.writes.keys().all(is_free).then_some((plan, observed))
    }

    /// What the gateway holds of these APIs. One that lacks what it had may lack all, and what is there in another form has
    /// more to it than is read here.
    async fn read(&self, Change(ids): &Change, calls: &mut Calls) -> Option<Observed> {
        let Tyk::Gateway(gateway) = self.tyk else { return None };
        let mut observed = Observed::new();
        for id in ids {
            calls.reads += 1;
            match gateway.api(id).await.ok()? {
                Some(held) if form::is_oas(&held) => return None,
                Some(held) => drop(observed.insert(id.clone(), held.into())),
                None if self.last.has(id) => return None,
                None => {}
            }
        }
        Some(observed)
    }

    /// What has to change of these APIs, without those that are in each other's way, as [`diff::diff_read`] says of all.
    fn compare(&self, Change(ids): &Change, observed: &Observed) -> Plan {
        let Self { owner, desired, .. } = *self;
        let wanted = ids.iter().filter_map(|id| desired.apis.get_key_value(id.as_str()));
        let wanted = wanted.map(|(id, api)| (id.as_ref(), Wanted::Packed(&api.payload)));
        let keeps = |id: &str| diff::keeps(desired, id);
        let whose = (owner, &desired.contexts);
        let mut plan = diff::diff_payloads(&wanted.collect(), keeps, observed, whose, self.readings);
        plan.stop_collisions(desired, observed);
        plan
    }

    /// Whether nothing is known that the write of an API would have to wait for.
    fn is_free(&self, change: &Change, id: &str) -> bool {
        let Some(api) = self.desired.api(id) else { return false };
        self.certificates.serve(&api.payload, self.desired)
            && !self.last.has_rival(change, &route::of(&api.payload.value()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::desired::Api;
    use crate::diagnostic::ObjectRef;

    fn api(path: &str) -> Api {
        Api {
            source: ObjectRef::new("ApiDefinition", "default", "a"),
            generation: 1,
            payload: json!({"proxy": {"listen_path": path}}).into(),
        }
    }

    fn state(apis: impl IntoIterator<Item = (usize, &'static str)>) -> Desired {
        Desired {
            apis: apis
                .into_iter()
                .map(|(id, path)| (id.to_string().into(), api(path)))
                .collect(),
            ..Desired::default()
        }
    }

    /// A round that ended well about this state.
    fn settled(desired: Desired) -> Outcome {
        Outcome {
            apis: Arc::new(desired.apis.keys().map(|id| (id.clone(), ApiOutcome::Synced)).collect()),
            desired: Arc::new(desired),
            ..Outcome::default()
        }
    }

    fn of<const N: usize>(ids: [&str; N]) -> Change {
        Change(ids.map(str::to_owned).into())
    }

    #[test]
    fn a_change_is_what_is_new_otherwise_or_not_wanted_any_more() {
        let last = settled(state([(1, "/a"), (2, "/b"), (3, "/c")]));
        let mut next = state([(1, "/a"), (2, "/bb"), (4, "/d")]);
        // That the resource says it anew is none.
        next.apis.values_mut().for_each(|api| api.generation += 1);
        assert_eq!(Change::between(&last, &next), Some(of(["2", "3", "4"])));
        assert_eq!(Change::between(&last, &last.desired), None);
    }

    #[test]
    fn many_are_no_change_of_few() {
        let last = settled(state([]));
        let next = |many: usize| state((0..many).map(|id| (id, "/a")));
        assert!(Change::between(&last, &next(MOST)).is_some());
        assert_eq!(Change::between(&last, &next(MOST + 1)), None);
        assert_eq!(Change::between(&settled(next(MOST + 1)), &state([])), None);
    }

    #[test]
    fn what_the_last_round_has_something_to_tell_of_waits_for_the_list() {
        let mut last = settled(state([(1, "/a"), (2, "/b")]));
        Arc::make_mut(&mut last.apis).insert("2".into(), ApiOutcome::Failed("no".into()));
        Arc::make_mut(&mut last.apis).insert("3".into(), ApiOutcome::Gone);
        assert_eq!(Change::between(&last, &state([(1, "/a"), (2, "/bb")])), None);
        assert_eq!(Change::between(&last, &state([(1, "/a")])), None);
        assert!(Change::between(&last, &state([(1, "/aa"), (2, "/b"), (3, "/c")])).is_some());
    }

    #[test]
    fn a_state_that_is_otherwise_beside_classic_apis_waits_for_the_list() {
        let last = settled(state([(1, "/a")]));
        let is_few = |change: fn(&mut Desired)| {
            let mut next = state([(1, "/aa")]);
            change(&mut next);
            Change::between(&last, &next).is_some()
        };
        assert!(is_few(|_| {}));
        assert!(is_few(|next| next.removals.extend(["2".to_owned()])));
        assert!(!is_few(|next| next.held.extend(["2".to_owned()])));
        assert!(!is_few(|next| drop(next.oas.insert("2".into(), api("/b")))));
        assert!(!is_few(|next| next.contexts.extend(["2".to_owned()])));
    }

    #[test]
    fn a_route_is_free_when_no_other_has_it_or_had_it() {
        let observed = Observed::from([
            (
                "1".to_owned(),
                json!({"domain": "a.example", "proxy": {"listen_path": "/a"}}).into(),
            ),
            (
                "2".to_owned(),
                json!({"domain": "a.example", "proxy": {"listen_path": "/b-2"}}).into(),
            ),
        ]);
        let last = LastList::of(&observed);
        assert!(last.has_rival(&of(["2"]), "a.example/a"));
        assert!(!last.has_rival(&of(["1"]), "a.example/a"));
        assert!(!last.has_rival(&of(["1", "2"]), "a.example/a"));
        assert!(last.has_rival(&of(["1"]), "a.example/b-2"));
        assert!(last.has_rival(&of(["1"]), "a.example/b"));
        assert!(!last.has_rival(&of(["1"]), "a.example/c"));
        assert!(!last.has_rival(&of(["1"]), "/a"));
        assert!(last.has("1") && last.has("2") && !last.has("3"));
    }
}
