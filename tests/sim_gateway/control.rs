//! What the control API answers, and when a write counts.

use crate::support;
use crate::support::{rigs, send};
use serde_json::{Value, json};

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
async fn keys_follow_their_policies_from_the_next_reload_on() {
    for rig in rigs().await {
        let closed = json!({"use_keyless": false, "use_standard_auth": true});
        let apis = ["k1", "k2"].map(|id| rig.api(id, &format!("/{id}"), &closed));
        let policy = |rights: &[&str], more: Value| {
            let right = |id: &&str| {
                (
                    (*id).to_owned(),
                    json!({"api_id": id, "api_name": id, "versions": ["Default"]}),
                )
            };
            let rights: serde_json::Map<_, _> = rights.iter().map(right).collect();
            let mut policy = json!({"id": "gold", "name": "gold", "org_id": "1", "rate": -1, "per": -1, "quota_max": -1,
                "active": true, "access_rights": rights, "graphql_access_rights": {"mark={\"a\":1}": {}}});
            policy
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            policy
        };
        rig.put("POST", "/tyk/policies", &policy(&["k1", "k2"], json!({})))
            .await;
        rig.load(&apis).await;
        let held = rig.call("GET", "/tyk/policies/gold", "").await.json();
        assert_eq!(
            held["graphql_access_rights"],
            json!({"mark={\"a\":1}": {}}),
            "{}",
            rig.name
        );

        let session = json!({"org_id": "1", "apply_policies": ["gold"]});
        let answer = rig.put("POST", "/tyk/keys", &session).await.json();
        assert_eq!(
            (&answer["status"], &answer["action"]),
            (&json!("ok"), &json!("added")),
            "{}",
            rig.name
        );
        let key = answer["key"].as_str().unwrap();
        let ask = async |path: &str| {
            let answer = send(rig.ingress, "GET", path, &[("Authorization", key)], "")
                .await
                .unwrap();
            (
                answer.status,
                answer.json()["error"].as_str().unwrap_or_default().to_owned(),
            )
        };
        let through = (200, String::new());
        let refused = |message: &str| (403, message.to_owned());
        assert_eq!(
            [ask("/k1").await, ask("/k2").await],
            [through.clone(), through.clone()],
            "{}",
            rig.name
        );

        rig.put("POST", "/tyk/policies", &policy(&["k2"], json!({}))).await;
        assert_eq!(ask("/k1").await, through, "{}: files change nothing", rig.name);
        rig.reload().await;
        let disallowed = refused("Access to this API has been disallowed");
        assert_eq!(
            [ask("/k1").await, ask("/k2").await],
            [disallowed.clone(), through.clone()],
            "{}",
            rig.name
        );

        rig.put(
            "POST",
            "/tyk/policies",
            &policy(&["k1", "k2"], json!({"is_inactive": true})),
        )
        .await;
        rig.reload().await;
        assert_eq!(
            ask("/k1").await,
            refused("Key is inactive, please renew"),
            "{}",
            rig.name
        );

        rig.call("DELETE", "/tyk/policies/gold", "").await;
        rig.reload().await;
        assert_eq!(ask("/k2").await, disallowed, "{}", rig.name);
        let none = rig.put("POST", "/tyk/keys", &session).await;
        assert_eq!(none.status, 500, "{} {none:?}", rig.name);

        assert_eq!(
            rig.call("DELETE", &format!("/tyk/keys/{key}"), "").await.json()["action"],
            "deleted"
        );
        assert_eq!(rig.call("GET", &format!("/tyk/keys/{key}"), "").await.status, 404);
    }
}

#[tokio::test]
async fn a_group_reload_does_not_wait() {
    for rig in rigs().await {
        rig.put("POST", "/tyk/apis", &rig.api("g", "/g", &json!({}))).await;
        let answer = rig.call("GET", "/tyk/reload/group?block=true", "").await;
        assert_eq!(answer.json(), json!({"status": "ok", "message": ""}));
        support::until("the API is loaded", async || {
            rig.call("GET", "/tyk/apis/g", "").await.status == 200
        })
        .await;
    }
}
