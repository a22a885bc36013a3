//! The listener of a Dashboard, and the way of a call through faults to its answer.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::store::State;
use super::visit::{self, Sent};
use super::{Config, envelope};
use crate::sim::core::{Core, Cut};
use crate::sim::listener::bind;
use crate::sim::reply::{self, Body};
use crate::sim::{Call, Error, Failure, Faults, Gateway};

/// Everything that the tasks of a Dashboard share.
#[derive(Debug)]
pub(super) struct Server {
    pub config: Config,
    pub address: SocketAddr,
    pub faults: Faults,
    /// Ends every task.
    pub ended: CancellationToken,
    pub gateways: tokio::sync::Mutex<Vec<Arc<Core>>>,
    state: Mutex<State>,
    calls: Mutex<VecDeque<Call>>,
    door: tokio::sync::Mutex<Door>,
}

/// The listener, or the bound socket that holds its address while nothing listens.
#[derive(Debug)]
enum Door {
    Closed(Option<TcpSocket>),
    Open(CancellationToken, JoinHandle<()>),
}

impl Server {
    /// Binds the address; nothing listens yet.
    pub fn new(config: Config) -> Result<Arc<Server>, Error> {
        let listen = |source| Error::Listen {
            address: config.listen,
            source,
        };
        let socket = bind(config.listen).map_err(listen)?;
        let address = socket.local_addr().map_err(listen)?;
        Ok(Arc::new(Server {
            address,
            faults: Faults::default(),
            ended: CancellationToken::new(),
            gateways: tokio::sync::Mutex::default(),
            state: Mutex::default(),
            calls: Mutex::default(),
            door: tokio::sync::Mutex::new(Door::Closed(Some(socket))),
            config,
        }))
    }

    /// The state, locked. Not to be held across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub fn calls(&self) -> Vec<Call> {
        lock(&self.calls).iter().cloned().collect()
    }

    /// Opens the listener.
    pub async fn up(self: &Arc<Server>) -> Result<(), Error> {
        let mut door = self.door.lock().await;
        let Door::Closed(socket) = &mut *door else {
            return Ok(());
        };
        let listen = |source| Error::Listen {
            address: self.address,
            source,
        };
        let socket = socket.take().map_or_else(|| bind(self.address), Ok).map_err(listen)?;
        let listener = socket.listen(1024).map_err(listen)?;
        let open = self.ended.child_token();
        let task = tokio::spawn(accept(Arc::downgrade(self), listener, open.clone()));
        *door = Door::Open(open, task);
        Ok(())
    }

    /// Closes the listener and cuts every connection.
    pub async fn down(&self) {
        let mut door = self.door.lock().await;
        if let Door::Open(open, task) = &mut *door {
            open.cancel();
            // A task that panicked has closed its socket as well.
            let _ = task.await;
            *door = Door::Closed(bind(self.address).ok());
        }
    }

    async fn answer(self: Arc<Server>, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let path = request
            .uri()
            .path_and_query()
            .map_or_else(String::new, ToString::to_string);
        // Read before anything is answered, so that no connection breaks over an unread rest.
        let sent = Sent::read(request).await;
        let answer = match self.faults.take(&sent.method, &path) {
            Some(Failure::Status(status)) => Ok(envelope::error(status, failure(status))),
            Some(Failure::Busy(seconds)) => Ok(reply::busy(envelope::error(429, failure(429)), seconds)),
            Some(Failure::Reset) => Err(Cut),
            Some(Failure::ResetAfter) => {
                self.act(&sent).await;
                Err(Cut)
            }
            Some(Failure::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                Ok(self.act(&sent).await)
            }
            None => Ok(self.act(&sent).await),
        };
        let status = answer.as_ref().map_or(0, |response| response.status().as_u16());
        let mut calls = lock(&self.calls);
        if calls.len() == Gateway::CALLS {
            calls.pop_front();
        }
        calls.push_back(Call {
            method: sent.method,
            path,
            status,
        });
        answer
    }

    async fn act(&self, sent: &Sent) -> Response<Body> {
        let answer = visit::answer(&self.config, &mut self.state(), sent);
        if sent.method != "GET" && answer.status().is_success() {
            self.publish().await;
        }
        answer
    }
}

/// What the Dashboard says with an injected status; the words decide what some of them mean.
fn failure(status: u16) -> &'static str {
    match status {
        401 => "Not authorised",
        403 => "access denied: You do not have permission to access  this",
        409 => "Found API with the same ID",
        _ => "injected failure",
    }
}

async fn accept(server: std::sync::Weak<Server>, listener: TcpListener, open: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = open.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // Out of descriptors, most likely: the client tries again.
        let Ok((stream, _)) = accepted else { continue };
        let Some(server) = server.upgrade() else { return };
        let open = open.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| server.clone().answer(request));
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                // The end of a connection is the client's business.
                _ = served => {}
                () = open.cancelled() => {}
            }
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
