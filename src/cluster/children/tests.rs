#![allow(clippy::unwrap_used)]
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Action, Ours, Rendered, complete, plan};
use crate::api::{ApiDefinition, names};
use crate::snapshot::{NamespacedName, Snapshot, StoredDefinition};

const OURS: Ours<'static> = Ours {
    owner: "east",
    ingresses: &[],
};

fn child(edit: impl FnOnce(&mut Value)) -> ApiDefinition {
    let mut object = json!({
        "metadata": {
            "namespace": "ns", "name": "a", "labels": {names::LABEL_INGRESS: "web", names::LABEL_OPERATOR: "east"},
            "ownerReferences": [{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web", "uid": "u",
                "controller": true, "blockOwnerDeletion": true}],
        },
        "spec": {"name": "a", "proxy": {"listen_path": "/"}},
    });
    edit(&mut object);
    serde_json::from_value(object).unwrap()
}

impl Rendered<ApiDefinition> for ApiDefinition {
    fn definition(&self) -> ApiDefinition {
        self.clone()
    }

    fn is_plainly(&self, _stored: &StoredDefinition) -> bool {
        false
    }
}

/// The same as the cluster has it.
fn stored(edit: impl FnOnce(&mut Value)) -> ApiDefinition {
    child(|object| {
        object["metadata"]["uid"] = json!("uid-a");
        object["metadata"]["finalizers"] = json!([names::FINALIZER_API_DEFINITION]);
        edit(object);
    })
}

/// What is done, in a word.
fn decided(stored: Option<ApiDefinition>, rendered: bool, held: bool) -> String {
    let mut snapshot = Snapshot::default();
    if let Some(stored) = stored {
        snapshot.insert(stored);
    }
    let rendered = rendered.then(|| (NamespacedName::new("ns", "a"), child(|_| ())));
    let rendered: BTreeMap<_, _> = rendered.into_iter().collect();
    let held: BTreeSet<_> = held.then(|| NamespacedName::new("ns", "a")).into_iter().collect();
    let plan = plan(&snapshot, &rendered, &held, OURS);
    let actions = plan.actions.into_iter().map(|(_, action)| match action {
        Action::Create(child) => format!("create {:?}", complete(child).metadata.finalizers.unwrap()),
        Action::Update { uid, .. } => format!("update {uid}"),
        Action::Delete { uid } => format!("delete {}", uid.unwrap()),
    });
    actions
        .chain(plan.errors.into_iter().map(|_| "error".to_owned()))
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn only_what_differs_is_written() {
    type Case = (&'static str, fn(&mut Value), &'static str);
    let cases: [Case; 12] = [
        ("as rendered", |_| (), ""),
        (
            "a label of others",
            |object| object["metadata"]["labels"]["mine"] = json!("x"),
            "",
        ),
        (
            "a finalizer of others",
            |object| object["metadata"]["finalizers"] = json!(["x", names::FINALIZER_API_DEFINITION]),
            "",
        ),
        (
            "no finalizer",
            |object| object["metadata"]["finalizers"] = json!([]),
            "update uid-a",
        ),
        (
            "no label",
            |object| object["metadata"]["labels"] = json!({}),
            "update uid-a",
        ),
        (
            "of Tyk Operator",
            |object| object["metadata"]["labels"] = json!({names::LABEL_INGRESS: "web"}),
            "update uid-a",
        ),
        (
            "of another operator",
            |object| object["metadata"]["labels"][names::LABEL_OPERATOR] = json!("west"),
            "error",
        ),
        (
            "another field",
            |object| object["spec"]["active"] = json!(true),
            "update uid-a",
        ),
        (
            "another value",
            |object| object["spec"]["proxy"]["listen_path"] = json!("/x"),
            "update uid-a",
        ),
        (
            "an earlier Ingress",
            |object| object["metadata"]["ownerReferences"][0]["uid"] = json!("other"),
            "delete uid-a",
        ),
        (
            "hand-written",
            |object| object["metadata"]["ownerReferences"] = json!([]),
            "error",
        ),
        (
            "in deletion",
            |object| {
                object["metadata"]["deletionTimestamp"] = json!("2024-05-06T07:08:09Z");
                object["spec"]["active"] = json!(true);
            },
            "",
        ),
    ];
    for (case, edit, wanted) in cases {
        assert_eq!(decided(Some(stored(edit)), true, false), wanted, "{case}");
    }
    assert_eq!(
        decided(None, true, false),
        format!("create [{:?}]", names::FINALIZER_API_DEFINITION)
    );
}

#[test]
fn only_stale_children_are_deleted() {
    type Case = (&'static str, fn(&mut Value), bool, &'static str);
    let cases: [Case; 5] = [
        ("stale", |_| (), false, "delete uid-a"),
        ("held", |_| (), true, ""),
        (
            "of another operator",
            |object| object["metadata"]["labels"][names::LABEL_OPERATOR] = json!("west"),
            false,
            "",
        ),
        (
            "hand-written",
            |object| object["metadata"]["ownerReferences"] = json!([]),
            false,
            "",
        ),
        (
            "in deletion",
            |object| object["metadata"]["deletionTimestamp"] = json!("2024-05-06T07:08:09Z"),
            false,
            "",
        ),
    ];
    for (case, edit, held, wanted) in cases {
        assert_eq!(decided(Some(stored(edit)), false, held), wanted, "{case}");
    }
}

#[test]
fn children_of_tyk_operator_are_pruned_with_their_ingress_only() {
    let unlabelled = stored(|object| object["metadata"]["labels"] = json!({names::LABEL_INGRESS: "web"}));
    let by = |ingresses: &[NamespacedName]| {
        let owner = "east";
        Ours { owner, ingresses }.include("ns", &unlabelled)
    };
    assert!(by(&[NamespacedName::new("ns", "web")]));
    assert!(!by(&[
        NamespacedName::new("ns", "other"),
        NamespacedName::new("else", "web")
    ]));
}
