//! The simulated Dashboard, row by row of the contract that it stands for.
#![allow(clippy::unwrap_used)]

mod dashboard_support;

use std::time::Duration;

use dashboard_support::{certificate, definition, document};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tyk_ingress::sim::dashboard::{Config, Dashboard, Failure, Permission, User};
use tyk_ingress::sim::{self, Gateway};

async fn start(config: Config) -> Dashboard {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Dashboard::start(config).await.unwrap()
}

/// A call with a key; JSON unless the content type says otherwise.
async fn send(
    dashboard: &Dashboard,
    key: &str,
    call: &str,
    content_type: &str,
    body: String,
) -> reqwest::Result<Response> {
    let (method, path) = call.split_once(' ').unwrap();
    let request = reqwest::Client::new()
        .request(
            Method::from_bytes(method.as_bytes()).unwrap(),
            format!("{}{path}", dashboard.url()),
        )
        .header("authorization", key)
        .header("content-type", content_type);
    request.body(body).send().await
}

async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn call(dashboard: &Dashboard, line: &str, body: Value) -> (u16, Value) {
    let sent = send(dashboard, "key", line, "application/json", body.to_string()).await;
    answer(sent.unwrap()).await
}

/// Status and message of an error; the whole envelope is checked.
async fn refused(dashboard: &Dashboard, line: &str, body: Value) -> (u16, String) {
    let (status, answer) = call(dashboard, line, body).await;
    assert_eq!(answer["Status"], "Error", "{line}: {answer}");
    assert_eq!(answer["Meta"], Value::Null, "{line}: {answer}");
    (status, answer["Message"].as_str().unwrap().to_owned())
}

fn wrapped(definition: Value) -> Value {
    json!({"api_definition": definition, "user_owners": ["u"], "user_group_owners": ["g"]})
}

#[tokio::test]
async fn a_key_is_of_a_user_with_permissions() {
    let reader = User::limited("reader", "org", [("apis", Permission::Read)]);
    let users = vec![
        User::administrator("key", "org"),
        reader,
        User::administrator("other", "another"),
    ];
    let dashboard = start(Config {
        users,
        ..Config::default()
    })
    .await;
    for key in ["", "wrong"] {
        let (status, answer) = answer(send(&dashboard, key, "GET /api/apis", "", String::new()).await.unwrap()).await;
        assert_eq!(
            (status, &answer),
            (
                401,
                &json!({"Status": "Error", "Message": "Not authorised", "Meta": null})
            )
        );
    }
    let by = async |key: &str, line: &str| {
        let body = wrapped(definition("a", "/a")).to_string();
        answer(send(&dashboard, key, line, "application/json", body).await.unwrap()).await
    };
    let (status, denied) = by("reader", "POST /api/apis").await;
    assert_eq!(status, 403);
    assert_eq!(
        denied["Message"],
        "access denied: You do not have permission to access  /api/apis"
    );
    assert_eq!(by("reader", "GET /api/portal/policies").await.0, 403);
    assert_eq!(by("key", "POST /api/apis").await.0, 200);
    assert_eq!(by("other", "GET /api/apis/a").await.0, 400, "another organisation");
    assert_eq!(by("reader", "GET /api/apis/a").await.0, 400, "owned by others");
    assert_eq!(by("reader", "GET /api/apis").await.1["apis"], json!([]));
    assert_eq!(by("key", "GET /nothing").await.0, 404);
}

