//! The classic portal.

use serde_json::{Value, json};
use tyk_ingress::api::names;
use tyk_ingress::diagnostic::Code;
use tyk_ingress::sim::dashboard::{Config, Permission, User};
use tyk_ingress::sync::ApiOutcome;

use crate::world::{World, condition, failure, id, in_step};

fn put_policy(world: &mut World, name: &str) {
    let spec = json!({"name": name, "state": "active", "active": true, "access_rights_array": []});
    world.put("SecurityPolicy", name, spec);
}

fn put_catalogue(world: &mut World, entries: Value) {
    world.put(
        "PortalAPICatalogue",
        "all",
        json!({"email": "a@example.org", "apis": entries}),
    );
}

async fn catalogue(world: &World) -> Value {
    world.stranger.catalogue().await.unwrap().unwrap()
}

fn uploads(world: &World) -> usize {
    let calls = world.dashboard.calls();
    calls
        .iter()
        .filter(|call| call.method == "POST" && call.path == "/api/portal/documentation")
        .count()
}

async fn shown() -> World {
    let mut world = World::start().await;
    put_policy(&mut world, "gold");
    let docs = json!({"doc_type": "swagger", "documentation": "eyJhIjoxfQ=="});
    let spec = json!({"name": "Pets", "show": true, "policyRef": {"name": "gold"}, "docs": docs});
    world.put("APIDescription", "pets", spec);
    put_catalogue(
        &mut world,
        json!([{"name": "of the entry", "apiDescriptionRef": {"name": "pets"}}]),
    );
    world.put("PortalConfig", "portal", json!({"disable_login": true}));
    let outcome = world.sync().await;
    assert_eq!(outcome.portal.len(), 2, "{outcome:#?}");
    assert_eq!(world.diagnostics, []);
    world
}

#[tokio::test]
async fn a_catalogue_shows_its_descriptions_and_documentation_is_uploaded_once() {
    let mut world = shown().await;
    let held = catalogue(&world).await;
    let entry = &held["apis"][0];
    assert_eq!(
        (&entry["name"], &entry["policy_id"]),
        (&json!("Pets"), &json!(id("gold")))
    );
    assert_eq!((&entry["docs"], &entry["policyRef"]), (&Value::Null, &Value::Null));
    let documentation = entry["documentation"].as_str().unwrap().to_owned();
    let status = world.status("PortalAPICatalogue", "all");
    assert_eq!(status["id"], held["id"]);
    assert_eq!(condition(&status, "Ready").0, "True");
    assert_eq!(condition(&world.status("PortalConfig", "portal"), "Ready").0, "True");
    assert_eq!(condition(&world.status("APIDescription", "pets"), "Ready").0, "True");
    assert_eq!(
        world.stranger.portal_configuration().await.unwrap().unwrap()["disable_login"],
        true
    );

    // Neither another round, nor the status, nor another process uploads again.
    world.keep_status("PortalAPICatalogue", "all");
    world.sync().await;
    let before = world.dashboard.calls().len();
    world.restart();
    world.sync().await;
    assert_eq!(uploads(&world), 1);
    assert_eq!(world.writes_since(before), Vec::<String>::new());

    let docs = json!({"doc_type": "swagger", "documentation": "eyJhIjoyfQ=="});
    let spec = json!({"name": "Pets", "show": true, "policyRef": {"name": "gold"}, "docs": docs});
    world.put("APIDescription", "pets", spec);
    let before = world.dashboard.calls().len();
    world.sync().await;
    let entry = catalogue(&world).await["apis"][0].clone();
    assert_ne!(entry["documentation"], json!(documentation));
    assert_eq!(
        world.writes_since(before),
        [
            "POST /api/portal/documentation".to_owned(),
            "PUT /api/portal/catalogue".to_owned(),
            format!("DELETE /api/portal/documentation/{documentation}"),
        ]
    );
}

