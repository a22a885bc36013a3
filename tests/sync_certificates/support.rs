//! A worker at a simulated gateway and, where `TYK_GATEWAY_URL` names one, at a real one.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tyk_ingress::desired::{Api, Certificate, Desired, owner};
use tyk_ingress::diagnostic::ObjectRef;
use tyk_ingress::secret::Secret;
use tyk_ingress::sim::{self, Config};
use tyk_ingress::sync::{ApiOutcome, Outcome, Trigger, Worker};
use tyk_ingress::tyk::Endpoint;
use tyk_ingress::tyk::gateway::Gateway;

pub const OWNER: &str = "east";
pub const ORG: &str = "5e9d9544a1dcd60001d0ed20";
/// A resync that never comes within a test.
pub const NEVER: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(30);

static REAL: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A gateway under test.
pub struct Place {
    pub name: &'static str,
    pub url: String,
    pub secret: String,
    pub sim: Option<sim::Gateway>,
    _turn: Option<tokio::sync::MutexGuard<'static, ()>>,
}

/// The simulated gateway.
pub async fn simulated() -> Place {
    let config = Config {
        reload_interval: Duration::from_millis(20),
        ..Config::default()
    };
    let sim = sim::Gateway::start(config).await.unwrap();
    Place {
        name: "simulated",
        url: sim.url(),
        secret: sim.secret().to_owned(),
        sim: Some(sim),
        _turn: None,
    }
}

/// All gateways, without APIs.
pub async fn places() -> Vec<Place> {
    let mut places = vec![simulated().await];
    if let Ok(url) = std::env::var("TYK_GATEWAY_URL") {
        let turn = REAL.lock().await;
        let secret = std::env::var("TYK_GATEWAY_SECRET").unwrap_or_else(|_| "foo".to_owned());
        let place = Place {
            name: "real",
            url,
            secret,
            sim: None,
            _turn: Some(turn),
        };
        let client = place.client(&place.secret);
        for id in client.list_apis().await.unwrap().keys() {
            client.delete_api(id).await.unwrap();
        }
        client.reload().await.unwrap();
        places.push(place);
    }
    places
}

impl Place {
    pub fn client(&self, secret: &str) -> Gateway {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Gateway::new(Endpoint::new(&self.url, secret)).unwrap()
    }

    /// Empties the store of certificates; false when it is out of reach.
    pub fn flush(&self) -> bool {
        match (&self.sim, std::env::var("TYK_GATEWAY_REDIS_PORT")) {
            (Some(sim), _) => sim.flush_certificates(),
            (None, Ok(port)) => {
                let flushed = std::process::Command::new("redis-cli")
                    .args(["-p", &port, "flushall"])
                    .output();
                assert!(flushed.unwrap().status.success());
            }
            _ => return false,
        }
        true
    }
}

/// A worker at a place.
pub struct Rig<'a> {
    pub place: &'a Place,
    /// Speaks to the gateway as somebody else.
    pub stranger: Gateway,
    pub trigger: Trigger,
    outcomes: mpsc::Receiver<Outcome>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
    desired: watch::Sender<Option<(u64, Arc<Desired>)>>,
    revision: u64,
}

impl<'a> Rig<'a> {
    pub fn at(place: &'a Place, resync: Duration) -> Self {
        let (desired, wanted) = watch::channel(None);
        let (sender, outcomes) = mpsc::channel(16);
        let cancel = CancellationToken::new();
        let worker = Worker::new(place.client(&place.secret), OWNER.into(), resync, wanted, sender);
        let trigger = worker.trigger();
        let task = worker.spawn(cancel.clone());
        let stranger = place.client(&place.secret);
        Self {
            place,
            stranger,
            trigger,
            outcomes,
            cancel,
            task,
            desired,
            revision: 0,
        }
    }

    /// Publishes a state.
    pub fn want(&mut self, apis: &[Value], certificates: &[&Cert]) {
        self.want_held(apis, certificates, &[]);
    }

    pub fn want_held(&mut self, apis: &[Value], certificates: &[&Cert], held: &[&str]) {
        let apis = apis
            .iter()
            .map(|payload| (payload["api_id"].as_str().unwrap().into(), wanted(payload)));
        let certificates = certificates.iter().map(|cert| (cert.id.clone(), cert.wanted()));
        self.revision += 1;
        let desired = Desired {
            apis: apis.collect(),
            certificates: certificates.collect(),
            held: held.iter().map(|id| (*id).to_owned()).collect(),
            ..Desired::default()
        };
        self.desired.send_replace(Some((self.revision, Arc::new(desired))));
    }

