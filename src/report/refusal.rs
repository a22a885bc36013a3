//! Why the deletion of an object waits for others.

use super::ReportInput;
use super::subject::{Role, Subject};
use crate::api::{ApiDefinition, TykOasApiDefinition};
use crate::diagnostic::{Code, Diagnostic};
use crate::snapshot::{SnapshotKind, Stored};

/// The reason, in the words that Tyk Operator's users know; `None` when nothing is in the way.
pub(super) fn of(input: &ReportInput<'_>, subject: &Subject<'_>) -> Option<String> {
    if !subject.is_leaving() {
        return None;
    }
    if subject.role != Role::Template {
        return input.fleet.refusals.get(&subject.object).cloned();
    }
    let snapshot = input.snapshot;
    let name = subject.name();
    let users = match subject.object.kind {
        TykOasApiDefinition::KIND => snapshot.users_of_template(snapshot.tyk_oas_api_definitions.get(&name)?.as_ref()),
        ApiDefinition::KIND => snapshot.users_of_template(snapshot.api_definitions.get(&name)?.whole().as_ref()),
        _ => Vec::new(),
    };
    let text = format!(
        "Can't delete {}, Ingress resources [{}] depend on it",
        name.name,
        users.join(", ")
    );
    (!users.is_empty()).then_some(text)
}

/// The same as a finding.
pub(super) fn finding(subject: &Subject<'_>, reason: &str) -> Diagnostic {
    let code = match subject.role {
        Role::Template => Code::TemplateInUse,
        _ => Code::ResourceInUse,
    };
    Diagnostic::new(code, subject.object.clone(), "", reason)
}
