//! Bad input of every kind: it is told on the object, its last good form stays, and nobody else notices.

use anyhow::{Context, Result, ensure};
use e2e::api_definition::{api_id, condition, keyless};
use e2e::scenario::ORGANISATION;
use e2e::{Backend, PATIENCE, Scenario, eventually};
use serde_json::{Value, json};

use crate::life::{self, path, resource};
use crate::{oas, sub_graph};

/// A kind, a good object of it, and what can be wrong with it.
struct Case {
    /// Objects that the good one works with.
    with: Vec<Value>,
    good: Value,
    /// A spec in place of the good one, and the code that says what is wrong.
    bad: Vec<(Value, &'static str)>,
    /// What the gateway has of it.
    held: String,
}

fn classic(world: &Scenario, backend: &Backend) -> Case {
    let good = keyless(world.namespace(), "classic", &path(world, "classic"), &backend.url());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut spec = good["spec"].clone();
        change(&mut spec);
        spec
    };
    let graphql =
        json!({"enabled": true, "execution_mode": "executionEngine", "version": "2", "schema": "type Query {"});
    let internal = json!({"target": {"name": "missing"}});
    Case {
        with: Vec::new(),
        bad: vec![
            (
                with(&|spec| spec["proxy"]["listen_path"] = "/a{x:(b)}".into()),
                "InvalidDefinition",
            ),
            (
                with(&|spec| spec["proxy"]["target_internal"] = internal.clone()),
                "TargetNotFound",
            ),
            (
                with(&|spec| spec["contextRef"] = json!({"name": "missing"})),
                "ContextNotFound",
            ),
            (with(&|spec| spec["graphql"] = graphql.clone()), "InvalidGraph"),
            (
                with(&|spec| spec["certificate_secret_names"] = json!(["missing"])),
                "CertificateNotFound",
            ),
        ],
        held: format!("/tyk/apis/{}", api_id(world.namespace(), "classic")),
        good,
    }
}

fn documented(world: &Scenario, backend: &Backend) -> Case {
    let document = oas::document(world, &path(world, "documented"), backend);
    let mut without_paths = document.clone();
    without_paths.as_object_mut().map(|fields| fields.remove("paths"));
    // As large as a ConfigMap can be, and broken at its end.
    let large = format!("{{\"openapi\": \"3.0.3\", \"info\": \"{}", "x".repeat(1_000_000));
    let data = json!({"broken": "{", "large": large, "no-api": "openapi: 3.0.3\n"});
    let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data,
        "metadata": {"name": "bad", "namespace": world.namespace()}});
    let by_key = |key: &str| json!({"tykOAS": {"configmapRef": {"name": "bad", "namespace": world.namespace(), "keyName": key}}});
    Case {
        with: vec![config_map],
        good: resource(
            world,
            "TykOasApiDefinition",
            "documented",
            json!({"tykOAS": {"document": document}}),
        ),
        bad: vec![
            (by_key("broken"), "InvalidDocument"),
            (by_key("large"), "InvalidDocument"),
            (by_key("no-api"), "InvalidDocument"),
            (by_key("missing"), "DocumentNotFound"),
            (json!({"tykOAS": {"document": without_paths}}), "InvalidDocument"),
            (
                json!({"tykOAS": {"document": document}, "contextRef": {"name": "missing"}}),
                "ContextNotFound",
            ),
        ],
        held: format!("/tyk/apis/oas/{}", api_id(world.namespace(), "documented")),
    }
}

fn policy(world: &Scenario) -> Case {
    let rights = |names: &[&str]| {
        let right = |name: &&str| json!({"name": name, "versions": ["Default"]});
        json!({"name": "gold", "active": true, "state": "active",
            "access_rights_array": names.iter().map(right).collect::<Vec<_>>()})
    };
    let mut elsewhere = rights(&["neighbour"]);
    elsewhere["contextRef"] = json!({"name": "missing"});
    Case {
        with: Vec::new(),
        good: resource(world, "SecurityPolicy", "gold", rights(&["neighbour"])),
        bad: vec![
            (rights(&["neighbour", "missing"]), "PolicyWaits"),
            (elsewhere, "ContextNotFound"),
        ],
        held: format!("/tyk/policies/{}", api_id(world.namespace(), "gold")),
    }
}

fn graph(world: &Scenario) -> Case {
    let invalid = json!({"schema": "type Query { me: Missing }", "sdl": "type Query {"});
    Case {
        with: vec![sub_graph::server(world, "graph-server", "subgraph", "graph")],
        good: resource(world, "SubGraph", "graph", sub_graph::users("surname")),
        bad: vec![(invalid, "InvalidGraph")],
        held: format!("/tyk/apis/{}", api_id(world.namespace(), "graph-server")),
    }
}

fn super_graph(world: &Scenario) -> Case {
    Case {
        with: vec![
            sub_graph::server(world, "part-server", "subgraph", "part"),
            resource(world, "SubGraph", "part", sub_graph::users("nickname")),
            sub_graph::server(world, "whole-server", "supergraph", "whole"),
        ],
        good: resource(
            world,
            "SuperGraph",
            "whole",
            json!({"subgraph_refs": [{"name": "part"}]}),
        ),
        bad: vec![(
            json!({"subgraph_refs": [{"name": "part"}, {"name": "missing"}]}),
            "GraphNotFound",
        )],
        held: format!("/tyk/apis/{}", api_id(world.namespace(), "whole-server")),
    }
}

