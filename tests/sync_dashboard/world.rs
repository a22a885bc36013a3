//! Resources on one side, a simulated Dashboard on the other, and between them all but the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tyk_ingress::api::Mode;
use tyk_ingress::desired::{self, Context, Fleet, Installation, Operator};
use tyk_ingress::diagnostic::{Diagnostic, ObjectRef};
use tyk_ingress::ingress::{Options, Translation, render};
use tyk_ingress::packed::Packed;
use tyk_ingress::report::{Report, ReportInput, report};
use tyk_ingress::sim::dashboard::{self as sim, Config};
use tyk_ingress::snapshot::{Loader, Snapshot};
use tyk_ingress::sync::{ApiOutcome, Outcome, Workers};
use tyk_ingress::tyk::Endpoint;
use tyk_ingress::tyk::dashboard::Dashboard;

pub const OWNER: &str = "east";
const RESYNC: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub dashboard: sim::Dashboard,
    /// Speaks to the Dashboard as somebody else.
    pub stranger: Dashboard,
    pub operator: Operator,
    /// Manifests by kind and name.
    objects: BTreeMap<(String, String), Value>,
    pub diagnostics: Vec<Diagnostic>,
    workers: Workers,
    cancel: CancellationToken,
    received: mpsc::Receiver<Outcome>,
    pub outcomes: BTreeMap<Arc<Installation>, Outcome>,
    state: (Snapshot, Translation, Fleet),
    revision: u64,
}

impl World {
    pub async fn start() -> Self {
        Self::of(Config::default()).await
    }

    pub async fn of(config: Config) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let first = config.users[0].clone();
        let dashboard = sim::Dashboard::start(config).await.unwrap();
        let operator = Operator::new(Context {
            owner: OWNER.into(),
            org: first.org,
            tyk: Arc::new(Installation {
                mode: Mode::Pro,
                url: dashboard.url(),
                auth: tyk_ingress::secret::Secret::new(&first.key),
                ..Installation::default()
            }),
            ..Context::default()
        });
        let (outcomes, received) = mpsc::channel(64);
        let cancel = CancellationToken::new();
        Self {
            stranger: Dashboard::new(Endpoint::new(dashboard.url(), first.key)).unwrap(),
            dashboard,
            operator,
            objects: BTreeMap::new(),
            diagnostics: Vec::new(),
            workers: Workers::new(
                OWNER.into(),
                RESYNC,
                outcomes,
                tyk_ingress::permit::Permit::always(),
                cancel.clone(),
            ),
            cancel,
            received,
            outcomes: BTreeMap::new(),
            state: Default::default(),
            revision: 0,
        }
    }

    pub fn own(&self) -> Arc<Installation> {
        self.operator.own.tyk.clone()
    }

    /// Another process takes over.
    pub fn restart(&mut self) {
        let (outcomes, received) = mpsc::channel(64);
        self.cancel.cancel();
        self.cancel = CancellationToken::new();
        self.workers = Workers::new(
            OWNER.into(),
            RESYNC,
            outcomes,
            tyk_ingress::permit::Permit::always(),
            self.cancel.clone(),
        );
        self.received = received;
    }

    /// Every Tyk of the latest state.
    pub fn tyks(&self) -> Vec<Arc<Installation>> {
        self.state.2.tyks.keys().cloned().collect()
    }

    /// Adds or replaces a resource of the namespace `default`.
    pub fn put(&mut self, kind: &str, name: &str, spec: Value) {
        let metadata = json!({"name": name, "namespace": "default", "generation": 1});
        self.put_object(kind, name, json!({"metadata": metadata, "spec": spec}));
    }

    pub fn put_object(&mut self, kind: &str, name: &str, mut object: Value) {
        let core = ["Secret", "ConfigMap"].contains(&kind);
        object["apiVersion"] = json!(if core { "v1" } else { "tyk.tyk.io/v1alpha1" });
        object["kind"] = json!(kind);
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!("default");
        self.objects.insert((kind.to_owned(), name.to_owned()), object);
    }

    /// Marks a resource as being deleted, and kept by `finalizer`.
    pub fn delete(&mut self, kind: &str, name: &str, finalizer: &str) {
        let object = self.objects.get_mut(&(kind.to_owned(), name.to_owned())).unwrap();
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        object["metadata"]["finalizers"] = json!([finalizer]);
    }

    /// Takes a resource away.
    pub fn forget(&mut self, kind: &str, name: &str) {
        self.objects.remove(&(kind.to_owned(), name.to_owned()));
    }

    /// Translates what is there and hands it over.
    pub fn publish(&mut self) {
        let mut loader = Loader::default();
        let text: Vec<String> = self.objects.values().map(Value::to_string).collect();
        loader.text("test", &text.join("\n---\n")).unwrap();
        let snapshot = loader.finish().snapshot;
        let translation = render(&snapshot, &Options::default());
        let (fleet, diagnostics) = desired::build_all(&snapshot, &translation, &self.operator);
        self.diagnostics = diagnostics;
        self.revision += 1;
        self.workers.hand_over(self.revision, &fleet);
        self.state = (snapshot, translation, fleet);
    }

    /// Publishes, and the first outcome of the own Tyk for that state.
    pub async fn step(&mut self) -> Outcome {
        self.publish();
        self.until(|_| true).await
    }

    /// The same, with everything in step.
    pub async fn sync(&mut self) -> Outcome {
        self.publish();
        self.until(in_step).await
    }

    /// The first outcome of the own Tyk that is about its latest state and fulfils `condition`.
    pub async fn until(&mut self, condition: impl Fn(&Outcome) -> bool) -> Outcome {
        let own = self.own();
        self.until_at(&own, condition).await
    }

    pub async fn until_at(&mut self, tyk: &Arc<Installation>, condition: impl Fn(&Outcome) -> bool) -> Outcome {
        let mut last = None;
        let found = async {
            loop {
                let outcome = self.received.recv().await.expect("a worker runs");
                self.outcomes.insert(outcome.tyk.clone(), outcome.clone());
                let latest = self
                    .state
                    .2
                    .tyks
                    .get(&outcome.tyk)
                    .is_some_and(|now| *now == outcome.desired);
                if outcome.tyk == *tyk && latest && condition(&outcome) {
                    return outcome;
                }
                last = Some(outcome);
            }
        };
        match timeout(PATIENCE, found).await {
            Ok(outcome) => outcome,
            Err(_) => panic!("not in time; the last outcome: {last:#?}"),
        }
    }

    /// What is said about the latest outcomes.
    pub fn report(&self) -> Report {
        let (snapshot, translation, fleet) = &self.state;
        report(&ReportInput {
            snapshot,
            translation,
            fleet,
            diagnostics: &self.diagnostics,
            outcomes: &self.outcomes,
            org: "org",
            owner: OWNER,
            addresses: None,
            now: Time(jiff::Timestamp::UNIX_EPOCH),
        })
    }

    /// The status that a resource gets.
    pub fn status(&self, kind: &'static str, name: &str) -> Map<String, Value> {
        let report = self.report();
        report
            .statuses
            .get(&ObjectRef::new(kind, "default", name))
            .map(Packed::fields)
            .unwrap_or_default()
    }

    /// Whether a resource need not be kept any longer.
    pub fn is_released(&self, kind: &'static str, name: &str) -> bool {
        self.report().release.contains(&ObjectRef::new(kind, "default", name))
    }

    /// Writes a status into the resource, as the cluster does.
    pub fn keep_status(&mut self, kind: &'static str, name: &str) {
        let status = self.status(kind, name);
        let object = self.objects.get_mut(&(kind.to_owned(), name.to_owned())).unwrap();
        object["status"] = Value::Object(status);
    }

    /// Method and path of every call but reads since `before` calls had been made.
    pub fn writes_since(&self, before: usize) -> Vec<String> {
        let calls = self.dashboard.calls().into_iter().skip(before);
        let writes = calls.filter(|call| call.method != "GET");
        writes.map(|call| format!("{} {}", call.method, call.path)).collect()
    }
}

