//! The client of a Dashboard against a simulated one.
#![allow(clippy::unwrap_used)]

mod dashboard_support;

use std::collections::BTreeSet;
use std::time::Duration;

use dashboard_support::{certificate, definition, document};
use proptest::prelude::*;
use serde_json::{Value, json};
use tyk_ingress::secret::Secret;
use tyk_ingress::sim::dashboard::{self as sim, Config, Failure, Permission, User};
use tyk_ingress::tyk::certs::Added;
use tyk_ingress::tyk::dashboard::{Dashboard, Deleted, DocumentKind, Documentation, Owners, Record, Written, managed};
use tyk_ingress::tyk::{Endpoint, Error, Kind};

/// A Dashboard, and a client with the key of its first user.
async fn start(config: Config) -> (sim::Dashboard, Dashboard) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = config.users[0].key.clone();
    let server = sim::Dashboard::start(config).await.unwrap();
    let client = client(&server, &key);
    (server, client)
}

fn client(server: &sim::Dashboard, key: &str) -> Dashboard {
    Dashboard::new(Endpoint::new(server.url(), key)).unwrap()
}

fn nothing() -> BTreeSet<String> {
    BTreeSet::new()
}

fn writes(server: &sim::Dashboard) -> Vec<String> {
    let calls = server.calls().into_iter().filter(|call| call.method != "GET");
    calls
        .map(|call| format!("{} {} {}", call.method, call.path, call.status))
        .collect()
}

