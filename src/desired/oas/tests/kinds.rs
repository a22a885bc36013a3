//! Streams and MCP proxies.

use super::*;
use crate::api::{TykMcpProxyDefinition, TykStreamsApiDefinition};

fn of_kind(kind: &str, name: &str, document: Value) -> Value {
    let field = if kind == "TykStreamsApiDefinition" {
        "tykStreams"
    } else {
        "tykMCP"
    };
    json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": kind, "metadata": {"name": name},
        "spec": {field: {"document": document}}})
}

fn stream(document: Value) -> Value {
    of_kind(TykStreamsApiDefinition::KIND, "events", document)
}

fn proxy(document: Value) -> Value {
    of_kind(TykMcpProxyDefinition::KIND, "tools", document)
}

fn streaming() -> Value {
    let mut document = document();
    document["x-tyk-streaming"] = json!({"streams": {"clock": {"input": {"generate": {"interval": "1s"}}}}});
    document
}

#[test]
fn a_stream_is_a_document_that_loses_nothing() {
    let (desired, found) = built(&[stream(streaming())]);
    assert_eq!(found, [""; 0]);
    let api = &desired.oas[id("events").as_str()];
    assert_eq!(api.source.to_string(), "TykStreamsApiDefinition default/events");
    assert_eq!(api.payload.value()["x-tyk-streaming"], streaming()["x-tyk-streaming"]);
    assert_eq!(api.payload.value()["x-mine"], streaming()["x-mine"]);
    let info = &api.payload.value()[EXTENSION]["info"];
    assert_eq!((&info["id"], &info["orgId"]), (&json!(id("events")), &json!("org")));
    assert!(desired.mcps.is_empty() && desired.apis.is_empty());
}

#[test]
fn a_document_without_streams_is_no_stream() {
    let without = |part: Value| {
        let mut document = streaming();
        document["x-tyk-streaming"] = part;
        document
    };
    for document in [document(), without(json!({})), without(json!({"streams": []}))] {
        let (desired, found) = built(&[stream(document)]);
        let told = "InvalidDocument TykStreamsApiDefinition default/events spec.tykStreams: \
                    the document has no object `x-tyk-streaming.streams`";
        assert_eq!(found, [told]);
        assert!(desired.oas.is_empty() && desired.held.contains(&id("events")));
    }
    let (_, found) = built(&[stream(json!({}))]);
    assert!(
        found
            .iter()
            .all(|one| one.starts_with("InvalidDocument") && one.contains("spec.tykStreams")),
        "{found:?}"
    );
}

#[test]
fn an_mcp_proxy_is_a_form_of_its_own_and_keeps_its_id() {
    let mut own = document();
    own[EXTENSION]["info"]["id"] = json!("mine");
    own[EXTENSION]["middleware"] = json!({"mcpTools": {"weather": {"allow": {"enabled": true}}}});
    let (desired, found) = built(&[proxy(own)]);
    assert_eq!(found, [""; 0]);
    assert!(desired.oas.is_empty() && desired.api("mine").is_some());
    let extension = &desired.mcps["mine"].payload.value()[EXTENSION];
    let allowed = "/middleware/mcpTools/weather/allow/enabled";
    assert_eq!(extension.pointer(allowed), Some(&json!(true)));
}

#[test]
fn middleware_that_breaks_json_rpc_is_named_with_its_place() {
    let mut own = document();
    own[EXTENSION]["middleware"] = json!({
        "operations": {"a": {"cache": {"enabled": true}}}, "mcpTools": {"t": {"urlRewrite": {}, "rateLimit": {}}},
        "mcpResources": {"file:///*": {"mockResponse": {}}}, "mcpPrompts": {"p": {"internal": {}, "block": {}}},
    });
    let (desired, found) = built(&[proxy(own)]);
    let start = "InvalidDocument TykMcpProxyDefinition default/tools spec.tykMCP: an MCP proxy cannot have ";
    let places: Vec<_> = found
        .iter()
        .map(|one| one.strip_prefix(start).unwrap().split('`').nth(1).unwrap())
        .collect();
    let expected = [
        "x-tyk-api-gateway.middleware.mcpPrompts.p.internal",
        "x-tyk-api-gateway.middleware.mcpResources.file:///*.mockResponse",
        "x-tyk-api-gateway.middleware.mcpTools.t.urlRewrite",
        "x-tyk-api-gateway.middleware.operations.a.cache",
    ];
    assert_eq!(places, expected);
    assert!(desired.mcps.is_empty() && desired.held.contains(&id("tools")));
}

#[test]
fn they_leave_like_any_other_api() {
    for object in [stream(streaming()), proxy(document())] {
        let mut leaving = object.clone();
        leaving["metadata"]["deletionTimestamp"] = json!("2024-05-06T07:08:09Z");
        let mut inactive = object.clone();
        *inactive["spec"].as_object_mut().unwrap().values_mut().next().unwrap() =
            json!({"document": {"x-tyk-api-gateway": {"info": {"state": {"active": false}}}}});
        let name = object["metadata"]["name"].as_str().unwrap();
        for gone in [leaving, inactive] {
            let (desired, found) = built(&[gone]);
            assert_eq!(found, [""; 0]);
            assert!(desired.removals.contains(&id(name)) && desired.wanted().count() == 0);
        }
    }
}

#[test]
fn documents_of_all_kinds_compete_for_routes_and_ids() {
    let aged = |mut object: Value, year: u16| {
        object["metadata"]["creationTimestamp"] = json!(format!("{year}-05-06T07:08:09Z"));
        object
    };
    let objects = [
        aged(proxy(document()), 2023),
        aged(stream(streaming()), 2024),
        aged(inline("pets", document()), 2025),
    ];
    let (desired, found) = built(&objects);
    assert_eq!(
        desired.wanted().map(|(id, _)| id.as_ref()).collect::<Vec<_>>(),
        [id("tools")]
    );
    let winner = "belongs to TykMcpProxyDefinition default/tools";
    assert!(
        found[0].starts_with("ListenPathCollision TykOasApiDefinition default/pets spec.tykOAS")
            && found[0].ends_with(winner),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("ListenPathCollision TykStreamsApiDefinition default/events spec.tykStreams"),
        "{found:?}"
    );
}

#[test]
fn a_proxy_whose_document_is_gone_is_held_under_its_confirmed_id() {
    let mut object = proxy(document());
    object["spec"]["tykMCP"] = json!({"configmapRef": {"name": "gone", "keyName": "k"}});
    object["status"] = json!({"id": "mine"});
    let (desired, found) = built(&[object]);
    assert!(
        found[0].starts_with("DocumentNotFound TykMcpProxyDefinition default/tools spec.tykMCP.configmapRef"),
        "{found:?}"
    );
    assert!(desired.held.contains("mine") && desired.held.contains(&id("tools")));
}
