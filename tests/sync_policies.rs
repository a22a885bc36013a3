//! Policies at a simulated gateway: what its keys may do, and what it holds after each round.
#![allow(clippy::unwrap_used)]

mod sync_support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use sync_support::{NEVER, OWNER, Rig, api, document, simulated};
use tyk_ingress::desired::{Desired, Policy, owner};
use tyk_ingress::diagnostic::ObjectRef;
use tyk_ingress::sim::{Config, Failure, Gateway};
use tyk_ingress::sync::{ApiOutcome, Calls, Outcome};

fn policy(id: &str, apis: &[&str]) -> Policy {
    let rights = apis
        .iter()
        .map(|api| ((*api).to_owned(), json!({"api_id": api, "versions": ["Default"]})));
    let mut payload = json!({"id": id, "org_id": "", "name": id, "active": true, "is_inactive": false, "rate": -1,
        "access_rights": rights.collect::<serde_json::Map<_, _>>()});
    owner::mark_policy(payload.as_object_mut().unwrap(), OWNER, "SecurityPolicy default/a");
    Policy {
        source: ObjectRef::new("SecurityPolicy", "default", "a"),
        generation: 1,
        payload,
        waits: false,
    }
}

fn with(mut policy: Policy, pointer: &str, value: Value) -> Policy {
    *policy.payload.pointer_mut(pointer).unwrap() = value;
    policy
}

fn waiting(policy: Policy) -> Policy {
    Policy { waits: true, ..policy }
}

/// An API that asks for keys.
fn closed(id: &str) -> Value {
    let mut api = api(id, &format!("/{id}/"));
    api["use_keyless"] = json!(false);
    api
}

fn wanted(apis: &[Value], policies: Vec<Policy>) -> Desired {
    let id = |policy: &Policy| policy.payload["id"].as_str().unwrap().to_owned();
    Desired {
        policies: policies.into_iter().map(|policy| (id(&policy), policy)).collect(),
        ..sync_support::desired(apis)
    }
}

fn in_step(outcome: &Outcome) -> bool {
    let mut all = outcome.apis.values().chain(outcome.policies.values());
    outcome.endpoint_error.is_none() && all.all(|one| !matches!(one, ApiOutcome::Failed(_)))
}

fn failure<'a>(outcome: &'a Outcome, id: &str) -> &'a str {
    match &outcome.policies[id] {
        ApiOutcome::Failed(message) => message,
        other => panic!("{id} is {other:?}"),
    }
}

async fn sync(rig: &mut Rig, apis: &[Value], policies: Vec<Policy>) -> Outcome {
    rig.want_all(wanted(apis, policies));
    let outcome = rig.outcome().await;
    assert!(in_step(&outcome), "{outcome:#?}");
    outcome
}

/// Rights by policy, without what a gateway adds.
async fn held(rig: &Rig) -> BTreeMap<String, BTreeSet<String>> {
    let policies = rig.stranger.list_policies().await.unwrap();
    let rights = |policy: Value| policy["access_rights"].as_object().unwrap().keys().cloned().collect();
    policies.into_iter().map(|(id, policy)| (id, rights(policy))).collect()
}

fn rights(policies: &[(&str, &[&str])]) -> BTreeMap<String, BTreeSet<String>> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    policies
        .iter()
        .map(|(id, apis)| ((*id).to_owned(), names(apis)))
        .collect()
}

