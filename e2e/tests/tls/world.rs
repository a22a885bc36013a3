//! What several of these tests do.

use anyhow::{Result, ensure};
use e2e::fixtures::tls_secret;
use e2e::http::Answer;
use e2e::pki::{ServerCertificate, server_certificate};
use e2e::{PATIENCE, Scenario, eventually};
use serde_json::{Value, json};

/// Makes a certificate for these names and a Secret that holds it.
pub async fn secret(world: &Scenario, name: &str, names: &[&str]) -> Result<ServerCertificate> {
    let certificate = server_certificate(names)?;
    apply_secret(world, name, &certificate).await?;
    Ok(certificate)
}

/// Applies a Secret that holds a certificate.
pub async fn apply_secret(world: &Scenario, name: &str, certificate: &ServerCertificate) -> Result<()> {
    world
        .apply(&tls_secret(name, world.namespace(), certificate))
        .await
        .map(drop)
}

/// Applies an Ingress of the test's class with these entries of `spec.tls`.
pub async fn apply_ingress(world: &Scenario, name: &str, tls: &[Value], rules: &[Value]) -> Result<()> {
    let spec = json!({"ingressClassName": world.class(), "tls": tls, "rules": rules});
    world.apply_ingress_spec(name, json!({}), spec).await
}

/// Waits until http answers with this status.
pub async fn expect_status(world: &Scenario, host: &str, path: &str, status: u16) -> Result<Answer> {
    eventually(
        PATIENCE,
        &format!("http://{host}{path} to answer {status}"),
        async || {
            let answer = world.gateway.request(host, path).await?;
            ensure!(answer.status == status, "the answer is {answer:?}");
            Ok(answer)
        },
    )
    .await
}
