//! The worker brings a gateway in step and keeps it there.
#![allow(clippy::unwrap_used)]

mod sync_support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sync_support::{Rig, all_synced, api, client, failure, simulated};
use tokio::time::timeout;
use tyk_ingress::desired::owner;
use tyk_ingress::sim::Failure;
use tyk_ingress::sync::{ApiOutcome, Calls};

#[tokio::test]
async fn creates_updates_and_deletes() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/"), api("2", "/b/")]).await;
    let mut changed = api("2", "/b/");
    changed["proxy"]["target_url"] = json!("http://127.0.0.1:2");
    rig.sync(&[api("1", "/a/"), changed]).await;
    assert_eq!(rig.apis().await["2"]["proxy"]["target_url"], "http://127.0.0.1:2");
    rig.want_without(&[api("2", "/b/")], &["1"]);
    let outcome = rig.outcome().await;
    assert_eq!(outcome.apis["1"], ApiOutcome::Gone);
    assert_eq!(outcome.drift.total(), 0);
    assert_eq!(rig.apis().await.keys().collect::<Vec<_>>(), ["2"]);
}

/// As many APIs as are written only when all have been listed.
fn many() -> Vec<Value> {
    (10..22).map(|n| api(&n.to_string(), &format!("/{n}/"))).collect()
}

#[tokio::test]
async fn a_batch_costs_its_writes_one_reload_and_two_lists() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/"), api("2", "/b/")]).await;
    let before = rig.gateway.calls().len();
    rig.want(&[vec![api("1", "/aa/")], many()].concat());
    let outcome = rig.outcome().await;
    assert_eq!(
        outcome.calls,
        Calls {
            lists: 2,
            reads: 0,
            writes: 13,
            deletes: 1,
            reloads: 1
        }
    );
    let mut calls = vec!["GET /tyk/apis?include_types=mcp"];
    calls.extend(["POST /tyk/apis"; 13]);
    calls.extend([
        "DELETE /tyk/apis/2",
        "GET /tyk/reload/?block=true",
        "GET /tyk/apis?include_types=mcp",
    ]);
    assert_eq!(rig.calls_since(before), calls);
    let quiet = rig.round().await;
    assert_eq!(
        quiet.calls,
        Calls {
            lists: 1,
            ..Calls::default()
        }
    );
}

/// A rig whose worker is sending [`many`], and takes some time for it.
async fn sending() -> (Rig, usize) {
    let mut rig = Rig::start().await;
    rig.sync(&[]).await;
    let before = rig.gateway.calls().len();
    let slow = Failure::Delay(Duration::from_millis(400));
    rig.gateway.faults().fail_next(1, "POST", "/tyk/apis", slow);
    rig.want(&many());
    let sends = async {
        while !rig.calls_since(before).iter().any(|call| call == "POST /tyk/apis") {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), sends)
        .await
        .expect("the worker writes");
    (rig, before)
}

#[tokio::test]
async fn what_is_added_while_a_batch_is_sent_is_served_by_the_same_reload() {
    let (mut rig, before) = sending().await;
    rig.want(&[many(), vec![api("1", "/a/"), api("2", "/b/")]].concat());
    let outcome = rig.outcome().await;
    assert!(all_synced(&outcome), "{outcome:#?}");
    assert_eq!(outcome.apis.len(), 14);
    let mut calls = vec!["GET /tyk/apis?include_types=mcp"];
    calls.extend(["POST /tyk/apis"; 14]);
    calls.extend(["GET /tyk/reload/?block=true", "GET /tyk/apis?include_types=mcp"]);
    assert_eq!(rig.calls_since(before), calls);
    let quiet = rig.round().await;
    assert_eq!((quiet.calls.lists, quiet.calls.writes), (1, 0));
}

#[tokio::test]
async fn what_is_changed_or_dropped_while_a_batch_is_sent_waits_for_the_next() {
    for next in [
        [&many()[1..], &[]].concat(),
        [&many()[1..], &[api("10", "/otherwise/")]].concat(),
    ] {
        let (mut rig, before) = sending().await;
        rig.want(&next);
        let outcome = rig.outcome().await;
        assert!(outcome.endpoint_error.is_none(), "{outcome:#?}");
        let calls = rig.calls_since(before);
        let reloads = calls.iter().filter(|call| call.starts_with("GET /tyk/reload"));
        assert_eq!(reloads.count(), 2, "{calls:?}");
        let paths = |apis: &BTreeMap<String, Value>| -> Vec<Value> {
            apis.values().map(|api| api["proxy"]["listen_path"].clone()).collect()
        };
        let wanted = next
            .iter()
            .map(|api| (api["api_id"].to_string(), api.clone()))
            .collect();
        assert_eq!(paths(&rig.apis().await), paths(&wanted));
    }
}

