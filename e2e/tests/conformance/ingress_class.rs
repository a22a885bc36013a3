//! An Ingress of a class that nobody serves.

use anyhow::{Result, ensure};
use e2e::fixtures::{prefix, rule, service};
use serde_json::json;

use crate::suite::{start, told};

pub const NAME: &str = "ingress class: the status of an Ingress of an unknown class stays empty";

#[tokio::test(flavor = "multi_thread")]
async fn ingress_class() -> Result<()> {
    let world = start("conformance-class").await?;
    let echo = world.backend("echo-service").await?;
    let spec = json!({"ingressClassName": "some-invalid-class-name", "defaultBackend": service(&echo)});
    world.apply_ingress_spec("foreign", json!({}), spec).await?;
    // The foreign Ingress was seen before these, whose publication ends two further rounds.
    for name in ["first", "second"] {
        world
            .apply_ingress(name, &[rule(&world.host(name), &[prefix("/", &echo)])])
            .await?;
        world.expect_published(name).await?;
    }
    let published = world.published("foreign").await?;
    told(NAME, published.is_empty())?;
    ensure!(published.is_empty(), "the status names {published:?}");
    world.expect_no_route("any.test", "/").await?;
    world.stop().await
}
