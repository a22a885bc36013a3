//! Translated Ingresses answer as a real nginx does. Its configuration is written here by hand, from what the
//! annotations are documented to mean, and not by the translation. Without the program `nginx` nothing is compared.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use reqwest::{Client, Method, redirect};
use serde_json::{Value, json};
use tyk_ingress::desired::{self, Context};
use tyk_ingress::ingress::{Options, render};
use tyk_ingress::nginx;
use tyk_ingress::sim::{Config, Gateway};
use tyk_ingress::snapshot::Loader;

/// A backend that tells who it is and what it was asked.
async fn echo(name: &'static str) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = async |State(name): State<&'static str>, request: Request| {
        format!("{name} {} {}", request.method(), request.uri())
    };
    let app = axum::Router::new().fallback(answer).with_state(name);
    tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
    address
}

/// Ends the process, also when a test fails.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn start_nginx(folder: &Path, servers: &str) -> Option<(Nginx, SocketAddr)> {
    let found = Command::new("nginx")
        .arg("-v")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if found.is_err() {
        return None;
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let at = folder.display();
    let config = format!(
        "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log; events {{}}\n\
         http {{ access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/f;\n\
         uwsgi_temp_path {at}/u; scgi_temp_path {at}/s; proxy_set_header Host $host;\n{}\n}}",
        servers.replace("LISTEN", &free.to_string())
    );
    std::fs::write(folder.join("nginx.conf"), config).unwrap();
    let child = Command::new("nginx")
        .args([
            "-c",
            &format!("{at}/nginx.conf"),
            "-p",
            &at.to_string(),
            "-e",
            &format!("{at}/error.log"),
        ])
        .spawn()
        .unwrap();
    let nginx = Nginx(child);
    let start = Instant::now();
    while tokio::net::TcpStream::connect(free).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "nginx does not listen");
        tokio::task::yield_now().await;
    }
    Some((nginx, free))
}

fn ingress(name: &str, annotations: &Value, paths: &[(&str, &str)], service: &str) -> String {
    let annotations: serde_json::Map<String, Value> = annotations
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (format!("{}{key}", nginx::PREFIX), value.clone()))
        .collect();
    let host = format!("{}.test", name.trim_end_matches("-canary"));
    let paths: Vec<Value> = paths
        .iter()
        .map(|(path, path_type)| {
            json!({"path": path, "pathType": path_type, "backend": {"service": {"name": service, "port": {"number": 80}}}})
        })
        .collect();
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default", "annotations": annotations},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": host, "http": {"paths": paths}}]},
    })
    .to_string()
}

fn ingresses() -> Vec<String> {
    let specific = |path| [(path, "ImplementationSpecific")];
    let all = [("/", "Prefix")];
    vec![
        ingress(
            "rewrite",
            &json!({"rewrite-target": "/$2"}),
            &specific("/tools(/|$)(.*)"),
            "web",
        ),
        ingress("plain", &json!({"rewrite-target": "/new"}), &specific("/old"), "web"),
        ingress(
            "regex",
            &json!({"use-regex": "true"}),
            &[("/v[0-9]+/x", "ImplementationSpecific"), ("/v", "Prefix")],
            "web",
        ),
        ingress(
            "prefix",
            &json!({"proxy-buffering": "on"}),
            &[
                ("/app", "ImplementationSpecific"),
                ("/static/", "ImplementationSpecific"),
                ("/one", "Exact"),
                ("/p", "Prefix"),
            ],
            "web",
        ),
        ingress(
            "gone",
            &json!({"permanent-redirect": "https://new.test/home"}),
            &all,
            "web",
        ),
        ingress(
            "temporal",
            &json!({"temporal-redirect": "https://new.test/wait"}),
            &all,
            "web",
        ),
        ingress("root", &json!({"app-root": "/ui"}), &all, "web"),
        ingress("inside", &json!({"whitelist-source-range": "127.0.0.0/8"}), &all, "web"),
        ingress("outside", &json!({"whitelist-source-range": "10.0.0.0/8"}), &all, "web"),
        ingress("denied", &json!({"denylist-source-range": "127.0.0.1"}), &all, "web"),
        ingress("body", &json!({"proxy-body-size": "1k"}), &all, "web"),
        ingress(
            "cors",
            &json!({"enable-cors": "true", "cors-allow-origin": "https://shop.test", "cors-expose-headers": "X-Total"}),
            &all,
            "web",
        ),
        ingress(
            "basic",
            &json!({"auth-type": "basic", "auth-secret": "users"}),
            &all,
            "web",
        ),
        ingress("canary", &json!({}), &all, "web"),
        ingress(
            "canary-canary",
            &json!({"canary": "true", "canary-weight": "20"}),
            &all,
            "next",
        ),
    ]
}

