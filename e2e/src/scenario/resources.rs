//! Custom resources by kind and name, and what their status says.

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

use super::Scenario;
use crate::api_definition::condition;
use crate::eventually::{PATIENCE, eventually};
use crate::metrics::sum;

/// The custom resources of a kind, whatever their namespace.
#[must_use]
pub fn kind(kind: &str) -> ApiResource {
    let plural = match kind.to_lowercase() {
        name if name.ends_with('y') => format!("{}ies", name.trim_end_matches('y')),
        name => format!("{name}s"),
    };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("tyk.tyk.io", "v1alpha1", kind), &plural)
}

/// Whether a condition speaks of the object as it now is and has this status: what `kubectl wait` looks at.
///
/// # Errors
/// When it does not, with what the status says.
pub fn ensure_condition(object: &DynamicObject, type_: &str, status: &str) -> Result<()> {
    let found = condition(object, type_);
    let current = found["observedGeneration"].as_i64() == object.metadata.generation;
    ensure!(
        current && found["status"] == status,
        "generation {:?}, status {}",
        object.metadata.generation,
        object.data["status"]
    );
    Ok(())
}

impl Scenario {
    /// The custom resources of a kind in the test's namespace.
    #[must_use]
    pub fn resources(&self, of: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client(), self.namespace(), &kind(of))
    }

    /// Waits until a resource satisfies `probe`, and returns it.
    ///
    /// # Errors
    /// When it does not, with the end of the product's log.
    pub async fn expect_resource(
        &self,
        (of, name): (&str, &str),
        what: &str,
        probe: impl Fn(&DynamicObject) -> Result<()>,
    ) -> Result<DynamicObject> {
        let what = format!("{of} {name} {what}");
        let result = eventually(PATIENCE, &what, async || {
            let object = self.resources(of).get(name).await?;
            probe(&object)?;
            Ok(object)
        });
        result.await.with_context(|| self.operator_log())
    }

    /// Waits as `kubectl wait --for=condition=Ready` does.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn expect_ready(&self, of: &str, name: &str) -> Result<DynamicObject> {
        self.expect_resource((of, name), "to be ready", |object| {
            ensure_condition(object, "Ready", "True")
        })
        .await
    }

    /// Waits until a resource is not accepted for the reason `code`.
    ///
    /// # Errors
    /// When its condition stays another.
    pub async fn expect_refused(&self, of: &str, name: &str, code: &str) -> Result<DynamicObject> {
        self.expect_resource((of, name), &format!("to be refused for {code}"), |object| {
            ensure_condition(object, "Accepted", "False")?;
            ensure_condition(object, "Ready", "False")?;
            let accepted = condition(object, "Accepted");
            ensure!(accepted["reason"] == code, "{accepted}");
            ensure!(
                accepted["message"].as_str().is_some_and(|text| !text.is_empty()),
                "no message"
            );
            Ok(())
        })
        .await
    }

    /// Waits until the deletion of a resource is refused in these words.
    ///
    /// # Errors
    /// When its status says something else.
    pub async fn expect_in_use(&self, of: &str, name: &str, text: &str) -> Result<DynamicObject> {
        self.expect_resource((of, name), "to be in use", |object| {
            let ready = condition(object, "Ready");
            let transaction = &object.data["status"]["latestTransaction"];
            let told = transaction["error"] == text || of == "OperatorContext" || of.ends_with("Graph");
            ensure!(
                ready["status"] == "False" && ready["reason"] == "InUse" && ready["message"] == text && told,
                "{}",
                object.data["status"]
            );
            Ok(())
        })
        .await
    }

    /// Waits until a resource has the finalizer without which its deletion cannot wait.
    ///
    /// # Errors
    /// When it stays without one.
    pub async fn expect_protected(&self, of: &str, name: &str) -> Result<DynamicObject> {
        self.expect_resource((of, name), "to be protected", |object| {
            let protected = object.metadata.finalizers.as_ref().is_some_and(|all| !all.is_empty());
            ensure!(protected, "it has no finalizer");
            Ok(())
        })
        .await
    }

    /// Asks for the deletion of a resource.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn delete(&self, of: &str, name: &str) -> Result<()> {
        let deleted = self.resources(of).delete(name, &DeleteParams::default()).await;
        deleted.map(drop).with_context(|| format!("cannot delete {of} {name}"))
    }

    /// Waits until there is no such resource any more.
    ///
    /// # Errors
    /// When it stays.
    pub async fn expect_deleted(&self, of: &str, name: &str) -> Result<()> {
        let what = format!("{of} {name} to be gone");
        let result = eventually(PATIENCE, &what, async || {
            let found = self.resources(of).get_opt(name).await?;
            let told = found.map(|object| (object.metadata.finalizers, object.data["status"].clone()));
            ensure!(told.is_none(), "it is there: {told:?}");
            Ok(())
        });
        result.await.with_context(|| self.operator_log())
    }

    /// How many changes of others the product has put right on the gateway so far.
    ///
    /// # Errors
    /// When it is not running.
    pub async fn repairs(&self) -> Result<f64> {
        let metrics = self.operator()?.get("/metrics").await?.body;
        sum(&metrics, "tyk_ingress_drift_repaired_total", |_| true)
    }
}

/// `kind` and `metadata.name` of an object.
///
/// # Errors
/// When it has none.
pub fn identity(object: &Value) -> Result<(&str, &str)> {
    let kind = object["kind"].as_str().context("an object without a kind")?;
    let name = object["metadata"]["name"]
        .as_str()
        .context("an object without a name")?;
    Ok((kind, name))
}
