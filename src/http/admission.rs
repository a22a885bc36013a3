//! The admission webhook's server: HTTPS with a certificate that can be changed while it runs.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Where reviews are posted.
pub const PATH: &str = "/validate";

/// Bytes of a review, in which an object can stand twice. API servers take objects of 3 MiB.
const BODY_MAX: usize = 8 << 20;
/// How long a client may take for the handshake, or for the head of a request.
const PATIENCE: Duration = Duration::from_secs(5);
/// Reviews that are judged at the same time; the controller's own work goes on beside them.
const AT_ONCE: usize = 2;

/// Body of a review to the body of the answer; `None` for what is no review.
pub type Answer = Arc<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// The certificate that is shown; none at first, and then every handshake fails.
#[derive(Debug, Default)]
pub struct Identity(RwLock<Option<Arc<CertifiedKey>>>);

impl Identity {
    /// Shows another certificate from now on.
    ///
    /// # Errors
    /// Why it cannot be used, without any of it.
    pub fn set(&self, chain: &[u8], key: &[u8]) -> Result<(), &'static str> {
        let key = certified(chain, key)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(key));
        Ok(())
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn certified(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, &'static str> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or("its certificate is not valid PEM")?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "its key is not valid PEM")?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|_| "its key is not that of its certificate")
}

/// Serves until `cancel`.
///
/// # Errors
/// When TLS cannot be set up.
pub async fn serve(
    listener: TcpListener,
    identity: Arc<Identity>,
    answer: Answer,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(identity);
    let server = Server {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        answer,
        permits: Arc::new(Semaphore::new(AT_ONCE)),
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(server.clone().connection(stream, cancel.clone()))),
                // No file descriptor is free, or the client has gone.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
    while connections.join_next().await.is_some() {}
    Ok(())
}

#[derive(Clone)]
struct Server {
    acceptor: TlsAcceptor,
    answer: Answer,
    permits: Arc<Semaphore>,
}

impl Server {
    async fn connection(self, stream: TcpStream, cancel: CancellationToken) {
        let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, self.acceptor.accept(stream)).await else {
            return;
        };
        let service = service_fn(|request| self.respond(request));
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = cancel.run_until_cancelled(connection.as_mut()).await;
        if ended.is_none() {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(PATIENCE, connection).await;
        }
    }

    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.uri().path() != PATH {
            return Ok(status(StatusCode::NOT_FOUND));
        }
        if *request.method() != Method::POST {
            return Ok(status(StatusCode::METHOD_NOT_ALLOWED));
        }
        let Ok(body) = Limited::new(request.into_body(), BODY_MAX).collect().await else {
            return Ok(status(StatusCode::PAYLOAD_TOO_LARGE));
        };
        let Ok(_permit) = self.permits.acquire().await else {
            return Ok(status(StatusCode::SERVICE_UNAVAILABLE));
        };
        let (answer, body) = (self.answer.clone(), body.to_bytes());
        Ok(match tokio::task::spawn_blocking(move || answer(&body)).await {
            Ok(Some(text)) => {
                let mut response = Response::new(Full::from(text));
                let json = hyper::header::HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, json);
                response
            }
            Ok(None) => status(StatusCode::BAD_REQUEST),
            Err(_) => status(StatusCode::INTERNAL_SERVER_ERROR),
        })
    }
}

fn status(code: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = code;
    response
}
