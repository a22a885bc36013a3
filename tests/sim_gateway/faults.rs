//! What only a simulated gateway can be asked to do: fail, restart, crash, lose files.

use crate::support::{Rig, quick, send, simulated, until};
use serde_json::json;
use std::time::Duration;
use tyk_ingress::sim::{Config, Failure, Gateway};

fn gateway(rig: &Rig) -> &Gateway {
    rig.gateway.as_ref().unwrap()
}

#[tokio::test]
async fn a_restart_forgets_memory_and_perhaps_files() {
    let rig = simulated(quick()).await;
    rig.load(&[rig.api("a", "/a", &json!({}))]).await;
    gateway(&rig).restart(true).await;
    assert_eq!(rig.serves("x", "/a").await, "a", "files are loaded at the start");
    gateway(&rig).restart(false).await;
    assert_eq!(rig.serves("x", "/a").await, "404");
    assert_eq!(rig.call("GET", "/tyk/apis", "").await.json(), json!([]));
}

#[tokio::test]
async fn after_a_restart_both_rivals_of_a_path_are_renamed() {
    let rig = simulated(quick()).await;
    rig.load(&[rig.api("a", "/dup", &json!({}))]).await;
    rig.load(&[rig.api("b", "/dup", &json!({}))]).await;
    assert_eq!(rig.serves("x", "/dup").await, "a");
    gateway(&rig).restart(true).await;
    assert_eq!(rig.serves("x", "/dup").await, "404");
    assert_eq!(rig.serves("x", "/dup-a").await, "a");
}

#[tokio::test]
async fn a_capture_group_in_a_listen_path_kills_until_the_file_is_gone() {
    let rig = simulated(quick()).await;
    rig.load(&[rig.api("good", "/good", &json!({}))]).await;
    let bad = rig.api("bad", "/x/{y:(a|b)}", &json!({}));
    assert_eq!(rig.put("POST", "/tyk/apis", &bad).await.status, 200);
    assert!(gateway(&rig).crashed().is_none());
    let secret = [("X-Tyk-Authorization", rig.secret.as_str())];
    assert!(
        send(rig.control, "GET", "/tyk/reload?block=true", &secret, "")
            .await
            .is_err()
    );
    assert!(gateway(&rig).crashed().unwrap().contains("bad"));
    assert!(send(rig.control, "GET", "/hello", &[], "").await.is_err());
    gateway(&rig).restart(true).await;
    assert!(send(rig.control, "GET", "/hello", &[], "").await.is_err());
    assert!(gateway(&rig).remove_file("bad"));
    gateway(&rig).restart(true).await;
    assert_eq!(gateway(&rig).crashed(), None);
    assert_eq!(rig.serves("x", "/good").await, "good");
}

#[tokio::test]
async fn writes_during_a_reload_are_lost_until_the_next() {
    let rig = simulated(quick()).await;
    let faults = gateway(&rig).faults();
    faults.lose_writes_during_reload(true);
    faults.delay_reload(Duration::from_millis(300));
    rig.put("POST", "/tyk/apis", &rig.api("before", "/before", &json!({})))
        .await;
    let during = async {
        rig.call("GET", "/tyk/reload", "").await;
        rig.put("POST", "/tyk/apis", &rig.api("during", "/during", &json!({})))
            .await;
    };
    during.await;
    until("the reload", async || rig.serves("x", "/before").await == "before").await;
    assert_eq!(rig.serves("x", "/during").await, "404");
    rig.reload().await;
    assert_eq!(rig.serves("x", "/during").await, "during");
    faults.lose_at_next_reload("before");
    rig.reload().await;
    assert_eq!(rig.serves("x", "/before").await, "404");
    rig.reload().await;
    assert_eq!(rig.serves("x", "/before").await, "before");
}

#[tokio::test]
async fn calls_fail_on_demand_and_are_counted() {
    let rig = simulated(quick()).await;
    let faults = gateway(&rig).faults();
    let secret = [("X-Tyk-Authorization", rig.secret.as_str())];
    faults.fail_next(1, "GET", "/tyk/apis", Failure::Status(503));
    assert_eq!(rig.call("POST", "/tyk/apis", "{").await.status, 400);
    assert_eq!(rig.call("GET", "/tyk/apis", "").await.status, 503);
    assert_eq!(rig.call("GET", "/tyk/apis", "").await.status, 200);
    faults.fail_next(2, "", "/tyk/", Failure::Reset);
    for _ in 0..2 {
        assert!(send(rig.control, "GET", "/tyk/policies", &secret, "").await.is_err());
    }
    faults.fail_next(1, "GET", "/tyk/policies", Failure::Delay(Duration::from_millis(50)));
    let started = std::time::Instant::now();
    assert_eq!(rig.call("GET", "/tyk/policies", "").await.status, 200);
    assert!(started.elapsed() >= Duration::from_millis(50));
    let statuses: Vec<u16> = gateway(&rig).calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [400, 503, 200, 0, 0, 200]);
    assert_eq!(gateway(&rig).calls()[0].path, "/tyk/apis");
    let api = rig.api("late", "/late", &json!({})).to_string();
    faults.fail_next(1, "POST", "/tyk/apis", Failure::ResetAfter);
    assert!(send(rig.control, "POST", "/tyk/apis", &secret, &api).await.is_err());
    rig.reload().await;
    assert_eq!(rig.serves("x", "/late").await, "late", "the write was done");
}

