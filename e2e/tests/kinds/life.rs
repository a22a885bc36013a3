//! The life that every kind goes through.

use anyhow::{Context, Result, ensure};
use e2e::scenario::resources::identity;
use e2e::{PATIENCE, Scenario, eventually};
use hyper::Method;
use serde_json::{Value, json};

/// Name of the object that lives.
pub const SUBJECT: &str = "subject";

/// The two specs that the subject has, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    First,
    Second,
}

/// What somebody else does on the gateway.
#[derive(Clone, Copy, Debug)]
pub enum Tamper {
    Edit,
    Delete,
}

/// An object that uses the subject, and what its deletion is refused with meanwhile.
pub struct User {
    pub object: Value,
    pub refusal: String,
}

/// What is particular to a kind.
pub trait Life {
    const KIND: &'static str;
    /// What can happen to it on a gateway; nothing to a kind that is not sent itself.
    const TAMPERS: &'static [Tamper] = &[Tamper::Edit, Tamper::Delete];

    /// The subject.
    fn object(&self, world: &Scenario, form: Form) -> Value;

    /// Objects that are there all the time.
    fn companions(&self, _world: &Scenario) -> Vec<Value> {
        Vec::new()
    }

    /// What the subject does not work without, and the code that says so.
    fn dependency(&self, world: &Scenario) -> Option<(&'static str, Value)>;

    /// Who keeps the subject from being deleted.
    fn users(&self, _world: &Scenario) -> Vec<User> {
        Vec::new()
    }

    /// Whether the gateway has the subject, and does with it what it is for.
    async fn is_held(&self, world: &Scenario, form: Form) -> Result<()>;

    /// Whether the gateway has nothing of it.
    async fn is_gone(&self, world: &Scenario) -> Result<()>;

    /// Changes it on the gateway.
    async fn tamper(&self, _world: &Scenario, _how: Tamper) -> Result<()> {
        Ok(())
    }
}

/// Leads one object through its life.
pub async fn live<L: Life>(world: &Scenario, life: &L) -> Result<()> {
    for companion in life.companions(world) {
        world.apply(&companion).await?;
    }
    born(world, life).await.context("made")?;
    world.apply(&life.object(world, Form::Second)).await?;
    expect_held(world, life, Form::Second).await.context("changed")?;
    for how in L::TAMPERS {
        repaired(world, life, *how)
            .await
            .with_context(|| format!("{how:?} on the gateway"))?;
    }
    for user in life.users(world) {
        let what = user.refusal.clone();
        used(world, life, user).await.context(what)?;
    }
    for user in life.users(world) {
        let what = user.refusal.clone();
        both(world, life, &user.object)
            .await
            .with_context(|| format!("both are deleted; {what}"))?;
    }
    for user in life.users(world) {
        let (kind, name) = identity(&user.object)?;
        if world.resources(kind).get_opt(name).await?.is_some() {
            world.delete(kind, name).await?;
        }
    }
    world.delete(L::KIND, SUBJECT).await?;
    expect_gone(world, life).await.context("deleted")
}

/// It waits for what it needs, and works without being touched once that is there.
async fn born<L: Life>(world: &Scenario, life: &L) -> Result<()> {
    world.apply(&life.object(world, Form::First)).await?;
    if let Some((code, dependency)) = life.dependency(world) {
        let before = world.expect_refused(L::KIND, SUBJECT, code).await?;
        world.apply(&dependency).await?;
        let after = world.expect_ready(L::KIND, SUBJECT).await?;
        ensure!(
            before.metadata.generation == after.metadata.generation,
            "the subject was written"
        );
    }
    expect_held(world, life, Form::First).await
}

/// What somebody else changes is put right.
async fn repaired<L: Life>(world: &Scenario, life: &L, how: Tamper) -> Result<()> {
    let before = world.repairs().await?;
    life.tamper(world, how).await?;
    eventually(PATIENCE, "a repair", async || {
        let now = world.repairs().await?;
        ensure!(now > before, "{now} repairs, as before");
        Ok(())
    })
    .await
    .with_context(|| world.operator().map(e2e::Operator::tail).unwrap_or_default())?;
    expect_held(world, life, Form::Second).await
}

/// Its deletion waits for its user.
async fn used<L: Life>(world: &Scenario, life: &L, user: User) -> Result<()> {
    let (kind, name) = identity(&user.object)?;
    world.apply(&user.object).await?;
    world.expect_ready(kind, name).await?;
    world.expect_protected(L::KIND, SUBJECT).await?;
    world.delete(L::KIND, SUBJECT).await?;
    world.expect_in_use(L::KIND, SUBJECT, &user.refusal).await?;
    life.is_held(world, Form::Second)
        .await
        .context("while its deletion waits")?;
    world.delete(kind, name).await?;
    world.expect_deleted(kind, name).await?;
    expect_gone(world, life).await?;
    for companion in life.companions(world) {
        world.apply(&companion).await?;
    }
    world.apply(&life.object(world, Form::Second)).await?;
    expect_held(world, life, Form::Second).await.context("made again")
}

/// Deleted together, neither waits for the other.
async fn both<L: Life>(world: &Scenario, life: &L, user: &Value) -> Result<()> {
    let (kind, name) = identity(user)?;
    world.apply(user).await?;
    world.expect_ready(kind, name).await?;
    world.delete(L::KIND, SUBJECT).await?;
    world.delete(kind, name).await?;
    world.expect_deleted(kind, name).await?;
    expect_gone(world, life).await?;
    for companion in life.companions(world) {
        world.apply(&companion).await?;
    }
    world.apply(&life.object(world, Form::Second)).await?;
    expect_held(world, life, Form::Second).await.context("made again")
}

/// The subject is ready, and the gateway has this form of it.
pub async fn expect_held<L: Life>(world: &Scenario, life: &L, form: Form) -> Result<()> {
    world.expect_ready(L::KIND, SUBJECT).await?;
    eventually(PATIENCE, &format!("the {form:?} form"), async || {
        life.is_held(world, form).await
    })
    .await
}

async fn expect_gone<L: Life>(world: &Scenario, life: &L) -> Result<()> {
    world.expect_deleted(L::KIND, SUBJECT).await?;
    life.is_gone(world).await.context("gone from the cluster alone")
}

/// An object of the product's own group, in the test's namespace.
pub fn resource(world: &Scenario, kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": kind, "spec": spec,
        "metadata": {"name": name, "namespace": world.namespace()}})
}

