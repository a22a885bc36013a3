//! OAS APIs, streams and MCP proxies are kept in step like classic ones, in the same batches.
#![allow(clippy::unwrap_used)]

mod sync_support;

use serde_json::{Value, json};
use sync_support::{Rig, api, document, failure};
use tyk_ingress::desired::owner;
use tyk_ingress::sync::{ApiOutcome, Calls};

async fn documents(rig: &Rig) -> std::collections::BTreeMap<String, Value> {
    rig.stranger.list_oas().await.unwrap()
}

#[tokio::test]
async fn both_kinds_go_in_one_batch_and_a_quiet_round_only_reads() {
    let mut rig = Rig::start().await;
    let before = rig.gateway.calls().len();
    rig.want_both(
        &[api("1", "/a/")],
        &[document("2", "/b/"), document("3", "/c{tykp:/|$}")],
    );
    let outcome = rig.outcome().await;
    assert!(sync_support::all_synced(&outcome), "{outcome:#?}");
    assert_eq!(
        rig.calls_since(before),
        [
            "GET /tyk/reload/?block=true",
            "GET /tyk/apis?include_types=mcp",
            // Whether an earlier process left policies; asked once.
            "GET /tyk/policies",
            "POST /tyk/apis",
            "POST /tyk/apis/oas",
            "POST /tyk/apis/oas",
            "GET /tyk/reload/?block=true",
            "GET /tyk/apis?include_types=mcp",
            "GET /tyk/apis/oas",
        ]
    );
    let quiet = rig.round().await;
    let reads = Calls {
        lists: 2,
        ..Calls::default()
    };
    assert_eq!((quiet.calls, quiet.drift.total()), (reads, 0));
    assert_eq!(documents(&rig).await["2"]["x-mine"]["kept"], true);
}

#[tokio::test]
async fn classic_apis_alone_cost_no_list_of_documents() {
    let mut rig = Rig::start().await;
    let before = rig.gateway.calls().len();
    rig.sync(&[api("1", "/a/")]).await;
    rig.round().await;
    assert!(rig.calls_since(before).iter().all(|call| !call.contains("oas")));
}

#[tokio::test]
async fn a_document_is_changed_and_deleted() {
    let mut rig = Rig::start().await;
    rig.sync_both(&[], &[document("1", "/a/"), document("2", "/b/")]).await;
    let mut changed = document("1", "/a/");
    changed["paths"] = json!({"/pets": {"get": {"responses": {"200": {"description": "ok"}}}}});
    let outcome = rig.sync_both(&[], &[changed, document("2", "/b/")]).await;
    assert_eq!((outcome.calls.writes, outcome.drift.total()), (1, 0));
    assert!(documents(&rig).await["1"]["paths"]["/pets"].is_object());
    rig.want_both(&[], &[document("2", "/b/")]);
    let outcome = rig.outcome().await;
    assert_eq!(outcome.apis["1"], ApiOutcome::Gone);
    assert_eq!(rig.apis().await.keys().collect::<Vec<_>>(), ["2"]);
}

#[tokio::test]
async fn an_edit_on_the_gateway_is_repaired_also_where_the_classic_form_does_not_show_it() {
    let mut rig = Rig::start().await;
    rig.sync_both(&[], &[document("1", "/a/")]).await;
    let mut edited = documents(&rig).await.remove("1").unwrap();
    edited["x-mine"]["kept"] = json!(false);
    rig.stranger.put_oas(&edited).await.unwrap();
    rig.stranger.reload().await.unwrap();
    let outcome = rig.round().await;
    assert_eq!(outcome.drift.total(), 1, "{outcome:#?}");
    assert_eq!(documents(&rig).await["1"]["x-mine"]["kept"], true);
}

#[tokio::test]
async fn an_api_changes_its_kind_and_keeps_its_id() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/")]).await;
    rig.sync_both(&[], &[document("1", "/a/")]).await;
    assert_eq!(rig.apis().await["1"]["is_oas"], true);
    rig.sync_both(&[api("1", "/a/")], &[]).await;
    assert_ne!(rig.apis().await["1"]["is_oas"], true);
    assert!(documents(&rig).await.is_empty());
}

#[tokio::test]
async fn documents_of_others_stay_as_they_are() {
    let mut rig = Rig::start().await;
    let mut theirs = document("1", "/theirs/");
    owner::mark_document(theirs.as_object_mut().unwrap(), "west", "x");
    for document in [&theirs, &document("2", "/nobody/")] {
        rig.stranger.put_oas(document).await.unwrap();
    }
    rig.stranger.reload().await.unwrap();
    rig.want_both(&[], &[document("1", "/a/"), document("3", "/nobody/")]);
    let outcome = rig.outcome().await;
    assert!(failure(&outcome, "1").contains("west"));
    assert!(failure(&outcome, "3").contains("API 2"), "{outcome:#?}");
    assert_eq!(rig.apis().await.keys().collect::<Vec<_>>(), ["1", "2"]);
}

