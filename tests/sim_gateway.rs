//! Scenarios that a simulated gateway and a real one (`TYK_GATEWAY_URL`, `TYK_GATEWAY_SECRET`,
//! `TYK_GATEWAY_INGRESS_URL`) answer alike.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod sim_support;

use serde_json::json;
use sim_support::{rigs, send};

#[tokio::test]
async fn writes_go_to_files_and_reads_see_memory() {
    for rig in rigs().await {
        let api = rig.api("a", "/a", &json!({}));
        let added = rig.put("POST", "/tyk/apis", &api).await;
        assert_eq!(added.json(), json!({"key": "a", "status": "ok", "action": "added"}));
        assert_eq!(rig.call("GET", "/tyk/apis/a", "").await.status, 404);
        assert_eq!(rig.put("PUT", "/tyk/apis/a", &api).await.status, 404);
        assert_eq!(rig.call("DELETE", "/tyk/apis/a", "").await.status, 404);
        rig.reload().await;
        assert_eq!(rig.serves("x", "/a/b").await, "a", "{}", rig.name);
        assert_eq!(rig.put("PUT", "/tyk/apis/a", &api).await.json()["action"], "modified");
        assert_eq!(rig.call("DELETE", "/tyk/apis/a/", "").await.json()["action"], "deleted");
        assert_eq!(rig.call("GET", "/tyk/apis/a", "").await.status, 200);
        let again = rig.call("DELETE", "/tyk/apis/a", "").await;
        assert_eq!(
            (again.status, again.json()["message"].as_str()),
            (500, Some("Delete failed"))
        );
        assert_eq!(rig.serves("x", "/a/b").await, "a");
        rig.reload().await;
        assert_eq!(rig.call("GET", "/tyk/apis/a", "").await.status, 404);
        assert_eq!(rig.serves("x", "/a/b").await, "404");
    }
}

