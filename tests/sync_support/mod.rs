//! A worker at a simulated gateway.
#![allow(clippy::unwrap_used, dead_code)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tyk_ingress::desired::{Api, Desired, owner};
use tyk_ingress::diagnostic::ObjectRef;
use tyk_ingress::sim::{Config, Gateway};
use tyk_ingress::sync::{ApiOutcome, Outcome, Trigger, Worker};
use tyk_ingress::tyk::{self, Endpoint};

pub const OWNER: &str = "east";
/// A resync that never comes within a test.
pub const NEVER: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Rig {
    pub gateway: Gateway,
    /// Speaks to the gateway as somebody else.
    pub stranger: tyk::gateway::Gateway,
    pub outcomes: mpsc::Receiver<Outcome>,
    pub trigger: Trigger,
    pub cancel: CancellationToken,
    pub task: JoinHandle<()>,
    desired: watch::Sender<Option<(u64, Arc<Desired>)>>,
    revision: u64,
}

pub async fn simulated() -> Gateway {
    simulated_with(Config::default()).await
}

/// A gateway with these settings that reloads fast.
pub async fn simulated_with(config: Config) -> Gateway {
    let reload_interval = Duration::from_millis(20);
    Gateway::start(Config {
        reload_interval,
        ..config
    })
    .await
    .unwrap()
}

pub fn client(gateway: &Gateway, secret: &str) -> tyk::gateway::Gateway {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut endpoint = Endpoint::new(gateway.url(), secret);
    endpoint.timeouts.request = Duration::from_millis(500);
    endpoint.timeouts.reload = Duration::from_secs(1);
    tyk::gateway::Gateway::new(endpoint).unwrap()
}

impl Rig {
    pub async fn start() -> Self {
        let gateway = simulated().await;
        let secret = gateway.secret().to_owned();
        Self::at(gateway, &secret, NEVER)
    }

    /// At a gateway 5.12, which has MCP proxies.
    pub async fn with_mcp() -> Self {
        let config = Config {
            mcp: true,
            version: "v5.12.0".into(),
            ..Config::default()
        };
        let gateway = simulated_with(config).await;
        let secret = gateway.secret().to_owned();
        Self::at(gateway, &secret, NEVER)
    }

    pub fn at(gateway: Gateway, secret: &str, resync: Duration) -> Self {
        let stranger = client(&gateway, gateway.secret());
        let (desired, wanted) = watch::channel(None);
        let (sender, outcomes) = mpsc::channel(16);
        let cancel = CancellationToken::new();
        let worker = Worker::new(client(&gateway, secret), OWNER.into(), resync, wanted, sender);
        let trigger = worker.trigger();
        let task = worker.spawn(cancel.clone());
        Self {
            gateway,
            stranger,
            outcomes,
            trigger,
            cancel,
            task,
            desired,
            revision: 0,
        }
    }

    /// Publishes a new desired state.
    pub fn want(&mut self, payloads: &[Value]) {
        self.want_without(payloads, &[]);
    }

    /// Publishes a new desired state whose `removals` are on their way out.
    pub fn want_without(&mut self, payloads: &[Value], removals: &[&str]) {
        self.want_all(Desired {
            removals: removals.iter().map(|id| (*id).to_owned()).collect(),
            ..desired(payloads)
        });
    }

    /// Publishes a new desired state.
    pub fn want_all(&mut self, desired: Desired) {
        self.revision += 1;
        self.desired.send_replace(Some((self.revision, Arc::new(desired))));
    }

    /// Publishes what a translation made, and waits for its outcome.
    pub async fn publish(&mut self, desired: Desired) -> Outcome {
        self.revision += 1;
        self.desired.send_replace(Some((self.revision, Arc::new(desired))));
        self.outcome().await
    }

    /// Publishes a new desired state of classic APIs and documents.
    pub fn want_both(&mut self, payloads: &[Value], documents: &[Value]) {
        self.want_all(Desired {
            oas: desired_documents("TykOasApiDefinition", documents),
            ..desired(payloads)
        });
    }

    /// Publishes a new desired state of documents and MCP proxies.
    pub fn want_mcps(&mut self, documents: &[Value], proxies: &[Value]) {
        self.want_all(Desired {
            oas: desired_documents("TykOasApiDefinition", documents),
            mcps: desired_documents("TykMcpProxyDefinition", proxies),
            ..Desired::default()
        });
    }

    /// [`Rig::want_mcps`], and waits until all of it is synced.
    pub async fn sync_mcps(&mut self, documents: &[Value], proxies: &[Value]) -> Outcome {
        self.want_mcps(documents, proxies);
        let outcome = self.outcome().await;
        assert!(all_synced(&outcome), "{outcome:#?}");
        outcome
    }

