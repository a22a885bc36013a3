//! Certificates at a gateway that refuses, loses or fails.

use std::time::Duration;

use tyk_ingress::secret::Secret;
use tyk_ingress::sim::Failure;
use tyk_ingress::sync::ApiOutcome;
use tyk_ingress::tyk::Kind;
use tyk_ingress::tyk::certs::Added;

use super::support::{
    Cert, NEVER, ORG, Rig, api, failure, free_port, in_step, is_failed, places, secure_api, shown, simulated,
};

#[tokio::test]
async fn a_wrong_secret_is_not_a_bad_certificate() {
    for place in places().await {
        let (good, expired) = (Cert::new(), Cert::made(ORG, 2020));
        let client = place.client(&place.secret);
        assert_eq!(
            client.add_certificate(ORG, &good.pem).await.unwrap(),
            Added::Stored(good.id.clone())
        );
        assert_eq!(client.add_certificate(ORG, &good.pem).await.unwrap(), Added::Existed);
        for (pem, reason) in [(expired.pem, "expired"), (Secret::new("hello"), "PEM")] {
            let error = client.add_certificate(ORG, &pem).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Rejected, "{error}");
            assert!(
                error.to_string().contains(reason) && !error.to_string().contains("TYK_AUTH"),
                "{error}"
            );
        }
        let stranger = place.client("not-it");
        let error = stranger.add_certificate(ORG, &good.pem).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthorized, "{error}");
        assert!(error.to_string().contains("TYK_AUTH"), "{error}");
        client.delete_certificate(ORG, &good.id).await.unwrap();
        client.delete_certificate(ORG, &good.id).await.unwrap();
        assert!(!client.list_certificates(ORG).await.unwrap().contains(&good.id));
    }
}

