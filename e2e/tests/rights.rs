//! Each right of the shipped roles is used, and none is missing: the API server's audit log says which were asked for.

use anyhow::{Context, Result, ensure};
use e2e::audit::{self, Right};
use e2e::control_plane::SYSTEM_NAMESPACE;
use e2e::fixtures::{prefix, rule};
use e2e::scenario::ORGANISATION;
use e2e::{GatewayUnderTest, Operator, PATIENCE, Scenario, eventually, examples};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use tyk_ingress::api::TykOasApiDefinition;

/// The cluster-wide role of `manifests/rbac.yaml`, and the one for the Lease.
const ROLE: &str = "tyk-ingress";
const LEASE_ROLE: &str = "tyk-ingress-lease";

/// Asked for by the API server itself when a child is made, so that no request has it as its verb.
const OWNERS: &str = "update ingresses/finalizers.networking.k8s.io";

#[tokio::test(flavor = "multi_thread")]
async fn each_right_of_the_roles_is_used_and_none_is_missing() -> Result<()> {
    let world = Scenario::before("rights", GatewayUnderTest::dashboard(ORGANISATION).await?).await?;
    let cluster_role: Api<ClusterRole> = Api::all(world.client());
    let lease_role: Api<Role> = Api::namespaced(world.client(), SYSTEM_NAMESPACE);
    let rules = cluster_role.get(ROLE).await?.rules.context("a role without rules")?;
    let mut all = rules.clone();
    all.extend(lease_role.get(LEASE_ROLE).await?.rules.unwrap_or_default());

    // In the whole cluster, elected, so that the Namespaces and the Lease are asked for as well.
    let elected = ["--leader-elect", "--leader-election-namespace", SYSTEM_NAMESPACE];
    let config = examples::operator_config(&world)?
        .without_env("WATCH_NAMESPACE")
        .args(&elected);
    let operator = Operator::start(world.cluster, config).await?;
    let beside = GatewayUnderTest::gateway().await?;
    examples::prepare(&world, &beside).await?;
    examples::live(&world).await.with_context(|| operator.tail())?;
    tyk_operators_finalizer_is_taken_off(&world).await?;
    an_oas_child_goes_while_its_ingress_stays(&world).await?;

    let granted = audit::granted(&all);
    eventually(PATIENCE, "each right to be used", async || {
        let used = audit::used(world.cluster)?;
        let missing: Vec<_> = granted.difference(&used).map(Right::to_string).collect();
        ensure!(missing == [OWNERS], "granted and not used: {missing:?}");
        let more: Vec<_> = used.difference(&granted).map(Right::to_string).collect();
        ensure!(more.is_empty(), "used without a rule: {more:?}");
        Ok(())
    })
    .await?;
    without_the_right_to_owners_no_child_is_made(&world, &cluster_role, &rules, &operator).await?;
    operator.stop().await
}

/// An Ingress that Tyk Operator left with its finalizer can be deleted.
async fn tyk_operators_finalizer_is_taken_off(world: &Scenario) -> Result<()> {
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "left", "namespace": examples::NAMESPACE, "finalizers": ["finalizers.tyk.io/ingress"]},
        "spec": {"ingressClassName": "tyk", "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}});
    world.apply(&ingress).await?;
    let ingresses: Api<k8s_openapi::api::networking::v1::Ingress> =
        Api::namespaced(world.client(), examples::NAMESPACE);
    ingresses.delete("left", &Default::default()).await?;
    eventually(PATIENCE, "the Ingress to be gone", async || {
        let left = ingresses.get_opt("left").await?;
        ensure!(left.is_none(), "{left:?}");
        Ok(())
    })
    .await
}

/// When the Ingress goes, Kubernetes may be the first to delete the child.
async fn an_oas_child_goes_while_its_ingress_stays(world: &Scenario) -> Result<()> {
    let document = json!({"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {},
        "x-tyk-api-gateway": {"info": {"name": "t", "state": {"active": true}},
            "upstream": {"url": "http://replaced.test"}, "server": {"listenPath": {"value": "/replaced/"}}}});
    let template = json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "TykOasApiDefinition",
        "metadata": {"name": "template", "namespace": world.namespace(), "labels": {"tyk.io/ingress-template": "true"}},
        "spec": {"tykOAS": {"document": document}}});
    world.apply(&template).await?;
    let annotations = json!({"tyk.io/template": "template", "tyk.io/template-kind": "TykOasApiDefinition"});
    let blue = world.backend("moved").await?;
    for (class, count) in [("tyk", 1), ("another", 0)] {
        let spec =
            json!({"ingressClassName": class, "rules": [rule(&world.host("moved"), &[prefix("/moved", &blue)])]});
        world.apply_ingress_spec("moved", annotations.clone(), spec).await?;
        eventually(PATIENCE, "the OAS child to come and go", async || {
            let children = Api::<TykOasApiDefinition>::namespaced(world.client(), world.namespace());
            let selected = ListParams::default().labels("tyk.io/ingress=moved");
            let found = children.list_metadata(&selected).await?.items.len();
            ensure!(found == count, "{found} of {count}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// The one right that no request shows.
async fn without_the_right_to_owners_no_child_is_made(
    world: &Scenario,
    roles: &Api<ClusterRole>,
    rules: &[PolicyRule],
    operator: &Operator,
) -> Result<()> {
    let is_it = |rule: &PolicyRule| rule.resources == Some(vec!["ingresses/finalizers".to_owned()]);
    let without: Vec<_> = rules.iter().filter(|rule| !is_it(rule)).collect();
    ensure!(without.len() + 1 == rules.len(), "no rule for the owners of children");
    let rest = Patch::Merge(json!({"rules": without}));
    roles.patch(ROLE, &PatchParams::default(), &rest).await?;
    let blue = world.backend("blue").await?;
    let host = world.host("owners");
    eventually(PATIENCE, "a child to be refused", async || {
        // The authorizer follows the role a moment later, so one child or another may still come.
        let name = format!("owned-{:06x}", rand::random::<u32>() & 0xff_ffff);
        let spec = json!({"ingressClassName": "tyk", "rules": [rule(&host, &[prefix(&format!("/{name}"), &blue)])]});
        world.apply_ingress_spec(&name, json!({}), spec).await?;
        ensure!(
            operator.log().contains("cannot set blockOwnerDeletion"),
            operator.tail()
        );
        Ok(())
    })
    .await
}
