//! What `render` prints is what the controller makes, and `kubectl apply` takes it.

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use e2e::api_definition::INGRESS_LABEL;
use e2e::fixtures::{exact, ingress_class, prefix, rule, tls, tls_secret};
use e2e::operator::binary;
use e2e::scenario::resources::kind;
use e2e::{PATIENCE, Scenario, eventually, pki};
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const KINDS: [&str; 2] = ["ApiDefinition", "TykOasApiDefinition"];

#[tokio::test(flavor = "multi_thread")]
async fn rendered_children_are_those_of_the_controller_and_can_be_applied() -> Result<()> {
    let world = Scenario::start("render").await?;
    make(&world).await?;
    let rendered = rendered(&world).await?;
    ensure!(rendered.len() == 7, "{:?}", rendered.keys());
    let before = eventually(PATIENCE, "the rendered children", async || {
        let made = children(&world).await?;
        ensure!(made.keys().eq(rendered.keys()), "made: {:?}", made.keys());
        for (name, child) in &made {
            let (left, right) = (child.data["spec"].to_string(), rendered[name]["spec"].to_string());
            ensure!(left == right, "{name:?}:\nmade     {left}\nrendered {right}");
            let labels = json!(child.labels());
            ensure!(labels == rendered[name]["metadata"]["labels"], "{name:?}: {labels}");
            let synced = child.data["status"]["latestTransaction"]["status"] == "Successful";
            ensure!(synced, "{name:?}: {}", child.data["status"]);
        }
        Ok(made)
    })
    .await?;
    for object in rendered.values() {
        world.apply(object).await?;
    }
    // A change that the product answers after it has seen all that was applied.
    let late = world.backend("late").await?;
    let host = world.host("late");
    world
        .apply_ingress("late", &[rule(&host, &[prefix("/", &late)])])
        .await?;
    world.expect_backend(&host, "/", &late).await?;
    let after = children(&world).await?;
    for (name, child) in &before {
        let now = after.get(name).with_context(|| format!("{name:?} is gone"))?;
        ensure!(
            now.metadata.generation == child.metadata.generation,
            "{name:?} was changed"
        );
        ensure!(now.uid() == child.uid() && now.owner_references() == child.owner_references());
    }
    world.stop().await
}

/// Ingresses with most of what a child can be made of.
async fn make(world: &Scenario) -> Result<()> {
    let blue = world.backend("blue").await?;
    let (shop, any) = (world.host("shop"), format!("*.{}", world.host("sub")));
    let certificate = pki::server_certificate(&[&shop])?;
    world
        .apply(&tls_secret("shop", world.namespace(), &certificate))
        .await?;
    let rules = [
        rule(&shop, &[prefix("/", &blue), exact("/a b", &blue)]),
        rule(&any, &[prefix("/x", &blue)]),
    ];
    let spec = json!({"ingressClassName": world.class(), "rules": rules, "tls": [tls(&[&shop], "shop")]});
    world.apply_ingress_spec("shop", json!({}), spec).await?;
    let template = json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "ApiDefinition",
        "metadata": {"name": "keys", "namespace": world.namespace(), "labels": {"template": "true"}},
        "spec": {"name": "keys", "protocol": "http", "use_standard_auth": true, "auth": {"auth_header_name": "x-key"},
            "proxy": {"target_url": "http://x", "listen_path": "/x"}, "tags": ["ü", "a: b"]}});
    world.apply(&template).await?;
    let document = json!({"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {},
        "x-tyk-api-gateway": {"info": {"name": "t", "state": {"active": true}}, "upstream": {"url": "http://x"},
            "server": {"listenPath": {"value": "/x"}}}});
    let oas = json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "TykOasApiDefinition",
        "metadata": {"name": "oas", "namespace": world.namespace(), "labels": {"tyk.io/ingress-template": "true"}},
        "spec": {"tykOAS": {"document": document}}});
    world.apply(&oas).await?;
    for (name, kind, path) in [
        ("keys", "ApiDefinition", "/keys"),
        ("oas", "TykOasApiDefinition", "/oas/"),
    ] {
        let annotations = json!({"tyk.io/template": name, "tyk.io/template-kind": kind});
        let rules = [rule(&world.host(name), &[prefix(path, &blue)])];
        let spec = json!({"ingressClassName": world.class(), "rules": rules});
        world.apply_ingress_spec(name, annotations, spec).await?;
    }
    Ok(())
}

type Name = (String, String);

/// What the binary prints for the objects of the namespace, by kind and name.
async fn rendered(world: &Scenario) -> Result<BTreeMap<Name, Value>> {
    let input = json!({"apiVersion": "v1", "kind": "List", "items": inputs(world).await?});
    let mut command = Command::new(binary()?);
    command.args(["render", "-o", "children", "-f", "-"]).env_clear();
    command.envs(world.operator_config()?.env);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start render")?;
    let mut stdin = child.stdin.take().context("no input")?;
    stdin.write_all(input.to_string().as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let (text, errors) = (
        String::from_utf8(output.stdout)?,
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "render ends with {}: {errors}", output.status);
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).context("render printed no YAML")?;
    let named = documents.into_iter().map(|document| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        ((text(&document["kind"]), text(&document["metadata"]["name"])), document)
    });
    Ok(named.collect())
}

/// The objects that people wrote, as the API server has them.
async fn inputs(world: &Scenario) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    for resource in [
        ApiResource::erase::<Ingress>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<Secret>(&()),
        kind("ApiDefinition"),
        kind("TykOasApiDefinition"),
    ] {
        let api: Api<DynamicObject> = Api::namespaced_with(world.client(), world.namespace(), &resource);
        for object in api.list(&ListParams::default()).await?.items {
            if object.labels().contains_key(INGRESS_LABEL) {
                continue;
            }
            let mut object = serde_json::to_value(object)?;
            object["apiVersion"] = json!(resource.api_version);
            object["kind"] = json!(resource.kind);
            items.push(object);
        }
    }
    items.push(ingress_class(world.class()));
    Ok(items)
}

/// The children in the cluster, by kind and name.
async fn children(world: &Scenario) -> Result<BTreeMap<Name, DynamicObject>> {
    let mut children = BTreeMap::new();
    for kind in KINDS {
        let selected = ListParams::default().labels(INGRESS_LABEL);
        for child in world.resources(kind).list(&selected).await?.items {
            children.insert((kind.to_owned(), child.name_any()), child);
        }
    }
    Ok(children)
}
