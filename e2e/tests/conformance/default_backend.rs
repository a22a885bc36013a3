//! An Ingress with nothing but a default backend.

use anyhow::Result;
use e2e::fixtures::service;
use serde_json::json;

use crate::row::{Expected::By, Row, Scheme, get};
use crate::suite::{Feature, start};

const ECHO: crate::row::Expected = By("echo-service");

pub const ROWS: [Row; 6] = [
    get("default backend: GET my-host /", "my-host", "/", ECHO),
    get("default backend: GET my-host /sub-path", "my-host", "/sub-path", ECHO),
    send("default backend: POST some-host /", "POST", "some-host", "/"),
    send("default backend: PUT without host /resource", "PUT", "", "/resource"),
    send(
        "default backend: DELETE some-host /resource",
        "DELETE",
        "some-host",
        "/resource",
    ),
    send(
        "default backend: PATCH my-host /resource",
        "PATCH",
        "my-host",
        "/resource",
    ),
];

const fn send(name: &'static str, method: &'static str, host: &'static str, path: &'static str) -> Row {
    Row {
        name,
        method,
        scheme: Scheme::Http,
        host,
        path,
        expected: ECHO,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn default_backend() -> Result<()> {
    let world = start("conformance-default").await?;
    let echo = world.backend("echo-service").await?;
    let spec = json!({"ingressClassName": world.class(), "defaultBackend": service(&echo)});
    world.apply_ingress_spec("default-backend", json!({}), spec).await?;
    let feature = Feature {
        world: &world,
        certificate: None,
        headers: &["server"],
    };
    feature.check("default-backend", &ROWS).await?;
    world.stop().await
}
