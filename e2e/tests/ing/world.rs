//! What several of these tests do.

use anyhow::{Result, bail};
use e2e::fixtures::{prefix, rule};
use e2e::{Backend, PATIENCE, Scenario, eventually};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

/// A template of Ingresses: a keyless API that strips its listen path, and `more`.
pub fn template(world: &Scenario, name: &str, more: &Value) -> Value {
    let mut spec = json!({"name": name, "protocol": "http", "active": true, "use_keyless": true,
        "proxy": {"target_url": "http://example.com", "listen_path": "/", "strip_listen_path": true}});
    if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more.clone()) {
        spec.extend(more);
    }
    json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "ApiDefinition", "spec": spec,
        "metadata": {"name": name, "namespace": world.namespace(), "labels": {"template": "true"}}})
}

/// Applies an Ingress of the test's class with one path, made from a template.
pub async fn apply_templated(
    world: &Scenario,
    ingress: &str,
    template: &str,
    host: &str,
    path: &str,
    backend: &Backend,
) -> Result<()> {
    let spec = json!({"ingressClassName": world.class(), "rules": [rule(host, &[prefix(path, backend)])]});
    world
        .apply_ingress_spec(ingress, json!({"tyk.io/template": template}), spec)
        .await
}

/// Makes an Ingress and waits until it is served: whatever was there before has had its round then.
pub async fn round(world: &Scenario, name: &str, backend: &Backend) -> Result<()> {
    let host = world.host(name);
    world
        .apply_ingress(name, &[rule(&host, &[prefix("/", backend)])])
        .await?;
    world.expect_backend(&host, "/", backend).await.map(drop)
}

/// Puts finalizers on an Ingress, as Tyk Operator did before it was replaced.
pub async fn leave_finalizer(world: &Scenario, ingress: &str) -> Result<()> {
    let patch = json!({"metadata": {"finalizers": ["finalizers.tyk.io/ingress"]}});
    world
        .ingresses()
        .patch(ingress, &PatchParams::default(), &Patch::Merge(patch))
        .await?;
    Ok(())
}

/// Waits until an Ingress is gone from the cluster.
pub async fn expect_gone(world: &Scenario, ingress: &str) -> Result<()> {
    eventually(PATIENCE, &format!("{ingress} to be gone"), async || {
        match world.ingresses().get_opt(ingress).await? {
            None => Ok(()),
            Some(object) => bail!("it is still there, with the finalizers {:?}", object.finalizers()),
        }
    })
    .await
}
