//! Several processes of the product, and several gateways.
#![allow(clippy::print_stdout)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::fixtures::{prefix, rule};
use e2e::gateway::skipped_in_pro;
use e2e::http::Call;
use e2e::{Operator, PATIENCE, Scenario, eventually};
use serde_json::{Value, json};
use tyk_ingress::sim::{self, Failure};

async fn holds_the_lease(operator: &Operator) -> Result<()> {
    eventually(PATIENCE, "the lease to be held", async || {
        ensure!(operator.log().contains("holds the lease"), operator.tail());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standby_writes_nothing_and_takes_over_at_once_when_the_leader_ends() -> Result<()> {
    let world = Scenario::without_operator("standby").await?;
    let leader = Operator::start(world.cluster, world.elected_config()?).await?;
    holds_the_lease(&leader).await?;
    // Ready although it does not lead: its watches are in sync.
    let standby = Operator::start(world.cluster, world.elected_config()?).await?;
    let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
    let host = world.host("shop");
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    world.expect_backend(&host, "/", &blue).await?;
    ensure!(!standby.log().contains("the gateway was changed"), "{}", standby.log());
    leader.stop().await?;
    let start = Instant::now();
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &green)])])
        .await?;
    world.expect_backend(&host, "/", &green).await?;
    println!(
        "after SIGTERM the standby had applied a change in {:?}",
        start.elapsed()
    );
    standby.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standby_ends_a_batch_of_200_changes_that_kill_9_cut() -> Result<()> {
    let world = Scenario::without_operator("batch").await?;
    let Some((faults, apis)) = world.gateway.faults() else {
        return Ok(());
    };
    let leader = Operator::start(world.cluster, world.elected_config()?).await?;
    holds_the_lease(&leader).await?;
    let standby = Operator::start(world.cluster, world.elected_config()?).await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    faults.fail_next(1000, "POST", apis, Failure::Delay(Duration::from_millis(20)));
    let paths: Vec<Value> = (0..200).map(|number| prefix(&format!("/{number}"), &blue)).collect();
    let rules: Vec<Value> = paths.chunks(20).map(|paths| rule(&host, paths)).collect();
    world.apply_ingress("shop", &rules).await?;
    let writes = || {
        let calls = world.gateway.calls().unwrap_or_default();
        calls.iter().filter(|call| call.method == "POST").count()
    };
    eventually(PATIENCE, "the middle of the batch", async || {
        ensure!(writes() >= 60, "{} writes", writes());
        Ok(())
    })
    .await?;
    leader.kill().await?;
    let (start, cut) = (Instant::now(), writes());
    ensure!(cut < 200, "the batch had ended: {cut} writes");
    let children = eventually(PATIENCE * 2, "200 children and 200 APIs", async || {
        let (children, apis) = (world.children().await?, world.gateway.list_apis().await?);
        ensure!(children.len() == 200, "{} children; {}", children.len(), standby.tail());
        ensure!(apis.len() == 200, "{} APIs; {}", apis.len(), standby.tail());
        Ok(children)
    })
    .await?;
    println!(
        "killed after {cut} of 200 writes; the standby had all in {:?}",
        start.elapsed()
    );
    for number in [0, 57, 58, 59, 60, 61, 199] {
        world.expect_backend(&host, &format!("/{number}"), &blue).await?;
    }
    ensure!(children.len() == 200, "no child too many");
    standby.stop().await
}

/// Two gateways on one port of 127.0.0.1 and 127.0.0.2, as pods of a Service.
struct Replicas {
    gateways: [sim::Gateway; 2],
    ready: [AtomicBool; 2],
}

