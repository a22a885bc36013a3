//! Certificates come before the APIs that use them and go after them, and only if they are ours.
#![allow(clippy::unwrap_used)]

mod faults;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use support::{Cert, NEVER, ORG, Rig, api, free_port, in_step, named, places, secure_api, shown, simulated};
use tyk_ingress::sync::ApiOutcome;

#[tokio::test]
async fn a_certificate_is_there_before_its_api() {
    for place in places().await {
        let mut rig = Rig::at(&place, NEVER);
        let (cert, port) = (Cert::new(), free_port());
        let outcome = rig.sync(&[secure_api("1", port, &[&cert])], &[&cert]).await;
        assert_eq!(outcome.certificates[cert.id.as_str()], ApiOutcome::Synced);
        assert_eq!(outcome.drift.total(), 0);
        assert!(rig.holds(&cert).await);
        assert_eq!(shown(port).await.as_ref(), Some(&cert.leaf), "{}", place.name);
        let apis = rig.stranger.list_apis().await.unwrap();
        assert_eq!(named(&apis["1"]), BTreeSet::from([cert.id.as_str()]), "{}", place.name);
        rig.stop().await;
    }
}

#[tokio::test]
async fn calls_are_few() {
    let place = simulated().await;
    let mut rig = Rig::at(&place, NEVER);
    let (one, two) = (Cert::new(), Cert::new());
    rig.sync(&[api("1", &[&one])], &[&one]).await;
    let list = format!("GET /tyk/certs?org_id={ORG}");
    let add = format!("POST /tyk/certs?org_id={ORG}");
    let expected = [
        "GET /tyk/reload/?block=true",
        "GET /tyk/apis?include_types=mcp",
        "GET /tyk/policies",
        &list,
        &add,
        "POST /tyk/apis",
    ];
    assert_eq!(rig.calls()[..6], expected);
    let before = rig.calls().len();
    rig.round().await;
    assert_eq!(rig.calls()[before..], ["GET /tyk/apis?include_types=mcp"]);
    rig.sync(&[api("1", &[&two])], &[&two]).await;
    let delete = format!("DELETE /tyk/certs/{}?org_id={ORG}", one.id);
    let expected = [
        "GET /tyk/apis?include_types=mcp",
        &add,
        "POST /tyk/apis",
        "GET /tyk/reload/?block=true",
        "GET /tyk/apis?include_types=mcp",
        &delete,
    ];
    assert_eq!(rig.calls()[before + 1..], expected);
}