/// Makes a key of these policies.
async fn key(rig: &Rig, policies: &[&str]) -> String {
    let answer = reqwest::Client::new()
        .post(format!("{}/tyk/keys", rig.gateway.url()))
        .header("X-Tyk-Authorization", rig.gateway.secret())
        .body(json!({"apply_policies": policies}).to_string())
        .send()
        .await
        .unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    answer["key"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// Whether a key gets through to an API, whose upstream is not there.
async fn admits(rig: &Rig, key: &str, api: &str) -> bool {
    let url = format!("{}/{api}/", rig.gateway.ingress_url());
    let answer = reqwest::Client::new()
        .get(url)
        .header("Authorization", key)
        .send()
        .await
        .unwrap();
    match answer.status().as_u16() {
        403 => false,
        500 => true,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_removed_entry_revokes_and_so_does_deny() {
    let mut rig = Rig::start().await;
    let apis = [closed("a"), closed("b")];
    sync(&mut rig, &apis, vec![policy("gold", &["a", "b"])]).await;
    let key = key(&rig, &["gold"]).await;
    assert!(admits(&rig, &key, "a").await && admits(&rig, &key, "b").await);

    sync(&mut rig, &apis, vec![policy("gold", &["b"])]).await;
    assert!(!admits(&rig, &key, "a").await && admits(&rig, &key, "b").await);

    let denied = with(policy("gold", &["a", "b"]), "/is_inactive", json!(true));
    sync(&mut rig, &apis, vec![denied]).await;
    assert!(!admits(&rig, &key, "b").await);

    sync(&mut rig, &apis, vec![policy("gold", &["a"])]).await;
    assert!(admits(&rig, &key, "a").await);
    rig.want_all(wanted(&apis, vec![]));
    assert_eq!(rig.outcome().await.policies["gold"], ApiOutcome::Gone);
    assert!(!admits(&rig, &key, "a").await);
}

#[tokio::test]
async fn one_batch_goes_policies_apis_and_deletes_in_the_same_order() {
    let mut rig = Rig::start().await;
    sync(&mut rig, &[api("1", "/1/")], vec![policy("old", &["1"])]).await;
    let before = rig.gateway.calls().len();
    rig.want_all(wanted(
        &[api("2", "/2/")],
        vec![policy("gold", &["2"]), policy("silver", &["2"])],
    ));
    let outcome = rig.outcome().await;
    let expected = Calls {
        lists: 4,
        reads: 0,
        writes: 3,
        deletes: 2,
        reloads: 1,
    };
    assert_eq!(outcome.calls, expected);
    assert_eq!(
        rig.calls_since(before),
        [
            "GET /tyk/apis?include_types=mcp",
            "GET /tyk/policies",
            "POST /tyk/policies",
            "POST /tyk/policies",
            "POST /tyk/apis",
            "DELETE /tyk/policies/old",
            "DELETE /tyk/apis/1",
            "GET /tyk/reload/?block=true",
            "GET /tyk/apis?include_types=mcp",
            "GET /tyk/policies",
        ]
    );
    assert_eq!(outcome.policies["old"], ApiOutcome::Gone);
    let quiet = rig.round().await;
    let lists = Calls {
        lists: 2,
        ..Calls::default()
    };
    assert_eq!((quiet.calls, quiet.drift.total()), (lists, 0));
}

#[tokio::test]
async fn a_policy_may_have_the_id_of_an_api() {
    let mut rig = Rig::start().await;
    let mut both = wanted(&[api("1", "/1/")], vec![policy("1", &["1"])]);
    both.oas = sync_support::desired_documents("TykOasApiDefinition", &[document("2", "/2/")]);
    rig.want_all(both);
    let outcome = rig.outcome().await;
    assert!(in_step(&outcome), "{outcome:#?}");
    rig.want_all(wanted(&[api("1", "/1/")], vec![]));
    let outcome = rig.outcome().await;
    assert_eq!(
        (&outcome.apis["1"], &outcome.policies["1"]),
        (&ApiOutcome::Synced, &ApiOutcome::Gone)
    );
}

#[tokio::test]
async fn policies_are_not_asked_for_where_there_are_none() {
    let mut rig = Rig::start().await;
    // The first round looks whether an earlier process left some, and lives without an answer.
    rig.gateway
        .faults()
        .fail_next(1, "GET", "/tyk/policies", Failure::Status(404));
    rig.sync(&[api("1", "/1/")]).await;
    let before = rig.gateway.calls().len();
    rig.sync(&[api("1", "/one/")]).await;
    let calls = rig.calls_since(before);
    assert!(!calls.iter().any(|call| call.contains("policies")), "{calls:?}");
}

#[tokio::test]
async fn policies_that_an_earlier_process_left_are_deleted() {
    let gateway = simulated().await;
    let earlier = sync_support::client(&gateway, gateway.secret());
    earlier.put_policy(&policy("left", &["1"]).payload).await.unwrap();
    let secret = gateway.secret().to_owned();
    let mut rig = Rig::at(gateway, &secret, NEVER);
    rig.sync(&[api("1", "/1/")]).await;
    assert_eq!(held(&rig).await, rights(&[]));
}

#[tokio::test]
async fn drift_is_repaired() {
    let mut rig = Rig::start().await;
    sync(&mut rig, &[], vec![policy("gold", &["1"])]).await;
    let mut edited = rig.stranger.list_policies().await.unwrap()["gold"].clone();
    edited.as_object_mut().unwrap().remove("_id");
    edited["access_rights"]["2"] = json!({"api_id": "2"});
    for (change, name) in [(Some(&edited), "a right added by hand"), (None, "deleted")] {
        match change {
            Some(edited) => rig.stranger.put_policy(edited).await.unwrap(),
            None => rig.stranger.delete_policy("gold").await.unwrap(),
        }
        rig.stranger.reload().await.unwrap();
        let outcome = rig.round().await;
        assert!(in_step(&outcome) && outcome.drift.total() == 1, "{name}: {outcome:#?}");
        assert_eq!(held(&rig).await, rights(&[("gold", &["1"])]), "{name}");
    }
    rig.gateway.restart(false).await;
    rig.trigger.fire();
    rig.until(in_step).await;
    assert_eq!(held(&rig).await, rights(&[("gold", &["1"])]));
}

#[tokio::test]
async fn one_without_a_mark_is_adopted_and_that_of_another_owner_is_not_touched() {
    let mut rig = Rig::start().await;
    let plain = json!({"id": "plain", "org_id": "", "access_rights": {"9": {"api_id": "9"}}});
    let mut theirs = plain.clone();
    theirs["id"] = json!("theirs");
    owner::mark_policy(theirs.as_object_mut().unwrap(), "west", "SecurityPolicy default/b");
    let mut other = plain.clone();
    other["id"] = json!("other");
    for policy in [&plain, &theirs, &other] {
        rig.stranger.put_policy(policy).await.unwrap();
    }
    rig.stranger.reload().await.unwrap();
    rig.want_all(wanted(&[], vec![policy("plain", &["1"]), policy("theirs", &["1"])]));
    let outcome = rig.outcome().await;
    assert_eq!(outcome.policies["plain"], ApiOutcome::Synced);
    assert!(failure(&outcome, "theirs").contains("\"west\""), "{outcome:#?}");
    let all = rights(&[("other", &["9"]), ("plain", &["1"]), ("theirs", &["9"])]);
    assert_eq!(held(&rig).await, all);
    // The marks tell the owners apart again when nothing is wanted.
    rig.want_all(wanted(&[], vec![]));
    rig.outcome().await;
    assert_eq!(held(&rig).await, rights(&[("other", &["9"]), ("theirs", &["9"])]));
}

#[tokio::test]
async fn one_that_waits_is_not_made_but_loses_what_was_taken_away() {
    let mut rig = Rig::start().await;
    rig.want_all(wanted(&[], vec![waiting(policy("gold", &["a"]))]));
    let outcome = rig.outcome().await;
    assert_eq!((outcome.policies.len(), outcome.calls.writes), (0, 0));
    sync(&mut rig, &[], vec![policy("gold", &["a", "b"])]).await;
    let outcome = sync(&mut rig, &[], vec![waiting(policy("gold", &["b"]))]).await;
    assert_eq!(outcome.policies["gold"], ApiOutcome::Synced);
    assert_eq!(held(&rig).await, rights(&[("gold", &["b"])]));
}

#[tokio::test]
async fn one_that_is_held_stays() {
    let mut rig = Rig::start().await;
    sync(&mut rig, &[], vec![policy("gold", &["a"]), policy("silver", &["a"])]).await;
    let mut desired = wanted(&[], vec![policy("silver", &["b"])]);
    desired.held_policies = BTreeSet::from(["gold".to_owned()]);
    rig.want_all(desired);
    let outcome = rig.outcome().await;
    assert!(!outcome.policies.contains_key("gold"), "{outcome:#?}");
    assert_eq!(held(&rig).await, rights(&[("gold", &["a"]), ("silver", &["b"])]));
}

#[tokio::test]
async fn a_refused_policy_costs_its_neighbours_nothing() {
    for status in [400, 500] {
        let mut rig = Rig::start().await;
        rig.gateway
            .faults()
            .fail_next(1, "POST", "/tyk/policies", Failure::Status(status));
        rig.want_all(wanted(
            &[api("1", "/1/")],
            vec![policy("bad", &["1"]), policy("good", &["1"])],
        ));
        let outcome = rig.outcome().await;
        assert_eq!(outcome.endpoint_error, None);
        assert!(failure(&outcome, "bad").contains("injected failure"), "{outcome:#?}");
        let good = (&outcome.apis["1"], &outcome.policies["good"]);
        assert_eq!(good, (&ApiOutcome::Synced, &ApiOutcome::Synced));
        let again = rig.round().await;
        assert_eq!(again.calls.writes, 0, "it waits alone");
        rig.until(in_step).await;
        assert_eq!(held(&rig).await, rights(&[("bad", &["1"]), ("good", &["1"])]));
    }
}

#[tokio::test]
async fn a_gateway_that_keeps_no_policies_serves_apis_and_tells_the_way_out() {
    let gateway = Gateway::start(Config {
        reload_interval: Duration::from_millis(20),
        policy_path: false,
        ..Config::default()
    });
    let gateway = gateway.await.unwrap();
    let secret = gateway.secret().to_owned();
    let mut rig = Rig::at(gateway, &secret, NEVER);
    rig.want_all(wanted(&[api("1", "/1/")], vec![policy("gold", &["1"])]));
    let outcome = rig.outcome().await;
    assert_eq!(outcome.apis["1"], ApiOutcome::Synced);
    let message = failure(&outcome, "gold");
    assert!(
        message.contains("storage") && message.contains("policies.policy_path"),
        "{message}"
    );

    // One that takes them and never loads them reads another place.
    let mut rig = Rig::start().await;
    sync(&mut rig, &[], vec![]).await;
    rig.gateway.faults().lose_at_next_reload("gold");
    rig.want_all(wanted(&[], vec![policy("gold", &["1"])]));
    let outcome = rig.outcome().await;
    assert!(
        failure(&outcome, "gold").contains("policies.policy_source"),
        "{outcome:#?}"
    );

    // One whose list is not there.
    let mut rig = Rig::start().await;
    rig.gateway
        .faults()
        .fail_next(2, "GET", "/tyk/policies", Failure::Status(404));
    rig.want_all(wanted(&[api("1", "/1/")], vec![policy("gold", &["1"])]));
    let outcome = rig.outcome().await;
    assert_eq!(outcome.apis["1"], ApiOutcome::Synced);
    assert!(failure(&outcome, "gold").contains("has no policies"), "{outcome:#?}");
}

#[tokio::test]
async fn a_delete_is_decided_by_what_is_there() {
    let mut rig = Rig::start().await;
    sync(&mut rig, &[], vec![policy("gold", &["1"])]).await;
    // Its file is gone, so the gateway answers 500.
    assert!(rig.gateway.remove_policy_file("gold"));
    rig.want_all(wanted(&[], vec![]));
    let outcome = rig.outcome().await;
    assert_eq!(
        (outcome.endpoint_error, &outcome.policies["gold"]),
        (None, &ApiOutcome::Gone)
    );
}

#[tokio::test]
async fn most_policies_are_not_deleted_at_once() {
    let mut rig = Rig::start().await;
    let policies = (10..22).map(|n| policy(&n.to_string(), &["1"])).collect();
    sync(&mut rig, &[], policies).await;
    rig.want_all(wanted(&[], vec![]));
    let outcome = rig.outcome().await;
    assert!(failure(&outcome, "10").contains("second look"), "{outcome:#?}");
    assert_eq!(outcome.calls.deletes, 0);
    rig.until(|outcome| outcome.calls.deletes == 12).await;
    assert_eq!(held(&rig).await, rights(&[]));
}

/// After whatever fails, the gateway holds exactly what is wanted.
#[tokio::test]
async fn passing_failures_of_every_call_heal() {
    let slow = Failure::Delay(Duration::from_millis(1200));
    let failures = [400, 429, 500, 503].map(Failure::Status);
    let failures = failures.into_iter().chain([Failure::Reset, Failure::ResetAfter, slow]);
    let calls = [
        ("GET", "/tyk/policies"),
        ("POST", "/tyk/policies"),
        ("DELETE", "/tyk/policies"),
        ("POST", "/tyk/apis"),
        ("GET", "/tyk/reload"),
    ];
    let cases = failures.flat_map(|failure| calls.map(|(method, path)| heals(failure, method, path)));
    futures::future::join_all(cases).await;
}

async fn heals(failure: Failure, method: &str, path: &str) {
    let mut rig = Rig::start().await;
    let before = vec![
        policy("changed", &["1", "2"]),
        policy("gone", &["1"]),
        policy("same", &["2"]),
    ];
    sync(&mut rig, &[api("1", "/1/"), api("2", "/2/")], before).await;
    rig.gateway.faults().fail_next(1, method, path, failure);
    let after = vec![
        policy("changed", &["2"]),
        policy("new", &["2", "3"]),
        policy("same", &["2"]),
    ];
    rig.want_all(wanted(&[api("2", "/2/"), api("3", "/3/")], after));
    let outcome = rig.until(in_step).await;
    let expected = rights(&[("changed", &["2"]), ("new", &["2", "3"]), ("same", &["2"])]);
    assert_eq!(held(&rig).await, expected, "{failure:?} of {method} {path}");
    assert_eq!(rig.apis().await.len(), 2, "{failure:?} of {method} {path}");
    assert!(outcome.policies.contains_key("new"), "{failure:?} of {method} {path}");
    assert_eq!(rig.round().await.calls.writes, 0, "{failure:?} of {method} {path}");
}

/// Ids and the APIs that each gives access to.
fn world() -> impl Strategy<Value = BTreeMap<usize, BTreeSet<usize>>> {
    btree_map(0..4_usize, btree_set(0..3_usize, 0..3), 0..4)
}

fn fault() -> impl Strategy<Value = Option<(Failure, &'static str, &'static str)>> {
    let failures = select(vec![
        Failure::Status(400),
        Failure::Status(500),
        Failure::Status(503),
        Failure::ResetAfter,
    ]);
    let calls = select(vec![
        ("GET", "/tyk/policies"),
        ("POST", "/tyk/policies"),
        ("DELETE", "/tyk/policies"),
        ("POST", "/tyk/apis"),
    ]);
    option::of((failures, calls).prop_map(|(failure, (method, path))| (failure, method, path)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever was there before, and whatever fails on the way.
    #[test]
    fn in_the_end_the_gateway_holds_exactly_what_is_wanted(states in vec((world(), fault()), 1..4)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut rig = Rig::start().await;
            for (state, fault) in states {
                if let Some((failure, method, path)) = fault {
                    rig.gateway.faults().fail_next(1, method, path, failure);
                }
                let apis: Vec<_> = (0..3).map(|n| api(&n.to_string(), &format!("/{}-{n}/", state.len()))).collect();
                let names = |apis: &BTreeSet<usize>| apis.iter().map(ToString::to_string).collect::<Vec<_>>();
                let policies = state.iter().map(|(id, apis)| {
                    let apis = names(apis);
                    policy(&id.to_string(), &apis.iter().map(String::as_str).collect::<Vec<_>>())
                });
                rig.want_all(wanted(&apis, policies.collect()));
                rig.until(in_step).await;
                rig.gateway.faults().clear();
                let expected: BTreeMap<_, BTreeSet<_>> =
                    state.iter().map(|(id, apis)| (id.to_string(), names(apis).into_iter().collect())).collect();
                // What nobody wants is not among what has to be in step, so that a list that failed is read in the next round.
                for _ in 0..3 {
                    if held(&rig).await != expected {
                        rig.round().await;
                    }
                }
                assert_eq!(held(&rig).await, expected);
                assert_eq!(rig.round().await.calls.writes, 0);
            }
        });
    }
}
