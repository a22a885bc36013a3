//! The CustomResourceDefinitions on a real API server: it takes them, each rule refuses what it is for, and nothing that
//! a Tyk exports is refused or pruned.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::{ControlPlane, apply};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;
use serde_json::{Value, json};

/// One rule of a CustomResourceDefinition.
#[derive(Deserialize)]
struct Rule {
    kind: String,
    /// Beginning of its message.
    message: String,
    refused: Value,
    accepted: Value,
}

#[derive(Deserialize)]
struct Export {
    kind: String,
    spec: Value,
}

async fn client() -> Result<Client> {
    let cluster = ControlPlane::shared().await?;
    let client = cluster.admin().await?;
    apply::product_manifests(&client).await?;
    Ok(client)
}

async fn crds(client: &Client) -> Result<Vec<CustomResourceDefinition>> {
    let all: Api<CustomResourceDefinition> = Api::all(client.clone());
    let all = all.list(&Default::default()).await?.items;
    Ok(all.into_iter().filter(|crd| crd.spec.group == "tyk.tyk.io").collect())
}

/// The objects of a kind in the namespace `default`.
fn api(client: &Client, crds: &[CustomResourceDefinition], kind: &str) -> Api<DynamicObject> {
    let names = crds.iter().map(|crd| &crd.spec.names).find(|names| names.kind == kind);
    let kind = GroupVersionKind::gvk("tyk.tyk.io", "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, &names.unwrap().plural);
    Api::namespaced_with(client.clone(), "default", &resource)
}

fn object(name: &str, kind: &str, spec: &Value) -> DynamicObject {
    let metadata = json!({"name": name});
    let object = json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
    serde_json::from_value(object).unwrap()
}

fn dry_run() -> PostParams {
    PostParams {
        dry_run: true,
        ..PostParams::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_refuses_what_it_is_for_and_says_so() -> Result<()> {
    let client = client().await?;
    let crds = crds(&client).await?;
    let rules: Vec<Rule> = serde_saphyr::from_str(include_str!("rules.yaml"))?;
    let mut faults = Vec::new();
    for rule in &rules {
        let api = api(&client, &crds, &rule.kind);
        let refused = api.create(&dry_run(), &object("rule", &rule.kind, &rule.refused)).await;
        match refused.map_err(|error| error.to_string()) {
            Err(error) if error.contains(&rule.message) => (),
            other => faults.push(format!("{}: {}: {:?}", rule.kind, rule.message, other.err())),
        }
        if let Err(error) = api
            .create(&dry_run(), &object("rule", &rule.kind, &rule.accepted))
            .await
        {
            faults.push(format!("{}: {}: not accepted: {error}", rule.kind, rule.message));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    let tested = |kind: &str, message: &str| {
        rules
            .iter()
            .any(|rule| rule.kind == kind && message.starts_with(&rule.message))
    };
    let untested: BTreeSet<_> = messages(&crds)
        .into_iter()
        .filter(|(kind, message)| !tested(kind, message))
        .collect();
    ensure!(untested.is_empty(), "no case for {untested:?}");
    Ok(())
}

/// The message of every rule, with the kind.
fn messages(crds: &[CustomResourceDefinition]) -> Vec<(String, String)> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                let rules = fields.get("x-kubernetes-validations").and_then(Value::as_array);
                found.extend(
                    rules
                        .into_iter()
                        .flatten()
                        .filter_map(|rule| Some(rule["message"].as_str()?.into())),
                );
                fields.values().for_each(|field| collect(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => (),
        }
    }
    let of = |crd: &CustomResourceDefinition| {
        let version: &CustomResourceDefinitionVersion = &crd.spec.versions[0];
        let mut found = Vec::new();
        collect(&serde_json::to_value(version).unwrap(), &mut found);
        let kind = crd.spec.names.kind.clone();
        found.into_iter().map(move |message| (kind.clone(), message))
    };
    crds.iter().flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tyk_exports_is_kept_as_it_is() -> Result<()> {
    let client = client().await?;
    let crds = crds(&client).await?;
    ensure!(crds.len() == 11, "{} kinds", crds.len());
    let exports: Vec<Export> = serde_saphyr::from_str(include_str!("exports.yaml"))?;
    for export in exports {
        let api = api(&client, &crds, &export.kind);
        let stored = api
            .create(&dry_run(), &object("export", &export.kind, &export.spec))
            .await;
        let stored = stored.with_context(|| export.kind.clone())?;
        ensure!(
            stored.data["spec"] == export.spec,
            "{}: {}",
            export.kind,
            stored.data["spec"]
        );
    }
    Ok(())
}

/// What `kubectl wait --for=condition=Ready` looks at.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_keeps_conditions() -> Result<()> {
    let client = client().await?;
    let crds = crds(&client).await?;
    let rules: Vec<Rule> = serde_saphyr::from_str(include_str!("rules.yaml"))?;
    for crd in &crds {
        let kind = &crd.spec.names.kind;
        let graph = json!({"schema": "a", "sdl": "a"});
        let spec = rules
            .iter()
            .find(|rule| rule.kind == *kind)
            .map_or(&graph, |rule| &rule.accepted);
        let api = api(&client, &crds, kind);
        let created = api
            .create(&PostParams::default(), &object("condition", kind, spec))
            .await?;
        let condition = json!({"type": "Ready", "status": "True", "reason": "Served", "message": "",
            "lastTransitionTime": "2024-05-06T07:08:09Z", "observedGeneration": 1});
        let status = json!({"observedGeneration": 1, "conditions": [condition]});
        let patch = Patch::Merge(json!({"status": status}));
        let patched = api
            .patch_status(&created.name_any(), &PatchParams::default(), &patch)
            .await?;
        api.delete(&created.name_any(), &Default::default()).await?;
        ensure!(patched.data["status"] == status, "{kind}: {}", patched.data["status"]);
    }
    Ok(())
}
