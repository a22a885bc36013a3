//! One test's world: a namespace and an IngressClass of its own, a gateway, and the product between them.

mod expect;
pub mod resources;

use anyhow::{Context, Result};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::control_plane::SYSTEM_NAMESPACE;
use crate::echo::{Echo, NAME_HEADER};
use crate::gateway::{GatewayUnderTest, MARK};
use crate::http::{Answer, authority};
use crate::operator::{Operator, OperatorConfig};
use crate::{ControlPlane, api_definition, apply, fixtures, ports};

/// Organisation of everything that the product makes.
pub const ORGANISATION: &str = "e2e";

/// A running product with nothing to do yet.
pub struct Scenario {
    /// The control plane, shared with the other tests of the binary.
    pub cluster: &'static ControlPlane,
    /// The gateway; a simulator belongs to this test alone.
    pub gateway: GatewayUnderTest,
    client: Client,
    namespace: String,
    https_port: u16,
    operator: Option<Operator>,
}

/// An echo server and the Service that leads to it.
#[derive(Debug)]
pub struct Backend {
    echo: Echo,
}

impl Backend {
    /// Name of the Service and of the echo server.
    #[must_use]
    pub fn service(&self) -> &str {
        self.echo.name()
    }

    /// Port of the Service and of the echo server.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.echo.port()
    }

    /// URL of the echo server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }
}