#[tokio::test]
async fn a_rotated_certificate_goes_when_nothing_uses_it() {
    for place in places().await {
        let mut rig = Rig::at(&place, NEVER);
        let (old, new, port) = (Cert::new(), Cert::new(), free_port());
        rig.sync(&[secure_api("1", port, &[&old])], &[&old]).await;
        // Of others, in each way in which an API can use it.
        for (field, value) in [
            ("client_certificates", json!([old.id])),
            ("upstream_certificates", json!({"*": old.id})),
            ("pinned_public_keys", json!({"*": format!("x,{}", old.id)})),
        ] {
            let mut theirs = api("theirs", &[]);
            theirs[field] = value;
            rig.intrude(&theirs).await;
            rig.sync(&[secure_api("1", port, &[&new])], &[&new]).await;
            assert_eq!(shown(port).await.as_ref(), Some(&new.leaf), "{}", place.name);
            assert!(rig.holds(&old).await, "{} {field}", place.name);
        }
        rig.remove("theirs").await;
        assert!(in_step(&rig.round().await));
        assert!(!rig.holds(&old).await && rig.holds(&new).await, "{}", place.name);
        assert_eq!(shown(port).await.as_ref(), Some(&new.leaf), "{}", place.name);
        // Back again, although the gateway may remember it.
        rig.sync(&[secure_api("1", port, &[&old])], &[&old]).await;
        assert!(rig.stranger.list_certificates(ORG).await.unwrap().contains(&old.id));
        assert_eq!(shown(port).await.as_ref(), Some(&old.leaf), "{}", place.name);
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    for place in places().await {
        let (old, new, last) = (Cert::new(), Cert::new(), Cert::new());
        let mut rig = Rig::at(&place, NEVER);
        rig.sync(&[api("1", &[&old])], &[&old]).await;
        rig.stop().await;
        let mut rig = Rig::at(&place, NEVER);
        // Somebody else keeps it in use until the next restart.
        rig.intrude(&api("theirs", &[&old])).await;
        rig.sync(&[api("1", &[&new])], &[&new]).await;
        assert!(rig.holds(&old).await);
        rig.remove("theirs").await;
        rig.stop().await;
        let mut rig = Rig::at(&place, NEVER);
        rig.sync(&[api("1", &[&new])], &[&new]).await;
        assert!(!rig.holds(&old).await && rig.holds(&new).await, "{}", place.name);
        rig.sync(&[api("1", &[&last])], &[&last]).await;
        let apis = rig.stranger.list_apis().await.unwrap();
        let names = named(&apis["1"]);
        assert!(
            names.contains(last.id.as_str()) && !names.contains(old.id.as_str()),
            "{names:?}"
        );
        rig.sync(&[], &[]).await;
        assert!(!rig.holds(&new).await && !rig.holds(&last).await, "{}", place.name);
        rig.stop().await;
    }
}

#[tokio::test]
async fn what_others_uploaded_stays() {
    for place in places().await {
        let mut rig = Rig::at(&place, NEVER);
        let (theirs, shared, mine) = (Cert::new(), Cert::new(), Cert::new());
        rig.add(&theirs).await;
        rig.add(&shared).await;
        let apis = [api("1", &[&shared]), api("2", &[&mine])];
        let outcome = rig.sync(&apis, &[&shared, &mine]).await;
        assert_eq!(outcome.certificates[shared.id.as_str()], ApiOutcome::Synced);
        rig.stop().await;
        let mut rig = Rig::at(&place, NEVER);
        rig.sync(&[], &[]).await;
        assert!(rig.holds(&theirs).await && rig.holds(&shared).await, "{}", place.name);
        assert!(!rig.holds(&mine).await, "{}", place.name);
        rig.stop().await;
    }
}

#[tokio::test]
async fn another_operators_certificates_stay() {
    let place = simulated().await;
    let mut rig = Rig::at(&place, NEVER);
    let cert = Cert::new();
    rig.add(&cert).await;
    let mut west = api("west", &[]);
    west["config_data"] = json!({"tyk-ingress": {"owner": "west", "certificates": [cert.id]}});
    rig.intrude(&west).await;
    rig.sync(&[api("1", &[])], &[]).await;
    assert!(rig.holds(&cert).await);
}

#[tokio::test]
async fn apis_share_a_certificate() {
    for place in places().await {
        let mut rig = Rig::at(&place, NEVER);
        let (old, new) = (Cert::new(), Cert::new());
        rig.sync(&[api("1", &[&old])], &[&old]).await;
        rig.sync(&[api("1", &[&old]), api("2", &[&old])], &[&old]).await;
        rig.sync(&[api("1", &[&new]), api("2", &[&old])], &[&old, &new]).await;
        assert!(rig.holds(&old).await, "{}", place.name);
        rig.sync(&[api("2", &[&old])], &[&old]).await;
        assert!(rig.holds(&old).await && !rig.holds(&new).await, "{}", place.name);
        rig.sync(&[api("2", &[])], &[]).await;
        assert!(!rig.holds(&old).await, "{}", place.name);
        rig.stop().await;
    }
}

#[tokio::test]
async fn an_organisation_is_part_of_the_id() {
    for place in places().await {
        let mut rig = Rig::at(&place, Duration::from_millis(200));
        let one = Cert::new();
        let (other, none) = (one.of("acme & sons"), one.of(""));
        let all = [&one, &other, &none];
        let apis = [api("1", &[&one]), api("2", &[&other]), api("3", &[&none])];
        rig.sync(&apis, &all).await;
        for cert in all {
            assert!(rig.holds(cert).await, "{} {:?}", place.name, cert.org);
        }
        rig.outcome().await;
        assert_eq!(rig.outcome().await.drift.total(), 0, "{}", place.name);
        rig.sync(&[api("1", &[&one])], &[&one]).await;
        let held = [rig.holds(&one).await, rig.holds(&other).await, rig.holds(&none).await];
        assert_eq!(held, [true, false, false], "{}", place.name);
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_chain_is_replaced_under_the_same_id() {
    for place in places().await {
        let (cert, authority, theirs) = (Cert::new(), Cert::new(), Cert::new());
        let mut rig = Rig::at(&place, NEVER);
        rig.add(&theirs).await;
        let apis = [api("1", &[&cert]), api("2", &[&theirs])];
        rig.sync(&apis, &[&cert, &theirs]).await;
        rig.stop().await;
        let mut rig = Rig::at(&place, NEVER);
        let longer = [&cert.with_chain(&authority), &theirs.with_chain(&authority)];
        let outcome = rig.sync(&apis, &longer).await;
        assert_eq!((outcome.drift.total(), outcome.calls.writes), (0, 0), "{}", place.name);
        let stored = rig.stranger.certificates(&[&cert.id, &theirs.id]).await.unwrap();
        assert_eq!(stored[&cert.id].last, authority.leaf, "{}", place.name);
        assert!(stored[&cert.id].has_key);
        assert_eq!(stored[&theirs.id].last, theirs.leaf, "not ours: {}", place.name);
        let before = rig.calls().len();
        rig.round().await;
        assert!(rig.calls()[before..].iter().all(|call| !call.contains("certs")));
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_public_key_is_kept_as_one() {
    for place in places().await {
        let mut rig = Rig::at(&place, Duration::from_millis(200));
        let pin = Cert::pin();
        let mut pinned = api("1", &[]);
        pinned["pinned_public_keys"] = json!({"*": pin.id});
        rig.sync(&[pinned], &[&pin]).await;
        let stored = rig.stranger.certificates(&[&pin.id]).await.unwrap();
        assert_eq!(
            (stored[&pin.id].last.as_str(), stored[&pin.id].has_key),
            ("", false),
            "{}",
            place.name
        );
        rig.outcome().await;
        assert_eq!(rig.outcome().await.drift.total(), 0, "{}", place.name);
        rig.stop().await;
        let mut rig = Rig::at(&place, NEVER);
        rig.sync(&[], &[]).await;
        assert!(!rig.holds(&pin).await, "{}", place.name);
        rig.stop().await;
    }
}
