//! A gateway that drops or rewrites fields is written once, not at every round; one that loads nothing new is told.
#![allow(clippy::unwrap_used)]

mod sync_support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};
use sync_support::{api, failure};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tyk_ingress::desired::{Api, Desired, owner};
use tyk_ingress::diagnostic::ObjectRef;
use tyk_ingress::sync::{ApiOutcome, Outcome, Trigger, Worker};
use tyk_ingress::tyk::{Endpoint, gateway::Gateway};

/// Files and memory of a gateway with types of its own.
#[derive(Default)]
struct Disk {
    files: BTreeMap<String, Value>,
    memory: BTreeMap<String, Value>,
    /// Reloads answer ok but load nothing.
    stuck: bool,
}

type Shared = Arc<Mutex<Disk>>;

async fn list(State(disk): State<Shared>) -> String {
    disk.lock()
        .unwrap()
        .memory
        .values()
        .cloned()
        .collect::<Value>()
        .to_string()
}

async fn put(State(disk): State<Shared>, posted: String) -> String {
    let mut posted: Value = serde_json::from_str(&posted).unwrap();
    posted.as_object_mut().unwrap().remove("unknown");
    posted["expires"] = json!("1m0s");
    disk.lock()
        .unwrap()
        .files
        .insert(posted["api_id"].as_str().unwrap().to_owned(), posted);
    json!({"status": "ok", "action": "added"}).to_string()
}

async fn reload(State(disk): State<Shared>) -> String {
    let mut disk = disk.lock().unwrap();
    if !disk.stuck {
        disk.memory = disk.files.clone();
    }
    json!({"status": "ok", "message": ""}).to_string()
}

async fn serve() -> (Shared, String) {
    let disk = Shared::default();
    let routes = Router::new()
        .route("/tyk/apis", get(list).post(put))
        .route("/tyk/reload/", get(reload));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, routes.with_state(disk.clone())).into_future());
    (disk, url)
}

struct Rig {
    trigger: Trigger,
    disk: Shared,
    desired: watch::Sender<Option<(u64, Arc<Desired>)>>,
    outcomes: mpsc::Receiver<Outcome>,
}

impl Rig {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (disk, url) = serve().await;
        let (desired, wanted) = watch::channel(None);
        let (sender, outcomes) = mpsc::channel(1);
        let gateway = Gateway::new(Endpoint::new(url, "foo")).unwrap();
        let worker = Worker::new(gateway, "east".into(), sync_support::NEVER, wanted, sender);
        let trigger = worker.trigger();
        worker.spawn(CancellationToken::new());
        Self {
            trigger,
            disk,
            desired,
            outcomes,
        }
    }

    async fn want(&mut self, mut payload: Value) -> Outcome {
        owner::mark(payload.as_object_mut().unwrap(), "east", "ApiDefinition default/a");
        let source = ObjectRef::new("ApiDefinition", "default", "a");
        let apis = BTreeMap::from([(
            "1".into(),
            Api {
                source,
                generation: 1,
                payload: payload.into(),
            },
        )]);
        self.desired.send_replace(Some((
            0,
            Arc::new(Desired {
                apis,
                ..Desired::default()
            }),
        )));
        self.outcomes.recv().await.unwrap()
    }

    /// Asks for a round about the same state.
    async fn round(&mut self) -> Outcome {
        self.trigger.fire();
        self.outcomes.recv().await.unwrap()
    }
}

fn odd() -> Value {
    let mut payload = api("1", "/a/");
    payload["unknown"] = json!(true);
    payload["expires"] = json!("60s");
    payload
}

#[tokio::test]
async fn fields_that_the_gateway_reads_otherwise_are_told_and_written_once() {
    let mut rig = Rig::start().await;
    let outcome = rig.want(odd()).await;
    assert_eq!(outcome.apis["1"], ApiOutcome::Synced);
    assert_eq!(outcome.altered["1"].iter().collect::<Vec<_>>(), ["expires", "unknown"]);
    let again = rig.round().await;
    assert_eq!((again.calls.writes, again.altered), (0, outcome.altered));

    rig.disk.lock().unwrap().memory.get_mut("1").unwrap()["expires"] = json!("2m0s");
    let repaired = rig.round().await;
    assert_eq!((repaired.calls.writes, repaired.drift.total()), (1, 1));
}

#[tokio::test]
async fn a_reload_that_loads_nothing_is_no_success() {
    let mut rig = Rig::start().await;
    rig.want(api("1", "/a/")).await;
    rig.disk.lock().unwrap().stuck = true;
    let outcome = rig.want(api("1", "/b/")).await;
    assert!(failure(&outcome, "1").contains("earlier"), "{outcome:?}");
}
