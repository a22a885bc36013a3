//! `diff` and `export` before a simulated Dashboard.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tyk_ingress::sim::dashboard::{Config, Dashboard};
use tyk_ingress::tyk::Endpoint;
use tyk_ingress::tyk::dashboard::{self as wire, DocumentKind, Owners};

use crate::program::{Ended, Folder, command, ended, runtime};

struct World {
    runtime: Runtime,
    dashboard: Dashboard,
    administrator: wire::Dashboard,
}

impl World {
    fn start() -> Self {
        let runtime = runtime();
        let dashboard = runtime.block_on(Dashboard::start(Config::default())).unwrap();
        let administrator = wire::Dashboard::new(Endpoint::new(dashboard.url(), "key")).unwrap();
        Self {
            runtime,
            dashboard,
            administrator,
        }
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = command();
        command
            .env("TYK_MODE", "pro")
            .env("TYK_URL", self.dashboard.url())
            .env("TYK_AUTH", "key")
            .env("TYK_ORG", "org")
            .args(arguments);
        ended(&mut command)
    }

    fn writes(&self) -> usize {
        let calls = self.dashboard.calls();
        let writes = calls
            .iter()
            .filter(|call| call.method != "GET" && !call.path.ends_with("/dry-run"));
        writes.count()
    }
}

fn classic(id: &str, active: bool) -> Value {
    json!({"api_id": id, "name": format!("API {id}"), "org_id": "org", "active": active, "use_keyless": true,
        "proxy": {"listen_path": format!("/{id}/"), "target_url": "http://upstream.test"},
        "version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default", "use_extended_paths": true}}}})
}

fn document(id: &str) -> Value {
    json!({"openapi": "3.0.3", "info": {"title": id, "version": "1"}, "paths": {},
        "x-tyk-api-gateway": {"info": {"id": id, "name": id, "orgId": "org", "state": {"active": true}},
            "server": {"listenPath": {"value": format!("/{id}/"), "strip": true}}, "upstream": {"url": "http://upstream.test"}}})
}

#[test]
fn what_a_dashboard_holds_is_exported_and_taken_over() {
    let world = World::start();
    world.runtime.block_on(async {
        let (tyk, nobody, none) = (&world.administrator, Owners::default(), BTreeSet::new());
        tyk.write_api(&classic("on", true), &nobody, &none).await.unwrap();
        tyk.write_api(&classic("off", false), &nobody, &none).await.unwrap();
        tyk.write_document(DocumentKind::Oas, &document("pets"), &nobody, &none)
            .await
            .unwrap();
        let rights = json!({"on": {"api_id": "on", "api_name": "API on", "versions": ["Default"]}});
        tyk.create_policy(
            &json!({"id": "gold", "name": "gold", "org_id": "org", "active": true, "rate": 5, "per": 1,
            "state": "active", "access_rights": rights}),
        )
        .await
        .unwrap();
    });
    let before = world.writes();
    let folder = Folder::new();
    let exported = world.run(&["export", "--write", folder.text()]);
    assert_eq!(exported.code, Some(0), "{}", exported.err);
    assert!(
        exported
            .err
            .contains("2 ApiDefinition, 1 SecurityPolicy, 1 TykOasApiDefinition"),
        "{}",
        exported.err
    );
    let diff = world.run(&["diff", "-f", folder.text(), "-o", "json"]);
    assert_eq!(diff.code, Some(1), "{}{}", diff.out, diff.err);
    let report: Value = diff.json();
    let changes = report["tyks"][0]["changes"].as_array().unwrap();
    let actions: BTreeMap<_, _> = changes
        .iter()
        .map(|one| (one["id"].as_str().unwrap(), &one["action"]))
        .collect();
    assert_eq!(actions.len(), 4, "{report:#}");
    assert!(actions.values().all(|action| *action == "adopt"), "{report:#}");
    let fields = changes
        .iter()
        .flat_map(|one| one["fields"].as_array().into_iter().flatten());
    let of_definitions: Vec<_> = fields
        .map(|one| one["field"].as_str().unwrap())
        .filter(|field| {
            ["active", "proxy", "is_inactive", "rate"]
                .iter()
                .any(|part| field.starts_with(part))
        })
        .collect();
    assert_eq!(of_definitions, [""; 0], "{report:#}");
    assert_eq!(world.writes(), before, "nothing is written");
}

#[test]
fn a_document_that_the_dashboard_would_not_take_is_told_before() {
    let world = World::start();
    let folder = Folder::new();
    let mut bad = document("bad");
    bad["info"] = json!({"title": "bad"});
    for (name, document) in [("good", document("good")), ("bad", bad)] {
        let resource = json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "TykOasApiDefinition", "metadata": {"name": name},
            "spec": {"tykOAS": {"document": document}}});
        folder.write(&format!("{name}.yaml"), &resource.to_string());
    }
    let diff = world.run(&["diff", "-f", folder.text(), "-o", "json"]);
    assert_eq!(diff.code, Some(2), "{}{}", diff.out, diff.err);
    let report: Value = diff.json();
    let changes = report["tyks"][0]["changes"].as_array().unwrap();
    let actions: BTreeMap<_, _> = changes
        .iter()
        .map(|one| (one["id"].as_str().unwrap(), one["action"].as_str().unwrap()))
        .collect();
    assert_eq!(
        actions,
        BTreeMap::from([("bad", "refuse"), ("good", "create")]),
        "{report:#}"
    );
    let checked = world.run(&["validate", "--server-side", "-f", folder.text()]);
    assert_eq!(checked.code, Some(1), "{}{}", checked.out, checked.err);
    assert!(
        checked
            .out
            .contains("error[InvalidDocument] TykOasApiDefinition default/bad"),
        "{}",
        checked.out
    );
    assert!(!checked.out.contains("default/good"), "{}", checked.out);
    let offline = world.run(&["validate", "-f", folder.text()]);
    assert!(!offline.out.contains("POST /api/apis"), "{}", offline.out);
    assert_eq!(world.writes(), 0);
}