/// A path of the test's own on every host.
pub fn path(world: &Scenario, name: &str) -> String {
    format!("/{}/{name}/", world.namespace())
}

/// A call of the gateway's control API that answers JSON, with its status.
pub async fn get(world: &Scenario, path: &str) -> Result<(u16, Value)> {
    let answer = world.gateway.control(Method::GET, path, String::new()).await?;
    Ok((answer.status, answer.json().unwrap_or_default()))
}

/// Fails while the gateway has something at this path.
pub async fn ensure_absent(world: &Scenario, path: &str) -> Result<()> {
    let (status, found) = get(world, path).await?;
    ensure!(status == 404, "{path} answers {status}: {found}");
    Ok(())
}

/// Fails unless this status answers a request.
pub async fn ensure_answer(world: &Scenario, path: &str, status: u16) -> Result<()> {
    let answer = world.gateway.request("any.test", path).await?;
    ensure!(answer.status == status, "{path} answers {answer:?}");
    Ok(())
}

/// Writes a changed copy of what the gateway has at `path`, or deletes it there; it counts after the reload.
pub async fn tamper(world: &Scenario, path: &str, how: Tamper, edit: impl FnOnce(&mut Value)) -> Result<()> {
    match how {
        Tamper::Edit => {
            let (status, before) = get(world, path).await?;
            let mut after = before.clone();
            edit(&mut after);
            ensure!(status == 200 && after != before, "nothing to change in {before}");
            world.gateway.change(Method::PUT, path, after.to_string()).await?;
        }
        Tamper::Delete => world.gateway.change(Method::DELETE, path, String::new()).await?,
    }
    world.gateway.reload().await
}
