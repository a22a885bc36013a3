//! Which entry of `spec.tls` serves which host.

use anyhow::{Result, ensure};
use e2e::Scenario;
use e2e::fixtures::{prefix, rule, tls};
use e2e::https;

use crate::world::{apply_ingress, secret};

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_host_is_served_over_https_and_http_at_once() -> Result<()> {
    let world = Scenario::start("tls-listed").await?;
    let blue = world.backend("blue").await?;
    let (host, plain) = (world.host("shop"), world.host("plain"));
    let certificate = secret(&world, "web", &[&host]).await?;
    let rules = [rule(&host, &[prefix("/", &blue)]), rule(&plain, &[prefix("/", &blue)])];
    apply_ingress(&world, "shop", &[tls(&[&host], "web")], &rules).await?;
    let seen = world
        .expect_https(&host, "/cart?item=1", &blue, &certificate)
        .await?
        .json()?;
    ensure!(
        seen["path"] == "/cart?item=1" && seen["headers"]["host"] == host.as_str(),
        "the backend saw {seen}"
    );
    ensure!(
        seen["headers"]["x-forwarded-proto"] == "https" || seen["headers"]["x-forwarded-proto"].is_null(),
        "the backend saw {seen}"
    );
    world.expect_backend(&host, "/", &blue).await?;
    world.expect_backend(&plain, "/", &blue).await?;
    // Two children for the host with TLS, one for the other.
    world.expect_children(3).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_without_hosts_serves_every_host_of_its_ingress() -> Result<()> {
    let world = Scenario::start("tls-hostless").await?;
    let blue = world.backend("blue").await?;
    let hosts = [world.host("one"), world.host("two")];
    let certificate = secret(&world, "both", &[&hosts[0], &hosts[1]]).await?;
    let rules: Vec<_> = hosts.iter().map(|host| rule(host, &[prefix("/", &blue)])).collect();
    apply_ingress(&world, "shop", &[tls(&[], "both")], &rules).await?;
    for host in &hosts {
        world.expect_https(host, "/", &blue, &certificate).await?;
        world.expect_backend(host, "/", &blue).await?;
    }
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_entry_covers_an_exact_host() -> Result<()> {
    let world = Scenario::start("tls-wildcard").await?;
    let blue = world.backend("blue").await?;
    let (host, wildcard) = (world.host("shop"), world.host("*"));
    let certificate = secret(&world, "wild", &[&wildcard]).await?;
    apply_ingress(
        &world,
        "shop",
        &[tls(&[&wildcard], "wild")],
        &[rule(&host, &[prefix("/", &blue)])],
    )
    .await?;
    world.expect_https(&host, "/", &blue, &certificate).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_host_shows_the_certificate_of_its_own_secret() -> Result<()> {
    let world = Scenario::start("tls-two").await?;
    let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
    let (one, two) = (world.host("one"), world.host("two"));
    let first = secret(&world, "first", &[&one]).await?;
    let second = secret(&world, "second", &[&two]).await?;
    let entries = [tls(&[&one], "first"), tls(&[&two], "second")];
    let rules = [rule(&one, &[prefix("/", &blue)]), rule(&two, &[prefix("/", &green)])];
    apply_ingress(&world, "shop", &entries, &rules).await?;
    world.expect_https(&one, "/", &blue, &first).await?;
    world.expect_https(&two, "/", &green, &second).await?;
    let crossed = https::get(world.https_port(), &one, "/", &second).await;
    ensure!(crossed.is_err(), "the client trusts any certificate");
    world.stop().await
}
