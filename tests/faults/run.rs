//! One seed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tyk_ingress::sim::{Config, Failure, Gateway};
use tyk_ingress::sync::Found;
use tyk_ingress::tyk::{self, Endpoint};

use crate::manifests::Manifests;
use crate::operator::{Process, translate};

const STEPS: usize = 16;
/// Until everything is in step when the faults have ended; waits of failed calls are in it.
const PATIENCE: Duration = Duration::from_secs(90);

/// What came of a seed.
#[derive(Default)]
pub struct Run {
    pub changes: u64,
    pub faults: BTreeMap<&'static str, u64>,
    pub divergence: Option<String>,
}

type Held = BTreeMap<String, Value>;

/// A gateway with two APIs that are none of the operator's business.
struct Site {
    gateway: Gateway,
    stranger: tyk::gateway::Gateway,
    /// As they were at first; empty when the gateway has lost all.
    foreign: Held,
}

impl Site {
    async fn start(foreign: bool) -> Self {
        let config = Config {
            reload_interval: Duration::from_millis(10),
            ..Config::default()
        };
        let gateway = Gateway::start(config).await.unwrap();
        let stranger = tyk::gateway::Gateway::new(Endpoint::new(gateway.url(), gateway.secret())).unwrap();
        let mut site = Self {
            gateway,
            stranger,
            foreign: Held::new(),
        };
        if foreign {
            site.stranger
                .put_api(&stranger_api("plain", json!({"mine": 1})))
                .await
                .unwrap();
            let west = json!({"tyk-ingress": {"owner": "west", "source": "ApiDefinition default/west"}});
            site.stranger.put_api(&stranger_api("west", west)).await.unwrap();
            site.stranger.reload().await.unwrap();
            site.foreign = site.stranger.list_apis().await.unwrap();
            assert_eq!(site.foreign.len(), 2);
        }
        site
    }

    fn address(&self) -> SocketAddr {
        self.gateway.url().trim_start_matches("http://").parse().unwrap()
    }

    /// What it holds that is not foreign, without what its mark says of the past; then what is foreign.
    async fn held(&self) -> (Held, Held) {
        let apis = self.stranger.list_apis().await.unwrap().into_iter();
        let (foreign, mut apis): (Held, Held) = apis.partition(|(id, _)| ["plain", "west"].contains(&id.as_str()));
        for api in apis.values_mut() {
            if let Some(mark) = api
                .pointer_mut("/config_data/tyk-ingress")
                .and_then(Value::as_object_mut)
            {
                mark.remove("write");
                // Which of the certificates were uploaded from here: the past decides, and an upload whose answer was lost
                // counts as somebody else's.
                mark.remove("certificates");
            }
        }
        let policies = self.stranger.list_policies().await.unwrap();
        apis.extend(
            policies
                .into_iter()
                .map(|(id, policy)| (format!("policy {id}"), without_writes(policy))),
        );
        (apis, foreign)
    }
}

fn without_writes(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.remove("write");
        let fields_left = std::mem::take(fields).into_iter();
        *fields = fields_left
            .map(|(name, field)| (without_write_in_name(name), without_writes(field)))
            .collect();
    }
    value
}

/// A policy's mark is a name, of an entry that grants nothing.
fn without_write_in_name(name: String) -> String {
    let mark = name.split_once('=').and_then(|(label, mark)| {
        let mark: serde_json::Map<_, _> = serde_json::from_str(mark).ok()?;
        Some((label, without_writes(Value::Object(mark))))
    });
    match mark {
        Some((label, mark)) => format!("{label}={mark}"),
        None => name,
    }
}

/// The fields that differ, with both values.
fn differences(expected: &Value, held: &Value) -> Vec<String> {
    match (expected, held) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<_> = left.keys().chain(right.keys()).collect();
            let fields = names.into_iter().flat_map(|name| {
                let found = differences(
                    left.get(name).unwrap_or(&Value::Null),
                    right.get(name).unwrap_or(&Value::Null),
                );
                found.into_iter().map(move |found| format!("{name}.{found}"))
            });
            fields.collect()
        }
        _ if expected == held => Vec::new(),
        _ => vec![format!(" expected {expected}, held {held}")],
    }
}

fn stranger_api(id: &str, config_data: Value) -> Value {
    json!({"api_id": id, "org_id": "", "name": id, "active": true, "use_keyless": true, "config_data": config_data,
        "proxy": {"listen_path": format!("/foreign-{id}/"), "target_url": "http://127.0.0.1:1", "strip_listen_path": true},
        "version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default"}}}})
}

