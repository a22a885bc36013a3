//! What becomes of an API on the gateway when its resource takes it over, gets another id, or is switched off.
#![allow(clippy::unwrap_used)]

mod sync_support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sync_support::{OWNER, Rig, api};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tyk_ingress::api::ApiDefinition;
use tyk_ingress::desired::{self, Context, Desired, owner};
use tyk_ingress::ingress::{Options, render};
use tyk_ingress::snapshot::Snapshot;
use tyk_ingress::sync::ApiOutcome;

/// Listen path of the API that the tests change.
const PATH: &str = "/a/";

/// The desired state of one ApiDefinition with `fields` beside its route.
fn resource(fields: Value) -> Desired {
    let mut spec = json!({
        "name": "a", "use_keyless": true,
        "proxy": {"listen_path": PATH, "target_url": "http://127.0.0.1:1", "strip_listen_path": true},
    });
    spec.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let object = json!({"metadata": {"name": "a", "namespace": "default"}, "spec": spec});
    let mut snapshot = Snapshot::default();
    snapshot.insert::<ApiDefinition>(serde_json::from_value(object).unwrap());
    let translation = render(&snapshot, &Options::default());
    let context = Context {
        owner: OWNER.into(),
        ..Context::default()
    };
    let (desired, diagnostics) = desired::build(&snapshot, &translation, &context);
    assert_eq!(diagnostics, []);
    desired
}

/// Requests, one after the other, until it is asked what their statuses were.
struct Traffic {
    stop: CancellationToken,
    statuses: JoinHandle<BTreeSet<u16>>,
}

impl Traffic {
    async fn start(rig: &Rig) -> Self {
        let url = format!("{}{PATH}", rig.gateway.ingress_url().trim_end_matches('/'));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        // The first answer says that the API is served before anything happens to it.
        assert_ne!(client.get(&url).send().await.unwrap().status(), 404);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let statuses = tokio::spawn(async move {
            let mut statuses = BTreeSet::new();
            while !stopped.is_cancelled() {
                statuses.insert(client.get(&url).send().await.unwrap().status().as_u16());
            }
            statuses
        });
        Self { stop, statuses }
    }

    async fn statuses(self) -> BTreeSet<u16> {
        self.stop.cancel();
        self.statuses.await.unwrap()
    }
}

#[tokio::test]
async fn a_changed_id_moves_the_api_in_one_batch() {
    let mut rig = Rig::start().await;
    rig.publish(resource(json!({"api_id": "old"}))).await;
    let traffic = Traffic::start(&rig).await;
    let before = rig.gateway.calls().len();

    let outcome = rig.publish(resource(json!({"api_id": "new"}))).await;
    assert_eq!(
        (&outcome.apis["new"], &outcome.apis["old"]),
        (&ApiOutcome::Synced, &ApiOutcome::Gone)
    );
    assert_eq!(
        rig.calls_since(before),
        [
            "GET /tyk/apis/new",
            "GET /tyk/apis/old",
            "POST /tyk/apis",
            "DELETE /tyk/apis/old",
            "GET /tyk/reload/?block=true",
            "GET /tyk/apis?include_types=mcp",
        ]
    );
    let apis = rig.apis().await;
    assert_eq!(apis.keys().collect::<Vec<_>>(), ["new"]);
    assert_eq!(apis["new"]["proxy"]["listen_path"], PATH, "not renamed");
    assert!(!traffic.statuses().await.contains(&404), "served all the time");
    rig.gateway.restart(true).await;
    assert_eq!(rig.apis().await.keys().collect::<Vec<_>>(), ["new"], "no file is left");
}

#[tokio::test]
async fn an_existing_api_is_taken_over_by_its_id_without_a_gap() {
    let mut rig = Rig::start().await;
    rig.intrude(&api("legacy", PATH)).await;
    let traffic = Traffic::start(&rig).await;
    let before = rig.gateway.calls().len();

    let outcome = rig
        .publish(resource(json!({"api_id": "legacy", "tags": ["mine"]})))
        .await;
    assert_eq!(outcome.apis["legacy"], ApiOutcome::Synced);
    assert_eq!(outcome.drift.total(), 0);
    let calls = rig.calls_since(before);
    let writes: Vec<_> = calls.iter().filter(|call| !call.starts_with("GET ")).collect();
    assert_eq!(writes, ["POST /tyk/apis"], "written over, never deleted");
    let held = &rig.apis().await["legacy"];
    assert_eq!((owner::of(held), &held["tags"]), (Some(OWNER), &json!(["mine"])));
    assert!(!traffic.statuses().await.contains(&404), "served all the time");
}

#[tokio::test]
async fn an_api_that_nobody_takes_over_stays_beside_its_rival() {
    let mut rig = Rig::start().await;
    rig.intrude(&api("legacy", PATH)).await;
    let outcome = rig.publish(resource(json!({"api_id": "other"}))).await;
    assert!(
        sync_support::failure(&outcome, "other").contains("legacy"),
        "{outcome:?}"
    );
    // Its id is all that it takes.
    let outcome = rig.publish(resource(json!({"api_id": "legacy"}))).await;
    assert_eq!(outcome.apis["legacy"], ApiOutcome::Synced);
}

#[tokio::test]
async fn an_inactive_api_is_taken_off_the_gateway_and_comes_back() {
    let mut rig = Rig::start().await;
    let url = format!("{}{PATH}", rig.gateway.ingress_url().trim_end_matches('/'));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let status = async || client.get(&url).send().await.unwrap().status().as_u16();

    rig.publish(resource(json!({"api_id": "1"}))).await;
    assert_ne!(status().await, 404);
    let outcome = rig.publish(resource(json!({"api_id": "1", "active": false}))).await;
    assert_eq!(outcome.apis["1"], ApiOutcome::Gone);
    assert_eq!((rig.apis().await.len(), status().await), (0, 404));
    let outcome = rig.publish(resource(json!({"api_id": "1", "active": true}))).await;
    assert_eq!(outcome.apis["1"], ApiOutcome::Synced);
    assert_ne!(status().await, 404);
}

#[tokio::test]
async fn an_inactive_resource_takes_nothing_over() {
    let mut rig = Rig::start().await;
    rig.intrude(&api("legacy", PATH)).await;
    let outcome = rig
        .publish(resource(json!({"api_id": "legacy", "active": false})))
        .await;
    assert_eq!(outcome.calls.deletes, 0);
    assert_eq!(rig.apis().await.keys().collect::<Vec<_>>(), ["legacy"]);
}
