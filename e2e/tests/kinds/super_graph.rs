//! `SuperGraph`.

use anyhow::{Result, ensure};
use e2e::Scenario;
use e2e::api_definition::api_id;
use serde_json::{Value, json};

use crate::life::{self, Form, Life, SUBJECT, Tamper, User, live, resource};
use crate::sub_graph::{graphql, server, users};

/// It has the SubGraph `users`, and later `posts` as well.
struct Merged;

fn posts() -> Value {
    json!({
        "schema": "type Query { post(id: ID!): Post }\ntype Post { id: ID! text: String }",
        "sdl": "extend type Query { post(id: ID!): Post }\ntype Post @key(fields: \"id\") { id: ID! text: String }",
    })
}

impl Life for Merged {
    const KIND: &'static str = "SuperGraph";

    fn object(&self, world: &Scenario, form: Form) -> Value {
        let references = match form {
            Form::First => json!([{"name": "users"}]),
            Form::Second => json!([{"name": "users"}, {"name": "posts", "namespace": world.namespace()}]),
        };
        resource(world, Self::KIND, SUBJECT, json!({"subgraph_refs": references}))
    }

    fn companions(&self, world: &Scenario) -> Vec<Value> {
        vec![
            server(world, "users", "subgraph", "users"),
            server(world, "posts", "subgraph", "posts"),
            resource(world, "SubGraph", "posts", posts()),
            server(world, "server", "supergraph", SUBJECT),
        ]
    }

    fn dependency(&self, world: &Scenario) -> Option<(&'static str, Value)> {
        Some(("GraphNotFound", resource(world, "SubGraph", "users", users("surname"))))
    }

    fn users(&self, world: &Scenario) -> Vec<User> {
        vec![User {
            object: server(world, "server", "supergraph", SUBJECT),
            refusal: format!("SuperGraph is referenced in ApiDefinition {}/server", world.namespace()),
        }]
    }

    async fn is_held(&self, world: &Scenario, form: Form) -> Result<()> {
        let held = graphql(world, "server").await?;
        let schema = held["schema"].as_str().unwrap_or_default();
        ensure!(
            schema.contains("surname") && schema.contains("post") == (form == Form::Second),
            "{held}"
        );
        let parts = held["supergraph"]["subgraphs"].as_array().map(Vec::len);
        ensure!(parts == Some(if form == Form::Second { 2 } else { 1 }), "{held}");
        Ok(())
    }

    async fn is_gone(&self, _world: &Scenario) -> Result<()> {
        Ok(())
    }

    async fn tamper(&self, world: &Scenario, how: Tamper) -> Result<()> {
        let control = format!("/tyk/apis/{}", api_id(world.namespace(), "server"));
        life::tamper(world, &control, how, |api| {
            api["graphql"]["supergraph"]["subgraphs"] = json!([]);
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_super_graph_lives() -> Result<()> {
    let world = Scenario::start("life-super").await?;
    live(&world, &Merged).await?;
    // Its parts are kept by their own APIs only, now that it is gone.
    world.expect_protected("SubGraph", "posts").await?;
    world.delete("SubGraph", "posts").await?;
    let text = format!("subgraph is referenced in ApiDefinition {}/posts", world.namespace());
    world.expect_in_use("SubGraph", "posts", &text).await?;
    world.delete("ApiDefinition", "posts").await?;
    world.expect_deleted("SubGraph", "posts").await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sub_graph_waits_for_its_super_graph() -> Result<()> {
    let world = Scenario::start("sub-in-super").await?;
    for object in Merged.companions(&world) {
        world.apply(&object).await?;
    }
    let (_, sub_graph) = Merged.dependency(&world).unwrap_or_default();
    world.apply(&sub_graph).await?;
    world.apply(&Merged.object(&world, Form::Second)).await?;
    world.expect_ready("SuperGraph", SUBJECT).await?;
    world.expect_protected("SubGraph", "posts").await?;
    world.delete("SubGraph", "posts").await?;
    let text = format!("subgraph is referenced in SuperGraph {}/{SUBJECT}", world.namespace());
    world.expect_in_use("SubGraph", "posts", &text).await?;
    life::expect_held(&world, &Merged, Form::Second).await?;
    world.apply(&Merged.object(&world, Form::First)).await?;
    world.delete("ApiDefinition", "posts").await?;
    world.expect_deleted("SubGraph", "posts").await?;
    world.stop().await
}
