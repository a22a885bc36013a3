//! Which API answers a request.

use crate::support;
use crate::support::{rigs, send};
use serde_json::json;

#[tokio::test]
async fn listen_paths_of_an_ingress_are_exact() {
    for rig in rigs().await {
        rig.load(&[
            rig.api("prefix", "/foo{tykp:/|$}", &json!({})),
            rig.api("exact", "/foo{tykexact:$}", &json!({})),
            rig.api("slash", "/foo{tykexact:/$}", &json!({})),
            rig.api("deeper", "/foo/bar{tykp:/|$}", &json!({})),
            rig.api("root", "/{tykexact:$|/^}", &json!({})),
            rig.api("rest", "/", &json!({})),
        ])
        .await;
        let table = [
            ("/foo", "exact"),
            ("/foo/", "slash"),
            ("/foo/x", "prefix"),
            ("/foo/bar", "deeper"),
            ("/foo/bar/", "deeper"),
            ("/foo/barn", "prefix"),
            ("/foobar", "rest"),
            ("/Foo", "rest"),
            ("/", "root"),
            ("/x", "rest"),
            ("/foo?a=/b", "exact"),
            ("/fo%6f", "exact"),
            ("/foo%2Fx", "prefix"),
            ("/foo%2fbar", "deeper"),
            ("/rest/x/y", "rest"),
        ];
        for (path, id) in table {
            assert_eq!(rig.serves("any", path).await, id, "{} {path}", rig.name);
        }
    }
}

#[tokio::test]
async fn hosts_come_before_no_host_and_do_not_outrank_each_other() {
    for rig in rigs().await {
        rig.load(&[
            rig.api("bare", "/long/path", &json!({})),
            rig.api("exact", "/", &json!({"domain": "b.a.com"})),
            rig.api("wild", "/x", &json!({"domain": "{tykhost:[^.]+}.a.com"})),
            rig.api("case", "/", &json!({"domain": r"{tykhost:(?i)case\.com[.]?}"})),
            rig.api("colon", "/", &json!({"domain": r"{tykhost:(?:one|two)}.com"})),
            rig.api("ported", "/", &json!({"domain": "p.com:8080"})),
            rig.api("off", "/off", &json!({"domain": "off.com", "domain_disabled": true})),
        ])
        .await;
        let table = [
            ("b.a.com", "/long/path", "exact"),
            ("b.a.com", "/x", "wild"),
            ("b.a.com:99", "/y", "exact"),
            ("B.a.com", "/y", "404"),
            ("a.com", "/x", "404"),
            ("x.y.a.com", "/x", "404"),
            ("b.a.com.", "/y", "404"),
            ("CASE.com.", "/", "case"),
            ("one.com", "/", "colon"),
            ("one.com:80", "/", "404"),
            ("p.com:8080", "/", "ported"),
            ("p.com", "/", "404"),
            ("else", "/long/path/x", "bare"),
            ("anything", "/off", "off"),
            ("else", "/bare/x", "bare"),
            ("b.a.com", "/bare/x", "exact"),
        ];
        for (host, path, id) in table {
            assert_eq!(rig.serves(host, path).await, id, "{} {host}{path}", rig.name);
        }
    }
}

#[tokio::test]
async fn paths_are_cleaned_by_redirects() {
    for rig in rigs().await {
        rig.load(&[rig.api("all", "/", &json!({}))]).await;
        let table = [
            ("//a", "/a"),
            ("/a//b?x=1&y", "/a/b?x=1&y"),
            ("/a/./b", "/a/b"),
            ("/a/../b/", "/b/"),
            ("/a%2F..%2Fb", "/b"),
            ("/..", "/"),
            ("/a/%2e%2e/c", "/c"),
            ("/a%20b//c", "/a%20b/c"),
            ("/tyk//apis", "/tyk/apis"),
        ];
        for (path, location) in table {
            let answer = rig.get("x", path).await;
            assert_eq!(
                (answer.status, answer.header("location")),
                (301, Some(location)),
                "{} {path}",
                rig.name
            );
        }
        assert_eq!(rig.get("x", "/%zz").await.status, 400);
        assert_eq!(rig.serves("x", "/a%2Fb").await, "all");
    }
}

