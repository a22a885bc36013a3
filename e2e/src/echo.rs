//! A backend that tells who it is and what it saw.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::pki::ServerCertificate;

/// Header that holds the name of the backend that answered.
pub const NAME_HEADER: &str = "x-echo-name";

/// A server of HTTP, or https, on a free loopback port. It ends when it is dropped.
///
/// Its answer to everything is 200, with its name in [`NAME_HEADER`], and as JSON `name`, `method`, `path` (with the
/// query), `protocol` and `headers`.
#[derive(Debug)]
pub struct Echo {
    name: String,
    port: u16,
    server: JoinHandle<()>,
}

impl Echo {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(name: &str) -> Result<Self> {
        Self::start_at(name, Ipv4Addr::LOCALHOST.into(), 0).await
    }

    /// Starts it on an address of this machine; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is not this machine's, or the port is taken.
    pub async fn start_at(name: &str, address: IpAddr, port: u16) -> Result<Self> {
        let listener = TcpListener::bind((address, port))
            .await
            .with_context(|| format!("cannot listen on {address}, port {port}"))?;
        let port = listener.local_addr().context("a listener without an address")?.port();
        Ok(Self::serve(name, port, listener))
    }

    /// Starts one that speaks https alone, and shows this certificate.
    ///
    /// # Errors
    /// When there is no free port, or the certificate is none.
    pub async fn start_https(name: &str, certificate: &ServerCertificate) -> Result<Self> {
        let listener = TlsListener::bind(certificate).await?;
        let port = listener.local_addr().context("a listener without an address")?.port();
        Ok(Self::serve(name, port, listener))
    }

    fn serve<L: Listener<Addr: Debug>>(name: &str, port: u16, listener: L) -> Self {
        let router = axum::Router::new().fallback(answer).with_state(name.to_owned());
        let server = tokio::spawn(async move {
            // A server that ends shows in the tests as a backend that cannot be reached.
            let _ = axum::serve(listener, router).await;
        });
        Self {
            name: name.to_owned(),
            port,
            server,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Hands on the connections whose TLS handshake succeeds.
struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    async fn bind(certificate: &ServerCertificate) -> Result<Self> {
        let chain = CertificateDer::from_pem_slice(certificate.certificate.as_bytes()).context("not a certificate")?;
        let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).context("not a key")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)?;
        Ok(Self {
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            // A client that does not trust the certificate ends the handshake.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(name): State<String>, request: Request) -> impl IntoResponse {
    let headers: BTreeMap<&str, String> = request
        .headers()
        .iter()
        .map(|(header, value)| (header.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let body = json!({
        "name": name,
        "method": request.method().as_str(),
        "path": request.uri().path_and_query().map(ToString::to_string),
        "protocol": format!("{:?}", request.version()),
        "headers": headers,
    });
    (
        [(NAME_HEADER, name), ("content-type", "application/json".to_owned())],
        body.to_string(),
    )
}
