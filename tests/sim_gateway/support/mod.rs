//! What the scenarios share: gateways to run against, an upstream that tells what it got, and a plain HTTP client.

pub mod pem;
mod tls;

pub use tls::{secure, secure_upstream};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tyk_ingress::sim::{Config, Gateway};

/// A gateway under test, simulated or real.
pub struct Rig {
    pub name: &'static str,
    pub control: SocketAddr,
    pub ingress: SocketAddr,
    pub secret: String,
    /// The simulated one; `None` for a real gateway.
    pub gateway: Option<Gateway>,
    pub upstream: SocketAddr,
    _turn: Option<tokio::sync::MutexGuard<'static, ()>>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

static REAL: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A configuration that reloads often.
pub fn quick() -> Config {
    Config {
        reload_interval: Duration::from_millis(20),
        ..Config::default()
    }
}

/// The simulated gateway, and the real one where `TYK_GATEWAY_URL` names one. The real one is emptied first.
pub async fn rigs() -> Vec<Rig> {
    let mut rigs = vec![simulated(quick()).await];
    if let Ok(url) = std::env::var("TYK_GATEWAY_URL") {
        let turn = REAL.lock().await;
        let ingress = std::env::var("TYK_GATEWAY_INGRESS_URL").unwrap_or_else(|_| url.clone());
        let rig = Rig {
            name: "real",
            control: address(&url),
            ingress: address(&ingress),
            secret: std::env::var("TYK_GATEWAY_SECRET").unwrap_or_else(|_| "foo".to_owned()),
            gateway: None,
            upstream: upstream().await,
            _turn: Some(turn),
        };
        rig.clear().await;
        rigs.push(rig);
    }
    rigs
}

/// A simulated gateway of this configuration.
pub async fn simulated(config: Config) -> Rig {
    let gateway = Gateway::start(config).await.unwrap();
    Rig {
        name: "simulated",
        control: address(&gateway.url()),
        ingress: address(&gateway.ingress_url()),
        secret: gateway.secret().to_owned(),
        gateway: Some(gateway),
        upstream: upstream().await,
        _turn: None,
    }
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
}

impl Rig {
    /// A control call.
    pub async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        let secret = [("X-Tyk-Authorization", self.secret.as_str())];
        send(self.control, method, path, &secret, body).await.unwrap()
    }

    /// A control call with JSON.
    pub async fn put(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.call(method, path, &body.to_string()).await
    }

    /// Waits for a reload.
    pub async fn reload(&self) {
        let answer = self.call("GET", "/tyk/reload/?block=true", "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// POSTs definitions and reloads once.
    pub async fn load(&self, definitions: &[Value]) {
        for definition in definitions {
            let answer = self.put("POST", "/tyk/apis", definition).await;
            assert_eq!(answer.status, 200, "{} {definition} {answer:?}", self.name);
        }
        self.reload().await;
    }

    /// Deletes all APIs and policies.
    pub async fn clear(&self) {
        self.reload().await;
        for (list, id) in [("/tyk/apis", "api_id"), ("/tyk/policies", "id")] {
            for held in self.call("GET", list, "").await.json().as_array().unwrap() {
                let id = held[id].as_str().unwrap();
                self.call("DELETE", &format!("{list}/{id}"), "").await;
            }
        }
        self.reload().await;
    }

    /// A request to the main port.
    pub async fn get(&self, host: &str, path: &str) -> Answer {
        send(self.ingress, "GET", path, &[("Host", host)], "").await.unwrap()
    }

    /// The id of the API that serves a request, or the status if none does.
    pub async fn serves(&self, host: &str, path: &str) -> String {
        let answer = self.get(host, path).await;
        match answer.header("x-upstream") {
            Some(_) => answer.json()["path"]
                .as_str()
                .unwrap()
                .split('/')
                .nth(2)
                .unwrap()
                .to_owned(),
            None => answer.status.to_string(),
        }
    }

    /// A keyless definition whose upstream path tells its id; `more` replaces fields, also of `proxy`.
    pub fn api(&self, id: &str, listen_path: &str, more: &Value) -> Value {
        let mut api = json!({
            "api_id": id, "name": id, "org_id": "1", "use_keyless": true, "active": true,
            "version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default", "use_extended_paths": true}}},
            "proxy": {"listen_path": listen_path, "target_url": format!("http://{}/by/{id}", self.upstream), "preserve_host_header": true},
        });
        for (key, value) in more.as_object().unwrap() {
            match (key.as_str(), value) {
                ("proxy", Value::Object(fields)) => {
                    fields.iter().for_each(|(key, value)| api["proxy"][key] = value.clone());
                }
                _ => api[key] = value.clone(),
            }
        }
        api
    }
}

/// Sends a request as it stands and reads the whole answer.
pub async fn send(
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(to).await?;
    let mut text = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text.push_str(&format!("Host: {to}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !headers.iter().any(|(name, _)| *name == "Connection") {
        text.push_str("Connection: close\r\n");
    }
    if !body.is_empty() || method == "POST" || method == "PUT" {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    stream.write_all(format!("{text}\r\n{body}").as_bytes()).await?;
    let mut received = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut received))
        .await
        .expect("an answer in time")?;
    parse(&received).ok_or_else(|| std::io::Error::from(std::io::ErrorKind::UnexpectedEof))
}

fn parse(received: &[u8]) -> Option<Answer> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    let mut body = received[end + 4..].to_vec();
    if headers
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("transfer-encoding") && value == "chunked")
    {
        body = dechunk(&body)?;
    }
    Some(Answer {
        status,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

fn dechunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let line = body.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&body[..line]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(body.get(line + 2..line + 2 + size)?);
        body = body.get(line + 4 + size..)?;
    }
}

/// Starts an upstream that answers with what it got.
pub async fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(move |request| echo(request, address));
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn echo(
    request: hyper::Request<hyper::body::Incoming>,
    address: SocketAddr,
) -> Result<hyper::Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let got = json!({"method": parts.method.as_str(), "path": parts.uri.path(), "query": parts.uri.query(), "headers": headers,
        "body": String::from_utf8_lossy(&body), "port": address.port()});
    let response = hyper::Response::builder()
        .header("X-Upstream", "yes")
        .header("Keep-Alive", "timeout=5");
    Ok(response.body(Full::new(Bytes::from(got.to_string()))).unwrap())
}

/// Waits until a condition holds, at most five seconds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let end = Instant::now() + Duration::from_secs(5);
    while !condition().await {
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A port that is free now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