pub async fn run(seed: u64) -> Run {
    let mut world = World::start(seed).await;
    for _ in 0..STEPS {
        world.step().await;
    }
    world.quiesce().await
}

struct World {
    random: StdRng,
    manifests: Manifests,
    sites: Vec<Site>,
    /// Whether the last site is behind the Service.
    second: bool,
    gateways: watch::Sender<Found>,
    operator: Option<Process>,
    /// Processes that lost the lease and go on.
    zombies: Vec<Process>,
    run: Run,
}

impl World {
    async fn start(seed: u64) -> Self {
        let sites = vec![Site::start(true).await, Site::start(true).await];
        let mut world = Self {
            random: StdRng::seed_from_u64(seed),
            manifests: Manifests::new(),
            sites,
            second: true,
            gateways: watch::Sender::new(None),
            operator: None,
            zombies: Vec::new(),
            run: Run::default(),
        };
        world.tell();
        world.operator = Some(Process::start(world.gateways.subscribe()));
        world
    }

    fn tell(&self) {
        let count = if self.second { 2 } else { 1 };
        let found = self
            .sites
            .iter()
            .take(count)
            .map(|site| (Some(site.address()), true))
            .collect();
        self.gateways.send_replace(Some(found));
    }

    async fn step(&mut self) {
        for _ in 0..self.random.random_range(0..5) {
            self.manifests.change(&mut self.random);
            self.run.changes += 1;
        }
        self.hand_over();
        for _ in 0..self.random.random_range(0..3) {
            let kind = self.fault().await;
            *self.run.faults.entry(kind).or_default() += 1;
        }
        // So that the next change strikes at another point of what this one began.
        let pause = self.random.random_range(0..80);
        sleep(Duration::from_millis(pause)).await;
        if let Some(operator) = &mut self.operator {
            operator.read();
        }
        self.zombies.iter_mut().for_each(Process::read);
    }

    fn hand_over(&mut self) {
        let fleet = translate(&self.manifests, "foo");
        self.operator.as_mut().unwrap().hand_over(&fleet);
    }

