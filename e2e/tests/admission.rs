//! The admission webhook, asked by a real API server that trusts what the operator has told it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use e2e::fixtures::{prefix, rule};
use e2e::pki::expired_certificate;
use e2e::{PATIENCE, Scenario, eventually, ports};
use hyper::Request;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::client::Body;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_asks_before_it_takes_an_object() -> Result<()> {
    let mut world = Scenario::without_operator("admission").await?;
    let [port] = ports::free()?;
    prepare(&world, port).await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    world
        .apply_ingress("a-first", &[rule(&host, &[prefix("/x", &blue)])])
        .await?;
    let taken = ingress(&world, "b-second", json!({}), &[rule(&host, &[prefix("/x", &blue)])]);

    // Nobody answers yet: it is let in.
    let answer = create(&world, &taken).await?;
    ensure!(answer.status == 201, "without the operator: {answer:?}");

    let (listen, name) = (format!("127.0.0.1:{port}"), world.namespace().to_owned());
    let namespace = ["--leader-elect=false", "--leader-election-namespace", &name];
    let args = [
        ["--admission-listen", &listen, "--admission-name"].as_slice(),
        &[&name],
        &namespace,
    ]
    .concat();
    world.start_operator_with(&args).await?;
    expect_refused(&world, &taken).await?;

    let strange = json!({"tyk.io/no-such-thing": "x"});
    let free = ingress(&world, "c-free", strange, &[rule(&host, &[prefix("/free", &blue)])]);
    let answer = create(&world, &free).await?;
    ensure!(answer.status == 201, "{answer:?}");
    let warned = answer
        .warnings
        .iter()
        .any(|one| one.contains("UnknownAnnotation") && one.contains("no-such-thing"));
    ensure!(warned, "no warning: {answer:?}");

    certificate_is_renewed(&world).await?;
    expect_refused(&world, &taken).await?;

    let metrics = world.operator()?.get("/metrics").await?.body;
    for result in ["allowed", "denied"] {
        let counted = format!("tyk_ingress_admission_review_seconds_count{{result=\"{result}\"}}");
        ensure!(metrics.contains(&counted), "no {counted} in {metrics}");
    }
    world.stop_operator().await?;
    let answer = create(&world, &taken).await?;
    ensure!(answer.status == 201, "after the operator has gone: {answer:?}");
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(world.client());
    configurations.delete(&name, &DeleteParams::default()).await?;
    Ok(())
}

/// An expired certificate is replaced by one of the same authority; without the Secret there is a new authority.
async fn certificate_is_renewed(world: &Scenario) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(world.client(), world.namespace());
    let before = data(&secrets, world).await?;
    let expired = expired_certificate(&["127.0.0.1"])?;
    let patch = json!({"stringData": {"tls.crt": expired.certificate, "tls.key": expired.key}});
    secrets
        .patch(world.namespace(), &PatchParams::default(), &Patch::Merge(patch))
        .await?;
    let renewed = eventually(PATIENCE, "another certificate", async || {
        let now = data(&secrets, world).await?;
        ensure!(now["tls.crt"].0 != expired.certificate.as_bytes() && now["tls.crt"] != before["tls.crt"]);
        Ok(now)
    })
    .await?;
    ensure!(renewed["ca.crt"] == before["ca.crt"], "the authority could have stayed");
    secrets.delete(world.namespace(), &DeleteParams::default()).await?;
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(world.client());
    eventually(PATIENCE, "another authority", async || {
        let now = data(&secrets, world).await?;
        let configuration = configurations.get(world.namespace()).await?;
        let webhooks = configuration.webhooks.unwrap_or_default();
        let bundle = webhooks
            .first()
            .and_then(|webhook| webhook.client_config.ca_bundle.clone());
        ensure!(now["ca.crt"] != before["ca.crt"] && bundle.as_ref() == Some(&now["ca.crt"]));
        Ok(())
    })
    .await
}

async fn data(secrets: &Api<Secret>, world: &Scenario) -> Result<BTreeMap<String, ByteString>> {
    let secret = secrets.get(world.namespace()).await?;
    secret.data.context("a Secret without data")
}

async fn expect_refused(world: &Scenario, object: &Value) -> Result<()> {
    eventually(PATIENCE, "the object to be refused", async || {
        let answer = create(world, object).await?;
        ensure!(answer.status == 403, "{answer:?}");
        for text in [
            "denied the request: Conflict at spec.rules[0].http.paths[0]: ",
            "a-first",
            "host or path",
        ] {
            ensure!(answer.body.contains(text), "no {text:?}: {answer:?}");
        }
        Ok(())
    })
    .await
}

/// The configuration and the rights, as the chart makes them, but for the address of this machine.
async fn prepare(world: &Scenario, port: u16) -> Result<()> {
    let name = world.namespace();
    let account = json!([{"kind": "ServiceAccount", "name": "tyk-ingress", "namespace": "tyk-ingress-system"}]);
    let group = "rbac.authorization.k8s.io";
    let version = format!("{group}/v1");
    for (kind, namespace, rules) in [
        (
            "Role",
            Some(name),
            json!([
                {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
                {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "update"], "resourceNames": [name]}
            ]),
        ),
        (
            "ClusterRole",
            None,
            json!([{"apiGroups": ["admissionregistration.k8s.io"], "resources": ["validatingwebhookconfigurations"],
                "verbs": ["get", "patch"], "resourceNames": [name]}]),
        ),
    ] {
        let metadata = json!({"name": format!("{name}-admission"), "namespace": namespace});
        let role = json!({"apiVersion": version, "kind": kind, "metadata": metadata, "rules": rules});
        let reference = json!({"apiGroup": group, "kind": kind, "name": format!("{name}-admission")});
        let binding = json!({"apiVersion": version, "kind": format!("{kind}Binding"), "metadata": metadata,
            "roleRef": reference, "subjects": account});
        world.apply(&role).await?;
        world.apply(&binding).await?;
    }
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{
            "name": "ingresses.admission.tyk.io", "failurePolicy": "Ignore", "timeoutSeconds": 2, "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "clientConfig": {"url": format!("https://127.0.0.1:{port}/validate")},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
            "rules": [{"apiGroups": ["networking.k8s.io"], "apiVersions": ["v1"], "resources": ["ingresses"],
                "operations": ["CREATE", "UPDATE"]}]
        }]
    });
    world.apply(&configuration).await?;
    Ok(())
}

fn ingress(world: &Scenario, name: &str, annotations: Value, rules: &[Value]) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": world.namespace(), "annotations": annotations},
        "spec": {"ingressClassName": world.class(), "rules": rules}
    })
}

#[derive(Debug)]
struct Created {
    status: u16,
    warnings: Vec<String>,
    body: String,
}

/// Creates an object as a dry run, which is judged all the same, and keeps what the client's own types would drop.
async fn create(world: &Scenario, object: &Value) -> Result<Created> {
    let uri = format!(
        "/apis/networking.k8s.io/v1/namespaces/{}/ingresses?dryRun=All",
        world.namespace()
    );
    let request = Request::post(uri)
        .header("content-type", "application/json")
        .body(Body::from(serde_json::to_vec(object)?))?;
    let response = world.client().send(request).await?;
    let status = response.status().as_u16();
    let warnings = response.headers().get_all("warning").iter();
    let warnings = warnings
        .filter_map(|value| Some(value.to_str().ok()?.to_owned()))
        .collect();
    let body = response.into_body().collect_bytes().await?;
    Ok(Created {
        status,
        warnings,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
