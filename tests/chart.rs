//! The chart is held to what it is made of: `UPDATE=1 cargo test --test chart` writes its copies of the
//! CustomResourceDefinitions and of the rules in `manifests/rbac*.yaml`, and the table of values in its README.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use regex::Regex;
use serde_json::Value;
use tyk_ingress::cli::Cli;

const CHART: &str = "charts/tyk-ingress";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(path(folder)).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Files below the chart's `files/` that are copies of parts of `manifests/`.
fn copies() -> BTreeMap<String, String> {
    let mut copies = BTreeMap::new();
    for name in names("manifests/crds") {
        copies.insert(format!("crds/{name}"), text(&format!("manifests/crds/{name}")));
    }
    let (cluster, namespaced) = (text("manifests/rbac.yaml"), text("manifests/rbac-namespaced.yaml"));
    let lease = rules(&cluster, "Role", "tyk-ingress-lease");
    assert_eq!(lease, rules(&namespaced, "Role", "tyk-ingress-lease"));
    copies.insert("rbac/lease.yaml".into(), lease);
    copies.insert(
        "rbac/cluster.yaml".into(),
        rules(&cluster, "ClusterRole", "tyk-ingress"),
    );
    let classes = rules(&namespaced, "ClusterRole", "tyk-ingress-classes");
    copies.insert("rbac/classes.yaml".into(), classes);
    copies.insert("rbac/namespace.yaml".into(), rules(&namespaced, "Role", "tyk-ingress"));
    copies
}

/// The rules of a role with their comments, without their indentation.
fn rules(manifest: &str, kind: &str, name: &str) -> String {
    let head = format!("kind: {kind}\nmetadata:\n  name: {name}\n");
    let role = manifest.split("\n---\n").find(|document| document.contains(&head));
    let role = role.unwrap_or_else(|| panic!("there is no {kind} {name}"));
    let (_, rules) = role.split_once("\nrules:\n").unwrap();
    let lines = rules.lines().map(|line| line.strip_prefix("  ").unwrap_or(line));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_chart_has_the_definitions_and_the_rights_of_the_manifests() {
    let copies = copies();
    for folder in ["crds", "rbac"] {
        let there = path(&format!("{CHART}/files/{folder}"));
        if std::env::var_os("UPDATE").is_some() {
            let _ = fs::remove_dir_all(&there);
            fs::create_dir_all(&there).unwrap();
        }
    }
    for (name, expected) in &copies {
        let name = format!("{CHART}/files/{name}");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(path(&name), expected).unwrap();
        }
        assert!(
            fs::read_to_string(path(&name)).unwrap_or_default() == *expected,
            "{name} is out of date; run UPDATE=1 cargo test --test chart"
        );
    }
    let listed = ["crds", "rbac"].map(|folder| names(&format!("{CHART}/files/{folder}")).len());
    assert_eq!(
        listed.iter().sum::<usize>(),
        copies.len(),
        "a copy of something that is gone"
    );
    assert!(copies.values().all(|text| !text.is_empty()));
}

/// The template adds the first annotations, in the text: a definition that had some would have two.
#[test]
fn definitions_have_no_annotations_of_their_own() {
    for name in names("manifests/crds") {
        let crd = yaml(&format!("manifests/crds/{name}"));
        assert_eq!(crd["metadata"]["annotations"], Value::Null, "{name}");
        assert!(
            text(&format!("manifests/crds/{name}")).contains("\nmetadata:\n"),
            "{name}"
        );
    }
}

/// One value: its path, its default, and what the schema says of it.
fn values() -> Vec<(String, Value, Value)> {
    fn collect(path: &str, value: &Value, schema: &Value, all: &mut Vec<(String, Value, Value)>) {
        let fields = schema["properties"].as_object();
        let Some(fields) = fields else {
            all.push((path.to_owned(), value.clone(), schema.clone()));
            return;
        };
        let value = value.as_object().unwrap_or_else(|| panic!("{path} is no object"));
        let (in_values, in_schema): (BTreeSet<_>, BTreeSet<_>) = (value.keys().collect(), fields.keys().collect());
        assert_eq!(in_values, in_schema, "the values below {path:?} and their schema");
        for (name, schema) in fields {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            collect(&path, &value[name], schema, all);
        }
    }
    let (values, schema) = (
        yaml(&format!("{CHART}/values.yaml")),
        yaml(&format!("{CHART}/values.schema.json")),
    );
    let mut all = Vec::new();
    collect("", &values, &schema, &mut all);
    all
}

#[test]
fn the_readme_of_the_chart_lists_each_value() {
    let name = format!("{CHART}/README.md");
    let mut table = String::from("| value | default | meaning |\n| --- | --- | --- |\n");
    for (path, default, schema) in values() {
        let meaning = schema["description"]
            .as_str()
            .unwrap_or_else(|| panic!("{path}: no description"));
        let default = match &default {
            Value::String(text) if text.is_empty() => "empty".to_owned(),
            Value::String(text) => format!("`{text}`"),
            Value::Array(items) if items.is_empty() => "none".to_owned(),
            Value::Object(fields) if fields.is_empty() => "none".to_owned(),
            Value::Array(_) | Value::Object(_) => format!("`{default}`"),
            other => format!("`{other}`"),
        };
        table.push_str(&format!("| `{path}` | {default} | {meaning} |\n"));
    }
    let page = text(&name);
    let (before, _) = page.split_once("| value | default |").unwrap_or((&page, ""));
    let expected = format!("{before}{table}");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path(&name), &expected).unwrap();
    }
    assert!(
        text(&name) == expected,
        "{name} is out of date; run UPDATE=1 cargo test --test chart"
    );
}