impl Scenario {
    /// Makes namespace and IngressClass, and starts gateway and product.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start(name: &str) -> Result<Self> {
        let mut scenario = Self::without_operator(name).await?;
        scenario.start_operator().await?;
        Ok(scenario)
    }

    /// The same with more arguments for the product.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start_with(name: &str, args: &[&str]) -> Result<Self> {
        let mut scenario = Self::without_operator(name).await?;
        scenario.start_operator_with(args).await?;
        Ok(scenario)
    }

    /// The same without the product.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn without_operator(name: &str) -> Result<Self> {
        Self::before(name, GatewayUnderTest::start().await?).await
    }

    /// The same before this gateway.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn before(name: &str, gateway: GatewayUnderTest) -> Result<Self> {
        let cluster = ControlPlane::shared().await?;
        let client = cluster.admin().await?;
        let [https_port] = ports::free()?;
        let namespace = format!("{MARK}{name}-{:06x}", rand::random::<u32>() & 0xff_ffff);
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        apply::object(&client, &object).await?;
        apply::object(&client, &fixtures::ingress_class(&namespace)).await?;
        Ok(Self {
            cluster,
            gateway,
            client,
            namespace,
            https_port,
            operator: None,
        })
    }

    /// The test's namespace; its name is found in every id and host that the test makes on the gateway.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The test's IngressClass.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.namespace
    }

    /// The gateway's port for https.
    #[must_use]
    pub fn https_port(&self) -> u16 {
        self.https_port
    }

    /// An admin's client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A host name below the test's own domain.
    #[must_use]
    pub fn host(&self, label: &str) -> String {
        format!("{label}.{}.test", self.namespace)
    }

    /// What the product is started with in this test.
    ///
    /// # Errors
    /// When the gateway's ingress URL has no port.
    pub fn operator_config(&self) -> Result<OperatorConfig> {
        let authority = authority(&self.gateway.ingress_url())?;
        let (_, port) = authority.rsplit_once(':').context("an authority without a port")?;
        Ok(OperatorConfig::default()
            .env("TYK_MODE", self.gateway.mode())
            .env("TYK_URL", self.gateway.url())
            .env("TYK_AUTH", self.gateway.secret())
            .env("TYK_ORG", ORGANISATION)
            .env("WATCH_NAMESPACE", self.namespace())
            .env("WATCH_INGRESS_CLASS", self.class())
            .env("TYK_HTTP_INGRESS_PORT", port)
            .env("TYK_HTTPS_INGRESS_PORT", self.https_port.to_string()))
    }

    /// The same for one of several processes, with a lease of its own name that is quickly taken over.
    ///
    /// # Errors
    /// As [`Self::operator_config`].
    pub fn elected_config(&self) -> Result<OperatorConfig> {
        let config = self.operator_config()?.env("TYK_INGRESS_OWNER", self.namespace());
        Ok(config.args(&[
            "--leader-elect",
            "--leader-election-namespace",
            SYSTEM_NAMESPACE,
            "--leader-election-lease-duration=3s",
            "--leader-election-renew-deadline=2s",
            "--leader-election-retry-period=500ms",
        ]))
    }

    /// Starts the product and waits until it is ready.
    ///
    /// # Errors
    /// When it is not.
    pub async fn start_operator(&mut self) -> Result<()> {
        self.start_operator_with(&[]).await
    }

    /// The same with more arguments.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start_operator_with(&mut self, args: &[&str]) -> Result<()> {
        let config = self.operator_config()?.args(args);
        self.operator = Some(Operator::start(self.cluster, config).await?);
        Ok(())
    }

    /// Ends the product with SIGTERM and expects exit code 0.
    ///
    /// # Errors
    /// When it is not running or ends in another way.
    pub async fn stop_operator(&mut self) -> Result<()> {
        self.operator.take().context("the product is not running")?.stop().await
    }

    /// Ends the test's world: the product with SIGTERM, and what is left on a shared gateway.
    ///
    /// # Errors
    /// When the product does not end with exit code 0.
    pub async fn stop(mut self) -> Result<()> {
        if self.operator.is_some() {
            self.stop_operator().await?;
        }
        self.gateway.lose_everything(&self.namespace).await
    }

    /// The running product.
    ///
    /// # Errors
    /// When it is not running.
    pub fn operator(&self) -> Result<&Operator> {
        self.operator.as_ref().context("the product is not running")
    }

    /// Starts an echo server and makes a Service of the same name that leads to it.
    ///
    /// # Errors
    /// When the API server refuses the Service.
    pub async fn backend(&self, name: &str) -> Result<Backend> {
        let echo = Echo::start(name).await?;
        self.apply(&fixtures::external_service(name, self.namespace(), echo.port()))
            .await?;
        Ok(Backend { echo })
    }

    /// Applies an object.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn apply(&self, object: &Value) -> Result<DynamicObject> {
        apply::object(&self.client, object).await
    }

    /// Applies an Ingress of the test's class with these rules.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn apply_ingress(&self, name: &str, rules: &[Value]) -> Result<()> {
        self.apply_ingress_spec(
            name,
            json!({}),
            json!({"ingressClassName": self.class(), "rules": rules}),
        )
        .await
    }

    /// Applies an Ingress with this spec; nothing is added to it.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn apply_ingress_spec(&self, name: &str, annotations: Value, spec: Value) -> Result<()> {
        let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": spec,
            "metadata": {"name": name, "namespace": self.namespace, "annotations": annotations}});
        self.apply(&ingress).await.map(drop)
    }

    /// Deletes an Ingress.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn delete_ingress(&self, name: &str) -> Result<()> {
        self.ingresses()
            .delete(name, &DeleteParams::default())
            .await
            .map(drop)
            .with_context(|| format!("cannot delete {name}"))
    }

    /// The test's ApiDefinitions.
    #[must_use]
    pub fn api_definitions(&self) -> Api<DynamicObject> {
        api_definition::api(self.client(), &self.namespace)
    }

    /// The children of the test's Ingresses, in the order of their names.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn children(&self) -> Result<Vec<DynamicObject>> {
        let selected = ListParams::default().labels(api_definition::INGRESS_LABEL);
        Ok(self.api_definitions().list(&selected).await?.items)
    }

    /// The addresses in the status of an Ingress.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn published(&self, ingress: &str) -> Result<Vec<String>> {
        let object = self.ingresses().get(ingress).await?;
        let points = object.status.and_then(|status| status.load_balancer?.ingress);
        let points = points.unwrap_or_default().into_iter();
        Ok(points.filter_map(|point| point.ip.or(point.hostname)).collect())
    }

    /// The test's Ingresses.
    #[must_use]
    pub fn ingresses(&self) -> Api<Ingress> {
        Api::namespaced(self.client(), &self.namespace)
    }

    fn operator_log(&self) -> String {
        self.operator
            .as_ref()
            .map_or_else(|| "the product is not running".to_owned(), Operator::tail)
    }
}

/// The echo server that answered, if one did.
#[must_use]
pub fn served_by(answer: &Answer) -> Option<&str> {
    answer.headers.get(NAME_HEADER).and_then(|name| name.to_str().ok())
}