#[tokio::test]
async fn a_change_of_few_apis_waits_for_no_list() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/"), api("2", "/b/"), api("5", "/e/")]).await;
    let before = rig.gateway.calls().len();
    rig.want(&[api("1", "/aa/"), api("3", "/c/"), api("4", "/d/"), api("5", "/e/")]);
    let outcome = rig.outcome().await;
    assert_eq!(
        outcome.calls,
        Calls {
            lists: 1,
            reads: 4,
            writes: 3,
            deletes: 1,
            reloads: 1
        }
    );
    assert_eq!(
        rig.calls_since(before),
        [
            "GET /tyk/apis/1",
            "GET /tyk/apis/2",
            "GET /tyk/apis/3",
            "GET /tyk/apis/4",
            "POST /tyk/apis",
            "POST /tyk/apis",
            "POST /tyk/apis",
            "DELETE /tyk/apis/2",
            "GET /tyk/reload/?block=true",
            "GET /tyk/apis?include_types=mcp",
        ]
    );
    let synced = ["1", "3", "4", "5"].map(|id| (id.into(), ApiOutcome::Synced));
    let gone = [("2".into(), ApiOutcome::Gone)];
    assert_eq!(
        outcome.apis,
        synced.into_iter().chain(gone).collect::<BTreeMap<_, _>>().into()
    );
    assert_eq!(outcome.drift.total(), 0);
    assert_eq!((outcome.plan.writes.len(), outcome.plan.deletes.len()), (3, 1));
    assert_eq!(outcome.plan.unchanged, 1);
    assert_eq!(rig.round().await.calls.writes, 0);
}

#[tokio::test]
async fn a_change_of_few_apis_writes_over_none_of_others() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/"), api("2", "/b/"), api("3", "/c/")]).await;
    for (id, path) in [("2", "/b/"), ("3", "/c/"), ("4", "/d/")] {
        let mut west = api(id, path);
        owner::mark(west.as_object_mut().unwrap(), "west", "ApiDefinition default/a");
        rig.stranger.put_api(&west).await.unwrap();
    }
    rig.stranger.reload().await.unwrap();
    let before = rig.apis().await;

    // One of each: changed, not wanted any more, and new.
    rig.want(&[api("1", "/a/"), api("2", "/bb/"), api("4", "/dd/")]);
    let outcome = rig.outcome().await;
    assert!(failure(&outcome, "2").contains("\"west\""), "{outcome:?}");
    assert!(failure(&outcome, "4").contains("\"west\""), "{outcome:?}");
    assert_eq!((outcome.calls.reads, outcome.calls.writes), (3, 0));
    assert_eq!(outcome.calls.deletes, 0);
    assert_eq!(rig.apis().await, before);
}

#[tokio::test]
async fn a_change_of_few_apis_moves_none_of_others() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/")]).await;
    rig.intrude(&api("theirs", "/b/")).await;
    rig.round().await;
    rig.want(&[api("1", "/a/"), api("2", "/b/")]);
    let outcome = rig.outcome().await;
    assert!(failure(&outcome, "2").contains("theirs"), "{outcome:?}");
    assert_eq!((outcome.calls.reads, outcome.calls.writes), (1, 0));
    assert_eq!(rig.apis().await["theirs"]["proxy"]["listen_path"], "/b/");
}

#[tokio::test]
async fn what_a_change_of_few_apis_finds_lost_or_edited_is_repaired_at_once() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/"), api("2", "/b/"), api("3", "/c/")]).await;
    let mut edited = rig.apis().await["2"].clone();
    edited["proxy"]["target_url"] = json!("http://127.0.0.1:9");
    rig.stranger.put_api(&edited).await.unwrap();
    rig.stranger.delete_api("3").await.unwrap();
    rig.stranger.reload().await.unwrap();

    let outcome = rig.sync(&[api("1", "/aa/"), api("2", "/b/"), api("3", "/c/")]).await;
    assert_eq!((outcome.drift.lost, outcome.drift.edited), (1, 1));
    assert_eq!(outcome.repaired().count(), 2);
    assert_eq!(
        outcome.calls,
        Calls {
            lists: 2,
            reads: 1,
            writes: 3,
            deletes: 0,
            reloads: 2
        }
    );
    let apis = rig.apis().await;
    assert_eq!(apis.keys().collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(apis["1"]["proxy"]["listen_path"], "/aa/");
    assert_eq!(apis["2"]["proxy"]["target_url"], "http://127.0.0.1:1");
    assert_eq!(rig.round().await.drift.total(), 0);
}

