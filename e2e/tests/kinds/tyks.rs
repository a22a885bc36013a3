//! Several Tyks at once, each of an `OperatorContext` of its own.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::api_definition::{api_id, condition, keyless};
use e2e::scenario::resources::ensure_condition;
use e2e::{GatewayUnderTest, Operator, PATIENCE, Scenario, apply, eventually};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tyk_ingress::sim::{Config, Failure, Gateway};

use crate::life::{path, resource};

const CONTEXT: &str = "OperatorContext";
const API: &str = "ApiDefinition";

/// A definition of a context.
fn api(world: &Scenario, name: &str, context: &str) -> Value {
    let mut object = keyless(
        world.namespace(),
        name,
        &path(world, name),
        "http://127.0.0.1:9/never-asked",
    );
    object["spec"]["contextRef"] = json!({"name": context, "namespace": world.namespace()});
    object
}

fn plain(world: &Scenario, name: &str, (mode, url, auth): (&str, &str, &str)) -> Value {
    let env = json!({"mode": mode, "url": url, "auth": auth, "org": format!("e2e-{name}")});
    resource(world, CONTEXT, name, json!({"env": env}))
}

/// A context whose settings are in the Secret of the same name.
fn secretive(world: &Scenario, name: &str) -> Value {
    let env = json!({"org": format!("e2e-{name}")});
    resource(world, CONTEXT, name, json!({"env": env, "secretRef": {"name": name}}))
}

fn secret(world: &Scenario, name: &str, (mode, url, auth): (&str, &str, &str)) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": world.namespace()},
        "stringData": {"TYK_MODE": mode, "TYK_URL": url, "TYK_AUTH": auth}})
}

