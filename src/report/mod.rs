//! What is said to the user about rounds: status, finalizers to release, diagnostics. Pure.

mod address;
mod answer;
mod backend;
mod fields;
mod ingress;
mod memo;
mod refusal;
mod release;
mod repaired;
mod status;
mod subject;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::desired::{Fleet, Installation};
use crate::diagnostic::{Code, Diagnostic, ObjectRef};
use crate::ingress::Translation;
use crate::packed::Packed;
use crate::snapshot::{NamespacedName, Snapshot};
use crate::sync::Outcome;
use answer::Answer;
use subject::{Role, Subject};

pub use address::{Address, addresses_of};
pub use ingress::IngressStatus;
pub use memo::Memo;
pub use repaired::repaired;

/// All that a report is made from.
#[derive(Clone, Debug)]
pub struct ReportInput<'a> {
    /// The newest state of the cluster.
    pub snapshot: &'a Snapshot,
    /// The children of the Ingresses that are ours now.
    pub translation: &'a Translation,
    /// What every Tyk should hold now.
    pub fleet: &'a Fleet,
    /// Findings of the translation and of the definitions.
    pub diagnostics: &'a [Diagnostic],
    /// How the last round against each Tyk ended, which may have worked on an earlier state.
    pub outcomes: &'a BTreeMap<Arc<Installation>, Outcome>,
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
    /// Statuses of our own kinds, only those that differ from what the snapshot holds.
    pub statuses: BTreeMap<ObjectRef, Packed>,
    /// Addresses in the status of Ingresses, only those that differ from what the snapshot holds.
    pub ingresses: BTreeMap<NamespacedName, IngressStatus>,
    /// What a Tyk serves since its last round, with a note.
    pub synced: BTreeMap<ObjectRef, String>,
    /// Objects that wait for their deletion and that no Tyk holds anything of any more.
    pub release: Vec<ObjectRef>,
    /// The findings of the input and one for everything that could not be brought in step, sorted.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reports how the last rounds ended.
pub fn report(input: &ReportInput<'_>) -> Report {
    report_again(input, &mut Memo::default())
}

/// The same, and sooner, with what is remembered of the last time.
pub fn report_again(input: &ReportInput<'_>, memo: &mut Memo) -> Report {
    memo.begin(input);
    let mut report = Report {
        diagnostics: input.diagnostics.to_vec(),
        ..Report::default()
    };
    let errors = status::Errors::of(input.diagnostics);
    let subjects = subject::all(input);
    let leaving = subjects.iter().filter(|subject| subject.is_leaving());
    let leaving = leaving.map(|subject| subject.object.clone()).collect();
    let mut heard = BTreeMap::new();
    for subject in subjects {
        let answer = Answer::of(input, &subject);
        let confirmed = memo::confirmed(input, &errors, &subject, answer);
        let settled = memo.settled(&subject, confirmed);
        // Of others than children nobody asks.
        let is_told = subject.ingress.is_some() && settled.unwrap_or_else(|| status::is_synced(subject.status()));
        if subject.ingress.is_some() {
            let is_synced = answer == Answer::Synced;
            heard.insert(subject.object.clone(), ingress::Heard { is_told, is_synced });
        }
        if settled.is_some() {
            continue;
        }
        add(input, (&errors, &leaving), &subject, answer, &mut report);
        if let Some(confirmed) = confirmed.filter(|_| !report.statuses.contains_key(&subject.object)) {
            memo.settle(&subject, confirmed, is_told);
        }
    }
    memo.end();
    ingress::report(input, &heard, &mut report);
    report.diagnostics.extend(backend::of_services(input));
    report.diagnostics.sort();
    report.diagnostics.dedup();
    report
}

fn add(
    input: &ReportInput<'_>,
    (errors, leaving): (&status::Errors<'_>, &BTreeSet<ObjectRef>),
    subject: &Subject<'_>,
    answer: Answer<'_>,
    report: &mut Report,
) {
    if let Answer::Failed(error) = answer {
        report.diagnostics.extend(sync_failed(subject, error));
    }
    let refusal = refusal::of(input, subject);
    if let Some(reason) = &refusal {
        report.diagnostics.push(refusal::finding(subject, reason));
    } else if release::is_due(input, subject, leaving) {
        report.release.push(subject.object.clone());
        return;
    }
    let Some(status) = status::changed(input, errors, subject, (answer, refusal.as_deref())) else {
        return;
    };
    if subject.ingress.is_none() && !status::is_synced(subject.status()) && status::is_synced(&status) {
        let what = match subject.role {
            Role::Policy => "The gateway holds the policy.",
            Role::Portal => "The portal shows it.",
            _ => "The gateway serves the API.",
        };
        report.synced.insert(subject.object.clone(), what.to_owned());
    }
    report.statuses.insert(subject.object.clone(), status.into());
}

/// One finding for the resource and, when it is a child, one for its Ingress, which is what the user wrote.
fn sync_failed(subject: &Subject<'_>, error: &str) -> Vec<Diagnostic> {
    let object = &subject.object;
    let own = Diagnostic::new(Code::SyncFailed, object.clone(), "", error);
    let ingress = subject.ingress.map(|name| {
        let ingress = ObjectRef::new("Ingress", &object.namespace, name);
        Diagnostic::new(Code::SyncFailed, ingress, "", format!("{}: {error}", object.name))
    });
    std::iter::once(own).chain(ingress).collect()
}