#[tokio::test]
async fn a_change_of_few_apis_finds_a_gateway_that_was_emptied() {
    // One that it had is asked for, and one that it never had.
    for (wanted, lost, reloads) in [
        (vec![api("1", "/aa/"), api("2", "/b/")], 1, 1),
        (vec![api("1", "/a/"), api("2", "/b/"), api("3", "/c/")], 2, 2),
    ] {
        let mut rig = Rig::start().await;
        rig.sync(&[api("1", "/a/"), api("2", "/b/")]).await;
        assert!(["1", "2"].into_iter().all(|id| rig.gateway.remove_file(id)));
        rig.stranger.reload().await.unwrap();
        let outcome = rig.sync(&wanted).await;
        assert_eq!(outcome.drift.lost, lost);
        assert_eq!((outcome.calls.reads, outcome.calls.reloads), (1, reloads));
        assert_eq!(rig.apis().await.len(), wanted.len());
    }
}

#[tokio::test]
async fn an_api_that_was_seen_to_be_gone_is_not_asked_about_again() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/"), api("2", "/b/")]).await;
    rig.want(&[api("2", "/b/")]);
    assert_eq!(rig.outcome().await.apis["1"], ApiOutcome::Gone);
    let before = rig.gateway.calls().len();
    rig.want_without(&[api("2", "/b/")], &["1"]);
    let leaving = rig.outcome().await;
    assert_eq!(leaving.apis["1"], ApiOutcome::Gone);
    assert_eq!(leaving.apis["2"], ApiOutcome::Synced);
    rig.want(&[api("2", "/b/")]);
    assert_eq!((leaving.calls, rig.outcome().await.calls), Default::default());
    assert!(rig.calls_since(before).is_empty());

    // Of this one nobody knows, and what was gone can have come back.
    rig.want_without(&[api("2", "/b/")], &["3"]);
    assert_eq!(rig.outcome().await.calls.lists, 1);
    assert_eq!(rig.round().await.calls.lists, 1);
}

#[tokio::test]
async fn a_field_that_was_taken_out_goes() {
    let mut rig = Rig::start().await;
    let mut more = api("1", "/a/");
    more["config_data"] = json!({"mine": true});
    more["disable_rate_limit"] = json!(true);
    rig.sync(&[more]).await;
    assert_eq!(rig.apis().await["1"]["disable_rate_limit"], true);
    rig.sync(&[api("1", "/a/")]).await;
    let loaded = &rig.apis().await["1"];
    assert_eq!(loaded["disable_rate_limit"], false);
    assert_eq!(loaded["config_data"]["mine"], json!(null));
}

#[tokio::test]
async fn drift_is_repaired() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/"), api("2", "/b/")]).await;

    let mut edited = rig.apis().await["1"].clone();
    edited["proxy"]["target_url"] = json!("http://127.0.0.1:9");
    rig.intrude(&edited).await;
    assert_eq!(rig.round().await.drift.total(), 1, "edited");
    assert_eq!(rig.apis().await["1"]["proxy"]["target_url"], "http://127.0.0.1:1");

    rig.intrude(&api("1", "/a/")).await;
    assert_eq!(rig.round().await.drift.total(), 1, "written over without a mark");

    rig.stranger.delete_api("2").await.unwrap();
    rig.stranger.reload().await.unwrap();
    assert_eq!(rig.round().await.drift.total(), 1, "deleted");

    rig.gateway.restart(false).await;
    assert_eq!(rig.apis().await.len(), 0);
    rig.trigger.fire();
    let outcome = rig.until(all_synced).await;
    assert_eq!(outcome.drift.total(), 2, "emptied");
    assert_eq!(rig.apis().await.len(), 2);
    assert_eq!(rig.round().await.drift.total(), 0, "quiet again");
}

#[tokio::test]
async fn drift_is_found_without_being_asked() {
    let gateway = simulated().await;
    let secret = gateway.secret().to_owned();
    let mut rig = Rig::at(gateway, &secret, Duration::from_millis(100));
    rig.sync(&[api("1", "/a/")]).await;
    rig.stranger.delete_api("1").await.unwrap();
    rig.stranger.reload().await.unwrap();
    rig.until(|outcome| outcome.drift.total() == 1).await;
}