#[tokio::test]
async fn a_classic_api_is_made_under_its_id_by_new_and_old_dashboards() {
    for keeps_api_id in [true, false] {
        let (server, client) = start(Config {
            keeps_api_id,
            ..Config::default()
        })
        .await;
        let owners = Owners::new(["u"], ["g"]);
        let written = client
            .write_api(&definition("a", "/a"), &owners, &nothing())
            .await
            .unwrap();
        assert_eq!(written, Written::Created);
        let held = client.api("a").await.unwrap().unwrap();
        assert_eq!(
            (held.api_id(), held.owners(), held.is_oas()),
            ("a", owners, false),
            "{keeps_api_id}"
        );
        assert_eq!(client.api(held.database_id()).await.unwrap(), Some(held));
        assert_eq!(client.list_apis().await.unwrap().into_keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(writes(&server).len(), if keeps_api_id { 1 } else { 2 });
    }
}

#[tokio::test]
async fn an_old_dashboard_that_refuses_the_id_keeps_no_stray() {
    let (server, client) = start(Config {
        keeps_api_id: false,
        ..Config::default()
    })
    .await;
    server.faults().fail_next(1, "PUT", "/api/apis", Failure::Status(500));
    let error = client
        .write_api(&definition("a", "/a"), &Owners::default(), &nothing())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(client.list_apis().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_api_that_is_there_is_taken_over_and_keeps_what_is_not_ours() {
    let (server, client) = start(Config::default()).await;
    let owners = Owners::new(["u"], []);
    let mut first = definition("a", "/a");
    first["tags"] = json!(["edge"]);
    client.write_api(&first, &owners, &nothing()).await.unwrap();
    server.set_field("a", "hook_references", json!([{"event_name": "QuotaExceeded"}]));
    server.set_field("a", "of_a_later_version", json!({"x": 1}));
    let before = server.record("a").unwrap();
    let mut second = definition("a", "/new");
    second["id"] = json!("66ffffffffffffffffffffff");
    let written = client
        .write_api(&second, &Owners::default(), &managed(Record::Classic, &first))
        .await
        .unwrap();
    assert_eq!(written, Written::Updated);
    let after = server.record("a").unwrap();
    assert_eq!(after["api_definition"]["proxy"]["listen_path"], "/new");
    assert_eq!(
        after["api_definition"]["tags"],
        Value::Null,
        "ours, and not wanted any more"
    );
    assert_eq!(after["api_definition"]["id"], before["api_definition"]["id"]);
    for field in ["user_owners", "hook_references", "of_a_later_version", "created_at"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    client
        .write_api(&second, &Owners::new(["v"], ["g"]), &nothing())
        .await
        .unwrap();
    assert_eq!(client.owners("a").await.unwrap(), Some(Owners::new(["u", "v"], ["g"])));
}

#[tokio::test]
async fn conflicts_of_apis_are_told_as_such() {
    let (_server, client) = start(Config {
        duplicate_slugs: false,
        ..Config::default()
    })
    .await;
    let write = async |definition: Value| client.write_api(&definition, &Owners::default(), &nothing()).await;
    write(definition("a", "/a")).await.unwrap();
    let error = write(definition("b", "/a")).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (Kind::Conflict, Some(403)), "{error}");
    client
        .write_document(DocumentKind::Oas, &document("o", "/o"), &Owners::default(), &nothing())
        .await
        .unwrap();
    assert_eq!(
        write(definition("o", "/c")).await.unwrap_err().kind(),
        Kind::Conflict,
        "it has a document"
    );
    let oas = client
        .write_document(DocumentKind::Oas, &document("a", "/c"), &Owners::default(), &nothing())
        .await;
    assert_eq!(oas.unwrap_err().kind(), Kind::Rejected, "it has none");
    let nameless = write(json!({"name": "x"})).await.unwrap_err();
    assert_eq!(nameless.kind(), Kind::Rejected);
}

#[tokio::test]
async fn documents_of_every_kind_are_made_changed_and_deleted_with_owners() {
    let (server, client) = start(Config::default()).await;
    for (kind, id) in [
        (DocumentKind::Oas, "o"),
        (DocumentKind::Streams, "s"),
        (DocumentKind::Mcp, "m"),
    ] {
        let mut wanted = document(id, "/x");
        wanted["x-tyk-streaming"] = json!({});
        let owners = Owners::new(["u"], ["g"]);
        let write = async |wanted: &Value, owners: &Owners| {
            client
                .write_document(kind, wanted, owners, &managed(Record::Document, wanted))
                .await
        };
        assert_eq!(write(&wanted, &owners).await.unwrap(), Written::Created, "{kind:?}");
        assert_eq!(client.owners(id).await.unwrap(), Some(owners.clone()));
        let held = client.document(kind, id).await.unwrap().unwrap();
        wanted["x-tyk-api-gateway"]["upstream"]["url"] = json!("http://127.0.0.1:2/");
        assert_eq!(write(&wanted, &Owners::default()).await.unwrap(), Written::Updated);
        let changed = client.document(kind, id).await.unwrap().unwrap();
        assert_eq!(
            changed["x-tyk-api-gateway"]["upstream"],
            wanted["x-tyk-api-gateway"]["upstream"]
        );
        assert_eq!(
            changed["x-tyk-api-gateway"]["info"], held["x-tyk-api-gateway"]["info"],
            "ids stay"
        );
        assert_eq!(client.owners(id).await.unwrap(), Some(owners), "so do owners");
        assert_eq!(
            client.list_mcps().await.unwrap().contains_key(id),
            kind == DocumentKind::Mcp
        );
        assert_eq!(client.delete_document(kind, id).await.unwrap(), Deleted::Now);
        assert_eq!(client.delete_document(kind, id).await.unwrap(), Deleted::Before);
        assert_eq!(client.document(kind, id).await.unwrap(), None);
    }
    assert!(!server.calls().iter().any(|call| call.path.contains("reload")));
}

#[tokio::test]
async fn categories_and_dry_runs_are_of_oas_apis() {
    let (_server, client) = start(Config::default()).await;
    assert_eq!(
        client.dry_run(&document("o", "/o")).await.unwrap()["info"]["title"],
        "o"
    );
    let refused = client
        .dry_run(&json!({"openapi": "3.0.3", "x-tyk-api-gateway": {}}))
        .await
        .unwrap_err();
    assert_eq!((refused.kind(), refused.status()), (Kind::Rejected, Some(500)));
    assert_eq!(client.categories("o").await.unwrap(), None, "nothing was stored");
    client
        .write_document(DocumentKind::Oas, &document("o", "/o"), &Owners::default(), &nothing())
        .await
        .unwrap();
    let wanted = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
    client.set_categories("o", &wanted).await.unwrap();
    assert_eq!(client.categories("o").await.unwrap(), Some(wanted.clone()));
    assert_eq!(
        client.set_categories("x", &wanted).await.unwrap_err().kind(),
        Kind::NotFound
    );
}

#[tokio::test]
async fn what_the_licence_or_the_version_lacks_is_told() {
    let (_server, client) = start(Config {
        streams: false,
        mcps: false,
        ..Config::default()
    })
    .await;
    let mut stream = document("s", "/s");
    stream["x-tyk-streaming"] = json!({});
    let error = client
        .write_document(DocumentKind::Streams, &stream, &Owners::default(), &nothing())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unlicensed);
    assert!(error.to_string().contains("licence"), "{error}");
    let error = client.document(DocumentKind::Mcp, "m").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed, "no route is no absence: {error}");
    assert_eq!(client.list_mcps().await.unwrap_err().kind(), Kind::Malformed);
}

#[tokio::test]
async fn keys_without_rights_are_told_apart_from_wrong_keys() {
    let reader = User::limited("reader-key", "org", [("apis", Permission::Read)]);
    let (server, client) = start(Config {
        users: vec![reader],
        ..Config::default()
    })
    .await;
    assert!(client.list_apis().await.unwrap().is_empty());
    let error = client
        .write_api(&definition("a", "/a"), &Owners::default(), &nothing())
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.status()), (Kind::Forbidden, Some(403)));
    assert!(
        error.to_string().contains("/api/apis") && error.to_string().contains("permission"),
        "{error}"
    );
    assert_eq!(client.list_policies().await.unwrap_err().kind(), Kind::Forbidden);
    assert_eq!(client.list_certificates().await.unwrap_err().kind(), Kind::Forbidden);
    let error = self::client(&server, "hunter2").list_apis().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (Kind::Unauthorized, Some(401)));
    assert!(
        error.to_string().contains("TYK_AUTH") && !error.to_string().contains("hunter2"),
        "{error}"
    );
}

