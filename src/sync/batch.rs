//! The calls of one batch: all writes and deletes, in their order. The reload is the caller's.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::certificates::Certificates;
use super::mark::Stamp;
use super::tyk::Tyk;
use super::{Calls, Loaded, Observed, Plan, route};
use crate::desired::Desired;
use crate::tyk::Error;

/// Writes that are under way together. A gateway has only to put each into a file.
const TOGETHER: usize = 4;

/// What an object of a gateway is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// An API of any form.
    Api,
    /// A policy.
    Policy,
}

impl Sort {
    /// For "a plan that deletes most …".
    pub(super) fn plural(self) -> &'static str {
        match self {
            Sort::Api => "APIs",
            Sort::Policy => "policies",
        }
    }

    /// For "… with this id".
    pub(super) fn indefinite(self) -> &'static str {
        match self {
            Sort::Api => "an API",
            Sort::Policy => "a policy",
        }
    }
}

/// One call of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Makes or replaces an object.
    Write(Sort, String),
    /// The same, of one at whose write the gateway broke before.
    Retry(Sort, String),
    /// Removes an object.
    Delete(Sort, String),
}

impl Step {
    fn sort(&self) -> Sort {
        let (Step::Write(sort, _) | Step::Retry(sort, _) | Step::Delete(sort, _)) = self;
        *sort
    }

    fn id(&self) -> &str {
        let (Step::Write(_, id) | Step::Retry(_, id) | Step::Delete(_, id)) = self;
        id
    }

    /// The API that it is about.
    fn api(&self) -> Option<&str> {
        (self.sort() == Sort::Api).then(|| self.id())
    }

    /// Whether it may be under way together with others: it writes a classic definition into a file of its own.
    fn is_apart(&self, tyk: &Tyk, desired: &Desired) -> bool {
        let Step::Write(Sort::Api, id) = self else { return false };
        let is_document = |id| desired.api(id).is_some_and(|api| api.payload.is_document());
        !tyk.is_dashboard() && !is_document(id)
    }
}

/// The calls of two plans, in their order. Versions that go come first: with one, the gateway writes its base API again as
/// it was loaded (source, 5.11), over what was written and in the place of what was deleted. Policies go before the APIs whose requests need one, and are deleted before
/// the APIs that they give access to. Writes of suspects go last, so that an object at which the gateway breaks costs its
/// neighbours nothing.
pub(super) fn steps(
    (policies, suspect_policies): (&Plan, &BTreeSet<String>),
    (apis, suspect_apis): (&Plan, &BTreeSet<String>),
    observed: &Observed,
) -> Vec<Step> {
    let versions = versions(observed);
    let writes = |sort: Sort, plan: &Plan, suspects: &BTreeSet<String>, suspect: bool| -> Vec<Step> {
        let ids = plan.writes.keys().filter(|id| suspects.contains(*id) == suspect);
        let step = if suspect { Step::Retry } else { Step::Write };
        ids.map(|id| step(sort, id.clone())).collect()
    };
    let deletes = |sort: Sort, plan: &Plan, version: bool| -> Vec<Step> {
        let is_version = |id: &String| sort == Sort::Api && versions.contains(id.as_str());
        let ids = plan.deletes.iter().filter(|id| is_version(id) == version);
        ids.map(|id| Step::Delete(sort, id.clone())).collect()
    };
    [
        deletes(Sort::Api, apis, true),
        writes(Sort::Policy, policies, suspect_policies, false),
        writes(Sort::Api, apis, suspect_apis, false),
        writes(Sort::Policy, policies, suspect_policies, true),
        writes(Sort::Api, apis, suspect_apis, true),
        deletes(Sort::Policy, policies, false),
        deletes(Sort::Api, apis, false),
    ]
    .concat()
}

