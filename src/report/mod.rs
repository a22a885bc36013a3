//! What is said to the user about a round: status, finalizers to release, diagnostics. Pure.

mod status;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::ApiDefinitionStatus;
use crate::desired::Desired;
use crate::diagnostic::Diagnostic;
use crate::snapshot::{NamespacedName, Snapshot};
use crate::sync::Outcome;

/// All that a report is made from. `desired`, `diagnostics` and `outcome` are of one revision; the snapshot may be newer.
#[derive(Clone, Debug)]
pub struct ReportInput<'a> {
    /// The newest state of the cluster.
    pub snapshot: &'a Snapshot,
    /// What the round worked on.
    pub desired: &'a Desired,
    /// Findings of the translation and of the definitions.
    pub diagnostics: &'a [Diagnostic],
    /// How the round ended.
    pub outcome: &'a Outcome,
    /// Organisation of APIs that name none.
    pub org: &'a str,
    /// Time of whatever changes in a status now.
    pub now: Time,
}

/// What is to be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Status of ApiDefinitions, only those that differ from what the snapshot holds.
    pub statuses: BTreeMap<NamespacedName, ApiDefinitionStatus>,
    /// ApiDefinitions that wait for their deletion and of which the gateway holds nothing any more.
    pub release: Vec<NamespacedName>,
    /// The findings of the input and one for every API that could not be brought in step, sorted.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reports a round.
pub fn report(input: &ReportInput<'_>) -> Report {
    let _ = input;
    Report::default()
}