    async fn fault(&mut self) -> &'static str {
        let which = self.random.random_range(0..self.sites.len());
        let dice = self.random.random_range(0..14);
        let ours = self.sites[which].stranger.list_apis().await.unwrap_or_default();
        let ours: Vec<_> = ours
            .into_iter()
            .filter(|(id, _)| id != "plain" && id != "west")
            .collect();
        let one = ours.choose(&mut self.random).cloned();
        let site = &mut self.sites[which];
        let random = &mut self.random;
        match (dice, one) {
            (0..4, _) => {
                let millis = random.random_range(1..300);
                let failures = [
                    (Failure::Status(500), "answered 500"),
                    (Failure::Status(503), "answered 503"),
                    (Failure::Reset, "call cut before it was done"),
                    (Failure::ResetAfter, "call cut after it was done"),
                    (Failure::Delay(Duration::from_millis(millis)), "call delayed"),
                ];
                let calls = [
                    ("GET", "/tyk/apis"),
                    ("POST", "/tyk/apis"),
                    ("DELETE", "/tyk/apis"),
                    ("GET", "/tyk/reload"),
                    ("POST", "/tyk/policies"),
                    ("POST", "/tyk/certs"),
                    ("", ""),
                ];
                let ((failure, kind), (method, path)) =
                    (*failures.choose(random).unwrap(), *calls.choose(random).unwrap());
                site.gateway
                    .faults()
                    .fail_next(random.random_range(1..3), method, path, failure);
                kind
            }
            (4, _) => {
                site.gateway.restart(true).await;
                "gateway restarted"
            }
            (5, _) => {
                site.gateway.restart(false).await;
                site.foreign.clear();
                "gateway replaced by an empty one"
            }
            (6, Some((id, _))) => {
                site.gateway.faults().lose_at_next_reload(&id);
                "API lost by a reload"
            }
            (7, Some((id, _))) => {
                site.gateway.remove_file(&id);
                site.gateway.flush_certificates();
                "file and certificates lost"
            }
            (8, Some((_, mut api))) => {
                api["proxy"]["target_url"] = json!("http://127.0.0.1:9");
                // Faults meant for the operator may strike the stranger.
                let _ = site.stranger.put_api(&api).await;
                let _ = site.stranger.reload().await;
                "API edited by a stranger"
            }
            (9, _) => {
                site.gateway.faults().lose_writes_during_reload(true);
                site.gateway.faults().delay_reload(Duration::from_millis(50));
                "gateway that reloads slowly and loses writes meanwhile"
            }
            (10, _) => {
                self.operator.take().unwrap().kill();
                self.lead();
                "operator killed"
            }
            (11, _) => {
                timeout(Duration::from_secs(60), self.operator.take().unwrap().stop())
                    .await
                    .unwrap();
                self.lead();
                "operator restarted"
            }
            (12, _) => {
                let before = self.operator.take().unwrap();
                before.lose_lease();
                self.zombies.push(before);
                self.lead();
                "operator that lost the lease and goes on"
            }
            _ => {
                self.second = !self.second;
                self.tell();
                "gateway joined or left"
            }
        }
    }

    fn lead(&mut self) {
        self.operator = Some(Process::start(self.gateways.subscribe()));
        self.hand_over();
    }

    /// Ends the faults and waits until all is in step.
    async fn quiesce(mut self) -> Run {
        for site in &self.sites {
            site.gateway.faults().clear();
        }
        self.second = true;
        self.tell();
        self.hand_over();
        let (expected, waiting) = (self.reference().await, self.waiting());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.divergence(&expected, &waiting).await;
            if found.is_none() || Instant::now() > deadline {
                self.run.divergence = found;
                return self.run;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a gateway without faults holds, filled by an operator without a past.
    async fn reference(&self) -> Held {
        let site = Site::start(false).await;
        let (_sender, found) = watch::channel(Some(BTreeMap::from([(Some(site.address()), true)])));
        let mut operator = Process::start(found);
        let fleet = translate(&self.manifests, "foo");
        let desired = fleet.tyks.values().next().unwrap().clone();
        assert!(
            desired.held.is_empty() && desired.held_policies.is_empty(),
            "what is held depends on the past"
        );
        operator.hand_over(&fleet);
        let deadline = Instant::now() + PATIENCE;
        loop {
            operator.read();
            if let Some(outcome) = &operator.outcome
                && outcome.endpoint_error.is_none()
                && desired
                    .wanted()
                    .all(|(id, _)| outcome.apis.get(id) == Some(&tyk_ingress::sync::ApiOutcome::Synced))
            {
                break;
            }
            assert!(Instant::now() < deadline, "the reference: {:#?}", operator.outcome);
            sleep(Duration::from_millis(20)).await;
        }
        let (held, _) = site.held().await;
        let apis = held.keys().map(String::as_str).filter(|id| !id.starts_with("policy "));
        assert!(apis.eq(desired.wanted().map(|(id, _)| id.as_ref()).collect::<BTreeSet<_>>()));
        held
    }

    /// Policies that wait for APIs that are not there.
    fn waiting(&self) -> BTreeSet<String> {
        let fleet = translate(&self.manifests, "foo");
        let policies = fleet.tyks.values().flat_map(|desired| &desired.policies);
        policies
            .filter(|(_, policy)| policy.waits)
            .map(|(id, _)| id.clone())
            .collect()
    }

    async fn divergence(&mut self, expected: &Held, waiting: &BTreeSet<String>) -> Option<String> {
        self.operator.as_mut().unwrap().read();
        self.zombies.iter_mut().for_each(Process::read);
        for (number, site) in self.sites.iter().enumerate() {
            let (held, foreign) = site.held().await;
            if foreign != site.foreign {
                return Some(format!("gateway {number}: foreign APIs were touched: {foreign:#?}"));
            }
            for id in expected.keys().chain(held.keys()) {
                // Such a policy is there or not, whatever it was before it began to wait.
                if id.strip_prefix("policy ").is_some_and(|id| waiting.contains(id)) {
                    continue;
                }
                if expected.get(id) != held.get(id) {
                    let found = match (expected.get(id), held.get(id)) {
                        (None, _) => "it is there and should not".to_owned(),
                        (_, None) => "it is not there".to_owned(),
                        (Some(expected), Some(held)) => differences(expected, held).join(", "),
                    };
                    let said = self.operator.as_ref().and_then(|operator| operator.outcome.as_ref());
                    let said = said.map(|outcome| (outcome.apis.get(id.as_str()), &outcome.endpoint_error));
                    return Some(format!("gateway {number}, {id}: {found}; reported: {said:?}"));
                }
            }
        }
        let outcome = self.operator.as_ref().unwrap().outcome.as_ref();
        let error = match outcome {
            None => Some("nothing was reported".to_owned()),
            Some(outcome) => outcome.endpoint_error.clone(),
        };
        error.map(|error| format!("the report: {error}"))
    }
}
