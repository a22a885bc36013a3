//! `tyk-ingress run --manifests` as a process, against a simulated gateway.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, Response};
use serde_json::Value;
use tempfile::TempDir;
use tyk_ingress::sim;

use crate::ports;

/// How long something may take that should take about a second.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Planted in the manifests and the environment; nothing may tell one of them.
pub const SECRETS: [&str; 6] = [
    "planted-jwt-source",
    "planted-signing",
    "planted-header",
    "planted-user",
    "planted-pem",
    "planted-token",
];

/// A shop that is served, a host that cannot be, an API with secrets, and a certificate.
const MANIFESTS: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: web}
spec:
  ingressClassName: tyk
  tls: [{hosts: [shop.example.com], secretName: shop-tls}]
  rules:
    - host: shop.example.com
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}
          - {path: /api/v1, pathType: Exact, backend: {service: {name: api, port: {number: 8080}}}}
    - host: bad_host
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}
---
apiVersion: tyk.tyk.io/v1alpha1
kind: ApiDefinition
metadata: {name: pay, namespace: web}
spec:
  name: pay
  protocol: http
  active: true
  use_keyless: true
  jwt_source: planted-jwt-source
  request_signing: {secret: planted-signing}
  note: "-----BEGIN PRIVATE KEY-----planted-pem"
  response_processors: [{name: header_injector, options: {add_headers: {path: planted-header}}}]
  proxy: {listen_path: /pay/, target_url: "http://user:planted-user@pay.example.com/v1", strip_listen_path: true}
"#;

/// The operator, its files and its gateway.
pub struct World {
    pub gateway: sim::Gateway,
    /// `host:port` of metrics and health.
    pub metrics: String,
    /// URL of the status page.
    pub page: String,
    pub folder: TempDir,
    client: Client,
    child: Child,
}

impl World {
    /// Starts everything and waits until the operator is ready.
    pub async fn start(args: &[&str], env: &[(&str, &str)]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = sim::Config {
            reload_interval: Duration::from_millis(50),
            ..sim::Config::default()
        };
        let gateway = sim::Gateway::start(config).await.unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("manifests")).unwrap();
        // Before the start, so that it is not ready with nothing.
        for (name, text) in [("tls.yaml", tls_secret().as_str()), ("web.yaml", MANIFESTS)] {
            std::fs::write(folder.path().join("manifests").join(name), text).unwrap();
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let metrics = free();
        let child = Command::new(env!("CARGO_BIN_EXE_tyk-ingress"))
            .args([
                "run",
                "--debug-listen=127.0.0.1:0",
                "--resync-interval=1s",
                "--listen",
                &metrics,
                "--manifests",
            ])
            .arg(folder.path().join("manifests"))
            .args(args)
            .envs([
                ("TYK_URL", gateway.url().as_str()),
                ("TYK_AUTH", gateway.secret()),
                ("TYK_ORG", "org"),
            ])
            .envs(env.iter().copied())
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let mut world = Self {
            gateway,
            metrics,
            page: String::new(),
            folder,
            client: Client::new(),
            child,
        };
        let ready = format!("http://{}/readyz", world.metrics);
        world.eventually("ready", async |world| world.ok(&ready).await).await;
        world.page = world.eventually("a status page", async |world| world.page_url()).await;
        world
    }

    /// What `/metrics` says.
    pub async fn metrics_text(&self) -> String {
        let answer = self.get(&format!("http://{}/metrics", self.metrics)).await;
        answer.text().await.unwrap()
    }

    /// Writes a manifest.
    pub fn write(&self, name: &str, text: &str) {
        // A half of a file is no manifest.
        let whole = self.folder.path().join(name);
        std::fs::write(&whole, text).unwrap();
        std::fs::rename(whole, self.folder.path().join("manifests").join(name)).unwrap();
    }

    /// All that the operator has written to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// A GET.
    pub async fn get(&self, url: &str) -> Response {
        self.client.get(url).send().await.unwrap()
    }

    /// The body of a GET on the status page's server.
    pub async fn text(&self, path: &str) -> String {
        self.get(&format!("{}{path}", self.page)).await.text().await.unwrap()
    }

    /// The same as JSON.
    pub async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path).await).unwrap()
    }

    /// A request with this method and body; the status and the answer.
    pub async fn send(&self, method: Method, path: &str, body: &str) -> (u16, String) {
        let request = self.client.request(method, format!("{}{path}", self.page));
        let answer = request.body(body.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The client, for requests with headers.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Asks until there is an answer.
    pub async fn eventually<T>(&self, what: &str, ask: impl AsyncFn(&Self) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(answer) = ask(self).await {
                return answer;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{what} did not come about; the log:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn ok(&self, url: &str) -> Option<()> {
        let answer = self.client.get(url).send().await.ok()?;
        answer.status().is_success().then_some(())
    }

    fn page_url(&self) -> Option<String> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("the status page is served"))?;
        let (_, rest) = line.split_once("127.0.0.1:")?;
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some(format!("http://127.0.0.1:{port}"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of the loopback interface that nobody listens on.
pub fn free() -> String {
    format!("127.0.0.1:{}", ports::free())
}

/// The first of these programs that is installed.
pub fn program(names: &[&str]) -> Option<PathBuf> {
    let folders: Vec<_> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let mut paths = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    paths.find(|path| path.is_file())
}

/// A certificate that expires at the start of 2040.
fn tls_secret() -> String {
    let mut params = rcgen::CertificateParams::new(["shop.example.com".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let indent = |pem: String| pem.replace('\n', "\n    ");
    format!(
        "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {{name: shop-tls, namespace: web}}\nstringData:\n  \
         tls.crt: |\n    {}\n  tls.key: |\n    {}\n",
        indent(certificate.pem()),
        indent(key.serialize_pem())
    )
}
