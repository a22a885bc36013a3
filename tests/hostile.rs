//! Input that nobody should send: gateways that answer nonsense, too much or for ever, and manifests out of a shredder.
//! None of it may panic, hang, or count as an answer.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tyk_ingress::desired::{self, Api, Desired, Operator};
use tyk_ingress::diagnostic::ObjectRef;
use tyk_ingress::ingress::{Options, render};
use tyk_ingress::snapshot::Loader;
use tyk_ingress::sync::{ApiOutcome, Outcome, Worker};
use tyk_ingress::tyk::gateway::Gateway;
use tyk_ingress::tyk::{Endpoint, Timeouts};

/// A whole round with all its calls; each of them is far below this.
const PATIENCE: Duration = Duration::from_secs(30);

/// How every call is answered.
#[derive(Clone, Debug)]
enum Answer {
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// The head, then a byte now and then, without end.
    Drip,
    /// The head, then one chunk after the other, without end.
    Flood,
}

fn body(status: &str, body: &str) -> Answer {
    let length = body.len();
    Answer::Bytes(
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into_bytes(),
    )
}

async fn start(answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Whoever hangs up has had enough.
            tokio::spawn(serve(stream, answer.clone()));
        }
    });
    address
}

async fn serve(mut stream: TcpStream, answer: Answer) -> std::io::Result<()> {
    let mut request = [0; 65_536];
    if stream.read(&mut request).await? == 0 {
        return Ok(());
    }
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    match answer {
        Answer::Bytes(bytes) => stream.write_all(&bytes).await,
        Answer::Drip => {
            stream.write_all(head).await?;
            loop {
                stream.write_all(b"1\r\n[\r\n").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Answer::Flood => {
            stream.write_all(head).await?;
            let chunk = [b"10000\r\n", [b' '; 0x10000].as_slice(), b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await?;
            }
        }
    }
}

/// How the first round against such a gateway ends.
async fn round(answer: Answer) -> Outcome {
    let mut endpoint = Endpoint::new(format!("http://{}", start(answer).await), "secret");
    endpoint.timeouts = Timeouts {
        connect: Duration::from_secs(3),
        request: Duration::from_millis(500),
        reload: Duration::from_millis(500),
    };
    let api = Api {
        source: ObjectRef::new("ApiDefinition", "default", "a"),
        generation: 1,
        payload: json!({"api_id": "1", "org_id": "", "proxy": {"listen_path": "/a/", "target_url": "http://a"}}).into(),
    };
    let wanted = Desired {
        apis: BTreeMap::from([("1".into(), api)]),
        ..Desired::default()
    };
    let (_wanted, desired) = watch::channel(Some((1, Arc::new(wanted))));
    let (sender, mut outcomes) = mpsc::channel(16);
    let cancel = CancellationToken::new();
    let worker = Worker::new(
        Gateway::new(endpoint).unwrap(),
        "east".into(),
        PATIENCE,
        desired,
        sender,
    );
    let task = worker.spawn(cancel.clone());
    let outcome = tokio::time::timeout(PATIENCE, outcomes.recv()).await;
    cancel.cancel();
    task.await.unwrap();
    outcome.expect("the round hangs").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_no_answer() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let deep = "[".repeat(200_000);
    let long = format!("\"{}\"", "a".repeat(2 << 20));
    let bodies = [
        "",
        "null",
        "{}",
        "[1, 2]",
        "[null]",
        "[{}]",
        "[{\"api_id\": 5}]",
        "[{\"api_id\": null}]",
        "{\"status\": \"ok\"}",
        "[{\"api_id\": \"1\"",
        "<html>it works</html>",
        "\u{feff}[]]",
        "[{\"api_id\": \"1\", \"proxy\": 7}]",
        &deep,
        &long,
    ];
    let statuses = [
        "200 OK",
        "404 Not Found",
        "500 Internal Server Error",
        "302 Found",
        "204 No Content",
    ];
    let answers = bodies.iter().flat_map(|text| statuses.map(|status| body(status, text)));
    let raw = [
        "",
        "\r\n\r\n",
        "HTTP/1.1",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[]",
        "HTTP/1.1 999 ?\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n[]",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n",
        "220 mail ready\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[}",
    ];
    let answers: Vec<_> = answers
        .chain(raw.map(|text| Answer::Bytes(text.as_bytes().to_vec())))
        .chain([Answer::Bytes(vec![0xff; 4096]), Answer::Drip])
        .collect();
    for some in answers.chunks(16) {
        let rounds = some
            .iter()
            .map(|answer| async move { (answer, round(answer.clone()).await) });
        for (answer, outcome) in futures::future::join_all(rounds).await {
            let shown = match answer {
                Answer::Bytes(bytes) => String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned(),
                other => format!("{other:?}"),
            };
            assert!(
                matches!(outcome.apis["1"], ApiOutcome::Failed(_)),
                "{shown}: {outcome:#?}"
            );
            // A list of one thing that is none is the API's own trouble; anything else is the gateway's.
            if let Some(error) = &outcome.endpoint_error {
                assert!(error.len() < 1000 && !error.contains("secret"), "{shown}: {error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_has_an_end() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = round(Answer::Flood).await;
    assert!(outcome.endpoint_error.is_some(), "{outcome:#?}");
}

/// Every example, as text.
fn examples() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = tyk_ingress::snapshot::manifest_files(&root).unwrap();
    files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect()
}

fn mutation() -> impl Strategy<Value = (Index, String)> {
    let pieces = select(vec![
        "",
        "---\n",
        ": ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "&a ",
        "*a ",
        "!!binary ",
        "|\n",
        ">-\n",
        "\t",
        "\u{0}",
        "é",
        "null",
        "~",
        "1e999",
        "-0x1",
        "<<: ",
        "? ",
        "#",
        "9223372036854775808",
        "\\u0000",
        "%YAML 9\n",
        "kind: List\nitems:\n",
        "(?i)",
        "{a:(",
    ]);
    (
        any::<Index>(),
        prop_oneof![pieces.prop_map(str::to_owned), any::<String>()],
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Read or refused, and what is read can be translated.
    #[test]
    fn manifests_out_of_a_shredder(
        example in any::<Index>(),
        cut in any::<(Index, Index)>(),
        mutations in vec(mutation(), 0..6),
    ) {
        let examples = examples();
        let mut text: Vec<char> = examples[example.index(examples.len())].chars().collect();
        let (from, to) = (cut.0.index(text.len()), cut.1.index(text.len()));
        if from < to && to - from < 200 {
            text.drain(from..to);
        }
        for (place, piece) in mutations {
            let at = place.index(text.len().max(1)).min(text.len());
            text.splice(at..at, piece.chars());
        }
        let text: String = text.into_iter().collect();
        let mut loader = Loader::default();
        if loader.text("a.yaml", &text).is_ok() {
            let snapshot = loader.finish().snapshot;
            let translation = render(&snapshot, &Options::default());
            desired::build_all(&snapshot, &translation, &Operator::new(desired::Context::default()));
        }
    }
}