#[tokio::test]
async fn a_separate_control_port_lets_the_main_port_close() {
    let config = Config {
        control: Some(([127, 0, 0, 1], 0).into()),
        ..quick()
    };
    let rig = simulated(config).await;
    assert_ne!(rig.control, rig.ingress);
    assert_eq!(
        rig.get("x", "/tyk/apis").await.body,
        "404 page not found\n",
        "open before the first load"
    );
    rig.load(&[rig.api("a", "/a", &json!({})), rig.api("hello", "/hello", &json!({}))])
        .await;
    assert_eq!(rig.serves("x", "/a").await, "a");
    assert_eq!(
        rig.serves("x", "/hello").await,
        "hello",
        "the path is free on this port"
    );
    assert_eq!(rig.get("x", "/none").await.body, "404 page not found\n");
    assert_eq!(rig.call("GET", "/a", "").await.body, "Not Found");
    for id in ["a", "hello"] {
        rig.call("DELETE", &format!("/tyk/apis/{id}"), "").await;
    }
    rig.reload().await;
    assert!(
        send(rig.ingress, "GET", "/a", &[], "").await.is_err(),
        "closed with the last API"
    );
    rig.load(&[rig.api("a", "/a", &json!({}))]).await;
    assert_eq!(rig.serves("x", "/a").await, "a", "open again, on the same port");
}

#[tokio::test]
async fn strict_routes_do_not_fall_through() {
    let rig = simulated(Config {
        strict_routes: true,
        ..quick()
    })
    .await;
    rig.load(&[
        rig.api("root", "/", &json!({})),
        rig.api("apple", "/apple", &json!({})),
        rig.api("slash", "/pear/", &json!({})),
        rig.api("tpl", "/fig{tykp:/|$}", &json!({})),
    ])
    .await;
    let table = [
        ("/apple", "apple"),
        ("/apple/x", "apple"),
        ("/applebottom", "404"),
        ("/pear/x", "slash"),
        ("/fig/x", "tpl"),
        ("/figs", "root"),
    ];
    for (path, id) in table {
        assert_eq!(rig.serves("x", path).await, id, "{path}");
    }
    assert_eq!(rig.get("x", "/applebottom").await.body, "Not Found");
}

#[tokio::test]
async fn without_custom_domains_every_host_is_served() {
    let rig = simulated(Config {
        custom_domains: false,
        ..quick()
    })
    .await;
    rig.load(&[rig.api("a", "/a", &json!({"domain": "a.com"}))]).await;
    assert_eq!(rig.serves("else", "/a").await, "a");
}

#[tokio::test]
async fn stopping_frees_the_ports() {
    let rig = simulated(quick()).await;
    let address = rig.ingress;
    rig.gateway.unwrap().stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    until("the port is free", async || {
        std::net::TcpListener::bind(address).is_ok()
    })
    .await;
}

#[tokio::test]
async fn upgraded_connections_carry_bytes_both_ways() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let rig = simulated(quick()).await;
    let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", upstream.local_addr().unwrap());
    rig.load(&[rig.api("ws", "/ws", &json!({"proxy": {"target_url": target}}))])
        .await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = upstream.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(
            String::from_utf8_lossy(&head).contains("Upgrade: echo"),
            "{}",
            String::from_utf8_lossy(&head)
        );
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            .await
            .unwrap();
        let mut four = [0; 4];
        stream.read_exact(&mut four).await.unwrap();
        stream.write_all(&four).await.unwrap();
    });
    let mut client = tokio::net::TcpStream::connect(rig.ingress).await.unwrap();
    client
        .write_all(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        .await
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    client.write_all(b"ping").await.unwrap();
    let mut four = [0; 4];
    client.read_exact(&mut four).await.unwrap();
    assert_eq!(&four, b"ping");
    server.await.unwrap();
}

#[tokio::test]
async fn bodies_are_streamed_while_they_come() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let rig = simulated(quick()).await;
    let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", upstream.local_addr().unwrap());
    rig.load(&[rig.api("s", "/s", &json!({"proxy": {"target_url": target}}))])
        .await;
    let mut client = tokio::net::TcpStream::connect(rig.ingress).await.unwrap();
    client
        .write_all(b"POST /s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nping\r\n")
        .await
        .unwrap();
    let (mut server, _) = upstream.accept().await.unwrap();
    let mut got = String::new();
    while !got.contains("ping") {
        got.push(char::from(server.read_u8().await.unwrap()));
    }
    server
        .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npong\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    while !answer.contains("pong") {
        answer.push(char::from(client.read_u8().await.unwrap()));
    }
    assert!(answer.starts_with("HTTP/1.1 200"));
}
