//! `SecurityPolicy`, and the keys that live by it.

use anyhow::{Context, Result, ensure};
use e2e::api_definition::{api_id, keyless};
use e2e::http::{Answer, Call};
use e2e::scenario::ORGANISATION;
use e2e::{Backend, PATIENCE, Scenario, eventually};
use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::life::{self, Form, Life, SUBJECT, Tamper, live, path, resource};

const KIND: &str = "SecurityPolicy";

/// It gives access to the definition `a`, later to `b` instead.
struct Granting {
    backend: Backend,
    /// A key made while the first form was in force.
    key: OnceCell<String>,
}

impl Granting {
    fn control(&self, world: &Scenario) -> String {
        format!("/tyk/policies/{}", api_id(world.namespace(), SUBJECT))
    }

    fn guarded(&self, world: &Scenario, name: &str) -> Value {
        guarded(world, name, &self.backend)
    }
}

/// A definition that asks for a key.
fn guarded(world: &Scenario, name: &str, backend: &Backend) -> Value {
    let mut object = keyless(world.namespace(), name, &path(world, name), &backend.url());
    object["spec"]["use_keyless"] = false.into();
    object["spec"]["use_standard_auth"] = true.into();
    object
}

fn spec(names: &[&str]) -> Value {
    let rights = |name: &&str| json!({"name": name, "versions": ["Default"]});
    json!({"name": "gold", "active": true, "state": "active", "rate": 1000, "per": 1,
        "access_rights_array": names.iter().map(rights).collect::<Vec<_>>()})
}

/// A new key that lives by a policy.
async fn key_of(world: &Scenario, policy: &str) -> Result<String> {
    let session = json!({"apply_policies": [policy], "org_id": ORGANISATION, "expires": 0}).to_string();
    let answer = world.gateway.control(Method::POST, "/tyk/keys", session).await?;
    let key = answer.json()?["key"].as_str().map(str::to_owned);
    key.with_context(|| format!("no key: {answer:?}"))
}

async fn with_key(world: &Scenario, path: &str, key: &str) -> Result<Answer> {
    let mut call = Call::get(&world.gateway.ingress_url(), path);
    call.headers = vec![("host", "any.test".into()), ("authorization", key.into())];
    call.send().await
}

async fn ensure_key(world: &Scenario, name: &str, key: &str, status: u16) -> Result<()> {
    let answer = with_key(world, &path(world, name), key).await?;
    ensure!(answer.status == status, "{name} answers the key with {answer:?}");
    Ok(())
}

impl Life for Granting {
    const KIND: &'static str = KIND;

    fn object(&self, world: &Scenario, form: Form) -> Value {
        let rights = match form {
            Form::First => spec(&["a"]),
            Form::Second => spec(&["b"]),
        };
        resource(world, KIND, SUBJECT, rights)
    }

    fn companions(&self, world: &Scenario) -> Vec<Value> {
        vec![self.guarded(world, "b")]
    }

    fn dependency(&self, world: &Scenario) -> Option<(&'static str, Value)> {
        Some(("PolicyWaits", self.guarded(world, "a")))
    }

    async fn is_held(&self, world: &Scenario, form: Form) -> Result<()> {
        let (status, policy) = life::get(world, &self.control(world)).await?;
        let (open, closed) = match form {
            Form::First => ("a", "b"),
            Form::Second => ("b", "a"),
        };
        let rights = policy["access_rights"].as_object();
        let ids: Vec<_> = rights.into_iter().flatten().map(|(id, _)| id.clone()).collect();
        ensure!(
            status == 200 && ids == [api_id(world.namespace(), open)] && policy["org_id"] == ORGANISATION,
            "{policy}"
        );
        let id = api_id(world.namespace(), SUBJECT);
        let key = self.key.get_or_try_init(|| key_of(world, &id)).await?;
        ensure_key(world, open, key, 200).await?;
        ensure_key(world, closed, key, 403).await
    }

