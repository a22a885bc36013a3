//! Every example of a definition stands alone, says what it shows, and together they show every field.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Folders whose files stand alone.
const FOLDERS: [&str; 4] = ["classic", "mcp", "oas", "streams"];

/// Fields that need a private key, which no example holds: they stand in a comment, with the way to get one.
const IN_COMMENTS: [&str; 3] = [
    "spec.customDomain.certificatesRef[]",
    "spec.mutualTLS.domainToCertificateMapping[].certificateRef",
    "spec.upstreamRequestSigning.certificateRef",
];

/// Fields of a classic definition without an example here: superseded, of the dashboard's database, or in need of a private key (`examples/tls`).
const ELSEWHERE: [&str; 4] = ["auth", "certificate_secret_names", "id", "upstream_certificate_refs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files() -> Vec<PathBuf> {
    let folders = FOLDERS.map(|folder| std::fs::read_dir(root().join("examples").join(folder)).unwrap());
    let entries = folders.into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 65, "{} files", files.len());
    files
}

/// The specs of all objects of a kind.
fn specs_of(kind: &str) -> Vec<Value> {
    let documents = files().into_iter().flat_map(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        serde_saphyr::from_multiple::<Value>(&text).unwrap()
    });
    documents
        .filter(|document| document["kind"] == kind)
        .map(|document| document["spec"].clone())
        .collect()
}

/// The specs of all ApiDefinitions.
fn specs() -> Vec<Value> {
    specs_of("ApiDefinition")
}

/// Whether an object has a field, `[]` for any member of a list.
fn has(object: &Value, path: &str) -> bool {
    let (part, rest) = path.split_once('.').unwrap_or((path, ""));
    let (name, is_list) = part.strip_suffix("[]").map_or((part, false), |name| (name, true));
    let Some(value) = object.get(name) else {
        return false;
    };
    let below = |value: &Value| rest.is_empty() || has(value, rest);
    match value {
        Value::Array(items) if is_list => items.iter().any(below),
        value => !is_list && below(value),
    }
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
fn every_field_of_a_definition_with_a_document_has_an_example() {
    let table = std::fs::read_to_string(root().join("tests/data/upstream-fields.txt")).unwrap();
    let texts: Vec<_> = files()
        .into_iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    for (kind, count) in [
        ("TykOasApiDefinition", 60),
        ("TykStreamsApiDefinition", 6),
        ("TykMcpProxyDefinition", 6),
    ] {
        let specs = specs_of(kind);
        let paths = table
            .lines()
            .filter_map(|line| line.strip_prefix(kind)?.trim_start().split(' ').next());
        let paths: Vec<_> = paths.filter(|path| path.starts_with("spec.")).collect();
        assert!(paths.len() >= count, "{kind}: {}", paths.len());
        for path in paths {
            let shown = specs.iter().any(|spec| has(spec, &path["spec.".len()..]));
            let field = path.trim_end_matches("[]").rsplit('.').next().unwrap();
            let told = || texts.iter().any(|text| text.contains(&format!("# {field}: ")));
            let in_comment = IN_COMMENTS
                .iter()
                .any(|one| one.trim_end_matches("[]") == path.trim_end_matches("[]"));
            assert!(shown || in_comment && told(), "{kind} {path}");
        }
    }
    for kind in ["keyNames", "document"] {
        let sources = specs_of("TykOasApiDefinition");
        let shown =
            |spec: &Value| has(spec, &format!("tykOAS.{kind}")) || has(spec, &format!("tykOAS.configmapRef.{kind}[]"));
        assert!(sources.iter().any(shown), "{kind}");
    }
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

/// Kinds that need a Dashboard.
const OF_A_DASHBOARD: [&str; 3] = ["APIDescription", "PortalAPICatalogue", "PortalConfig"];

#[test]
fn every_kind_has_an_example() {
    let mut shown = BTreeSet::new();
    for folder in std::fs::read_dir(root().join("examples")).unwrap() {
        let Ok(entries) = std::fs::read_dir(folder.unwrap().path()) else {
            continue;
        };
        let files = entries.map(|entry| entry.unwrap().path());
        for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml")) {
            let text = std::fs::read_to_string(&file).unwrap();
            let documents = serde_saphyr::from_multiple::<Value>(&text).unwrap();
            shown.extend(
                documents
                    .iter()
                    .filter_map(|one| one["kind"].as_str().map(str::to_owned)),
            );
        }
    }
    let kinds = tyk_ingress::api::all_crds().into_iter().map(|crd| crd.spec.names.kind);
    let missing: Vec<_> = kinds
        .filter(|kind| !shown.contains(kind) && !OF_A_DASHBOARD.contains(&kind.as_str()))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_folder_is_clean() {
    // Of files that need each other; `dev` reads them in this way too.
    for folder in [
        "annotations",
        "contexts",
        "graphql",
        "nginx",
        "oas",
        "policies",
        "quickstart",
        "tls",
    ] {
        let mut validate = Command::new(env!("CARGO_BIN_EXE_tyk-ingress"));
        let folder = root().join("examples").join(folder);
        let ended = validate.args(["validate", "-f"]).arg(&folder).output().unwrap();
        let out = String::from_utf8(ended.stdout).unwrap();
        assert!(ended.status.success(), "{}: {out}", folder.display());
    }
}
