//! What a Dashboard holds of each kind, and how it is kept so.

use serde_json::{Value, json};
use tyk_ingress::api::names;
use tyk_ingress::sim::dashboard::{Config, Failure, Permission, User};
use tyk_ingress::sync::{ApiOutcome, Calls};

use crate::world::{World, classic, condition, failure, id, in_step, put_oas};

fn policy(apis: &[&str]) -> Value {
    let rights: Vec<Value> = apis
        .iter()
        .map(|api| json!({"name": api, "namespace": "default"}))
        .collect();
    json!({"name": "Gold", "state": "active", "active": true, "access_rights_array": rights})
}

/// A certificate with its key in a Secret, and its id at the Dashboard.
fn put_certificate(world: &mut World, name: &str) -> String {
    use base64::Engine;
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let encoded = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    let data = json!({"tls.crt": encoded(certificate.pem()), "tls.key": encoded(key.serialize_pem())});
    world.put_object(
        "Secret",
        name,
        json!({"metadata": {}, "type": "kubernetes.io/tls", "data": data}),
    );
    let digest = <sha2::Sha256 as sha2::Digest>::digest(certificate.der());
    digest
        .iter()
        .fold("org".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

#[tokio::test]
async fn classic_oas_policies_and_certificates_come_change_and_go_without_a_reload() {
    let mut world = World::start().await;
    let certificate = put_certificate(&mut world, "tls");
    let mut secured = classic("/a/");
    secured["certificate_secret_names"] = json!(["tls"]);
    world.put("ApiDefinition", "a", secured);
    put_oas(&mut world, "b", "/b/", |_, _| {});
    world.put("SecurityPolicy", "gold", policy(&["a"]));
    let outcome = world.sync().await;
    assert_eq!(world.diagnostics, []);
    assert_eq!(outcome.calls.reloads, 0);
    let apis = world.stranger.list_apis().await.unwrap();
    assert_eq!(apis[&id("a")].definition()["certificates"], json!([certificate]));
    assert!(apis[&id("b")].is_oas());
    let policies = world.stranger.list_policies().await.unwrap();
    assert_eq!(policies[0].id(), id("gold"));
    assert_eq!(policies[0].fields()["access_rights"][id("a")]["api_id"], id("a"));
    assert_eq!(policies[0].fields()["access_rights_array"][0]["api_id"], id("a"));
    assert_eq!(policies[0].fields()["state"], "active");
    let quiet = world.until(in_step).await;
    assert_eq!((quiet.calls.writes, quiet.drift.total()), (0, 0));

    let mut changed = classic("/a/");
    changed["proxy"]["target_url"] = json!("http://127.0.0.1:2");
    world.put("ApiDefinition", "a", changed);
    put_oas(&mut world, "b", "/bb/", |_, _| {});
    world.sync().await;
    let apis = world.stranger.list_apis().await.unwrap();
    assert_eq!(apis[&id("a")].definition()["proxy"]["target_url"], "http://127.0.0.1:2");
    assert_eq!(
        apis[&id("a")].definition()["certificates"],
        json!(null),
        "a field that is not wanted any more goes"
    );
    assert_eq!(apis[&id("b")].definition()["proxy"]["listen_path"], "/bb/");
    assert!(!world.stranger.list_certificates().await.unwrap().contains(&certificate));

    for (kind, name) in [
        ("ApiDefinition", "a"),
        ("TykOasApiDefinition", "b"),
        ("SecurityPolicy", "gold"),
    ] {
        world.delete(kind, name, "x");
    }
    let outcome = world.step().await;
    assert_eq!(
        outcome
            .apis
            .values()
            .chain(outcome.policies.values())
            .collect::<Vec<_>>(),
        [&ApiOutcome::Gone; 3]
    );
    assert!(world.stranger.list_apis().await.unwrap().is_empty());
    assert!(world.stranger.list_policies().await.unwrap().is_empty());
    let calls = world.dashboard.calls();
    assert!(calls.iter().all(|call| !call.path.contains("reload")), "{calls:?}");
}

#[tokio::test]
async fn an_update_changes_nothing_of_the_record_that_is_not_ours() {
    let mut world = World::start().await;
    world.put("ApiDefinition", "a", classic("/a/"));
    world.put("SecurityPolicy", "gold", policy(&["a"]));
    world.sync().await;
    let api = id("a");
    for (field, value) in [
        ("hook_references", json!([{"hook": "h"}])),
        ("user_owners", json!(["somebody"])),
        ("user_group_owners", json!(["some"])),
        ("next_year", json!({"kept": true})),
    ] {
        assert!(world.dashboard.set_field(&api, field, value));
    }
    // Somebody adds a field of the definition that the resource does not name.
    let mut record = world.dashboard.record(&api).unwrap();
    record["api_definition"]["domain"] = json!("theirs.example");
    record["api_definition"]["config_data"]["theirs"] = json!(1);
    assert!(world.dashboard.set_field(&api, "x", json!(1)));
    let (held, before) = (world.stranger.api(&api).await.unwrap().unwrap(), tyk_before(&record));
    let theirs = record["api_definition"].clone();
    let owners = held.owners();
    world.stranger.write_api(&theirs, &owners, &before).await.unwrap();
    let policy_before = world.stranger.list_policies().await.unwrap().remove(0);
    let mut extended = Value::Object(policy_before.fields().clone());
    extended["meta_data"] = json!({"theirs": "1"});
    world
        .stranger
        .update_policy(policy_before.database_id(), &extended, &before)
        .await
        .unwrap();
    let record = world.dashboard.record(&api).unwrap();

    let mut changed = classic("/a/");
    changed["proxy"]["target_url"] = json!("http://127.0.0.1:2");
    world.put("ApiDefinition", "a", changed);
    let mut renamed = policy(&["a"]);
    renamed["name"] = json!("Silver");
    world.put("SecurityPolicy", "gold", renamed);
    world.sync().await;

    let mut expected = record;
    let mut after = world.dashboard.record(&api).unwrap();
    assert_eq!(after["api_definition"]["proxy"]["target_url"], "http://127.0.0.1:2");
    for record in [&mut expected, &mut after] {
        record["api_definition"]["proxy"]["target_url"].take();
        record["api_definition"]["config_data"]["tyk-ingress"].take();
    }
    assert_eq!(after, expected);
    let policy_after = world.stranger.list_policies().await.unwrap().remove(0);
    assert_eq!(policy_after.database_id(), policy_before.database_id());
    assert_eq!(policy_after.fields()["name"], "Silver");
    assert_eq!(policy_after.fields()["meta_data"], json!({"theirs": "1"}));
    assert_eq!(
        world.status("SecurityPolicy", "gold")["pol_id"],
        policy_after.database_id()
    );
}

fn tyk_before(_: &Value) -> std::collections::BTreeSet<String> {
    std::collections::BTreeSet::new()
}

#[tokio::test]
async fn drift_is_repaired() {
    let mut world = World::start().await;
    world.put("ApiDefinition", "a", classic("/a/"));
    put_oas(&mut world, "b", "/b/", |_, _| {});
    world.put("SecurityPolicy", "gold", policy(&["a"]));
    world.sync().await;
    let none = tyk_before(&Value::Null);

    let held = world.stranger.api(&id("a")).await.unwrap().unwrap();
    let mut edited = held.definition().clone();
    edited["proxy"]["target_url"] = json!("http://127.0.0.1:9");
    world.stranger.write_api(&edited, &held.owners(), &none).await.unwrap();
    world
        .until(|outcome| outcome.drift.total() == 1 && in_step(outcome))
        .await;
    let held = world.stranger.api(&id("a")).await.unwrap().unwrap();
    assert_eq!(held.definition()["proxy"]["target_url"], "http://127.0.0.1:1");

    world.stranger.delete_api(&id("b")).await.unwrap();
    world
        .until(|outcome| outcome.drift.total() == 1 && in_step(outcome))
        .await;
    assert!(world.stranger.api(&id("b")).await.unwrap().is_some());

    let gold = world.stranger.list_policies().await.unwrap().remove(0);
    let mut wider = Value::Object(gold.fields().clone());
    wider["access_rights"]["stolen"] = json!({"api_id": "stolen", "versions": ["Default"]});
    world
        .stranger
        .update_policy(gold.database_id(), &wider, &none)
        .await
        .unwrap();
    world
        .until(|outcome| outcome.drift.total() == 1 && in_step(outcome))
        .await;
    let gold = world.stranger.list_policies().await.unwrap().remove(0);
    assert_eq!(gold.fields()["access_rights"].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn a_deletion_waits_for_the_dashboard() {
    let mut world = World::start().await;
    world.put("ApiDefinition", "a", classic("/a/"));
    world.put("SecurityPolicy", "gold", policy(&[]));
    world.sync().await;
    world.dashboard.down().await;
    world.delete("ApiDefinition", "a", names::FINALIZER_API_DEFINITION);
    world.delete("SecurityPolicy", "gold", names::FINALIZER_SECURITY_POLICY);
    let outcome = world.step().await;
    assert!(outcome.endpoint_error.is_some());
    assert!(!world.is_released("ApiDefinition", "a") && !world.is_released("SecurityPolicy", "gold"));
    world.dashboard.up().await.unwrap();
    // Something that is no answer of a Dashboard proves nothing.
    world
        .dashboard
        .faults()
        .fail_next(2, "GET", "/api/apis", Failure::Status(404));
    world
        .until(|outcome| outcome.apis.values().all(|one| *one == ApiOutcome::Gone))
        .await;
    assert!(world.is_released("ApiDefinition", "a") && world.is_released("SecurityPolicy", "gold"));
    assert!(world.stranger.list_apis().await.unwrap().is_empty());
}

#[tokio::test]
async fn lists_of_many_pages_are_whole() {
    let config = Config {
        page_size: 3,
        all_at_once: false,
        ..Config::default()
    };
    let mut world = World::of(config).await;
    for number in 0..10 {
        world.put("ApiDefinition", &format!("a{number}"), classic(&format!("/{number}/")));
        let mut policy = policy(&[]);
        policy["name"] = json!(format!("policy {number}"));
        world.put("SecurityPolicy", &format!("p{number}"), policy);
    }
    world.sync().await;
    let quiet = world.until(in_step).await;
    assert_eq!(
        quiet.calls,
        Calls {
            lists: 2,
            ..Calls::default()
        }
    );
    assert_eq!(world.stranger.list_policies().await.unwrap().len(), 10);
}

#[tokio::test]
async fn an_inactive_api_is_kept_inactive() {
    let mut world = World::start().await;
    let mut off = classic("/a/");
    off["active"] = json!(false);
    world.put("ApiDefinition", "a", off);
    put_oas(&mut world, "b", "/b/", |document, _| {
        document["x-tyk-api-gateway"]["info"]["state"]["active"] = json!(false);
    });
    // Nobody else is kept from its path.
    world.put("ApiDefinition", "c", classic("/a/"));
    let outcome = world.sync().await;
    assert_eq!(outcome.apis[id("a").as_str()], ApiOutcome::Synced);
    let apis = world.stranger.list_apis().await.unwrap();
    assert_eq!(apis[&id("a")].definition()["active"], false);
    assert_eq!(apis[&id("b")].definition()["active"], false);
    assert_eq!(condition(&world.status("ApiDefinition", "a"), "Synced").0, "True");
    assert_eq!(world.status("TykOasApiDefinition", "b")["enabled"], false);
    assert_eq!(condition(&world.status("ApiDefinition", "c"), "Ready").0, "True");
}

#[tokio::test]
async fn a_policy_is_taken_over_by_the_id_of_the_database() {
    let mut world = World::start().await;
    let old =
        json!({"name": "Old", "id": "", "org_id": "org", "access_rights": {}, "tags": ["theirs"], "active": true});
    let database_id = world.stranger.create_policy(&old).await.unwrap();
    let mut spec = policy(&[]);
    spec["id"] = json!(database_id);
    world.put("SecurityPolicy", "gold", spec);
    world.sync().await;
    let policies = world.stranger.list_policies().await.unwrap();
    assert_eq!(policies.len(), 1);
    assert_eq!(policies[0].database_id(), database_id);
    assert_eq!(policies[0].fields()["name"], "Gold");
    assert_eq!(policies[0].fields()["tags"], json!(["theirs"]));
    assert_eq!(world.status("SecurityPolicy", "gold")["pol_id"], json!(database_id));
    // With an id of its own the policy keeps that.
    let own = json!({"name": "Own", "id": "own", "org_id": "org", "access_rights": {}, "active": true});
    let database_id = world.stranger.create_policy(&own).await.unwrap();
    let mut spec = policy(&[]);
    (spec["id"], spec["name"]) = (json!(database_id), json!("Silver"));
    world.put("SecurityPolicy", "silver", spec);
    world.sync().await;
    let silver = world.stranger.policy(&database_id).await.unwrap().unwrap();
    assert_eq!((silver.id(), &silver.fields()["name"]), ("own", &json!("Silver")));
    assert_eq!(world.until(in_step).await.calls.writes, 0);
}

#[tokio::test]
async fn conflicts_and_settings_of_the_dashboard_are_told_at_the_object() {
    let mut world = World::of(Config {
        explicit_policy_id: false,
        duplicate_slugs: false,
        ..Config::default()
    })
    .await;
    let theirs = json!({"name": "Gold", "org_id": "org", "access_rights": {}, "active": true});
    world.stranger.create_policy(&theirs).await.unwrap();
    world.put("SecurityPolicy", "gold", policy(&[]));
    let mut other = policy(&[]);
    other["name"] = json!("Silver");
    world.put("SecurityPolicy", "silver", other);
    world.put("ApiDefinition", "a", classic("/a/"));
    let outcome = world.step().await;
    assert!(
        failure(&outcome.policies[id("gold").as_str()]).contains("name has already been used"),
        "{outcome:#?}"
    );
    assert!(
        failure(&outcome.policies[id("silver").as_str()]).contains("allow_explicit_policy_id"),
        "{outcome:#?}"
    );
    assert_eq!(outcome.apis[id("a").as_str()], ApiOutcome::Synced);
    assert_eq!(outcome.endpoint_error, None);
    let (status, reason, message) = {
        let status = world.status("SecurityPolicy", "gold");
        let (a, b, c) = condition(&status, "Ready");
        (a.to_owned(), b.to_owned(), c.to_owned())
    };
    assert_eq!((status.as_str(), reason.as_str()), ("False", "SyncFailed"));
    assert!(message.contains("name has already been used"), "{message}");
}

#[tokio::test]
async fn missing_permissions_are_told_where_they_count() {
    let none = User::limited("key", "org", []);
    let reader = User::limited("key", "org", [("apis", Permission::Read)]);
    for (user, is_endpoint) in [(none, true), (reader, false)] {
        let mut world = World::of(Config {
            users: vec![user],
            ..Config::default()
        })
        .await;
        world.put("ApiDefinition", "a", classic("/a/"));
        let outcome = world.step().await;
        let message = failure(&outcome.apis[id("a").as_str()]);
        assert!(
            message.contains("give the user of TYK_AUTH this permission"),
            "{message}"
        );
        assert_eq!(outcome.endpoint_error.is_some(), is_endpoint);
    }
}

#[tokio::test]
async fn what_somebody_else_made_stays() {
    let mut world = World::start().await;
    let none = tyk_before(&Value::Null);
    let theirs = json!({"api_id": "theirs", "name": "theirs", "active": true, "use_keyless": true,
        "version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default"}}},
        "proxy": {"listen_path": "/theirs/", "target_url": "http://127.0.0.1:1"}});
    world
        .stranger
        .write_api(&theirs, &Default::default(), &none)
        .await
        .unwrap();
    world.put("ApiDefinition", "a", classic("/a/"));
    world.sync().await;
    world.forget("ApiDefinition", "a");
    world.step().await;
    let apis = world.stranger.list_apis().await.unwrap();
    assert_eq!(apis.keys().collect::<Vec<_>>(), ["theirs"]);
}

#[tokio::test]
async fn an_id_can_change_its_form() {
    let mut world = World::start().await;
    let mut spec = classic("/a/");
    spec["api_id"] = json!("one");
    world.put("ApiDefinition", "a", spec);
    world.sync().await;
    world.forget("ApiDefinition", "a");
    put_oas(&mut world, "b", "/a/", |document, _| {
        document["x-tyk-api-gateway"]["info"]["id"] = json!("one")
    });
    world.sync().await;
    assert!(world.stranger.list_apis().await.unwrap()["one"].is_oas());
}

fn put_streams_and_mcp(world: &mut World, path: &str) {
    let server = json!({"listenPath": {"value": path, "strip": true}});
    let streams = json!({"openapi": "3.0.3", "info": {"title": "s", "version": "1"}, "paths": {},
        "x-tyk-streaming": {"streams": {"one": {"input": {"generate": {}}, "output": {"http_server": {"path": "/get"}}}}},
        "x-tyk-api-gateway": {"info": {"name": "s", "state": {"active": true}}, "server": server,
            "upstream": {"url": "http://127.0.0.1:1"}}});
    let mut mcp = streams.clone();
    mcp.as_object_mut().unwrap().remove("x-tyk-streaming");
    mcp["x-tyk-api-gateway"]["server"]["listenPath"]["value"] = json!(format!("/mcp{path}"));
    for (kind, name, field, document) in [
        ("TykStreamsApiDefinition", "s", "tykStreams", streams),
        ("TykMcpProxyDefinition", "m", "tykMCP", mcp),
    ] {
        world.put_object(
            "ConfigMap",
            name,
            json!({"metadata": {}, "data": {"doc.json": document.to_string()}}),
        );
        world.put(
            kind,
            name,
            json!({field: {"configmapRef": {"name": name, "keyName": "doc.json"}}}),
        );
    }
}

#[tokio::test]
async fn streams_and_mcp_proxies_come_change_and_go() {
    let mut world = World::start().await;
    put_streams_and_mcp(&mut world, "/a/");
    let outcome = world.sync().await;
    assert_eq!(outcome.apis.len(), 2, "{:#?}", world.diagnostics);
    put_streams_and_mcp(&mut world, "/b/");
    world.sync().await;
    let mcps = world.stranger.list_mcps().await.unwrap();
    assert_eq!(
        mcps[&id("m")]["x-tyk-api-gateway"]["server"]["listenPath"]["value"],
        "/mcp/b/"
    );
    assert_eq!(world.until(in_step).await.calls.writes, 0);
    world.delete("TykStreamsApiDefinition", "s", "x");
    world.delete("TykMcpProxyDefinition", "m", "x");
    let outcome = world.step().await;
    assert!(
        outcome.apis.values().all(|one| *one == ApiOutcome::Gone),
        "{outcome:#?}"
    );
    assert!(world.stranger.list_mcps().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_licence_costs_its_kind_alone() {
    let mut world = World::of(Config {
        streams: false,
        ..Config::default()
    })
    .await;
    put_streams_and_mcp(&mut world, "/a/");
    let outcome = world.step().await;
    assert!(
        failure(&outcome.apis[id("s").as_str()]).contains("licence"),
        "{outcome:#?}"
    );
    assert_eq!(outcome.apis[id("m").as_str()], ApiOutcome::Synced);
}
