#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::api::{ApiDefinition, TykMcpProxyDefinition, TykOasApiDefinition, TykStreamsApiDefinition};
use crate::desired::build;
use crate::diagnostic::Diagnostic;
use crate::ingress::Translation;

fn named(kind: &str, name: &str) -> Value {
    json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": "shop"}})
}

fn merged(mut object: Value, more: Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        match (&mut object[key], value) {
            (Value::Object(held), Value::Object(more)) => held.extend(more.clone()),
            (held, value) => *held = value.clone(),
        }
    }
    object
}

fn api(name: &str, more: Value) -> ApiDefinition {
    let path = format!("/{name}/");
    let spec = json!({"spec": {"name": format!("{name} api"), "api_id": name, "proxy": {"listen_path": path, "target_url": "http://x"}}});
    serde_json::from_value(merged(merged(named("ApiDefinition", name), spec), more)).unwrap()
}

fn oas(name: &str) -> TykOasApiDefinition {
    let extension = json!({"info": {"name": "Orders", "id": "o-1"}, "upstream": {"url": "http://x"},
        "server": {"listenPath": {"value": "/oas/"}}});
    let document = json!({"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {}, "x-tyk-api-gateway": extension});
    let spec = json!({"spec": {"tykOAS": {"document": document}}});
    serde_json::from_value(merged(named("TykOasApiDefinition", name), spec)).unwrap()
}

fn streams(name: &str) -> TykStreamsApiDefinition {
    let mut object = json!(oas(name));
    object["kind"] = json!("TykStreamsApiDefinition");
    let document = &mut object["spec"]["tykOAS"]["document"];
    document["x-tyk-streaming"] = json!({"streams": {}});
    document["x-tyk-api-gateway"]["info"] = json!({"name": "Events", "id": "s-1"});
    document["x-tyk-api-gateway"]["server"]["listenPath"]["value"] = json!("/events/");
    object["spec"] = json!({"tykStreams": {"document": document}});
    serde_json::from_value(object).unwrap()
}

fn mcp(name: &str) -> TykMcpProxyDefinition {
    let mut object = json!(oas(name));
    object["kind"] = json!("TykMcpProxyDefinition");
    let document = &mut object["spec"]["tykOAS"]["document"];
    document["x-tyk-api-gateway"]["info"] = json!({"name": "Tools", "id": "m-1"});
    document["x-tyk-api-gateway"]["server"]["listenPath"]["value"] = json!("/tools/");
    object["spec"] = json!({"tykMCP": {"document": document}});
    serde_json::from_value(object).unwrap()
}

fn policy_of(name: &str, spec: Value) -> SecurityPolicy {
    serde_json::from_value(merged(named("SecurityPolicy", name), json!({"spec": spec}))).unwrap()
}

struct World(Snapshot);

impl World {
    /// A classic API `a` with the same name, and the OAS API `o-1` of `orders`.
    fn new() -> Self {
        let mut snapshot = Snapshot::default();
        snapshot.insert(api("a", json!({})));
        snapshot.insert(oas("orders"));
        Self(snapshot)
    }

    fn with(mut self, name: &str, spec: Value) -> Self {
        self.0.insert(policy_of(name, spec));
        self
    }

    fn build(&self) -> (Desired, Vec<Diagnostic>) {
        let own = Context {
            org: "org".into(),
            owner: "east".into(),
            ..Context::default()
        };
        build(&self.0, &Translation::default(), &own)
    }

    /// The only policy, and what is said about it.
    fn policy(&self) -> (Policy, Vec<String>) {
        let (desired, found) = self.build();
        let policy = desired.policies.values().next().unwrap().clone();
        (
            policy,
            found
                .iter()
                .map(|d| format!("{} {}: {}", d.code, d.field, d.message))
                .collect(),
        )
    }
}

fn rights(spec: Value) -> (Value, bool) {
    let (policy, _) = World::new().with("gold", spec).policy();
    (policy.payload["access_rights"].clone(), policy.waits)
}

#[test]
fn an_entry_is_a_right_to_the_real_id_of_its_api() {
    let entries = json!([
        {"name": "a", "namespace": "shop", "limit": {"rate": 5, "per": 1}, "made_up": [1],
         "allowed_urls": [{"url": "/x", "methods": ["GET"]}], "restricted_types": [{"name": "T", "fields": ["f"]}],
         "endpoints": [{"path": "/x", "methods": [{"name": "GET", "limit": {"rate": "10", "per": "0.5"}}]}]},
        {"kind": "TykOasApiDefinition", "name": "orders", "versions": ["v1"], "mcp_access_rights": {"tools": {"allowed": ["t"]}}},
    ]);
    let (rights, waits) = rights(json!({"access_rights_array": entries}));
    assert!(!waits);
    assert_eq!(
        rights,
        json!({
            "a": {"api_id": "a", "api_name": "a api", "versions": ["Default"], "limit": {"rate": 5, "per": 1}, "made_up": [1],
                "allowed_urls": [{"url": "/x", "methods": ["GET"]}], "restricted_types": [{"name": "T", "fields": ["f"]}],
                "endpoints": [{"path": "/x", "methods": [{"name": "GET", "limit": {"rate": 10, "per": 0.5}}]}]},
            "o-1": {"api_id": "o-1", "api_name": "Orders", "versions": ["v1"], "mcp_access_rights": {"tools": {"allowed": ["t"]}}},
        })
    );
}

#[test]
fn an_entry_names_a_stream_or_an_mcp_proxy_by_its_kind() {
    let entries = json!([
        {"kind": "TykStreamsApiDefinition", "name": "events"},
        {"kind": "TykMcpProxyDefinition", "name": "tools", "mcp_access_rights": {"tools": {"allowed": ["t"]}},
         "json_rpc_methods": [{"name": "tools/call", "limit": {"rate": 5, "per": 1}}]},
    ]);
    let mut world = World::new().with("gold", json!({"access_rights_array": entries}));
    let waiting = ["access_rights_array[0]", "access_rights_array[1]"];
    let (policy, found) = world.policy();
    assert!(
        policy.waits && found.iter().zip(waiting).all(|(found, field)| found.contains(field)),
        "{found:?}"
    );
    world.0.insert(streams("events"));
    world.0.insert(mcp("tools"));
    let (policy, found) = world.policy();
    assert_eq!((policy.waits, found), (false, Vec::new()));
    assert_eq!(
        policy.payload["access_rights"],
        json!({
            "s-1": {"api_id": "s-1", "api_name": "Events", "versions": ["Default"]},
            "m-1": {"api_id": "m-1", "api_name": "Tools", "versions": ["Default"],
                "mcp_access_rights": {"tools": {"allowed": ["t"]}},
                "json_rpc_methods": [{"name": "tools/call", "limit": {"rate": 5, "per": 1}}]},
        })
    );
}

#[test]
fn a_policy_is_what_the_gateway_reads() {
    let spec = json!({
        "_id": "5f0", "id": "gold", "org_id": "theirs", "name": "Gold", "state": "active", "active": true, "rate": 7,
        "per": null, "tags": ["t"], "meta_data": {"m": "1"}, "partitions": {"quota": true}, "key_expires_in": 60,
        "access_rights": {"stale": {"api_id": "stale"}}, "access_rights_array": [], "field_of_next_year": {"a": 1},
    });
    let (desired, found) = World::new().with("gold", spec).build();
    assert_eq!(found, []);
    let mut payload = desired.policies["gold"].payload.clone();
    assert_eq!(owner::policy_mark(&payload).unwrap()["owner"], "east");
    payload.as_object_mut().unwrap().remove("graphql_access_rights");
    assert_eq!(
        payload,
        json!({
            "id": "gold", "org_id": "org", "name": "Gold", "active": true, "is_inactive": false, "rate": 7, "per": -1,
            "quota_max": -1, "quota_renewal_rate": -1, "throttle_interval": -1, "throttle_retry_limit": -1, "tags": ["t"],
            "meta_data": {"m": "1"}, "partitions": {"quota": true}, "key_expires_in": 60, "access_rights": {},
            "field_of_next_year": {"a": 1},
        })
    );
    let generated = World::new().with("gold", json!({})).build().0;
    assert_eq!(generated.policies.keys().collect::<Vec<_>>(), ["c2hvcC9nb2xk"]);
    assert_eq!(generated.policies["c2hvcC9nb2xk"].payload["name"], "gold");
}

#[test]
fn a_policy_that_is_switched_off_refuses_its_keys() {
    for (spec, refuses) in [
        (json!({"state": "active", "active": true}), false),
        (json!({"state": "draft", "active": true}), false),
        (json!({"state": "deny", "active": true}), true),
        (json!({"state": "active", "active": false}), true),
        (json!({"is_inactive": true}), true),
        (json!({}), false),
    ] {
        let (policy, _) = World::new().with("gold", spec.clone()).policy();
        assert_eq!(policy.payload["is_inactive"], refuses, "{spec}");
    }
}

#[test]
fn rights_are_never_empty_where_they_count() {
    let none = json!({"tyk-ingress.none": {"api_id": "tyk-ingress.none", "api_name": "", "versions": []}});
    for (partitions, expected) in [
        (json!({}), &none),
        (json!({"acl": true, "quota": true}), &none),
        (json!({"per_api": true}), &none),
        (json!({"rate_limit": true}), &json!({})),
    ] {
        let (found, _) = rights(json!({"partitions": partitions, "access_rights_array": []}));
        assert_eq!(found, *expected, "{partitions}");
    }
}

#[test]
fn a_policy_waits_for_what_cannot_be_used_and_keeps_the_rest() {
    let mut world = World::new();
    world
        .0
        .insert(api("template", json!({"metadata": {"labels": {"template": "true"}}})));
    world
        .0
        .insert(api("bad", json!({"spec": {"proxy": {"listen_path": "/{x:(a)}"}}})));
    world.0.insert(api("off", json!({"spec": {"active": false}})));
    world.0.insert(api("second", json!({"spec": {"api_id": "a"}})));
    let names = ["missing", "template", "bad", "off", "second", "a"];
    let entries: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
    let (policy, found) = world.with("gold", json!({"access_rights_array": entries})).policy();
    let rights: Vec<_> = policy.payload["access_rights"].as_object().unwrap().keys().collect();
    assert_eq!(
        rights,
        ["a", "bad", "off"],
        "what is held or switched off keeps its right"
    );
    assert!(policy.waits);
    let waits: Vec<_> = found.iter().filter(|text| text.starts_with("PolicyWaits")).collect();
    assert_eq!(waits.len(), 4, "{waits:#?}");
    for (at, part) in [
        (0, "does not exist"),
        (1, "template"),
        (2, "not accepted"),
        (4, "another resource"),
    ] {
        let field = format!("spec.access_rights_array[{at}]: ApiDefinition shop/{}", names[at]);
        let named = |text: &&&String| {
            text.contains(&field) || at == 4 && text.contains("[4]: the API of ApiDefinition shop/second")
        };
        assert!(waits.iter().find(named).unwrap().contains(part), "{waits:#?}");
    }
}

#[test]
fn what_cannot_be_understood_is_held() {
    for (spec, part) in [
        (json!({"id": "a/b"}), "spec.id"),
        (json!({"state": "on"}), "spec.state"),
        (json!({"access_rights_array": {}}), "not a list"),
        (json!({"access_rights_array": [{}]}), "`name`"),
        (
            json!({"access_rights_array": [{"name": "a", "kind": "Ingress"}]}),
            "\"Ingress\"",
        ),
        (
            json!({"access_rights_array": [{"name": "a", "limit": {"rate": "many"}}]}),
            "\"many\"",
        ),
        (json!({"smoothing": {"trigger": "x"}}), "spec.smoothing"),
        (json!({"contextRef": {"name": "x"}}), "spec.contextRef"),
    ] {
        let (desired, found) = World::new().with("gold", spec.clone()).build();
        let text = format!("{found:?}");
        assert!(text.contains(part.trim_matches('"')), "{spec}: {text}");
        assert_eq!((desired.policies.len(), desired.held_policies.len()), (0, 1), "{spec}");
    }
}

#[test]
fn the_oldest_has_an_id_and_one_on_its_way_out_is_removed() {
    let mut world = World::new();
    for (name, day) in [("young", 2), ("old", 1)] {
        let mut policy = policy_of(name, json!({"id": "gold", "name": name}));
        let time = format!("2026-01-0{day}T00:00:00Z").parse().unwrap();
        policy.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time));
        world.0.insert(policy);
    }
    let mut leaving = policy_of("leaving", json!({"id": "bronze"}));
    leaving.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
        jiff::Timestamp::UNIX_EPOCH,
    ));
    world.0.insert(leaving);
    let (desired, found) = world.build();
    assert_eq!(&*desired.policies["gold"].source.name, "old");
    assert_eq!(desired.policy_removals.iter().collect::<Vec<_>>(), ["bronze"]);
    assert!(
        matches!(&found[..], [one] if one.code == Code::PolicyIdConflict && &*one.object.name == "young"),
        "{found:?}"
    );
}

#[test]
fn references_are_kinds_and_names() {
    let entries = json!([{"name": "a"}, {"name": "b", "namespace": "n", "kind": "TykMcpProxyDefinition"}, {"kind": "x", "name": "c"}]);
    let policy = policy_of("gold", json!({"access_rights_array": entries}));
    let expected = [
        ("ApiDefinition", NamespacedName::new("shop", "a")),
        ("TykMcpProxyDefinition", NamespacedName::new("n", "b")),
    ];
    assert_eq!(api_refs(&policy), expected);
}