    /// The first outcome of the latest state that fulfils `condition`.
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
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(outcome) => outcome,
            Err(_) => panic!("{}: not in time; the last outcome: {last:#?}", self.place.name),
        }
    }

    pub async fn outcome(&mut self) -> Outcome {
        self.until(|_| true).await
    }

    /// Asks for a round.
    pub async fn round(&mut self) -> Outcome {
        self.trigger.fire();
        self.outcome().await
    }

    /// Publishes a state and waits until all of it is there.
    pub async fn sync(&mut self, apis: &[Value], certificates: &[&Cert]) -> Outcome {
        self.want(apis, certificates);
        let outcome = self.outcome().await;
        assert!(in_step(&outcome), "{}: {outcome:#?}", self.place.name);
        outcome
    }

    pub async fn holds(&self, cert: &Cert) -> bool {
        self.stranger.certificate_exists(&cert.id).await.unwrap()
    }

    /// Stores a certificate past the worker.
    pub async fn add(&self, cert: &Cert) {
        self.stranger.add_certificate(&cert.org, &cert.pem).await.unwrap();
    }

    /// Writes an API past the worker and loads it.
    pub async fn intrude(&self, api: &Value) {
        self.stranger.put_api(api).await.unwrap();
        self.stranger.reload().await.unwrap();
    }

    pub async fn remove(&self, id: &str) {
        self.stranger.delete_api(id).await.unwrap();
        self.stranger.reload().await.unwrap();
    }

    /// Control calls of the simulated gateway so far.
    pub fn calls(&self) -> Vec<String> {
        let calls = self.place.sim.iter().flat_map(sim::Gateway::calls);
        calls.map(|call| format!("{} {}", call.method, call.path)).collect()
    }

    /// Ends the worker.
    pub async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}

/// A certificate with its key.
pub struct Cert {
    pub id: String,
    pub org: String,
    pub pem: Secret,
    pub leaf: String,
}

impl Cert {
    /// A new one for `a.example`, of the usual organisation.
    pub fn new() -> Self {
        Self::made(ORG, 2040)
    }

    pub fn made(org: &str, end: i32) -> Self {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_after = date_time_ymd(end, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let leaf = hex(&der);
        Self {
            id: format!("{org}{leaf}"),
            org: org.to_owned(),
            pem: Secret::new(format!("{}{certificate}", key.serialize_pem())),
            leaf,
        }
    }

    /// A public key without a certificate.
    pub fn pin() -> Self {
        let pem = KeyPair::generate().unwrap().public_key_pem();
        let leaf = hex(&SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).unwrap());
        Self {
            id: format!("{ORG}{leaf}"),
            org: ORG.to_owned(),
            pem: Secret::new(pem),
            leaf,
        }
    }

    /// The same leaf with a further certificate in its chain.
    pub fn with_chain(&self, other: &Cert) -> Self {
        let (_, certificate) = other.pem.expose().split_once("-----BEGIN CERTIFICATE").unwrap();
        let mut longer = self.of(&self.org);
        longer.pem = Secret::new(format!("{}-----BEGIN CERTIFICATE{certificate}", self.pem.expose()));
        longer
    }

    /// The same leaf in another organisation.
    pub fn of(&self, org: &str) -> Self {
        Self {
            id: format!("{org}{}", self.leaf),
            org: org.to_owned(),
            pem: self.pem.clone(),
            leaf: self.leaf.clone(),
        }
    }

    fn wanted(&self) -> Certificate {
        Certificate {
            source: ObjectRef::new("Secret", "default", "s"),
            pem: self.pem.clone(),
        }
    }
}

fn hex(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A plain API that refers to certificates.
pub fn api(id: &str, certificates: &[&Cert]) -> Value {
    let ids: Vec<_> = certificates.iter().map(|cert| &cert.id).collect();
    json!({
        "api_id": id, "org_id": ORG, "name": id, "active": true, "use_keyless": true, "certificates": ids,
        "proxy": {"listen_path": format!("/{id}/"), "target_url": "http://127.0.0.1:1", "strip_listen_path": true},
        "version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default", "use_extended_paths": true}}},
    })
}

/// The same, served with TLS on a port.
pub fn secure_api(id: &str, port: u16, certificates: &[&Cert]) -> Value {
    let mut api = api(id, certificates);
    api["protocol"] = json!("https");
    api["listen_port"] = json!(port);
    api
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

pub fn in_step(outcome: &Outcome) -> bool {
    let good = |outcome: &ApiOutcome| *outcome != ApiOutcome::Failed(String::new()) && !is_failed(outcome);
    let mut all = outcome.apis.values().chain(outcome.certificates.values());
    outcome.endpoint_error.is_none() && all.all(good)
}

pub fn is_failed(outcome: &ApiOutcome) -> bool {
    matches!(outcome, ApiOutcome::Failed(_))
}

pub fn failure(outcome: &ApiOutcome) -> &str {
    match outcome {
        ApiOutcome::Failed(message) => message,
        other => panic!("{other:?}"),
    }
}

pub fn named(api: &Value) -> BTreeSet<&str> {
    owner::certificates(api).collect()
}

pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Fingerprint of the leaf that a port shows, if it answers.
pub async fn shown(port: u16) -> Option<String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .tls_info(true)
        .resolve("a.example", SocketAddr::from(([127, 0, 0, 1], port)))
        .build()
        .unwrap();
    let answer = client.get(format!("https://a.example:{port}/")).send().await.ok()?;
    let info = answer.extensions().get::<reqwest::tls::TlsInfo>()?;
    info.peer_certificate().map(hex)
}
