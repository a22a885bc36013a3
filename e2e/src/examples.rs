//! The repository's examples in a cluster: applied as they are, expected to work, taken away again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::networking::v1::Ingress;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject};
use serde_json::{Value, json};

use crate::api_definition::condition;
use crate::eventually::{PATIENCE, eventually};
use crate::fixtures::tls_secret;
use crate::scenario::Scenario;
use crate::scenario::resources::{ensure_condition, identity, kind};
use crate::{GatewayUnderTest, OperatorConfig, pki};

/// Where examples that name no namespace go; some name it themselves.
pub const NAMESPACE: &str = "default";

/// Kinds that need a Dashboard.
const OF_A_DASHBOARD: [&str; 3] = ["APIDescription", "PortalAPICatalogue", "PortalConfig"];

/// Arguments and variables that the examples ask of the product. What it makes on a shared gateway has a mark of its own.
///
/// # Errors
/// As [`Scenario::operator_config`].
pub fn operator_config(world: &Scenario) -> Result<OperatorConfig> {
    let config = world
        .operator_config()?
        .env("WATCH_NAMESPACE", NAMESPACE)
        .env("WATCH_INGRESS_CLASS", "tyk")
        .env("TYK_INGRESS_OWNER", world.namespace());
    Ok(config.args(&["--publish-address", "192.0.2.80", "--nginx-annotations", "translate"]))
}

/// Makes the Secrets that the examples name and leave to the reader. `beside` is the gateway of their OperatorContext.
///
/// # Errors
/// When the API server refuses one.
pub async fn prepare(world: &Scenario, beside: &GatewayUnderTest) -> Result<()> {
    let certificate = pki::server_certificate(&["secure.example.com"])?;
    world.apply(&tls_secret("secure-tls", NAMESPACE, &certificate)).await?;
    let east = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tyk-east", "namespace": NAMESPACE},
        "stringData": {"TYK_URL": beside.url(), "TYK_AUTH": beside.secret()}});
    world.apply(&east).await.map(drop)
}

/// Takes each folder of examples through its life: applied, in effect, gone.
///
/// # Errors
/// With the object that is not in effect in time, or not gone.
pub async fn live(world: &Scenario) -> Result<()> {
    let (dashboard, real) = (world.gateway.mode() == "pro", world.gateway.calls().is_none());
    for folder in folders()? {
        let objects = objects(&folder, dashboard)?;
        let place = || folder.display().to_string();
        for object in &objects {
            world.apply(object).await.with_context(place)?;
        }
        for object in objects.iter().filter(|object| !(real && needs_more(object))) {
            expect_in_effect(world, object).await.with_context(place)?;
        }
        remove(world, &objects).await.with_context(place)?;
    }
    eventually(PATIENCE, "an empty gateway", async || {
        let left = world.gateway.list_marked(world.namespace()).await?;
        let left: Vec<_> = left.iter().map(|api| &api["name"]).collect();
        ensure!(left.is_empty(), "left on the gateway: {left:?}");
        Ok(())
    })
    .await
}

/// The folders of the examples; files of one folder go together.
fn folders() -> Result<Vec<PathBuf>> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let entries = fs::read_dir(&examples)?.map(|entry| Ok(entry?.path()));
    let mut folders = entries.collect::<Result<Vec<_>>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    ensure!(folders.len() >= 7, "{folders:?}");
    Ok(folders)
}

fn objects(folder: &Path, dashboard: bool) -> Result<Vec<Value>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let mut objects = Vec::new();
    for file in files {
        // The key is not kept beside it: this test makes the Secret that the comment names.
        let text = fs::read_to_string(&file)?.replace("# secretName: secure-tls", "secretName: secure-tls");
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).with_context(|| file.display().to_string())?;
        objects.extend(documents.into_iter().filter(|document| !document.is_null()));
    }
    objects.retain(|object| dashboard || !OF_A_DASHBOARD.iter().any(|kind| object["kind"] == *kind));
    Ok(objects)
}

/// Whether a real gateway need not be able to serve it: MCP proxies ask for version 5.12, bundles for a bundle server.
fn needs_more(object: &Value) -> bool {
    object["kind"] == "TykMcpProxyDefinition" || object["spec"]["custom_middleware_bundle"].is_string()
}

async fn expect_in_effect(world: &Scenario, object: &Value) -> Result<()> {
    let (of, name) = identity(object)?;
    let ours = object["apiVersion"] == "tyk.tyk.io/v1alpha1";
    let labels = &object["metadata"]["labels"];
    let template = labels["template"] == "true" || labels["tyk.io/ingress-template"] == "true";
    if of == "Ingress" {
        return expect_published(world, name).await;
    }
    if !ours {
        return Ok(());
    }
    let api: Api<DynamicObject> = Api::namespaced_with(world.client(), NAMESPACE, &kind(of));
    eventually(PATIENCE, &format!("{of} {name} to be in effect"), async || {
        let object = api.get(name).await?;
        match template {
            true => ensure_condition(&object, "Accepted", "True"),
            false => ensure_condition(&object, "Ready", "True"),
        }
    })
    .await
}

/// Its address is shown, and each of its children is ready.
async fn expect_published(world: &Scenario, name: &str) -> Result<()> {
    let ingresses: Api<Ingress> = Api::namespaced(world.client(), NAMESPACE);
    eventually(PATIENCE, &format!("Ingress {name} to be served"), async || {
        let status = ingresses.get(name).await?.status.unwrap_or_default();
        let addresses = status
            .load_balancer
            .and_then(|balancer| balancer.ingress)
            .unwrap_or_default();
        ensure!(!addresses.is_empty(), "it has no address");
        let mut seen = BTreeSet::new();
        for of in ["ApiDefinition", "TykOasApiDefinition"] {
            let api: Api<DynamicObject> = Api::namespaced_with(world.client(), NAMESPACE, &kind(of));
            for child in api.list(&Default::default()).await?.items {
                let of_it = child
                    .metadata
                    .labels
                    .as_ref()
                    .and_then(|labels| labels.get("tyk.io/ingress"));
                if of_it.is_some_and(|ingress| ingress == name) {
                    seen.insert(child.metadata.name.clone());
                    let ready = condition(&child, "Ready");
                    ensure!(ready["status"] == "True", "{:?}: {ready}", child.metadata.name);
                }
            }
        }
        ensure!(!seen.is_empty(), "it has no children");
        Ok(())
    })
    .await
}

async fn remove(world: &Scenario, objects: &[Value]) -> Result<()> {
    let mut waiting = Vec::new();
    for object in objects {
        let (of, name) = identity(object)?;
        let (group, version) = match object["apiVersion"].as_str().unwrap_or_default().split_once('/') {
            Some((group, version)) => (group, version),
            None => ("", "v1"),
        };
        let types = kube::core::GroupVersionKind::gvk(group, version, of);
        let (resource, capabilities) = kube::discovery::pinned_kind(&world.client(), &types).await?;
        let api: Api<DynamicObject> = match capabilities.scope {
            kube::discovery::Scope::Cluster => Api::all_with(world.client(), &resource),
            kube::discovery::Scope::Namespaced => Api::namespaced_with(world.client(), NAMESPACE, &resource),
        };
        api.delete(name, &DeleteParams::default()).await?;
        waiting.push((api, format!("{of} {name}"), name.to_owned()));
    }
    for (api, what, name) in waiting {
        eventually(PATIENCE, &format!("{what} to be gone"), async || {
            let found = api.get_opt(&name).await?;
            let told = found.map(|object| json!({"status": object.data["status"], "metadata": object.metadata}));
            ensure!(told.is_none(), "{told:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}
