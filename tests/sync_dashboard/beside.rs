//! What a Dashboard keeps beside definitions: owners and categories; and several organisations.

use std::collections::BTreeSet;

use serde_json::json;
use tyk_ingress::sim::Gateway;
use tyk_ingress::sim::dashboard::{Config, User};
use tyk_ingress::tyk::Endpoint;
use tyk_ingress::tyk::dashboard::{Dashboard, Owners};

use crate::world::{World, classic, failure, id, in_step, put_oas};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn owners_of_the_context_are_added_and_nobody_is_taken_off() {
    let mut world = World::start().await;
    world.operator.own.user_owners = names(&["u"]);
    world.operator.own.user_group_owners = names(&["g"]);
    world.put("ApiDefinition", "a", classic("/a/"));
    put_oas(&mut world, "b", "/b/", |_, _| {});
    world.sync().await;
    let owners = async |world: &World, name: &str| world.stranger.owners(&id(name)).await.unwrap().unwrap();
    for name in ["a", "b"] {
        assert_eq!(owners(&world, name).await, Owners::new(["u"], ["g"]), "{name}");
        world
            .stranger
            .set_owners(&id(name), &Owners::new(["other"], []))
            .await
            .unwrap();
    }
    world
        .until(|outcome| outcome.calls.writes == 2 && in_step(outcome))
        .await;
    for name in ["a", "b"] {
        assert_eq!(owners(&world, name).await, Owners::new(["other", "u"], ["g"]), "{name}");
    }
    assert_eq!(world.until(in_step).await.calls.writes, 0);
    // A context that names nobody leaves owners alone, an update too.
    world.operator.own.user_owners = Vec::new();
    world.operator.own.user_group_owners = Vec::new();
    world.put("ApiDefinition", "a", classic("/aa/"));
    put_oas(&mut world, "b", "/bb/", |_, _| {});
    world.sync().await;
    for name in ["a", "b"] {
        assert_eq!(owners(&world, name).await, Owners::new(["other", "u"], ["g"]), "{name}");
    }
}

#[tokio::test]
async fn owners_that_would_hide_the_api_from_us_are_told() {
    use tyk_ingress::sim::dashboard::Permission;
    let user = User::limited("key", "org", [("apis", Permission::Write)]);
    let mut world = World::of(Config {
        users: vec![user],
        ..Config::default()
    })
    .await;
    world.operator.own.user_owners = names(&["somebody"]);
    world.put("ApiDefinition", "a", classic("/a/"));
    let outcome = world.step().await;
    let message = failure(&outcome.apis[id("a").as_str()]);
    assert!(message.contains("its owners hide the API"), "{message}");
}

#[tokio::test]
async fn categories_of_oas_apis_are_ours_and_those_of_others() {
    let mut world = World::start().await;
    put_oas(&mut world, "b", "/b/", |_, spec| {
        spec["categories"] = json!(["pets", "old"])
    });
    let mut named = classic("/a/");
    named["name"] = json!("orders #east");
    world.put("ApiDefinition", "a", named);
    world.sync().await;
    let api = id("b");
    let held = async |world: &World| world.stranger.categories(&api).await.unwrap().unwrap();
    assert_eq!(held(&world).await, BTreeSet::from_iter(names(&["pets", "old"])));
    let record = world.dashboard.record(&id("a")).unwrap();
    assert_eq!(record["api_definition"]["name"], "orders #east");

    let theirs = BTreeSet::from_iter(names(&["old", "theirs"]));
    world.stranger.set_categories(&api, &theirs).await.unwrap();
    world
        .until(|outcome| outcome.calls.writes == 1 && in_step(outcome))
        .await;
    assert_eq!(
        held(&world).await,
        BTreeSet::from_iter(names(&["pets", "old", "theirs"]))
    );

    put_oas(&mut world, "b", "/b/", |_, _| {});
    world.sync().await;
    assert_eq!(held(&world).await, BTreeSet::from_iter(names(&["theirs"])));
    assert_eq!(world.until(in_step).await.calls.writes, 0);
}

