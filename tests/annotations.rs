//! The annotations of an Ingress: their documentation, their examples, and what the gateway answers with them.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Gateway, Rule, answer, gateway, snapshot};
use tyk_ingress::desired::{self, Context};
use tyk_ingress::diagnostic::Code;
use tyk_ingress::ingress::annotations::{PREFIX, TABLE};
use tyk_ingress::ingress::{Options, Translation, render};
use tyk_ingress::snapshot::{Loader, Snapshot, Stored, manifest_files};

const START: &str = "<!-- table: written by `UPDATE=1 cargo test --test annotations` -->\n";
const END: &str = "<!-- end of table -->\n";

fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn table() -> String {
    let mut table = "| annotation | values | default | what it does | what it sets |\n".to_owned();
    table.push_str("| --- | --- | --- | --- | --- |\n");
    for entry in TABLE {
        let values = (entry.values)();
        let row = [
            &format!("`{PREFIX}{}`", entry.name),
            &values,
            entry.default,
            entry.doc,
            entry.sets,
        ];
        table.push_str(&format!(
            "| {} |\n",
            row.map(|cell| cell.replace('|', "\\|")).join(" | ")
        ));
    }
    table
}

/// `UPDATE=1 cargo test --test annotations` writes the table anew.
#[test]
fn the_documentation_has_the_table_of_the_program() {
    let path = file("docs/annotations.md");
    let stored = fs::read_to_string(&path).unwrap();
    let (before, rest) = stored.split_once(START).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let text = format!("{before}{START}{}{END}{after}", table());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
        return;
    }
    assert!(
        stored == text,
        "docs/annotations.md is out of date; run UPDATE=1 cargo test --test annotations"
    );
}

#[test]
fn the_examples_are_accepted_and_show_every_annotation() {
    let mut shown = String::new();
    for path in manifest_files(&file("examples/annotations")).unwrap() {
        let mut loader = Loader::default();
        loader.path(&path).unwrap();
        let loaded = loader.finish();
        let translation = render(&loaded.snapshot, &Options::default());
        let (desired, found) = desired::build(&loaded.snapshot, &translation, &Context::default());
        let diagnostics: Vec<_> = [loaded.diagnostics, translation.diagnostics, found].concat();
        assert!(diagnostics.is_empty(), "{}: {diagnostics:?}", path.display());
        assert!(!desired.apis.is_empty(), "{}", path.display());
        shown.push_str(&fs::read_to_string(&path).unwrap());
    }
    for entry in TABLE {
        assert!(shown.contains(&format!("{PREFIX}{}:", entry.name)), "{}", entry.name);
    }
}

fn rule(ingress: usize, path_type: &str, path: &str) -> Rule {
    Rule {
        ingress,
        host: "a.com".into(),
        path: path.into(),
        path_type: path_type.into(),
    }
}

/// The Ingresses of these rules, with annotations for some.
fn annotated(rules: &[Rule], annotations: &[(usize, &str, &str)]) -> Snapshot {
    let mut snapshot = snapshot(rules);
    for (number, name, value) in annotations {
        let found = snapshot
            .ingresses
            .values()
            .find(|ingress| *ingress.name().name == format!("ingress-{number}"));
        let mut ingress = found.unwrap().whole().as_ref().clone();
        let all = ingress.metadata.annotations.get_or_insert_default();
        all.insert(format!("{PREFIX}{name}"), (*value).to_owned());
        snapshot.insert(ingress);
    }
    snapshot
}

fn answers<const N: usize>(gateway: &Gateway, paths: [&str; N]) -> [Option<usize>; N] {
    paths.map(|path| answer(gateway, "a.com", path))
}

#[test]
fn legacy_paths_are_string_prefixes() {
    let rules = [
        rule(0, "Exact", "/foo"),
        rule(0, "Prefix", "/bar/"),
        rule(0, "Prefix", "/user/{id}/x"),
        rule(1, "Prefix", "/"),
    ];
    let gateway = gateway(&annotated(&rules, &[(0, "path-matching", "legacy")]));
    let paths = ["/foo", "/foobar", "/foo/x", "/bar", "/bar/x", "/user/7/x", "/other"];
    let expected = [Some(0), Some(0), Some(0), Some(3), Some(1), Some(2), Some(3)];
    assert_eq!(answers(&gateway, paths), expected);
}

#[test]
fn a_listen_path_is_for_implementation_specific_paths() {
    let rules = [rule(0, "ImplementationSpecific", "/v"), rule(0, "Prefix", "/b")];
    let annotations = [(0, "listen-path", "/v{n:[0-9]+}{end:/|$}")];
    let gateway = gateway(&annotated(&rules, &annotations));
    let paths = ["/v1", "/v22/x", "/v", "/v1x", "/b/x"];
    assert_eq!(answers(&gateway, paths), [Some(0), Some(0), None, None, Some(1)]);
}

fn codes(translation: &Translation) -> Vec<Code> {
    translation
        .diagnostics
        .iter()
        .map(|d| d.code)
        .filter(|code| *code != Code::BackendNotFound)
        .collect()
}

