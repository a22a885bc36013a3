//! `SubGraph`.

use anyhow::{Result, ensure};
use e2e::Scenario;
use e2e::api_definition::{api_id, keyless};
use serde_json::{Value, json};

use crate::life::{self, Form, Life, SUBJECT, Tamper, User, live, path, resource};

/// Its API is there before it, and waits for it.
struct Served;

/// The API that serves a graph of the test.
pub fn server(world: &Scenario, name: &str, mode: &str, graph: &str) -> Value {
    let mut object = keyless(
        world.namespace(),
        name,
        &path(world, name),
        "http://127.0.0.1:9/never-asked",
    );
    object["spec"]["graphql"] = json!({"enabled": true, "execution_mode": mode, "version": "2", "graph_ref": graph});
    object
}

/// What the API of a graph has on the gateway.
pub async fn graphql(world: &Scenario, name: &str) -> Result<Value> {
    let (status, mut api) = life::get(world, &format!("/tyk/apis/{}", api_id(world.namespace(), name))).await?;
    ensure!(status == 200, "the API answers {status}");
    Ok(api["graphql"].take())
}

/// A schema with this field beside `me`.
pub fn users(field: &str) -> Value {
    let of = |extend: &str, key: &str| {
        format!("{extend}type Query {{ me: User }}\ntype User {key}{{ id: ID! {field}: String }}")
    };
    json!({"schema": of("", ""), "sdl": of("extend ", "@key(fields: \"id\") ")})
}

fn field(form: Form) -> &'static str {
    match form {
        Form::First => "surname",
        Form::Second => "nickname",
    }
}

impl Life for Served {
    const KIND: &'static str = "SubGraph";

    fn object(&self, world: &Scenario, form: Form) -> Value {
        resource(world, Self::KIND, SUBJECT, users(field(form)))
    }

    fn companions(&self, world: &Scenario) -> Vec<Value> {
        vec![server(world, "server", "subgraph", SUBJECT)]
    }

    fn dependency(&self, _world: &Scenario) -> Option<(&'static str, Value)> {
        None
    }

    fn users(&self, world: &Scenario) -> Vec<User> {
        vec![User {
            object: server(world, "server", "subgraph", SUBJECT),
            refusal: format!("subgraph is referenced in ApiDefinition {}/server", world.namespace()),
        }]
    }

    async fn is_held(&self, world: &Scenario, form: Form) -> Result<()> {
        let held = graphql(world, "server").await?;
        let has = |part: &Value| part.as_str().is_some_and(|text| text.contains(field(form)));
        ensure!(has(&held["schema"]) && has(&held["subgraph"]["sdl"]), "{held}");
        let subject = world.resources(Self::KIND).get(SUBJECT).await?;
        let linked = &subject.data["status"]["linked_by_api"];
        ensure!(*linked == api_id(world.namespace(), "server"), "linked by {linked}");
        Ok(())
    }

    async fn is_gone(&self, _world: &Scenario) -> Result<()> {
        Ok(())
    }

    async fn tamper(&self, world: &Scenario, how: Tamper) -> Result<()> {
        let control = format!("/tyk/apis/{}", api_id(world.namespace(), "server"));
        life::tamper(world, &control, how, |api| {
            api["graphql"]["schema"] = "type Query { none: Int }".into();
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sub_graph_lives() -> Result<()> {
    let world = Scenario::start("life-sub").await?;
    world.apply(&server(&world, "server", "subgraph", SUBJECT)).await?;
    world.expect_refused("ApiDefinition", "server", "GraphNotFound").await?;
    live(&world, &Served).await?;
    world.stop().await
}
