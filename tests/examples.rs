//! Every example of a classic definition stands alone, says what it shows, and together they show every field.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Fields without an example here: superseded, of the dashboard's database, or in need of a private key (`examples/tls`).
const ELSEWHERE: [&str; 4] = ["auth", "certificate_secret_names", "id", "upstream_certificate_refs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("examples/classic")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 50, "{} files", files.len());
    files
}

/// The specs of all ApiDefinitions.
fn specs() -> Vec<Value> {
    let documents = files().into_iter().flat_map(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        serde_saphyr::from_multiple::<Value>(&text).unwrap()
    });
    documents
        .filter(|document| document["kind"] == "ApiDefinition")
        .map(|document| document["spec"].clone())
        .collect()
}

/// Fields of Tyk Operator's resource directly below `prefix`.
fn fields(prefix: &str) -> BTreeSet<String> {
    let table = std::fs::read_to_string(root().join("tests/data/upstream-fields.txt")).unwrap();
    let lines = table.lines().filter_map(|line| line.strip_prefix("ApiDefinition "));
    let paths = lines.filter_map(|line| line.split(' ').next());
    paths
        .filter_map(|path| path.strip_prefix(prefix)?.strip_prefix('.'))
        .filter(|field| !field.contains(['.', '[', '{']))
        .map(str::to_owned)
        .collect()
}

fn keys<'a>(objects: impl Iterator<Item = &'a Value>) -> BTreeSet<String> {
    objects
        .filter_map(Value::as_object)
        .flat_map(|object| object.keys().cloned())
        .collect()
}

#[test]
fn every_example_is_clean_by_itself() {
    for file in files() {
        let mut validate = Command::new(env!("CARGO_BIN_EXE_tyk-ingress"));
        let ended = validate.args(["validate", "-f"]).arg(&file).output().unwrap();
        let out = String::from_utf8(ended.stdout).unwrap();
        let clean = ended.status.success() && out.ends_with("0 errors, 0 warnings\n");
        assert!(clean, "{}: {out}", file.display());
    }
}

#[test]
fn every_example_says_what_it_shows() {
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let first = text.lines().next().unwrap();
        assert!(
            first.starts_with("# ") && first.ends_with('.'),
            "{}: {first}",
            file.display()
        );
    }
}

#[test]
fn every_field_has_an_example() {
    let specs = specs();
    let mut wanted = fields("spec");
    wanted.retain(|field| !ELSEWHERE.contains(&field.as_str()));
    assert!(wanted.len() > 60, "{wanted:?}");
    let missing: Vec<_> = wanted.difference(&keys(specs.iter())).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");

    let paths = "spec.version_data.versions{}.extended_paths";
    let shown = specs
        .iter()
        .filter_map(|spec| spec["version_data"]["versions"].as_object());
    let shown = keys(
        shown
            .flat_map(|versions| versions.values())
            .map(|version| &version["extended_paths"]),
    );
    let missing: Vec<_> = fields(paths).difference(&shown).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
    let missing: Vec<_> = fields("spec.proxy")
        .difference(&keys(specs.iter().map(|spec| &spec["proxy"])))
        .cloned()
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_tyk_operator_has_not_has_an_example() {
    let shown = keys(specs().iter());
    for field in [
        "openid_options",
        "oauth_meta",
        "hmac_allowed_algorithms",
        "basic_auth",
        "enable_batch_request_support",
        "expire_analytics_after",
        "notifications",
    ] {
        assert!(shown.contains(field), "{field}");
    }
}