#[test]
fn the_schema_refuses_values_that_nobody_knows() {
    fn open(path: &str, schema: &Value, found: &mut Vec<String>) {
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            open(&format!("{path}.{name}"), schema, found);
        }
        if schema["properties"].is_object() && schema["additionalProperties"] != Value::Bool(false) {
            found.push(path.to_owned());
        }
    }
    let mut found = Vec::new();
    open("", &yaml(&format!("{CHART}/values.schema.json")), &mut found);
    // `global` is shared with other charts.
    assert_eq!(found, [".global"]);
}

/// The chart gives these flags always, so their defaults would otherwise differ from those of the program.
#[test]
fn defaults_are_those_of_the_program() {
    let command = Cli::command();
    let default = |command_name: &str, flag: &str| {
        let command = command.find_subcommand(command_name).unwrap();
        let argument = command
            .get_arguments()
            .find(|argument| argument.get_long() == Some(flag));
        let argument = argument.unwrap_or_else(|| panic!("{command_name} has no --{flag}"));
        let values = argument.get_default_values();
        values.first().map(|value| value.to_str().unwrap().to_owned()).unwrap()
    };
    let values: BTreeMap<String, Value> = values().into_iter().map(|(path, value, _)| (path, value)).collect();
    let value = |path: &str| match &values[path] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    for (path, flag) in [
        ("clusterDomain", "cluster-domain"),
        ("httpForTlsHosts", "http-for-tls-hosts"),
        ("serverHeader", "server-header"),
        ("resyncInterval", "resync-interval"),
        ("debounce", "debounce"),
        ("ingressClass.controller", "controller-name"),
        ("ingressClass.name", "ingress-class"),
    ] {
        assert_eq!(value(path), default("run", flag), "{path}");
    }
    let listen = |port: &str| format!("{}:{}", value("listenHost"), value(port));
    assert_eq!(listen("metricsPort"), default("run", "listen"));
    assert_eq!(listen("redirector.port"), default("redirector", "listen"));
    assert_eq!(value("redirector.httpsPort"), default("redirector", "https-port"));
}

#[test]
fn alerts_and_dashboard_use_metrics_that_there_are() {
    let name = Regex::new("tyk_ingress_[a-z_]+").unwrap();
    let metrics = text("docs/metrics.md");
    for file in ["templates/prometheusrule.yaml", "files/grafana-dashboard.json"] {
        let text = text(&format!("{CHART}/{file}"));
        let used: BTreeSet<&str> = name
            .find_iter(&text)
            .map(|found| found.as_str())
            .map(|name| {
                ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|part| name.strip_suffix(part))
                    .unwrap_or(name)
            })
            .collect();
        assert!(used.len() > 4, "{file}: {used:?}");
        let unknown: Vec<_> = used
            .iter()
            .filter(|metric| !metrics.contains(&format!("| `{metric}` |")))
            .collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}

#[test]
fn each_alert_leads_to_its_section() {
    let rule = text(&format!("{CHART}/templates/prometheusrule.yaml"));
    let alerts = Regex::new(r"(?s)- alert: (\w+)\n.*?runbook_url: \{\{ \$runbook \}\}#(\w+)").unwrap();
    let page = text("docs/troubleshooting.md");
    let mut count = 0;
    for found in alerts.captures_iter(&rule) {
        let (alert, anchor) = (&found[1], &found[2]);
        assert_eq!(alert.to_lowercase(), anchor);
        assert!(
            page.contains(&format!("\n### {alert}\n")),
            "docs/troubleshooting.md has no section {alert}"
        );
        count += 1;
    }
    assert_eq!(count, rule.matches("- alert:").count());
    let url = yaml(&format!("{CHART}/values.yaml"))["monitoring"]["runbookUrl"].clone();
    assert!(url.as_str().unwrap().ends_with("/docs/troubleshooting.md"), "{url}");
}

#[test]
fn versions_and_the_image_are_the_same_everywhere() {
    let chart = yaml(&format!("{CHART}/Chart.yaml"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let image = yaml(&format!("{CHART}/values.yaml"))["image"].clone();
    let image = format!(
        "{}/{}",
        image["registry"].as_str().unwrap(),
        image["repository"].as_str().unwrap()
    );
    let workflow = yaml(".github/workflows/release.yaml");
    assert_eq!(workflow["env"]["IMAGE"], image.as_str());
}

#[test]
fn kustomize_takes_every_manifest_of_an_install() {
    let resources = yaml("manifests/kustomization.yaml")["resources"].clone();
    let resources: BTreeSet<String> = serde_json::from_value(resources).unwrap();
    let definitions = names("manifests/crds").into_iter().map(|name| format!("crds/{name}"));
    let expected: BTreeSet<String> = definitions
        .chain(["rbac.yaml".to_owned(), "operator.yaml".to_owned()])
        .collect();
    assert_eq!(resources, expected);
}
