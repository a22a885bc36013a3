//! How children are written.

use anyhow::{Context, Result, ensure};
use e2e::fixtures::{prefix, rule, tls, tls_secret};
use e2e::pki::server_certificate;
use e2e::{Scenario, control_plane};
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::{Error, ResourceExt};
use serde_json::{Value, json};
use tyk_ingress::api::names::{child_hash, child_name};

use crate::world::round;

/// Tyk Operator stops at the first child that cannot be written, skips the pruning and never tries again; here the other
/// children are written, what is gone is pruned, and the refused child is tried until it is taken.
#[tokio::test(flavor = "multi_thread")]
async fn ing_04_a_refused_child_stops_no_other() -> Result<()> {
    let world = Scenario::start("ing-04").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/old", &blue)])])
        .await?;
    world.expect_backend(&host, "/old", &blue).await?;

    let refused = child_name(world.namespace(), "shop", &child_hash(&host, "/a", None));
    refuse(&world, &refused).await?;
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/a", &blue), prefix("/b", &blue)])])
        .await?;
    world.expect_backend(&host, "/b", &blue).await?;
    world.expect_no_route(&host, "/old").await?;
    let children = world.expect_children(1).await?;
    ensure!(children[0].name_any() != refused, "the policy refuses nothing");

    allow(&world).await?;
    world.expect_children(2).await?;
    world.expect_backend(&host, "/a", &blue).await?;
    world.stop().await
}

/// Makes the API server refuse an ApiDefinition by its name.
async fn refuse(world: &Scenario, name: &str) -> Result<()> {
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": world.namespace()},
        "spec": {"failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{"apiGroups": ["tyk.tyk.io"], "apiVersions": ["*"],
                "operations": ["CREATE"], "resources": ["apidefinitions"]}]},
            "validations": [{"expression": format!("object.metadata.name != '{name}'")}]}});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": world.namespace()},
        "spec": {"policyName": world.namespace(), "validationActions": ["Deny"]}});
    world.apply(&policy).await?;
    world.apply(&binding).await?;
    // A policy takes a moment until it is in force.
    e2e::eventually(e2e::PATIENCE, "the policy to be in force", async || {
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let definition = e2e::api_definition::keyless(world.namespace(), name, "/refused/", "http://127.0.0.1:1");
        let tried = world
            .api_definitions()
            .create(&dry, &serde_json::from_value(definition)?)
            .await;
        ensure!(tried.is_err(), "the definition is accepted");
        Ok(())
    })
    .await
}

async fn allow(world: &Scenario) -> Result<()> {
    use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(world.client());
    bindings.delete(world.namespace(), &DeleteParams::default()).await?;
    Ok(())
}

/// Tyk Operator writes certificate ids into the spec of a child with one controller and resets them with the other, an
/// update of Tyk each time; here a child is written when its Ingress changes and at no other time.
#[tokio::test(flavor = "multi_thread")]
async fn ing_13_a_child_is_written_once() -> Result<()> {
    let mut world = Scenario::start("ing-13").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    let certificate = server_certificate(&[&host])?;
    world.apply(&tls_secret("web", world.namespace(), &certificate)).await?;
    let spec = json!({"ingressClassName": world.class(), "tls": [tls(&[&host], "web")],
        "rules": [rule(&host, &[prefix("/", &blue)])]});
    world.apply_ingress_spec("shop", json!({}), spec.clone()).await?;
    world.expect_https(&host, "/", &blue, &certificate).await?;
    world.expect_backend(&host, "/", &blue).await?;
    let before = generations(&world.expect_children(2).await?);
    let writes_before = writes(&world);

    // An event on the Ingress that changes nothing of it, a restart, and two more rounds.
    world.apply_ingress_spec("shop", json!({"touched": "1"}), spec).await?;
    world.stop_operator().await?;
    world.start_operator().await?;
    for name in ["one", "two"] {
        round(&world, name, &blue).await?;
    }
    let after = generations(&world.expect_children(4).await?);
    for (name, generation) in &before {
        ensure!(
            after.contains(&(name.clone(), *generation)),
            "{before:?} became {after:?}"
        );
    }
    let wanted = writes_before.map(|writes| writes + 2);
    ensure!(
        writes(&world) == wanted,
        "the gateway took {:?} writes, not {wanted:?}",
        writes(&world)
    );
    world.stop().await
}

fn generations(children: &[DynamicObject]) -> Vec<(String, Option<i64>)> {
    children
        .iter()
        .map(|child| (child.name_any(), child.metadata.generation))
        .collect()
}

/// Writes of APIs that a simulated gateway took; a real one does not tell.
fn writes(world: &Scenario) -> Option<usize> {
    let calls = world.gateway.calls()?;
    let (_, apis) = world.gateway.faults()?;
    let writes = calls
        .iter()
        .filter(|call| call.method != "GET" && call.path.starts_with(apis));
    Some(writes.count())
}

/// Tyk Operator names the Ingress as a blocking owner without the right to, which fails where
/// OwnerReferencesPermissionEnforcement is on; here that right is in the manifests, and the plugin is on in every test.
#[tokio::test(flavor = "multi_thread")]
async fn ing_20_children_are_owned_where_owners_are_enforced() -> Result<()> {
    let world = Scenario::start("ing-20").await?;
    let blue = world.backend("blue").await?;
    round(&world, "shop", &blue).await?;
    let child = world.expect_children(1).await?.remove(0);
    let owner = child.owner_references().first().context("a child without owner")?;
    ensure!(owner.block_owner_deletion == Some(true), "the owner is {owner:?}");

    // The same write without the right: the plugin is on.
    let client = control_plane::client(&without_the_right(&world).await?).await?;
    let definitions = e2e::api_definition::api(client, world.namespace());
    let mut copy: Value = e2e::api_definition::keyless(world.namespace(), "copy", "/copy/", "http://127.0.0.1:1");
    definitions
        .create(&PostParams::default(), &serde_json::from_value(copy.clone())?)
        .await
        .context("without an owner it is allowed")?;
    copy["metadata"]["name"] = "owned".into();
    copy["metadata"]["ownerReferences"] = json!([owner]);
    let refused = definitions
        .create(&PostParams::default(), &serde_json::from_value(copy)?)
        .await;
    ensure!(
        matches!(&refused, Err(Error::Api(status)) if status.code == 403),
        "without the right it is {refused:?}"
    );
    world.stop().await
}

/// A kubeconfig of an account that may write ApiDefinitions, and nothing about Ingresses.
async fn without_the_right(world: &Scenario) -> Result<std::path::PathBuf> {
    let name = "writer";
    let (namespace, group) = (world.namespace(), "rbac.authorization.k8s.io");
    let metadata = json!({"name": name, "namespace": namespace});
    world
        .apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))
        .await?;
    world
        .apply(
            &json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": metadata,
            "rules": [{"apiGroups": ["tyk.tyk.io"], "resources": ["apidefinitions"], "verbs": ["create"]}]}),
        )
        .await?;
    world
        .apply(
            &json!({"apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]}),
        )
        .await?;
    world.cluster.service_account_kubeconfig(namespace, name).await
}