pub fn in_step(outcome: &Outcome) -> bool {
    let mut all = outcome
        .apis
        .values()
        .chain(outcome.policies.values())
        .chain(outcome.certificates.values())
        .chain(outcome.portal.values());
    outcome.endpoint_error.is_none() && all.all(|one| !matches!(one, ApiOutcome::Failed(_)))
}

pub fn failure(outcome: &ApiOutcome) -> &str {
    match outcome {
        ApiOutcome::Failed(message) => message,
        other => panic!("{other:?}"),
    }
}

/// Status of a condition, its reason and its message.
pub fn condition<'a>(status: &'a Map<String, Value>, type_: &str) -> (&'a str, &'a str, &'a str) {
    let conditions = status["conditions"].as_array().unwrap();
    let one = conditions.iter().find(|one| one["type"] == type_).unwrap();
    let text = |field: &str| one[field].as_str().unwrap_or_default();
    (text("status"), text("reason"), text("message"))
}

/// The spec of a keyless ApiDefinition.
pub fn classic(path: &str) -> Value {
    json!({"name": path.trim_matches('/'), "use_keyless": true, "protocol": "http", "active": true,
        "proxy": {"listen_path": path, "target_url": "http://127.0.0.1:1", "strip_listen_path": true}})
}

/// Puts a TykOasApiDefinition with the document in its ConfigMap.
pub fn put_oas(world: &mut World, name: &str, path: &str, change: impl FnOnce(&mut Value, &mut Value)) {
    let mut document = json!({
        "openapi": "3.0.3", "info": {"title": name, "version": "1"}, "paths": {},
        "x-tyk-api-gateway": {
            "info": {"name": name, "state": {"active": true, "internal": false}},
            "upstream": {"url": "http://127.0.0.1:1"}, "server": {"listenPath": {"value": path, "strip": true}},
        },
    });
    let mut spec = json!({"tykOAS": {"configmapRef": {"name": name, "keyName": "doc.json"}}});
    change(&mut document, &mut spec);
    world.put_object(
        "ConfigMap",
        name,
        json!({"metadata": {}, "data": {"doc.json": document.to_string()}}),
    );
    world.put("TykOasApiDefinition", name, spec);
}

/// The id of a resource of the namespace `default`.
pub fn id(name: &str) -> String {
    tyk_ingress::api::names::api_id("default", name)
}
