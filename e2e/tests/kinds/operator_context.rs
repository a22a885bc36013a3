//! `OperatorContext`.

use anyhow::{Result, ensure};
use e2e::Scenario;
use e2e::api_definition::{api_id, condition, keyless};
use e2e::gateway::skipped_in_pro;
use serde_json::{Value, json};

use crate::life::{self, Form, Life, SUBJECT, Tamper, User, live, path, resource};

/// It takes its credentials from a Secret, and sets the organisation of an API.
struct Chosen;

fn user(world: &Scenario) -> Value {
    let mut object = keyless(
        world.namespace(),
        "user",
        &path(world, "user"),
        "http://127.0.0.1:9/never-asked",
    );
    object["spec"]["contextRef"] = json!({"name": SUBJECT, "namespace": world.namespace()});
    object
}

fn organisation(form: Form) -> &'static str {
    match form {
        Form::First => "e2e-first",
        Form::Second => "e2e-second",
    }
}

impl Life for Chosen {
    const KIND: &'static str = "OperatorContext";

    fn object(&self, world: &Scenario, form: Form) -> Value {
        let env = json!({"mode": "ce", "org": organisation(form)});
        let secret = json!({"name": "credentials", "namespace": world.namespace()});
        resource(world, Self::KIND, SUBJECT, json!({"env": env, "secretRef": secret}))
    }

    fn companions(&self, world: &Scenario) -> Vec<Value> {
        vec![user(world)]
    }

    fn dependency(&self, world: &Scenario) -> Option<(&'static str, Value)> {
        let secret = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "credentials", "namespace": world.namespace()},
            "stringData": {"TYK_URL": world.gateway.url(), "TYK_AUTH": world.gateway.secret()}});
        Some(("ContextInvalid", secret))
    }

    fn users(&self, world: &Scenario) -> Vec<User> {
        let refusal = "Operator context is used by other resources.Please check operator context status to find exact \
                       list of resources";
        vec![User {
            object: user(world),
            refusal: refusal.to_owned(),
        }]
    }

    async fn is_held(&self, world: &Scenario, form: Form) -> Result<()> {
        let (status, api) = life::get(world, &control(world)).await?;
        ensure!(status == 200 && api["org_id"] == organisation(form), "{status} {api}");
        let subject = world.resources(Self::KIND).get(SUBJECT).await?;
        ensure!(
            condition(&subject, "Synced")["reason"] == "Reachable",
            "{}",
            subject.data["status"]
        );
        let linked = &subject.data["status"]["linked_api_definitions"];
        ensure!(
            *linked == json!([{"name": "user", "namespace": world.namespace()}]),
            "linked: {linked}"
        );
        Ok(())
    }

    async fn is_gone(&self, world: &Scenario) -> Result<()> {
        life::ensure_absent(world, &control(world)).await
    }

    async fn tamper(&self, world: &Scenario, how: Tamper) -> Result<()> {
        life::tamper(world, &control(world), how, |api| {
            api["org_id"] = "e2e-other".into();
        })
        .await
    }
}

fn control(world: &Scenario) -> String {
    format!("/tyk/apis/{}", api_id(world.namespace(), "user"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_lives() -> Result<()> {
    if skipped_in_pro("it sets organisations, which the key decides there") {
        return Ok(());
    }
    let world = Scenario::start("life-context").await?;
    world.apply(&user(&world)).await?;
    world.expect_refused("ApiDefinition", "user", "ContextNotFound").await?;
    live(&world, &Chosen).await?;
    world.stop().await
}
