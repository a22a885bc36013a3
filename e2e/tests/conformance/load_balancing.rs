//! Ten pods behind one Service.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::{PATIENCE, Pods, Scenario, eventually};
use serde_json::json;

use crate::suite::{start, told};

pub const NAME: &str = "load balancing: 100 requests see 10 different pods";

const PODS: u8 = 10;
const SERVICE: &str = "echo-service";
/// Of the Service; the pods have another.
const PORT: u16 = 8080;

#[tokio::test(flavor = "multi_thread")]
async fn load_balancing() -> Result<()> {
    let world = start("conformance-balance").await?;
    let pods = Pods::start(PODS).await?;
    world.apply(&pods.service(SERVICE, world.namespace(), PORT)).await?;
    let ready: Vec<_> = (1..=PODS).map(|pod| (pod, true)).collect();
    world.apply(&pods.slice(SERVICE, world.namespace(), &ready)).await?;
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
    told(NAME, seen.len() == usize::from(PODS))?;
    ensure!(seen.len() == usize::from(PODS), "only {seen:?} were seen");
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