/// What nginx is documented to do for each of them.
const SERVERS: &str = r#"
server { listen LISTEN; server_name rewrite.test; location ~* "^/tools(/|$)(.*)" { rewrite "(?i)/tools(/|$)(.*)" /$2 break; proxy_pass http://WEB; } }
server { listen LISTEN; server_name plain.test; location ~* "^/old" { rewrite "(?i)/old" /new break; proxy_pass http://WEB; } }
server { listen LISTEN; server_name regex.test; location ~* "^/v[0-9]+/x" { proxy_pass http://WEB; } location ~* "^/v" { proxy_pass http://WEB; } }
server { listen LISTEN; server_name prefix.test; location /app { proxy_pass http://WEB; } location /static/ { proxy_pass http://WEB; }
  location = /one { proxy_pass http://WEB; } location /p/ { proxy_pass http://WEB; } location = /p { proxy_pass http://WEB; } location / { return 404; } }
server { listen LISTEN; server_name gone.test; location / { return 301 https://new.test/home; } }
server { listen LISTEN; server_name temporal.test; location / { return 302 https://new.test/wait; } }
server { listen LISTEN; server_name root.test; absolute_redirect off; if ($uri = /) { return 302 /ui; } location / { proxy_pass http://WEB; } }
server { listen LISTEN; server_name inside.test; location / { allow 127.0.0.0/8; deny all; proxy_pass http://WEB; } }
server { listen LISTEN; server_name outside.test; location / { allow 10.0.0.0/8; deny all; proxy_pass http://WEB; } }
server { listen LISTEN; server_name denied.test; location / { deny 127.0.0.1; allow all; proxy_pass http://WEB; } }
server { listen LISTEN; server_name body.test; location / { client_max_body_size 1k; proxy_pass http://WEB; } }
server { listen LISTEN; server_name cors.test; location / {
  set $origin ""; if ($http_origin = "https://shop.test") { set $origin $http_origin; }
  if ($request_method = OPTIONS) { add_header Access-Control-Allow-Origin $origin; add_header Access-Control-Allow-Credentials $allowed;
    add_header Access-Control-Allow-Methods "GET, PUT, POST, DELETE, PATCH, OPTIONS"; add_header Access-Control-Max-Age 1728000; return 204; }
  add_header Access-Control-Allow-Origin $origin; add_header Access-Control-Allow-Credentials true; add_header Access-Control-Expose-Headers "X-Total";
  proxy_pass http://WEB; } }
map $http_origin $allowed { default ""; "https://shop.test" true; }
server { listen LISTEN; server_name basic.test; location / { auth_basic "r"; auth_basic_user_file FOLDER/users; proxy_pass http://WEB; } }
upstream shared { server WEB weight=80; server NEXT weight=20; }
server { listen LISTEN; server_name canary.test; location / { proxy_pass http://shared; } }
server { listen LISTEN default_server; location / { return 404; } }
"#;

/// What matters of an answer: status, Location without the server's own name, body of a backend, chosen headers.
async fn ask(
    client: &Client,
    at: SocketAddr,
    method: &Method,
    host: &str,
    path: &str,
    more: &[(&str, &str)],
    body: usize,
) -> Value {
    let mut request = client
        .request(method.clone(), format!("http://{at}{path}"))
        .header("Host", host);
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    if body > 0 {
        request = request.body(vec![b'x'; body]);
    }
    let answer = request.send().await.unwrap();
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let location = header("location").map(|to| {
        to.replace(&format!("http://{host}:{}", at.port()), "")
            .replace(&format!("http://{host}"), "")
    });
    let (status, origin, credentials, exposed) = (
        answer.status().as_u16(),
        header("access-control-allow-origin"),
        header("access-control-allow-credentials"),
        header("access-control-expose-headers"),
    );
    let text = answer.text().await.unwrap();
    let text = if status == 200 { text } else { String::new() };
    json!({"status": status, "location": location, "body": text, "origin": origin, "credentials": credentials, "exposed": exposed})
}

/// The simulated gateway, with what the translation makes of the Ingresses.
async fn start_gateway(web: SocketAddr, next: SocketAddr) -> Gateway {
    let mut loader = Loader::default();
    for text in ingresses() {
        loader.text("inline", &text).unwrap();
    }
    let all = nginx::translate(&loader.finish().snapshot, "tyk");
    let mut snapshot = tyk_ingress::snapshot::Snapshot::default();
    for one in all {
        one.ingress.map(|ingress| snapshot.insert(ingress));
        one.template.map(|template| snapshot.insert(template));
    }
    let translation = render(&snapshot, &Options::default());
    let (desired, problems) = desired::build(&snapshot, &translation, &Context::default());
    assert!(problems.is_empty(), "{problems:?}");
    let config = Config {
        reload_interval: Duration::from_millis(20),
        ..Config::default()
    };
    let gateway = Gateway::start(config).await.unwrap();
    let client = Client::new();
    for api in desired.apis.values() {
        let text = api.payload.text().to_owned();
        let text = text.replace("web.default.svc.cluster.local:80", &web.to_string());
        let text = text.replace("next.default.svc.cluster.local:80", &next.to_string());
        let url = format!("{}/tyk/apis", gateway.url());
        let sent = client
            .post(url)
            .header("X-Tyk-Authorization", gateway.secret())
            .body(text)
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), 200, "{}", sent.text().await.unwrap());
    }
    let url = format!("{}/tyk/reload/?block=true", gateway.url());
    client
        .get(url)
        .header("X-Tyk-Authorization", gateway.secret())
        .send()
        .await
        .unwrap();
    assert_eq!(gateway.crashed(), None);
    gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_answers_as_nginx_does() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (web, next) = (echo("web").await, echo("next").await);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users"), "jane:{PLAIN}secret\n").unwrap();
    let servers = SERVERS
        .replace("WEB", &web.to_string())
        .replace("NEXT", &next.to_string())
        .replace("FOLDER", &folder.path().display().to_string());
    let Some((_nginx, theirs)) = start_nginx(folder.path(), &servers).await else {
        println!("skipped: there is no program nginx; apt-get install nginx-light");
        return;
    };
    let gateway = start_gateway(web, next).await;
    let ours: SocketAddr = gateway.ingress_url().trim_start_matches("http://").parse().unwrap();
    let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
    let origin = |value| ("Origin", value);
    let mut wrong = Vec::new();
    for (method, host, path, headers, body) in [
        (Method::GET, "rewrite.test", "/tools", vec![], 0),
        (Method::GET, "rewrite.test", "/tools/", vec![], 0),
        (Method::GET, "rewrite.test", "/tools?a=1&b=/2", vec![], 0),
        (Method::GET, "rewrite.test", "/TOOLS/deep/path/?a=1", vec![], 0),
        (Method::POST, "rewrite.test", "/tools/a%20b", vec![], 3),
        (Method::GET, "rewrite.test", "/toolsx", vec![], 0),
        (Method::GET, "plain.test", "/old/deep?q=1", vec![], 0),
        (Method::GET, "plain.test", "/older", vec![], 0),
        (Method::GET, "regex.test", "/V12/X/y", vec![], 0),
        (Method::GET, "regex.test", "/vvv", vec![], 0),
        (Method::GET, "regex.test", "/w", vec![], 0),
        (Method::GET, "prefix.test", "/application", vec![], 0),
        (Method::GET, "prefix.test", "/App", vec![], 0),
        (Method::GET, "prefix.test", "/static", vec![], 0),
        (Method::GET, "prefix.test", "/static/x", vec![], 0),
        (Method::GET, "prefix.test", "/one", vec![], 0),
        (Method::GET, "prefix.test", "/one/", vec![], 0),
        (Method::GET, "prefix.test", "/p", vec![], 0),
        (Method::GET, "prefix.test", "/p/x", vec![], 0),
        (Method::GET, "prefix.test", "/px", vec![], 0),
        (Method::GET, "gone.test", "/any/path?x", vec![], 0),
        (Method::POST, "temporal.test", "/", vec![], 0),
        (Method::GET, "root.test", "/", vec![], 0),
        (Method::GET, "root.test", "/ui", vec![], 0),
        (Method::GET, "inside.test", "/", vec![], 0),
        (Method::GET, "outside.test", "/", vec![], 0),
        (Method::GET, "denied.test", "/", vec![], 0),
        (Method::GET, "body.test", "/", vec![], 0),
        (Method::POST, "body.test", "/", vec![], 1000),
        (Method::GET, "cors.test", "/", vec![origin("https://shop.test")], 0),
        (
            Method::OPTIONS,
            "cors.test",
            "/",
            vec![origin("https://shop.test"), ("Access-Control-Request-Method", "PUT")],
            0,
        ),
        (
            Method::OPTIONS,
            "cors.test",
            "/",
            vec![origin("https://evil.test"), ("Access-Control-Request-Method", "PUT")],
            0,
        ),
        (Method::GET, "basic.test", "/", vec![], 0),
        (
            Method::GET,
            "basic.test",
            "/",
            vec![("Authorization", "Basic amFuZTp3cm9uZw==")],
            0,
        ),
        (Method::GET, "nobody.test", "/", vec![], 0),
    ] {
        let by_nginx = ask(&client, theirs, &method, host, path, &headers, body).await;
        let by_gateway = ask(&client, ours, &method, host, path, &headers, body).await;
        if by_nginx != by_gateway {
            wrong.push(format!(
                "{method} {host}{path} {headers:?}\n  nginx   {by_nginx}\n  gateway {by_gateway}"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    // The difference that the verdict names.
    let large = [
        ask(&client, theirs, &Method::POST, "body.test", "/", &[], 5000).await["status"].clone(),
        ask(&client, ours, &Method::POST, "body.test", "/", &[], 5000).await["status"].clone(),
    ];
    assert_eq!(large, [json!(413), json!(400)]);
    for at in [theirs, ours] {
        let mut canaries = 0;
        for _ in 0..100 {
            let answer = ask(&client, at, &Method::GET, "canary.test", "/", &[], 0).await;
            canaries += usize::from(answer["body"].as_str().unwrap().starts_with("next "));
        }
        assert_eq!(canaries, 20, "{at}");
    }
    gateway.stop().await;
}