#[tokio::test]
async fn lists_are_read_whole_from_dashboards_that_only_give_pages() {
    for all_at_once in [true, false] {
        let (server, client) = start(Config {
            page_size: 2,
            all_at_once,
            ..Config::default()
        })
        .await;
        assert!(client.list_apis().await.unwrap().is_empty());
        for number in 0..5 {
            let id = number.to_string();
            client
                .write_api(&definition(&id, "/"), &Owners::default(), &nothing())
                .await
                .unwrap();
            client.create_policy(&json!({"id": id, "name": id})).await.unwrap();
            client
                .write_document(
                    DocumentKind::Mcp,
                    &document(&format!("m{id}"), "/"),
                    &Owners::default(),
                    &nothing(),
                )
                .await
                .unwrap();
            client.add_certificate(&Secret::new(certificate().0)).await.unwrap();
        }
        assert_eq!(client.list_apis().await.unwrap().len(), 5);
        assert_eq!(client.list_policies().await.unwrap().len(), 5);
        assert_eq!(client.list_mcps().await.unwrap().len(), 5);
        assert_eq!(client.list_certificates().await.unwrap().len(), 5);
        if !all_at_once {
            server
                .faults()
                .fail_next(1, "GET", "/api/apis?sort=created_at&p=3", Failure::Status(404));
            assert_eq!(
                client.list_apis().await.unwrap_err().kind(),
                Kind::Unavailable,
                "no half a list"
            );
        }
    }
}

