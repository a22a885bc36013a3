//! What only a Dashboard asks of the product. The other topics run before a Dashboard with `E2E_TYK=pro`; these always do.

use anyhow::{Context, Result, ensure};
use e2e::api_definition::{api_id, condition, keyless};
use e2e::dashboard::Pro;
use e2e::scenario::ORGANISATION;
use e2e::scenario::resources::ensure_condition;
use e2e::{Backend, GatewayUnderTest, PATIENCE, Scenario, eventually};
use hyper::Method;
use serde_json::{Value, json};

const API: &str = "ApiDefinition";
const OAS: &str = "TykOasApiDefinition";
const EXTENSION: &str = "x-tyk-api-gateway";

async fn start(name: &str) -> Result<Scenario> {
    let mut world = Scenario::before(name, GatewayUnderTest::dashboard(ORGANISATION).await?).await?;
    world.start_operator().await?;
    Ok(world)
}

fn pro(world: &Scenario) -> Result<&Pro> {
    match &world.gateway {
        GatewayUnderTest::Pro(pro) => Ok(pro),
        GatewayUnderTest::Sim(_) | GatewayUnderTest::Real { .. } => anyhow::bail!("not a Dashboard"),
    }
}

fn path(world: &Scenario, name: &str) -> String {
    format!("/{}/{name}/", world.namespace())
}

fn classic(world: &Scenario, name: &str, backend: &Backend) -> Value {
    keyless(world.namespace(), name, &path(world, name), &backend.url())
}

fn resource(world: &Scenario, kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": kind, "spec": spec,
        "metadata": {"name": name, "namespace": world.namespace()}})
}

fn documented(world: &Scenario, name: &str, backend: &Backend) -> Value {
    let document = json!({
        "openapi": "3.0.3", "info": {"title": name, "version": "1"}, "paths": {},
        EXTENSION: {
            "info": {"name": format!("{}-{name}", world.namespace()), "state": {"active": true}},
            "upstream": {"url": backend.url()},
            "server": {"listenPath": {"value": path(world, name), "strip": true}},
        },
    });
    resource(world, OAS, name, json!({"tykOAS": {"document": document}}))
}

/// An object of the Dashboard's API.
async fn read(world: &Scenario, path: &str) -> Result<Value> {
    let answer = pro(world)?.call(Method::GET, path, String::new()).await?;
    ensure!(answer.status == 200, "{path} answers {answer:?}");
    answer.json()
}