#[tokio::test]
async fn deletions_wait_for_the_catalogue_and_that_ends_empty() {
    let mut world = shown().await;
    world.keep_status("PortalAPICatalogue", "all");
    world.delete("APIDescription", "pets", names::FINALIZER_API_DESCRIPTION);
    world.delete("SecurityPolicy", "gold", names::FINALIZER_SECURITY_POLICY);
    world.sync().await;
    let id = catalogue(&world).await["id"].as_str().unwrap().to_owned();
    for (kind, name, refusal) in [
        (
            "APIDescription",
            "pets",
            "Unable to delete api description due to portal catalogue dependency \"default/all\"".to_owned(),
        ),
        (
            "SecurityPolicy",
            "gold",
            format!("cannot delete policy due to catalogue \"{id}\" dependency"),
        ),
    ] {
        assert!(!world.is_released(kind, name), "{kind}");
        assert_eq!(condition(&world.status(kind, name), "Ready").2, refusal);
    }
    world.dashboard.down().await;
    world.delete("PortalAPICatalogue", "all", names::FINALIZER_PORTAL_CATALOGUE);
    let outcome = world.step().await;
    assert!(outcome.endpoint_error.is_some());
    assert!(!world.is_released("PortalAPICatalogue", "all"));
    world.dashboard.up().await.unwrap();
    world
        .until(|outcome| in_step(outcome) && outcome.policies.values().all(|one| *one == ApiOutcome::Gone))
        .await;
    for (kind, name) in [
        ("PortalAPICatalogue", "all"),
        ("APIDescription", "pets"),
        ("SecurityPolicy", "gold"),
    ] {
        assert!(world.is_released(kind, name), "{kind}");
    }
    assert_eq!(catalogue(&world).await["apis"], json!([]));
    assert!(world.stranger.list_policies().await.unwrap().is_empty());
}

#[tokio::test]
async fn fields_and_ids_of_others_stay() {
    let mut world = World::start().await;
    let none = std::collections::BTreeSet::new();
    let theirs = json!({"org_id": "org", "email": "b@example.org", "next_year": 1});
    world.stranger.write_catalogue(&theirs, &none).await.unwrap();
    let before = catalogue(&world).await;
    put_catalogue(&mut world, json!([]));
    world.sync().await;
    let after = catalogue(&world).await;
    assert_eq!((&after["id"], &after["next_year"]), (&before["id"], &json!(1)));
    assert_eq!(after["email"], "a@example.org");
}

#[tokio::test]
async fn what_is_missing_or_too_much_is_told() {
    let mut world = World::start().await;
    put_catalogue(&mut world, json!([{"apiDescriptionRef": {"name": "none"}}]));
    world.put("PortalConfig", "a", json!({}));
    world.put("PortalConfig", "b", json!({}));
    world.step().await;
    let found: Vec<_> = world
        .diagnostics
        .iter()
        .map(|one| (one.code, one.object.name.as_ref()))
        .collect();
    assert_eq!(
        found,
        [(Code::PortalReferenceNotFound, "all"), (Code::PortalConflict, "b")]
    );
    assert_eq!(world.stranger.catalogue().await.unwrap(), None);
    assert_eq!(
        condition(&world.status("PortalAPICatalogue", "all"), "Accepted").0,
        "False"
    );
}

#[tokio::test]
async fn a_gateway_has_no_portal() {
    let mut world = World::start().await;
    world.put(
        "OperatorContext",
        "ce",
        json!({"env": {"mode": "ce", "url": "http://127.0.0.1:1", "auth": "x", "org": ""}}),
    );
    world.put("PortalConfig", "portal", json!({"contextRef": {"name": "ce"}}));
    world.put(
        "APIDescription",
        "pets",
        json!({"name": "Pets", "contextRef": {"name": "ce"}}),
    );
    world.step().await;
    for (kind, name) in [("PortalConfig", "portal"), ("APIDescription", "pets")] {
        let status = world.status(kind, name);
        assert_eq!(condition(&status, "Ready").0, "False");
        assert_eq!(condition(&status, "Accepted").1, "NeedsDashboard", "{kind}");
    }
    world.delete("PortalConfig", "portal", names::FINALIZER_PORTAL_CONFIG);
    world.publish();
    assert!(world.is_released("PortalConfig", "portal"));
}

#[tokio::test]
async fn whoever_may_not_see_the_portal_is_told_there() {
    let may = [
        ("apis", Permission::Write),
        ("policies", Permission::Write),
        ("certs", Permission::Write),
    ];
    let user = User::limited("key", "org", may);
    let mut world = World::of(Config {
        users: vec![user],
        ..Config::default()
    })
    .await;
    put_policy(&mut world, "gold");
    world.put("PortalConfig", "portal", json!({}));
    let outcome = world.step().await;
    assert!(
        failure(&outcome.portal["configuration"]).contains("permission"),
        "{outcome:#?}"
    );
    assert_eq!(
        (outcome.endpoint_error, &outcome.policies[id("gold").as_str()]),
        (None, &ApiOutcome::Synced)
    );
    world.delete("SecurityPolicy", "gold", names::FINALIZER_SECURITY_POLICY);
    world.step().await;
    assert!(world.is_released("SecurityPolicy", "gold"));
}