#[tokio::test]
async fn collisions_rename_and_stay() {
    for rig in rigs().await {
        rig.load(&[rig.api("first", "/dup", &json!({}))]).await;
        rig.load(&[rig.api("later", "/dup", &json!({"listen_port": support::free_port()}))])
            .await;
        let path = async |id: &str| {
            rig.call("GET", &format!("/tyk/apis/{id}"), "").await.json()["proxy"]["listen_path"].clone()
        };
        assert_eq!(
            (path("first").await, path("later").await),
            (json!("/dup"), json!("/dup-later")),
            "{}",
            rig.name
        );
        rig.call("DELETE", "/tyk/apis/first", "").await;
        rig.reload().await;
        assert_eq!(path("later").await, "/dup-later", "it stays renamed");
        rig.load(&[rig.api("later", "/dup", &json!({"name": "other"}))]).await;
        assert_eq!(path("later").await, "/dup", "a changed definition is loaded anew");
        rig.load(&[
            rig.api("x", "/both", &json!({"domain": "a.com"})),
            rig.api("y", "/both", &json!({"domain": "a.com"})),
            rig.api("z", "/both", &json!({"domain": r"{tykhost:a\.com}"})),
        ])
        .await;
        assert_eq!(
            (path("x").await, path("y").await, path("z").await),
            (json!("/both-x"), json!("/both-y"), json!("/both"))
        );
        assert_eq!(rig.serves("a.com", "/both-x").await, "x");
    }
}

#[tokio::test]
async fn a_capture_group_in_a_domain_hides_every_later_api() {
    for rig in rigs().await {
        rig.load(&[
            rig.api("before", "/longer", &json!({"domain": "a.com"})),
            rig.api("bad", "/bad", &json!({"domain": "{x:(a|b)}.com"})),
            rig.api("after", "/a", &json!({"domain": "a.com"})),
            rig.api("bare", "/longest/path", &json!({})),
        ])
        .await;
        assert_eq!(rig.call("GET", "/tyk/apis/bad", "").await.status, 200);
        assert_eq!(rig.serves("a.com", "/longer").await, "before");
        assert_eq!(rig.serves("a.com", "/a").await, "404");
        assert_eq!(
            rig.get("x", "/longest/path").await.body,
            "404 page not found\n",
            "{}",
            rig.name
        );
        rig.call("DELETE", "/tyk/apis/bad", "").await;
        rig.reload().await;
        assert_eq!(rig.serves("x", "/longest/path").await, "bare");
    }
}

#[tokio::test]
async fn ports_open_and_close_with_their_apis() {
    for rig in rigs().await {
        let port = support::free_port();
        let address = std::net::SocketAddr::new(rig.ingress.ip(), port);
        rig.load(&[
            rig.api("main", "/m", &json!({})),
            rig.api("side", "/side", &json!({"listen_port": port})),
            rig.api("clash", "/c", &json!({"listen_port": port, "protocol": "https"})),
        ])
        .await;
        let answer = send(address, "GET", "/side", &[], "").await.unwrap();
        assert_eq!(
            (answer.status, answer.header("x-upstream")),
            (200, Some("yes")),
            "{}",
            rig.name
        );
        assert_eq!(
            send(address, "GET", "/m", &[], "").await.unwrap().body,
            "404 page not found\n"
        );
        assert_eq!(send(address, "GET", "/c", &[], "").await.unwrap().status, 404);
        assert_eq!(rig.get("x", "/side").await.body, "Not Found");
        for id in ["side", "clash"] {
            rig.call("DELETE", &format!("/tyk/apis/{id}"), "").await;
        }
        rig.reload().await;
        assert!(
            send(address, "GET", "/side", &[], "").await.is_err(),
            "{} still listens",
            rig.name
        );
        assert_eq!(rig.serves("x", "/m").await, "main");
    }
}

#[tokio::test]
async fn internal_apis_are_reached_by_looping_only() {
    for rig in rigs().await {
        let to = |id: &str| json!({"proxy": {"target_url": format!("tyk://{id}/ignored"), "strip_listen_path": true}});
        rig.load(&[
            rig.api(
                "inner",
                "/inner",
                &json!({"internal": true, "proxy": {"strip_listen_path": true}}),
            ),
            rig.api("front", "/front", &to("inner")),
            rig.api("plain", "/plain", &json!({"proxy": {"target_url": "tyk://inner"}})),
            rig.api("nobody", "/nobody", &to("none")),
            rig.api("named", "/named", &to("INNER")),
            rig.api("inactive", "/inactive", &json!({"active": false})),
        ])
        .await;
        assert_eq!(rig.serves("x", "/inner").await, "404");
        assert_eq!(rig.serves("x", "/inner/x").await, "404");
        assert_eq!(
            rig.get("x", "/front/pets?q=1").await.json()["path"],
            "/by/inner/pets",
            "{}",
            rig.name
        );
        assert_eq!(rig.get("x", "/plain/pets").await.json()["path"], "/by/inner/plain/pets");
        assert_eq!(rig.get("x", "/named/pets").await.json()["path"], "/by/inner/pets");
        let nobody = rig.get("x", "/nobody").await;
        assert_eq!(
            (nobody.status, nobody.body.as_str()),
            (500, "{\n    \"error\": \"Couldn\\'t detect target\"\n}")
        );
        assert_eq!(rig.serves("x", "/inactive").await, "inactive");
    }
}
