//! Certificates that cannot be used: Secret and Ingress are told, and every other host is served.

use anyhow::Result;
use e2e::Scenario;
use e2e::fixtures::{prefix, rule, tls};
use e2e::pki::{ServerCertificate, ed25519_certificate, expired_certificate, server_certificate};

use crate::world::{apply_ingress, apply_secret, secret};

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate() -> Result<()> {
    is_reported("tls-expired", |host| expired_certificate(&[host])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_belongs_to_another_certificate() -> Result<()> {
    let mismatched = |host: &str| {
        let other = server_certificate(&[host])?;
        Ok(ServerCertificate {
            key: other.key,
            ..server_certificate(&[host])?
        })
    };
    is_reported("tls-mismatched", mismatched).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ed25519_key() -> Result<()> {
    is_reported("tls-ed25519", |host| ed25519_certificate(&[host])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_certificate_at_all() -> Result<()> {
    let nothing = |host: &str| {
        Ok(ServerCertificate {
            certificate: "no PEM\n".into(),
            ..server_certificate(&[host])?
        })
    };
    is_reported("tls-nothing", nothing).await
}

/// A certificate for another host is served, since it may be meant for a name in front of the gateway.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_host() -> Result<()> {
    let world = Scenario::start("tls-foreign").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    secret(&world, "foreign", &[&world.host("other")]).await?;
    let rules = [rule(&host, &[prefix("/", &blue)])];
    apply_ingress(&world, "shop", &[tls(&[&host], "foreign")], &rules).await?;
    world
        .expect_warning("shop", &["CertificateHostMismatch", &host])
        .await?;
    world.expect_backend(&host, "/", &blue).await?;
    world.stop().await
}

/// One Ingress with a good and a bad Secret; then the bad one becomes good.
async fn is_reported(name: &str, bad: impl Fn(&str) -> Result<ServerCertificate>) -> Result<()> {
    let world = Scenario::start(name).await?;
    let blue = world.backend("blue").await?;
    let (good_host, bad_host) = (world.host("good"), world.host("bad"));
    let good = secret(&world, "good", &[&good_host]).await?;
    apply_secret(&world, "bad", &bad(&bad_host)?).await?;
    let entries = [tls(&[&bad_host], "bad"), tls(&[&good_host], "good")];
    let rules = [
        rule(&bad_host, &[prefix("/", &blue)]),
        rule(&good_host, &[prefix("/", &blue)]),
    ];
    apply_ingress(&world, "shop", &entries, &rules).await?;
    world.expect_https(&good_host, "/", &blue, &good).await?;
    world
        .expect_warning_on("Secret", "bad", &["CertificateInvalid"])
        .await?;
    world.expect_warning("shop", &["bad"]).await?;
    // The host itself is served over http meanwhile.
    world.expect_backend(&bad_host, "/", &blue).await?;

    let mended = secret(&world, "bad", &[&bad_host]).await?;
    world.expect_https(&bad_host, "/", &blue, &mended).await?;
    world.expect_https(&good_host, "/", &blue, &good).await?;
    world.stop().await
}
