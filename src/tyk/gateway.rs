//! Client of a gateway's control API: the calls that the inner reconciler needs, one method each.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use serde_json::Value;

use super::error::CHECK_SECRET;
use super::{Endpoint, Error, Kind, Secret};

const AUTHORIZATION: HeaderName = HeaderName::from_static("x-tyk-authorization");
/// Bound of a list of all APIs; 5,000 of them have 31 MB.
pub(super) const LIST_LIMIT: usize = 512 << 20;
/// Bound of every other answer.
pub(super) const ANSWER_LIMIT: usize = 1 << 20;
/// How much of a gateway's message is shown, in characters.
const MESSAGE_LIMIT: usize = 300;
/// Longest wait that a gateway can ask for.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(300);

/// One gateway's control API.
#[derive(Clone, Debug)]
pub struct Gateway {
    client: Client,
    base: Url,
    endpoint: Endpoint,
}

impl Gateway {
    /// A client; it calls nothing yet. The process needs a rustls crypto provider.
    ///
    /// # Errors
    /// The URL is no http or https URL, or the secret cannot be sent in a header.
    pub fn new(endpoint: Endpoint) -> Result<Self, Error> {
        let setup = |detail: String| Error::new(Kind::Malformed, "Tyk endpoint", detail);
        let base =
            Url::parse(&endpoint.url).map_err(|e| setup(format!("the URL is not valid ({e}); correct TYK_URL")))?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(setup(
                "the URL has to start with http:// or https://; correct TYK_URL".into(),
            ));
        }
        let mut client = Client::builder();
        for authority in authorities(&endpoint.ca_bundle).map_err(setup)? {
            client = client.add_root_certificate(authority);
        }
        let client = client
            .default_headers(authorization(&endpoint.secret).map_err(setup)?)
            .redirect(redirect::Policy::none())
            .connect_timeout(endpoint.timeouts.connect)
            .timeout(endpoint.timeouts.request)
            // Shorter than servers keep idle connections, so that a write does not meet a closing one.
            .pool_idle_timeout(Duration::from_secs(5))
            .tls_danger_accept_invalid_certs(endpoint.insecure_skip_verify)
            .build()
            .map_err(|e| setup(format!("no HTTP client: {}", causes(&e))))?;
        Ok(Self { client, base, endpoint })
    }

    /// Host and port of the control API, for logs and metrics.
    pub fn authority(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        match self.base.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// `GET /hello`: the gateway's own view of its health. Answers 200 even when it is not well.
    ///
    /// # Errors
    /// The gateway does not answer as one.
    pub async fn hello(&self) -> Result<Value, Error> {
        let call = self.call(Method::GET, &["hello"])?;
        call.json(ANSWER_LIMIT).await
    }

    /// `GET /tyk/apis`: all loaded definitions by id, OAS ones in classic form.
    ///
    /// # Errors
    /// The gateway does not answer, does not let us in, or answers something else than a list.
    pub async fn list_apis(&self) -> Result<BTreeMap<String, Value>, Error> {
        self.call(Method::GET, &["tyk", "apis"])?.list("/api_id").await
    }

    /// `GET /tyk/apis/oas`: the documents of all loaded OAS APIs by id, with `servers` that the gateway adds.
    ///
    /// # Errors
    /// As for every list.
    pub async fn list_oas(&self) -> Result<BTreeMap<String, Value>, Error> {
        let call = self.call(Method::GET, &["tyk", "apis", "oas"])?;
        call.list("/x-tyk-api-gateway/info/id").await
    }

    /// `POST /tyk/apis/oas`: makes or replaces the files of an OAS API, also those of a classic one with the same id; it
    /// is served from the next reload on (seen on 5.11).
    ///
    /// # Errors
    /// As for [`Gateway::put_api`].
    pub async fn put_oas(&self, document: &Value) -> Result<(), Error> {
        let mut call = self.call(Method::POST, &["tyk", "apis", "oas"])?;
        call.request = call.request.json(document);
        call.status().await
    }

    /// `POST /tyk/apis`: makes or replaces a definition's file; it is served from the next reload on.
    ///
    /// # Errors
    /// [`Kind::Rejected`] when the gateway does not want this definition, else as for every call.
    pub async fn put_api(&self, definition: &Value) -> Result<(), Error> {
        let mut call = self.call(Method::POST, &["tyk", "apis"])?;
        call.request = call.request.json(definition);
        call.status().await
    }

    /// `DELETE /tyk/apis/{id}`: removes a definition's file; it is served until the next reload. What the answer says
    /// about existence is not reliable: 404 for a file that is not loaded, 500 for a loaded one without a file.
    ///
    /// # Errors
    /// As for every call.
    pub async fn delete_api(&self, id: &str) -> Result<(), Error> {
        self.call(Method::DELETE, &["tyk", "apis", id])?.status().await
    }

    /// `GET /tyk/reload/?block=true`: answers when this gateway has gone through a reload, successful or not.
    ///
    /// # Errors
    /// As for every call; after [`Kind::Timeout`] the reload may still be running.
    pub async fn reload(&self) -> Result<(), Error> {
        let mut call = self.call_with(Method::GET, &["tyk", "reload", ""], Some("block=true"))?;
        call.request = call.request.timeout(self.endpoint.timeouts.reload);
        call.status().await
    }

    pub(super) fn call(&self, method: Method, path: &[&str]) -> Result<Call<'_>, Error> {
        self.call_with(method, path, None)
    }

    pub(super) fn call_with(&self, method: Method, path: &[&str], query: Option<&str>) -> Result<Call<'_>, Error> {
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
        Ok(Call {
            name: format!("{method} {}", url.path()),
            request: self.client.request(method, url),
            gateway: self,
        })
    }
}

