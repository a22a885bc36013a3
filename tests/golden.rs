//! What manifests become, written down: `tests/golden/<sentence>/in.yaml` to `out.yaml`, with the engine's options in
//! `settings.yaml` where they are not the defaults. `UPDATE=1 cargo test --test golden` writes the outputs anew.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tyk_ingress::desired::{self, Api, Context};
use tyk_ingress::ingress::{Child, Options, render};
use tyk_ingress::snapshot::Loader;

/// Options of the engine and of the Tyk context; what is left out is the default.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    class: Option<String>,
    cluster_domain: Option<String>,
    http_port: Option<u16>,
    org: Option<String>,
}

impl Settings {
    fn of(folder: &Path) -> Settings {
        match std::fs::read_to_string(folder.join("settings.yaml")) {
            Ok(text) => serde_saphyr::from_str(&text).unwrap(),
            Err(_) => Settings::default(),
        }
    }

    fn options(&self) -> Options {
        let mut options = Options::default();
        if let Some(class) = &self.class {
            class.clone_into(&mut options.class);
        }
        if let Some(domain) = &self.cluster_domain {
            domain.clone_into(&mut options.cluster_domain);
        }
        if let Some(port) = self.http_port {
            options.http_port = port;
        }
        options
    }

    fn context(&self) -> Context {
        let mut context = Context::default();
        "tyk-ingress".clone_into(&mut context.owner);
        if let Some(org) = &self.org {
            org.clone_into(&mut context.org);
        }
        context
    }
}

#[test]
fn manifests_become_what_is_written_down() {
    let folders = folders();
    assert!(folders.len() >= 20, "{} cases", folders.len());
    let mut stale = Vec::new();
    for folder in folders {
        let actual = translate(&folder);
        let file = folder.join("out.yaml");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &actual).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        if expected != actual {
            stale.push(format!(
                "{}\n{}",
                folder.display(),
                first_difference(&expected, &actual)
            ));
        }
    }
    assert!(
        stale.is_empty(),
        "UPDATE=1 cargo test --test golden, if meant so:\n{}",
        stale.join("\n")
    );
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    folders
}

/// Children, what is sent, and diagnostics of one case.
fn translate(folder: &Path) -> String {
    let settings = Settings::of(folder);
    let mut loader = Loader::default();
    loader
        .text("in.yaml", &std::fs::read_to_string(folder.join("in.yaml")).unwrap())
        .unwrap();
    let loaded = loader.finish();
    let translation = render(&loaded.snapshot, &settings.options());
    let (desired, found) = desired::build(&loaded.snapshot, &translation, &settings.context());
    let mut diagnostics = [loaded.diagnostics, translation.diagnostics, found].concat();
    diagnostics.sort();
    let diagnostics: Vec<_> = diagnostics
        .iter()
        .map(|d| json!({"code": d.code, "object": d.object, "field": d.field, "message": d.message}))
        .collect();
    let names: BTreeSet<_> = translation
        .children
        .keys()
        .map(|name| format!("ApiDefinition {name}"))
        .collect();
    let apis = desired.apis.iter().chain(&desired.oas);
    let apis = apis.map(|(id, desired)| api(id, desired, names.contains(&desired.source.to_string())));
    let mcps = desired.mcps.iter().map(|(id, desired)| api(id, desired, false));
    let mut out = json!({
        "children": translation.children.values().map(|one| child(one)).collect::<Vec<_>>(),
        "apis": apis.collect::<Vec<_>>(),
        "held": desired.held,
        "held_children": translation.held.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "removals": desired.removals,
        "diagnostics": diagnostics,
    });
    let mcps: Vec<_> = mcps.collect();
    if !mcps.is_empty() {
        out["mcps"] = json!(mcps);
    }
    serde_saphyr::to_string(&out).unwrap()
}

/// A child with what it came from; of its spec only what differs from child to child, and the template's part.
fn child(child: &Child) -> Value {
    let Value::Object(mut spec) = json!(child.spec) else {
        panic!("no object")
    };
    let usual = json!({
        "active": true, "name": child.definition().metadata.name,
        "version_data": {
            "not_versioned": true, "default_version": "Default",
            "versions": {"Default": {"name": "Default", "use_extended_paths": true}},
        },
    });
    leave_out(&mut spec, usual.as_object().unwrap());
    json!({
        "name": child.definition().metadata.name,
        "namespace": child.definition().metadata.namespace,
        "labels": child.definition().metadata.labels,
        "from": format!("{} {}", child.ingress, child.field),
        "rule": format!("{} {} {}", child.host, child.path, child.path_type),
        "spec": spec,
    })
}

/// The payload of a hand-written definition; of a generated one only what its child does not show.
fn api(id: &str, api: &Api, generated: bool) -> Value {
    let mut payload = api.payload.value().as_object().unwrap().clone();
    if generated {
        payload.retain(|field, _| ["org_id", "auth_configs"].contains(&field.as_str()));
        return json!({"id": id, "source": api.source, "adds": payload});
    }
    json!({"id": id, "source": api.source, "payload": payload})
}

/// Takes away what has its usual value, so that a golden file shows what is particular.
fn leave_out(object: &mut Map<String, Value>, usual: &Map<String, Value>) {
    object.retain(|key, value| usual.get(key) != Some(value));
}

fn first_difference(expected: &str, actual: &str) -> String {
    let (mut expected, mut actual) = (expected.lines(), actual.lines());
    for line in 1.. {
        match (expected.next(), actual.next()) {
            (None, None) => break,
            (left, right) if left == right => {}
            (left, right) => {
                return format!(
                    "line {line}:\n  written {}\n  now     {}",
                    left.unwrap_or("(end)"),
                    right.unwrap_or("(end)")
                );
            }
        }
    }
    String::new()
}
