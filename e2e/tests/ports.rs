//! Ports of the gateway that Ingresses are served on, and the OperatorContext that decides on them.

use anyhow::{Result, ensure};
use e2e::fixtures::{CONTROLLER, prefix, rule};
use e2e::http::{Answer, Call};
use e2e::scenario::{ORGANISATION, served_by};
use e2e::{Backend, Operator, PATIENCE, Scenario, eventually, ports};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_decides_without_a_context() -> Result<()> {
    let world = Scenario::without_operator("port-env").await?;
    let [port] = ports::free()?;
    let config = world.operator_config()?.env("TYK_HTTP_INGRESS_PORT", port.to_string());
    let operator = Operator::start(world.cluster, config).await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    expect_on(port, &host, &blue).await?;
    world.expect_no_route(&host, "/").await?;
    operator.stop().await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_context_of_the_template_decides_and_can_move_the_listener() -> Result<()> {
    let world = Scenario::start("port-template").await?;
    let [before, after] = ports::free()?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    world.apply(&context(&world, "east", at(before))).await?;
    apply_template(&world, &blue, "east").await?;
    apply_user(&world, &host, &blue).await?;
    expect_on(before, &host, &blue).await?;
    world.expect_no_route(&host, "/").await?;

    world.apply(&context(&world, "east", at(after))).await?;
    expect_on(after, &host, &blue).await?;
    expect_not_on(before, &host).await?;
    world.expect_apis(1).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parameters_of_the_class_decide() -> Result<()> {
    let world = Scenario::start("port-class").await?;
    let [port] = ports::free()?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    world.apply(&context(&world, "east", at(port))).await?;
    apply_parameters(&world, "east").await?;
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    expect_on(port, &host, &blue).await?;
    world.expect_no_route(&host, "/").await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_template_goes_before_the_class() -> Result<()> {
    let world = Scenario::start("port-both").await?;
    let [of_class, of_template] = ports::free()?;
    let blue = world.backend("blue").await?;
    let (host, plain) = (world.host("shop"), world.host("plain"));
    world.apply(&context(&world, "class", at(of_class))).await?;
    world.apply(&context(&world, "template", at(of_template))).await?;
    apply_parameters(&world, "class").await?;
    apply_template(&world, &blue, "template").await?;
    apply_user(&world, &host, &blue).await?;
    world
        .apply_ingress("plain", &[rule(&plain, &[prefix("/", &blue)])])
        .await?;
    expect_on(of_template, &host, &blue).await?;
    expect_on(of_class, &plain, &blue).await?;
    expect_not_on(of_class, &host).await?;
    expect_not_on(of_template, &plain).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_with_the_url_of_the_operator_sets_organisation_and_port() -> Result<()> {
    let world = Scenario::start("port-own").await?;
    let [port] = ports::free()?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    let mut env = at(port);
    env["url"] = format!("{}/", world.gateway.url()).into();
    env["org"] = "e2e-east".into();
    world.apply(&context(&world, "east", env)).await?;
    apply_parameters(&world, "east").await?;
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    expect_on(port, &host, &blue).await?;
    let apis = world.expect_apis(1).await?;
    // With a Dashboard the key decides.
    let organisation = match world.gateway.mode() {
        "pro" => ORGANISATION,
        _ => "e2e-east",
    };
    ensure!(
        apis[0]["org_id"] == organisation,
        "the organisation is {}",
        apis[0]["org_id"]
    );
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_means_another_tyk_is_refused() -> Result<()> {
    let mut world = Scenario::without_operator("port-other").await?;
    world.start_operator_with(&["--publish-address", "192.0.2.80"]).await?;
    let [port] = ports::free()?;
    let blue = world.backend("blue").await?;
    let (host, neighbour) = (world.host("shop"), world.host("neighbour"));
    let mut env = at(port);
    env["url"] = "http://elsewhere.test:8080".into();
    world.apply(&context(&world, "west", env)).await?;
    apply_template(&world, &blue, "west").await?;
    apply_user(&world, &host, &blue).await?;
    world
        .expect_warning("shop", &["ContextNotFound", "west", "elsewhere.test"])
        .await?;
    // Told and served after the refusal, so what was refused would be there by now.
    world
        .apply_ingress("neighbour", &[rule(&neighbour, &[prefix("/", &blue)])])
        .await?;
    world.expect_backend(&neighbour, "/", &blue).await?;
    world.expect_published("neighbour").await?;
    world.expect_no_route(&host, "/").await?;
    expect_not_on(port, &host).await?;
    world.expect_apis(1).await?;
    let addresses = world.published("shop").await?;
    ensure!(
        addresses.is_empty(),
        "{addresses:?} are published for what is not served"
    );

    // The same context becomes the operator's own Tyk.
    world.apply(&context(&world, "west", at(port))).await?;
    expect_on(port, &host, &blue).await?;
    world.stop().await
}

fn context(world: &Scenario, name: &str, env: Value) -> Value {
    json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "OperatorContext", "spec": {"env": env},
        "metadata": {"name": name, "namespace": world.namespace()}})
}

fn at(port: u16) -> Value {
    json!({"ingress": {"httpPort": port}})
}

async fn apply_parameters(world: &Scenario, context: &str) -> Result<()> {
    let parameters = json!({"apiGroup": "tyk.tyk.io", "kind": "OperatorContext", "name": context,
        "scope": "Namespace", "namespace": world.namespace()});
    world
        .apply(&json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {"name": world.class()},
            "spec": {"controller": CONTROLLER, "parameters": parameters}}))
        .await
        .map(drop)
}

async fn apply_template(world: &Scenario, backend: &Backend, context: &str) -> Result<()> {
    let spec = json!({"name": "template", "protocol": "http", "active": true, "use_keyless": true,
        "contextRef": {"name": context, "namespace": world.namespace()},
        "proxy": {"target_url": backend.url(), "listen_path": "/"}});
    world
        .apply(
            &json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "ApiDefinition", "spec": spec,
            "metadata": {"name": "template", "namespace": world.namespace(), "labels": {"template": "true"}}}),
        )
        .await
        .map(drop)
}

async fn apply_user(world: &Scenario, host: &str, backend: &Backend) -> Result<()> {
    let spec = json!({"ingressClassName": world.class(), "rules": [rule(host, &[prefix("/", backend)])]});
    world
        .apply_ingress_spec("shop", json!({"tyk.io/template": "template"}), spec)
        .await
}

async fn get(port: u16, host: &str) -> Result<Answer> {
    let mut call = Call::get(&format!("http://127.0.0.1:{port}"), "/");
    call.headers.push(("host", host.to_owned()));
    call.send().await
}

async fn expect_on(port: u16, host: &str, backend: &Backend) -> Result<()> {
    eventually(PATIENCE, &format!("{host} on port {port}"), async || {
        let answer = get(port, host).await?;
        ensure!(
            served_by(&answer) == Some(backend.service()),
            "the answer is {answer:?}"
        );
        Ok(())
    })
    .await
}

/// A port that no API uses may be closed, or answer 404.
async fn expect_not_on(port: u16, host: &str) -> Result<()> {
    eventually(PATIENCE, &format!("{host} to leave port {port}"), async || {
        if let Ok(answer) = get(port, host).await {
            ensure!(answer.status == 404, "the answer is {answer:?}");
        }
        Ok(())
    })
    .await
}
