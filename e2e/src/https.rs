//! HTTPS requests whose server has to prove its name.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::http::{Answer, Call};
use crate::pki::ServerCertificate;

/// Sends a request over TLS to a port of 127.0.0.1 as a client of `host` that trusts the authority of `expected` alone,
/// and holds the shown certificate against it. Name, validity and signature are verified as by any client.
///
/// # Errors
/// When the port is closed, or the server shows any other certificate.
pub async fn send(port: u16, host: &str, call: Call, expected: &ServerCertificate) -> Result<Answer> {
    let stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .with_context(|| format!("cannot connect to port {port}"))?;
    let name = ServerName::try_from(host.to_owned()).context("not a host name")?;
    let stream = TlsConnector::from(Arc::new(config(&expected.authority)?))
        .connect(name, stream)
        .await
        .with_context(|| format!("no trusted connection to {host} on port {port}"))?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let leaf = CertificateDer::from_pem_slice(expected.certificate.as_bytes()).context("not a certificate")?;
    ensure!(
        shown == Some(&leaf),
        "{host} shows another certificate of the same authority"
    );
    call.send_over(stream, host).await
}

/// A GET of `path`, as [`send`].
///
/// # Errors
/// As [`send`].
pub async fn get(port: u16, host: &str, path: &str, expected: &ServerCertificate) -> Result<Answer> {
    send(port, host, Call::get("", path), expected).await
}

fn config(authority: &str) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.as_bytes()).context("not an authority")?)
        .context("not an authority")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("no TLS version")?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