#[tokio::test]
async fn a_document_that_the_gateway_refuses_costs_itself_only() {
    let mut rig = Rig::start().await;
    let mut bad = document("1", "/a/");
    bad["info"] = json!({});
    rig.want_both(&[], &[bad, document("2", "/b/")]);
    let outcome = rig.outcome().await;
    assert!(failure(&outcome, "1").contains("title"), "{outcome:#?}");
    assert_eq!(outcome.apis["2"], ApiOutcome::Synced);
}

#[tokio::test]
async fn an_api_that_was_there_before_its_resource_is_taken_over_by_its_id() {
    let mut rig = Rig::start().await;
    let mut theirs = document("1", "/old/");
    theirs["paths"] = json!({"/old": {}});
    rig.stranger.put_oas(&theirs).await.unwrap();
    rig.stranger.reload().await.unwrap();
    let outcome = rig.sync_both(&[], &[document("1", "/a/")]).await;
    assert_eq!((outcome.calls.writes, outcome.drift.total()), (1, 0));
    let held = documents(&rig).await.remove("1").unwrap();
    assert_eq!(held["paths"], json!({}));
    assert_eq!(owner::of(&rig.apis().await["1"]), Some(sync_support::OWNER));
    rig.want_both(&[], &[]);
    assert_eq!(rig.outcome().await.apis["1"], ApiOutcome::Gone);
}

fn stream(id: &str, listen_path: &str) -> Value {
    let mut stream = document(id, listen_path);
    stream["x-tyk-streaming"] = json!({"streams": {"clock": {"input": {"generate": {"interval": "1s"}}}}});
    stream
}

#[tokio::test]
async fn a_stream_is_repaired_where_only_its_streams_were_edited() {
    let mut rig = Rig::start().await;
    rig.sync_both(&[], &[stream("1", "/a/")]).await;
    let mut edited = documents(&rig).await.remove("1").unwrap();
    edited["x-tyk-streaming"]["streams"]["clock"]["input"] = json!({"stdin": {}});
    rig.stranger.put_oas(&edited).await.unwrap();
    rig.stranger.reload().await.unwrap();
    assert_eq!(rig.round().await.drift.total(), 1);
    let held = documents(&rig).await.remove("1").unwrap();
    assert_eq!(held["x-tyk-streaming"], stream("1", "/a/")["x-tyk-streaming"]);
}

#[tokio::test]
async fn a_proxy_is_made_changed_and_deleted_by_the_path_of_its_own() {
    let mut rig = Rig::with_mcp().await;
    let before = rig.gateway.calls().len();
    rig.sync_mcps(&[document("1", "/a/")], &[document("2", "/b/")]).await;
    assert_eq!(
        rig.calls_since(before)[3..],
        [
            "POST /tyk/apis/oas",
            "POST /tyk/mcps",
            "GET /tyk/reload/?block=true",
            "GET /tyk/apis?include_types=mcp",
            "GET /tyk/apis/oas",
            "GET /tyk/mcps",
        ]
    );
    let quiet = rig.round().await;
    assert_eq!((quiet.calls.writes, quiet.drift.total()), (0, 0));
    assert_eq!(documents(&rig).await.keys().collect::<Vec<_>>(), ["1"]);
    let mut changed = document("2", "/b/");
    changed["x-tyk-api-gateway"]["middleware"] = json!({"mcpTools": {"t": {"block": {"enabled": true}}}});
    let outcome = rig.sync_mcps(&[document("1", "/a/")], &[changed]).await;
    assert_eq!((outcome.calls.writes, outcome.drift.total()), (1, 0));
    rig.want_mcps(&[document("1", "/a/")], &[]);
    assert_eq!(rig.outcome().await.apis["2"], ApiOutcome::Gone);
    assert_eq!(rig.apis().await.keys().collect::<Vec<_>>(), ["1"]);
}

