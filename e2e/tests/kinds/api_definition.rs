//! `ApiDefinition`.

use anyhow::{Result, ensure};
use e2e::api_definition::{api_id, keyless};
use e2e::scenario::{ORGANISATION, served_by};
use e2e::{Backend, Scenario};
use serde_json::{Value, json};

use crate::life::{self, Form, Life, SUBJECT, Tamper, User, live, path, resource};

/// It passes requests on to another definition, which it does not work without.
struct Looping {
    inner: Backend,
}

impl Looping {
    fn control(&self, world: &Scenario) -> String {
        format!("/tyk/apis/{}", api_id(world.namespace(), SUBJECT))
    }
}

fn listen_path(world: &Scenario, form: Form) -> String {
    match form {
        Form::First => path(world, "first"),
        Form::Second => path(world, "second"),
    }
}

impl Life for Looping {
    const KIND: &'static str = "ApiDefinition";

    fn object(&self, world: &Scenario, form: Form) -> Value {
        let mut object = keyless(world.namespace(), SUBJECT, &listen_path(world, form), "");
        object["spec"]["proxy"]["target_internal"] = json!({"target": {"name": "inner"}});
        object
    }

    fn dependency(&self, world: &Scenario) -> Option<(&'static str, Value)> {
        let inner = keyless(world.namespace(), "inner", &path(world, "inner"), &self.inner.url());
        Some(("TargetNotFound", inner))
    }

    fn users(&self, world: &Scenario) -> Vec<User> {
        let namespace = world.namespace();
        let rights = json!({"name": SUBJECT, "namespace": namespace, "versions": ["Default"]});
        let policy = json!({"name": "gold", "active": true, "state": "active", "access_rights_array": [rights]});
        let mut caller = keyless(namespace, "caller", &path(world, "caller"), "");
        caller["spec"]["proxy"]["target_internal"] = json!({"target": {"name": SUBJECT, "namespace": namespace}});
        vec![
            User {
                object: resource(world, "SecurityPolicy", "gold", policy),
                refusal: format!("unable to delete api due to security policy dependency={namespace}/gold"),
            },
            User {
                object: caller,
                refusal: format!("unable to delete api due to being depended by ={namespace}/caller"),
            },
        ]
    }

    async fn is_held(&self, world: &Scenario, form: Form) -> Result<()> {
        let (status, api) = life::get(world, &self.control(world)).await?;
        let path = listen_path(world, form);
        ensure!(
            status == 200 && api["proxy"]["listen_path"] == path && api["org_id"] == ORGANISATION,
            "{api}"
        );
        let answer = world.gateway.request("any.test", &path).await?;
        ensure!(served_by(&answer) == Some(self.inner.service()), "{answer:?}");
        Ok(())
    }

    async fn is_gone(&self, world: &Scenario) -> Result<()> {
        life::ensure_absent(world, &self.control(world)).await?;
        life::ensure_answer(world, &listen_path(world, Form::Second), 404).await
    }

    async fn tamper(&self, world: &Scenario, how: Tamper) -> Result<()> {
        life::tamper(world, &self.control(world), how, |api| {
            api["proxy"]["listen_path"] = path(world, "elsewhere").into();
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_definition_lives() -> Result<()> {
    let world = Scenario::start("life-api").await?;
    let inner = world.backend("inner").await?;
    live(&world, &Looping { inner }).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_of_nobody_is_adopted_by_its_id() -> Result<()> {
    let world = Scenario::start("adopt-api").await?;
    let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
    let id = format!("{}-mine", world.namespace());
    let path = path(&world, "shop");
    let mut definition = keyless(world.namespace(), "shop", &path, &blue.url())["spec"].take();
    definition["api_id"] = id.clone().into();
    definition["org_id"] = ORGANISATION.into();
    definition["version_data"] = json!({"not_versioned": true, "versions": {"Default": {"name": "Default"}}});
    world.gateway.create_api(&definition).await?;
    world.gateway.reload().await?;
    world.expect_backend("any.test", &path, &blue).await?;

    let mut object = keyless(world.namespace(), "shop", &path, &green.url());
    object["spec"]["api_id"] = id.clone().into();
    world.apply(&object).await?;
    let shop = world.expect_ready("ApiDefinition", "shop").await?;
    ensure!(shop.data["status"]["api_id"] == id.as_str(), "{}", shop.data["status"]);
    world.expect_backend("any.test", &path, &green).await?;
    world.expect_apis(1).await?;
    world.delete("ApiDefinition", "shop").await?;
    world.expect_deleted("ApiDefinition", "shop").await?;
    world.expect_apis(0).await?;
    world.stop().await
}
