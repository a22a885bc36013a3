//! The one HTTP endpoint of the controller: metrics and health.

pub mod redirector;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// What the endpoint answers with; shared with the tasks that set it.
#[derive(Debug)]
pub struct Health {
    /// Served at `/metrics`.
    pub metrics: Metrics,
    unready: Mutex<Vec<String>>,
}

impl Health {
    /// Not ready, because it is just starting.
    pub fn new(metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            metrics,
            unready: Mutex::new(vec!["starting".into()]),
        })
    }

    /// Says why the controller is not ready; with no reasons it is.
    pub fn set_unready(&self, reasons: Vec<String>) {
        *self.unready.lock().unwrap_or_else(PoisonError::into_inner) = reasons;
    }

    fn unready(&self) -> Vec<String> {
        self.unready.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Binds the address, so that a port in use ends the start.
///
/// # Errors
/// The system's reason.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until `cancel`.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, health: Arc<Health>, cancel: CancellationToken) -> std::io::Result<()> {
    let alive = || async { "ok\n" };
    let routes = Router::new()
        .route("/healthz", get(alive))
        .route("/livez", get(alive))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health);
    axum::serve(listener, routes)
        .with_graceful_shutdown(cancel.cancelled_owned())
        .await
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    match health.unready().as_slice() {
        [] => "ok\n".into_response(),
        reasons => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {}\n", reasons.join("; ")),
        )
            .into_response(),
    }
}

async fn metrics(State(health): State<Arc<Health>>) -> Response {
    match health.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
