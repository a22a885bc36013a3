//! What the chart becomes, for each set of values in its folder `ci`.

use std::fs;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use e2e::{ControlPlane, apply};
use kube::api::{DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};
use kube::{Api, Client};
use serde_json::{Value, json};
use tyk_ingress::cli::Cli;

use crate::helm::{chart, helm, path, root, template, value_sets};

/// Groups whose definitions are not part of Kubernetes; Helm has parsed their objects.
const FOREIGN: &str = "monitoring.coreos.com";

/// Labels that say that Helm looks after an object.
const LABELS_OF_HELM: [&str; 2] = ["helm.sh/chart", "app.kubernetes.io/managed-by"];

#[test]
fn helm_finds_no_fault() -> Result<()> {
    for values in value_sets()? {
        helm(None, &["lint", "--strict", path(&chart())?, "--values", path(&values)?])?;
    }
    Ok(())
}

#[test]
fn wrong_values_are_refused_by_their_name() -> Result<()> {
    for (values, words) in [
        ("replicas=2", "'replicas' not allowed"),
        ("image.name=x", "'name' not allowed"),
        ("metricsPort=70000", "/metricsPort"),
        ("resyncInterval=30", "/resyncInterval"),
        ("httpForTlsHosts=redirected", "/httpForTlsHosts"),
        ("httpForTlsHosts=redirect", "redirector.enabled"),
        ("webhooks.port=0", "/webhooks/port"),
        ("publishService=gateway", "/publishService"),
        ("serviceAccount.create=false", "serviceAccount.name"),
    ] {
        let error = template("tyk-ingress", "tyk", &["--set", values]).expect_err(values);
        let error = format!("{error:#}");
        ensure!(error.contains(words), "{values}: {error}");
    }
    Ok(())
}

/// The operator may write one Secret and one configuration, and only when it has a use for them.
#[test]
fn the_webhook_has_rights_to_its_own_objects_alone() -> Result<()> {
    let of_webhooks = |more: &[&str]| -> Result<Vec<Value>> {
        let objects = template("tyk-ingress", "tyk", more)?;
        let named = |object: &Value| object["metadata"]["name"] == "tyk-ingress-admission";
        Ok(objects.into_iter().filter(named).collect())
    };
    ensure!(
        of_webhooks(&[])?.is_empty(),
        "without the webhook there is nothing of it"
    );
    let objects = of_webhooks(&["--set=webhooks.enabled=true", "--set=watchNamespaces={shop}"])?;
    let of = |kind: &str| {
        let found = objects.iter().find(|object| object["kind"] == kind);
        found.with_context(|| format!("there is no {kind}"))
    };
    for kind in ["Role", "ClusterRole"] {
        for rule in of(kind)?["rules"].as_array().context("no rules")? {
            let named = rule["resourceNames"] == json!(["tyk-ingress-admission"]);
            // What is not there yet has no name to give rights to.
            ensure!(named || rule["verbs"] == json!(["create"]), "{rule}");
        }
    }
    ensure!(of("ClusterRole")?["rules"][0]["verbs"] == json!(["get", "patch"]));
    let webhook = &of("ValidatingWebhookConfiguration")?["webhooks"][0];
    ensure!(
        webhook["failurePolicy"] == "Ignore" && webhook["timeoutSeconds"] == 2,
        "{webhook}"
    );
    ensure!(
        webhook["namespaceSelector"]["matchExpressions"][0]["values"] == json!(["shop"]),
        "{webhook}"
    );
    ensure!(webhook["clientConfig"]["service"]["name"] == of("Service")?["metadata"]["name"]);
    Ok(())
}

/// The pages' lines of Helm for the chart of the repository, with what one of them says in several lines.
fn lines_of_the_pages() -> Result<Vec<String>> {
    let mut pages = vec![root().join("README.md"), chart().join("README.md")];
    for entry in fs::read_dir(root().join("docs"))? {
        pages.push(entry?.path());
    }
    let mut lines = Vec::new();
    for page in pages
        .iter()
        .filter(|page| page.extension().is_some_and(|extension| extension == "md"))
    {
        let text = fs::read_to_string(page)?.replace("\\\n", " ");
        let of_helm = |line: &&str| {
            ["helm install ", "helm upgrade "]
                .iter()
                .any(|start| line.starts_with(start))
                && line.contains(" charts/tyk-ingress ")
        };
        lines.extend(text.lines().map(str::trim).filter(of_helm).map(str::to_owned));
    }
    Ok(lines)
}

#[test]
fn helm_takes_the_commands_of_the_pages() -> Result<()> {
    let lines = lines_of_the_pages()?;
    ensure!(lines.len() > 5, "only {lines:?}");
    let chart = chart();
    for line in &lines {
        let mut words: Vec<&str> = line
            .split_whitespace()
            .skip(1)
            .map(|word| word.trim_matches('\''))
            .collect();
        // There is nothing to upgrade: the values are those of an installation.
        words[0] = "install";
        words.retain(|word| *word != "--reset-then-reuse-values");
        words[2] = path(&chart)?;
        words.push("--dry-run=client");
        let out = helm(None, &words).with_context(|| line.clone())?;
        ensure!(out.contains("kind: Deployment"), "{line}: {out}");
    }
    Ok(())
}

