//! The life of a release: installed, upgraded, uninstalled, with the operator that it describes.

use std::path::Path;
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use e2e::api_definition::keyless;
use e2e::fixtures::{prefix, rule};
use e2e::http::Call;
use e2e::redirector::Redirector;
use e2e::scenario::served_by;
use e2e::{Backend, Operator, PATIENCE, Scenario, control_plane, eventually, ports};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::IngressClass;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, ObjectList};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::helm::{helm, path, version};
use crate::pod::Pod;

const RELEASE: &str = "tyk";
const NAME: &str = "tyk-tyk-ingress";

/// Releases of one name share the objects that have no namespace.
static TURN: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);

/// A release's namespace, its values, and what an Ingress needs to be served.
struct World {
    world: Scenario,
    values: Vec<String>,
    blue: Backend,
}

impl World {
    async fn start(name: &str, more: &[&str]) -> Result<Self> {
        let world = Scenario::without_operator(name).await?;
        let config = world.operator_config()?;
        // The chart says which namespaces and which class.
        let config = config.without_env("WATCH_NAMESPACE").without_env("WATCH_INGRESS_CLASS");
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "stringData": config.env,
            "metadata": {"name": "tyk-operator-conf", "namespace": world.namespace()}});
        world.apply(&secret).await?;
        let [port, redirector] = ports::free()?;
        let mut values = vec![
            "--set=listenHost=127.0.0.1".to_owned(),
            "--set=resyncInterval=1s".to_owned(),
            format!("--set=metricsPort={port},redirector.port={redirector}"),
        ];
        values.extend(more.iter().map(|value| value.replace("NAMESPACE", world.namespace())));
        let blue = world.backend("blue").await?;
        Ok(Self { world, values, blue })
    }

    /// `helm install` of the chart as it is.
    fn install(&self) -> Result<()> {
        self.helm("install", &version("0.1.0", str::to_owned)?)
    }

    /// `helm install` or `helm upgrade`, beside definitions that somebody else has applied.
    fn helm(&self, command: &str, chart: &Path) -> Result<()> {
        let mut args = vec![command, RELEASE, path(chart)?, "--namespace", self.world.namespace()];
        args.extend(["--take-ownership", "--force-conflicts"]);
        args.extend(self.values.iter().map(String::as_str));
        helm(Some(self.world.cluster), &args).map(drop)
    }

    fn uninstall(&self) -> Result<()> {
        let args = ["uninstall", RELEASE, "--namespace", self.world.namespace()];
        helm(Some(self.world.cluster), &args).map(drop)
    }

    async fn pod(&self) -> Result<Pod> {
        Pod::of(&self.world.client(), self.world.namespace(), NAME).await
    }

    /// The redirect responder as its pod would start it.
    async fn redirector(&self) -> Result<Redirector> {
        let name = format!("{NAME}-redirector");
        let pod = Pod::of(&self.world.client(), self.world.namespace(), &name).await?;
        let port = pod.port()?;
        Redirector::start_exactly(pod.args, port).await
    }

    /// The operator as its pod would start it, with a token of its service account.
    async fn operator(&self) -> Result<Operator> {
        let pod = self.pod().await?;
        let kubeconfig = self
            .world
            .cluster
            .service_account_kubeconfig(self.world.namespace(), &pod.account)
            .await?;
        let port = pod.port()?;
        Operator::start_exactly(kubeconfig, pod.args, pod.env, port).await
    }

    /// Two hosts: of an Ingress of the class that the chart made, and of a hand-written definition.
    async fn serve(&self) -> Result<()> {
        let rule = rule(&self.world.host("shop"), &[prefix("/", &self.blue)]);
        let spec = json!({"ingressClassName": "tyk", "rules": [rule]});
        self.world.apply_ingress_spec("shop", json!({}), spec).await?;
        let mut by_hand = keyless(self.world.namespace(), "by-hand", "/", &self.blue.url());
        by_hand["spec"]["domain"] = self.world.host("by-hand").into();
        self.world.apply(&by_hand).await?;
        self.expect_served().await
    }

    async fn expect_served(&self) -> Result<()> {
        for host in ["shop", "by-hand"] {
            self.world
                .expect_backend(&self.world.host(host), "/", &self.blue)
                .await?;
        }
        Ok(())
    }

    /// What the release made is gone, but for the definitions of its kinds.
    async fn expect_uninstalled(&self) -> Result<()> {
        eventually(PATIENCE, "the objects of the release to be gone", async || {
            let left = self.left().await?;
            ensure!(left.is_empty(), "there are {left:?}");
            Ok(())
        })
        .await?;
        let definitions: Api<CustomResourceDefinition> = Api::all(self.world.client());
        let definition = definitions.get("apidefinitions.tyk.tyk.io").await?;
        ensure!(
            definition.metadata.deletion_timestamp.is_none(),
            "{:?}",
            definition.metadata
        );
        Ok(())
    }

    async fn left(&self) -> Result<Vec<String>> {
        let (client, namespace) = (self.world.client(), self.world.namespace());
        let ours = ListParams::default().labels(&format!("app.kubernetes.io/instance={RELEASE}"));
        let mut left = Vec::new();
        left.extend(described(
            Api::<Deployment>::namespaced(client.clone(), namespace)
                .list(&ours)
                .await?,
        ));
        left.extend(described(
            Api::<Service>::namespaced(client.clone(), namespace)
                .list(&ours)
                .await?,
        ));
        left.extend(described(
            Api::<ServiceAccount>::namespaced(client.clone(), namespace)
                .list(&ours)
                .await?,
        ));
        left.extend(described(Api::<Role>::all(client.clone()).list(&ours).await?));
        left.extend(described(Api::<RoleBinding>::all(client.clone()).list(&ours).await?));
        left.extend(described(Api::<ClusterRole>::all(client.clone()).list(&ours).await?));
        left.extend(described(
            Api::<ClusterRoleBinding>::all(client.clone()).list(&ours).await?,
        ));
        left.extend(described(Api::<IngressClass>::all(client).list(&ours).await?));
        Ok(left)
    }

    /// Deletes what is served, while an operator runs, and waits until nothing of it is left.
    async fn clear(&self) -> Result<()> {
        self.world.delete_ingress("shop").await?;
        let definitions = self.world.api_definitions();
        definitions.delete("by-hand", &DeleteParams::default()).await?;
        self.expect_no_definitions().await?;
        self.world.expect_apis(0).await.map(drop)
    }

    async fn expect_no_definitions(&self) -> Result<()> {
        eventually(PATIENCE, "no ApiDefinitions", async || {
            let left = self.world.api_definitions().list(&ListParams::default()).await?;
            let left: Vec<String> = left.items.iter().map(ResourceExt::name_any).collect();
            ensure!(left.is_empty(), "there are {left:?}");
            Ok(())
        })
        .await
    }
}

