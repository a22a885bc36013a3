//! Ingresses that change hands: between classes, operators, and from Tyk Operator.

mod tyk_operator;

use anyhow::{Result, ensure};
use e2e::api_definition::INGRESS_LABEL;
use e2e::fixtures::{ingress_class, prefix, rule};
use e2e::{GatewayUnderTest, Operator, OperatorConfig, PATIENCE, Scenario, eventually};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

const OPERATOR_LABEL: &str = "tyk.io/operator";
const INGRESS_FINALIZER: &str = "finalizers.tyk.io/ingress";

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_class_takes_the_apis_away_or_brings_them() -> Result<()> {
    let world = Scenario::without_operator("class").await?;
    let _operator = Operator::start(world.cluster, with_address(world.operator_config()?, "192.0.2.1")).await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    let rules = json!([rule(&host, &[prefix("/", &blue)])]);
    let by_field = |class: &str| (json!({}), json!({"ingressClassName": class, "rules": rules}));
    let by_annotation = |class: &str| (json!({"kubernetes.io/ingress.class": class}), json!({"rules": rules}));
    for ((annotations, spec), ours) in [
        (by_field(world.class()), true),
        (by_field("other"), false),
        (by_annotation(world.class()), true),
        (by_annotation("other"), false),
        (by_field(world.class()), true),
    ] {
        world.apply_ingress_spec("shop", annotations, spec).await?;
        if ours {
            world.expect_backend(&host, "/", &blue).await?;
            expect_addresses(&world, &["192.0.2.1"]).await?;
        } else {
            world.expect_no_route(&host, "/").await?;
            world.expect_children(0).await?;
            expect_addresses(&world, &[]).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_of_an_ingress_class_decides() -> Result<()> {
    let world = Scenario::start("controller").await?;
    let blue = world.backend("blue").await?;
    let class = format!("{}-edge", world.namespace());
    let host = world.host("shop");
    let spec = json!({"ingressClassName": class, "rules": [rule(&host, &[prefix("/", &blue)])]});
    world.apply_ingress_spec("shop", json!({}), spec).await?;
    let classes: Api<IngressClass> = Api::all(world.client());
    for _ in 0..2 {
        world.apply(&ingress_class(&class)).await?;
        world.expect_backend(&host, "/", &blue).await?;
        // The controller of a class cannot be edited: the class is made anew.
        classes.delete(&class, &Default::default()).await?;
        let mut other = ingress_class(&class);
        other["spec"]["controller"] = json!("example.com/other");
        world.apply(&other).await?;
        world.expect_no_route(&host, "/").await?;
        world.expect_children(0).await?;
        classes.delete(&class, &Default::default()).await?;
    }
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_hand_an_ingress_over() -> Result<()> {
    let world = Scenario::without_operator("two").await?;
    let west_gateway = GatewayUnderTest::simulator().await?;
    let class = |name: &str| format!("{}-{name}", world.namespace());
    let east = with_address(world.operator_config()?, "192.0.2.1")
        .env("TYK_INGRESS_OWNER", "east")
        .env("WATCH_INGRESS_CLASS", class("east"));
    let west = with_address(world.operator_config()?, "192.0.2.2")
        .env("TYK_INGRESS_OWNER", "west")
        .env("WATCH_INGRESS_CLASS", class("west"))
        .env("TYK_URL", west_gateway.url())
        .env("TYK_AUTH", west_gateway.secret())
        .env("TYK_HTTP_INGRESS_PORT", "0");
    let _operators = (
        Operator::start(world.cluster, east).await?,
        Operator::start(world.cluster, west).await?,
    );
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    for (name, address) in [("east", "192.0.2.1"), ("west", "192.0.2.2")].repeat(2) {
        let spec = json!({"ingressClassName": class(name), "rules": [rule(&host, &[prefix("/", &blue)])]});
        world.apply_ingress_spec("shop", json!({}), spec).await?;
        expect_operator(&world, name).await?;
        expect_addresses(&world, &[address]).await?;
        let (holder, other) = match name {
            "east" => (&world.gateway, &west_gateway),
            _ => (&west_gateway, &world.gateway),
        };
        eventually(
            PATIENCE,
            &format!("the API to be on {name}'s gateway alone"),
            async || {
                let (with, without) = (
                    holder.list_marked(world.namespace()).await?.len(),
                    other.list_marked(world.namespace()).await?.len(),
                );
                ensure!((with, without) == (1, 0), "{with} and {without}");
                Ok(())
            },
        )
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tyk_operator_left_is_taken_over_in_place() -> Result<()> {
    let mut world = Scenario::without_operator("legacy").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    let rules = [rule(&host, &[prefix("/", &blue)])];
    let annotations = json!({"kubernetes.io/ingress.class": world.class()});
    let spec = json!({"rules": rules});
    world
        .apply_ingress_spec("shop", annotations.clone(), spec.clone())
        .await?;
    world
        .apply_ingress_spec("foreign", json!({"kubernetes.io/ingress.class": "other"}), spec)
        .await?;
    // The names are found out by letting the product make them once.
    world.start_operator().await?;
    let name = world.expect_children(1).await?.remove(0).name_any();
    world.expect_backend(&host, "/", &blue).await?;
    world.stop_operator().await?;
    let shop = leave_behind(&world, "shop", &name).await?;
    let stale = leave_behind(&world, "shop", "stale-0123456789").await?;
    let foreign = leave_behind(&world, "foreign", "foreign-0123456789").await?;

    world.start_operator().await?;
    expect_operator(&world, "tyk-ingress").await?;
    let api = world.api_definitions();
    eventually(PATIENCE, "the stale child to be gone", async || {
        ensure!(api.get_opt(&stale.name_any()).await?.is_none());
        Ok(())
    })
    .await?;
    let now = api.get(&name).await?;
    ensure!(now.uid() == shop.uid(), "it was made anew");
    let untouched = api.get(&foreign.name_any()).await?;
    ensure!(
        untouched.resource_version() == foreign.resource_version(),
        "{untouched:?}"
    );

    let ingresses: Api<Ingress> = Api::namespaced(world.client(), world.namespace());
    world.delete_ingress("shop").await?;
    eventually(PATIENCE, "the Ingress to be gone", async || {
        ensure!(ingresses.get_opt("shop").await?.is_none());
        Ok(())
    })
    .await?;
    world.expect_no_route(&host, "/").await?;
    world.stop().await
}

/// Makes a child and an Ingress as Tyk Operator leaves them: no operator's label, its finalizer on the Ingress.
async fn leave_behind(world: &Scenario, ingress: &str, child: &str) -> Result<kube::api::DynamicObject> {
    let ingresses: Api<Ingress> = Api::namespaced(world.client(), world.namespace());
    let mark = Patch::Merge(json!({"metadata": {"finalizers": [INGRESS_FINALIZER]}}));
    let owner = ingresses.patch(ingress, &PatchParams::default(), &mark).await?;
    let api = world.api_definitions();
    if api.get_opt(child).await?.is_none() {
        let path = format!("/{}/{child}/", world.namespace());
        let mut object = e2e::api_definition::keyless(world.namespace(), child, &path, "http://127.0.0.1:9");
        object["metadata"]["labels"] = json!({INGRESS_LABEL: ingress});
        object["metadata"]["ownerReferences"] = json!([{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "name": ingress, "uid": owner.uid(), "controller": true, "blockOwnerDeletion": true}]);
        world.apply(&object).await?;
    }
    let unlabelled = Patch::Merge(json!({"metadata": {"labels": {OPERATOR_LABEL: null}}}));
    Ok(api.patch(child, &PatchParams::default(), &unlabelled).await?)
}

fn with_address(mut config: OperatorConfig, address: &str) -> OperatorConfig {
    config.args.extend(["--publish-address".to_owned(), address.to_owned()]);
    config
}

async fn expect_operator(world: &Scenario, name: &str) -> Result<()> {
    eventually(PATIENCE, &format!("a child of {name}"), async || {
        let children = world.children().await?;
        let labels: Vec<_> = children
            .iter()
            .map(|child| child.labels().get(OPERATOR_LABEL))
            .collect();
        ensure!(
            labels.iter().any(|label| label.is_some_and(|label| label == name)),
            "{labels:?}"
        );
        Ok(())
    })
    .await
}

async fn expect_addresses(world: &Scenario, wanted: &[&str]) -> Result<()> {
    let ingresses: Api<Ingress> = Api::namespaced(world.client(), world.namespace());
    eventually(PATIENCE, &format!("the addresses {wanted:?}"), async || {
        let status = serde_json::to_value(ingresses.get("shop").await?.status)?;
        let list = status["loadBalancer"]["ingress"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let now: Vec<_> = list.iter().filter_map(|one| one["ip"].as_str()).collect();
        ensure!(now == wanted, "the addresses are {now:?}");
        Ok(())
    })
    .await
}
