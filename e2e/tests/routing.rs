//! Which backend answers which host and path.

use anyhow::{Context, Result};
use e2e::Scenario;
use e2e::fixtures::{exact, ingress_class, prefix, rule, service};
use k8s_openapi::api::networking::v1::IngressClass;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_class_is_taken_from_the_field() -> Result<()> {
    let world = Scenario::start("class-field").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    world
        .apply_ingress("shop", &[rule(&host, &[prefix("/", &blue)])])
        .await?;
    let answer = world.expect_backend(&host, "/cart?item=1", &blue).await?;
    let seen = answer.json()?;
    assert_eq!(
        (&seen["method"], &seen["path"]),
        (&"GET".into(), &"/cart?item=1".into())
    );
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_class_is_taken_from_the_annotation() -> Result<()> {
    let world = Scenario::start("class-annotation").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    let annotations = json!({"kubernetes.io/ingress.class": world.class()});
    let spec = json!({"rules": [rule(&host, &[prefix("/", &blue)])]});
    world.apply_ingress_spec("shop", annotations, spec).await?;
    world.expect_backend(&host, "/", &blue).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_without_class_belongs_to_the_default_class() -> Result<()> {
    let world = Scenario::start("class-default").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    let mut class = ingress_class(world.class());
    class["metadata"]["annotations"] = json!({"ingressclass.kubernetes.io/is-default-class": "true"});
    world.apply(&class).await?;
    world
        .apply_ingress_spec(
            "shop",
            json!({}),
            json!({"rules": [rule(&host, &[prefix("/", &blue)])]}),
        )
        .await?;
    world.expect_backend(&host, "/", &blue).await?;
    // The default is the whole cluster's, which other tests share.
    let classes: Api<IngressClass> = Api::all(world.client());
    classes
        .delete(world.class(), &DeleteParams::default())
        .await
        .context("cannot delete the class")?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_of_another_class_is_ignored() -> Result<()> {
    let world = Scenario::start("class-other").await?;
    let blue = world.backend("blue").await?;
    let (ours, theirs) = (world.host("ours"), world.host("theirs"));
    let rules = json!([rule(&theirs, &[prefix("/", &blue)])]);
    let by_field = json!({"ingressClassName": "somebody-else", "rules": rules});
    world.apply_ingress_spec("by-field", json!({}), by_field).await?;
    let annotations = json!({"kubernetes.io/ingress.class": "somebody-else"});
    world
        .apply_ingress_spec("by-annotation", annotations, json!({"rules": rules}))
        .await?;
    // Applied last: when it is served, the others were seen as well.
    world
        .apply_ingress("ours", &[rule(&ours, &[prefix("/", &blue)])])
        .await?;
    world.expect_backend(&ours, "/", &blue).await?;
    world.expect_no_route(&theirs, "/").await?;
    world.expect_children(1).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn exact_and_prefix_paths_share_a_host() -> Result<()> {
    let world = Scenario::start("paths").await?;
    let (whole, part, longer, root) = (
        world.backend("whole").await?,
        world.backend("part").await?,
        world.backend("longer").await?,
        world.backend("root").await?,
    );
    let host = world.host("shop");
    let paths = [
        prefix("/foo", &part),
        exact("/foo", &whole),
        prefix("/foo/bar", &longer),
        exact("/", &root),
    ];
    world.apply_ingress("shop", &[rule(&host, &paths)]).await?;
    for (path, backend) in [
        ("/foo", &whole),
        ("/foo/", &part),
        ("/foo/ba", &part),
        ("/foo/barn", &part),
        ("/foo/bar", &longer),
        ("/foo/bar/x", &longer),
        ("/", &root),
    ] {
        world.expect_backend(&host, path, backend).await?;
    }
    world.expect_no_route(&host, "/foobar").await?;
    world.expect_no_route(&host, "/other").await?;
    world.expect_apis(4).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exact_host_wins_over_a_wildcard_of_one_label() -> Result<()> {
    let world = Scenario::start("hosts").await?;
    let (one, any) = (world.backend("one").await?, world.backend("any").await?);
    let (host, sibling, wildcard) = (world.host("one"), world.host("two"), world.host("*"));
    let rules = [
        rule(&wildcard, &[prefix("/longer", &any), prefix("/", &any)]),
        rule(&host, &[prefix("/", &one)]),
    ];
    world.apply_ingress("hosts", &rules).await?;
    world.expect_backend(&sibling, "/", &any).await?;
    world.expect_backend(&host, "/", &one).await?;
    world.expect_backend(&host, "/longer", &one).await?;
    world.expect_backend(&host.to_uppercase(), "/", &one).await?;
    world.expect_no_route(&format!("deep.{sibling}"), "/").await?;
    world.expect_no_route(wildcard.trim_start_matches("*."), "/").await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_backend_gets_what_no_rule_wants() -> Result<()> {
    let world = Scenario::start("default-backend").await?;
    let (blue, rest) = (world.backend("blue").await?, world.backend("rest").await?);
    let host = world.host("shop");
    let spec = json!({
        "ingressClassName": world.class(),
        "defaultBackend": service(&rest),
        "rules": [rule(&host, &[prefix("/blue", &blue)])],
    });
    world.apply_ingress_spec("shop", json!({}), spec).await?;
    world.expect_backend(&host, "/blue", &blue).await?;
    world.expect_backend(&host, "/other", &rest).await?;
    world.expect_backend(&world.host("unknown"), "/", &rest).await?;
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_port_may_be_named() -> Result<()> {
    let world = Scenario::start("named-port").await?;
    let blue = world.backend("blue").await?;
    let host = world.host("shop");
    let mut path = prefix("/", &blue);
    path["backend"]["service"]["port"] = json!({"name": "http"});
    world.apply_ingress("shop", &[rule(&host, &[path])]).await?;
    world.expect_backend(&host, "/", &blue).await?;
    world.stop().await
}
