//! One test's world: a namespace and an IngressClass of its own, a gateway, and the product between them.

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::echo::{Echo, NAME_HEADER};
use crate::eventually::{PATIENCE, eventually};
use crate::gateway::{GatewayUnderTest, MARK};
use crate::http::{Answer, authority};
use crate::operator::{Operator, OperatorConfig};
use crate::{ControlPlane, api_definition, apply, fixtures};

/// A running product with nothing to do yet.
pub struct Scenario {
    /// The control plane, shared with the other tests of the binary.
    pub cluster: &'static ControlPlane,
    /// The gateway; a simulator belongs to this test alone.
    pub gateway: GatewayUnderTest,
    client: Client,
    namespace: String,
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

    /// The same without the product.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn without_operator(name: &str) -> Result<Self> {
        let cluster = ControlPlane::shared().await?;
        let gateway = GatewayUnderTest::start().await?;
        let client = cluster.admin().await?;
        let namespace = format!("{MARK}{name}-{:06x}", rand::random::<u32>() & 0xff_ffff);
        let object =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        apply::object(&client, &object).await?;
        apply::object(&client, &fixtures::ingress_class(&namespace)).await?;
        Ok(Self {
            cluster,
            gateway,
            client,
            namespace,
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
        let (_, port) = authority
            .rsplit_once(':')
            .context("an authority without a port")?;
        Ok(OperatorConfig::default()
            .env("TYK_MODE", "ce")
            .env("TYK_URL", self.gateway.url())
            .env("TYK_AUTH", self.gateway.secret())
            .env("TYK_ORG", "e2e")
            .env("WATCH_NAMESPACE", self.namespace())
            .env("WATCH_INGRESS_CLASS", self.class())
            .env("TYK_HTTP_INGRESS_PORT", port))
    }

    /// Starts the product and waits until it is ready.
    ///
    /// # Errors
    /// When it is not.
    pub async fn start_operator(&mut self) -> Result<()> {
        self.operator = Some(Operator::start(self.cluster, self.operator_config()?).await?);
        Ok(())
    }

    /// Ends the product with SIGTERM and expects exit code 0.
    ///
    /// # Errors
    /// When it is not running or ends in another way.
    pub async fn stop_operator(&mut self) -> Result<()> {
        self.operator
            .take()
            .context("the product is not running")?
            .stop()
            .await
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
        self.apply(&fixtures::external_service(
            name,
            self.namespace(),
            echo.port(),
        ))
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
    pub async fn apply_ingress_spec(
        &self,
        name: &str,
        annotations: Value,
        spec: Value,
    ) -> Result<()> {
        let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": spec,
            "metadata": {"name": name, "namespace": self.namespace, "annotations": annotations}});
        self.apply(&ingress).await.map(drop)
    }

    /// Deletes an Ingress.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn delete_ingress(&self, name: &str) -> Result<()> {
        let api: Api<Ingress> = Api::namespaced(self.client(), &self.namespace);
        api.delete(name, &DeleteParams::default())
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

    /// Waits until there are `count` children, and returns them.
    ///
    /// # Errors
    /// When their number stays another.
    pub async fn expect_children(&self, count: usize) -> Result<Vec<DynamicObject>> {
        eventually(PATIENCE, &format!("{count} children"), async || {
            let children = self.children().await?;
            let names: Vec<_> = children
                .iter()
                .map(|child| child.metadata.name.as_deref())
                .collect();
            ensure!(children.len() == count, "there are {names:?}");
            Ok(children)
        })
        .await
    }

    /// Waits until `host` and `path` are answered by `backend`.
    ///
    /// # Errors
    /// When the answer stays another.
    pub async fn expect_backend(
        &self,
        host: &str,
        path: &str,
        backend: &Backend,
    ) -> Result<Answer> {
        let what = format!("{host}{path} to be answered by {}", backend.service());
        let result = eventually(PATIENCE, &what, async || {
            let answer = self.gateway.request(host, path).await?;
            ensure!(
                served_by(&answer) == Some(backend.service()),
                "the answer is {answer:?}"
            );
            Ok(answer)
        });
        result.await.with_context(|| self.operator_log())
    }

    /// Waits until no backend answers `host` and `path`: the gateway has no route for them.
    ///
    /// # Errors
    /// When a backend keeps answering.
    pub async fn expect_no_route(&self, host: &str, path: &str) -> Result<()> {
        let what = format!("{host}{path} to be gone");
        let result = eventually(PATIENCE, &what, async || {
            let answer = self.gateway.request(host, path).await?;
            ensure!(
                answer.status == 404 && served_by(&answer).is_none(),
                "the answer is {answer:?}"
            );
            Ok(())
        });
        result.await.with_context(|| self.operator_log())
    }

    /// Waits until the gateway holds `count` APIs of this test.
    ///
    /// # Errors
    /// When their number stays another.
    pub async fn expect_apis(&self, count: usize) -> Result<Vec<Value>> {
        let what = format!("{count} APIs on the gateway");
        let result = eventually(PATIENCE, &what, async || {
            let apis = self.gateway.list_marked(&self.namespace).await?;
            let ids: Vec<_> = apis.iter().map(|api| &api["api_id"]).collect();
            ensure!(apis.len() == count, "there are {ids:?}");
            Ok(apis)
        });
        result.await.with_context(|| self.operator_log())
    }

    /// Waits for a Warning Event on an Ingress whose note contains every one of `words`.
    ///
    /// # Errors
    /// When there is none.
    pub async fn expect_warning(&self, ingress: &str, words: &[&str]) -> Result<Event> {
        let events: Api<Event> = Api::namespaced(self.client(), &self.namespace);
        eventually(
            PATIENCE,
            &format!("a Warning on {ingress} with {words:?}"),
            async || {
                let mut seen = Vec::new();
                for event in events.list(&ListParams::default()).await?.items {
                    let on = event.regarding.as_ref().is_some_and(|object| {
                        object.kind.as_deref() == Some("Ingress")
                            && object.name.as_deref() == Some(ingress)
                    });
                    let note = event.note.clone().unwrap_or_default();
                    if on
                        && event.type_.as_deref() == Some("Warning")
                        && words.iter().all(|word| note.contains(word))
                    {
                        return Ok(event);
                    }
                    seen.push(note);
                }
                bail!("the notes of all Events are {seen:?}")
            },
        )
        .await
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
    answer
        .headers
        .get(NAME_HEADER)
        .and_then(|name| name.to_str().ok())
}