#[tokio::test]
async fn the_secret_guards_the_control_api() {
    for rig in rigs().await {
        let refused = send(rig.control, "GET", "/tyk/apis", &[("X-Tyk-Authorization", "wrong")], "")
            .await
            .unwrap();
        assert_eq!(refused.status, 403);
        assert_eq!(
            refused.json()["message"],
            "Attempted administrative access with invalid or missing key!"
        );
        assert_eq!(rig.call("GET", "/hello", "").await.json()["status"], "pass");
        assert_eq!(rig.call("GET", "/ready", "").await.status, 200);
        assert_eq!(rig.call("GET", "/tyk/nope", "").await.body, "404 page not found\n");
        assert_eq!(
            rig.call("DELETE", "/tyk/apis", "").await.json()["message"],
            "Method not supported"
        );
    }
}

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
        rig.load(&[rig.api("later", "/dup", &json!({"listen_port": sim_support::free_port()}))])
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
async fn bad_definitions_are_refused_or_loaded_without_a_route() {
    for rig in rigs().await {
        let refused = [
            (json!({"name": 3}), 400, "Request malformed"),
            (json!([]), 400, "Request malformed"),
            (
                json!({"proxy": {"enable_load_balancing": true}}),
                400,
                "Validation of API Definition failed.",
            ),
            (
                rig.api("a/b", "/x", &json!({})),
                500,
                "file object creation failed, write error",
            ),
        ];
        for (body, status, message) in refused {
            let answer = rig.put("POST", "/tyk/apis", &body).await;
            assert_eq!(answer.status, status, "{} {body}", rig.name);
            assert!(
                answer.json()["message"].as_str().unwrap().starts_with(message),
                "{answer:?}"
            );
        }
        assert_eq!(rig.call("POST", "/tyk/apis", "").await.status, 400);
        rig.load(&[
            rig.api("good", "/good", &json!({})),
            rig.api("space", "/a b", &json!({})),
            rig.api("empty", "", &json!({})),
            rig.api("braces", "/x{", &json!({})),
            rig.api("noslash", "noslash", &json!({})),
            rig.api("domain", "/d", &json!({"domain": "{x"})),
            rig.api("target", "/t", &json!({"proxy": {"target_url": "http://a b/"}})),
        ])
        .await;
        for (id, status) in [
            ("good", 200),
            ("space", 200),
            ("empty", 200),
            ("braces", 404),
            ("noslash", 404),
            ("domain", 200),
            ("target", 200),
        ] {
            assert_eq!(
                rig.call("GET", &format!("/tyk/apis/{id}"), "").await.status,
                status,
                "{} {id}",
                rig.name
            );
        }
        for (path, id) in [
            ("/good", "good"),
            ("/a%20b", "404"),
            ("/empty/", "404"),
            ("/x%7B", "404"),
            ("/d", "404"),
            ("/t", "404"),
            ("/space/x", "404"),
        ] {
            assert_eq!(rig.serves("x", path).await, id, "{} {path}", rig.name);
        }
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
        let port = sim_support::free_port();
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

#[tokio::test]
async fn what_is_refused_and_how() {
    for rig in rigs().await {
        let locked = |more: serde_json::Value| {
            let mut fields = json!({"use_keyless": false});
            more.as_object()
                .unwrap()
                .iter()
                .for_each(|(key, value)| fields[key] = value.clone());
            fields
        };
        let target = |url: &str| json!({"proxy": {"target_url": url}});
        rig.load(&[
            rig.api("token", "/token", &locked(json!({"use_standard_auth": true}))),
            rig.api("none", "/none", &locked(json!({}))),
            rig.api("basic", "/basic", &locked(json!({"use_basic_auth": true}))),
            rig.api(
                "jwt",
                "/jwt",
                &locked(json!({"enable_jwt": true, "jwt_signing_method": "hmac", "jwt_source": "eA=="})),
            ),
            rig.api("nover", "/nover", &json!({"version_data": {"not_versioned": true}})),
            rig.api("notold", "/notold", &json!({"version_data": {}})),
            rig.api("closed", "/closed", &target("http://127.0.0.1:9")),
            rig.api("dns", "/dns", &target("http://nobody.invalid")),
            rig.api("scheme", "/scheme", &target("")),
        ])
        .await;
        let table = [
            ("/token", 401, "Authorization field missing"),
            ("/none", 401, "Authorization field missing"),
            ("/basic", 401, "Authorization field missing"),
            ("/jwt", 400, "Authorization field missing"),
            ("/nover", 403, "No default API version for this non-versioned API found"),
            ("/notold", 403, "Version information not found"),
            ("/closed", 500, "There was a problem proxying the request"),
            ("/dns", 500, "Upstream host lookup failed"),
            ("/scheme", 500, "There was a problem proxying the request"),
        ];
        for (path, status, message) in table {
            let answer = rig.get("x", path).await;
            assert_eq!(
                (answer.status, answer.json()["error"].as_str()),
                (status, Some(message)),
                "{} {path}",
                rig.name
            );
            assert_eq!(answer.header("x-generator"), Some("tyk.io"));
        }
        let wrong = send(rig.ingress, "GET", "/token", &[("Authorization", "nokey")], "")
            .await
            .unwrap();
        assert_eq!(
            (wrong.status, wrong.json()["error"].as_str()),
            (403, Some("Access to this API has been disallowed"))
        );
        let xml = send(rig.ingress, "GET", "/closed", &[("Content-Type", "text/xml")], "")
            .await
            .unwrap();
        assert!(
            xml.body
                .ends_with("<error>There was a problem proxying the request</error>\n"),
            "{xml:?}"
        );
    }
}

#[tokio::test]
async fn requests_reach_the_upstream_as_configured() {
    for rig in rigs().await {
        let base = format!("http://{}/base/?t=1", rig.upstream);
        let proxy = |fields: serde_json::Value| json!({"proxy": fields});
        rig.load(&[
            rig.api(
                "strip",
                "/strip",
                &proxy(json!({"target_url": base, "strip_listen_path": true, "preserve_host_header": false})),
            ),
            rig.api("kept", "/kept", &proxy(json!({"target_url": base}))),
            rig.api(
                "tpl",
                "/tpl{tykp:/|$}",
                &proxy(json!({"target_url": base, "strip_listen_path": true})),
            ),
            rig.api(
                "slash",
                "/slash/",
                &proxy(json!({"target_url": base, "strip_listen_path": true, "disable_strip_slash": true})),
            ),
        ])
        .await;
        let table = [
            ("/strip/a?q=2", "/base/a", "t=1&q=2"),
            ("/strip", "/base", "t=1"),
            ("/stripped", "/base/ped", "t=1"),
            ("/strip/a%2Fb%20c/", "/base/a%2Fb%20c/", "t=1"),
            ("/kept/a", "/base/kept/a", "t=1"),
            ("/tpl/a/", "/base/a/", "t=1"),
            ("/tpl", "/base", "t=1"),
            ("/slash/", "/base/", "t=1"),
            ("/slash/a", "/base/a", "t=1"),
            ("/kept/%7Bx%7D", "/base/kept/%7Bx%7D", "t=1"),
            ("/kept/a|b", "/base/kept/a%7Cb", "t=1"),
            ("/kept/a(b)!", "/base/kept/a%28b%29%21", "t=1"),
            ("/kept/ä", "/base/kept/%C3%A4", "t=1"),
        ];
        for (path, upstream, query) in table {
            let got = rig.get("some.host:1", path).await.json();
            assert_eq!(
                (got["path"].as_str(), got["query"].as_str()),
                (Some(upstream), Some(query)),
                "{} {path}",
                rig.name
            );
        }
        let headers = [
            ("X-Forwarded-For", "9.9.9.9"),
            ("Connection", "close, X-Hop"),
            ("X-Hop", "1"),
            ("Te", "gzip"),
            ("X-Kept", "2"),
            ("Host", "h.com"),
        ];
        let answer = send(rig.ingress, "POST", "/strip/x", &headers, "the body")
            .await
            .unwrap();
        let got = answer.json();
        assert_eq!(got["body"], "the body");
        assert_eq!(got["headers"]["x-forwarded-for"], "9.9.9.9, 127.0.0.1");
        assert_eq!(
            (&got["headers"]["x-hop"], &got["headers"]["te"]),
            (&json!(null), &json!(null)),
            "{}",
            rig.name
        );
        assert_eq!(got["headers"]["x-kept"], "2");
        assert_eq!(got["headers"]["host"], rig.upstream.to_string());
        assert!(
            got["headers"]["user-agent"].as_str().unwrap().starts_with("Tyk/"),
            "{} {got}",
            rig.name
        );
        assert_eq!(answer.header("keep-alive"), None);
        assert_eq!(rig.get("h.com:8", "/kept").await.json()["headers"]["host"], "h.com:8");
    }
}

#[tokio::test]
async fn a_version_changes_headers() {
    for rig in rigs().await {
        let version = json!({"name": "Default", "use_extended_paths": true,
            "global_headers": {"X-Forwarded-Proto": "https"}, "global_headers_remove": ["X-Secret"],
            "global_response_headers": {"X-Added": "1"}, "global_response_headers_remove": ["X-Upstream"]});
        rig.load(&[rig.api(
            "h",
            "/h",
            &json!({"version_data": {"not_versioned": true, "versions": {"Default": version}}}),
        )])
        .await;
        let answer = send(rig.ingress, "GET", "/h", &[("X-Secret", "s")], "").await.unwrap();
        assert_eq!(
            (answer.header("x-added"), answer.header("x-upstream")),
            (Some("1"), None),
            "{}",
            rig.name
        );
        assert_eq!(answer.json()["headers"]["x-forwarded-proto"], "https");
        assert_eq!(answer.json()["headers"]["x-secret"], json!(null));
    }
}

#[tokio::test]
async fn targets_take_turns() {
    for rig in rigs().await {
        let others = [sim_support::upstream().await, sim_support::upstream().await];
        let targets = [format!("http://{}/one", others[0]), others[1].to_string()];
        rig.load(&[rig.api(
            "lb",
            "/lb",
            &json!({"proxy": {"enable_load_balancing": true, "target_list": targets}}),
        )])
        .await;
        for turn in 0..6 {
            let got = rig.get("x", "/lb").await.json();
            let path = if turn % 2 == 0 { "/one/lb" } else { "/lb" };
            assert_eq!(
                (&got["port"], got["path"].as_str()),
                (&json!(others[turn % 2].port()), Some(path)),
                "{}",
                rig.name
            );
        }
    }
}

#[tokio::test]
async fn a_definition_comes_back_with_what_the_gateway_adds() {
    for rig in rigs().await {
        let api = rig.api(
            "full",
            "/full",
            &json!({"tags": ["t"], "config_data": {"k": [1, {"a": null}]}, "certificates": ["none"]}),
        );
        rig.load(std::slice::from_ref(&api)).await;
        let got = rig.call("GET", "/tyk/apis/full", "").await.json();
        for (key, value) in api.as_object().unwrap() {
            if !matches!(key.as_str(), "proxy" | "version_data") {
                assert_eq!(&got[key], value, "{}", rig.name);
            }
        }
        for pointer in [
            "/slug",
            "/CORS/enable",
            "/proxy/strip_listen_path",
            "/version_data/default_version",
            "/auth/auth_header_name",
            "/version_data/versions/Default/global_size_limit",
            "/proxy/transport/proxy_url",
            "/definition/enabled",
        ] {
            assert!(got.pointer(pointer).is_some(), "{} {pointer}", rig.name);
        }
        let listed = rig.call("GET", "/tyk/apis", "").await.json();
        assert_eq!(listed, json!([got]), "{}", rig.name);
        let generated = rig
            .put("POST", "/tyk/apis/ignored", &json!({"proxy": {"listen_path": "/gen"}}))
            .await
            .json();
        assert_eq!(generated["key"].as_str().unwrap().len(), 32);
    }
}

#[tokio::test]
async fn policies_are_files_as_well() {
    for rig in rigs().await {
        let policy =
            json!({"id": "gold", "name": "gold", "org_id": "1", "rate": 5, "access_rights": {"a": {"api_id": "a"}}});
        assert_eq!(
            rig.put("POST", "/tyk/policies", &policy).await.json(),
            json!({"key": "gold", "status": "ok", "action": "added"})
        );
        assert_eq!(
            rig.put("PUT", "/tyk/policies/gold", &policy).await.json()["action"],
            "modified"
        );
        assert_eq!(rig.put("PUT", "/tyk/policies/other", &policy).await.status, 400);
        assert_eq!(
            rig.put("POST", "/tyk/policies", &json!({})).await.json()["message"],
            "Unable to create policy without id."
        );
        assert_eq!(
            rig.put("POST", "/tyk/policies", &json!({"id": "x", "_id": "no"}))
                .await
                .json()["message"],
            "Request malformed"
        );
        assert_eq!(
            rig.call("GET", "/tyk/policies/gold", "").await.json()["message"],
            "Policy not found"
        );
        rig.reload().await;
        let got = rig.call("GET", "/tyk/policies/gold", "").await.json();
        assert_eq!(
            (&got["rate"], &got["quota_max"], &got["access_rights"]["a"]["api_id"]),
            (&json!(5), &json!(0), &json!("a"))
        );
        assert_eq!(
            rig.call("GET", "/tyk/policies", "")
                .await
                .json()
                .as_array()
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            rig.call("DELETE", "/tyk/policies/gold", "").await.json()["action"],
            "deleted"
        );
        assert_eq!(rig.call("DELETE", "/tyk/policies/gold", "").await.status, 500);
        assert_eq!(rig.call("GET", "/tyk/policies/gold", "").await.status, 200);
        rig.reload().await;
        assert_eq!(rig.call("GET", "/tyk/policies/gold", "").await.status, 404);
    }
}

#[tokio::test]
async fn certificates_are_named_by_their_leaf() {
    let pem = include_str!("sim_support/a.pem");
    let other = include_str!("sim_support/other.pem");
    for rig in rigs().await {
        let added = rig.call("POST", "/tyk/certs?org_id=simorg", pem).await;
        let id = added.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(
            (added.status, id.len(), added.json()["message"].as_str()),
            (200, 70, Some("Certificate added")),
            "{}",
            rig.name
        );
        let again = rig.call("POST", "/tyk/certs?org_id=simorg", pem).await;
        assert_eq!(
            (again.status, again.json()["message"].as_str().unwrap()),
            (403, format!("Certificate with {id} id already exists").as_str())
        );
        assert_eq!(
            rig.call("GET", "/tyk/certs?org_id=simorg", "").await.json(),
            json!({"certs": [id]})
        );
        let detail = rig
            .call("GET", "/tyk/certs?org_id=simorg&mode=detailed", "")
            .await
            .json()["certs"][0]
            .clone();
        assert_eq!(
            (&detail["subject_cn"], &detail["dns_names"]),
            (&json!("a.example"), &json!(["a.example", "*.b.example"]))
        );
        assert_eq!(
            (&detail["has_private"], &detail["is_ca"]),
            (&json!(true), &json!(true)),
            "{}",
            rig.name
        );
        assert_eq!(
            rig.call("GET", &format!("/tyk/certs/{id}"), "").await.json()["fingerprint"],
            id["simorg".len()..]
        );
        let key = &other[other.find("-----BEGIN PRIVATE").unwrap()..];
        let certificate = &pem[..pem.find("-----BEGIN PRIVATE").unwrap()];
        for (bad, message) in [
            ("garbage", "Failed to decode certificate. It should be PEM encoded."),
            (
                format!("{certificate}{key}").as_str(),
                "tls: private key does not match public key",
            ),
            (format!("{pem}{key}").as_str(), "Found multiple private keys"),
        ] {
            let refused = rig.call("POST", "/tyk/certs?org_id=simorg", bad).await;
            assert_eq!(
                (refused.status, refused.json()["message"].as_str()),
                (403, Some(message)),
                "{}",
                rig.name
            );
        }
        for _ in 0..2 {
            assert_eq!(
                rig.call("DELETE", &format!("/tyk/certs/{id}?org_id=simorg"), "")
                    .await
                    .json(),
                json!({"status": "ok", "message": "removed"})
            );
        }
        assert_eq!(rig.call("GET", &format!("/tyk/certs/{id}"), "").await.status, 404);
        assert_eq!(
            rig.call("GET", "/tyk/certs?org_id=simorg", "").await.json(),
            json!({"certs": null}),
            "{}",
            rig.name
        );
    }
}

fn document(id: &str, listen_path: &str, target: &str) -> serde_json::Value {
    json!({"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {}, "servers": [{"url": "http://mine"}],
        "x-tyk-api-gateway": {"info": {"id": id, "name": id, "orgId": "1", "state": {"active": true}},
            "server": {"listenPath": {"value": listen_path, "strip": true}}, "upstream": {"url": target}}})
}

#[tokio::test]
async fn oas_documents_have_a_classic_form() {
    for rig in rigs().await {
        let target = format!("http://{}/by/o", rig.upstream);
        let refused = [
            (json!({}), "the payload should contain x-tyk-api-gateway"),
            (
                document("o", "/o/{x:(a|b)}", &target),
                "failed to add Tyk servers: using capture group is not allowed in server patterns: capture groups are prohibited",
            ),
            (
                json!({"openapi": "3.0.3", "info": {}, "paths": {}, "x-tyk-api-gateway": {}}),
                "info: title is required\ninfo: version is required\nx-tyk-api-gateway: info is required\nx-tyk-api-gateway: upstream is required\nx-tyk-api-gateway: server is required",
            ),
        ];
        for (body, message) in refused {
            let answer = rig.put("POST", "/tyk/apis/oas", &body).await;
            assert_eq!(
                (answer.status, sorted(answer.json()["message"].as_str().unwrap())),
                (400, sorted(message)),
                "{} {body}",
                rig.name
            );
        }
        let o = document("o", "/o{tykp:/|$}", &target);
        assert_eq!(rig.put("POST", "/tyk/apis/oas", &o).await.json()["action"], "added");
        rig.load(&[rig.api("classic", "/classic", &json!({}))]).await;
        let classic = rig.call("GET", "/tyk/apis/o", "").await.json();
        assert_eq!(
            (&classic["is_oas"], &classic["proxy"]["listen_path"]),
            (&json!(true), &json!("/o{tykp:/|$}"))
        );
        let stored = rig.call("GET", "/tyk/apis/oas/o", "").await.json();
        let servers = stored["servers"].as_array().unwrap();
        assert_eq!(
            (servers.len(), &servers[2], &servers[1]["url"]),
            (3, &json!({"url": "http://mine"}), &json!("/o{tykp}")),
            "{}",
            rig.name
        );
        assert_eq!(stored["x-tyk-api-gateway"], o["x-tyk-api-gateway"]);
        assert_eq!(rig.get("x", "/o/pets").await.json()["path"], "/by/o/pets");
        assert_eq!(
            rig.call("GET", "/tyk/apis/oas", "")
                .await
                .json()
                .as_array()
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            rig.call("GET", "/tyk/apis", "").await.json().as_array().unwrap().len(),
            2
        );
        assert_eq!(rig.put("PUT", "/tyk/apis/oas/o", &o).await.json()["action"], "modified");
        assert_eq!(rig.put("PUT", "/tyk/apis/o", &json!({"api_id": "o"})).await.status, 400);
        assert_eq!(
            rig.put("PUT", "/tyk/apis/oas/classic", &document("classic", "/c", &target))
                .await
                .status,
            400
        );
        assert_eq!(
            rig.put("PUT", "/tyk/apis/oas/none", &document("none", "/c", &target))
                .await
                .status,
            404
        );
        assert_eq!(rig.call("GET", "/tyk/apis/oas/classic", "").await.status, 400);
        assert_eq!(
            rig.call("DELETE", "/tyk/apis/oas/o", "").await.json()["action"],
            "deleted"
        );
        rig.reload().await;
        assert_eq!(rig.call("GET", "/tyk/apis/oas/o", "").await.status, 404);
    }
}

fn sorted(lines: &str) -> Vec<String> {
    let mut lines: Vec<String> = lines.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn a_group_reload_does_not_wait() {
    for rig in rigs().await {
        rig.put("POST", "/tyk/apis", &rig.api("g", "/g", &json!({}))).await;
        let answer = rig.call("GET", "/tyk/reload/group?block=true", "").await;
        assert_eq!(answer.json(), json!({"status": "ok", "message": ""}));
        sim_support::until("the API is loaded", async || {
            rig.call("GET", "/tyk/apis/g", "").await.status == 200
        })
        .await;
    }
}

#[tokio::test]
async fn the_certificate_follows_the_name_asked_for() {
    for rig in rigs().await {
        let mut ids = Vec::new();
        for pem in [include_str!("sim_support/a.pem"), include_str!("sim_support/other.pem")] {
            let added = rig.call("POST", "/tyk/certs?org_id=simtls", pem).await.json();
            ids.push(added["id"].as_str().expect("a new certificate").to_owned());
        }
        let port = sim_support::free_port();
        let address = std::net::SocketAddr::new(rig.ingress.ip(), port);
        let secure = |domain: &str, ids: &[String]| json!({"listen_port": port, "protocol": "https", "domain": domain, "certificates": ids});
        rig.load(&[
            rig.api("a", "/path", &secure("a.example", &ids[..1])),
            rig.api("o", "/p", &secure("other.example", &ids[1..])),
            rig.api("m", "/m", &secure("m.example", &["missing".to_owned()])),
        ])
        .await;
        let table = [
            ("a.example", "a.example", "200"),
            ("x.b.example", "a.example", "404"),
            ("y.x.b.example", "a.example", "404"),
            ("other.example", "other.example", "200"),
            ("nobody.example", "a.example", "404"),
        ];
        for (name, certificate, status) in table {
            let (shown, answer) = sim_support::secure(address, name, "/path").await;
            assert!(
                shown
                    .windows(certificate.len())
                    .any(|part| part == certificate.as_bytes()),
                "{} {name}",
                rig.name
            );
            assert_eq!(answer.split(' ').nth(1), Some(status), "{} {name}", rig.name);
        }
        for id in ["a", "o", "m"] {
            rig.call("DELETE", &format!("/tyk/apis/{id}"), "").await;
        }
        rig.reload().await;
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
        for id in ids {
            rig.call("DELETE", &format!("/tyk/certs/{id}?org_id=simtls"), "").await;
        }
    }
}

#[tokio::test]
async fn a_secure_upstream_has_to_be_trusted() {
    for rig in rigs().await {
        let target = format!("https://{}", sim_support::secure_upstream().await);
        let lax = json!({"proxy": {"target_url": target, "transport": {"ssl_insecure_skip_verify": true}}});
        rig.load(&[
            rig.api("lax", "/lax", &lax),
            rig.api("strict", "/strict", &json!({"proxy": {"target_url": target}})),
        ])
        .await;
        assert_eq!(rig.get("x", "/lax/x").await.json()["path"], "/lax/x", "{}", rig.name);
        assert_eq!(
            rig.get("x", "/strict").await.json()["error"],
            "There was a problem proxying the request",
            "{}",
            rig.name
        );
    }
}