#[tokio::test]
async fn classic_apis_are_created_read_changed_and_deleted() {
    let dashboard = start(Config::default()).await;
    let (status, made) = call(&dashboard, "POST /api/apis", wrapped(definition("a", "/a"))).await;
    assert_eq!(
        (status, &made["Status"], &made["Message"], &made["ID"]),
        (200, &json!("OK"), &json!("API created"), &json!("a"))
    );
    let database_id = made["Meta"].as_str().unwrap();
    let (_, held) = call(&dashboard, "GET /api/apis/a", Value::Null).await;
    assert_eq!(
        held,
        call(&dashboard, &format!("GET /api/apis/{database_id}"), Value::Null)
            .await
            .1
    );
    assert_eq!(
        (&held["user_owners"], &held["user_group_owners"]),
        (&json!(["u"]), &json!(["g"]))
    );
    assert_eq!(
        (&held["api_definition"]["id"], &held["hook_references"]),
        (&json!(database_id), &json!([]))
    );
    let refused = async |line: &str, body: Value| refused(&dashboard, line, body).await;
    assert_eq!(
        refused("GET /api/apis/b", Value::Null).await,
        (400, "Could not retrieve API detail".into())
    );
    assert_eq!(
        refused("PUT /api/apis/b", wrapped(definition("b", "/b"))).await,
        (404, "API definition does not exist".into())
    );
    assert_eq!(
        refused("DELETE /api/apis/b", Value::Null).await,
        (404, "Could not retrieve API detail".into())
    );
    assert_eq!(
        refused("POST /api/apis", wrapped(definition("a", "/c"))).await,
        (409, "Found API with the same ID".into())
    );
    assert_eq!(refused("POST /api/apis", json!({})).await.0, 400);
    let version = "version name header should be set with base API ID";
    assert_eq!(
        refused("POST /api/apis?base_api_id=a", wrapped(definition("v", "/v"))).await,
        (400, version.into())
    );
    let mut other = definition("a", "/a");
    other["id"] = json!("66ffffffffffffffffffffff");
    assert_eq!(
        refused("PUT /api/apis/a", wrapped(other)).await,
        (400, "Invalid `ID` value".into())
    );
    let (status, changed) = call(
        &dashboard,
        "PUT /api/apis/a",
        json!({"api_definition": definition("a", "/new")}),
    )
    .await;
    assert_eq!(
        (status, changed),
        (200, json!({"Status": "OK", "Message": "API updated", "Meta": null}))
    );
    let held = dashboard.record("a").unwrap();
    assert_eq!(held["api_definition"]["proxy"]["listen_path"], "/new");
    assert_eq!(held["user_owners"], json!([]), "what an update leaves out is gone");
    let (status, gone) = call(&dashboard, "DELETE /api/apis/a", Value::Null).await;
    assert_eq!(
        (status, gone),
        (200, json!({"Status": "OK", "Message": "API deleted", "Meta": null}))
    );
    assert_eq!(dashboard.record("a"), None);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let dashboard = start(Config {
        page_size: 2,
        ..Config::default()
    })
    .await;
    for id in ["a", "b", "c"] {
        call(&dashboard, "POST /api/apis", wrapped(definition(id, "/"))).await;
    }
    let ids = async |line: &str| {
        let (_, list) = call(&dashboard, line, Value::Null).await;
        let apis = list["apis"].as_array().unwrap();
        let ids: Vec<&str> = apis
            .iter()
            .map(|api| api["api_definition"]["api_id"].as_str().unwrap())
            .collect();
        (ids.join(""), list["pages"].as_u64().unwrap())
    };
    assert_eq!(ids("GET /api/apis").await, ("cb".into(), 2), "the newest first");
    assert_eq!(ids("GET /api/apis?p=2&sort=created_at").await, ("c".into(), 2));
    assert_eq!(ids("GET /api/apis?p=3").await, (String::new(), 2));
    assert_eq!(ids("GET /api/apis?p=-2").await, ("cba".into(), 1));
    let old = start(Config {
        page_size: 2,
        all_at_once: false,
        ..Config::default()
    })
    .await;
    for id in ["a", "b", "c"] {
        call(&old, "POST /api/apis", wrapped(definition(id, "/"))).await;
    }
    let (_, list) = call(&old, "GET /api/apis?p=-2", Value::Null).await;
    assert_eq!((list["apis"].as_array().unwrap().len(), &list["pages"]), (2, &json!(2)));
}

