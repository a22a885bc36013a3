//! The worker at a gateway that fails.
#![allow(clippy::unwrap_used)]

mod sync_support;

use std::time::{Duration, Instant};

use serde_json::json;
use sync_support::{NEVER, Rig, all_synced, api, failure, simulated};
use tyk_ingress::sim::{Config, Failure, Gateway};
use tyk_ingress::sync::ApiOutcome;

#[tokio::test]
async fn a_wrong_secret_is_told_with_the_way_out() {
    let mut rig = Rig::at(simulated().await, "not-it", NEVER);
    rig.want(&[api("1", "/a/")]);
    let outcome = rig.outcome().await;
    let error = outcome.endpoint_error.clone().unwrap();
    assert!(error.contains("TYK_AUTH") && error.contains("GET /tyk/"), "{error}");
    assert!(!error.contains("not-it"), "{error}");
    assert_eq!(failure(&outcome, "1"), error);
}

#[tokio::test]
async fn a_gateway_that_is_down_is_in_step_soon_after_it_comes_up() {
    let gateway = simulated().await;
    let address = gateway.url().trim_start_matches("http://").parse().unwrap();
    let secret = gateway.secret().to_owned();
    let mut rig = Rig::at(gateway, &secret, NEVER);
    rig.sync(&[api("1", "/a/")]).await;
    let config = Config {
        listen: address,
        reload_interval: Duration::from_millis(20),
        ..Config::default()
    };
    let idle = simulated().await;
    std::mem::replace(&mut rig.gateway, idle).stop().await;

    rig.want(&[api("1", "/a/"), api("2", "/b/")]);
    let outcome = rig.outcome().await;
    assert!(outcome.endpoint_error.unwrap().contains("cannot reach"));
    rig.gateway = Gateway::start(config).await.unwrap();
    rig.until(all_synced).await;
    assert_eq!(rig.apis().await.len(), 2);
}

#[tokio::test]
async fn passing_failures_of_every_call_heal() {
    let slow = Failure::Delay(Duration::from_millis(1200));
    let failures = [
        Failure::Status(500),
        Failure::Status(429),
        Failure::Reset,
        Failure::ResetAfter,
        slow,
    ];
    let calls = [
        ("GET", "/tyk/apis"),
        ("POST", "/tyk/apis"),
        ("DELETE", "/tyk/apis"),
        ("GET", "/tyk/reload"),
    ];
    let cases = failures
        .into_iter()
        .flat_map(|failure| calls.map(|(method, path)| heals(failure, method, path)));
    futures::future::join_all(cases).await;
}

async fn heals(failure: Failure, method: &str, path: &str) {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/"), api("2", "/b/")]).await;
    rig.gateway.faults().fail_next(1, method, path, failure);
    rig.want(&[api("1", "/aa/"), api("3", "/c/")]);
    let failed = |api: &ApiOutcome| matches!(api, ApiOutcome::Failed(_));
    rig.until(|outcome| outcome.endpoint_error.is_none() && !outcome.apis.values().any(failed))
        .await;
    let apis = rig.apis().await;
    assert_eq!(
        apis.keys().collect::<Vec<_>>(),
        ["1", "3"],
        "{failure:?} of {method} {path}"
    );
    assert_eq!(
        apis["1"]["proxy"]["listen_path"], "/aa/",
        "{failure:?} of {method} {path}"
    );
}

#[tokio::test]
async fn nothing_is_written_while_a_reload_may_run() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/")]).await;
    rig.gateway.faults().lose_writes_during_reload(true);
    rig.gateway.faults().delay_reload(Duration::from_millis(1500));
    let before = rig.gateway.calls().len();
    rig.want(&[api("1", "/a/"), api("2", "/b/")]);
    let outcome = rig.outcome().await;
    assert!(outcome.endpoint_error.unwrap().contains("in time"));
    rig.want(&[api("1", "/a/"), api("2", "/b/"), api("3", "/c/")]);
    rig.outcome().await;
    // A call that nobody waited for is not listed: this reload is the second one.
    let calls = rig.calls_since(before);
    assert_eq!(
        calls[..3],
        ["GET /tyk/apis/2", "POST /tyk/apis", "GET /tyk/reload/?block=true"],
        "{calls:?}"
    );
    rig.gateway.faults().delay_reload(Duration::ZERO);
    rig.until(all_synced).await;
    assert_eq!(rig.apis().await.len(), 3);
}

