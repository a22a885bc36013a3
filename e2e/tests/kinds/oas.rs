//! `TykOasApiDefinition`.

use anyhow::{Result, ensure};
use e2e::api_definition::api_id;
use e2e::scenario::{ORGANISATION, served_by};
use e2e::{Backend, Scenario};
use hyper::Method;
use serde_json::{Value, json};

use crate::life::{self, Form, Life, SUBJECT, Tamper, User, live, path, resource};

const KIND: &str = "TykOasApiDefinition";
const EXTENSION: &str = "x-tyk-api-gateway";

/// A document that serves `listen_path` of every host.
pub fn document(world: &Scenario, listen_path: &str, backend: &Backend) -> Value {
    json!({
        "openapi": "3.0.3", "info": {"title": world.namespace(), "version": "1"}, "paths": {},
        EXTENSION: {
            "info": {"name": world.namespace(), "state": {"active": true}},
            "upstream": {"url": backend.url()},
            "server": {"listenPath": {"value": listen_path, "strip": true}},
        },
    })
}

/// Its document is in a ConfigMap, with both forms under a key of their own.
struct Documented {
    backend: Backend,
}

impl Documented {
    fn control(&self, world: &Scenario) -> String {
        format!("/tyk/apis/oas/{}", api_id(world.namespace(), SUBJECT))
    }
}

fn key(form: Form) -> &'static str {
    match form {
        Form::First => "first",
        Form::Second => "second",
    }
}

impl Life for Documented {
    const KIND: &'static str = KIND;

    fn object(&self, world: &Scenario, form: Form) -> Value {
        let reference = json!({"name": "documents", "namespace": world.namespace(), "keyName": key(form)});
        resource(world, KIND, SUBJECT, json!({"tykOAS": {"configmapRef": reference}}))
    }

    fn dependency(&self, world: &Scenario) -> Option<(&'static str, Value)> {
        let text = |form| document(world, &path(world, key(form)), &self.backend).to_string();
        let data = json!({key(Form::First): text(Form::First), key(Form::Second): text(Form::Second)});
        let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": {"name": "documents", "namespace": world.namespace()}});
        Some(("DocumentNotFound", config_map))
    }

    fn users(&self, world: &Scenario) -> Vec<User> {
        let namespace = world.namespace();
        let rights = json!({"kind": KIND, "name": SUBJECT, "namespace": namespace, "versions": ["Default"]});
        let policy = json!({"name": "gold", "active": true, "state": "active", "access_rights_array": [rights]});
        let versions = json!({"enabled": true, "name": "v1", "default": "self", "location": "header", "key": "version",
            "versions": [{"name": "v2", "tykOasApiDefinitionRef": {"name": SUBJECT, "namespace": namespace}}]});
        let base = json!({"tykOAS": {"document": document(world, &path(world, "base"), &self.backend)},
            "versioning": versions});
        vec![
            User {
                object: resource(world, "SecurityPolicy", "gold", policy),
                refusal: format!("unable to delete api due to security policy dependency={namespace}/gold"),
            },
            User {
                object: resource(world, KIND, "base", base),
                refusal: format!("unable to delete api due to being a version of ={namespace}/base"),
            },
        ]
    }

    async fn is_held(&self, world: &Scenario, form: Form) -> Result<()> {
        let (status, held) = life::get(world, &self.control(world)).await?;
        let path = path(world, key(form));
        let extension = &held[EXTENSION];
        ensure!(
            status == 200
                && extension["server"]["listenPath"]["value"] == path
                && extension["info"]["orgId"] == ORGANISATION,
            "{held}"
        );
        let answer = world.gateway.request("any.test", &path).await?;
        ensure!(served_by(&answer) == Some(self.backend.service()), "{answer:?}");
        Ok(())
    }

    async fn is_gone(&self, world: &Scenario) -> Result<()> {
        life::ensure_absent(world, &self.control(world)).await?;
        life::ensure_answer(world, &path(world, key(Form::Second)), 404).await
    }

    async fn tamper(&self, world: &Scenario, how: Tamper) -> Result<()> {
        life::tamper(world, &self.control(world), how, |document| {
            document[EXTENSION]["server"]["listenPath"]["value"] = path(world, "elsewhere").into();
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oas_definition_lives() -> Result<()> {
    let world = Scenario::start("life-oas").await?;
    let backend = world.backend("blue").await?;
    live(&world, &Documented { backend }).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_nobody_is_adopted_by_its_id() -> Result<()> {
    let world = Scenario::start("adopt-oas").await?;
    let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
    let id = format!("{}-mine", world.namespace());
    let path = path(&world, "shop");
    let with_id = |backend: &Backend| {
        let mut document = document(&world, &path, backend);
        document[EXTENSION]["info"]["id"] = id.clone().into();
        document[EXTENSION]["info"]["orgId"] = ORGANISATION.into();
        document
    };
    let foreign = with_id(&blue).to_string();
    world.gateway.change(Method::POST, "/tyk/apis/oas", foreign).await?;
    world.gateway.reload().await?;
    world.expect_backend("any.test", &path, &blue).await?;

    let spec = json!({"tykOAS": {"document": with_id(&green)}});
    world.apply(&resource(&world, KIND, "shop", spec)).await?;
    let shop = world.expect_ready(KIND, "shop").await?;
    ensure!(shop.data["status"]["id"] == id.as_str(), "{}", shop.data["status"]);
    world.expect_backend("any.test", &path, &green).await?;
    world.expect_apis(1).await?;
    world.delete(KIND, "shop").await?;
    world.expect_deleted(KIND, "shop").await?;
    world.expect_apis(0).await?;
    world.stop().await
}