#[tokio::test]
async fn organisations_and_gateways_side_by_side() {
    let users = vec![
        User::administrator("key", "org"),
        User::administrator("west-key", "west"),
    ];
    let mut world = World::of(Config {
        users,
        ..Config::default()
    })
    .await;
    let gateway = tyk_ingress::sim::Gateway::start(tyk_ingress::sim::Config {
        reload_interval: std::time::Duration::from_millis(20),
        ..Default::default()
    })
    .await
    .unwrap();
    let context = |mode: &str, url: String, auth: &str, org: &str| json!({"env": {"mode": mode, "url": url, "auth": auth, "org": org}});
    world.put(
        "OperatorContext",
        "west",
        context("pro", world.dashboard.url(), "west-key", "west"),
    );
    world.put(
        "OperatorContext",
        "ce",
        context("ce", gateway.url(), gateway.secret(), ""),
    );
    for (name, context) in [("a", None), ("b", Some("west")), ("c", Some("ce"))] {
        let mut spec = classic("/a/");
        if let Some(context) = context {
            spec["contextRef"] = json!({"name": context});
        }
        world.put("ApiDefinition", name, spec);
    }
    world.publish();
    assert_eq!(world.diagnostics, []);
    for tyk in world.tyks() {
        let outcome = world.until_at(&tyk, in_step).await;
        assert_eq!(outcome.apis.len(), 1, "{tyk}");
    }
    let west = Dashboard::new(Endpoint::new(world.dashboard.url(), "west-key")).unwrap();
    let held = [&world.stranger, &west].map(async |client| client.list_apis().await.unwrap());
    let [own, west] = held;
    assert_eq!(own.await.into_keys().collect::<Vec<_>>(), [id("a")]);
    assert_eq!(west.await.into_keys().collect::<Vec<_>>(), [id("b")]);
    let loads = gateway
        .calls()
        .iter()
        .filter(|call| call.path.starts_with("/tyk/reload"))
        .count();
    assert_eq!(loads, 2, "one at the start, one for the API");
}

#[tokio::test]
async fn an_organisation_that_is_not_that_of_the_key_is_no_change_for_ever() {
    let mut world = World::start().await;
    world.operator.own.org = "another".into();
    world.put("ApiDefinition", "a", classic("/a/"));
    put_oas(&mut world, "b", "/b/", |_, _| {});
    let policy = json!({"name": "gold", "state": "active", "active": true, "access_rights_array": []});
    world.put("SecurityPolicy", "gold", policy);
    world.sync().await;
    let before = world.dashboard.calls().len();
    world.step().await;
    assert_eq!(world.writes_since(before), Vec::<String>::new());
}

/// Its gateways serve each change as it is made, and rename what comes to a route that is taken.
#[tokio::test]
async fn a_route_is_left_before_another_api_takes_it() {
    let mut world = World::of(Config {
        duplicate_slugs: false,
        ..Config::default()
    })
    .await;
    let gateway = Gateway::start(Default::default()).await.unwrap();
    world.dashboard.attach(&gateway).await;
    world.put("ApiDefinition", "old", classic("/x/"));
    world.put("ApiDefinition", "z-moves", classic("/y/"));
    world.sync().await;
    world.delete(
        "ApiDefinition",
        "old",
        tyk_ingress::api::names::FINALIZER_API_DEFINITION,
    );
    world.put("ApiDefinition", "new", classic("/x/"));
    world.put("ApiDefinition", "a-follows", classic("/y/"));
    world.put("ApiDefinition", "z-moves", classic("/z/"));
    let outcome = world.step().await;
    assert!(in_step(&outcome), "{outcome:#?}");
    assert_eq!(
        served(&gateway).await,
        [("z-moves", "/z/"), ("a-follows", "/y/"), ("new", "/x/")].map(owned)
    );
}

#[tokio::test]
async fn apis_may_trade_their_routes() {
    let mut world = World::start().await;
    let gateway = Gateway::start(Default::default()).await.unwrap();
    world.dashboard.attach(&gateway).await;
    for (a, b, c) in [
        ("/x/", "/y/", "/z/"),
        ("/y/", "/x/", "/z/"),
        ("/x/", "/z/", "/y/"),
        ("/z/", "/y/", "/x/"),
    ] {
        for (name, path) in [("a", a), ("b", b), ("c", c)] {
            world.put("ApiDefinition", name, classic(path));
        }
        world.sync().await;
        assert_eq!(served(&gateway).await, [("a", a), ("b", b), ("c", c)].map(owned));
    }
    assert_eq!(world.until(in_step).await.calls.writes, 0);
}

fn owned((name, path): (&str, &str)) -> (String, String) {
    (id(name), path.to_owned())
}

/// Listen paths by id, in that order, as a gateway has them.
async fn served(gateway: &Gateway) -> Vec<(String, String)> {
    let list = reqwest::Client::new()
        .get(format!("{}/tyk/apis", gateway.url()))
        .header("x-tyk-authorization", gateway.secret());
    let list: Vec<serde_json::Value> = list.send().await.unwrap().json().await.unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut served: Vec<_> = list
        .iter()
        .map(|api| (text(&api["api_id"]), text(&api["proxy"]["listen_path"])))
        .collect();
    served.sort();
    served
}