    /// [`Rig::want_both`], and waits until all of it is synced.
    pub async fn sync_both(&mut self, payloads: &[Value], documents: &[Value]) -> Outcome {
        self.want_both(payloads, documents);
        let outcome = self.outcome().await;
        assert!(all_synced(&outcome), "{outcome:#?}");
        outcome
    }

    /// The first outcome of the latest desired state, or a later one, that fulfils `condition`.
    pub async fn until(&mut self, condition: impl Fn(&Outcome) -> bool) -> Outcome {
        let mut last = None;
        let found = async {
            loop {
                let outcome = self.outcomes.recv().await.expect("the worker runs");
                if outcome.revision == self.revision && condition(&outcome) {
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

    /// The next outcome of the latest desired state.
    pub async fn outcome(&mut self) -> Outcome {
        self.until(|_| true).await
    }

    /// Publishes a state and waits until all of it is synced.
    pub async fn sync(&mut self, payloads: &[Value]) -> Outcome {
        self.want(payloads);
        let outcome = self.outcome().await;
        assert!(all_synced(&outcome), "{outcome:#?}");
        outcome
    }

    /// Asks for a round and returns its outcome.
    pub async fn round(&mut self) -> Outcome {
        self.trigger.fire();
        self.outcome().await
    }

    pub async fn apis(&self) -> BTreeMap<String, Value> {
        self.stranger.list_apis().await.unwrap()
    }

    /// Writes `definition` past the worker and loads it.
    pub async fn intrude(&self, definition: &Value) {
        self.stranger.put_api(definition).await.unwrap();
        self.stranger.reload().await.unwrap();
    }

    /// Method and path of every control call since `before` calls had been made.
    pub fn calls_since(&self, before: usize) -> Vec<String> {
        self.gateway.calls()[before..]
            .iter()
            .map(|call| format!("{} {}", call.method, call.path))
            .collect()
    }
}

pub fn api(id: &str, listen_path: &str) -> Value {
    json!({
        "api_id": id, "org_id": "", "name": id, "active": true, "use_keyless": true,
        "proxy": {"listen_path": listen_path, "target_url": "http://127.0.0.1:1", "strip_listen_path": true},
        "version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default", "use_extended_paths": true}}},
    })
}

/// A state of classic APIs.
pub fn desired(payloads: &[Value]) -> Desired {
    let id = |payload: &Value| payload["api_id"].as_str().unwrap().into();
    Desired {
        apis: payloads.iter().map(|payload| (id(payload), wanted(payload))).collect(),
        ..Desired::default()
    }
}

/// OAS APIs of a state.
pub fn desired_documents(kind: &'static str, documents: &[Value]) -> BTreeMap<Arc<str>, Api> {
    let id = |document: &Value| document["x-tyk-api-gateway"]["info"]["id"].as_str().unwrap().into();
    let wanted = documents
        .iter()
        .map(|document| (id(document), wanted_document(kind, document)));
    wanted.collect()
}

fn wanted(payload: &Value) -> Api {
    let mut payload = payload.clone();
    owner::mark(payload.as_object_mut().unwrap(), OWNER, "ApiDefinition default/a");
    Api {
        source: ObjectRef::new("ApiDefinition", "default", "a"),
        generation: 1,
        payload: payload.into(),
    }
}

/// A document that the gateway takes.
pub fn document(id: &str, listen_path: &str) -> Value {
    json!({
        "openapi": "3.0.3", "info": {"title": id, "version": "1"}, "paths": {}, "x-mine": {"kept": true},
        "servers": [{"url": "https://mine.example"}],
        "x-tyk-api-gateway": {
            "info": {"id": id, "orgId": "", "name": id, "state": {"active": true, "internal": false}},
            "upstream": {"url": "http://127.0.0.1:1"}, "server": {"listenPath": {"value": listen_path, "strip": true}},
        },
    })
}

fn wanted_document(kind: &'static str, document: &Value) -> Api {
    let mut payload = document.clone();
    owner::mark_document(payload.as_object_mut().unwrap(), OWNER, &format!("{kind} default/a"));
    Api {
        source: ObjectRef::new(kind, "default", "a"),
        generation: 1,
        payload: payload.into(),
    }
}

pub fn all_synced(outcome: &Outcome) -> bool {
    outcome.endpoint_error.is_none() && outcome.apis.values().all(|api| *api == ApiOutcome::Synced)
}

pub fn failure<'a>(outcome: &'a Outcome, id: &str) -> &'a str {
    match &outcome.apis[id] {
        ApiOutcome::Failed(message) => message,
        other => panic!("{id} is {other:?}"),
    }
}