#[tokio::test]
async fn an_edit_of_a_proxy_is_repaired() {
    let mut rig = Rig::with_mcp().await;
    rig.sync_mcps(&[], &[document("1", "/a/")]).await;
    let mut edited = rig.stranger.list_mcps().await.unwrap().remove("1").unwrap();
    edited["x-mine"]["kept"] = json!(false);
    rig.stranger.put_mcp(&edited).await.unwrap();
    rig.stranger.reload().await.unwrap();
    assert_eq!(rig.round().await.drift.total(), 1);
    // The same document, but as that of any other API.
    let held = rig.stranger.list_mcps().await.unwrap().remove("1").unwrap();
    rig.stranger.put_oas(&held).await.unwrap();
    rig.stranger.reload().await.unwrap();
    assert_eq!(rig.round().await.drift.total(), 1);
    let held = rig.stranger.list_mcps().await.unwrap();
    assert_eq!(held["1"]["x-mine"]["kept"], true);
}

#[tokio::test]
async fn proxies_of_others_stay_and_one_that_nobody_marked_is_taken_over_by_its_id() {
    let mut rig = Rig::with_mcp().await;
    let mut theirs = document("1", "/theirs/");
    owner::mark_document(theirs.as_object_mut().unwrap(), "west", "x");
    for proxy in [&theirs, &document("2", "/old/"), &document("3", "/nobody/")] {
        rig.stranger.put_mcp(proxy).await.unwrap();
    }
    rig.stranger.reload().await.unwrap();
    rig.want_mcps(
        &[document("4", "/nobody/")],
        &[document("1", "/a/"), document("2", "/b/")],
    );
    let outcome = rig.outcome().await;
    assert!(failure(&outcome, "1").contains("west"));
    assert!(failure(&outcome, "4").contains("API 3"), "{outcome:#?}");
    assert_eq!(outcome.apis["2"], ApiOutcome::Synced);
    assert_eq!(rig.apis().await.keys().collect::<Vec<_>>(), ["1", "2", "3"]);
}

#[tokio::test]
async fn a_document_becomes_a_proxy_and_a_document_again() {
    let mut rig = Rig::with_mcp().await;
    rig.sync_mcps(&[document("1", "/a/")], &[]).await;
    rig.sync_mcps(&[], &[document("1", "/a/")]).await;
    assert!(documents(&rig).await.is_empty());
    rig.sync_mcps(&[document("1", "/a/")], &[]).await;
    assert!(rig.stranger.list_mcps().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_gateway_without_proxies_fails_them_alone() {
    let mut rig = Rig::start().await;
    rig.want_mcps(&[document("1", "/a/")], &[document("2", "/b/")]);
    let outcome = rig.outcome().await;
    let message = failure(&outcome, "2");
    assert!(
        message.contains("no MCP proxies") && message.contains("5.12"),
        "{message}"
    );
    assert_eq!(
        (&outcome.apis["1"], &outcome.endpoint_error),
        (&ApiOutcome::Synced, &None)
    );
    let before = rig.gateway.calls().len();
    let again = rig.round().await;
    assert!(failure(&again, "2").contains("no MCP proxies"), "{again:#?}");
    assert!(rig.calls_since(before).iter().all(|call| !call.contains("mcps")));
    // Taking it off needs nothing of the gateway.
    rig.want_all(tyk_ingress::desired::Desired {
        oas: sync_support::desired_documents("TykOasApiDefinition", &[document("1", "/a/")]),
        removals: std::collections::BTreeSet::from(["2".to_owned()]),
        ..Default::default()
    });
    assert_eq!(rig.outcome().await.apis["2"], ApiOutcome::Gone);
}

fn with_version(mut base: Value, version: &str) -> Value {
    base["x-tyk-api-gateway"]["info"]["versioning"] = json!({"enabled": true, "name": "v1", "location": "header",
        "key": "v", "versions": [{"name": "v2", "id": version}]});
    base
}

/// The gateway writes a base API as it was loaded when it deletes one of its versions.
#[tokio::test]
async fn a_version_goes_before_its_base_is_changed_or_deleted() {
    let mut rig = Rig::start().await;
    let base = with_version(document("1", "/a/"), "2");
    let all = [base.clone(), document("2", "/b/"), document("3", "/c/")];
    rig.sync_both(&[], &all).await;
    rig.want_both(&[], &[with_version(document("1", "/a/"), "3"), document("3", "/c/")]);
    let outcome = rig.outcome().await;
    assert_eq!(outcome.apis["1"], ApiOutcome::Synced, "{outcome:#?}");
    assert_eq!(outcome.apis["2"], ApiOutcome::Gone, "{outcome:#?}");
    rig.want_both(&[], &[]);
    let outcome = rig.outcome().await;
    assert!(
        outcome.apis.values().all(|api| *api == ApiOutcome::Gone),
        "{outcome:#?}"
    );
    assert!(rig.apis().await.is_empty());
}