async fn write(world: &Scenario, path: &str, body: &Value) -> Result<()> {
    let answer = pro(world)?.call(Method::PUT, path, body.to_string()).await?;
    ensure!(answer.status == 200, "{path} answers {answer:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_a_classic_api_changes_nothing_that_is_not_ours() -> Result<()> {
    let world = start("pro-kept").await?;
    let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
    let listen_path = path(&world, "shop");
    world.apply(&classic(&world, "shop", &blue)).await?;
    world.expect_backend("any.test", &listen_path, &blue).await?;
    let at = format!("/api/apis/{}", api_id(world.namespace(), "shop"));

    // Somebody works on it in the Dashboard.
    let mut before = read(&world, &at).await?;
    before["user_owners"] = json!(["somebody"]);
    before["user_group_owners"] = json!(["a-group"]);
    before["hook_references"] = json!([{"event_name": "QuotaExceeded", "hook": {"id": "h"}, "event_timeout": 60}]);
    before["sort_by"] = json!(7);
    before["of_a_later_version"] = json!({"kept": [1, 2]});
    before["api_definition"]["of_a_later_version"] = json!("kept");
    before["api_definition"]["CORS"]["enable"] = json!(true);
    write(&world, &at, &before).await?;
    let before = read(&world, &at).await?;

    world.apply(&classic(&world, "shop", &green)).await?;
    world.expect_backend("any.test", &listen_path, &green).await?;
    let mut after = read(&world, &at).await?;
    ensure!(after["api_definition"]["proxy"]["target_url"] == green.url(), "{after}");
    // What is ours: the target, and the mark of the owner.
    for ours in [
        "/api_definition/proxy/target_url",
        "/api_definition/config_data/tyk-ingress",
    ] {
        let was = before.pointer(ours).context(ours)?.clone();
        *after.pointer_mut(ours).context(ours)? = was;
    }
    ensure!(after == before, "{before} became {after}");
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_a_document_changes_nothing_that_is_not_ours() -> Result<()> {
    let world = start("pro-document").await?;
    let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
    let listen_path = path(&world, "shop");
    world.apply(&documented(&world, "shop", &blue)).await?;
    world.expect_backend("any.test", &listen_path, &blue).await?;
    let id = api_id(world.namespace(), "shop");
    let (at, access) = (format!("/api/apis/oas/{id}"), format!("/api/apis/{id}/access"));
    let categories = format!("{at}/categories");

    let mut before = read(&world, &at).await?;
    before["externalDocs"] = json!({"url": "https://docs.example.org"});
    before[EXTENSION]["server"]["detailedActivityLogs"] = json!({"enabled": true});
    write(&world, &at, &before).await?;
    write(
        &world,
        &access,
        &json!({"userIds": ["somebody"], "userGroupIds": ["a-group"]}),
    )
    .await?;
    write(&world, &categories, &json!({"categories": ["theirs"]})).await?;
    let before = read(&world, &at).await?;

    world.apply(&documented(&world, "shop", &green)).await?;
    world.expect_backend("any.test", &listen_path, &green).await?;
    let after = read(&world, &at).await?;
    ensure!(after[EXTENSION]["upstream"]["url"] == green.url(), "{after}");
    for theirs in [
        "/externalDocs",
        "/x-tyk-api-gateway/info/dbId",
        "/x-tyk-api-gateway/info/id",
        "/x-tyk-api-gateway/info/orgId",
    ] {
        let (was, is) = (before.pointer(theirs).context(theirs)?, after.pointer(theirs));
        ensure!(is == Some(was), "{theirs} was {was} and is {is:?}");
    }
    let owners = read(&world, &access).await?;
    ensure!(
        owners == json!({"userIds": ["somebody"], "userGroupIds": ["a-group"]}),
        "{owners}"
    );
    let held = read(&world, &categories).await?;
    ensure!(held == json!({"categories": ["theirs"]}), "{held}");
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_waits_for_a_dashboard_that_is_down() -> Result<()> {
    let world = start("pro-down").await?;
    let blue = world.backend("blue").await?;
    let policy = json!({"name": "gold", "active": true, "state": "active",
        "access_rights_array": [{"name": "shop", "versions": ["Default"]}]});
    world.apply(&classic(&world, "shop", &blue)).await?;
    world.apply(&documented(&world, "pets", &blue)).await?;
    world.apply(&resource(&world, "SecurityPolicy", "gold", policy)).await?;
    let all = [("SecurityPolicy", "gold"), (API, "shop"), (OAS, "pets")];
    for (kind, name) in all {
        world.expect_ready(kind, name).await?;
        world.expect_protected(kind, name).await?;
    }
    pro(&world)?.dashboard.down().await;
    for (kind, name) in all {
        world.delete(kind, name).await?;
    }
    for (kind, name) in all {
        world
            .expect_resource((kind, name), "to wait for the Dashboard", |object| {
                let (ready, synced) = (condition(object, "Ready"), condition(object, "Synced"));
                let told = synced["reason"] == "Unreachable" || ready["reason"] == "InUse";
                ensure!(ready["status"] == "False" && told, "{}", object.data["status"]);
                let held = object.metadata.finalizers.as_ref().is_some_and(|all| !all.is_empty());
                ensure!(held, "it has no finalizer");
                Ok(())
            })
            .await?;
    }
    world.expect_backend("any.test", &path(&world, "shop"), &blue).await?;
    world.expect_apis(2).await?;
    pro(&world)?.dashboard.up().await?;
    for (kind, name) in all {
        world.expect_deleted(kind, name).await?;
    }
    world.expect_apis(0).await?;
    let policies = world.gateway.list_policies().await?;
    ensure!(policies.is_empty(), "left: {policies:?}");
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_portal_is_made_changed_and_deleted() -> Result<()> {
    let world = start("pro-portal").await?;
    let blue = world.backend("blue").await?;
    let policy = json!({"name": "gold", "active": true, "state": "active",
        "access_rights_array": [{"name": "shop", "versions": ["Default"]}]});
    let description = |name: &str| {
        let docs = json!({"doc_type": "swagger", "documentation": "eyJhIjoxfQ=="});
        json!({"name": name, "show": true, "policyRef": {"name": "gold"}, "docs": docs})
    };
    let entries = json!({"email": "a@example.org", "apis": [{"apiDescriptionRef": {"name": "shop"}}]});
    let config = |disabled: bool| resource(&world, "PortalConfig", "portal", json!({"disable_login": disabled}));
    world.apply(&classic(&world, "shop", &blue)).await?;
    world.apply(&resource(&world, "SecurityPolicy", "gold", policy)).await?;
    world
        .apply(&resource(&world, "PortalAPICatalogue", "all", entries))
        .await?;
    world
        .expect_refused("PortalAPICatalogue", "all", "PortalReferenceNotFound")
        .await?;
    world
        .apply(&resource(&world, "APIDescription", "shop", description("Shop")))
        .await?;
    world.apply(&config(true)).await?;
    for (kind, name) in [
        ("APIDescription", "shop"),
        ("PortalAPICatalogue", "all"),
        ("PortalConfig", "portal"),
    ] {
        world.expect_ready(kind, name).await?;
    }
    let held = read(&world, "/api/portal/catalogue").await?;
    let entry = &held["apis"][0];
    let given = json!([entry["name"], entry["policy_id"]]);
    ensure!(given == json!(["Shop", api_id(world.namespace(), "gold")]), "{held}");
    ensure!(
        entry["documentation"].as_str().is_some_and(|id| !id.is_empty()),
        "{held}"
    );
    let configured = read(&world, "/api/portal/configuration").await?;
    ensure!(configured["disable_login"] == true, "{configured}");

    world
        .apply(&resource(&world, "APIDescription", "shop", description("Store")))
        .await?;
    world.apply(&config(false)).await?;
    eventually(PATIENCE, "the changes on the Dashboard", async || {
        let catalogue = read(&world, "/api/portal/catalogue").await?;
        ensure!(
            catalogue["apis"][0]["name"] == "Store" && catalogue["id"] == held["id"],
            "{catalogue}"
        );
        let configured = read(&world, "/api/portal/configuration").await?;
        ensure!(configured["disable_login"] == false, "{configured}");
        Ok(())
    })
    .await?;

    world.delete("APIDescription", "shop").await?;
    let text = format!(
        "Unable to delete api description due to portal catalogue dependency \"{}/all\"",
        world.namespace()
    );
    world
        .expect_resource(("APIDescription", "shop"), "to be in use", |object| {
            let ready = condition(object, "Ready");
            ensure!(ready["reason"] == "InUse" && ready["message"] == text, "{ready}");
            Ok(())
        })
        .await?;
    for (kind, name) in [("PortalAPICatalogue", "all"), ("PortalConfig", "portal")] {
        world.delete(kind, name).await?;
        world.expect_deleted(kind, name).await?;
    }
    world.expect_deleted("APIDescription", "shop").await?;
    let left = read(&world, "/api/portal/catalogue").await?;
    ensure!(left["apis"] == json!([]), "{left}");
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_and_a_dashboard_have_one_operator() -> Result<()> {
    let world = start("pro-ce").await?;
    let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
    let gateway = GatewayUnderTest::gateway().await?;
    let env = json!({"mode": "ce", "url": gateway.url(), "auth": gateway.secret(), "org": "e2e-ce"});
    world
        .apply(&resource(&world, "OperatorContext", "ce", json!({"env": env})))
        .await?;
    let of_gateway = |name: &str, backend: &Backend| {
        let mut object = classic(&world, name, backend);
        object["spec"]["contextRef"] = json!({"name": "ce"});
        object
    };
    world.apply(&classic(&world, "own", &blue)).await?;
    world.apply(&of_gateway("other", &blue)).await?;
    for name in ["own", "other"] {
        world.expect_ready(API, name).await?;
    }
    for (tyk, name) in [(&world.gateway, "own"), (&gateway, "other")] {
        let held = tyk.list_marked(world.namespace()).await?;
        let ids: Vec<_> = held.iter().map(|api| &api["api_id"]).collect();
        ensure!(
            ids == [&json!(api_id(world.namespace(), name))],
            "{ids:?}, not {name} alone"
        );
    }

    // The portal is the Dashboard's.
    let mut config = resource(&world, "PortalConfig", "portal", json!({"contextRef": {"name": "ce"}}));
    world.apply(&config).await?;
    world.expect_refused("PortalConfig", "portal", "NeedsDashboard").await?;
    config["spec"] = json!({"disable_login": true});
    world.apply(&config).await?;
    world.expect_ready("PortalConfig", "portal").await?;

    // While the Dashboard is down, the gateway takes what is new.
    pro(&world)?.dashboard.down().await;
    world.apply(&classic(&world, "own", &green)).await?;
    world.apply(&of_gateway("other", &green)).await?;
    eventually(PATIENCE, "the gateway to have the change", async || {
        let answer = gateway.request("any.test", &path(&world, "other")).await?;
        ensure!(e2e::scenario::served_by(&answer) == Some("green"), "{answer:?}");
        Ok(())
    })
    .await?;
    world
        .expect_resource((API, "own"), "to be unreachable", |object| {
            ensure_condition(object, "Ready", "False")?;
            let synced = condition(object, "Synced");
            ensure!(synced["reason"] == "Unreachable", "{synced}");
            Ok(())
        })
        .await?;
    world.expect_backend("any.test", &path(&world, "own"), &blue).await?;
    pro(&world)?.dashboard.up().await?;
    world.expect_backend("any.test", &path(&world, "own"), &green).await?;
    world.expect_ready(API, "own").await?;
    world.stop().await
}