/// The calls for a Dashboard, whose gateways serve each as it is made: an API takes a route only when the one that has
/// it has left. Otherwise the Dashboard refuses the one that comes, or its gateways rename it until it is written again.
/// Where APIs trade their routes, one of them comes too early, and is written once more at the end.
pub(super) fn in_turn(steps: &[Step], desired: &Desired, observed: &Observed) -> Vec<Step> {
    let routes = observed.iter().map(|(id, held)| (route::of_loaded(held), id.as_str()));
    let mut turns = Turns {
        steps: steps.iter().filter_map(|step| Some((step.api()?, step))).collect(),
        holders: routes.collect(),
        begun: BTreeSet::new(),
        ordered: Vec::new(),
        again: Vec::new(),
        desired,
    };
    for step in steps {
        match step.api() {
            Some(id) => turns.take(id),
            None => turns.ordered.push(step.clone()),
        }
    }
    turns.ordered.append(&mut turns.again);
    turns.ordered
}

/// Calls on their way into another order.
struct Turns<'a> {
    /// Of APIs, by id.
    steps: BTreeMap<&'a str, &'a Step>,
    /// Who has a route now.
    holders: BTreeMap<String, &'a str>,
    begun: BTreeSet<&'a str>,
    ordered: Vec<Step>,
    again: Vec<Step>,
    desired: &'a Desired,
}

impl<'a> Turns<'a> {
    /// Adds the step of an API, after that of the API in whose place it comes.
    fn take(&mut self, id: &'a str) {
        let Some(&step) = self.steps.get(id).filter(|_| self.begun.insert(id)) else {
            return;
        };
        if let (Step::Write(..) | Step::Retry(..), Some(api)) = (step, self.desired.api(id))
            && let Some(&holder) = self
                .holders
                .get(&route::of(&api.payload.value()))
                .filter(|holder| **holder != id)
        {
            self.take(holder);
            let leaves = |other: &&Step| other.api() == Some(holder);
            if self.steps.contains_key(holder) && !self.ordered.iter().any(|other| leaves(&other)) {
                self.again.push(step.clone());
            }
        }
        self.ordered.push(step.clone());
    }
}

/// Ids of the APIs that others name as versions of theirs.
fn versions(observed: &Observed) -> BTreeSet<&str> {
    let named = observed
        .values()
        .filter_map(|held| held.value()["definition"]["versions"].as_object());
    named
        .flat_map(|versions| versions.values())
        .filter_map(Value::as_str)
        .collect()
}

/// What was sent of one sort.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Objects that the gateway took, with the stamp that was sent.
    pub(super) written: BTreeMap<String, Stamp>,
    /// Objects whose write or delete the gateway did not want, with its message.
    pub(super) refused: BTreeMap<String, String>,
}

impl Sent {
    fn join(&mut self, later: Self) {
        self.written.extend(later.written);
        self.refused.extend(later.refused);
    }
}

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) apis: Sent,
    pub(super) policies: Sent,
    /// Why the rest was not sent, and the object at which that was.
    pub(super) stopped: Option<(Sort, String, Error)>,
    /// Whether the gateway may have something to load.
    pub(super) touched: bool,
}

/// What is to be sent, and what the gateway had before.
pub(super) struct Work<'a> {
    pub(super) desired: &'a Desired,
    pub(super) apis: &'a Observed,
    pub(super) policies: &'a Observed,
    pub(super) steps: Vec<Step>,
}

/// Who sends to which Tyk, and with which certificates.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) tyk: &'a Tyk,
    pub(super) owner: &'a str,
    pub(super) certificates: &'a Certificates,
}

/// What came of a call; without a stamp that of a delete.
type Answer = (Option<Stamp>, Result<(), Error>);

