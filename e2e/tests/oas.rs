//! OpenAPI documents: in ConfigMaps and inline, and as templates of Ingresses.

use anyhow::{Context, Result, ensure};
use e2e::api_definition::{api_id, condition};
use e2e::fixtures::prefix;
use e2e::{Backend, PATIENCE, Scenario, eventually};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

const EXTENSION: &str = "x-tyk-api-gateway";

fn definitions(world: &Scenario) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("tyk.tyk.io", "v1alpha1", "TykOasApiDefinition");
    let resource = ApiResource::from_gvk_with_plural(&kind, "tykoasapidefinitions");
    Api::namespaced_with(world.client(), world.namespace(), &resource)
}

fn document(world: &Scenario, listen_path: &str, backend: &Backend) -> Value {
    let parameter = json!({"name": "limit", "in": "query", "required": true, "schema": {"type": "integer"}});
    json!({
        "openapi": "3.0.3", "info": {"title": world.namespace(), "version": "1"},
        "paths": {"/pets": {"get": {"operationId": "pets", "parameters": [parameter],
            "responses": {"200": {"description": "ok"}}}}},
        EXTENSION: {
            "info": {"name": world.namespace(), "state": {"active": true}},
            "upstream": {"url": backend.url()},
            "server": {"listenPath": {"value": listen_path, "strip": true}},
        },
    })
}

async fn config_map(world: &Scenario, text: &str) -> Result<()> {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"oas": text},
        "metadata": {"name": "document", "namespace": world.namespace()}});
    world.apply(&object).await.map(drop)
}

async fn apply(world: &Scenario, name: &str, labels: Value, spec: Value) -> Result<()> {
    let object = json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "TykOasApiDefinition", "spec": spec,
        "metadata": {"name": name, "namespace": world.namespace(), "labels": labels}});
    world.apply(&object).await.map(drop)
}

async fn expect_status(world: &Scenario, name: &str, good: impl Fn(&DynamicObject) -> bool) -> Result<()> {
    eventually(PATIENCE, &format!("the status of {name}"), async || {
        let object = definitions(world).get(name).await?;
        ensure!(good(&object), "it is {}", object.data["status"]);
        Ok(())
    })
    .await
}

