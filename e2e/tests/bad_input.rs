//! Bad input costs its own path, and its owner is told; competing Ingresses are settled by age.

use anyhow::{Context, Result};
use e2e::fixtures::{prefix, rule};
use e2e::{Backend, Scenario};
use k8s_openapi::api::networking::v1::Ingress;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

/// Applies an Ingress with one good rule and `bad` rules; the good one has to work, and a Warning has to contain `words`.
async fn costs_only_itself(
    name: &str,
    bad: impl FnOnce(&str, &Backend) -> Value,
    words: &[&str],
) -> Result<()> {
    let world = Scenario::start(name).await?;
    let blue = world.backend("blue").await?;
    let (good_host, bad_host) = (world.host("good"), world.host("bad"));
    let rules = [
        bad(&bad_host, &blue),
        rule(&good_host, &[prefix("/good", &blue)]),
    ];
    world.apply_ingress("shop", &rules).await?;
    world.expect_backend(&good_host, "/good", &blue).await?;
    world.expect_warning("shop", words).await?;
    // A neighbour on the same host as the bad path works, too.
    world
        .apply_ingress(
            "neighbour",
            &[rule(&bad_host, &[prefix("/neighbour", &blue)])],
        )
        .await?;
    world.expect_backend(&bad_host, "/neighbour", &blue).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_backend() -> Result<()> {
    let bad = |host: &str, _: &Backend| {
        let resource = json!({"apiGroup": "storage.example", "kind": "Bucket", "name": "pictures"});
        rule(
            host,
            &[json!({"path": "/bad", "pathType": "Prefix", "backend": {"resource": resource}})],
        )
    };
    costs_only_itself("bad-resource", bad, &["Bucket"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_service() -> Result<()> {
    let bad = |host: &str, blue: &Backend| {
        let mut path = prefix("/bad", blue);
        path["backend"]["service"]["name"] = "nowhere".into();
        rule(host, &[path])
    };
    costs_only_itself("bad-service", bad, &["nowhere"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_port_that_the_service_lacks() -> Result<()> {
    let bad = |host: &str, blue: &Backend| {
        let mut path = prefix("/bad", blue);
        path["backend"]["service"]["port"] = json!({"name": "metrics"});
        rule(host, &[path])
    };
    costs_only_itself("bad-port", bad, &["metrics", "blue"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_without_http_beside_a_good_one() -> Result<()> {
    let world = Scenario::start("no-http").await?;
    let blue = world.backend("blue").await?;
    let (good, bare) = (world.host("good"), world.host("bare"));
    world
        .apply_ingress(
            "shop",
            &[json!({"host": bare}), rule(&good, &[prefix("/", &blue)])],
        )
        .await?;
    world.expect_backend(&good, "/", &blue).await?;
    world.expect_no_route(&bare, "/").await?;
    world.expect_warning("shop", &[&bare]).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_service_that_comes_later_is_served() -> Result<()> {
    let world = Scenario::start("late-service").await?;
    let early = world.backend("early").await?;
    let host = world.host("shop");
    let mut path = prefix("/late", &early);
    path["backend"]["service"]["name"] = "late".into();
    world
        .apply_ingress(
            "shop",
            &[rule(&host, &[path.clone(), prefix("/early", &early)])],
        )
        .await?;
    world.expect_backend(&host, "/early", &early).await?;
    world.expect_warning("shop", &["late"]).await?;
    let late = world.backend("late").await?;
    path["backend"]["service"]["port"] = json!({"number": late.port()});
    world
        .apply_ingress("shop", &[rule(&host, &[path, prefix("/early", &early)])])
        .await?;
    world.expect_backend(&host, "/late", &late).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_ingress_wins_and_the_next_takes_over() -> Result<()> {
    let world = Scenario::start("conflict").await?;
    let (old, young) = (world.backend("old").await?, world.backend("young").await?);
    let host = world.host("shop");
    // The names are against the order of age, which counts first.
    world
        .apply_ingress("z-older", &[rule(&host, &[prefix("/", &old)])])
        .await?;
    world.expect_backend(&host, "/", &old).await?;
    younger_than(&world, "z-older").await?;
    let rules = [rule(
        &host,
        &[prefix("/", &young), prefix("/young", &young)],
    )];
    world.apply_ingress("a-younger", &rules).await?;
    world.expect_backend(&host, "/young", &young).await?;
    world.expect_warning("a-younger", &["z-older"]).await?;
    world.expect_backend(&host, "/", &old).await?;

    world.delete_ingress("z-older").await?;
    world.expect_backend(&host, "/", &young).await?;
    world.stop().await
}

/// Waits until a new object is younger than this Ingress: creation times have a resolution of one second.
async fn younger_than(world: &Scenario, name: &str) -> Result<()> {
    let ingresses: Api<Ingress> = Api::namespaced(world.client(), world.namespace());
    let created = ingresses
        .get(name)
        .await?
        .creation_timestamp()
        .context("an Ingress without a creation time")?;
    let mut round = 0;
    e2e::eventually(e2e::PATIENCE, "the next second", async || {
        round += 1;
        let probe = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("clock-{round}"), "namespace": world.namespace()}});
        let now = world.apply(&probe).await?.creation_timestamp();
        anyhow::ensure!(
            now.as_ref().is_some_and(|now| now.0 > created.0),
            "the API server's time is {now:?}"
        );
        Ok(())
    })
    .await
}
