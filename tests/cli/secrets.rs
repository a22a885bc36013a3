//! Secrets that are planted in every place that holds some are found in no output.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tyk_ingress::sim::{Config, Failure, Gateway};

use crate::ports;
use crate::program::{Folder, command, ingress, run, service};

/// The words, one for each place.
const PLANTED: [&str; 9] = [
    "planted-control-api",
    "planted-context-env",
    "planted-context-secret",
    "planted-signature",
    "planted-hmac",
    "planted-jwt",
    "planted-header",
    "planted-broken-field",
    "planted-tls-key",
];

/// Every object that can hold a secret, well-formed and broken.
fn manifests() -> String {
    let base64 = |text: &str| STANDARD.encode(text);
    let definition = |name: &str, more: &str| {
        format!(
            "---\napiVersion: tyk.tyk.io/v1alpha1\nkind: ApiDefinition\nmetadata: {{name: {name}, namespace: default}}\nspec:\n  \
             name: {name}\n  protocol: http\n  active: true\n  proxy: {{listen_path: /{name}, target_url: \"http://127.0.0.1:1\", strip_listen_path: true}}\n  \
             version_data: {{not_versioned: true, default_version: Default, versions: {{Default: {{name: Default, global_headers: {{x-key: planted-header}}}}}}}}\n  {more}\n"
        )
    };
    [
        ingress("shop", "shop.test", "/", "web"),
        service("web"),
        format!(
            "---\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {{name: tls, namespace: default}}\ndata: {{tls.crt: {}, tls.key: {}}}\n",
            base64("planted-tls-key is no certificate"),
            base64("planted-tls-key")
        ),
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: context, namespace: default}}\ndata: {{TYK_AUTH: {}, TYK_URL: {}}}\n",
            base64("planted-context-secret"),
            base64("http://127.0.0.1:1")
        ),
        "---\napiVersion: tyk.tyk.io/v1alpha1\nkind: OperatorContext\nmetadata: {name: secret, namespace: default}\n\
         spec: {secretRef: {name: context, namespace: default}}\n\
         ---\napiVersion: tyk.tyk.io/v1alpha1\nkind: OperatorContext\nmetadata: {name: env, namespace: default}\n\
         spec: {env: {url: \"http://127.0.0.1:2\", auth: planted-context-env}}\n\
         ---\napiVersion: tyk.tyk.io/v1alpha1\nkind: OperatorContext\nmetadata: {name: bad, namespace: default}\n\
         spec: {env: {url: \"http://me:planted-context-env@127.0.0.1:2\", auth: \"planted-context-env \\u00e9\"}}\n"
            .into(),
        definition("hmac", "request_signing: {is_enabled: true, secret: planted-hmac, key_id: a, algorithm: hmac-sha256}"),
        definition("jwt", "enable_jwt: true\n  jwt_signing_method: hmac\n  jwt_source: planted-jwt"),
        definition("tls", "use_keyless: true\n  certificate_secret_names: [tls]"),
        definition("there", "use_keyless: true\n  contextRef: {name: secret, namespace: default}"),
        definition("env", "use_keyless: true\n  contextRef: {name: env, namespace: default}"),
        definition("bad", "use_keyless: true\n  contextRef: {name: bad, namespace: default}"),
        definition("wrong", "use_keyless: planted-broken-field\n  auth: planted-broken-field\n  tags: {a: planted-broken-field}"),
    ]
    .concat()
}

fn found_in(what: &str, text: &str) -> Vec<String> {
    let all = PLANTED
        .iter()
        .flat_map(|word| [(*word).to_owned(), STANDARD.encode(word)]);
    let found = all.filter(|word| text.contains(word.as_str()));
    found.map(|word| format!("{what} shows {word}")).collect()
}

#[test]
fn planted_secrets_are_in_no_output_of_validate() {
    let folder = Folder::new();
    folder.write("all.yaml", &manifests());
    let path = folder.path().to_str().unwrap();
    let mut found = Vec::new();
    for format in ["human", "json", "sarif", "github"] {
        let ended = run(&["validate", "-f", path, "-o", format]);
        assert!(ended.code.is_some_and(|code| code < 2), "{format}: {}", ended.err);
        found.extend(found_in(format, &(ended.out + &ended.err)));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_secrets_are_in_no_log_and_no_metric() {
    let folder = Folder::new();
    folder.write(
        "all.yaml",
        &manifests().replace("use_keyless: planted-broken-field\n", "use_keyless: true\n"),
    );
    let gateway = Gateway::start(Config {
        secret: "planted-control-api".into(),
        reload_interval: Duration::from_millis(20),
        ..Config::default()
    })
    .await
    .unwrap();
    gateway.faults().fail_next(2, "POST", "/tyk/apis", Failure::Status(500));
    let port = ports::free();
    let log = folder.path().join("log");
    let (out, err) = (
        std::fs::File::create(&log).unwrap(),
        std::fs::File::create(folder.path().join("err")).unwrap(),
    );
    let mut run = command()
        .args([
            "run",
            "--tyk-url",
            &gateway.url(),
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--manifests",
        ])
        .arg(folder.path().join("all.yaml"))
        .env("TYK_AUTH", "planted-control-api")
        .env("RUST_LOG", "trace")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .unwrap();
    let filled = async {
        while !gateway
            .calls()
            .iter()
            .any(|call| call.path.starts_with("/tyk/reload") && call.status == 200)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), filled).await;
    let pages = tokio::task::spawn_blocking(move || ["/metrics", "/readyz"].map(|path| get(port, path)))
        .await
        .unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    let text = std::fs::read_to_string(&log).unwrap() + &std::fs::read_to_string(folder.path().join("err")).unwrap();
    ended.unwrap_or_else(|_| panic!("the gateway was not filled: {text}"));
    assert!(
        text.contains("TRACE") && pages[0].contains("tyk_ingress_"),
        "nothing was said: {text}"
    );
    let mut found = found_in("the log", &text);
    found.extend(found_in("/metrics", &pages[0]));
    found.extend(found_in("/readyz", &pages[1]));
    println!(
        "{} bytes of log, {} planted words, {} occurrences",
        text.len(),
        PLANTED.len(),
        found.len()
    );
    assert!(found.is_empty(), "{found:#?}");
}

fn get(port: u16, path: &str) -> String {
    let start = Instant::now();
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(10), "{error}"),
        }
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