/// Makes the calls, until one shows that the gateway should be left alone.
pub(super) async fn send(
    sender: Sender<'_>,
    work: &Work<'_>,
    (cancel, calls): (&CancellationToken, &mut Calls),
) -> Batch {
    let Sender { tyk, .. } = sender;
    let is_apart = |step: &Step| step.is_apart(tyk, work.desired);
    let mut batch = Batch::default();
    for turn in work.steps.chunk_by(|one, other| is_apart(one) && is_apart(other)) {
        let (mut waiting, mut under_way) = (turn.iter(), FuturesOrdered::new());
        loop {
            while under_way.len() < TOGETHER
                && !cancel.is_cancelled()
                && let Some(step) = waiting.next()
            {
                let written = &batch.sent(step.sort()).written;
                let last = written.get(step.id()).map(|stamp| stamp.write);
                under_way.push_back(sender.call(work, step, last));
            }
            let Some((step, answer)) = under_way.next().await else {
                break;
            };
            let Some((stamp, answer)) = answer else { continue };
            match &stamp {
                Some(_) => calls.writes += 1,
                None => calls.deletes += 1,
            }
            let (sort, id) = (step.sort(), step.id());
            let stamp = stamp.filter(|_| answer.is_ok());
            batch
                .sent(sort)
                .written
                .extend(stamp.map(|stamp| (id.to_owned(), stamp)));
            if batch.stops(tyk, (sort, id), &answer) {
                return batch;
            }
        }
    }
    batch
}

impl Sender<'_> {
    /// Makes a call; `None` when there is nothing to write. `last` is the number of the write before in the same batch.
    async fn call<'s>(self, work: &Work<'_>, step: &'s Step, last: Option<u64>) -> (&'s Step, Option<Answer>) {
        let answer = match step {
            Step::Write(sort, id) | Step::Retry(sort, id) => {
                let written = self.write(work, (*sort, id, last)).await;
                written.map(|(stamp, answer)| (Some(stamp), answer))
            }
            Step::Delete(sort, id) => Some((None, delete(self.tyk, work, (*sort, id)).await)),
        };
        (step, answer)
    }

    async fn write(
        self,
        work: &Work<'_>,
        (sort, id, last): (Sort, &str, Option<u64>),
    ) -> Option<(Stamp, Result<(), Error>)> {
        let Self {
            tyk,
            owner,
            certificates,
        } = self;
        match sort {
            Sort::Api => {
                let api = work.desired.api(id)?;
                let held = work.apis.get(id);
                let payload = api.payload.value();
                let mut stamp = Stamp::next(&payload, held);
                stamp.write = last.map_or(stamp.write, |last| last.wrapping_add(1));
                let uploaded = certificates.of_api(&payload, held, work.desired);
                let definition = stamp.put(&payload, owner, &uploaded);
                let answer = tyk.write_api(api, definition, held.map(Loaded::value)).await;
                Some((stamp, answer))
            }
            Sort::Policy => {
                let payload = &work.desired.policies.get(id)?.payload;
                let held = work.policies.get(id);
                let stamp = Stamp::next(payload, held);
                let answer = tyk
                    .write_policy(stamp.put_into_policy(payload, owner), held.map(Loaded::value))
                    .await;
                Some((stamp, answer))
            }
        }
    }
}

async fn delete(tyk: &Tyk, work: &Work<'_>, (sort, id): (Sort, &str)) -> Result<(), Error> {
    match sort {
        Sort::Api => tyk.delete_api(id, work.apis.get(id).map(Loaded::value)).await,
        Sort::Policy => tyk.delete_policy(id, work.policies.get(id).map(Loaded::value)).await,
    }
}

impl Batch {
    /// Takes in what was sent later.
    pub(super) fn join(&mut self, later: Self) {
        self.apis.join(later.apis);
        self.policies.join(later.policies);
        self.stopped = self.stopped.take().or(later.stopped);
        self.touched |= later.touched;
    }

    /// What was sent of this sort.
    fn sent(&mut self, sort: Sort) -> &mut Sent {
        match sort {
            Sort::Api => &mut self.apis,
            Sort::Policy => &mut self.policies,
        }
    }

    /// Notes a call's answer; says whether the gateway should be left alone.
    fn stops(&mut self, tyk: &Tyk, (sort, id): (Sort, &str), answer: &Result<(), Error>) -> bool {
        self.touched = true;
        match answer {
            Ok(()) => false,
            Err(error) if tyk.blames_object(error) => {
                self.sent(sort).refused.insert(id.to_owned(), error.to_string());
                false
            }
            Err(error) => {
                self.stopped = Some((sort, id.to_owned(), error.clone()));
                true
            }
        }
    }
}
