//! What a Tyk has confirmed about a resource.

use std::sync::Arc;

use super::ReportInput;
use super::subject::{Role, Subject};
use crate::desired::{Desired, Place, Wanted};
use crate::diagnostic::ObjectRef;
use crate::sync::{ApiOutcome, Outcome};

/// What the Tyk of a resource has confirmed about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answer<'a> {
    /// It holds what the resource asks for.
    Synced,
    /// It holds nothing, as the resource asks for.
    Gone,
    /// It does not do as asked, for a reason of this resource alone.
    Failed(&'a str),
    /// It could not be asked.
    Unreachable(&'a str),
    /// No round was about the resource as it now is.
    None,
}

impl<'a> Answer<'a> {
    pub(super) fn of(input: &ReportInput<'a>, subject: &Subject<'_>) -> Self {
        let Some((place, outcome)) = looked_at(input, subject) else {
            return Self::None;
        };
        if !concerns(input, subject, place, outcome) {
            return Self::None;
        }
        let results = match subject.role {
            Role::Policy => &outcome.policies,
            Role::Portal => &outcome.portal,
            _ => &outcome.apis,
        };
        let endpoint_error = outcome.endpoint_error.as_deref();
        match (results.get(&place.id), endpoint_error) {
            (Some(ApiOutcome::Synced), _) => Self::Synced,
            (Some(ApiOutcome::Gone), _) => Self::Gone,
            // A round that ends early says of everything that is left why it ended.
            (Some(ApiOutcome::Failed(error)), Some(same)) if error == same => Self::Unreachable(same),
            (Some(ApiOutcome::Failed(error)), _) => Self::Failed(error),
            (None, Some(error)) => Self::Unreachable(error),
            (None, None) => Self::None,
        }
    }
}

/// Where a resource goes, and how the last round there ended.
pub(super) fn looked_at<'a>(input: &ReportInput<'a>, subject: &Subject<'_>) -> Option<(&'a Place, &'a Outcome)> {
    let place = subject.place(input)?;
    Some((place, input.outcomes.get(&place.tyk)?))
}

/// Whether the resource, as it now is, is part of what its Tyk should hold.
pub(super) fn is_wanted(input: &ReportInput<'_>, subject: &Subject<'_>) -> bool {
    let place = subject.place(input);
    let found = place.and_then(|place| Some((place, input.fleet.tyks.get(&place.tyk)?)));
    found.is_some_and(|(place, now)| is_form_of(subject, &Form::in_state(now, subject.role, &place.id)))
}

/// What is asked of a Tyk under one id.
#[derive(PartialEq)]
struct Form<'a> {
    wanted: Option<(&'a ObjectRef, i64, Wanted<'a>)>,
    removed: bool,
}

impl<'a> Form<'a> {
    fn in_state(desired: &'a Desired, role: Role, id: &str) -> Self {
        match role {
            Role::Policy => Self {
                wanted: desired
                    .policies
                    .get(id)
                    .map(|one| (&one.source, one.generation, Wanted::Whole(&one.payload))),
                removed: desired.policy_removals.contains(id),
            },
            Role::Portal => Self {
                wanted: desired
                    .portal
                    .get(id)
                    .map(|one| (&one.source, one.generation, Wanted::Whole(&one.payload))),
                removed: desired.portal_removals.contains_key(id),
            },
            _ => Self {
                wanted: desired
                    .api(id)
                    .map(|one| (&one.source, one.generation, Wanted::Packed(&one.payload))),
                removed: desired.removals.contains(id),
            },
        }
    }
}

/// Whether it is what this resource asks for as it now is.
fn is_form_of(subject: &Subject<'_>, form: &Form<'_>) -> bool {
    match form.wanted {
        None => form.removed,
        // A rendered child has no generation before the cluster gives it one.
        Some((source, generation, _)) => {
            let same_form = generation == 0 || subject.generation == Some(generation);
            !subject.is_leaving() && same_form && *source == subject.object
        }
    }
}

/// Whether a round was about this resource in the form that it now has.
fn concerns(input: &ReportInput<'_>, subject: &Subject<'_>, place: &Place, outcome: &Outcome) -> bool {
    let Some(now) = input.fleet.tyks.get(&place.tyk) else {
        return false;
    };
    let form = Form::in_state(now, subject.role, &place.id);
    let same = Arc::ptr_eq(now, &outcome.desired) || Form::in_state(&outcome.desired, subject.role, &place.id) == form;
    same && is_form_of(subject, &form)
}

/// Whether a resource cannot be used as it is, and what its Tyk holds of it stays.
pub(super) fn is_held(input: &ReportInput<'_>, subject: &Subject<'_>) -> bool {
    let Some(place) = subject.place(input) else {
        return false;
    };
    let Some(desired) = input.fleet.tyks.get(&place.tyk) else {
        return false;
    };
    match subject.role {
        Role::Policy => desired.held_policies.contains(&*place.id),
        Role::Portal => desired.held_portal.contains(&*place.id),
        _ => desired.held.contains(&*place.id),
    }
}

/// What is known of a child of an Ingress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChildState {
    /// Its Tyk serves it.
    Synced,
    /// It is known that it cannot be served as it is.
    Failed,
    /// It is on its way, or nothing is known.
    Waiting,
}

/// The state of a child, as rendered last.
pub(super) fn of_child(input: &ReportInput<'_>, child: &ObjectRef) -> ChildState {
    let Some(place) = input.fleet.places.get(child) else {
        // Its context cannot be used.
        return ChildState::Failed;
    };
    let Some(now) = input.fleet.tyks.get(&place.tyk) else {
        return ChildState::Waiting;
    };
    let wanted = now.api(&place.id);
    if wanted.is_none_or(|api| api.source != *child) {
        // Its definition was refused, or another resource has its id.
        return ChildState::Failed;
    }
    let Some(outcome) = input.outcomes.get(&place.tyk) else {
        return ChildState::Waiting;
    };
    if outcome.desired.api(&place.id) != wanted {
        return ChildState::Waiting;
    }
    match outcome.apis.get(&place.id) {
        Some(ApiOutcome::Synced) => ChildState::Synced,
        Some(ApiOutcome::Failed(error)) if outcome.endpoint_error.as_ref() != Some(error) => ChildState::Failed,
        _ => ChildState::Waiting,
    }
}
