//! What the controller serves over HTTP: metrics and health for programs, and on an address of its own, what it knows for
//! people.

mod access;
pub mod admission;
pub mod debug;
pub mod redirector;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::desired::{Fleet, Installation};
use crate::diagnostic::Diagnostic;
use crate::ingress::Translation;
use crate::inspect::World;
use crate::metrics::Metrics;
use crate::snapshot::Snapshot;
use crate::sync::Outcome;
pub use access::Access;

/// What is answered; shared with the tasks that find it out.
#[derive(Debug)]
pub struct Health {
    /// Served at `/metrics`.
    pub metrics: Metrics,
    world: Mutex<World>,
}

impl Health {
    /// Not ready, because it is just starting, and writing, until somebody says otherwise.
    pub fn new(metrics: Metrics) -> Arc<Self> {
        metrics.set_leader(true);
        let world = World {
            unready: vec!["starting".into()],
            leader: true,
            ..World::default()
        };
        Arc::new(Self {
            metrics,
            world: Mutex::new(world),
        })
    }

    /// Says why the controller is not ready; with no reasons it is.
    pub fn set_unready(&self, reasons: Vec<String>) {
        self.lock().unready = reasons;
    }

    /// Says whether this process writes.
    pub fn set_leader(&self, leader: bool) {
        self.lock().leader = leader;
        self.metrics.set_leader(leader);
    }

    /// Takes in what was made of a snapshot.
    pub fn translated(
        &self,
        snapshot: Arc<Snapshot>,
        (translation, fleet): (Arc<Translation>, Arc<Fleet>),
        diagnostics: Arc<Vec<Diagnostic>>,
    ) {
        self.metrics.translated(translation.ingresses.len(), &fleet);
        let mut world = self.lock();
        world.translated(snapshot, (translation, fleet), diagnostics, Timestamp::now());
        self.metrics.set_diagnostics(&world.findings());
    }

    /// A state was handed over to these Tyks; the oldest change in it came at `since`.
    pub fn handed_over(&self, revision: u64, tyks: &[Arc<Installation>], since: Instant) {
        self.metrics.handed_over(revision, tyks, since);
    }

    /// Takes in the end of a round.
    pub fn ended(&self, outcome: &Outcome) {
        let now = Timestamp::now();
        self.metrics.ended(outcome, now);
        let mut world = self.lock();
        world.ended(outcome.clone(), now);
        self.metrics.set_diagnostics(&world.findings());
    }

    /// All that is known now.
    pub fn world(&self) -> World {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Binds the address, so that a port in use ends the start.
///
/// # Errors
/// The system's reason.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until `cancel`. `access` is asked for the metrics alone: probes have no credentials.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    health: Arc<Health>,
    access: Access,
    cancel: CancellationToken,
) -> std::io::Result<()> {
    let alive = || async { "ok\n" };
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .layer(middleware::from_fn_with_state(access, access::check))
        .route("/healthz", get(alive))
        .route("/livez", get(alive))
        .route("/readyz", get(readyz))
        .with_state(health);
    axum::serve(listener, routes)
        .with_graceful_shutdown(cancel.cancelled_owned())
        .await
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    let reasons = health.lock().unready.clone();
    match reasons.as_slice() {
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
