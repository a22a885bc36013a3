//! Secrets come later, and change.

use anyhow::{Result, ensure};
use e2e::fixtures::{prefix, rule, tls};
use e2e::pki::ServerCertificate;
use e2e::scenario::ORGANISATION;
use e2e::{PATIENCE, Scenario, eventually, https};

use crate::world::{apply_ingress, secret};

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_appears_later_is_picked_up() -> Result<()> {
    let world = Scenario::start("tls-later").await?;
    let blue = world.backend("blue").await?;
    let (host, other) = (world.host("shop"), world.host("other"));
    let present = secret(&world, "present", &[&other]).await?;
    let entries = [tls(&[&host], "later"), tls(&[&other], "present")];
    let rules = [rule(&host, &[prefix("/", &blue)]), rule(&other, &[prefix("/", &blue)])];
    apply_ingress(&world, "shop", &entries, &rules).await?;
    world.expect_https(&other, "/", &blue, &present).await?;
    world.expect_warning("shop", &["later"]).await?;
    world.expect_backend(&host, "/", &blue).await?;

    let later = secret(&world, "later", &[&host]).await?;
    world.expect_https(&host, "/", &blue, &later).await?;
    world.expect_https(&other, "/", &blue, &present).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_certificate_takes_the_place_of_the_old_one() -> Result<()> {
    let world = Scenario::start("tls-rotation").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    let old = secret(&world, "web", &[&host]).await?;
    apply_ingress(
        &world,
        "shop",
        &[tls(&[&host], "web")],
        &[rule(&host, &[prefix("/", &blue)])],
    )
    .await?;
    world.expect_https(&host, "/", &blue, &old).await?;
    ensure!(stored(&world, &old).await?, "the certificate is shown and not listed");

    let new = secret(&world, "web", &[&host]).await?;
    world.expect_https(&host, "/", &blue, &new).await?;
    let shown = https::get(world.https_port(), &host, "/", &old).await;
    ensure!(shown.is_err(), "the old certificate is still shown");
    eventually(PATIENCE, "the old certificate to leave the gateway", async || {
        ensure!(!stored(&world, &old).await?, "it is still listed");
        Ok(())
    })
    .await?;
    ensure!(stored(&world, &new).await?, "the new certificate is not listed");
    world.stop().await
}

/// Whether the gateway has a certificate in its store.
async fn stored(world: &Scenario, certificate: &ServerCertificate) -> Result<bool> {
    let id = format!("{ORGANISATION}{}", certificate.fingerprint()?);
    Ok(world.gateway.certificates(ORGANISATION).await?.contains(&id))
}
