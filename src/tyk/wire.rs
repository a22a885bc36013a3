//! What the clients of a gateway and of a Dashboard share: one HTTP client, one base URL, answers with bounds.

use std::error::Error as _;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url, redirect};

use super::{Endpoint, Error, Kind, Secret};
use crate::permit;

/// Bound of a list of all APIs; 5,000 of them have 31 MB.
pub(super) const LIST_LIMIT: usize = 512 << 20;
/// Bound of every other answer.
pub(super) const ANSWER_LIMIT: usize = 1 << 20;
/// How much of a message of the other side is shown, in characters.
const MESSAGE_LIMIT: usize = 300;
/// Longest wait that the other side can ask for.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(300);

/// The way to one Tyk.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    client: Client,
    base: Url,
    pub endpoint: Endpoint,
    /// What is expected to answer, for messages: `gateway` or `Dashboard`.
    pub what: &'static str,
}

/// A whole answer.
pub(super) struct Answer {
    pub status: StatusCode,
    /// How long the other side asks to be left alone.
    pub wait: Option<Duration>,
    pub body: Vec<u8>,
}

impl Wire {
    /// A client that sends the secret in `header`; it calls nothing yet.
    pub fn new(endpoint: Endpoint, header: HeaderName, what: &'static str) -> Result<Self, Error> {
        let setup = |detail: String| Error::new(Kind::Malformed, "Tyk endpoint", detail);
        let base =
            Url::parse(&endpoint.url).map_err(|e| setup(format!("the URL is not valid ({e}); correct TYK_URL")))?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(setup(
                "the URL has to start with http:// or https://; correct TYK_URL".into(),
            ));
        }
        let mut headers = authorization(header, &endpoint.secret).map_err(setup)?;
        let mut client = Client::builder();
        let mut base = base;
        if let Some(address) = endpoint.address {
            headers.insert(HOST, host_header(&base).map_err(setup)?);
            client = redirected(client, &mut base, address);
        }
        for authority in authorities(&endpoint.ca_bundle).map_err(setup)? {
            client = client.add_root_certificate(authority);
        }
        let client = client
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .connect_timeout(endpoint.timeouts.connect)
            .timeout(endpoint.timeouts.request)
            // Shorter than servers keep idle connections, so that a write does not meet a closing one.
            .pool_idle_timeout(Duration::from_secs(5))
            .tls_danger_accept_invalid_certs(endpoint.insecure_skip_verify)
            .build()
            .map_err(|e| setup(format!("no HTTP client: {}", causes(&e))))?;
        Ok(Self {
            client,
            base,
            endpoint,
            what,
        })
    }

    /// Host and port, for logs and metrics.
    pub fn authority(&self) -> String {
        if let Some(address) = self.endpoint.address {
            return address.to_string();
        }
        let host = self.base.host_str().unwrap_or_default();
        match self.base.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// The way out when the answer is none that the other side ever gives.
    pub fn check_url(&self) -> String {
        format!("check that TYK_URL is a {}", self.what)
    }

    /// A request, and its name for messages. Each part of `path` is one segment.
    pub fn request(
        &self,
        method: Method,
        path: &[&str],
        query: Option<&str>,
    ) -> Result<(String, RequestBuilder), Error> {
        let changes = method != Method::GET || path.contains(&"reload");
        if changes && !self.endpoint.permit.is_valid() {
            return Err(Error::new(Kind::Unavailable, method.as_str(), permit::REFUSAL));
        }
        let mut url = self.base.clone();
        let bad_id = path.iter().any(|segment| matches!(*segment, "." | ".."));
        match url.path_segments_mut() {
            Ok(mut segments) if !bad_id => segments.pop_if_empty().extend(path),
            _ => {
                return Err(Error::new(
                    Kind::Rejected,
                    method.as_str(),
                    "the id cannot be part of a URL; change it",
                ));
            }
        };
        url.set_query(query);
        Ok((format!("{method} {}", url.path()), self.client.request(method, url)))
    }

    /// Sends a request and reads the answer to its end; `limit` bounds that of a success.
    pub async fn send(&self, call: &str, request: RequestBuilder, limit: usize) -> Result<Answer, Error> {
        let mut body = Vec::new();
        let take = |chunk: &[u8]| {
            body.extend_from_slice(chunk);
            Ok(())
        };
        let mut answer = self.send_for(call, request, limit, take).await?;
        if answer.status.is_success() {
            answer.body = body;
        }
        Ok(answer)
    }

    /// Sends a request and hands over the body of a success as it arrives; that of anything else comes with the answer.
    pub async fn send_for(
        &self,
        call: &str,
        request: RequestBuilder,
        limit: usize,
        take: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<Answer, Error> {
        let response = request.send().await.map_err(|e| self.broken(call, &e))?;
        self.read(call, response, limit, take).await
    }

    async fn read(
        &self,
        call: &str,
        mut response: Response,
        limit: usize,
        mut take: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<Answer, Error> {
        let (status, wait) = (response.status(), retry_after(&response));
        let limit = if status.is_success() { limit } else { ANSWER_LIMIT };
        let (mut length, mut body) = (0, Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(|e| self.broken(call, &e))? {
            length += chunk.len();
            if length > limit {
                let detail = format!("the answer has more than {limit} bytes; {}", self.check_url());
                return Err(Error::new(Kind::Malformed, call, detail));
            }
            match status.is_success() {
                true => take(&chunk)?,
                false => body.extend_from_slice(&chunk),
            }
        }
        Ok(Answer { status, wait, body })
    }

    /// A call without a whole answer.
    fn broken(&self, call: &str, error: &reqwest::Error) -> Error {
        let authority = self.authority();
        if error.is_timeout() {
            let detail = format!(
                "{authority} did not answer in time; check that the {} is well and can be reached",
                self.what
            );
            return Error::new(Kind::Timeout, call, detail);
        }
        let detail = format!(
            "cannot reach {authority} ({}); check TYK_URL and the network",
            causes(error)
        );
        Error::new(Kind::Unreachable, call, detail)
    }

    /// A text of the other side on one line: short, and without the secret.
    pub fn said(&self, text: &str) -> String {
        let text = match self.endpoint.secret.expose() {
            "" => text.to_owned(),
            secret => text.replace(secret, "***"),
        };
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().take(MESSAGE_LIMIT).collect()
    }
}

/// The `Host` of requests to this URL.
fn host_header(url: &Url) -> Result<HeaderValue, String> {
    let host = url.host_str().unwrap_or_default();
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    HeaderValue::from_str(&host).map_err(|_| "the URL has a host that no header can carry; correct TYK_URL".to_owned())
}

/// Leads the requests to this address, whatever the host of the URL resolves to; the certificate is still the host's.
fn redirected(client: ClientBuilder, base: &mut Url, address: SocketAddr) -> ClientBuilder {
    // Neither fails: the URL has a host and no scheme without one.
    let _ = base.set_port(Some(address.port()));
    match base.domain().map(str::to_owned) {
        Some(host) => client.resolve(&host, address),
        None => {
            let _ = base.set_ip_host(address.ip());
            client
        }
    }
}

fn authorization(header: HeaderName, secret: &Secret) -> Result<HeaderMap, String> {
    let mut value = HeaderValue::from_str(secret.expose())
        .map_err(|_| "the secret holds characters that no header can carry; correct TYK_AUTH".to_owned())?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(header, value)]))
}