impl Replicas {
    async fn start() -> Result<Self> {
        let start = async |host: u8, port| {
            let listen = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), port));
            let reload_interval = Duration::from_millis(100);
            sim::Gateway::start(sim::Config {
                listen,
                reload_interval,
                ..sim::Config::default()
            })
            .await
        };
        let first = start(1, 0).await?;
        let (_, port) = first
            .url()
            .rsplit_once(':')
            .map(|(_, port)| ((), port.parse()))
            .context("no port")?;
        let second = start(2, port?).await?;
        Ok(Self {
            gateways: [first, second],
            ready: [true, true].map(AtomicBool::new),
        })
    }

    /// The EndpointSlice as Kubernetes would write it; loopback addresses are only taken as names.
    async fn publish(&self, world: &Scenario) -> Result<()> {
        let (_, port) = self.gateways[0]
            .url()
            .rsplit_once(':')
            .map(|(_, port)| ((), port.to_owned()))
            .context("no port")?;
        let endpoint = |number: usize| {
            let ready = self.ready[number].load(Ordering::SeqCst);
            json!({"addresses": [format!("127.0.0.{}", number + 1)], "conditions": {"ready": ready}})
        };
        let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "FQDN",
            "metadata": {"name": "gateway", "namespace": world.namespace(),
                "labels": {"kubernetes.io/service-name": "gateway", "endpointslice.kubernetes.io/managed-by": "e2e"}},
            "endpoints": [endpoint(0), endpoint(1)],
            "ports": [{"name": "http", "port": port.parse::<u16>()?, "protocol": "TCP"}]});
        world.apply(&slice).await.map(drop)
    }

    /// What a readiness probe that asks for a route finds.
    async fn probe(&self, number: usize, host: &str) -> bool {
        let mut call = Call::get(&self.gateways[number].ingress_url(), "/");
        call.headers.push(("host", host.to_owned()));
        call.send().await.is_ok_and(|answer| answer.status == 200)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_of_two_gateways_costs_no_request() -> Result<()> {
    if skipped_in_pro("a Dashboard fills its gateways itself") {
        return Ok(());
    }
    let world = Scenario::without_operator("rolling").await?;
    let replicas = Arc::new(Replicas::start().await?);
    replicas.publish(&world).await?;
    let config = world
        .operator_config()?
        .env("TYK_HTTP_INGRESS_PORT", "0")
        .env("TYK_URL", replicas.gateways[0].url())
        .env("TYK_GATEWAY_SERVICE", format!("{}/gateway:http", world.namespace()));
    let operator = Operator::start(world.cluster, config).await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    for number in [0, 1] {
        eventually(PATIENCE, "both gateways to be filled", async || {
            ensure!(
                replicas.probe(number, &host).await,
                "{number} is not; {}",
                operator.tail()
            );
            Ok(())
        })
        .await?;
    }
    let (requests, wrong, end) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let traffic = async {
        while !end.load(Ordering::SeqCst) {
            for number in [0, 1] {
                if replicas.ready[number].load(Ordering::SeqCst) {
                    requests.fetch_add(1, Ordering::SeqCst);
                    let good = replicas.probe(number, &host).await;
                    wrong.fetch_add(u64::from(!good), Ordering::SeqCst);
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    };
    let restarts = async {
        for round in 0..6 {
            let number = round % 2;
            replicas.ready[number].store(false, Ordering::SeqCst);
            replicas.publish(&world).await?;
            // Requests that were on their way have ended.
            tokio::time::sleep(Duration::from_millis(200)).await;
            replicas.gateways[number].restart(false).await;
            let start = Instant::now();
            eventually(PATIENCE, "the new gateway to be filled", async || {
                ensure!(replicas.probe(number, &host).await, "{}", operator.tail());
                Ok(())
            })
            .await?;
            println!("restart {round}: filled after {:?}", start.elapsed());
            replicas.ready[number].store(true, Ordering::SeqCst);
            replicas.publish(&world).await?;
        }
        end.store(true, Ordering::SeqCst);
        Ok(())
    };
    let both: (Result<()>, Result<()>) = tokio::join!(traffic, restarts);
    end.store(true, Ordering::SeqCst);
    both.0.and(both.1)?;
    let (requests, wrong) = (requests.into_inner(), wrong.into_inner());
    println!("{requests} requests to ready gateways during 6 restarts, {wrong} not answered by their backend");
    ensure!(wrong == 0 && requests > 100, "{wrong} of {requests}");
    operator.stop().await
}