#[tokio::test]
async fn old_versions_give_their_own_id_and_addresses_can_be_unique() {
    let dashboard = start(Config {
        keeps_api_id: false,
        duplicate_slugs: false,
        ..Config::default()
    })
    .await;
    let (_, made) = call(&dashboard, "POST /api/apis", wrapped(definition("a", "/a"))).await;
    assert_eq!(made["ID"], Value::Null);
    assert_eq!(dashboard.record("a"), None);
    let database_id = made["Meta"].as_str().unwrap();
    let mut held = call(&dashboard, &format!("GET /api/apis/{database_id}"), Value::Null)
        .await
        .1;
    held["api_definition"]["api_id"] = json!("a");
    assert_eq!(
        call(&dashboard, &format!("PUT /api/apis/{database_id}"), held).await.0,
        200
    );
    assert_eq!(dashboard.record("a").unwrap()["api_definition"]["id"], database_id);
    let same = refused(&dashboard, "POST /api/apis", wrapped(definition("b", "/a"))).await;
    assert_eq!(same, (403, "Found API with same url".into()));
    let same = refused(&dashboard, "POST /api/apis/oas", document("b", "/a")).await;
    assert_eq!(same, (403, "Found API with same url.".into()));
}

#[tokio::test]
async fn owners_are_replaced_for_every_kind_of_api() {
    let dashboard = start(Config::default()).await;
    call(&dashboard, "POST /api/apis/oas", document("o", "/o")).await;
    let none = call(&dashboard, "GET /api/apis/o/access", Value::Null).await;
    assert_eq!(none, (200, json!({"userIds": [], "userGroupIds": []})));
    let set = call(&dashboard, "PUT /api/apis/o/access", json!({"userIds": ["u"]})).await;
    assert_eq!(
        set,
        (
            200,
            json!({"Status": "OK", "Message": "API access updated", "Meta": null})
        )
    );
    assert_eq!(
        call(&dashboard, "GET /api/apis/o/access", Value::Null).await.1["userIds"],
        json!(["u"])
    );
    let missing = (404, "API not found".to_owned());
    assert_eq!(
        refused(&dashboard, "GET /api/apis/x/access", Value::Null).await,
        missing
    );
    assert_eq!(refused(&dashboard, "PUT /api/apis/x/access", json!({})).await, missing);
    assert_eq!(refused(&dashboard, "PUT /api/apis/o/access", json!([])).await.0, 500);
}

