//! `export`: what a gateway holds becomes manifests that take it over without a change.

use serde_json::{Value, json};

use crate::gateway::Tyk;
use crate::program::{Folder, run};

fn classic(index: usize) -> Value {
    let mut api = json!({
        "api_id": format!("Classic_{index}"), "name": format!("Api Nr. {}", index / 2), "org_id": "org",
        "active": !index.is_multiple_of(11), "use_keyless": index.is_multiple_of(3),
        "proxy": {"listen_path": format!("/classic-{index}/"), "target_url": "http://upstream.test", "strip_listen_path": true},
        "version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default", "use_extended_paths": index.is_multiple_of(2),
            "global_headers": {"X-Token": "hunter2"},
            "extended_paths": {"circuit_breakers": [{"path": "/a", "method": "GET", "threshold_percent": 0.5, "samples": 5,
                "return_to_service_after": 10}]}}}},
        "config_data": {"mine": index},
    });
    match index % 6 {
        0 => api["use_standard_auth"] = json!(true),
        1 => {
            api["enable_jwt"] = json!(true);
            api["jwt_default_policies"] = json!(["policy.1", "unknown"]);
        }
        2 => api["proxy"]["target_url"] = json!("tyk://Classic_1/a/b?c=d"),
        3 => api["certificates"] = json!(["org5f0c"]),
        4 => {
            api["use_standard_auth"] = json!(true);
            api["global_rate_limit"] = json!({"rate": 1.5, "per": 60});
        }
        _ => {
            api["version_data"]["not_versioned"] = json!(false);
            api["definition"] = json!({"location": "header", "key": "x-version"});
            api["version_data"]["versions"]["v2"] = json!({"name": "v2", "expires": "2030-01-01 00:00"});
        }
    }
    api
}

fn document(index: usize) -> Value {
    let name = if index.is_multiple_of(2) { "Pets" } else { "Birds" };
    json!({
        "openapi": "3.0.3", "info": {"title": "Pets", "version": "1"}, "paths": {},
        "servers": [{"url": "https://public.test/pets"}],
        "x-tyk-api-gateway": {
            "info": {"id": format!("oas-{index}"), "name": format!("{name} {index}"), "orgId": "org", "state": {"active": true, "internal": index == 3}},
            "server": {"listenPath": {"value": format!("/oas-{index}/"), "strip": true}},
            "upstream": {"url": "http://pets.test"},
        },
    })
}

fn policy(index: usize) -> Value {
    let right = |api: String| json!({"api_id": api, "api_name": api, "versions": ["Default"], "limit": {"rate": 5, "per": 1, "quota_max": -1}});
    let rights = [format!("Classic_{index}"), format!("oas-{index}")].map(|api| (api.clone(), right(api)));
    json!({
        "id": format!("policy.{index}"), "name": "Gold", "org_id": "org", "active": true, "is_inactive": index == 2,
        "rate": index, "per": 60, "quota_max": if index.is_multiple_of(2) { -1 } else { 0 }, "quota_renewal_rate": 3600,
        "access_rights": serde_json::Map::from_iter(rights), "partitions": {"acl": true, "quota": false},
        "meta_data": {"team": "hunter2"}, "tags": ["a"], "key_expires_in": 100,
    })
}

fn filled() -> Tyk {
    let tyk = Tyk::start();
    tyk.fill(
        &(0..120).map(classic).collect::<Vec<_>>(),
        &(0..40).map(document).collect::<Vec<_>>(),
        &(0..40).map(policy).collect::<Vec<_>>(),
    );
    tyk
}

/// Without the marks, and without what only names another thing.
fn comparable(mut held: [std::collections::BTreeMap<String, Value>; 3]) -> Vec<Value> {
    for api in held[0].values_mut() {
        if let Some(data) = api["config_data"].as_object_mut() {
            data.remove("tyk-ingress");
        }
        if api["config_data"] == json!({}) {
            api["config_data"] = Value::Null;
        }
        // A gateway looks at neither.
        api["active"] = json!(true);
        api["use_standard_auth"] = json!(api["use_standard_auth"] == true && api["use_keyless"] != true);
        for field in ["config_data_disabled", "auth_configs"] {
            let token = &api[field]["authToken"];
            let empty = token["auth_header_name"] == "" || *token == json!({});
            if api[field].is_null() || api["is_oas"] == true || empty {
                api[field] = Value::Null;
            }
        }
    }
    for document in held[1].values_mut() {
        document["x-tyk-api-gateway"]["middleware"] = Value::Null;
    }
    for policy in held[2].values_mut() {
        policy["graphql_access_rights"] = Value::Null;
        for right in policy["access_rights"].as_object_mut().unwrap().values_mut() {
            right["api_name"] = Value::Null;
        }
    }
    held.into_iter()
        .flat_map(std::collections::BTreeMap::into_values)
        .collect()
}

#[test]
fn two_hundred_objects_are_exported_taken_over_and_stay_as_they_are() {
    let tyk = filled();
    let before = tyk.held();
    let folder = Folder::new();
    let exported = tyk.run(&["export", "--write", folder.text()]);
    assert_eq!(exported.code, Some(0), "{}", exported.err);
    assert!(
        exported
            .err
            .contains("120 ApiDefinition, 40 SecurityPolicy, 40 TykOasApiDefinition"),
        "{}",
        exported.err
    );
    assert!(exported.err.contains("TYK_ORG"), "{}", exported.err);
    let valid = run(&["validate", "-f", folder.text()]);
    assert!(valid.out.ends_with(" 0 errors, 60 warnings\n"), "{}", valid.out);

    let first = tyk.run(&["diff", "--tyk-org", "org", "-o", "json", "-f", folder.text()]);
    assert_eq!(first.code, Some(1), "{}", first.err);
    let changes = first.json()["tyks"][0]["changes"].as_array().unwrap().clone();
    assert_eq!(changes.len(), 200);
    for change in &changes {
        assert_eq!(change["action"], "adopt", "{change}");
        let fields: Vec<_> = change["fields"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| one["field"].clone())
            .collect();
        let harmless = |field: &Value| {
            let field = field.as_str().unwrap();
            field == "active" || field == "use_standard_auth" || field.ends_with(".api_name")
        };
        assert!(fields.iter().all(harmless), "{change}");
    }
    assert!(!first.out.contains("hunter2"), "{}", first.out);

    tyk.apply_under("org", folder.text());
    let after = tyk.held();
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    }
    for (before, after) in comparable(before).iter().zip(&comparable(after)) {
        assert_eq!(before, after);
    }
    assert!(tyk.run(&["export"]).err.contains("nothing to export"));
    let again = Folder::new();
    tyk.run(&["export", "--all", "--write", again.text()]);
    let names = |folder: &Folder| -> Vec<_> {
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&folder), names(&again));
}

#[test]
fn the_same_gateway_gives_the_same_text_and_references_are_names() {
    let tyk = filled();
    let (one, two) = (tyk.run(&["export", "-n", "edge"]), tyk.run(&["export", "-n", "edge"]));
    assert!(!one.out.is_empty() && one.out == two.out);
    for part in [
        "edge/gold-",
        "target_internal:",
        "access_rights_array:",
        "api_id: Classic_1\n",
        "name: pets-2\n",
        "without a way to export the key",
    ] {
        assert!(one.out.contains(part), "{part}");
    }
    let maps = tyk.run(&["export", "--configmaps"]);
    assert!(maps.out.contains("kind: ConfigMap") && maps.out.contains("keyName: oas.json"));
    assert!(!maps.out.contains("document:"));
    assert_eq!(tyk.run(&["export", "-n", "No Namespace"]).code, Some(2));
}
