//! Ten pods behind one Service.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, ensure};
use e2e::{Echo, PATIENCE, Scenario, eventually};
use serde_json::{Value, json};

use crate::suite::{start, told};

pub const NAME: &str = "load balancing: 100 requests see 10 different pods";

const PODS: u8 = 10;
const SERVICE: &str = "echo-service";
/// Of the Service; the pods have another.
const PORT: u16 = 8080;

#[tokio::test(flavor = "multi_thread")]
async fn load_balancing() -> Result<()> {
    let world = start("conformance-balance").await?;
    let pods = pods().await?;
    world.apply(&headless_service(&world)).await?;
    world.apply(&endpoint_slice(&world, &pods)).await?;
    let backend = json!({"service": {"name": SERVICE, "port": {"number": PORT}}});
    let spec = json!({"ingressClassName": world.class(), "defaultBackend": backend});
    let annotations = json!({"tyk.io/upstream": "endpoints"});
    world.apply_ingress_spec("load-balancing", annotations, spec).await?;
    world.expect_published("load-balancing").await?;
    // The EndpointSlice may be seen after the Ingress; the suite waits a minute here.
    expect_answer(&world).await?;

    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        let answer = world.gateway.request("load-balancing", "/").await?;
        ensure!(answer.status == 200, "the answer is {answer:?}");
        let pod = e2e::scenario::served_by(&answer).context("no pod answered")?;
        seen.insert(pod.to_owned());
    }
    told(NAME, seen.len() == pods.len())?;
    ensure!(seen.len() == pods.len(), "only {seen:?} were seen");
    world.stop().await
}

async fn expect_answer(world: &Scenario) -> Result<()> {
    eventually(PATIENCE, "a pod to answer", async || {
        let answer = world.gateway.request("load-balancing", "/").await?;
        ensure!(answer.status == 200, "the answer is {answer:?}");
        Ok(())
    })
    .await
}

/// Echo servers on one port of 127.0.0.1 to 127.0.0.10.
async fn pods() -> Result<Vec<Echo>> {
    let mut pods: Vec<Echo> = Vec::new();
    for number in 1..=PODS {
        let port = pods.first().map_or(0, Echo::port);
        pods.push(Echo::start_at(&format!("pod-{number}"), address(number), port).await?);
    }
    Ok(pods)
}

fn address(pod: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, pod).into()
}

fn headless_service(world: &Scenario) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": world.namespace()},
        "spec": {"clusterIP": "None", "ports": [{"name": "http", "port": PORT, "targetPort": "http"}]}})
}

/// The API server takes no loopback address for an address of type IPv4 or IPv6, but does as a domain name.
fn endpoint_slice(world: &Scenario, pods: &[Echo]) -> Value {
    let endpoints: Vec<Value> = (1..=PODS)
        .map(|pod| json!({"addresses": [address(pod).to_string()], "conditions": {"ready": true}}))
        .collect();
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": SERVICE, "namespace": world.namespace(),
            "labels": {"kubernetes.io/service-name": SERVICE, "endpointslice.kubernetes.io/managed-by": "e2e"}},
        "addressType": "FQDN",
        "endpoints": endpoints,
        "ports": [{"name": "http", "port": pods[0].port(), "protocol": "TCP"}]})
}