#[tokio::test]
async fn oas_apis_are_plain_documents() {
    let dashboard = start(Config::default()).await;
    let (_, made) = call(&dashboard, "POST /api/apis/oas", document("o", "/o")).await;
    assert_eq!((&made["Message"], &made["ID"]), (&json!("API created"), &json!("o")));
    let (_, held) = call(&dashboard, "GET /api/apis/oas/o", Value::Null).await;
    assert_eq!(held["x-tyk-api-gateway"]["info"]["dbId"], made["Meta"]);
    assert_eq!(held["x-tyk-api-gateway"]["info"]["orgId"], "org");
    let list = call(&dashboard, "GET /api/apis?p=-2", Value::Null).await.1;
    assert_eq!(list["apis"][0]["api_definition"]["is_oas"], true);
    let refused = async |line: &str, body: Value| refused(&dashboard, line, body).await;
    assert_eq!(
        refused("GET /api/apis/oas/x", Value::Null).await,
        (400, "Could not retrieve API detail.".into())
    );
    assert_eq!(
        refused("PUT /api/apis/oas/x", document("x", "/x")).await,
        (404, "API definition does not exist".into())
    );
    assert_eq!(
        refused("DELETE /api/apis/oas/x", Value::Null).await,
        (404, "Could not retrieve API detail.".into())
    );
    assert_eq!(
        refused("POST /api/apis/oas", document("o", "/x")).await,
        (409, "Found API with the same ID.".into())
    );
    assert_eq!(
        refused("POST /api/apis/oas", json!([])).await,
        (400, "Couldn't read body.".into())
    );
    let without = json!({"openapi": "3.0.3"});
    assert_eq!(
        refused("POST /api/apis/oas", without).await,
        (400, "The payload should contain x-tyk-api-gateway.".into())
    );
    let bad = json!({"openapi": "3.0.3", "x-tyk-api-gateway": {}});
    assert_eq!(
        refused("POST /api/apis/oas", bad.clone()).await,
        (500, "Error while validating schema.".into())
    );
    assert_eq!(
        refused("POST /api/apis/oas/dry-run", bad).await,
        (500, "Error while validating schema.".into())
    );
    let (status, dry) = call(&dashboard, "POST /api/apis/oas/dry-run", document("d", "/d")).await;
    assert_eq!((status, dry["info"]["title"].as_str()), (200, Some("d")));
    assert_eq!(dashboard.record("d"), None);
    assert_eq!(
        call(&dashboard, "PUT /api/apis/oas/o", document("o", "/new")).await.1["Message"],
        "API updated."
    );
    let set = call(
        &dashboard,
        "PUT /api/apis/oas/o/categories",
        json!({"categories": ["c"]}),
    )
    .await;
    assert_eq!(set.1["Message"], "API categories updated.");
    assert_eq!(
        call(&dashboard, "GET /api/apis/oas/o/categories", Value::Null).await.1,
        json!({"categories": ["c"]})
    );
    assert_eq!(
        refused("PUT /api/apis/oas/x/categories", json!({})).await,
        (404, "API not found".into())
    );
    assert_eq!(refused("PUT /api/apis/oas/o/categories", json!({})).await.0, 400);
    assert_eq!(
        call(&dashboard, "DELETE /api/apis/oas/o", Value::Null).await.1["Message"],
        "API deleted."
    );
}

#[tokio::test]
async fn streams_need_their_content_type_and_a_licence() {
    let mut stream = document("s", "/s");
    stream["x-tyk-streaming"] = json!({});
    let post = async |dashboard: &Dashboard, content_type: &str, body: &Value| {
        let sent = send(
            dashboard,
            "key",
            "POST /api/apis/streams",
            content_type,
            body.to_string(),
        )
        .await;
        answer(sent.unwrap()).await
    };
    const STREAMS: &str = "application/vnd.tyk.streams.oas";
    let dashboard = start(Config::default()).await;
    assert_eq!(post(&dashboard, "application/json", &stream).await.0, 400);
    let (status, refusal) = post(&dashboard, STREAMS, &document("s", "/s")).await;
    let message = "The payload should contain x-tyk-api-gateway and/or x-tyk-streaming.";
    assert_eq!((status, &refusal["Message"]), (400, &json!(message)));
    assert_eq!(post(&dashboard, STREAMS, &stream).await.1["ID"], "s");
    let unlicensed = start(Config {
        streams: false,
        ..Config::default()
    })
    .await;
    let (status, refusal) = post(&unlicensed, STREAMS, &stream).await;
    let message = "Your license does not support adding/ modifying streams API configuration.";
    assert_eq!((status, &refusal["Message"]), (403, &json!(message)));
}

