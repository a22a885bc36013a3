//! The end of a namespace.

use anyhow::{Result, ensure};
use e2e::api_definition::keyless;
use e2e::fixtures::{prefix, rule};
use e2e::{Operator, PATIENCE, Scenario, eventually};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

/// One after the other: an operator that watches every namespace must not see the other test's objects.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namespace_ends_and_leaves_nothing() -> Result<()> {
    for all_namespaces in [true, false] {
        let world = Scenario::without_operator("ending").await?;
        let mut config = world.operator_config()?;
        if all_namespaces {
            config = config.without_env("WATCH_NAMESPACE");
        }
        let operator = Operator::start(world.cluster, config).await?;
        fill(&world).await?;
        let namespaces: Api<Namespace> = Api::all(world.client());
        namespaces.delete(world.namespace(), &DeleteParams::default()).await?;
        eventually(PATIENCE, "the namespace to be gone", async || {
            let found = namespaces.get_opt(world.namespace()).await?;
            let conditions = found
                .as_ref()
                .and_then(|found| found.status.as_ref()?.conditions.as_ref());
            ensure!(found.is_none(), "it waits: {conditions:?}; {}", operator.tail());
            Ok(())
        })
        .await?;
        world.expect_apis(0).await?;
        operator.stop().await?;
    }
    Ok(())
}

/// Ingresses with and without a template and Tyk Operator's finalizer, a template, a definition and a certificate.
async fn fill(world: &Scenario) -> Result<()> {
    let blue = world.backend("blue").await?;
    let path = |name: &str| format!("/{}/{name}/", world.namespace());
    let mut template = keyless(world.namespace(), "template", &path("template"), &blue.url());
    template["metadata"]["labels"] = json!({"template": "true"});
    world.apply(&template).await?;
    world
        .apply(&keyless(world.namespace(), "by-hand", &path("by-hand"), &blue.url()))
        .await?;
    let certificate = e2e::pki::server_certificate(&["shop.test"])?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "tls", "namespace": world.namespace()},
        "stringData": {"tls.crt": certificate.certificate, "tls.key": certificate.key}});
    world.apply(&secret).await?;
    for (name, annotations) in [
        ("plain", json!({})),
        ("templated", json!({"tyk.io/template": "template"})),
    ] {
        let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": name, "namespace": world.namespace(), "annotations": annotations,
                "finalizers": ["finalizers.tyk.io/ingress"]},
            "spec": {"ingressClassName": world.class(), "rules": [rule(&world.host(name), &[prefix("/", &blue)])]}});
        world.apply(&ingress).await?;
        world.expect_backend(&world.host(name), "/", &blue).await?;
    }
    world.expect_apis(3).await.map(drop)
}