#[tokio::test]
async fn policies_keep_their_id_of_the_database() {
    let (_server, client) = start(Config::default()).await;
    let gold = json!({"id": "p", "_id": "mine", "name": "gold", "access_rights": {"a": {"api_id": "a"}, "b": {"api_id": "b"}}});
    let database_id = client.create_policy(&gold).await.unwrap();
    let held = client.find_policy("p").await.unwrap().unwrap();
    assert_eq!((held.id(), held.database_id()), ("p", database_id.as_str()));
    assert_eq!(
        client.find_policy(&database_id).await.unwrap(),
        Some(held.clone()),
        "as somebody who takes it over writes it"
    );
    assert_eq!(client.find_policy("x").await.unwrap(), None);
    let silver = json!({"id": "p", "name": "silver", "access_rights": {"a": {"api_id": "a"}}});
    client
        .update_policy(&database_id, &silver, &managed(Record::Flat, &gold))
        .await
        .unwrap();
    let changed = client.policy(&database_id).await.unwrap().unwrap();
    assert_eq!((changed.id(), changed.database_id()), ("p", database_id.as_str()));
    assert_eq!(
        changed.fields()["access_rights"],
        silver["access_rights"],
        "a right that is taken away is gone"
    );
    let error = client
        .create_policy(&json!({"id": "q", "name": "silver"}))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.status()), (Kind::Conflict, Some(400)), "{error}");
    assert_eq!(client.delete_policy(&changed).await.unwrap(), Deleted::Now);
    assert_eq!(client.delete_policy(&changed).await.unwrap(), Deleted::Before);
    assert_eq!(client.policy(&database_id).await.unwrap(), None);
    assert_eq!(
        client
            .update_policy(&database_id, &silver, &nothing())
            .await
            .unwrap_err()
            .kind(),
        Kind::NotFound
    );
    assert_eq!(
        client.policy("no-hex").await.unwrap_err().kind(),
        Kind::Rejected,
        "no answer to whether it is there"
    );
}

#[tokio::test]
async fn a_right_is_not_left_in_the_other_form_of_rights() {
    let (_server, client) = start(Config::default()).await;
    let both = json!({"id": "p", "name": "n", "access_rights": {"a": {}}, "access_rights_array": [{"api_id": "a"}, {"api_id": "b"}]});
    let database_id = client.create_policy(&both).await.unwrap();
    let wanted = json!({"id": "p", "name": "n", "access_rights": {"a": {}}});
    client.update_policy(&database_id, &wanted, &nothing()).await.unwrap();
    let held = client.policy(&database_id).await.unwrap().unwrap();
    assert_eq!(held.fields().get("access_rights_array"), None);
}

