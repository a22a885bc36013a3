//! Certificates and OAS documents.

use crate::support;
use crate::support::rigs;
use serde_json::json;

#[tokio::test]
async fn certificates_are_named_by_their_leaf() {
    let pem = support::pem::A.as_str();
    let other = support::pem::OTHER.as_str();
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
async fn the_certificate_follows_the_name_asked_for() {
    for rig in rigs().await {
        let mut ids = Vec::new();
        for pem in [support::pem::A.as_str(), support::pem::OTHER.as_str()] {
            let added = rig.call("POST", "/tyk/certs?org_id=simtls", pem).await.json();
            ids.push(added["id"].as_str().expect("a new certificate").to_owned());
        }
        let port = support::free_port();
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
            let (shown, answer) = support::secure(address, name, "/path").await;
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