    async fn is_gone(&self, world: &Scenario) -> Result<()> {
        life::ensure_absent(world, &self.control(world)).await?;
        let key = self.key.get().context("no key was made")?;
        ensure_key(world, "b", key, 403).await
    }

    async fn tamper(&self, world: &Scenario, how: Tamper) -> Result<()> {
        life::tamper(world, &self.control(world), how, |policy| {
            policy["access_rights"] =
                json!({"other": {"api_id": "other", "api_name": "other", "versions": ["Default"]}});
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_lives() -> Result<()> {
    let world = Scenario::start("life-policy").await?;
    let granting = Granting {
        backend: world.backend("blue").await?,
        key: OnceCell::new(),
    };
    live(&world, &granting).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_of_nobody_is_adopted_by_its_id() -> Result<()> {
    let world = Scenario::start("adopt-policy").await?;
    let blue = world.backend("blue").await?;
    world.apply(&guarded(&world, "a", &blue)).await?;
    world.apply(&guarded(&world, "b", &blue)).await?;
    world.expect_ready("ApiDefinition", "a").await?;
    world.expect_ready("ApiDefinition", "b").await?;
    let id = format!("{}-mine", world.namespace());
    let api = api_id(world.namespace(), "a");
    let foreign = json!({"id": id, "org_id": ORGANISATION, "name": world.namespace(), "active": true, "rate": 100, "per": 1,
        "quota_max": -1, "access_rights": {&api: {"api_id": &api, "api_name": "a", "versions": ["Default"]}}});
    world
        .gateway
        .change(Method::POST, "/tyk/policies", foreign.to_string())
        .await?;
    world.gateway.reload().await?;
    let key = key_of(&world, &id).await?;
    ensure_key(&world, "a", &key, 200).await?;

    let mut adopting = spec(&["b"]);
    adopting["id"] = id.clone().into();
    world.apply(&resource(&world, KIND, "gold", adopting)).await?;
    let gold = world.expect_ready(KIND, "gold").await?;
    // With a Dashboard the status tells the id in its database.
    let (_, held) = life::get(&world, &format!("/tyk/policies/{id}")).await?;
    let told = match world.gateway.mode() {
        "pro" => &held["_id"],
        _ => &held["id"],
    };
    ensure!(
        gold.data["status"]["pol_id"] == *told,
        "{}, not {told}",
        gold.data["status"]
    );
    ensure_key(&world, "a", &key, 403).await?;
    ensure_key(&world, "b", &key, 200).await?;
    world.delete(KIND, "gold").await?;
    world.expect_deleted(KIND, "gold").await?;
    life::ensure_absent(&world, &format!("/tyk/policies/{id}")).await?;
    world.stop().await
}

/// A policy and its API deleted at once leave nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_waits_for_its_policy_and_both_go_together() -> Result<()> {
    let world = Scenario::start("policy-both").await?;
    let blue = world.backend("blue").await?;
    world.apply(&guarded(&world, "a", &blue)).await?;
    world.apply(&resource(&world, KIND, SUBJECT, spec(&["a"]))).await?;
    world.expect_ready(KIND, SUBJECT).await?;
    let id = api_id(world.namespace(), SUBJECT);
    let key = key_of(&world, &id).await?;
    world.delete("ApiDefinition", "a").await?;
    let text = format!(
        "unable to delete api due to security policy dependency={}/{SUBJECT}",
        world.namespace()
    );
    world.expect_in_use("ApiDefinition", "a", &text).await?;
    ensure_key(&world, "a", &key, 200).await?;
    world.delete(KIND, SUBJECT).await?;
    world.expect_deleted(KIND, SUBJECT).await?;
    world.expect_deleted("ApiDefinition", "a").await?;
    eventually(PATIENCE, "nothing to be left", async || {
        life::ensure_absent(&world, &format!("/tyk/policies/{id}")).await?;
        life::ensure_answer(&world, &path(&world, "a"), 404).await
    })
    .await?;
    world.stop().await
}
