//! The product as a process: start, stop, restart, and what its own HTTP server tells.

use anyhow::{Result, ensure};
use e2e::fixtures::{prefix, rule};
use e2e::{Operator, OperatorConfig, PATIENCE, Scenario, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_emptied_during_a_restart_is_filled_again() -> Result<()> {
    let mut world = Scenario::start("restart").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    world.expect_backend(&host, "/", &blue).await?;
    world.stop_operator().await?;
    world.expect_backend(&host, "/", &blue).await?;
    world.gateway.lose_everything(world.namespace()).await?;
    world.expect_no_route(&host, "/").await?;
    world.start_operator().await?;
    world.expect_backend(&host, "/", &blue).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_emptied_under_way_is_filled_again() -> Result<()> {
    let world = Scenario::start("emptied").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    world.expect_backend(&host, "/", &blue).await?;
    world.gateway.lose_everything(world.namespace()).await?;
    world.expect_backend(&host, "/", &blue).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_the_product_is_down_is_caught_up() -> Result<()> {
    let mut world = Scenario::start("down").await?;
    let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
    let (host, deleted) = (world.host("shop"), world.host("deleted"));
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    world
        .apply_ingress("deleted", &[rule(&deleted, &[prefix("/", &blue)])])
        .await?;
    world.expect_backend(&host, "/", &blue).await?;
    world.expect_backend(&deleted, "/", &blue).await?;
    world.stop_operator().await?;
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &green)])])
        .await?;
    world.delete_ingress("deleted").await?;
    world.start_operator().await?;
    world.expect_backend(&host, "/", &green).await?;
    world.expect_no_route(&deleted, "/").await?;
    world.expect_apis(1).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn its_http_server_answers() -> Result<()> {
    let world = Scenario::start("http").await?;
    for path in ["/healthz", "/livez", "/readyz", "/metrics"] {
        let answer = world.operator()?.get(path).await?;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    let metrics = world.operator()?.get("/metrics").await?.body;
    assert!(metrics.contains("# TYPE "), "{metrics}");
    assert_eq!(world.operator()?.get("/no-such-page").await?.status, 404);
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_secret_is_in_no_log_and_no_page() -> Result<()> {
    let mut world = Scenario::without_operator("secret").await?;
    let wrong = "a-very-secret-word";
    let config = world.operator_config()?.env("TYK_AUTH", wrong).env("RUST_LOG", "trace");
    let operator = Operator::spawn(world.cluster, config).await?;
    let blue = world.backend("blue").await?;
    world
        .apply_ingress("shop", &[rule(&world.host("shop"), &[prefix("/", &blue)])])
        .await?;
    eventually(PATIENCE, "the gateway to refuse the secret", async || {
        // A real gateway does not tell; there the children are the sign that the product is at work.
        let calls = world.gateway.calls();
        let refused = calls.is_none_or(|calls| calls.iter().any(|call| [401, 403].contains(&call.status)));
        ensure!(refused, "there was no refusal; {}", operator.tail());
        Ok(())
    })
    .await?;
    world.expect_children(1).await?;
    assert!(!operator.log().contains(wrong), "the secret is in the log");
    for path in ["/metrics", "/readyz", "/healthz"] {
        assert!(
            !operator.get(path).await?.body.contains(wrong),
            "the secret is in {path}"
        );
    }
    operator.stop().await?;
    world.start_operator().await?;
    world.stop().await
}

/// Starts the product with a wrong configuration: it has to end at once, not with 0, and to name the variable.
async fn refuses(name: &str, variable: &str, change: impl FnOnce(OperatorConfig) -> OperatorConfig) -> Result<()> {
    let world = Scenario::without_operator(name).await?;
    let mut operator = Operator::spawn(world.cluster, change(world.operator_config()?)).await?;
    let code = operator.wait().await?;
    let log = operator.log();
    // 101 is a panic, and 126 to 128 are the shell's: no program was found.
    assert!(
        ![0, 101, 126, 127, 128].contains(&code) && code < 128,
        "exit code {code}: {log}"
    );
    assert!(log.contains(variable), "{log}");
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_gateway_url_ends_the_start() -> Result<()> {
    refuses("no-url", "TYK_URL", |config| config.without_env("TYK_URL")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_no_number_ends_the_start() -> Result<()> {
    refuses("bad-port", "TYK_HTTP_INGRESS_PORT", |config| {
        config.env("TYK_HTTP_INGRESS_PORT", "abc")
    })
    .await
}