#[tokio::test]
async fn mcp_proxies_have_less_middleware_and_a_list_of_their_own() {
    let dashboard = start(Config::default()).await;
    let (_, made) = call(&dashboard, "POST /api/mcps", document("m", "/m")).await;
    assert_eq!(
        made,
        json!({"Status": "OK", "Message": "MCP Proxy definition created", "ID": "m"})
    );
    for name in ["urlRewrite", "cache", "mockResponse"] {
        let mut bad = document("x", "/x");
        bad["x-tyk-api-gateway"]["middleware"] = json!({"operations": {"op": {name: {"enabled": true}}}});
        assert_eq!(refused(&dashboard, "POST /api/mcps", bad).await.0, 400, "{name}");
    }
    let without = refused(&dashboard, "POST /api/mcps", json!({})).await;
    assert_eq!(without, (400, "the payload should contain x-tyk-api-gateway".into()));
    assert_eq!(refused(&dashboard, "GET /api/mcps/x", Value::Null).await.0, 404);
    call(&dashboard, "POST /api/apis", wrapped(definition("a", "/a"))).await;
    assert_eq!(refused(&dashboard, "GET /api/mcps/a", Value::Null).await.0, 400);
    let (_, list) = call(&dashboard, "GET /api/mcps", Value::Null).await;
    assert_eq!((list["mcps"].as_array().unwrap().len(), &list["pages"]), (1, &json!(1)));
    let old = start(Config {
        mcps: false,
        ..Config::default()
    })
    .await;
    assert_eq!(call(&old, "POST /api/mcps", document("m", "/m")).await.0, 404);
}

#[tokio::test]
async fn policies_are_known_by_the_id_of_the_database() {
    let dashboard = start(Config::default()).await;
    let policy = json!({"id": "p", "name": "gold", "active": true, "access_rights": {}});
    let (_, made) = call(&dashboard, "POST /api/portal/policies", policy.clone()).await;
    assert_eq!((&made["Status"], &made["Meta"]), (&json!("OK"), &Value::Null));
    let database_id = made["Message"].as_str().unwrap();
    let one = format!("/api/portal/policies/{database_id}");
    let (_, held) = call(&dashboard, &format!("GET {one}"), Value::Null).await;
    assert_eq!((&held["_id"], &held["id"]), (&json!(database_id), &json!("p")));
    let (_, list) = call(&dashboard, "GET /api/portal/policies?p=-2", Value::Null).await;
    assert_eq!(list, json!({"Data": [held], "Pages": 1}));
    let refused = async |line: &str, body: Value| refused(&dashboard, line, body).await;
    assert_eq!(
        refused("POST /api/portal/policies", policy.clone()).await,
        (
            400,
            "This policy name has already been used. Enter a unique policy name.".into()
        )
    );
    assert_eq!(
        refused("GET /api/portal/policies/p", Value::Null).await,
        (400, "Invalid policy ID.".into())
    );
    let none = "/api/portal/policies/66ffffffffffffffffffffff";
    let missing = (404, "Could not retrieve portal object.".to_owned());
    assert_eq!(refused(&format!("GET {none}"), Value::Null).await, missing);
    assert_eq!(refused(&format!("PUT {none}"), policy.clone()).await, missing);
    assert_eq!(
        refused(&format!("DELETE {none}"), Value::Null).await,
        (404, "Could not retrieve object for deletion".into())
    );
    assert_eq!(
        refused("POST /api/portal/policies", json!([])).await,
        (403, "Request body malformed.".into())
    );
    assert_eq!(
        call(&dashboard, &format!("PUT {one}"), policy.clone()).await.1["Message"],
        "Data updated"
    );
    assert_eq!(
        call(&dashboard, &format!("DELETE {one}"), Value::Null).await.1["Message"],
        "Data deleted"
    );
    let strict = start(Config {
        explicit_policy_id: false,
        ..Config::default()
    })
    .await;
    let database_id = call(&strict, "POST /api/portal/policies", policy).await.1["Message"].clone();
    let list = call(&strict, "GET /api/portal/policies?p=-2", Value::Null).await.1;
    assert_eq!(list["Data"][0]["id"], database_id);
}

