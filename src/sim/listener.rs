//! Listeners by port: opened when the first API of a port is loaded, closed when the last one goes.

use super::Error;
use super::core::Core;
use super::router::{Router, Table};
use super::tls;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How long a client has for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// All listeners of a gateway.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    /// Addresses that belong to the gateway also while nothing listens on them, each with a bound socket that holds it.
    own: Mutex<BTreeMap<u16, Own>>,
    open: tokio::sync::Mutex<BTreeMap<u16, Server>>,
}

#[derive(Debug)]
struct Own {
    address: SocketAddr,
    /// Bound and not listening, so that connections are refused. `None` while the server has it.
    socket: Option<TcpSocket>,
}

#[derive(Debug)]
struct Server {
    /// Takes no more connections and lets those that are busy end.
    stop: CancellationToken,
    /// Cuts all connections.
    kill: CancellationToken,
    task: JoinHandle<()>,
    secure: bool,
}

impl Listeners {
    /// Takes an address for the life of the gateway; the answer holds the real port.
    pub fn reserve(&self, address: SocketAddr) -> Result<SocketAddr, Error> {
        let bound = bind(address).and_then(|socket| Ok((socket.local_addr()?, socket)));
        let (address, socket) = bound.map_err(|source| Error::Listen { address, source })?;
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.insert(
            address.port(),
            Own {
                address,
                socket: Some(socket),
            },
        );
        Ok(address)
    }

    /// Opens what the table needs and is not open, closes what it does not need. A port that cannot be opened is left out.
    pub async fn apply(&self, core: &Arc<Core>, table: &Table) {
        let mut open = self.open.lock().await;
        let control = core.control.port();
        // Until the first load the main port is open as well, and knows nothing.
        let always = if table.loaded {
            vec![control]
        } else {
            vec![control, core.main.port()]
        };
        let secure = |port: u16| table.ports.get(&port).is_some_and(Router::is_secure);
        let routed = |port: u16| table.ports.get(&port).is_some_and(Router::is_http);
        let needed = |port: u16| always.contains(&port) || routed(port);
        let unused = open
            .iter()
            .filter(|(port, server)| !needed(**port) || server.secure != secure(**port));
        for port in unused.map(|(port, _)| *port).collect::<Vec<_>>() {
            if let Some(server) = open.remove(&port) {
                server.stop.cancel();
                self.released(port, server).await;
            }
        }
        for port in table.ports.keys().chain(&always).copied() {
            if !needed(port) || open.contains_key(&port) {
                continue;
            }
            let acceptor = if secure(port) { tls::acceptor(core, port) } else { None };
            if let Ok(listener) = self.listen(core, port) {
                open.insert(port, serve(core, listener, port, acceptor));
            }
        }
    }

    /// Closes every listener and cuts every connection.
    pub async fn close_all(&self) {
        let servers = std::mem::take(&mut *self.open.lock().await);
        for (port, server) in servers {
            server.stop.cancel();
            server.kill.cancel();
            self.released(port, server).await;
        }
    }

    /// Waits until the socket is closed, and holds the address again if it is one of ours.
    async fn released(&self, port: u16, server: Server) {
        // A task that panicked has closed its socket as well.
        let _ = server.task.await;
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = own.get_mut(&port) {
            own.socket = bind(own.address).ok();
        }
    }

    fn listen(&self, core: &Core, port: u16) -> std::io::Result<TcpListener> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = match own.get_mut(&port) {
            Some(own) => own.socket.take().map_or_else(|| bind(own.address), Ok)?,
            None => bind(SocketAddr::new(core.main.ip(), port))?,
        };
        socket.listen(1024)
    }
}

/// A bound socket that does not listen yet.
pub(super) fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn serve(core: &Arc<Core>, listener: TcpListener, port: u16, acceptor: Option<TlsAcceptor>) -> Server {
    let kill = core.ended.child_token();
    let stop = kill.child_token();
    let secure = acceptor.is_some();
    let door = Door {
        core: core.clone(),
        port,
        acceptor,
        stop: stop.clone(),
        kill: kill.clone(),
    };
    let task = tokio::spawn(door.accept(listener));
    Server {
        stop,
        kill,
        task,
        secure,
    }
}

/// What every connection of a port needs.
#[derive(Clone)]
struct Door {
    core: Arc<Core>,
    port: u16,
    acceptor: Option<TlsAcceptor>,
    stop: CancellationToken,
    kill: CancellationToken,
}

impl Door {
    async fn accept(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    tokio::spawn(self.clone().enter(stream, peer));
                }
                // Out of descriptors, most likely: let some connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    async fn enter(self, stream: TcpStream, peer: SocketAddr) {
        // Only latency is lost if the option is refused.
        let _ = stream.set_nodelay(true);
        let Some(acceptor) = self.acceptor.clone() else {
            return self.serve(stream, peer).await;
        };
        let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream));
        let greeted = tokio::select! {
            () = self.kill.cancelled() => return,
            greeted = handshake => greeted,
        };
        if let Ok(Ok(stream)) = greeted {
            self.serve(stream, peer).await;
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: SocketAddr) {
        let (core, port) = (self.core, self.port);
        let service = service_fn(move |request| core.clone().answer(port, peer.ip(), request));
        let served = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .title_case_headers(true)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut served = std::pin::pin!(served);
        tokio::select! {
            _ = served.as_mut() => return,
            () = self.kill.cancelled() => return,
            () = self.stop.cancelled() => served.as_mut().graceful_shutdown(),
        }
        tokio::select! {
            _ = served => {}
            () = self.kill.cancelled() => {}
        }
    }
}
