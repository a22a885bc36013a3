//! Ingresses of ingress-nginx in the style of well-known charts, and what is said of each of their annotations. The
//! lines `#: VERDICT SUBJECT` at the end of a file are what is expected of it; `UPDATE=1 cargo test --test nginx`
//! writes them.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tyk_ingress::desired::{self, Context};
use tyk_ingress::diagnostic::Code;
use tyk_ingress::ingress::{Options, render};
use tyk_ingress::nginx::{self, Translated};
use tyk_ingress::sim::{Answer, Routes};
use tyk_ingress::snapshot::{Loader, Snapshot, manifest_files};

const MARK: &str = "#: ";

fn files() -> Vec<PathBuf> {
    manifest_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/nginx")).unwrap()
}

fn corpus() -> Snapshot {
    let mut loader = Loader::default();
    for file in files() {
        loader.path(&file).unwrap();
    }
    loader.finish().snapshot
}

/// The translated Ingresses and their templates alone.
fn translated(all: &[Translated]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for one in all {
        one.ingress.clone().map(|ingress| snapshot.insert(ingress));
        one.template.clone().map(|template| snapshot.insert(template));
    }
    snapshot
}

#[test]
fn every_ingress_has_the_expected_verdicts() {
    let all = nginx::translate(&corpus(), "tyk");
    assert!(all.len() >= 60, "{}", all.len());
    let by_name: BTreeMap<&str, &Translated> = all.iter().map(|one| (one.name.name.as_ref(), one)).collect();
    let mut wrong = Vec::new();
    for file in files() {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let (manifest, expected): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| !line.starts_with(MARK));
        let actual: Vec<String> = by_name[name]
            .findings
            .iter()
            .map(|finding| format!("{MARK}{} {}", finding.verdict.as_str(), finding.subject))
            .collect();
        if std::env::var_os("UPDATE").is_some() {
            fs::write(
                &file,
                format!(
                    "{}\n",
                    [manifest, actual.iter().map(String::as_str).collect()]
                        .concat()
                        .join("\n")
                ),
            )
            .unwrap();
        } else if expected != actual {
            wrong.push(format!("{name}: expected {expected:?}, is {actual:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_annotation_of_the_corpus_is_spoken_of_once() {
    let corpus = corpus();
    for one in nginx::translate(&corpus, "tyk") {
        let before = &corpus.ingresses[&one.name];
        let given: BTreeSet<&str> = before
            .annotations()
            .filter_map(|(key, _)| key.strip_prefix(nginx::PREFIX))
            .collect();
        let told: Vec<&str> = one
            .findings
            .iter()
            .map(|finding| finding.subject.as_str())
            .filter(|subject| !subject.starts_with("spec."))
            .collect();
        assert_eq!(told.iter().copied().collect::<BTreeSet<_>>(), given, "{}", one.name);
        assert_eq!(told.len(), given.len(), "{} {told:?}", one.name);
        for finding in &one.findings {
            assert!(
                !finding.detail.is_empty() && !finding.detail.contains("s3cr3t"),
                "{finding:?}"
            );
        }
    }
}

#[test]
fn the_translated_corpus_is_served_or_closed() {
    let all = nginx::translate(&corpus(), "tyk");
    let snapshot = translated(&all);
    let translation = render(
        &snapshot,
        &Options {
            redirector_url: Some("http://redirector".into()),
            ..Options::default()
        },
    );
    let closed: BTreeSet<_> = all
        .iter()
        .filter(|one| one.closed)
        .map(|one| one.name.clone())
        .collect();
    // Backends are not part of the corpus. Two Ingresses hold an expression that Go has not.
    let known = [Code::BackendNotFound, Code::TemplateNotFound, Code::InvalidPath];
    let odd: Vec<_> = translation
        .diagnostics
        .iter()
        .filter(|found| !known.contains(&found.code))
        .collect();
    assert!(odd.is_empty(), "{odd:#?}");
    let held: BTreeSet<_> = translation
        .diagnostics
        .iter()
        .filter(|found| found.code == Code::TemplateNotFound)
        .map(|found| found.object.name.clone())
        .collect();
    assert_eq!(held, closed.iter().map(|name| name.name.clone()).collect());
    let (desired, found) = desired::build(&snapshot, &translation, &Context::default());
    assert!(
        found
            .iter()
            .all(|found| found.code == Code::SecretNotFound || found.code == Code::CertificateNotFound),
        "{found:#?}"
    );
    assert!(desired.apis.len() > 60, "{}", desired.apis.len());
    Routes::load(desired.apis.values().map(|api| api.payload.value())).unwrap();
}

/// Name of the Service that answers.
fn service(routes: &Routes, apis: &BTreeMap<Arc<str>, desired::Api>, host: &str, path: &str) -> Option<String> {
    match routes.answer(host, path) {
        Answer::Api(id) => {
            let payload = apis[id.as_str()].payload.value();
            let target = payload["proxy"]["target_url"].as_str()?.strip_prefix("http://")?;
            target.split('.').next().map(str::to_owned)
        }
        _ => None,
    }
}

#[test]
fn paths_match_as_in_nginx() {
    let snapshot = translated(&nginx::translate(&corpus(), "tyk"));
    let translation = render(&snapshot, &Options::default());
    let (desired, _) = desired::build(&snapshot, &translation, &Context::default());
    let routes = Routes::load(desired.apis.values().map(|api| api.payload.value())).unwrap();
    for (host, path, expected) in [
        ("docs.example.com", "/v12/guide", Some("docs")),
        ("docs.example.com", "/V12/Guide/x", Some("docs")),
        ("docs.example.com", "/v12/guidebook", Some("docs")),
        ("docs.example.com", "/vx/guide", None),
        // Prefix, but the host has expressions.
        ("docs.example.com", "/SEARCHED", Some("search")),
        ("tools.example.com", "/grafana", Some("grafana")),
        ("tools.example.com", "/grafana/d/1", Some("grafana")),
        ("tools.example.com", "/grafanax", None),
        ("apis.example.com", "/users/1", Some("users")),
        ("apis.example.com", "/orders", Some("orders")),
        // A string prefix, without expressions.
        ("legacy-prefix.example.com", "/application", Some("app")),
        ("legacy-prefix.example.com", "/App", None),
        ("legacy-prefix.example.com", "/static/x", Some("static")),
        ("partner.example.org", "/", Some("partner-alias")),
        // Closed.
        ("kibana.example.com", "/app", None),
    ] {
        assert_eq!(
            service(&routes, &desired.apis, host, path).as_deref(),
            expected,
            "{host} {path}"
        );
    }
}

#[test]
fn a_canary_is_a_share_of_its_neighbour() {
    let all = nginx::translate(&corpus(), "tyk");
    let find = |name: &str| all.iter().find(|one| &*one.name.name == name).unwrap();
    assert!(find("shop-web-canary").ingress.is_none());
    let annotations = find("shop-web")
        .ingress
        .as_ref()
        .unwrap()
        .metadata
        .annotations
        .clone()
        .unwrap();
    assert_eq!(annotations["tyk.io/canary"], "web-next:80=20");
    let translation = render(&translated(&all), &Options::default());
    let child = translation
        .children
        .values()
        .find(|child| &*child.ingress.name == "shop-web")
        .unwrap();
    let definition = child.spec.definition.value();
    let list = definition["proxy"]["target_list"].as_array().unwrap();
    let canaries = list
        .iter()
        .filter(|target| target.as_str().unwrap().contains("web-next"))
        .count();
    assert_eq!((list.len(), canaries), (5, 1));
}

#[test]
fn the_engine_honours_annotations_when_told_so() {
    let mut loader = Loader::default();
    let text = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: tools, namespace: tools, annotations: {
  nginx.ingress.kubernetes.io/rewrite-target: /$2, nginx.ingress.kubernetes.io/affinity: cookie}}
spec:
  ingressClassName: tyk
  rules:
    - host: a.example.com
      http: {paths: [{path: "/tools(/|$)(.*)", pathType: ImplementationSpecific, backend: {service: {name: tools, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: plain, namespace: tools}
spec:
  ingressClassName: tyk
  rules:
    - host: b.example.com
      http: {paths: [{path: /p, pathType: ImplementationSpecific, backend: {service: {name: tools, port: {number: 80}}}}]}
"#;
    loader.text("inline", text).unwrap();
    let snapshot = loader.finish().snapshot;
    let mut options = Options::default();
    let (same, nothing) = nginx::prepared(&snapshot, &options);
    assert!(nothing.is_empty() && same.api_definitions.is_empty());
    options.nginx_annotations = true;
    let (prepared, lost) = nginx::prepared(&snapshot, &options);
    let codes: Vec<Code> = lost.iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::NginxAnnotationUnsupported], "{lost:?}");
    assert_eq!(
        lost[0].field,
        "metadata.annotations[nginx.ingress.kubernetes.io/affinity]"
    );
    let translation = render(&prepared, &options);
    let definition = |name: &str| -> Value {
        let child = translation
            .children
            .values()
            .find(|child| &*child.ingress.name == name)
            .unwrap();
        child.spec.definition.value()
    };
    let tools = definition("tools");
    let rewrites = &tools["version_data"]["versions"]["Default"]["extended_paths"]["url_rewrites"];
    assert_eq!(rewrites[0]["rewrite_to"], "/$1$2", "{rewrites}");
    // What has no annotation of ingress-nginx is left as it is.
    assert_eq!(definition("plain")["proxy"]["listen_path"], "/p{tykp:/|$}");
}

/// Runs `migrate`, and gives its exit code and what it printed.
fn migrate(arguments: &[&str]) -> (Option<i32>, String) {
    let ended = std::process::Command::new(env!("CARGO_BIN_EXE_tyk-ingress"))
        .arg("migrate")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    (ended.status.code(), String::from_utf8(ended.stdout).unwrap())
}

#[test]
fn the_exit_code_says_whether_all_is_kept() {
    let clean = "tests/data/nginx/grafana-subpath.yaml";
    let (code, table) = migrate(&["-f", clean]);
    assert_eq!(code, Some(0));
    assert!(
        table.contains("rewrite-target")
            && table.ends_with("1 Ingress: 1 exact, 0 with a difference, 0 with something that cannot be kept\n"),
        "{table}"
    );
    let (code, text) = migrate(&["-f", "tests/data/nginx", "-o", "json"]);
    assert_eq!(code, Some(1));
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["summary"]["ingresses"], files().len());
    assert_eq!(migrate(&["-f", "no/such/file"]).0, Some(2));
    let (_, page) = migrate(&["-f", "tests/data/nginx", "-o", "html"]);
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
}

#[test]
fn what_is_written_is_what_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().to_str().unwrap();
    migrate(&["-f", "tests/data/nginx", "--write", written]);
    let mut loader = Loader::default();
    loader.path(folder.path()).unwrap();
    let read = loader.finish();
    assert!(read.diagnostics.is_empty(), "{:?}", read.diagnostics);
    let apis = |snapshot: &Snapshot| {
        let translation = render(snapshot, &Options::default());
        let (desired, _) = desired::build(snapshot, &translation, &Context::default());
        desired
            .apis
            .into_iter()
            .map(|(id, api)| (id, api.payload))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(
        apis(&read.snapshot),
        apis(&translated(&nginx::translate(&corpus(), "tyk")))
    );
}