#[tokio::test]
async fn certificates_come_as_a_form() {
    let dashboard = start(Config::default()).await;
    let (pem, id) = certificate();
    let form = |pem: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"cert\"; filename=\"cert.pem\"\r\n\r\n{pem}\r\n--b--\r\n")
    };
    let post = async |body: String| {
        let sent = send(
            &dashboard,
            "key",
            "POST /api/certs",
            "multipart/form-data; boundary=b",
            body,
        )
        .await;
        answer(sent.unwrap()).await
    };
    assert_eq!(
        post(form(&pem)).await,
        (200, json!({"id": id, "message": "Certificate added.", "status": "ok"}))
    );
    let (status, again) = post(form(&pem)).await;
    let message = format!("Could not create certificate. Certificate with {id} already exists.");
    assert_eq!((status, &again["Message"]), (404, &json!(message)));
    assert_eq!(post(form("no certificate")).await.0, 404);
    assert_eq!(post("no form".into()).await.0, 500);
    let one = format!("/api/certs/{id}");
    assert_eq!(
        call(&dashboard, "GET /api/certs?p=-2", Value::Null).await.1,
        json!({"certs": [id], "pages": 1})
    );
    assert_eq!(
        call(&dashboard, &format!("GET {one}"), Value::Null).await.1["id"],
        json!(id)
    );
    let mut using = definition("a", "/a");
    using["certificates"] = json!([id]);
    call(&dashboard, "POST /api/apis", wrapped(using)).await;
    let (_, users) = call(&dashboard, &format!("GET {one}/apis"), Value::Null).await;
    assert_eq!(users["apis"][0]["api_id"], "a");
    assert_eq!(
        call(&dashboard, &format!("DELETE {one}"), Value::Null).await.1["status"],
        "ok"
    );
    let refused = async |line: String| refused(&dashboard, &line, Value::Null).await;
    assert_eq!(
        refused(format!("DELETE {one}")).await,
        (404, "Could not delete certificate.".into())
    );
    assert_eq!(refused(format!("GET {one}")).await.0, 404);
    assert_eq!(
        refused(format!("GET {one}/apis")).await,
        (404, "Certificate not found or access denied".into())
    );
    assert_eq!(
        refused("GET /api/certs/stranger".into()).await,
        (400, "Attempted access to non-owned certificate.".into())
    );
}

#[tokio::test]
async fn the_portal_has_one_catalogue_one_configuration_and_documentation() {
    let dashboard = start(Config::default()).await;
    for path in ["/api/portal/catalogue/", "/api/portal/configuration"] {
        assert_eq!(refused(&dashboard, &format!("GET {path}"), Value::Null).await.0, 404);
        assert_eq!(
            refused(&dashboard, &format!("PUT {path}"), json!({"id": "x"})).await.0,
            404
        );
        let (_, made) = call(&dashboard, &format!("POST {path}"), json!({"org_id": "org"})).await;
        let wanted = json!({"id": made["Message"], "org_id": "org", "x": [1]});
        assert_eq!(call(&dashboard, &format!("PUT {path}"), wanted.clone()).await.0, 200);
        assert_eq!(call(&dashboard, &format!("GET {path}"), Value::Null).await.1, wanted);
        assert_eq!(refused(&dashboard, &format!("POST {path}"), json!({})).await.0, 400);
        assert_eq!(
            refused(&dashboard, &format!("PUT {path}"), json!({"id": "other"}))
                .await
                .0,
            400
        );
    }
    let text = json!({"api_id": "p", "doc_type": "swagger", "documentation": "e30="});
    let (_, made) = call(&dashboard, "POST /api/portal/documentation/", text).await;
    let one = format!("DELETE /api/portal/documentation/{}", made["Message"].as_str().unwrap());
    assert_eq!(call(&dashboard, &one, Value::Null).await.0, 200);
    assert_eq!(refused(&dashboard, &one, Value::Null).await.0, 404);
}

