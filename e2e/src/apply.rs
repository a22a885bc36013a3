//! Server-side apply of YAML, for kinds that are known only when the test runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::control_plane::{SERVICE_ACCOUNT, SYSTEM_NAMESPACE};
use crate::eventually::eventually;

/// Field manager of everything that the tests write.
pub const FIELD_MANAGER: &str = "e2e";

/// A CustomResourceDefinition takes a moment until its kind is served.
const KIND_DEADLINE: Duration = Duration::from_secs(20);

/// Applies every document of a YAML text; objects without a namespace go to `default`.
///
/// # Errors
/// When a document is no Kubernetes object, its kind stays unknown, or the API server refuses it.
pub async fn yaml(client: &Client, yaml: &str) -> Result<()> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).context("not YAML")?;
    for document in documents.iter().filter(|document| !document.is_null()) {
        object(client, document).await?;
    }
    Ok(())
}

/// Applies one object; without a namespace it goes to `default`.
///
/// # Errors
/// As [`yaml`].
pub async fn object(client: &Client, object: &Value) -> Result<DynamicObject> {
    let parsed: DynamicObject =
        serde_json::from_value(object.clone()).context("not a Kubernetes object")?;
    let types = parsed
        .types
        .clone()
        .context("an object without apiVersion and kind")?;
    let name = parsed
        .metadata
        .name
        .clone()
        .context("an object without a name")?;
    let what = format!("{} {name}", types.kind);
    let kind =
        GroupVersionKind::try_from(&types).with_context(|| format!("the apiVersion of {what}"))?;
    let (resource, capabilities) = eventually(
        KIND_DEADLINE,
        &format!("the kind {}", types.kind),
        async || Ok(discovery::pinned_kind(client, &kind).await?),
    )
    .await?;
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = parsed.metadata.namespace.as_deref().unwrap_or("default");
            Api::namespaced_with(client.clone(), namespace, &resource)
        }
    };
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let applied = api
        .patch(&name, &params, &Patch::Apply(object))
        .await
        .with_context(|| format!("cannot apply {what}"))?;
    if types.kind == "CustomResourceDefinition" {
        established(&api, &name).await?;
    }
    Ok(applied)
}

async fn established(api: &Api<DynamicObject>, name: &str) -> Result<()> {
    eventually(
        KIND_DEADLINE,
        &format!("{name} to be established"),
        async || {
            let definition = api.get(name).await?;
            let conditions = &definition.data["status"]["conditions"];
            let done = conditions.as_array().is_some_and(|all| {
                all.iter()
                    .any(|one| one["type"] == "Established" && one["status"] == "True")
            });
            ensure!(done, "its conditions are {conditions}");
            Ok(())
        },
    )
    .await
}

/// Applies what a user installs: `manifests/crds/*.yaml`, the system namespace and service account,
/// `manifests/rbac.yaml`. Files that do not exist are left out: the harness is tested without the product, too.
///
/// # Errors
/// When a file cannot be read or applied.
pub async fn product_manifests(client: &Client) -> Result<()> {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests");
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": SERVICE_ACCOUNT, "namespace": SYSTEM_NAMESPACE}});
    object(client, &namespace).await?;
    object(client, &account).await?;
    let mut files = yaml_files(&manifests.join("crds"))?;
    files.extend(Some(manifests.join("rbac.yaml")).filter(|file| file.is_file()));
    for file in files {
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        yaml(client, &text)
            .await
            .with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn yaml_files(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    files.sort();
    Ok(files)
}