/// Each pod would start: its arguments are ones that the program knows.
#[test]
fn the_program_takes_the_arguments_of_every_pod() -> Result<()> {
    let mut pods = 0;
    for values in value_sets()? {
        for object in template("tyk-ingress", "tyk", &["--values", path(&values)?])? {
            for container in object["spec"]["template"]["spec"]["containers"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let args: Vec<String> = serde_json::from_value(container["args"].clone())?;
                let args = ["tyk-ingress".to_owned()].into_iter().chain(args);
                Cli::try_parse_from(args).with_context(|| values.display().to_string())?;
                pods += 1;
            }
        }
    }
    ensure!(pods > 4, "{pods} pods");
    Ok(())
}

/// `UPDATE=1` writes the file anew.
#[test]
fn the_manifest_of_the_operator_is_what_the_chart_renders() -> Result<()> {
    let without = [
        "--set=crds.install=false",
        "--set=rbac.create=false",
        "--set=serviceAccount.create=false",
        "--set=serviceAccount.name=tyk-ingress",
    ];
    let mut text = String::from(
        "# The operator, for the namespace and the rights of rbac.yaml. It waits for the Secret tyk-operator-conf with\n\
         # TYK_URL, TYK_AUTH and TYK_ORG. Written by `UPDATE=1 cargo test -p e2e --test chart` from charts/tyk-ingress.\n",
    );
    let mut rendered = vec!["template", "tyk-ingress", "CHART", "--namespace", "tyk-ingress-system"];
    let folder = chart();
    rendered[2] = path(&folder)?;
    rendered.extend(without);
    let lines = helm(None, &rendered)?;
    let of_helm = |line: &str| {
        let line = line.trim_start();
        line.starts_with("# Source: ") || LABELS_OF_HELM.iter().any(|label| line.starts_with(label))
    };
    let lines = lines.lines().filter(|line| !line.trim().is_empty() && !of_helm(line));
    text.extend(lines.skip_while(|line| *line == "---").map(|line| format!("{line}\n")));
    let file = root().join("manifests/operator.yaml");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &text)?;
    }
    ensure!(
        fs::read_to_string(&file).unwrap_or_default() == text,
        "manifests/operator.yaml is out of date; run UPDATE=1 cargo test -p e2e --test chart"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_takes_every_rendering() -> Result<()> {
    let client = ControlPlane::shared().await?.admin().await?;
    for namespace in ["rendered", "team-a", "team-b", "tyk"] {
        make_namespace(&client, namespace, json!({})).await?;
    }
    for values in value_sets()? {
        let objects = template("tyk-ingress", "rendered", &["--values", path(&values)?])?;
        for object in objects.iter().filter(|object| !foreign(object)) {
            dry_run(&client, object)
                .await
                .with_context(|| values.display().to_string())?;
        }
    }
    let manifest = fs::read_to_string(root().join("manifests/operator.yaml"))?;
    for object in serde_saphyr::from_multiple::<Value>(&manifest)? {
        dry_run(&client, &object).await.context("manifests/operator.yaml")?;
    }
    Ok(())
}

/// Pods with the defaults, and the redirector's, are admitted where the restricted standard is enforced.
#[tokio::test(flavor = "multi_thread")]
async fn pods_are_fit_for_the_restricted_standard() -> Result<()> {
    let client = ControlPlane::shared().await?.admin().await?;
    let restricted = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    make_namespace(&client, "restricted", restricted).await?;
    let objects = template("tyk-ingress", "restricted", &["--set=redirector.enabled=true"])?;
    for account in objects.iter().filter(|object| object["kind"] == "ServiceAccount") {
        apply::object(&client, account).await?;
    }
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": "restricted"}});
    apply::object(&client, &account).await?;
    let deployments = objects.iter().filter(|object| object["kind"] == "Deployment");
    let mut pods = 0;
    for deployment in deployments {
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": deployment["spec"]["template"]["spec"],
            "metadata": {"name": deployment["metadata"]["name"], "namespace": "restricted"}});
        dry_run(&client, &pod).await?;
        pod["spec"]["containers"][0]["securityContext"] = json!({});
        ensure!(dry_run(&client, &pod).await.is_err(), "the standard is not enforced");
        pods += 1;
    }
    ensure!(pods == 2, "{pods} pods");
    Ok(())
}

fn foreign(object: &Value) -> bool {
    object["apiVersion"]
        .as_str()
        .is_some_and(|version| version.starts_with(FOREIGN))
}

async fn make_namespace(client: &Client, name: &str, labels: Value) -> Result<()> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    apply::object(client, &namespace).await.map(drop)
}

/// Applies an object without storing it; a field that its kind does not have is an error.
async fn dry_run(client: &Client, object: &Value) -> Result<()> {
    let parsed: DynamicObject = serde_json::from_value(object.clone()).context("not a Kubernetes object")?;
    let types = parsed.types.context("an object without a kind")?;
    let name = parsed.metadata.name.context("an object without a name")?;
    let kind = GroupVersionKind::try_from(&types)?;
    let (resource, capabilities) = discovery::pinned_kind(client, &kind).await?;
    let api: Api<DynamicObject> = match (capabilities.scope, parsed.metadata.namespace) {
        (Scope::Cluster, None) => Api::all_with(client.clone(), &resource),
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), &namespace, &resource),
        (scope, namespace) => anyhow::bail!("{} {name}: {namespace:?} for {scope:?}", types.kind),
    };
    let params = PatchParams {
        dry_run: true,
        force: true,
        field_manager: Some(apply::FIELD_MANAGER.to_owned()),
        field_validation: Some(ValidationDirective::Strict),
    };
    let applied = api.patch(&name, &params, &Patch::Apply(object)).await;
    applied.map(drop).with_context(|| format!("{} {name}", types.kind))
}
