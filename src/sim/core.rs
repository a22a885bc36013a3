//! The parts of a running gateway and what holds them together: requests in, reloads, restarts.

use super::certs::Certs;
use super::faults::{Failure, Faults};
use super::listener::Listeners;
use super::reload::{self, Setup};
use super::reply::{self, Body};
use super::router::{Found, Table};
use super::state::State;
use super::upstream::Upstreams;
use super::url::{self, Path};
use super::{Call, Config, Error, Gateway, control, proxy};
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::Value;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Everything that the tasks of a gateway share.
#[derive(Debug)]
pub(super) struct Core {
    pub config: Config,
    pub main: SocketAddr,
    pub control: SocketAddr,
    pub faults: Faults,
    /// Ends every task.
    pub ended: CancellationToken,
    pub upstreams: Upstreams,
    listeners: Listeners,
    state: Mutex<State>,
    table: RwLock<Arc<Table>>,
    wanted: Mutex<Vec<oneshot::Sender<()>>>,
    calls: Mutex<VecDeque<Call>>,
    crashed: Mutex<Option<String>>,
}

/// What a gateway gets from its Dashboard.
#[derive(Debug)]
pub(super) struct Held {
    /// Definitions, with the documents of OAS ones.
    pub apis: Vec<(Value, Option<Value>)>,
    pub policies: Vec<Value>,
    pub certs: Certs,
}

/// A request cut off instead of answered.
#[derive(Debug, thiserror::Error)]
#[error("connection cut")]
pub(super) struct Cut;

impl Core {
    /// Binds the addresses; nothing listens yet.
    pub fn new(config: Config) -> Result<Arc<Core>, Error> {
        let listeners = Listeners::default();
        let main = listeners.reserve(config.listen)?;
        let control = match config.control {
            Some(address) => listeners.reserve(address)?,
            None => main,
        };
        Ok(Arc::new(Core {
            main,
            control,
            faults: Faults::default(),
            ended: CancellationToken::new(),
            upstreams: Upstreams::new()?,
            listeners,
            state: Mutex::default(),
            table: RwLock::default(),
            wanted: Mutex::default(),
            calls: Mutex::default(),
            crashed: Mutex::default(),
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

    pub fn crashed(&self) -> Option<String> {
        lock(&self.crashed).clone()
    }

    /// Starts the process: loads the files and opens the listeners.
    pub async fn boot(self: &Arc<Core>) {
        *lock(&self.crashed) = None;
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::default();
        self.load().await;
    }

    /// Ends the process: no listener, no connection.
    pub async fn halt(&self) {
        self.listeners.close_all().await;
        lock(&self.wanted).clear();
    }

    /// Loses the memory, and the files unless they are kept.
    pub fn forget(&self, keep_files: bool) {
        let mut state = self.state();
        state.apis.clear();
        state.policies.clear();
        if !keep_files {
            state.files.clear();
            state.policy_files.clear();
        }
    }

    /// Asks for a reload at the next tick; the receiver hears when it has ended, or fails if the process ends first.
    pub fn want_reload(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut wanted = lock(&self.wanted);
        if wanted.is_empty() {
            self.state().written.clear();
        }
        wanted.push(sender);
        receiver
    }

    /// Reloads if somebody asked for it.
    async fn tick(self: &Arc<Core>) {
        if lock(&self.wanted).is_empty() || self.crashed().is_some() {
            return;
        }
        tokio::time::sleep(self.faults.reload_delay()).await;
        let waiting = std::mem::take(&mut *lock(&self.wanted));
        self.load().await;
        for sender in waiting {
            // Whoever asked may be gone.
            let _ = sender.send(());
        }
    }

    async fn load(self: &Arc<Core>) {
        let setup = Setup {
            main_port: self.main.port(),
            control_port: self.control.port(),
            custom_domains: self.config.custom_domains,
            strict_routes: self.config.strict_routes,
        };
        let loaded = {
            let mut state = self.state();
            let lost = self.faults.take_lost(&state.written);
            reload::load(&mut state, &setup, &lost)
        };
        match loaded {
            Ok(Some(table)) => *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table),
            Ok(None) => {}
            Err(crash) => {
                *lock(&self.crashed) = Some(crash.0);
                self.halt().await;
                return;
            }
        }
        let table = self.table();
        self.listeners.apply(self, &table).await;
    }

    /// Holds this and nothing else, and loads it at once. So does a gateway that gets it from a Dashboard.
    pub async fn hold(self: &Arc<Core>, held: Held) {
        self.state().hold(held);
        self.load().await;
    }

    /// The routes of the latest reload.
    pub fn table(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers a request that came in on a port.
    pub async fn answer(
        self: Arc<Core>,
        port: u16,
        peer: IpAddr,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Cut> {
        let Some(path) = Path::parse(request.uri().path()) else {
            return Ok(reply::bad_request(""));
        };
        let Some(host) = host(&request) else {
            return Ok(reply::bad_request(": missing required Host header"));
        };
        let clean = url::clean(&path.decoded);
        if clean != path.decoded {
            let query = request
                .uri()
                .query()
                .map(|query| format!("?{query}"))
                .unwrap_or_default();
            return Ok(reply::redirect(&format!("{}{query}", url::escape(&clean))));
        }
        let shared = port == self.control.port();
        if shared && control::owns(&path.decoded) {
            return self.control(path, request).await;
        }
        let table = self.table();
        let found = table
            .ports
            .get(&port)
            .map_or(Found::Nothing, |router| router.find(&host, &path.text()));
        Ok(match found {
            Found::Api(spec) => proxy::serve(&self, spec, request, path, host, peer).await,
            Found::StrictMiss => reply::gateway_not_found(),
            Found::Nothing if shared && table.loaded => reply::gateway_not_found(),
            Found::Swallowed | Found::Nothing => reply::not_found(),
        })
    }

    async fn control(&self, path: Path, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        let method = request.method().to_string();
        let sent = request
            .uri()
            .path_and_query()
            .map_or_else(String::new, ToString::to_string);
        // Read before anything is answered, so that no connection breaks over an unread rest.
        let call = control::Call::read(request).await;
        let failure = self.faults.take(&method, &sent);
        let answer = match failure.or_else(|| self.faults.take_write(&call.body)) {
            Some(Failure::Status(status)) => Ok(reply::error(status, "injected failure")),
            Some(Failure::Busy(seconds)) => Ok(reply::busy(reply::error(429, "injected failure"), seconds)),
            Some(Failure::Reset) => Err(Cut),
            Some(Failure::ResetAfter) => control::answer(self, &path, &call).await.and(Err(Cut)),
            Some(Failure::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                control::answer(self, &path, &call).await
            }
            None => control::answer(self, &path, &call).await,
        };
        let status = answer.as_ref().map_or(0, |response| response.status().as_u16());
        let mut calls = lock(&self.calls);
        if calls.len() == Gateway::CALLS {
            calls.pop_front();
        }
        calls.push_back(Call {
            method,
            path: sent,
            status,
        });
        answer
    }
}

/// The host of a request with its port, from an absolute request line or from the header.
fn host(request: &Request<Incoming>) -> Option<String> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.to_string());
    }
    let header = request.headers().get(hyper::header::HOST)?;
    Some(String::from_utf8_lossy(header.as_bytes()).into_owned())
}

/// Looks for wanted reloads until the gateway ends.
pub(super) async fn reload_loop(core: Weak<Core>, ended: CancellationToken, interval: Duration) {
    let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = ended.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let Some(core) = core.upgrade() else { return };
        core.tick().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
