//! Which objects need not be kept any longer.

use std::collections::BTreeSet;

use super::ReportInput;
use super::answer::looked_at;
use super::subject::{Role, Subject, lives};
use crate::api::PortalConfig;
use crate::diagnostic::ObjectRef;
use crate::snapshot::{NamespacedName, SnapshotKind};
use crate::sync::ApiOutcome;

/// Whether an object that is being deleted may go: its Tyk was seen without what was made of it, or that belongs to
/// another.
///
/// An object that no round knew to be in deletion waits for the next one. `leaving` are all that are being deleted.
pub(super) fn is_due(input: &ReportInput<'_>, subject: &Subject<'_>, leaving: &BTreeSet<ObjectRef>) -> bool {
    if !subject.is_kept() || !subject.is_leaving() {
        return false;
    }
    match subject.role {
        Role::Template => true,
        // The object may be newer than what was made of the world: who uses it was not asked then.
        Role::Part | Role::Context => input.fleet.leaving.contains(&subject.object),
        // The configuration stays on the Dashboard.
        Role::Portal if subject.object.kind == PortalConfig::KIND => true,
        Role::Api | Role::Policy | Role::Portal => is_gone(input, subject, leaving),
    }
}

fn is_gone(input: &ReportInput<'_>, subject: &Subject<'_>, leaving: &BTreeSet<ObjectRef>) -> bool {
    let Some((place, outcome)) = looked_at(input, subject) else {
        return false;
    };
    let Some(desired) = input.fleet.tyks.get(&place.tyk) else {
        return false;
    };
    let id = &*place.id;
    let (worked, results, has_heir) = match subject.role {
        Role::Portal => {
            let heir = desired.portal.contains_key(id) || desired.held_portal.contains(id);
            (outcome.desired.portal_removals.contains_key(id), &outcome.portal, heir)
        }
        Role::Policy => {
            let heir = desired.policies.contains_key(id) || desired.held_policies.contains(id);
            (outcome.desired.policy_removals.contains(id), &outcome.policies, heir)
        }
        _ => {
            let heir = desired.api(id).is_some() || desired.held.contains(id);
            (outcome.desired.removals.contains(id), &*outcome.apis, heir)
        }
    };
    if has_heir {
        return has_living_heir(input, subject, leaving);
    }
    worked && results.get(id) == Some(&ApiOutcome::Gone)
}

/// Whether another resource lives that has the id, so that what Tyk holds stays.
fn has_living_heir(input: &ReportInput<'_>, subject: &Subject<'_>, leaving: &BTreeSet<ObjectRef>) -> bool {
    if let Some(ingress) = subject.ingress {
        // A child that somebody deleted is made anew, but only when the old one is out of the way.
        return lives(input.snapshot, &NamespacedName::new(&subject.object.namespace, ingress));
    }
    let place = subject.place(input);
    let mut others = input.fleet.places.iter();
    others.any(|(object, other)| Some(other) == place && *object != subject.object && !leaving.contains(object))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use crate::api::{OperatorContext, SubGraph, names};
    use crate::desired::{self, Context, Fleet, Operator};
    use crate::ingress::Translation;
    use crate::report::{ReportInput, report};
    use crate::snapshot::Snapshot;

    fn world(deleted: bool) -> (Snapshot, Fleet) {
        let metadata = |finalizer: &str| {
            let mut metadata = json!({"namespace": "ns", "name": "a", "finalizers": [finalizer]});
            if deleted {
                metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            }
            json!({"metadata": metadata})
        };
        let mut snapshot = Snapshot::default();
        let context = metadata(names::FINALIZER_OPERATOR_CONTEXT);
        snapshot.insert(serde_json::from_value::<OperatorContext>(context).unwrap());
        let graph = metadata(names::FINALIZER_SUB_GRAPH);
        snapshot.insert(serde_json::from_value::<SubGraph>(graph).unwrap());
        let operator = Operator::new(Context::default());
        let (fleet, _) = desired::build_all(&snapshot, &Translation::default(), &operator);
        (snapshot, fleet)
    }

    #[test]
    fn nothing_goes_before_it_was_asked_who_uses_it() {
        let released = |snapshot: &Snapshot, fleet: &Fleet| {
            let input = ReportInput {
                snapshot,
                translation: &Translation::default(),
                fleet,
                diagnostics: &[],
                outcomes: &BTreeMap::new(),
                org: "",
                owner: "",
                addresses: None,
                now: Time(Timestamp::UNIX_EPOCH),
            };
            report(&input).release.len()
        };
        let (_, before) = world(false);
        let (snapshot, after) = world(true);
        assert_eq!(released(&snapshot, &before), 0);
        assert_eq!(released(&snapshot, &after), 2);
    }
}
