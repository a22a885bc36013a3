//! Where requests go: Services by number and name of their port, their endpoints, and https.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use e2e::fixtures::{external_service, prefix, rule};
use e2e::pki::server_certificate;
use e2e::scenario::served_by;
use e2e::{Echo, PATIENCE, Pods, Scenario, eventually, pods};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::{Value, json};

const SERVICE: &str = "shop";
/// Of the Service; the pods have another.
const PORT: u16 = 8080;
/// Requests for each pod that could answer: more than a gateway needs that takes them in turn.
const ROUNDS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_follow_scaling_and_readiness() -> Result<()> {
    let world = Scenario::start("scaling").await?;
    let shop = Pods::start(4).await?;
    world.apply(&shop.service(SERVICE, world.namespace(), PORT)).await?;
    apply_balanced(&world, json!({"number": PORT})).await?;
    for pods in [
        vec![(1, true), (2, true)],
        vec![(1, true), (2, true), (3, true), (4, true)],
        vec![(3, true), (4, true)],
        // Not ready leaves, and comes back.
        vec![(3, true), (4, false)],
        vec![(3, true), (4, true)],
    ] {
        world.apply(&shop.slice(SERVICE, world.namespace(), &pods)).await?;
        expect_pods(&world, &pods).await?;
    }
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_endpoints_there_is_an_error_until_they_come() -> Result<()> {
    let world = Scenario::start("no-slice").await?;
    let shop = Pods::start(2).await?;
    let blue = world.backend("blue").await?;
    world.apply(&shop.service(SERVICE, world.namespace(), PORT)).await?;
    // What has no endpoints does not fall through to a shorter path.
    let rules = [rule(&world.host("shop"), &[prefix("/", &blue)])];
    world.apply_ingress("neighbour", &rules).await?;
    world.expect_backend(&world.host("shop"), "/", &blue).await?;
    apply_balanced(&world, json!({"number": PORT})).await?;
    world.expect_warning("shop", &["EndpointsNotReady", SERVICE]).await?;
    expect_error(&world).await?;

    let both = [(1, true), (2, true)];
    world.apply(&shop.slice(SERVICE, world.namespace(), &both)).await?;
    expect_pods(&world, &both).await?;

    let slices: Api<EndpointSlice> = Api::namespaced(world.client(), world.namespace());
    slices.delete(SERVICE, &DeleteParams::default()).await?;
    expect_error(&world).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_port_is_that_of_the_service() -> Result<()> {
    let world = Scenario::start("named").await?;
    let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
    let host = world.host("shop");
    let mut path = prefix("/", &blue);
    path["backend"]["service"]["port"] = json!({"name": "http"});
    world.apply_ingress("shop", &[rule(&host, &[path])]).await?;
    world.expect_backend(&host, "/", &blue).await?;
    // The name stays, its number becomes another.
    let moved = external_service(blue.service(), world.namespace(), green.port());
    world.apply(&moved).await?;
    world.expect_backend(&host, "/", &green).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_port_is_that_of_the_endpoints() -> Result<()> {
    let world = Scenario::start("named-slice").await?;
    let shop = Pods::start(2).await?;
    let both = [(1, true), (2, true)];
    let mut service = shop.service(SERVICE, world.namespace(), PORT);
    let mut slice = shop.slice(SERVICE, world.namespace(), &both);
    // Nobody listens on the other port.
    for (object, port) in [
        (
            &mut service["spec"]["ports"],
            json!({"name": "metrics", "port": 9090, "targetPort": "metrics"}),
        ),
        (
            &mut slice["ports"],
            json!({"name": "metrics", "port": 1, "protocol": "TCP"}),
        ),
    ] {
        let named = object[0].clone();
        *object = json!([port, named]);
    }
    world.apply(&service).await?;
    world.apply(&slice).await?;
    apply_balanced(&world, json!({"name": pods::PORT_NAME})).await?;
    expect_pods(&world, &both).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn https_by_app_protocol_is_verified_unless_an_annotation_says_otherwise() -> Result<()> {
    let world = Scenario::start("https-backend").await?;
    let certificate = server_certificate(&["shop.test"])?;
    let echo = Echo::start_https("secure", &certificate).await?;
    let host = world.host("shop");
    let mut service = external_service(SERVICE, world.namespace(), echo.port());
    service["spec"]["ports"][0]["appProtocol"] = "https".into();
    world.apply(&service).await?;
    let spec = spec(&world, json!({"number": echo.port()}));
    world.apply_ingress_spec("shop", json!({}), spec.clone()).await?;
    // The gateway does not know the authority.
    expect_error(&world).await?;

    let annotations = json!({"tyk.io/backend-tls-verify": "false"});
    world.apply_ingress_spec("shop", annotations, spec).await?;
    eventually(PATIENCE, "the https backend to answer", async || {
        let answer = world.gateway.request(&host, "/app").await?;
        ensure!(served_by(&answer) == Some("secure"), "the answer is {answer:?}");
        Ok(())
    })
    .await?;
    world.stop().await
}

fn spec(world: &Scenario, port: Value) -> Value {
    let backend = json!({"service": {"name": SERVICE, "port": port}});
    let path = json!({"path": "/app", "pathType": "Prefix", "backend": backend});
    json!({"ingressClassName": world.class(), "rules": [rule(&world.host("shop"), &[path])]})
}

async fn apply_balanced(world: &Scenario, port: Value) -> Result<()> {
    let annotations = json!({"tyk.io/upstream": "endpoints"});
    world.apply_ingress_spec("shop", annotations, spec(world, port)).await
}

/// Waits until the ready ones of these pods answer, all of them and no other.
async fn expect_pods(world: &Scenario, pods: &[(u8, bool)]) -> Result<()> {
    let ready: BTreeSet<_> = pods.iter().filter(|(_, ready)| *ready).collect();
    let wanted: BTreeSet<_> = ready.into_iter().map(|(pod, _)| pods::name(*pod)).collect();
    eventually(PATIENCE, &format!("{wanted:?} to answer in turn"), async || {
        let mut seen = BTreeSet::new();
        for _ in 0..ROUNDS * pods.len() {
            let answer = world.gateway.request(&world.host("shop"), "/app").await?;
            ensure!(answer.status == 200, "the answer is {answer:?}");
            seen.extend(served_by(&answer).map(str::to_owned));
        }
        ensure!(seen == wanted, "{seen:?} answer");
        Ok(())
    })
    .await
}

/// Waits for the gateway's own error.
async fn expect_error(world: &Scenario) -> Result<()> {
    eventually(PATIENCE, "an error of the gateway", async || {
        let answer = world.gateway.request(&world.host("shop"), "/app").await?;
        ensure!(
            answer.status == 500 && served_by(&answer).is_none(),
            "the answer is {answer:?}"
        );
        Ok(())
    })
    .await
}