/// The certificates of a CA bundle.
fn authorities(bundle: &str) -> Result<Vec<Certificate>, String> {
    if bundle.trim().is_empty() {
        return Ok(Vec::new());
    }
    let unreadable = "the CA bundle holds no certificate in PEM form";
    match Certificate::from_pem_bundle(bundle.as_bytes()) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(unreadable.to_owned()),
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_LIMIT))
}

/// The innermost cause says what happened; the outer ones repeat the URL.
fn causes(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match error.source() {
        Some(_) => cause.to_string(),
        None => "the call broke".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn wire(url: &str, secret: &str) -> Result<Wire, Error> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Wire::new(Endpoint::new(url, secret), reqwest::header::AUTHORIZATION, "gateway")
    }

    #[test]
    fn ids_are_one_segment_and_a_base_path_stays() {
        let name = |url: &str, id: &str| {
            let made = wire(url, "s").unwrap();
            made.request(Method::DELETE, &["tyk", "apis", id], None)
                .map(|(name, _)| name)
        };
        assert_eq!(name("http://h/gw/", "a/b?c").unwrap(), "DELETE /gw/tyk/apis/a%2Fb%3Fc");
        assert_eq!(name("http://h", "a b").unwrap(), "DELETE /tyk/apis/a%20b");
        assert_eq!(name("http://h", "..").unwrap_err().kind(), Kind::Rejected);
    }

    #[test]
    fn wrong_endpoints_are_told_at_once() {
        for url in ["", "gateway:8080", "ftp://h", "/tyk"] {
            let error = wire(url, "s").unwrap_err();
            assert!(error.to_string().contains("TYK_URL"), "{url}: {error}");
        }
        let error = wire("http://h", "hunter\n2").unwrap_err().to_string();
        assert!(error.contains("TYK_AUTH") && !error.contains("hunter"), "{error}");
    }

    #[test]
    fn what_the_other_side_says_is_short_and_without_the_secret() {
        let wire = |secret| wire("http://h", secret).unwrap();
        assert_eq!(wire("hunter2").said("no hunter2\n here"), "no *** here");
        assert_eq!(wire("hunter2").said(&"x".repeat(5000)).len(), MESSAGE_LIMIT);
        assert_eq!(wire("").said("kept"), "kept");
    }

    #[tokio::test]
    async fn answers_are_bounded() {
        let wire = wire("http://h", "s").unwrap();
        let answer = || Response::from(hyper::Response::new("0123456789"));
        for (limit, is_read) in [(10, true), (9, false)] {
            let mut body = Vec::new();
            let take = |chunk: &[u8]| {
                body.extend_from_slice(chunk);
                Ok(())
            };
            let read = wire.read("GET /x", answer(), limit, take).await;
            assert_eq!(
                read.err().map(|error| error.kind()),
                (!is_read).then_some(Kind::Malformed)
            );
            assert_eq!(body == b"0123456789", is_read);
        }
    }

    #[test]
    fn retry_after_is_read_and_bounded() {
        let wait = |value: &str| {
            let answer = hyper::Response::builder()
                .header("Retry-After", value)
                .body("")
                .unwrap();
            retry_after(&Response::from(answer)).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait("86400"), Some(300));
        assert_eq!(wait("soon"), None);
    }
}
