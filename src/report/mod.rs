//! What is said to the user about a round: status, finalizers to release, diagnostics. Pure.

mod address;
mod backend;
mod ingress;
mod oas;
mod release;
mod status;
mod template;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::api::{ApiDefinition, ApiDefinitionStatus, Generated, TykOasApiDefinitionStatus, names};
use crate::desired::Desired;
use crate::diagnostic::{Code, Diagnostic, ObjectRef};
use crate::ingress::Translation;
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind};
use crate::sync::{ApiOutcome, Outcome};

pub use address::{Address, addresses_of};
pub use ingress::IngressStatus;

/// All that a report is made from. `translation`, `desired` and `outcome` are of one revision; the rest may be newer.
#[derive(Clone, Debug)]
pub struct ReportInput<'a> {
    /// The newest state of the cluster.
    pub snapshot: &'a Snapshot,
    /// The Ingresses that are ours now, sorted.
    pub ingresses: &'a [NamespacedName],
    /// The children that the round worked on.
    pub translation: &'a Translation,
    /// What the round worked on.
    pub desired: &'a Desired,
    /// Findings of the translation and of the definitions.
    pub diagnostics: &'a [Diagnostic],
    /// How the round ended.
    pub outcome: &'a Outcome,
    /// Organisation of APIs that name none.
    pub org: &'a str,
    /// This operator, as the label `tyk.io/operator` of its children names it.
    pub owner: &'a str,
    /// Where the gateway is reached; `None` while that is not known.
    pub addresses: Option<&'a BTreeSet<Address>>,
    /// Time of whatever changes in a status now.
    pub now: Time,
}

/// What is to be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Status of ApiDefinitions, only those that differ from what the snapshot holds.
    pub statuses: BTreeMap<NamespacedName, ApiDefinitionStatus>,
    /// Addresses in the status of Ingresses, only those that differ from what the snapshot holds.
    pub ingresses: BTreeMap<NamespacedName, IngressStatus>,
    /// What the gateway serves since this round, with a note.
    pub synced: BTreeMap<ObjectRef, String>,
    /// ApiDefinitions that wait for their deletion and that the gateway holds nothing of any more.
    pub release: Vec<NamespacedName>,
    /// Status of TykOasApiDefinitions, only those that differ from what the snapshot holds.
    pub oas_statuses: BTreeMap<NamespacedName, TykOasApiDefinitionStatus>,
    /// As `release`, of TykOasApiDefinitions.
    pub oas_release: Vec<NamespacedName>,
    /// The findings of the input and one for every API that could not be brought in step, sorted.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reports a round.
pub fn report(input: &ReportInput<'_>) -> Report {
    let mut report = classic(input);
    oas::add(input, &mut report);
    ingress::report(input, &mut report);
    report.diagnostics.extend(backend::of_services(input));
    report.diagnostics.sort();
    report.diagnostics.dedup();
    report
}

fn classic(input: &ReportInput<'_>) -> Report {
    let errors = status::Errors::of(input.diagnostics);
    let mut report = Report {
        diagnostics: input.diagnostics.to_vec(),
        ..Report::default()
    };
    let ours = |definition: &ApiDefinition| !is_foreign(input, definition);
    for (name, definition) in input.snapshot.api_definitions.iter().filter(|(_, object)| ours(object)) {
        let answer = Answer::of(input, definition);
        if let Answer::Failed(error) = answer {
            report.diagnostics.extend(sync_failed(definition, error));
        }
        if release::is_due(input, definition) {
            report.release.push(name.clone());
            continue;
        }
        report.diagnostics.extend(template::in_use(input.snapshot, definition));
        if let Some(status) = status::changed(input, &errors, definition, answer) {
            if !definition.is_child()
                && !status::is_synced(definition.status.as_ref())
                && status::is_synced(Some(&status))
            {
                report
                    .synced
                    .insert(definition.object_ref(), "The gateway serves the API.".to_owned());
            }
            report.statuses.insert(name.clone(), status);
        }
    }
    report
}

/// Whether an object is a child that another operator answers for: it bears that one's label, or it is one of Tyk
/// Operator whose Ingress lives and is not ours.
fn is_foreign(input: &ReportInput<'_>, definition: &ApiDefinition) -> bool {
    if definition.labels().contains_key(names::LABEL_OPERATOR) {
        return definition.is_of_another(input.owner);
    }
    definition.ingress().is_some_and(|name| {
        let ingress = NamespacedName::new(definition.namespace().unwrap_or_default(), name);
        let lives = |found: &Ingress| found.metadata.deletion_timestamp.is_none();
        input.snapshot.ingresses.get(&ingress).is_some_and(|found| lives(found))
            && input.ingresses.binary_search(&ingress).is_err()
    })
}

/// What the gateway has confirmed about an object's API in the round.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer<'a> {
    /// It holds what the object asks for.
    Synced,
    /// It holds nothing, as the object asks for.
    Gone,
    /// It does not do as asked, for a reason of this API alone.
    Failed(&'a str),
    /// It could not be asked.
    Unreachable(&'a str),
    /// The round was not about the object as it now is.
    None,
}

impl<'a> Answer<'a> {
    fn of(input: &ReportInput<'a>, definition: &ApiDefinition) -> Self {
        let id = definition.api_id();
        if !concerns(input.desired, definition, &id) {
            return Self::None;
        }
        let endpoint_error = input.outcome.endpoint_error.as_deref();
        match (input.outcome.apis.get(&id), endpoint_error) {
            (Some(ApiOutcome::Synced), _) => Self::Synced,
            (Some(ApiOutcome::Gone), _) => Self::Gone,
            // A round that ends early says of every API that is left why it ended.
            (Some(ApiOutcome::Failed(error)), Some(same)) if error == same => Self::Unreachable(same),
            (Some(ApiOutcome::Failed(error)), _) => Self::Failed(error),
            (None, Some(error)) => Self::Unreachable(error),
            (None, None) => Self::None,
        }
    }
}

/// Whether the result for the API id is about this object, in the form that it now has.
fn concerns(desired: &Desired, definition: &ApiDefinition, id: &str) -> bool {
    let leaving = definition.is_inactive() || definition.metadata.deletion_timestamp.is_some();
    match desired.apis.get(id) {
        None => leaving && desired.removals.contains(id),
        // A rendered child has no generation before the cluster gives it one.
        Some(api) => {
            let same_form = api.generation == 0 || definition.metadata.generation == Some(api.generation);
            !leaving && same_form && api.source == definition.object_ref()
        }
    }
}

/// One finding for the definition and, when it is a child, one for its Ingress, which is what the user wrote.
fn sync_failed<'a>(definition: &'a ApiDefinition, error: &'a str) -> impl Iterator<Item = Diagnostic> + use<'a> {
    let namespace = definition.namespace().unwrap_or_default();
    let ingress = definition.ingress().map(move |name| {
        let object = ObjectRef::new("Ingress", namespace, name);
        Diagnostic::new(
            Code::SyncFailed,
            object,
            "",
            format!("{}: {error}", definition.name_any()),
        )
    });
    let own = Diagnostic::new(Code::SyncFailed, definition.object_ref(), "", error);
    std::iter::once(own).chain(ingress)
}
