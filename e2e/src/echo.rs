//! A backend that tells who it is and what it saw.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result};
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Header that holds the name of the backend that answered.
pub const NAME_HEADER: &str = "x-echo-name";

/// An HTTP server on a free loopback port. It ends when it is dropped.
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
        let router = axum::Router::new().fallback(answer).with_state(name.to_owned());
        let server = tokio::spawn(async move {
            // A server that ends shows in the tests as a backend that cannot be reached.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            name: name.to_owned(),
            port,
            server,
        })
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
