//! What the upstream gets, and what the client gets instead.

use crate::support;
use crate::support::{rigs, send};
use serde_json::json;

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
        let others = [support::upstream().await, support::upstream().await];
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
async fn a_secure_upstream_has_to_be_trusted() {
    for rig in rigs().await {
        let target = format!("https://{}", support::secure_upstream().await);
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
