//! What a test of this binary stands on.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::control_plane::{SERVICE_ACCOUNT, SYSTEM_NAMESPACE};
use e2e::{ControlPlane, PATIENCE, apply, control_plane, eventually, fixtures};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use tyk_ingress::api::{ApiDefinition, names};
use tyk_ingress::cluster::{Scope, Store, children};
use tyk_ingress::desired;
use tyk_ingress::ingress::{self, Options};
use tyk_ingress::report::{Report, ReportInput, report};
use tyk_ingress::snapshot::{NamespacedName, Snapshot, Stored};
use tyk_ingress::sync::{ApiOutcome, Outcome};

/// One test's namespace, and a store that sees it with the product's rights.
pub struct World {
    pub admin: Client,
    pub client: Client,
    pub namespace: String,
    pub store: Arc<Store>,
    _stop: DropGuard,
}

impl World {
    /// A namespace whose name begins with `name`.
    pub async fn start(name: &str) -> Result<Self> {
        Self::start_as(name, SERVICE_ACCOUNT, "").await
    }

    /// With another service account, and after its roles were applied; `NS` in them is the test's namespace.
    pub async fn start_as(name: &str, account: &str, roles: &str) -> Result<Self> {
        let cluster = ControlPlane::shared().await?;
        let admin = cluster.admin().await?;
        let namespace = format!("{name}-{:06x}", rand::random::<u32>() & 0xff_ffff);
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        apply::object(&admin, &object).await?;
        apply::object(&admin, &fixtures::ingress_class(&namespace)).await?;
        cluster.apply(&roles.replace("NS", &namespace)).await?;
        let config = cluster.service_account_kubeconfig(SYSTEM_NAMESPACE, account).await?;
        let client = control_plane::client(&config).await?;
        let cancel = CancellationToken::new();
        let scope = Scope {
            namespaces: Some(vec![namespace.clone()]),
            ..Scope::default()
        };
        let store = Store::start(client.clone(), &scope, cancel.clone());
        Ok(Self {
            admin,
            client,
            namespace,
            store,
            _stop: cancel.drop_guard(),
        })
    }

    /// Applies an object as the admin.
    pub async fn apply(&self, kind: &str, name: &str, labels: Value, spec: Value) -> Result<()> {
        let api_version = match kind {
            "Ingress" => "networking.k8s.io/v1",
            "Service" => "v1",
            _ => names::API_VERSION,
        };
        let object = json!({"apiVersion": api_version, "kind": kind, "spec": spec,
            "metadata": {"name": name, "namespace": self.namespace, "labels": labels}});
        apply::object(&self.admin, &object).await.map(drop)
    }

    /// Applies an Ingress of the test's class with one path.
    pub async fn ingress(&self, name: &str, annotations: Value, path: &str) -> Result<()> {
        let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
        let rules = json!([{"host": "a.test", "http": {"paths": [
            {"path": path, "pathType": "Prefix", "backend": backend}]}}]);
        let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": name, "namespace": self.namespace, "annotations": annotations},
            "spec": {"ingressClassName": self.namespace, "rules": rules}});
        apply::object(&self.admin, &object).await.map(drop)
    }

    /// The test's ApiDefinitions, as the admin.
    pub fn definitions(&self) -> Api<ApiDefinition> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    /// A name in the test's namespace.
    pub fn name(&self, name: &str) -> NamespacedName {
        NamespacedName::new(&self.namespace, name)
    }

    /// Waits for a snapshot.
    pub async fn snapshot(&self, what: &str, good: impl Fn(&Snapshot) -> bool) -> Result<Arc<Snapshot>> {
        eventually(PATIENCE, what, async || {
            let (_, snapshot) = self
                .store
                .snapshot()
                .with_context(|| format!("waiting for {:?}", self.store.waiting()))?;
            ensure!(
                good(&snapshot),
                "ApiDefinitions are {:?}",
                snapshot.api_definitions.keys()
            );
            Ok(snapshot)
        })
        .await
    }

    /// Waits until the store has the objects in the form that the API server has them.
    pub async fn caught_up(&self) -> Result<Arc<Snapshot>> {
        let objects = self.definitions().list(&ListParams::default()).await?.items;
        let versions = |objects: &mut dyn Iterator<Item = ObjectMeta>| -> BTreeMap<_, _> {
            objects.map(|meta| (meta.name, meta.resource_version)).collect()
        };
        let wanted = versions(&mut objects.into_iter().map(|object| object.metadata));
        self.snapshot("the store to catch up", |snapshot| {
            versions(
                &mut snapshot
                    .api_definitions
                    .values()
                    .map(|object| object.whole().metadata.clone()),
            ) == wanted
        })
        .await
    }

    /// Renders and applies the children; returns what the API server then has.
    pub async fn render(&self, snapshot: &Snapshot) -> Result<Vec<ApiDefinition>> {
        let errors = self.try_render(snapshot).await;
        ensure!(errors.is_empty(), "{errors:?}");
        Ok(self.definitions().list(&ListParams::default()).await?.items)
    }

    /// Renders and applies the children; returns the errors.
    pub async fn try_render(&self, snapshot: &Snapshot) -> Vec<(NamespacedName, String)> {
        let translation = ingress::render(snapshot, &Options::default());
        let ours = children::Ours {
            owner: &Options::default().owner,
            ingresses: &translation.ingresses,
        };
        children::plan(snapshot, &translation.children, &translation.held, ours)
            .run::<ApiDefinition>(&self.client)
            .await
    }

    /// Patches an ApiDefinition as the admin.
    pub async fn patch(&self, name: &str, patch: Value) -> Result<ApiDefinition> {
        let patch = Patch::Merge(patch);
        Ok(self.definitions().patch(name, &PatchParams::default(), &patch).await?)
    }

    /// Deletes an ApiDefinition as the admin.
    pub async fn delete(&self, name: &str) -> Result<()> {
        self.definitions().delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Reports a round in which the gateway said the same of every API.
    pub fn report(&self, snapshot: &Snapshot, answer: Option<ApiOutcome>) -> Report {
        let translation = ingress::render(snapshot, &Options::default());
        let operator = desired::Operator::new(desired::Context::default());
        let (fleet, diagnostics) = desired::build_all(snapshot, &translation, &operator);
        let of_tyk = |(tyk, desired): (&Arc<desired::Installation>, &Arc<desired::Desired>)| {
            let apis = desired.apis.keys().filter_map(|id| Some((id.clone(), answer.clone()?)));
            let outcome = Outcome {
                apis: apis.collect::<BTreeMap<_, _>>().into(),
                desired: desired.clone(),
                ..Outcome::default()
            };
            (tyk.clone(), outcome)
        };
        report(&ReportInput {
            snapshot,
            translation: &translation,
            fleet: &fleet,
            diagnostics: &diagnostics,
            outcomes: &fleet.tyks.iter().map(of_tyk).collect(),
            org: "org",
            owner: "tyk-ingress",
            addresses: None,
            now: Time(Timestamp::now()),
        })
    }
}

/// Every object's resourceVersion.
pub fn versions(objects: &[ApiDefinition]) -> Vec<Option<String>> {
    objects.iter().map(ResourceExt::resource_version).collect()
}

/// A definition with this listen path.
pub fn spec(path: &str) -> Value {
    json!({"name": "n", "protocol": "http", "use_keyless": true,
        "proxy": {"listen_path": path, "target_url": "http://web"}})
}