#[tokio::test]
async fn an_api_at_which_the_gateway_breaks_costs_its_neighbours_nothing() {
    for broken in ["1", "2", "3"] {
        let mut rig = Rig::start().await;
        // Its write breaks among the others; in the next round it comes last and breaks again.
        rig.gateway.faults().break_at(2, broken);
        rig.want(&[api("1", "/a/"), api("2", "/b/"), api("3", "/c/")]);
        let outcome = rig.outcome().await;
        for (id, api) in outcome.apis.iter() {
            match id.as_ref() < broken {
                true => assert_eq!(*api, ApiOutcome::Synced, "{outcome:?}"),
                false => assert!(failure(&outcome, id).contains("500"), "{outcome:?}"),
            }
        }
        let outcome = rig.outcome().await;
        assert!(
            outcome.endpoint_error.is_some() && failure(&outcome, broken).contains("500"),
            "{outcome:?}"
        );
        let others = outcome.apis.iter().filter(|(id, _)| id.as_ref() != broken);
        assert!(others.map(|(_, api)| api).eq([&ApiOutcome::Synced; 2]), "{outcome:?}");
        rig.until(all_synced).await;
    }
}

#[tokio::test]
async fn an_api_at_which_the_gateway_breaks_before_the_list_costs_its_neighbours_nothing() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/"), api("2", "/b/"), api("lost", "/l/")]).await;
    rig.stranger.delete_api("lost").await.unwrap();
    rig.stranger.reload().await.unwrap();
    rig.gateway
        .faults()
        .fail_next(1, "POST", "/tyk/apis", Failure::Status(500));
    rig.want(&[api("1", "/a/"), api("2", "/bb/"), api("3", "/c/"), api("lost", "/l/")]);
    let outcome = rig.outcome().await;
    assert!(outcome.endpoint_error.is_some(), "{outcome:?}");
    assert!(failure(&outcome, "2").contains("500"), "{outcome:?}");
    assert_eq!(outcome.apis["1"], ApiOutcome::Synced);
    assert_eq!((outcome.calls.reads, outcome.calls.writes), (2, 1), "it is left alone");
    rig.until(all_synced).await;
    assert_eq!(rig.apis().await["2"]["proxy"]["listen_path"], "/bb/");
}

#[tokio::test]
async fn what_is_wrong_with_an_api_that_was_written_before_the_list_is_told() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/"), api("2", "/b/")]).await;
    let mut bad = api("3", "/c/");
    bad["proxy"]["enable_load_balancing"] = json!(true);
    rig.want(&[api("1", "/aa/"), api("2", "/b{x:[}"), bad]);
    let outcome = rig.outcome().await;
    assert_eq!(outcome.endpoint_error, None);
    assert_eq!(outcome.apis["1"], ApiOutcome::Synced);
    assert!(failure(&outcome, "2").contains("did not load"), "{outcome:?}");
    assert!(failure(&outcome, "3").contains("load balancing targets"), "{outcome:?}");
    assert_eq!(
        (outcome.calls.writes, outcome.calls.reloads),
        (3, 1),
        "nothing is tried twice"
    );
    let again = rig.round().await;
    assert_eq!(again.calls.writes, 0, "they wait alone");
    rig.sync(&[api("1", "/aa/"), api("2", "/b/"), api("3", "/c/")]).await;
}

#[tokio::test]
async fn an_api_that_stays_after_its_delete_is_told() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/"), api("2", "/b/")]).await;
    rig.gateway
        .faults()
        .fail_next(1, "DELETE", "/tyk/apis", Failure::Status(400));
    rig.want(&[api("1", "/a/")]);
    let outcome = rig.outcome().await;
    assert!(failure(&outcome, "2").contains("400"), "{outcome:?}");
    assert_eq!(
        (outcome.calls.deletes, outcome.calls.reloads),
        (1, 1),
        "it is not tried twice"
    );
    let outcome = rig.until(|outcome| outcome.calls.deletes == 1).await;
    assert_eq!(outcome.apis["2"], ApiOutcome::Gone);
}

