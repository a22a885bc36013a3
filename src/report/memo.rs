//! What is remembered of the last report: resources of which there was nothing to tell, while they, and what is asked of
//! their Tyk, are still the same. It changes how long a report takes and nothing else.

use std::any::Any;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::Arc;

use super::ReportInput;
use super::answer::{Answer, looked_at};
use super::status::Errors;
use super::subject::{Role, Subject};
use crate::desired::Payload;
use crate::diagnostic::ObjectRef;

/// What is remembered of one report for the next.
#[derive(Debug, Default)]
pub struct Memo {
    /// Organisation and name of the operator, which all statuses depend on.
    common: [String; 2],
    known: BTreeMap<ObjectRef, Known>,
}

/// Of a resource of which there was nothing to tell.
#[derive(Debug)]
struct Known {
    object: Arc<dyn Any + Send + Sync>,
    /// Whether its status says that it is served.
    is_told: bool,
    /// What its Tyk had confirmed.
    confirmed: Payload,
    /// Whether the report under way has it.
    is_there: bool,
}

impl Memo {
    /// A report begins.
    pub(super) fn begin(&mut self, input: &ReportInput<'_>) {
        let common = [input.org, input.owner].map(str::to_owned);
        if self.common != common {
            *self = Self {
                common,
                known: BTreeMap::new(),
            };
        }
    }

    /// Whether there was nothing to tell of a resource when its Tyk had confirmed this; then, whether its status says that
    /// it is served. What is remembered of another object in its place is forgotten.
    pub(super) fn settled(&mut self, subject: &Subject<'_>, confirmed: Option<&Payload>) -> Option<bool> {
        let known = self.known.get_mut(&subject.object)?;
        let is_same = ptr::addr_eq(Arc::as_ptr(&known.object), Arc::as_ptr(&subject.held));
        if is_same && confirmed.is_some_and(|confirmed| known.confirmed.is_shared_with(confirmed)) {
            known.is_there = true;
            return Some(known.is_told);
        }
        self.known.remove(&subject.object);
        None
    }

    /// There is nothing to tell of a resource whose Tyk has confirmed this.
    pub(super) fn settle(&mut self, subject: &Subject<'_>, confirmed: &Payload, is_told: bool) {
        let known = Known {
            object: Arc::clone(&subject.held),
            is_told,
            confirmed: confirmed.clone(),
            is_there: true,
        };
        self.known.insert(subject.object.clone(), known);
    }

    /// The report ends.
    pub(super) fn end(&mut self) {
        self.known.retain(|_, known| std::mem::take(&mut known.is_there));
    }
}

/// What the Tyk of a resource has confirmed, when that and the resource are all that its status is made from.
pub(super) fn confirmed<'a>(
    input: &ReportInput<'a>,
    errors: &Errors<'_>,
    subject: &Subject<'_>,
    answer: Answer<'_>,
) -> Option<&'a Payload> {
    // What is being deleted is never synced.
    if subject.role != Role::Api || answer != Answer::Synced {
        return None;
    }
    if errors.has(&subject.object) || input.fleet.links.contains_key(&subject.object) {
        return None;
    }
    let (place, outcome) = looked_at(input, subject)?;
    Some(&outcome.desired.api(&place.id)?.payload)
}