#[tokio::test]
async fn calls_fail_on_demand() {
    let dashboard = start(Config::default()).await;
    for status in [401, 403, 409, 500] {
        dashboard
            .faults()
            .fail_next(1, "GET", "/api/apis", Failure::Status(status));
        assert_eq!(refused(&dashboard, "GET /api/apis", Value::Null).await.0, status);
    }
    dashboard.faults().fail_next(1, "", "/api", Failure::Busy(7));
    let busy = send(&dashboard, "key", "GET /api/apis", "", String::new())
        .await
        .unwrap();
    assert_eq!(
        (busy.status().as_u16(), busy.headers()["retry-after"].to_str().unwrap()),
        (429, "7")
    );
    dashboard.faults().fail_next(1, "POST", "/api/apis", Failure::Reset);
    dashboard
        .faults()
        .fail_next(1, "POST", "/api/apis", Failure::ResetAfter);
    for made in [false, true] {
        let body = wrapped(definition("a", "/a")).to_string();
        assert!(
            send(&dashboard, "key", "POST /api/apis", "application/json", body)
                .await
                .is_err()
        );
        assert_eq!(dashboard.record("a").is_some(), made);
    }
    dashboard
        .faults()
        .fail_next(1, "GET", "/api/apis", Failure::Delay(Duration::from_millis(50)));
    let started = std::time::Instant::now();
    assert_eq!(call(&dashboard, "GET /api/apis", Value::Null).await.0, 200);
    assert!(started.elapsed() >= Duration::from_millis(50));
    let statuses: Vec<u16> = dashboard.calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [401, 403, 409, 500, 429, 0, 0, 200]);
    dashboard.down().await;
    assert!(
        send(&dashboard, "key", "GET /api/apis", "", String::new())
            .await
            .is_err()
    );
    dashboard.up().await.unwrap();
    assert_eq!(
        call(&dashboard, "GET /api/apis/a", Value::Null).await.0,
        200,
        "what is stored stays"
    );
}

#[tokio::test]
async fn an_attached_gateway_serves_active_apis_without_a_reload_call() {
    let dashboard = start(Config::default()).await;
    let gateway = Gateway::start(sim::Config::default()).await.unwrap();
    let held = async || {
        let list = reqwest::Client::new()
            .get(format!("{}/tyk/apis", gateway.url()))
            .header("x-tyk-authorization", "foo");
        let list: Vec<Value> = list.send().await.unwrap().json().await.unwrap();
        list.iter()
            .map(|api| api["api_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join("")
    };
    let served = async |path: &str| {
        let answer = reqwest::get(format!("{}{path}", gateway.ingress_url())).await.unwrap();
        answer.status().as_u16() != 404
    };
    call(&dashboard, "POST /api/apis", wrapped(definition("a", "/a"))).await;
    dashboard.attach(&gateway).await;
    assert!(served("/a").await, "what was stored before");
    call(&dashboard, "POST /api/apis/oas", document("o", "/o")).await;
    let mut sleeping = definition("s", "/s");
    sleeping["active"] = json!(false);
    call(&dashboard, "POST /api/apis", wrapped(sleeping)).await;
    assert_eq!(held().await, "ao");
    assert!(served("/o").await && !served("/s").await);
    let (pem, id) = certificate();
    let form = format!("--b\r\nContent-Disposition: form-data; name=\"cert\"\r\n\r\n{pem}\r\n--b--\r\n");
    send(
        &dashboard,
        "key",
        "POST /api/certs",
        "multipart/form-data; boundary=b",
        form,
    )
    .await
    .unwrap();
    let certificate = format!("{}/tyk/certs/{id}", gateway.url());
    let certificate = reqwest::Client::new()
        .get(certificate)
        .header("x-tyk-authorization", "foo");
    assert_eq!(certificate.send().await.unwrap().status().as_u16(), 200);
    call(&dashboard, "POST /api/portal/policies", json!({"id": "p", "name": "p"})).await;
    let policy = reqwest::Client::new()
        .get(format!("{}/tyk/policies/p", gateway.url()))
        .header("x-tyk-authorization", "foo");
    assert_eq!(policy.send().await.unwrap().status().as_u16(), 200);
    for (line, left) in [("DELETE /api/apis/a", "o"), ("DELETE /api/apis/oas/o", "")] {
        call(&dashboard, line, Value::Null).await;
        assert_eq!(held().await, left);
    }
    assert!(!served("/a").await);
    assert!(!gateway.calls().iter().any(|call| call.path.contains("reload")));
}