#[tokio::test]
async fn a_rejected_api_costs_its_neighbours_nothing() {
    let mut rig = Rig::start().await;
    let mut bad = api("2", "/b/");
    bad["proxy"]["enable_load_balancing"] = json!(true);
    rig.want(&[api("1", "/a/"), bad, api("3", "/c/")]);
    let outcome = rig.outcome().await;
    assert_eq!(outcome.endpoint_error, None);
    assert_eq!(outcome.apis["1"], ApiOutcome::Synced);
    assert_eq!(outcome.apis["3"], ApiOutcome::Synced);
    assert!(failure(&outcome, "2").contains("load balancing targets"), "{outcome:?}");

    let again = rig.round().await;
    assert_eq!(again.calls.writes, 0, "it waits alone");
    assert_eq!(failure(&again, "2"), failure(&outcome, "2"));
    rig.until(|outcome| outcome.calls.writes == 1).await;
    rig.sync(&[api("1", "/a/"), api("2", "/b/"), api("3", "/c/")]).await;
}

#[tokio::test]
async fn an_api_that_never_loads_is_told() {
    let mut rig = Rig::start().await;
    rig.want(&[api("1", "/a{x:[}"), api("2", "/b/")]);
    let outcome = rig.outcome().await;
    assert!(failure(&outcome, "1").contains("did not load"), "{outcome:?}");
    assert_eq!(outcome.apis["2"], ApiOutcome::Synced);
    rig.sync(&[api("1", "/a/"), api("2", "/b/")]).await;
}

#[tokio::test]
async fn an_api_that_a_reload_loses_is_written_again() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/")]).await;
    rig.gateway.faults().lose_at_next_reload("1");
    let many: Vec<_> = (1..13).map(|n| api(&n.to_string(), &format!("/{n}/"))).collect();
    rig.want(&[vec![api("1", "/a/")], many[1..].to_vec()].concat());
    let outcome = rig.outcome().await;
    assert!(failure(&outcome, "1").contains("lost"), "{outcome:?}");
    assert_eq!(outcome.apis["2"], ApiOutcome::Synced);
    rig.until(all_synced).await;
}

#[tokio::test]
async fn an_api_that_the_reload_of_a_small_change_loses_is_written_in_the_same_round() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/")]).await;
    rig.gateway.faults().lose_at_next_reload("1");
    let outcome = rig.sync(&[api("1", "/a/"), api("2", "/b/")]).await;
    assert_eq!((outcome.drift.lost, outcome.calls.writes), (1, 2));
    assert_eq!(rig.apis().await.len(), 2);
}

#[tokio::test]
async fn a_delete_is_decided_by_what_is_there() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("1", "/a/")]).await;
    // Its file is gone, so the gateway answers 500.
    assert!(rig.gateway.remove_file("1"));
    rig.want_without(&[], &["1"]);
    let outcome = rig.outcome().await;
    assert_eq!((outcome.endpoint_error, &outcome.apis["1"]), (None, &ApiOutcome::Gone));
}

#[tokio::test]
async fn a_new_state_is_tried_at_once_but_a_failing_gateway_is_not_flooded() {
    let gateway = simulated().await;
    let mut rig = Rig::at(gateway, "not-it", NEVER);
    let start = Instant::now();
    for _ in 0..8 {
        rig.want(&[api("1", "/a/")]);
        rig.outcome().await;
    }
    // By itself the worker would come back after 0.2, 0.4, 0.8, … s: after 20 s at the earliest.
    let spent = start.elapsed();
    assert!(
        (Duration::from_millis(1400)..Duration::from_secs(10)).contains(&spent),
        "{spent:?}"
    );
}

#[tokio::test]
async fn a_batch_under_way_ends_in_its_reload_when_the_worker_is_told_to_stop() {
    let mut rig = Rig::start().await;
    rig.sync(&[api("0", "/0/")]).await;
    let slow = Failure::Delay(Duration::from_millis(100));
    rig.gateway.faults().fail_next(20, "POST", "/tyk/apis", slow);
    let before = rig.gateway.calls().len();
    let apis: Vec<_> = (0..20).map(|n| api(&n.to_string(), &format!("/{n}/"))).collect();
    rig.want(&apis);
    let written = async {
        while !rig.calls_since(before).iter().any(|call| call.starts_with("POST")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), written).await.unwrap();
    rig.cancel.cancel();
    tokio::time::timeout(Duration::from_secs(5), &mut rig.task)
        .await
        .unwrap()
        .unwrap();
    let calls = rig.calls_since(before);
    let writes = calls.iter().filter(|call| call.starts_with("POST"));
    // Those that were under way, and those that had begun in their place.
    assert!(writes.count() <= 8, "{calls:?}");
    assert_eq!(calls.last().unwrap(), "GET /tyk/reload/?block=true");
}
