//! One HTTP/1.1 request on a connection of its own, with target and `Host` sent as they are given.

use std::error::Error;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper::{HeaderMap, Method, Request, Uri, Version};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// HTTP version.
    pub version: Version,
    /// Headers, names in lower case.
    pub headers: HeaderMap,
    /// The whole body; bytes that are no UTF-8 are replaced.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body)
            .with_context(|| format!("{} with a body that is no JSON: {}", self.status, self.body))
    }
}

/// A request that is not sent yet.
#[derive(Clone, Debug)]
pub struct Call {
    /// `http://host:port` of the server.
    pub server: String,
    /// Method.
    pub method: Method,
    /// Target, sent as it is.
    pub path: String,
    /// Headers; without `host` the server's own authority is sent.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: String,
}

impl Call {
    /// A GET.
    #[must_use]
    pub fn get(server: &str, path: &str) -> Self {
        Self {
            server: server.into(),
            method: Method::GET,
            path: path.into(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Errors
    /// When the server cannot be reached or does not speak HTTP/1.1.
    pub async fn send(self) -> Result<Answer> {
        let authority = authority(&self.server)?;
        let stream = TcpStream::connect(&authority)
            .await
            .with_context(|| format!("cannot connect to {authority}"))?;
        self.send_over(stream, &authority).await
    }

    /// Sends it over a connection that is there, and reads the whole answer. `authority` is the `Host` if none is given.
    ///
    /// # Errors
    /// When the other side does not speak HTTP/1.1.
    pub async fn send_over<S>(self, stream: S, authority: &str) -> Result<Answer>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut request = Request::builder().method(self.method).uri(&self.path);
        if !self.headers.iter().any(|(name, _)| HOST == *name) {
            request = request.header(HOST, authority);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(self.body)))?;
        let answer = sender
            .send_request(request)
            .await
            .with_context(|| format!("no answer from {authority}"))?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.context("an answer without an end")?.to_bytes();
        connection.abort();
        Ok(Answer {
            status: head.status.as_u16(),
            version: head.version,
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

/// A connection for many requests, which stays open.
///
/// # Errors
/// When the server cannot be reached.
pub async fn connect<B>(authority: &str) -> Result<SendRequest<B>>
where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let stream = TcpStream::connect(authority)
        .await
        .with_context(|| format!("cannot connect to {authority}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// `host:port` of an `http://` URL.
///
/// # Errors
/// When it is no such URL.
pub fn authority(url: &str) -> Result<String> {
    let uri: Uri = url.parse().with_context(|| format!("not a URL: {url}"))?;
    let Some(host) = uri.host().filter(|_| uri.scheme_str() == Some("http")) else {
        bail!("not an http:// URL: {url}");
    };
    Ok(format!("{host}:{}", uri.port_u16().unwrap_or(80)))
}
