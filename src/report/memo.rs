//! What is remembered of the last report: resources of which there was nothing to tell, while they, and what is asked of
//! their Tyk, are still the same. It changes how long a report takes and nothing else.

use std::any::Any;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::Arc;

use super::answer::Answer;
use super::status::Errors;
use super::subject::{Role, Subject};
use super::{ReportInput, status};
use crate::desired::Payload;
use crate::diagnostic::ObjectRef;

/// What is remembered of one report for the next.
#[derive(Debug, Default)]
pub struct Memo {
    /// Organisation and name of the operator, which all statuses depend on.
    common: [String; 2],
    known: BTreeMap<ObjectRef, Known>,
}

/// Of one resource.
#[derive(Debug)]
struct Known {
    object: Arc<dyn Any + Send + Sync>,
    /// Whether its status says that it is served.
    told: bool,
    /// What its Tyk had confirmed when there was nothing to tell.
    settled: Option<Payload>,
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

    /// Takes in a resource as it is now.
    pub(super) fn take_in(&mut self, subject: &Subject<'_>) {
        let is_same = |known: &&mut Known| ptr::addr_eq(Arc::as_ptr(&known.object), Arc::as_ptr(&subject.held));
        if let Some(known) = self.known.get_mut(&subject.object).filter(is_same) {
            known.is_there = true;
            return;
        }
        let known = Known {
            object: Arc::clone(&subject.held),
            // Of others than children nobody asks.
            told: subject.ingress.is_some() && status::is_synced(subject.status()),
            settled: None,
            is_there: true,
        };
        self.known.insert(subject.object.clone(), known);
    }

    /// Whether there was nothing to tell of a resource whose Tyk had confirmed this.
    pub(super) fn is_settled(&self, object: &ObjectRef, confirmed: &Payload) -> bool {
        let settled = self.known.get(object).and_then(|known| known.settled.as_ref());
        settled.is_some_and(|settled| settled.is_shared_with(confirmed))
    }

    /// There is nothing to tell of a resource whose Tyk has confirmed this.
    pub(super) fn settle(&mut self, object: &ObjectRef, confirmed: &Payload) {
        if let Some(known) = self.known.get_mut(object) {
            known.settled = Some(confirmed.clone());
        }
    }

    /// Whether the status of a child says that it is served.
    pub(super) fn is_told(&self, child: &ObjectRef) -> bool {
        self.known.get(child).is_some_and(|known| known.told)
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
    if subject.role != Role::Api || subject.is_leaving() || answer != Answer::Synced {
        return None;
    }
    if errors.has(&subject.object) || input.fleet.links.contains_key(&subject.object) {
        return None;
    }
    let place = subject.place(input)?;
    let api = input.fleet.tyks.get(&place.tyk)?.api(&place.id)?;
    Some(&api.payload)
}