#[tokio::test]
async fn files_that_an_earlier_process_left_are_seen() {
    let gateway = simulated().await;
    let earlier = client(&gateway, gateway.secret());
    let mut left = api("old", "/old/");
    owner::mark(
        left.as_object_mut().unwrap(),
        sync_support::OWNER,
        "ApiDefinition default/old",
    );
    earlier.put_api(&left).await.unwrap();
    let secret = gateway.secret().to_owned();
    let mut rig = Rig::at(gateway, &secret, sync_support::NEVER);
    rig.want_without(&[], &["old"]);
    assert_eq!(rig.outcome().await.apis["old"], ApiOutcome::Gone);
    rig.stranger.reload().await.unwrap();
    assert_eq!(rig.apis().await.len(), 0);
}

#[tokio::test]
async fn a_rename_is_told_and_repaired_when_the_rival_goes() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/")]).await;
    rig.stranger.put_api(&api("rival", "/a/")).await.unwrap();
    rig.gateway.restart(true).await;
    assert_eq!(rig.apis().await["1"]["proxy"]["listen_path"], "/a/-1");

    rig.trigger.fire();
    let outcome = rig.until(|outcome| outcome.endpoint_error.is_none()).await;
    assert!(failure(&outcome, "1").contains("API rival"), "{outcome:?}");
    assert_eq!(outcome.calls.writes, 0);

    rig.stranger.delete_api("rival").await.unwrap();
    rig.stranger.reload().await.unwrap();
    assert_eq!(rig.apis().await["1"]["proxy"]["listen_path"], "/a/-1", "renames stay");
    let outcome = rig.round().await;
    assert!(all_synced(&outcome), "{outcome:?}");
    assert_eq!(outcome.drift.total(), 1);
    assert_eq!(rig.apis().await["1"]["proxy"]["listen_path"], "/a/");
}

#[tokio::test]
async fn an_api_of_others_is_not_made_to_move() {
    let mut rig = Rig::start().await;
    rig.intrude(&api("theirs", "/a/")).await;
    rig.want(&[api("1", "/a/"), api("2", "/b/")]);
    let outcome = rig.outcome().await;
    assert!(failure(&outcome, "1").contains("theirs"), "{outcome:?}");
    assert_eq!(outcome.apis["2"], ApiOutcome::Synced);
    assert_eq!(rig.apis().await.keys().collect::<Vec<_>>(), ["2", "theirs"]);
}

#[tokio::test]
async fn what_is_not_ours_stays() {
    let mut rig = Rig::start().await;
    let mut west = api("west", "/west/");
    owner::mark(west.as_object_mut().unwrap(), "west", "ApiDefinition default/a");
    rig.intrude(&west).await;
    rig.intrude(&api("plain", "/plain/")).await;
    let before = rig.apis().await;

    rig.want_without(&[api("west", "/mine/")], &["plain"]);
    let outcome = rig.outcome().await;
    assert!(failure(&outcome, "west").contains("\"west\""), "{outcome:?}");
    assert_eq!((outcome.calls.writes, outcome.calls.deletes), (0, 0));
    assert_eq!(rig.apis().await, before);
}

#[tokio::test]
async fn an_api_without_a_mark_is_adopted_by_its_id() {
    let mut rig = Rig::start().await;
    rig.intrude(&api("1", "/a/")).await;
    let outcome = rig.sync(&[api("1", "/a/")]).await;
    assert_eq!((outcome.calls.writes, outcome.drift.total()), (1, 0));
    assert_eq!(owner::of(&rig.apis().await["1"]), Some(sync_support::OWNER));
}

#[tokio::test]
async fn routes_can_be_swapped_and_handed_over_in_one_batch() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/"), api("2", "/b/"), api("3", "/c/")]).await;
    rig.want(&[api("1", "/b/"), api("2", "/a/"), api("4", "/c/")]);
    let outcome = rig.outcome().await;
    assert_eq!(outcome.apis["3"], ApiOutcome::Gone);
    let paths: Vec<_> = rig
        .apis()
        .await
        .values()
        .map(|api| api["proxy"]["listen_path"].clone())
        .collect();
    assert_eq!(paths, ["/b/", "/a/", "/c/"]);
}

#[tokio::test]
async fn most_apis_are_not_deleted_at_once() {
    let mut rig = Rig::start().await;
    rig.sync(&many()).await;
    rig.want(&[]);
    let outcome = rig.outcome().await;
    assert_eq!(outcome.calls.deletes, 0);
    assert!(failure(&outcome, "10").contains("second look"), "{outcome:?}");
    let outcome = rig.until(|outcome| outcome.calls.deletes > 0).await;
    assert!(outcome.apis.values().all(|api| *api == ApiOutcome::Gone), "{outcome:?}");
    assert_eq!(rig.apis().await.len(), 0);
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_ends() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/")]).await;
    rig.cancel.cancel();
    tokio::time::timeout(Duration::from_secs(5), rig.task)
        .await
        .unwrap()
        .unwrap();
}