#[test]
fn paths_with_one_listen_path_compete() {
    let rules = [rule(0, "Prefix", "/foo"), rule(1, "ImplementationSpecific", "/x")];
    for (listen_path, expected) in [("/foo{tykp:/|$}", vec![Code::Conflict]), ("/foo{other:/|$}", vec![])] {
        let translation = render(
            &annotated(&rules, &[(1, "listen-path", listen_path)]),
            &Options::default(),
        );
        assert_eq!(codes(&translation), expected, "{listen_path}");
    }
    let rules = [rule(0, "Prefix", "/"), rule(1, "Exact", "/")];
    let translation = render(
        &annotated(&rules, &[(1, "path-matching", "legacy")]),
        &Options::default(),
    );
    assert_eq!(codes(&translation), [Code::Conflict]);
}

#[test]
fn what_cannot_be_used_costs_only_itself() {
    let rules = [rule(0, "Prefix", "/a{"), rule(0, "Prefix", "/b")];
    let translation = render(
        &annotated(&rules, &[(0, "path-matching", "legacy")]),
        &Options::default(),
    );
    assert_eq!(codes(&translation), [Code::InvalidPath]);
    assert_eq!(translation.children.len(), 1);
    for (name, value, expected) in [
        ("listen-path", "/c", Code::AnnotationWithoutEffect),
        ("listen-path", "/c{x:(a)}", Code::InvalidAnnotation),
        ("strip-path", "yes", Code::InvalidAnnotation),
        ("strip-paths", "true", Code::UnknownAnnotation),
    ] {
        let translation = render(&annotated(&rules, &[(0, name, value)]), &Options::default());
        assert_eq!(codes(&translation), [expected], "{name}: {value}");
        assert_eq!(translation.children.len(), 2);
    }
}

#[test]
fn a_child_carries_what_the_annotations_set() {
    let rules = [rule(0, "Prefix", "/a"), rule(1, "Prefix", "/b")];
    let annotations = [
        (0, "strip-path", "true"),
        (0, "preserve-host", "false"),
        (0, "backend-protocol", "https"),
        (0, "backend-tls-verify", "false"),
        (0, "timeout", "5"),
        (0, "tags", "edge"),
        (0, "categories", "shop"),
    ];
    let translation = render(&annotated(&rules, &annotations), &Options::default());
    let specs: Vec<Value> = translation
        .children
        .values()
        .map(|child| child.spec.definition.value())
        .collect();
    let proxy = json!({
        "listen_path": "/a{tykp:/|$}", "target_url": "https://rule-0.default.svc.cluster.local:80",
        "strip_listen_path": true, "preserve_host_header": false, "disable_strip_slash": true,
        "transport": {"ssl_insecure_skip_verify": true},
    });
    assert_eq!(specs[0]["proxy"], proxy);
    assert_eq!(specs[0]["tags"], json!(["edge"]));
    assert!(specs[0]["name"].as_str().unwrap().ends_with(" #shop"));
    let timeout = specs[0].pointer("/version_data/versions/Default/extended_paths/hard_timeouts/0/timeout");
    assert_eq!(timeout, Some(&json!(5)));
    assert_eq!(
        specs[1]["proxy"]["strip_listen_path"],
        json!(false),
        "the neighbour is as it was"
    );
    assert_eq!(specs[1].get("tags"), None);
}

/// Values that mean something for one annotation or another, and some that mean nothing.
const VALUES: [&str; 16] = [
    "true",
    "false",
    "",
    "yes",
    "https",
    "grpc",
    "wss",
    "endpoints",
    "legacy",
    "exact-spec",
    "5s",
    "a,b",
    "/",
    "/a",
    "/a{tykp:/|$}",
    "/x{y:(z)}",
];
const PATHS: [&str; 7] = ["/", "/a", "/a/", "/a/b", "/{a}", "/{", "/a b"];

fn annotation() -> impl Strategy<Value = (usize, usize, &'static str)> {
    let value = prop::sample::select(&VALUES[..]);
    // A template leads to nothing served, which would prove nothing here.
    let name = (0..TABLE.len()).prop_filter("not a template", |index| !TABLE[*index].name.starts_with("template"));
    (0..3_usize, name, value)
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let path_type = prop::sample::select(&["Prefix", "Exact", "ImplementationSpecific"][..]);
    let rule = (0..3_usize, path_type, prop::sample::select(&PATHS[..]));
    prop::collection::vec(
        rule.prop_map(|(ingress, path_type, path)| self::rule(ingress, path_type, path)),
        1..8,
    )
}

proptest! {
    /// Whatever annotations say, the gateway can serve what comes out, and no two APIs collide.
    #[test]
    fn annotations_never_make_what_the_gateway_refuses(
        rules in rules(), annotations in prop::collection::vec(annotation(), 0..6)
    ) {
        let there = |number: usize| rules.iter().any(|rule| rule.ingress == number);
        let annotations: Vec<_> = annotations
            .into_iter()
            .filter(|(number, _, _)| there(*number))
            .map(|(number, index, value)| (number, TABLE[index].name, value))
            .collect();
        let snapshot = annotated(&rules, &annotations);
        let translation = render(&snapshot, &Options::default());
        let (desired, found) = desired::build(&snapshot, &translation, &Context::default());
        prop_assert_eq!(found, vec![]);
        prop_assert_eq!(desired.apis.len(), translation.children.len());
        let mut listen_paths: Vec<_> =
            desired.apis.values().map(|api| api.payload.value()["proxy"]["listen_path"].to_string()).collect();
        listen_paths.sort();
        listen_paths.dedup();
        prop_assert_eq!(listen_paths.len(), desired.apis.len(), "two APIs have one listen path");
    }
}