async fn ids(gateway: &GatewayUnderTest, world: &Scenario) -> Result<Vec<String>> {
    let apis = gateway.list_marked(world.namespace()).await?;
    let ids = apis.iter().map(|api| api["api_id"].as_str().map(str::to_owned));
    let mut ids: Vec<String> = ids.collect::<Option<_>>().context("an API without an id")?;
    ids.sort();
    Ok(ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_context_has_its_tyk_and_none_waits_for_another() -> Result<()> {
    let world = Scenario::start("tyks-two").await?;
    let (east, west) = (
        GatewayUnderTest::simulator_of("e2e-east").await?,
        GatewayUnderTest::simulator_of("e2e-west").await?,
    );
    world
        .apply(&secret(&world, "east", (east.mode(), &east.url(), &east.secret())))
        .await?;
    world.apply(&secretive(&world, "east")).await?;
    world
        .apply(&plain(&world, "west", (west.mode(), &west.url(), &west.secret())))
        .await?;
    for (name, context) in [("a", "east"), ("b", "west")] {
        world.apply(&api(&world, name, context)).await?;
    }
    world
        .apply(&keyless(
            world.namespace(),
            "own",
            &path(&world, "own"),
            "http://127.0.0.1:9",
        ))
        .await?;
    for name in ["a", "b", "own"] {
        world.expect_ready(API, name).await?;
    }
    let namespace = world.namespace();
    for (gateway, name) in [(&east, "a"), (&west, "b"), (&world.gateway, "own")] {
        let found = ids(gateway, &world).await?;
        ensure!(found == [api_id(namespace, name)], "{name} stands alone, not {found:?}");
    }

    // One hangs: the other takes what is new, while the first has not answered.
    let (hangs, _) = west.faults().context("not a simulator")?;
    hangs.fail_next(1000, "", "/", Failure::Delay(Duration::from_secs(6)));
    world.apply(&api(&world, "c", "west")).await?;
    world.apply(&api(&world, "d", "east")).await?;
    world.expect_ready(API, "d").await?;
    let late = world.resources(API).get("c").await?;
    ensure!(
        ensure_condition(&late, "Ready", "True").is_err(),
        "the gateway that hangs has answered before"
    );
    hangs.clear();
    world.expect_ready(API, "c").await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tyk_that_does_not_answer_is_told_on_its_context_alone() -> Result<()> {
    let world = Scenario::start("tyks-down").await?;
    let [nobody] = e2e::ports::free()?;
    let url = format!("http://127.0.0.1:{nobody}");
    world.apply(&plain(&world, "down", ("ce", &url, "hunter2"))).await?;
    let own = &world.gateway;
    world
        .apply(&plain(&world, "up", (own.mode(), &own.url(), &own.secret())))
        .await?;
    world.apply(&api(&world, "a", "down")).await?;
    world.apply(&api(&world, "b", "up")).await?;
    world.expect_ready(API, "b").await?;
    world.expect_ready(CONTEXT, "up").await?;
    let unreachable = |object: &kube::api::DynamicObject| {
        let synced = condition(object, "Synced");
        ensure_condition(object, "Accepted", "True")?;
        ensure_condition(object, "Ready", "False")?;
        ensure!(synced["reason"] == "Unreachable", "{synced}");
        ensure!(
            !object.data["status"].to_string().contains("hunter2"),
            "the secret is shown"
        );
        Ok(())
    };
    world
        .expect_resource((CONTEXT, "down"), "to be unreachable", unreachable)
        .await?;
    world
        .expect_resource((API, "a"), "to be unreachable", unreachable)
        .await?;
    ensure!(!world.operator()?.log().contains("hunter2"), "the secret is logged");

    // Its gateway comes up.
    let config = Config {
        listen: ([127, 0, 0, 1], nobody).into(),
        secret: "hunter2".into(),
        reload_interval: Duration::from_millis(100),
        ..Config::default()
    };
    let _late = Gateway::start(config).await?;
    world.expect_ready(API, "a").await?;
    world.expect_ready(CONTEXT, "down").await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn new_credentials_count_without_a_restart() -> Result<()> {
    let world = Scenario::start("tyks-rotated").await?;
    let [port] = e2e::ports::free()?;
    let config = |secret: &str| Config {
        listen: ([127, 0, 0, 1], port).into(),
        secret: secret.to_owned(),
        reload_interval: Duration::from_millis(100),
        ..Config::default()
    };
    let before = Gateway::start(config("before")).await?;
    let url = before.url();
    world.apply(&secret(&world, "east", ("ce", &url, "before"))).await?;
    world.apply(&secretive(&world, "east")).await?;
    world.apply(&api(&world, "a", "east")).await?;
    world.expect_ready(API, "a").await?;

    before.stop().await;
    let after = GatewayUnderTest::Sim(Gateway::start(config("after")).await?);
    world
        .expect_resource((CONTEXT, "east"), "to be refused", |object| {
            let synced = condition(object, "Synced");
            ensure!(
                synced["status"] == "False" && synced["reason"] == "Unreachable",
                "{synced}"
            );
            Ok(())
        })
        .await?;
    world.apply(&secret(&world, "east", ("ce", &url, "after"))).await?;
    world.expect_ready(CONTEXT, "east").await?;
    eventually(PATIENCE, "the API on the new gateway", async || {
        let found = ids(&after, &world).await?;
        ensure!(found == [api_id(world.namespace(), "a")], "{found:?}");
        Ok(())
    })
    .await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_says_which_namespaces_it_is_for() -> Result<()> {
    let world = Scenario::without_operator("tyks-across").await?;
    let other = format!("{}-other", world.namespace());
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}});
    apply::object(&world.client(), &object).await?;
    let across = |allowed: Option<Value>| {
        let env = json!({"mode": world.gateway.mode(), "org": "e2e-across"});
        let mut context = resource(&world, CONTEXT, "east", json!({"env": env}));
        context["metadata"]["namespace"] = other.clone().into();
        if let Some(allowed) = allowed {
            context["spec"]["allowedNamespaces"] = allowed;
        }
        context
    };
    let mut user = api(&world, "a", "east");
    user["spec"]["contextRef"]["namespace"] = other.clone().into();
    let watched = format!("{},{other}", world.namespace());

    // Nobody has said: with `allow` it is served, with a warning.
    let config = world.operator_config()?.env("WATCH_NAMESPACE", watched);
    let operator = Operator::start(world.cluster, config.clone()).await?;
    world.apply(&across(None)).await?;
    world.apply(&user).await?;
    world.expect_ready(API, "a").await?;
    world.expect_warning_on(API, "a", &["ContextOfOtherNamespace"]).await?;
    operator.stop().await?;

    // With `deny` it has to be said. What is there stays meanwhile.
    let operator = Operator::start(world.cluster, config.args(&["--cross-namespace-contexts", "deny"])).await?;
    world.expect_refused(API, "a", "ContextNotAllowed").await?;
    world.expect_apis(1).await?;
    for (allowed, good) in [
        (json!({"names": [world.namespace()]}), true),
        (json!({"names": ["somebody-else"]}), false),
        (json!({"names": ["*"]}), true),
    ] {
        world.apply(&across(Some(allowed))).await?;
        match good {
            true => world.expect_ready(API, "a").await?,
            false => world.expect_refused(API, "a", "ContextNotAllowed").await?,
        };
        world.expect_apis(1).await?;
    }
    world.delete(API, "a").await?;
    world.expect_deleted(API, "a").await?;
    world.expect_apis(0).await?;
    operator.stop().await?;
    world.stop().await
}

/// Whatever goes first, the rest finds its way out.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_with_everything_in_it_ends() -> Result<()> {
    let world = Scenario::start("tyks-ending").await?;
    let east = GatewayUnderTest::simulator_of("e2e-east").await?;
    world
        .apply(&secret(&world, "east", (east.mode(), &east.url(), &east.secret())))
        .await?;
    world.apply(&secretive(&world, "east")).await?;
    world.apply(&api(&world, "a", "east")).await?;
    let mut caller = api(&world, "b", "east");
    caller["spec"]["proxy"] = json!({"listen_path": path(&world, "b"), "target_url": "", "strip_listen_path": true,
        "target_internal": {"target": {"name": "a"}}});
    world.apply(&caller).await?;
    let rights = json!([{"name": "a", "versions": ["Default"]}]);
    let policy = json!({"name": "gold", "active": true, "state": "active", "access_rights_array": rights,
        "contextRef": {"name": "east"}});
    world.apply(&resource(&world, "SecurityPolicy", "gold", policy)).await?;
    let graph = json!({"schema": "type Query { a: Int }", "sdl": "type Query { a: Int }"});
    world.apply(&resource(&world, "SubGraph", "graph", graph)).await?;
    let mut server = crate::sub_graph::server(&world, "server", "subgraph", "graph");
    server["spec"]["contextRef"] = json!({"name": "east"});
    world.apply(&server).await?;
    for (kind, name) in [
        (API, "a"),
        (API, "b"),
        (API, "server"),
        ("SecurityPolicy", "gold"),
        ("SubGraph", "graph"),
    ] {
        world.expect_ready(kind, name).await?;
    }
    let namespaces: Api<Namespace> = Api::all(world.client());
    namespaces.delete(world.namespace(), &DeleteParams::default()).await?;
    eventually(PATIENCE * 2, "the namespace to be gone", async || {
        let found = namespaces.get_opt(world.namespace()).await?;
        let told = found.as_ref().and_then(|found| found.status.as_ref());
        ensure!(found.is_none(), "it waits: {told:?}; {}", world.operator()?.tail());
        Ok(())
    })
    .await?;
    let (apis, policies) = (ids(&east, &world).await?, east.list_policies().await?);
    ensure!(apis.is_empty() && policies.is_empty(), "left: {apis:?} {policies:?}");
    world.stop().await
}