/// One call on its way.
pub(super) struct Call<'a> {
    pub(super) name: String,
    pub(super) request: RequestBuilder,
    gateway: &'a Gateway,
}

impl Call<'_> {
    /// The answer to a call that only says whether it worked.
    pub(super) async fn status(self) -> Result<(), Error> {
        let name = self.name.clone();
        let answer = self.json(ANSWER_LIMIT).await?;
        match answer["status"].as_str() {
            Some("ok") => Ok(()),
            _ => Err(Error::new(
                Kind::Malformed,
                name,
                "the answer does not say ok; check that TYK_URL is a gateway",
            )),
        }
    }

    /// The objects of a list by the text at the pointer `id`.
    pub(super) async fn list(self, id: &str) -> Result<BTreeMap<String, Value>, Error> {
        let name = self.name.clone();
        let list = match self.json(LIST_LIMIT).await? {
            Value::Array(list) => list,
            // Go's way to write a list that was never made.
            Value::Null => Vec::new(),
            _ => {
                return Err(Error::new(
                    Kind::Malformed,
                    name,
                    "the answer is not a list; check that TYK_URL is a gateway",
                ));
            }
        };
        let id = |api: &Value| Some(api.pointer(id)?.as_str()?.to_owned());
        Ok(list.into_iter().filter_map(|api| Some((id(&api)?, api))).collect())
    }

    /// The JSON of a successful answer.
    pub(super) async fn json(self, limit: usize) -> Result<Value, Error> {
        let Self { name, request, gateway } = self;
        let response = request.send().await.map_err(|e| gateway.broken(&name, &e))?;
        let status = response.status();
        let wait = retry_after(&response);
        let limit = if status.is_success() { limit } else { ANSWER_LIMIT };
        let body = gateway.body(&name, response, limit).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| {
                Error::new(
                    Kind::Malformed,
                    name,
                    "the answer is not JSON; check that TYK_URL is a gateway",
                )
            });
        }
        let message = message(&body, &gateway.endpoint.secret);
        Err(refusal(&name, status, &message).answered(status.as_u16(), wait))
    }
}

