//! The address of an Ingress, and the Events that tell of it.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::fixtures::{prefix, rule};
use e2e::{Operator, OperatorConfig, PATIENCE, Scenario, eventually};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::Ingress;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tyk_ingress::sim::Failure;

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_published_when_the_gateway_serves_and_not_before() -> Result<()> {
    let world = Scenario::without_operator("address").await?;
    let config = with_args(
        &world,
        &["--publish-address", "gw.test", "--publish-address", "192.0.2.80"],
    )?;
    let _operator = Operator::start(world.cluster, config).await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    world
        .apply_ingress("a-shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    expect_addresses(&world, "a-shop", &["192.0.2.80", "gw.test"]).await?;
    let answer = world.gateway.request(&host, "/").await?;
    ensure!(answer.status == 200, "an address before the first answer: {answer:?}");

    // Creation times have no fraction, so that the names decide. A bad path costs itself, not the address of the good one.
    let (taken, other) = (prefix("/", &blue), prefix("/free", &blue));
    world
        .apply_ingress("b-part", &[rule(&host, &[taken.clone(), other])])
        .await?;
    expect_addresses(&world, "b-part", &["192.0.2.80", "gw.test"]).await?;
    // Of this one nothing is served.
    world.apply_ingress("c-loser", &[rule(&host, &[taken])]).await?;
    world.expect_warning("c-loser", &["shop"]).await?;
    ensure!(
        addresses(&world, "c-loser").await?.is_empty(),
        "the loser of a conflict has an address"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_refuses_an_api_keeps_the_address_away() -> Result<()> {
    let world = Scenario::without_operator("refused").await?;
    // A real gateway cannot be told to refuse.
    let Some((faults, apis)) = world.gateway.faults() else {
        return Ok(());
    };
    let config = with_args(&world, &["--publish-address", "192.0.2.80"])?;
    let _operator = Operator::start(world.cluster, config).await?;
    let blue = world.backend("blue").await?;
    faults.fail_next(1000, "POST", apis, Failure::Status(400));
    world
        .apply_ingress("shop", &[rule(&world.host("shop"), &[prefix("/", &blue)])])
        .await?;
    world.expect_children(1).await?;
    world.expect_warning("shop", &["injected"]).await?;
    ensure!(
        addresses(&world, "shop").await?.is_empty(),
        "an address of what is not served"
    );
    faults.clear();
    expect_addresses(&world, "shop", &["192.0.2.80"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_addresses_of_a_service_are_followed() -> Result<()> {
    let world = Scenario::without_operator("service").await?;
    let name = format!("default/{}", world.namespace());
    let config = with_args(&world, &["--publish-service", &name])?;
    let operator = Operator::start(world.cluster, config).await?;
    let blue = world.backend("blue").await?;
    world
        .apply_ingress("shop", &[rule(&world.host("shop"), &[prefix("/", &blue)])])
        .await?;
    expect_normal(&world, "shop", 1).await?;
    ensure!(addresses(&world, "shop").await?.is_empty());
    // In another namespace than the watched one.
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": world.namespace(), "namespace": "default"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}});
    world.apply(&service).await?;
    let services: Api<Service> = Api::namespaced(world.client(), "default");
    for ip in ["192.0.2.1", "192.0.2.2"] {
        let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": ip}]}}});
        services
            .patch_status(world.namespace(), &PatchParams::default(), &Patch::Merge(status))
            .await?;
        expect_addresses(&world, "shop", &[ip]).await?;
    }
    operator.stop().await?;
    services.delete(world.namespace(), &Default::default()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn being_served_is_one_event_even_after_a_restart() -> Result<()> {
    let mut world = Scenario::start("events").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    let paths = [prefix("/a", &blue), prefix("/b", &blue)];
    world.apply_ingress("shop", &[rule(&host, &paths)]).await?;
    expect_normal(&world, "shop", 1).await?;
    world.stop_operator().await?;
    world.start_operator().await?;
    // Told after the restart, so everything before it would have been told by then.
    world
        .apply_ingress("next", &[rule(&world.host("next"), &[prefix("/", &blue)])])
        .await?;
    expect_normal(&world, "next", 1).await?;
    expect_normal(&world, "shop", 1).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_ingresses_with_the_same_problem_are_no_storm() -> Result<()> {
    let world = Scenario::start("storm").await?;
    let missing = |path: &str| {
        let backend = json!({"service": {"name": "missing", "port": {"number": 80}}});
        json!({"path": path, "pathType": "Prefix", "backend": backend})
    };
    for index in 0..50 {
        let host = world.host(&format!("h{index}"));
        let rules = [rule(&host, &[missing("/a"), missing("/b"), missing("/c")])];
        world.apply_ingress(&format!("web-{index}"), &rules).await?;
    }
    world.expect_apis(150).await?;
    let warnings = async || -> Result<usize> {
        let all = events(&world).await?;
        let warnings = all.iter().filter(|event| event.type_.as_deref() == Some("Warning"));
        Ok(warnings.count())
    };
    eventually(PATIENCE, "a Warning on each Ingress", async || {
        let count = warnings().await?;
        ensure!(count >= 50, "{count} Warnings");
        Ok(())
    })
    .await?;
    let before = rounds(&world).await?;
    eventually(PATIENCE * 2, "20 resyncs", async || {
        let now = rounds(&world).await?;
        ensure!(now >= before + 20, "{now} rounds, {before} before");
        Ok(())
    })
    .await?;
    let count = warnings().await?;
    ensure!(count <= 60, "{count} Warnings for 50 Ingresses");
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_endpoints_is_one_translation_and_one_batch() -> Result<()> {
    let world = Scenario::without_operator("burst").await?;
    let config = with_args(&world, &["--debounce", "2s"])?;
    let operator = Operator::start(world.cluster, config).await?;
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": world.namespace()}, "spec": {"ports": [{"port": 80}]}});
    world.apply(&service).await?;
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
    let spec = json!({"ingressClassName": world.class(), "rules": [rule(&world.host("shop"), &[path])]});
    world
        .apply_ingress_spec("shop", json!({"tyk.io/upstream": "endpoints"}), spec)
        .await?;
    world.expect_apis(1).await?;
    let count = async |name: &str| -> Result<f64> {
        let metrics = operator.get("/metrics").await?.body;
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        Ok(lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    };
    let translations = "tyk_ingress_translation_seconds_count";
    let reloads = "tyk_ingress_gateway_calls_total{call=\"reload\"";
    // The echo of the child is one more translation; it has come when a debounce has gone by without another.
    let settled = async || -> Result<(f64, f64)> {
        let now = (count(translations).await?, count(reloads).await?);
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let later = (count(translations).await?, count(reloads).await?);
        ensure!(now == later, "still going on: {now:?}, {later:?}");
        Ok(now)
    };
    let before = eventually(PATIENCE, "quiet", &settled).await?;
    let slices = (0..30).map(|index| {
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": format!("web-{index}"), "namespace": world.namespace(),
                "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": [{"addresses": [format!("192.0.2.{index}")], "conditions": {"ready": true}}],
            "ports": [{"port": 80}]})
    });
    let mut writes = tokio::task::JoinSet::new();
    for slice in slices {
        let api: Api<EndpointSlice> = Api::namespaced(world.client(), world.namespace());
        let slice: EndpointSlice = serde_json::from_value(slice)?;
        writes.spawn(async move { api.create(&PostParams::default(), &slice).await });
    }
    while let Some(written) = writes.join_next().await {
        written??;
    }
    eventually(PATIENCE, "a translation", async || {
        let now = count(translations).await?;
        ensure!(now > before.0, "none yet");
        Ok(())
    })
    .await?;
    let after = eventually(PATIENCE, "quiet", &settled).await?;
    // What it changes in a child comes back as one more.
    ensure!(
        after.0 - before.0 <= 2.0 && after.1 - before.1 <= 1.0,
        "translations and reloads were {before:?} and are {after:?}"
    );
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_port_is_told_on_the_service_too() -> Result<()> {
    let world = Scenario::start("port").await?;
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": world.namespace()},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}});
    world.apply(&service).await?;
    let backend = json!({"service": {"name": "web", "port": {"number": 81}}});
    let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
    world
        .apply_ingress("shop", &[rule(&world.host("shop"), &[path])])
        .await?;
    world.expect_warning("shop", &["port 81"]).await?;
    eventually(PATIENCE, "a Warning on the Service", async || {
        let all = events(&world).await?;
        let on = all.iter().filter(|event| {
            let object = event.regarding.clone().unwrap_or_default();
            object.kind.as_deref() == Some("Service") && object.name.as_deref() == Some("web")
        });
        let notes: Vec<_> = on.filter_map(|event| event.note.clone()).collect();
        ensure!(
            notes.len() == 1 && notes[0].contains("Ingress shop") && notes[0].contains("port 81"),
            "{notes:?}"
        );
        Ok(())
    })
    .await?;
    world.stop().await
}

fn with_args(world: &Scenario, args: &[&str]) -> Result<OperatorConfig> {
    let mut config = world.operator_config()?;
    config.args.extend(args.iter().map(|&arg| arg.to_owned()));
    Ok(config)
}

async fn addresses(world: &Scenario, name: &str) -> Result<Vec<String>> {
    let ingresses: Api<Ingress> = Api::namespaced(world.client(), world.namespace());
    let status = serde_json::to_value(ingresses.get(name).await?.status)?;
    let list = status["loadBalancer"]["ingress"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let text = |one: Value| {
        one["ip"]
            .as_str()
            .or(one["hostname"].as_str())
            .unwrap_or("?")
            .to_owned()
    };
    Ok(list.into_iter().map(text).collect())
}

async fn expect_addresses(world: &Scenario, name: &str, wanted: &[&str]) -> Result<()> {
    eventually(PATIENCE, &format!("{name} to have {wanted:?}"), async || {
        let now = addresses(world, name).await?;
        ensure!(now == wanted, "the addresses are {now:?}");
        Ok(())
    })
    .await
}

async fn events(world: &Scenario) -> Result<Vec<Event>> {
    let events: Api<Event> = Api::namespaced(world.client(), world.namespace());
    Ok(events.list(&ListParams::default()).await?.items)
}

async fn expect_normal(world: &Scenario, ingress: &str, wanted: usize) -> Result<()> {
    eventually(PATIENCE, &format!("{wanted} Normal Events on {ingress}"), async || {
        let all = events(world).await?;
        let on = all.iter().filter(|event| {
            let object = event.regarding.clone().unwrap_or_default();
            event.type_.as_deref() == Some("Normal")
                && event.reason.as_deref() == Some("Synced")
                && object.kind.as_deref() == Some("Ingress")
                && object.name.as_deref() == Some(ingress)
        });
        let notes: Vec<_> = on.map(|event| (&event.note, &event.event_time)).collect();
        ensure!(notes.len() == wanted, "there are {notes:?}");
        Ok(())
    })
    .await
}

/// Rounds against the gateway so far.
async fn rounds(world: &Scenario) -> Result<u64> {
    let metrics = world.operator()?.get("/metrics").await?.body;
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("tyk_ingress_sync_rounds_total"));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    Ok(values.sum::<f64>() as u64)
}