fn yaml(document: &Value) -> String {
    let extension = &document[EXTENSION];
    format!("# a comment\nopenapi: 3.0.3\ninfo: {{title: yaml, version: '1'}}\npaths: {{}}\n{EXTENSION}: {extension}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_in_a_config_map_is_served_and_followed() -> Result<()> {
    let world = Scenario::start("oas-config-map").await?;
    let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
    let (path, host) = (format!("/{}/", world.namespace()), world.host("any"));
    let spec = json!({"tykOAS": {"configmapRef": {"name": "document", "keyName": "oas"}}});
    apply(&world, "pets", json!({}), spec).await?;
    expect_status(&world, "pets", |object| {
        condition(object, "Accepted")["reason"] == "DocumentNotFound"
    })
    .await?;

    config_map(&world, &document(&world, &path, &blue).to_string()).await?;
    world.expect_backend(&host, &format!("{path}pets"), &blue).await?;
    let id = api_id(world.namespace(), "pets");
    let ready = |object: &DynamicObject| {
        let status = &object.data["status"];
        status["id"] == id.as_str()
            && status["listenPath"] == path.as_str()
            && condition(object, "Ready")["status"] == "True"
            && status["latestTransaction"]["status"] == "Successful"
    };
    expect_status(&world, "pets", ready).await?;

    config_map(&world, &yaml(&document(&world, &path, &green))).await?;
    world.expect_backend(&host, &format!("{path}pets"), &green).await?;
    expect_status(&world, "pets", |object| {
        object.data["status"]["targetURL"] == green.url().as_str()
    })
    .await?;

    // A broken document is told, and what was good keeps serving.
    config_map(&world, "{").await?;
    expect_status(&world, "pets", |object| {
        condition(object, "Accepted")["reason"] == "InvalidDocument"
    })
    .await?;
    world.expect_backend(&host, &format!("{path}pets"), &green).await?;
    let config_maps: Api<ConfigMap> = Api::namespaced(world.client(), world.namespace());
    config_maps.delete("document", &DeleteParams::default()).await?;
    expect_status(&world, "pets", |object| {
        condition(object, "Accepted")["reason"] == "DocumentNotFound"
    })
    .await?;
    world.expect_backend(&host, &format!("{path}pets"), &green).await?;

    definitions(&world).delete("pets", &DeleteParams::default()).await?;
    world.expect_no_route(&host, &format!("{path}pets")).await?;
    eventually(PATIENCE, "the object to go", async || {
        ensure!(definitions(&world).get_opt("pets").await?.is_none());
        Ok(())
    })
    .await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inline_document_is_served_on_its_domain() -> Result<()> {
    let world = Scenario::start("oas-inline").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("inline");
    let path = format!("/{}/", world.namespace());
    let spec = json!({"customDomain": {"enabled": true, "name": host},
        "tykOAS": {"document": document(&world, &path, &blue)}});
    apply(&world, "pets", json!({}), spec).await?;
    world.expect_backend(&host, &path, &blue).await?;
    world.expect_no_route(&world.host("other"), &path).await?;
    expect_status(&world, "pets", |object| {
        object.data["status"]["domain"]["name"] == host.as_str()
    })
    .await?;
    world.stop().await
}

async fn shop(world: &Scenario, host: &str, backend: &Backend) -> Result<()> {
    let annotations = json!({"tyk.io/template": "template", "tyk.io/template-kind": "TykOasApiDefinition"});
    let rule = json!({"host": host, "http": {"paths": [prefix("/shop", backend)]}});
    let spec = json!({"ingressClassName": world.class(), "rules": [rule]});
    world.apply_ingress_spec("shop", annotations, spec).await
}

async fn expect_oas_children(world: &Scenario, count: usize) -> Result<()> {
    eventually(PATIENCE, &format!("{count} OAS children"), async || {
        let selected = ListParams::default().labels("tyk.io/ingress");
        let found = definitions(world).list(&selected).await?.items;
        let names: Vec<_> = found.iter().map(ResourceExt::name_any).collect();
        ensure!(found.len() == count, "there are {names:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oas_template_serves_an_ingress_exactly() -> Result<()> {
    let world = Scenario::start("oas-template").await?;
    let (blue, host) = (world.backend("blue").await?, world.host("shop"));
    let mut template = document(&world, "/template/", &blue);
    template[EXTENSION]["server"]["listenPath"]["strip"] = json!(false);
    let label = json!({"tyk.io/ingress-template": "true"});
    apply(
        &world,
        "template",
        label.clone(),
        json!({"tykOAS": {"document": template}}),
    )
    .await?;
    shop(&world, &host, &blue).await?;
    world.expect_backend(&host, "/shop", &blue).await?;
    world.expect_backend(&host, "/shop/pets?limit=x", &blue).await?;
    world.expect_no_route(&host, "/shopping").await?;
    world.expect_no_route(&host, "/template/").await?;
    expect_oas_children(&world, 1).await?;
    world.expect_children(0).await?;
    expect_status(&world, "template", |object| {
        object.data["status"]["ingressTemplate"] == true
    })
    .await?;

    // The same with request validation: an exact path and validation together need an API in front.
    template[EXTENSION]["middleware"]["operations"]["pets"]["validateRequest"] = json!({"enabled": true});
    apply(&world, "template", label, json!({"tykOAS": {"document": template}})).await?;
    world.expect_children(1).await?;
    world.expect_apis(2).await?;
    world.expect_backend(&host, "/shop/pets?limit=1", &blue).await?;
    world.expect_no_route(&host, "/shopping").await?;
    if std::env::var_os("TYK_GATEWAY_URL").is_some() {
        // The simulator does not validate.
        eventually(PATIENCE, "an invalid request to be refused", async || {
            let answer = world.gateway.request(&host, "/shop/pets?limit=x").await?;
            ensure!(answer.status == 422, "the answer is {answer:?}");
            Ok(())
        })
        .await?;
    }

    world.delete_ingress("shop").await?;
    world.expect_no_route(&host, "/shop").await?;
    expect_oas_children(&world, 0).await?;
    world.expect_children(0).await?;
    world.expect_apis(0).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_changes_the_kind_of_its_template() -> Result<()> {
    let world = Scenario::start("oas-kind").await?;
    let (blue, host) = (world.backend("blue").await?, world.host("shop"));
    let rules = [json!({"host": host, "http": {"paths": [prefix("/shop", &blue)]}})];
    world.apply_ingress("shop", &rules).await?;
    world.expect_backend(&host, "/shop", &blue).await?;
    let before = world.expect_apis(1).await?;
    let template = json!({"tykOAS": {"document": document(&world, "/template/", &blue)}});
    apply(&world, "template", json!({"tyk.io/ingress-template": "true"}), template).await?;
    shop(&world, &host, &blue).await?;
    expect_oas_children(&world, 1).await?;
    world.expect_children(0).await?;
    world.expect_backend(&host, "/shop", &blue).await?;
    let after = world.expect_apis(1).await?;
    let id = |apis: &[Value]| apis.first().map(|api| api["api_id"].clone()).context("no API");
    ensure!(id(&before)? == id(&after)?, "the id changed");
    world.apply_ingress("shop", &rules).await?;
    world.expect_children(1).await?;
    expect_oas_children(&world, 0).await?;
    world.expect_backend(&host, "/shop", &blue).await?;
    world.stop().await
}