fn described<K>(list: ObjectList<K>) -> Vec<String>
where
    K: Clone + kube::Resource<DynamicType = ()> + ResourceExt,
{
    list.items
        .iter()
        .map(|object| format!("{} {}", K::kind(&()), object.name_any()))
        .collect()
}

/// Asks again and again until it is cancelled; every answer must be the backend's.
fn keep_asking(world: &World, cancel: CancellationToken) -> tokio::task::JoinHandle<Result<usize>> {
    let (url, host) = (world.world.gateway.ingress_url(), world.world.host("shop"));
    let backend = world.blue.service().to_owned();
    tokio::spawn(async move {
        let mut count = 0;
        while !cancel.is_cancelled() {
            let mut call = Call::get(&url, "/");
            call.headers.push(("host", host.clone()));
            let answer = call.send().await?;
            ensure!(
                served_by(&answer) == Some(backend.as_str()),
                "after {count} answers: {answer:?}"
            );
            count += 1;
        }
        Ok(count)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_upgraded_without_an_api_lost_and_uninstalled_without_anything_stuck() -> Result<()> {
    let _turn = TURN.lock().await;
    let world = World::start("release", &["--set=redirector.enabled=true"]).await?;
    world.install()?;
    let operator = world.operator().await?;
    world.redirector().await?;
    world.serve().await?;
    let before = world.world.expect_apis(2).await?;

    let cancel = CancellationToken::new();
    let asking = keep_asking(&world, cancel.clone());
    let next = version("0.99.0", |definition| definition.replace("name: Age", "name: Old"))?;
    world.helm("upgrade", &next)?;
    let image = world.pod().await?.image;
    ensure!(image.ends_with(":0.99.0"), "the image is {image}");
    let definitions: Api<CustomResourceDefinition> = Api::all(world.world.client());
    let definition = definitions.get("apidefinitions.tyk.tyk.io").await?;
    let columns = definition.spec.versions[0]
        .additional_printer_columns
        .clone()
        .unwrap_or_default();
    ensure!(
        columns.iter().any(|column| column.name == "Old"),
        "the upgrade left {columns:?}"
    );
    operator.stop().await?;
    let operator = world.operator().await?;
    world.expect_served().await?;
    let after = world.world.expect_apis(2).await?;
    ensure!(ids(&before) == ids(&after), "{before:?} became {after:?}");
    cancel.cancel();
    ensure!(asking.await?? > 0, "nothing was asked during the upgrade");

    // Without an operator everything stays; what is deleted now waits for the next one.
    world.uninstall()?;
    operator.stop().await?;
    world.expect_uninstalled().await?;
    world.expect_served().await?;
    let by_hand = world.world.api_definitions();
    by_hand.delete("by-hand", &DeleteParams::default()).await?;
    let waiting = by_hand.get("by-hand").await?;
    ensure!(waiting.metadata.deletion_timestamp.is_some(), "{:?}", waiting.metadata);

    world.install()?;
    let operator = world.operator().await?;
    eventually(PATIENCE, "the deleted definition to be gone", async || {
        let left = by_hand.get_opt("by-hand").await?;
        ensure!(left.is_none(), "{left:?}; {}", operator.tail());
        Ok(())
    })
    .await?;
    world.serve().await?;

    world.clear().await?;
    world.uninstall()?;
    operator.stop().await?;
    world.expect_uninstalled().await?;
    expect_end(&world.world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_for_some_namespaces_has_rights_in_these_alone() -> Result<()> {
    let _turn = TURN.lock().await;
    let world = World::start("some", &["--set=watchNamespaces={NAMESPACE}", "--set=owner=some"]).await?;
    world.install()?;
    let operator = world.operator().await?;
    world.serve().await?;
    let cluster = world.world.cluster;
    let kubeconfig = cluster
        .service_account_kubeconfig(world.world.namespace(), NAME)
        .await?;
    let client = control_plane::client(&kubeconfig).await?;
    let (here, all): (Api<Secret>, Api<Secret>) = (
        Api::namespaced(client.clone(), world.world.namespace()),
        Api::all(client),
    );
    here.list(&ListParams::default()).await.context("its own namespace")?;
    let refused = all.list(&ListParams::default()).await;
    let code = |error: kube::Error| match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    };
    ensure!(
        refused.is_err_and(|error| code(error) == 403),
        "it may read the Secrets of all namespaces"
    );
    world.clear().await?;
    world.uninstall()?;
    operator.stop().await?;
    world.expect_uninstalled().await?;
    expect_end(&world.world).await
}

fn ids(apis: &[Value]) -> Vec<&Value> {
    let mut ids: Vec<&Value> = apis.iter().map(|api| &api["api_id"]).collect();
    ids.sort_by_key(|id| id.to_string());
    ids
}

/// The namespace ends: nothing in it waits for anybody.
async fn expect_end(world: &Scenario) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(world.client());
    namespaces.delete(world.namespace(), &DeleteParams::default()).await?;
    eventually(PATIENCE, "the namespace to be gone", async || {
        let found = namespaces.get_opt(world.namespace()).await?;
        let status = found.as_ref().and_then(|found| found.status.clone());
        ensure!(found.is_none(), "it waits: {status:?}");
        Ok(())
    })
    .await
}