#[tokio::test]
async fn a_dashboard_that_does_not_keep_ids_of_policies_is_told_and_keeps_no_stray() {
    let (_server, client) = start(Config {
        explicit_policy_id: false,
        ..Config::default()
    })
    .await;
    let error = client
        .create_policy(&json!({"id": "p", "name": "n"}))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Rejected);
    assert!(error.to_string().contains("allow_explicit_policy_id"), "{error}");
    assert!(client.list_policies().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_policy_of_the_catalogue_is_not_deleted() {
    let (server, client) = start(Config::default()).await;
    let database_id = client.create_policy(&json!({"id": "p", "name": "n"})).await.unwrap();
    let policy = client.policy(&database_id).await.unwrap().unwrap();
    for policy_id in ["p", database_id.as_str()] {
        client
            .write_catalogue(&json!({"apis": [{"policy_id": policy_id}]}), &nothing())
            .await
            .unwrap();
        let error = client.delete_policy(&policy).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        assert!(
            error.to_string().contains("cannot delete policy due to catalogue"),
            "{error}"
        );
    }
    server
        .faults()
        .fail_next(1, "GET", "/api/portal/catalogue", Failure::Status(500));
    assert_eq!(
        client.delete_policy(&policy).await.unwrap_err().kind(),
        Kind::Unavailable
    );
    assert!(client.policy(&database_id).await.unwrap().is_some());
    client.write_catalogue(&json!({"apis": []}), &nothing()).await.unwrap();
    assert_eq!(client.delete_policy(&policy).await.unwrap(), Deleted::Now);
}

#[tokio::test]
async fn certificates_are_stored_once() {
    let (server, client) = start(Config::default()).await;
    let (pem, id) = certificate();
    let pem = Secret::new(pem);
    assert!(client.certificate_users(&id).await.unwrap().is_empty());
    assert_eq!(client.add_certificate(&pem).await.unwrap(), Added::Stored(id.clone()));
    assert_eq!(client.add_certificate(&pem).await.unwrap(), Added::Existed);
    assert_eq!(client.list_certificates().await.unwrap(), BTreeSet::from([id.clone()]));
    assert!(
        !client
            .certificate(&id)
            .await
            .unwrap()
            .unwrap()
            .to_string()
            .contains("PRIVATE")
    );
    let mut using = definition("a", "/a");
    using["certificates"] = json!([id]);
    client.write_api(&using, &Owners::default(), &nothing()).await.unwrap();
    assert_eq!(
        client.certificate_users(&id).await.unwrap(),
        BTreeSet::from(["a".to_owned()])
    );
    let bad = client
        .add_certificate(&Secret::new("no certificate"))
        .await
        .unwrap_err();
    assert_eq!((bad.kind(), bad.status()), (Kind::Rejected, Some(404)));
    assert!(bad.to_string().contains("PEM"), "{bad}");
    server
        .faults()
        .fail_next(1, "DELETE", "/api/certs", Failure::Status(404));
    assert!(client.delete_certificate(&id).await.is_err(), "404, and it is there");
    assert_eq!(client.delete_certificate(&id).await.unwrap(), Deleted::Now);
    assert_eq!(client.delete_certificate(&id).await.unwrap(), Deleted::Before);
    assert_eq!(client.certificate(&id).await.unwrap(), None);
}

#[tokio::test]
async fn the_portal_keeps_ids_and_fields_of_others() {
    let (_server, client) = start(Config::default()).await;
    assert_eq!(client.catalogue().await.unwrap(), None);
    let first = json!({"org_id": "org", "email": "a@example.org", "apis": [{"name": "one"}]});
    assert_eq!(
        client.write_catalogue(&first, &nothing()).await.unwrap(),
        Written::Created
    );
    let id = client.catalogue().await.unwrap().unwrap()["id"].clone();
    let second = json!({"id": "other", "apis": []});
    assert_eq!(
        client.write_catalogue(&second, &nothing()).await.unwrap(),
        Written::Updated
    );
    let held = client.catalogue().await.unwrap().unwrap();
    assert_eq!(
        held,
        json!({"id": id, "org_id": "org", "email": "a@example.org", "apis": []})
    );
    assert_eq!(client.portal_configuration().await.unwrap(), None);
    client
        .write_portal_configuration(&json!({"enable_dcr": true}), &nothing())
        .await
        .unwrap();
    client
        .write_portal_configuration(&json!({"enable_dcr": false}), &nothing())
        .await
        .unwrap();
    assert_eq!(
        client.portal_configuration().await.unwrap().unwrap()["enable_dcr"],
        false
    );
    let text = Documentation {
        policy_id: "p".into(),
        doc_type: "swagger".into(),
        documentation: "e30=".into(),
    };
    let id = client.add_documentation(&text).await.unwrap();
    assert_eq!(client.delete_documentation(&id).await.unwrap(), Deleted::Now);
    assert_eq!(client.delete_documentation(&id).await.unwrap(), Deleted::Before);
}

#[tokio::test]
async fn failures_have_their_kind() {
    let (server, client) = start(Config::default()).await;
    for (status, kind) in [
        (401, Kind::Unauthorized),
        (403, Kind::Forbidden),
        (409, Kind::Conflict),
        (500, Kind::Unavailable),
        (503, Kind::Unavailable),
        (400, Kind::Rejected),
    ] {
        server.faults().fail_next(1, "", "/api", Failure::Status(status));
        let error = client.list_apis().await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, Some(status)));
    }
    server.faults().fail_next(1, "", "/api", Failure::Busy(7));
    let error = client.list_apis().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.wait()),
        (Kind::Unavailable, Some(Duration::from_secs(7)))
    );
    assert!(error.is_retryable());
    server
        .faults()
        .fail_next(1, "", "/api", Failure::Delay(Duration::from_secs(5)));
    let mut hasty = Endpoint::new(server.url(), "key");
    hasty.timeouts.request = Duration::from_millis(100);
    let error = Dashboard::new(hasty).unwrap().list_apis().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    server.faults().clear();
    server.faults().fail_next(1, "GET", "/api", Failure::Reset);
    assert_eq!(client.list_apis().await.unwrap_err().kind(), Kind::Unreachable);
}