impl Gateway {
    async fn body(&self, call: &str, mut response: Response, limit: usize) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.broken(call, &e))? {
            if body.len() + chunk.len() > limit {
                let detail = format!("the answer has more than {limit} bytes; check that TYK_URL is a gateway");
                return Err(Error::new(Kind::Malformed, call, detail));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// A call without a whole answer.
    fn broken(&self, call: &str, error: &reqwest::Error) -> Error {
        let authority = self.authority();
        if error.is_timeout() {
            let detail =
                format!("{authority} did not answer in time; check that the gateway is well and can be reached");
            return Error::new(Kind::Timeout, call, detail);
        }
        let detail = format!(
            "cannot reach {authority} ({}); check TYK_URL and the network",
            causes(error)
        );
        Error::new(Kind::Unreachable, call, detail)
    }
}

fn authorization(secret: &Secret) -> Result<HeaderMap, String> {
    let mut value = HeaderValue::from_str(secret.expose())
        .map_err(|_| "the secret holds characters that no header can carry; correct TYK_AUTH".to_owned())?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

fn refusal(call: &str, status: StatusCode, message: &str) -> Error {
    let said = match message {
        "" => status.to_string(),
        message => format!("{status}: {message}"),
    };
    let (kind, way_out) = match status.as_u16() {
        401 | 403 => (Kind::Unauthorized, CHECK_SECRET),
        404 => (Kind::NotFound, ""),
        429 | 500.. => (Kind::Unavailable, ""),
        400..=499 => (Kind::Rejected, ""),
        _ => (Kind::Malformed, "; check that TYK_URL is a gateway"),
    };
    Error::new(kind, call, format!("{said}{way_out}"))
}

/// What the gateway says in `message`, else its plain text; short, and without the secret.
fn message(body: &[u8], secret: &Secret) -> String {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(answer) => answer["message"].as_str().unwrap_or_default().to_owned(),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let text = match secret.expose() {
        "" => text,
        secret => text.replace(secret, "***"),
    };
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MESSAGE_LIMIT).collect()
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

    fn gateway(url: &str) -> Gateway {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Gateway::new(Endpoint::new(url, "hunter2")).unwrap()
    }

    #[test]
    fn ids_are_one_segment_and_a_base_path_stays() {
        let call = |url: &str, id: &str| gateway(url).call(Method::DELETE, &["tyk", "apis", id]).map(|c| c.name);
        assert_eq!(call("http://h/gw/", "a/b?c").unwrap(), "DELETE /gw/tyk/apis/a%2Fb%3Fc");
        assert_eq!(call("http://h", "a b").unwrap(), "DELETE /tyk/apis/a%20b");
        assert_eq!(call("http://h", "..").unwrap_err().kind(), Kind::Rejected);
    }

    #[test]
    fn wrong_endpoints_are_told_at_once() {
        for url in ["", "gateway:8080", "ftp://h", "/tyk"] {
            let error = Gateway::new(Endpoint::new(url, "s")).unwrap_err();
            assert!(error.to_string().contains("TYK_URL"), "{url}: {error}");
        }
        let error = Gateway::new(Endpoint::new("http://h", "hunter\n2"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("TYK_AUTH") && !error.contains("hunter"), "{error}");
    }

    #[test]
    fn every_status_has_its_kind() {
        let kind = |status| refusal("GET /x", StatusCode::from_u16(status).unwrap(), "").kind();
        assert_eq!([401, 403].map(kind), [Kind::Unauthorized; 2]);
        assert_eq!([400, 405, 409, 422].map(kind), [Kind::Rejected; 4]);
        assert_eq!([429, 500, 503].map(kind), [Kind::Unavailable; 3]);
        assert_eq!(kind(404), Kind::NotFound);
        assert_eq!(kind(302), Kind::Malformed);
    }

    #[test]
    fn messages_are_short_and_without_the_secret() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            message(br#"{"status":"error","message":"no hunter2\n here"}"#, &secret),
            "no *** here"
        );
        assert_eq!(message(b"404 page not found\n", &secret), "404 page not found");
        assert_eq!(message(&b"x".repeat(5000), &secret).len(), MESSAGE_LIMIT);
        assert_eq!(message(b"kept", &Secret::default()), "kept");
    }

    #[tokio::test]
    async fn answers_are_bounded() {
        let answer = || Response::from(hyper::Response::new("0123456789"));
        assert_eq!(
            gateway("http://h").body("GET /x", answer(), 10).await.unwrap(),
            b"0123456789"
        );
        let error = gateway("http://h").body("GET /x", answer(), 9).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed);
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
