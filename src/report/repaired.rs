//! What was put right on a gateway, for the Events of the objects that it is about.

use std::collections::BTreeMap;

use crate::diagnostic::ObjectRef;
use crate::ingress::Translation;
use crate::snapshot::NamespacedName;
use crate::sync::{Outcome, WriteReason};

/// A sentence for each resource whose API or policy somebody changed, renamed or lost; for a child, its Ingress is told
/// as well.
pub fn repaired(outcome: &Outcome, translation: &Translation) -> BTreeMap<ObjectRef, String> {
    let mut told = BTreeMap::new();
    for (object, reason) in outcome.repaired() {
        let note = note(reason);
        let name = NamespacedName::new(&object.namespace, &object.name);
        if let Some((ingress, _)) = translation.origin(object.kind, &name) {
            let ingress = ObjectRef::new("Ingress", &ingress.namespace, &ingress.name);
            told.insert(ingress, format!("{}: {note}", object.name));
        }
        told.insert(object.clone(), note);
    }
    told
}

fn note(reason: &WriteReason) -> String {
    match reason {
        WriteReason::Missing => "Tyk had lost it. It was put back.".to_owned(),
        WriteReason::Renamed { listen_path } => {
            format!(
                "Tyk had moved it to the listen path {listen_path}, because another API wanted its own. It was put right."
            )
        }
        WriteReason::Changed { fields, .. } if fields.is_empty() => {
            "Somebody had changed it on Tyk. It was put right.".to_owned()
        }
        WriteReason::Changed { fields, .. } => {
            format!(
                "Somebody had changed it on Tyk ({}). It was put right.",
                fields.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::desired::{Desired, Policy};
    use crate::sync::{Cause, Drift};

    #[test]
    fn a_policy_that_was_edited_is_told_by_field_and_never_by_value() {
        let source = ObjectRef::new("SecurityPolicy", "ns", "gold");
        let policy = Policy {
            source: source.clone(),
            generation: 1,
            payload: json!({}),
            waits: false,
        };
        let desired = Desired {
            policies: BTreeMap::from([("gold".to_owned(), policy)]),
            ..Desired::default()
        };
        let reason = WriteReason::Changed {
            fields: vec!["rate".to_owned()],
            cause: Cause::Edited,
        };
        let drift = Drift {
            policies: BTreeMap::from([("gold".to_owned(), reason), ("left".to_owned(), WriteReason::Missing)]),
            ..Drift::default()
        };
        let outcome = Outcome {
            desired: Arc::new(desired),
            drift,
            ..Outcome::default()
        };
        let told = repaired(&outcome, &Translation::default());
        let note = "Somebody had changed it on Tyk (rate). It was put right.";
        assert_eq!(told, BTreeMap::from([(source, note.to_owned())]));
    }
}
