//! Which objects need not be kept any longer.

use kube::ResourceExt;

use super::ReportInput;
use crate::api::{ApiDefinition, Generated, names};
use crate::snapshot::{NamespacedName, Snapshot};
use crate::sync::ApiOutcome;

/// Whether an object that is being deleted may go: the gateway was seen without its API, or the API is another's.
///
/// An object that the round did not know to be in deletion waits for the next one.
pub(super) fn is_due(input: &ReportInput<'_>, definition: &ApiDefinition) -> bool {
    let kept = [names::FINALIZER_API_DEFINITION, names::FINALIZER_TEMPLATE];
    let waits = definition
        .finalizers()
        .iter()
        .any(|finalizer| kept.contains(&finalizer.as_str()));
    if !waits || definition.metadata.deletion_timestamp.is_none() {
        return false;
    }
    let id = definition.api_id();
    if definition.is_template() {
        return input.snapshot.users_of_template(definition).is_empty();
    }
    if input.desired.removals.contains(&id) {
        return input.outcome.apis.get(&id) == Some(&ApiOutcome::Gone);
    }
    let wanted = input.desired.api(&id).is_some() || input.desired.held.contains(&id);
    wanted && has_heir(input, definition, &id)
}

/// Whether another resource lives that has the API id, so that the API stays.
fn has_heir(input: &ReportInput<'_>, definition: &ApiDefinition, id: &str) -> bool {
    if definition.is_child() {
        // A child that somebody deleted is made anew, but only when the old one is out of the way.
        return owner_lives(input.snapshot, definition);
    }
    let mut others = input.snapshot.api_definitions.values();
    others.any(|other| other.metadata.deletion_timestamp.is_none() && !other.is_template() && other.api_id() == id)
}

fn owner_lives(snapshot: &Snapshot, child: &ApiDefinition) -> bool {
    let namespace = child.namespace().unwrap_or_default();
    let mut owners = child
        .owner_references()
        .iter()
        .filter(|owner| owner.controller == Some(true));
    owners.any(|owner| {
        let ingress = snapshot.ingresses.get(&NamespacedName::new(&namespace, &owner.name));
        ingress.is_some_and(|ingress| ingress.metadata.deletion_timestamp.is_none())
    })
}