#[tokio::test]
async fn owners_that_hide_an_api_from_us_are_told() {
    let writer = User::limited("writer", "org", [("apis", Permission::Write)]);
    let own_id = writer.id.clone();
    let (_server, client) = start(Config {
        users: vec![writer],
        ..Config::default()
    })
    .await;
    let others = Owners::new(["somebody"], []);
    let error = client
        .write_api(&definition("a", "/a"), &others, &nothing())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Forbidden, "{error}");
    let document = document("o", "/o");
    let error = client
        .write_document(DocumentKind::Oas, &document, &others, &nothing())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Forbidden, "{error}");
    let with_us = Owners::new(["somebody", own_id.as_str()], []);
    client
        .write_api(&definition("b", "/b"), &with_us, &nothing())
        .await
        .unwrap();
    assert_eq!(client.owners("b").await.unwrap(), Some(with_us));
}

/// Every answer but the Dashboard's own word that there is no such object leaves a deletion open.
#[tokio::test]
async fn only_a_proven_absence_counts_as_gone() {
    let (server, client) = start(Config::default()).await;
    let write = async || {
        client
            .write_api(&definition("a", "/a"), &Owners::default(), &nothing())
            .await
    };
    write().await.unwrap();
    let failures = [400, 401, 403, 409, 429, 500, 502, 503].map(Failure::Status);
    for failure in failures.into_iter().chain([Failure::Busy(1), Failure::Reset]) {
        server.faults().fail_next(1, "DELETE", "/api/apis/a", failure);
        let answer: Result<Deleted, Error> = client.delete_api("a").await;
        assert!(answer.is_err(), "{failure:?}: {answer:?}");
        server.faults().fail_next(1, "GET", "/api/apis/a", failure);
        assert!(client.api("a").await.is_err(), "{failure:?}");
        assert!(server.record("a").is_some());
    }
    server.down().await;
    assert_eq!(client.delete_api("a").await.unwrap_err().kind(), Kind::Unreachable);
    assert_eq!(client.api("a").await.unwrap_err().kind(), Kind::Unreachable);
    server.up().await.unwrap();
    server
        .faults()
        .fail_next(1, "DELETE", "/api/apis/a", Failure::ResetAfter);
    assert!(
        client.delete_api("a").await.is_err(),
        "it is gone, and nobody has said so"
    );
    assert_eq!(client.delete_api("a").await.unwrap(), Deleted::Before);
    assert_eq!(client.api("a").await.unwrap(), None);
    assert!(client.list_apis().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_write_that_broke_after_it_was_done_is_found_by_the_next() {
    let (server, client) = start(Config::default()).await;
    server.faults().fail_next(1, "POST", "/api/apis", Failure::ResetAfter);
    let write = async || {
        client
            .write_api(&definition("a", "/a"), &Owners::default(), &nothing())
            .await
    };
    assert_eq!(write().await.unwrap_err().kind(), Kind::Unreachable);
    assert_eq!(write().await.unwrap(), Written::Updated);
    assert_eq!(client.list_apis().await.unwrap().len(), 1);
}

/// One update through the client.
#[derive(Clone, Debug)]
enum Step {
    /// A classic write with some of the fields that a definition can have.
    Classic(Vec<(String, Value)>, bool),
    Document(String),
    Policy(String, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let field = prop_oneof![
        "[a-z]{1,6}".prop_map(|text| ("name".to_owned(), json!(text))),
        prop::collection::vec("[a-z]{1,3}", 0..3).prop_map(|tags| ("tags".to_owned(), json!(tags))),
        any::<bool>().prop_map(|active| ("active".to_owned(), json!(active))),
        "[a-z]{1,3}".prop_map(|key| ("config_data".to_owned(), json!({key: 1}))),
        Just(("id".to_owned(), json!("66ffffffffffffffffffffff"))),
    ];
    let step = prop_oneof![
        (prop::collection::vec(field, 0..4), any::<bool>()).prop_map(|(fields, known)| Step::Classic(fields, known)),
        "/[a-z]{1,6}".prop_map(Step::Document),
        ("[a-z]{1,6}", any::<bool>()).prop_map(|(name, known)| Step::Policy(name, known)),
    ];
    prop::collection::vec(step, 1..8)
}

/// What of a record is none of ours.
fn foreign(server: &sim::Dashboard, id: &str) -> Value {
    let mut record = server.record(id).unwrap();
    let definition = record["api_definition"].take();
    record["api_definition"] = json!({"id": definition["id"], "org_id": definition["org_id"], "slug": definition["slug"],
        "event_handlers": definition["event_handlers"], "theirs": definition["config_data"]["theirs"]});
    record
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn no_update_changes_what_is_not_ours(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (server, client) = start(Config::default()).await;
            // As people have made and used them before we came.
            let mut definition = definition("a", "/a");
            definition["slug"] = json!("theirs");
            definition["event_handlers"] = json!({"events": {"AuthFailure": [{"handler_name": "eh_web_hook_handler"}]}});
            definition["config_data"] = json!({"theirs": true});
            client.write_api(&definition, &Owners::new(["u"], ["g"]), &nothing()).await.unwrap();
            client.write_document(DocumentKind::Oas, &document("o", "/o"), &Owners::new(["u"], []), &nothing()).await.unwrap();
            for id in ["a", "o"] {
                server.set_field(id, "hook_references", json!([{"event_name": "QuotaExceeded"}]));
                server.set_field(id, "of_a_later_version", json!({"x": [1]}));
            }
            let database_id = client.create_policy(&json!({"id": "p", "name": "first", "theirs": 1})).await.unwrap();
            let before = (foreign(&server, "a"), foreign(&server, "o"));
            let (mut classic, mut policy) = (nothing(), nothing());
            for step in &steps {
                match step {
                    Step::Classic(fields, known) => {
                        let mut wanted = json!({"api_id": "a", "proxy": {"listen_path": "/b"}});
                        fields.iter().for_each(|(name, value)| wanted[name] = value.clone());
                        let known = if *known { &classic } else { &nothing() };
                        client.write_api(&wanted, &Owners::default(), known).await.unwrap();
                        classic = managed(Record::Classic, &wanted);
                    }
                    Step::Document(path) => {
                        let wanted = document("o", path);
                        client.write_document(DocumentKind::Oas, &wanted, &Owners::default(), &nothing()).await.unwrap();
                    }
                    Step::Policy(name, known) => {
                        let wanted = json!({"id": "p", "name": name});
                        let known = if *known { &policy } else { &nothing() };
                        client.update_policy(&database_id, &wanted, known).await.unwrap();
                        policy = managed(Record::Flat, &wanted);
                    }
                }
                assert_eq!((foreign(&server, "a"), foreign(&server, "o")), before);
                let held = client.find_policy("p").await.unwrap().unwrap();
                assert_eq!((held.database_id(), &held.fields()["theirs"]), (database_id.as_str(), &json!(1)));
            }
        });
    }
}