fn context(world: &Scenario) -> Case {
    let mut user = keyless(world.namespace(), "user", &path(world, "user"), "http://127.0.0.1:9");
    user["spec"]["contextRef"] = json!({"name": "east"});
    // With a Dashboard the key decides on the organisation; another one here is written in vain each time.
    let org = match world.gateway.mode() {
        "pro" => ORGANISATION,
        _ => "e2e-east",
    };
    let env = |url: &str| json!({"env": {"mode": world.gateway.mode(), "url": url, "org": org}});
    Case {
        with: vec![user],
        good: resource(world, "OperatorContext", "east", json!({"env": {"org": org}})),
        bad: vec![
            (env("http://elsewhere.test"), "ContextInvalid"),
            (env("http://name:hunter2@elsewhere.test"), "ContextInvalid"),
            (json!({"secretRef": {"name": "missing"}}), "ContextInvalid"),
        ],
        held: format!("/tyk/apis/{}", api_id(world.namespace(), "user")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_of_every_kind_costs_nothing_but_itself() -> Result<()> {
    let world = Scenario::start("bad-kinds").await?;
    let blue = world.backend("blue").await?;
    let neighbour = keyless(world.namespace(), "neighbour", &path(&world, "neighbour"), &blue.url());
    world.apply(&neighbour).await?;
    let before = world.expect_ready("ApiDefinition", "neighbour").await?;
    for case in [
        classic(&world, &blue),
        documented(&world, &blue),
        policy(&world),
        graph(&world),
        super_graph(&world),
        context(&world),
    ] {
        let what = case.good["kind"].to_string();
        suffers(&world, case).await.context(what)?;
        world
            .expect_backend("any.test", &path(&world, "neighbour"), &blue)
            .await?;
    }
    let after = world.expect_ready("ApiDefinition", "neighbour").await?;
    let since = |object| condition(object, "Ready")["lastTransitionTime"].clone();
    ensure!(
        since(&before) == since(&after),
        "the neighbour was not ready for a while"
    );
    let log = world.operator()?.log();
    ensure!(
        !log.contains("hunter2") && !log.contains("xxxxxxxx"),
        "input is in the log"
    );
    world.stop().await
}

async fn suffers(world: &Scenario, case: Case) -> Result<()> {
    for object in &case.with {
        world.apply(object).await?;
    }
    let (kind, name) = e2e::scenario::resources::identity(&case.good)?;
    world.apply(&case.good).await?;
    world.expect_ready(kind, name).await?;
    let held = eventually(PATIENCE, "it on the gateway", async || {
        let (status, held) = life::get(world, &case.held).await?;
        ensure!(status == 200, "{status} {held}");
        Ok(held)
    })
    .await?;
    for (spec, code) in &case.bad {
        let mut bad = case.good.clone();
        bad["spec"] = spec.clone();
        world
            .apply(&bad)
            .await
            .with_context(|| format!("{code}: refused by the API server"))?;
        let refused = world.expect_refused(kind, name, code).await?;
        let status = refused.data["status"].to_string();
        ensure!(status.len() < 5000, "{} bytes of status", status.len());
        ensure!(!status.contains("hunter2"), "a password is in the status");
        world.expect_warning_on(kind, name, &[code]).await?;
        let (_, now) = life::get(world, &case.held).await?;
        ensure!(now == held, "{code}: the last good form is gone: {now}");
        world.apply(&case.good).await?;
        world
            .expect_ready(kind, name)
            .await
            .with_context(|| format!("after {code}"))?;
    }
    Ok(())
}

/// What the schema of a kind refuses is refused by the API server, with the field.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_values_are_refused_at_once() -> Result<()> {
    let world = Scenario::without_operator("bad-enums").await?;
    let mut classic = keyless(world.namespace(), "bad", "/bad/", "http://127.0.0.1:9");
    classic["spec"]["protocol"] = "gopher".into();
    let policy = json!({"name": "gold", "active": true, "state": "perhaps", "access_rights_array": []});
    let of_kind = json!({"name": "gold", "active": true, "state": "active",
        "access_rights_array": [{"kind": "Ingress", "name": "a", "versions": ["Default"]}]});
    for (object, word) in [
        (classic, "spec.protocol"),
        (
            resource(
                &world,
                "TykOasApiDefinition",
                "bad",
                json!({"tykOAS": {"document": "text"}}),
            ),
            "spec.tykOAS",
        ),
        (resource(&world, "SecurityPolicy", "bad", policy), "spec.state"),
        (resource(&world, "SecurityPolicy", "bad", of_kind), "kind"),
        (
            resource(&world, "OperatorContext", "bad", json!({"env": {"mode": "free"}})),
            "spec.env.mode",
        ),
        (
            resource(
                &world,
                "SubGraph",
                "bad",
                json!({"schema": 7, "sdl": "type Query { a: Int }"}),
            ),
            "spec.schema",
        ),
        (
            resource(
                &world,
                "SuperGraph",
                "bad",
                json!({"subgraph_refs": [{"namespace": "a"}]}),
            ),
            "spec.subgraph_refs",
        ),
    ] {
        let refused = world.apply(&object).await.map(drop);
        let text = refused.err().with_context(|| format!("{word}: accepted"))?;
        ensure!(format!("{text:#}").contains(word), "{word}: {text:#}");
    }
    Ok(())
}
