//! The only user of `kube::Client`: watches into a store, and what is written to the cluster: children, finalizers,
//! status, events.

pub mod address;
pub mod admission;
pub mod children;
pub mod events;
pub mod finalizer;
pub mod gateways;
pub mod ingress;
mod kinds;
pub mod lease;
mod named;
mod published;
pub mod status;
mod store;
pub mod template;
mod watch;

pub use published::Published;
pub use store::{Scope, Store};

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hyper::{Method, Request};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config, Error};
use tower::BoxError;
use tower::filter::FilterLayer;

use crate::permit::{self, Permit};
use crate::snapshot::NamespacedName;

/// Calls of one kind that are under way at the same time.
const CONCURRENCY: usize = 8;

/// Makes all calls, [`CONCURRENCY`] of them at the same time, each only when its turn comes: thousands that wait would hold
/// as many requests. Of a lazy stream of calls that borrow, `buffer_unordered` does not let the compiler see that it may
/// go to another thread.
async fn all<F: Future>(mut calls: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut under_way: FuturesUnordered<_> = calls.by_ref().take(CONCURRENCY).collect();
    let mut results = Vec::new();
    while let Some(result) = under_way.next().await {
        results.push(result);
        under_way.extend(calls.next());
    }
    results
}

/// Time between two log lines about the same trouble.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// When a trouble that lasts was last told.
#[derive(Debug, Default)]
struct Told(Option<Instant>);

impl Told {
    /// Whether to tell it again; then it counts as told.
    fn is_due(&mut self) -> bool {
        let due = self.0.is_none_or(|at| at.elapsed() >= LOG_INTERVAL);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

/// Sends a value only if it is another one.
fn send_changed<T: PartialEq>(sender: &tokio::sync::watch::Sender<T>, now: T) {
    sender.send_if_modified(|before| {
        let changed = *before != now;
        *before = now;
        changed
    });
}

/// A client from the kubeconfig, or from the service account of the pod.
///
/// # Errors
/// When there is neither, or when it cannot be used.
pub async fn connect() -> anyhow::Result<Client> {
    Ok(Client::try_default().await?)
}

/// The same, which refuses to change anything while the permit is not valid.
///
/// # Errors
/// As [`connect`].
pub async fn connect_guarded(permit: Permit) -> anyhow::Result<Client> {
    let guard = FilterLayer::new(move |request: Request<Body>| -> Result<_, BoxError> {
        match *request.method() == Method::GET || permit.is_valid() {
            true => Ok(request),
            false => Err(permit::REFUSAL.into()),
        }
    });
    let config = Config::infer().await?;
    Ok(ClientBuilder::try_from(config)?.with_layer(&guard).build())
}

fn api<K: Published>(client: &Client, name: &NamespacedName) -> kube::Api<K> {
    kube::Api::namespaced(client.clone(), &name.namespace)
}

/// HTTP status of an answer of the API server, `None` when there was no answer.
fn status_code(error: &Error) -> Option<u16> {
    match error {
        Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// What an error says, without the debug form of the answer that kube's own text adds.
fn message(error: &Error) -> String {
    match error {
        Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
}
