//! Identity of children.

use std::collections::BTreeSet;

use serde_json::json;
use tyk_ingress::api::names::{LABEL_APIDEFINITION, LABEL_INGRESS};

use crate::world::{backend, ingress, rule, world};

/// Tyk Operator joins host and path without a mark between them, and sends the empty path that ImplementationSpecific
/// allows as an empty listen path; here no two rules share a name, and an empty path is the root.
#[test]
fn ing_08_names_differ_and_no_listen_path_is_empty() {
    let hosts = ["", "a", "ab", "a.b", "b"];
    let paths = [
        ("ImplementationSpecific", ""),
        ("Exact", "/"),
        ("Prefix", "/a"),
        ("Exact", "/a"),
        ("Prefix", "/b/a"),
    ];
    let rules: Vec<_> = hosts
        .iter()
        .flat_map(|host| paths.map(|(kind, path)| rule(host, kind, path, "web")))
        .collect();
    let count = rules.len();
    let world = world(&[ingress("shop", json!({}), json!({"rules": rules}))]);
    let names: BTreeSet<_> = world.translation.children.keys().collect();
    assert_eq!(names.len(), count);
    let listen_paths: Vec<_> = world
        .definitions()
        .iter()
        .map(|api| api["proxy"]["listen_path"].clone())
        .collect();
    assert!(
        listen_paths
            .iter()
            .all(|path| path.as_str().is_some_and(|path| path.starts_with('/'))),
        "{listen_paths:?}"
    );
    assert!(world.target("ab", "/anything").is_some());
}

/// Tyk Operator writes the name of the Ingress into a label, which the API server refuses above 63 characters, and hides
/// the error; here name and labels of a child are legal for every legal Ingress, and still tell Ingresses apart.
#[test]
fn ing_09_long_names_are_cut() {
    let long = |last: &str| format!("{}.{last}", ["a"; 125].join("."));
    let objects = ["x", "y"].map(|last| {
        let spec =
            json!({"defaultBackend": backend("web"), "rules": [rule(&format!("{last}.test"), "Prefix", "/", "web")]});
        ingress(&long(last), json!({}), spec)
    });
    let world = world(&objects);
    let mut owners = BTreeSet::new();
    for child in world.children() {
        let metadata = child.definition().metadata;
        let name = metadata.name.as_ref().unwrap();
        assert!(name.len() <= 253 && name.split('.').all(is_dns_label), "{name}");
        let labels = metadata.labels.as_ref().unwrap();
        for label in [LABEL_INGRESS, LABEL_APIDEFINITION] {
            assert!(is_label_value(&labels[label]), "{}", labels[label]);
        }
        owners.insert(labels[LABEL_INGRESS].clone());
    }
    assert_eq!((world.children().len(), owners.len()), (3, 2));
}

fn is_dns_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_label_value(text: &str) -> bool {
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63 && end(text.chars().next()) && end(text.chars().last())
}