#[tokio::test]
async fn a_refused_certificate_costs_only_who_newly_needs_it() {
    for place in places().await {
        let mut rig = Rig::at(&place, NEVER);
        let (old, bad) = (Cert::new(), Cert::made(ORG, 2020));
        rig.sync(&[api("1", &[&old]), api("2", &[])], &[&old]).await;
        let mut moved = api("2", &[]);
        moved["proxy"]["listen_path"] = "/moved/".into();
        rig.want(&[api("1", &[&bad]), moved, api("3", &[&bad])], &[&bad]);
        let outcome = rig.outcome().await;
        assert_eq!(
            (&outcome.endpoint_error, &outcome.apis["2"]),
            (&None, &ApiOutcome::Synced)
        );
        for result in [
            &outcome.apis["1"],
            &outcome.apis["3"],
            &outcome.certificates[bad.id.as_str()],
        ] {
            let message = failure(result);
            assert!(
                message.contains("expired") && message.contains("Secret default/s"),
                "{message}"
            );
        }
        let apis = rig.stranger.list_apis().await.unwrap();
        assert_eq!(
            apis["1"]["certificates"][0],
            old.id.as_str(),
            "its last good form stays"
        );
        assert!(rig.holds(&old).await && !apis.contains_key("3"));
        let good = Cert::new();
        rig.sync(&[api("1", &[&good]), api("3", &[&good])], &[&good]).await;
        assert!(!rig.holds(&old).await);
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_small_change_waits_for_the_list_only_with_a_certificate_that_is_not_there() {
    let place = simulated().await;
    let mut rig = Rig::at(&place, NEVER);
    let (good, bad) = (Cert::new(), Cert::made(ORG, 2020));
    let certificates = [&good, &bad];
    rig.want(&[api("1", &[&good]), api("2", &[]), api("3", &[&bad])], &certificates);
    let outcome = rig.outcome().await;
    assert!(is_failed(&outcome.apis["3"]), "{outcome:?}");

    rig.want(
        &[api("1", &[&good]), api("2", &[&good]), api("3", &[&bad])],
        &certificates,
    );
    let outcome = rig.outcome().await;
    assert_eq!(outcome.apis["2"], ApiOutcome::Synced);
    assert_eq!((outcome.calls.lists, outcome.calls.writes), (1, 1), "{outcome:?}");

    rig.want(
        &[api("1", &[&good]), api("2", &[&good, &bad]), api("3", &[&bad])],
        &certificates,
    );
    let outcome = rig.outcome().await;
    assert!(failure(&outcome.apis["2"]).contains("expired"), "{outcome:?}");
    assert_eq!(outcome.calls.writes, 0);
    let held = &rig.stranger.list_apis().await.unwrap()["2"];
    assert_eq!(held["certificates"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_upload_that_fails_is_tried_again() {
    let store_down = Failure::Status(500);
    for fault in [store_down, Failure::Status(429), Failure::Reset, Failure::ResetAfter] {
        let place = simulated().await;
        let mut rig = Rig::at(&place, NEVER);
        let cert = Cert::new();
        place
            .sim
            .as_ref()
            .unwrap()
            .faults()
            .fail_next(1, "POST", "/tyk/certs", fault);
        rig.want(&[api("1", &[&cert]), api("2", &[])], &[&cert]);
        let outcome = rig.outcome().await;
        assert!(is_failed(&outcome.apis["1"]) && is_failed(&outcome.certificates[cert.id.as_str()]));
        assert_eq!(
            outcome.apis["2"] == ApiOutcome::Synced,
            fault == store_down,
            "{outcome:?}"
        );
        rig.until(in_step).await;
        assert!(rig.holds(&cert).await);
    }
}

#[tokio::test]
async fn a_list_that_fails_costs_nothing() {
    let place = simulated().await;
    let mut rig = Rig::at(&place, NEVER);
    let cert = Cert::new();
    place
        .sim
        .as_ref()
        .unwrap()
        .faults()
        .fail_next(1, "GET", "/tyk/certs", Failure::Status(500));
    rig.sync(&[api("1", &[&cert])], &[&cert]).await;
    assert!(rig.holds(&cert).await);
}

#[tokio::test]
async fn a_lost_store_is_filled_again() {
    for place in places().await {
        let mut rig = Rig::at(&place, Duration::from_millis(300));
        let (cert, port) = (Cert::new(), free_port());
        rig.sync(&[secure_api("1", port, &[&cert])], &[&cert]).await;
        if !place.flush() {
            continue;
        }
        rig.until(|outcome| outcome.drift.total() == 1 && in_step(outcome))
            .await;
        assert!(
            rig.stranger.list_certificates(ORG).await.unwrap().contains(&cert.id),
            "{}",
            place.name
        );
        assert_eq!(shown(port).await.as_ref(), Some(&cert.leaf), "{}", place.name);
        rig.outcome().await;
        assert_eq!(rig.outcome().await.drift.total(), 0, "{}", place.name);
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_failed_gateway_is_asked_anew() {
    let place = simulated().await;
    let sim = place.sim.as_ref().unwrap();
    let mut rig = Rig::at(&place, NEVER);
    let cert = Cert::new();
    rig.sync(&[api("1", &[&cert])], &[&cert]).await;
    sim.flush_certificates();
    sim.faults().fail_next(1, "GET", "/tyk/apis", Failure::Reset);
    rig.trigger.fire();
    let outcome = rig.until(|outcome| outcome.endpoint_error.is_some()).await;
    assert!(is_failed(&outcome.certificates[cert.id.as_str()]));
    rig.until(in_step).await;
    assert!(rig.holds(&cert).await);
}

#[tokio::test]
async fn what_a_held_api_uses_stays_while_a_reload_has_lost_the_api() {
    let place = simulated().await;
    let mut rig = Rig::at(&place, NEVER);
    let cert = Cert::new();
    rig.sync(&[api("1", &[&cert])], &[&cert]).await;
    place.sim.as_ref().unwrap().faults().lose_at_next_reload("1");
    rig.want_held(&[api("2", &[])], &[], &["1"]);
    rig.outcome().await;
    assert!(!rig.stranger.list_apis().await.unwrap().contains_key("1"));
    assert!(rig.holds(&cert).await);
    rig.want(&[api("2", &[])], &[]);
    rig.outcome().await;
    rig.stranger.reload().await.unwrap();
    rig.round().await;
    assert!(!rig.holds(&cert).await, "it goes with its API");
}
