//! Templates that are to be deleted while Ingresses use them.

use kube::ResourceExt;

use crate::api::ApiDefinition;
use crate::diagnostic::{Code, Diagnostic};
use crate::snapshot::{Snapshot, SnapshotKind};

/// Why the deletion of a template waits, in the words that Tyk Operator's users know; `None` when it does not.
pub(super) fn refusal(snapshot: &Snapshot, definition: &ApiDefinition) -> Option<String> {
    if definition.metadata.deletion_timestamp.is_none() || !definition.is_template() {
        return None;
    }
    let users = snapshot.users_of_template(definition);
    let text = format!(
        "Can't delete {}, Ingress resources [{}] depend on it",
        definition.name_any(),
        users.join(", ")
    );
    (!users.is_empty()).then_some(text)
}

/// The same as a finding.
pub(super) fn in_use(snapshot: &Snapshot, definition: &ApiDefinition) -> Option<Diagnostic> {
    let text = refusal(snapshot, definition)?;
    Some(Diagnostic::new(Code::TemplateInUse, definition.object_ref(), "", text))
}

#[cfg(test)]
mod tests;
