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
        assert_eq!(
            added.json(),
            json!({"key": "a", "status": "ok", "action": "added"})
        );
        assert_eq!(rig.call("GET", "/tyk/apis/a", "").await.status, 404);
        assert_eq!(rig.put("PUT", "/tyk/apis/a", &api).await.status, 404);
        assert_eq!(rig.call("DELETE", "/tyk/apis/a", "").await.status, 404);
        rig.reload().await;
        assert_eq!(rig.serves("x", "/a/b").await, "a", "{}", rig.name);
        assert_eq!(
            rig.put("PUT", "/tyk/apis/a", &api).await.json()["action"],
            "modified"
        );
        assert_eq!(
            rig.call("DELETE", "/tyk/apis/a/", "").await.json()["action"],
            "deleted"
        );
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
        let refused = send(
            rig.control,
            "GET",
            "/tyk/apis",
            &[("X-Tyk-Authorization", "wrong")],
            "",
        )
        .await
        .unwrap();
        assert_eq!(refused.status, 403);
        assert_eq!(
            refused.json()["message"],
            "Attempted administrative access with invalid or missing key!"
        );
        assert_eq!(rig.call("GET", "/hello", "").await.json()["status"], "pass");
        assert_eq!(rig.call("GET", "/ready", "").await.status, 200);
        assert_eq!(
            rig.call("GET", "/tyk/nope", "").await.body,
            "404 page not found\n"
        );
        assert_eq!(
            rig.call("DELETE", "/tyk/apis", "").await.json()["message"],
            "Method not supported"
        );
    }
}
