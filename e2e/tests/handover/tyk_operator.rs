//! A cluster and a Tyk as Tyk Operator 0.18 leaves them when it is stopped: every id stays, nothing is deleted, and no
//! request is lost.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use e2e::api_definition::{api_id, keyless};
use e2e::fixtures::{prefix, rule};
use e2e::http::Call;
use e2e::scenario::{ORGANISATION, resources, served_by};
use e2e::{Backend, PATIENCE, Scenario, eventually};
use hyper::Method;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

/// The paths of the Ingress; `/` is served in the same way before and after.
const PATHS: [&str; 2] = ["/", "/api"];

/// What was there before.
struct Legacy {
    world: Scenario,
    blue: Backend,
    green: Backend,
    host: String,
    key: String,
}

impl Legacy {
    async fn new() -> Result<Self> {
        let world = Scenario::without_operator("tyk-operator").await?;
        let (blue, green) = (world.backend("blue").await?, world.backend("green").await?);
        let host = world.host("shop");
        let mut legacy = Self {
            world,
            blue,
            green,
            host,
            key: String::new(),
        };
        legacy.on_tyk().await?;
        legacy.in_the_cluster().await?;
        Ok(legacy)
    }

    fn backend(&self, path: &str) -> &Backend {
        match path {
            "/" => &self.blue,
            _ => &self.green,
        }
    }

    fn child(&self, path: &str) -> (String, String) {
        let hash = Sha256::digest(format!("{}{path}", self.host));
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).take(5).collect();
        let hash = hash[..9].to_owned();
        (format!("{}-shop-{hash}", self.world.namespace()), hash)
    }

    fn id(&self, name: &str) -> String {
        api_id(self.world.namespace(), name)
    }

    /// The spec of a child: a copy of the template with host, path and backend.
    fn spec_of_child(&self, path: &str, target: &str) -> Value {
        let mut spec = self.template()["spec"].take();
        spec["name"] = self.child(path).0.into();
        spec["domain"] = self.host.clone().into();
        spec["proxy"] = json!({"target_url": target, "listen_path": path, "strip_listen_path": true});
        spec
    }

    fn template(&self) -> Value {
        let mut template = keyless(self.world.namespace(), "limits", "/ignored/", "http://example.com");
        template["spec"]["global_rate_limit"] = json!({"rate": 10_000, "per": 1});
        template["metadata"]["labels"] = json!({"template": "true"});
        template
    }

    /// A definition by hand that asks for a key.
    fn orders(&self) -> Value {
        let path = format!("/{}/orders/", self.world.namespace());
        let mut orders = keyless(self.world.namespace(), "orders", &path, &self.blue.url());
        orders["spec"]["use_keyless"] = false.into();
        orders["spec"]["use_standard_auth"] = true.into();
        orders
    }

    /// What Tyk Operator had sent, which bears no mark of anybody.
    async fn on_tyk(&mut self) -> Result<()> {
        let gateway = &self.world.gateway;
        let mut apis = vec![("orders".to_owned(), self.orders()["spec"].take())];
        for path in PATHS {
            // There is no cluster DNS here.
            apis.push((self.child(path).0, self.spec_of_child(path, &self.backend(path).url())));
        }
        for (name, mut spec) in apis {
            spec["api_id"] = self.id(&name).into();
            spec["org_id"] = ORGANISATION.into();
            spec["version_data"] = json!({"not_versioned": true, "versions": {"Default": {"name": "Default"}}});
            gateway.create_api(&spec).await?;
        }
        let (gold, orders) = (self.id("gold"), self.id("orders"));
        let rights = json!({&orders: {"api_id": orders, "api_name": "orders", "versions": ["Default"]}});
        let policy = json!({"id": gold, "org_id": ORGANISATION, "name": format!("{}-gold", self.world.namespace()),
            "state": "active", "active": true, "rate": 10_000, "per": 1, "quota_max": -1, "access_rights": rights});
        gateway
            .change(Method::POST, "/tyk/policies", policy.to_string())
            .await?;
        gateway.reload().await?;
        let session = json!({"apply_policies": [gold], "org_id": ORGANISATION, "expires": 0}).to_string();
        let answer = gateway.control(Method::POST, "/tyk/keys", session).await?.json()?;
        self.key = answer["key"].as_str().context("no key was made")?.to_owned();
        Ok(())
    }

    /// Names, labels, finalizers, ids and status as Tyk Operator writes them.
    async fn in_the_cluster(&self) -> Result<()> {
        let (world, namespace) = (&self.world, self.world.namespace());
        let annotations = json!({"kubernetes.io/ingress.class": world.class(), "tyk.io/template": "limits"});
        let rules = json!([rule(&self.host, &PATHS.map(|path| prefix(path, self.backend(path))))]);
        world
            .apply_ingress_spec("shop", annotations, json!({"rules": rules}))
            .await?;
        let ingresses: Api<Ingress> = Api::namespaced(world.client(), namespace);
        let taint = json!({"metadata": {"finalizers": ["finalizers.tyk.io/ingress"], "labels": {"tyk.io/taint": "1"}}});
        let owner = ingresses
            .patch("shop", &PatchParams::default(), &Patch::Merge(taint))
            .await?;

        let mut template = self.template();
        template["metadata"]["finalizers"] = json!(["finalizers.tyk.io/template"]);
        self.leave(template, json!({"api_id": "", "orgId": ORGANISATION}))
            .await?;
        for path in PATHS {
            let (name, hash) = self.child(path);
            let backend = self.backend(path);
            let target = format!(
                "http://{}.{namespace}.svc.cluster.local:{}",
                backend.service(),
                backend.port()
            );
            let owner = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "shop",
                "uid": owner.uid(), "controller": true, "blockOwnerDeletion": true});
            let child = json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "ApiDefinition",
                "metadata": {"name": name, "namespace": namespace, "ownerReferences": [owner],
                    "labels": {"tyk.io/ingress": "shop", "tyk.io/apidefinition": hash},
                    "finalizers": ["finalizers.tyk.io/apidefinition"]},
                "spec": self.spec_of_child(path, &target)});
            self.leave(child, self.status(&name)).await?;
        }
        let mut orders = self.orders();
        orders["metadata"]["finalizers"] = json!(["finalizers.tyk.io/apidefinition"]);
        let mut status = self.status("orders");
        status["linked_by_policies"] = json!([{"name": "gold", "namespace": namespace}]);
        self.leave(orders, status).await?;
        let right = json!({"name": "orders", "namespace": namespace, "versions": ["Default"]});
        let id = self.id("orders");
        let gold = json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "SecurityPolicy",
            "metadata": {"name": "gold", "namespace": namespace, "finalizers": ["finalizers.tyk.io/securitypolicy"]},
            "spec": {"id": self.id("gold"), "org_id": ORGANISATION, "name": format!("{namespace}-gold"),
                "state": "active", "active": true, "rate": 10_000, "per": 1, "access_rights_array": [right],
                "access_rights": {&id: {"api_id": id, "api_name": "orders", "versions": ["Default"]}}}});
        let status = json!({"pol_id": self.id("gold"), "linked_apis": [{"name": "orders", "namespace": namespace}],
            "latestTykSpecHash": "1", "latestCRDSpecHash": "2"});
        self.leave(gold, status).await
    }

    fn status(&self, name: &str) -> Value {
        json!({"api_id": self.id(name), "orgId": ORGANISATION, "latestTykSpecHash": "1", "latestCRDSpecHash": "2",
            "latestTransaction": {"status": "Successful", "time": "2024-07-04T00:00:00Z"}})
    }

    async fn leave(&self, object: Value, status: Value) -> Result<()> {
        let made = self.world.apply(&object).await?;
        let kind = object["kind"].as_str().context("no kind")?;
        let api = self.world.resources(kind);
        let status = Patch::Merge(json!({"status": status}));
        api.patch_status(&made.name_any(), &PatchParams::default(), &status)
            .await
            .map(drop)
            .with_context(|| format!("the status of {kind} {}", made.name_any()))
    }

    /// Ids of what is served, and uids of the objects.
    async fn identities(&self) -> Result<(Vec<String>, BTreeMap<String, Option<String>>)> {
        let marked = self.world.gateway.list_apis().await?;
        let mut ids: Vec<_> = marked
            .iter()
            .filter_map(|api| api["api_id"].as_str().map(str::to_owned))
            .filter(|id| self.names().iter().any(|name| self.id(name) == *id))
            .collect();
        ids.sort();
        let mut uids = BTreeMap::new();
        for (kind, name) in self.objects() {
            uids.insert(name.clone(), self.world.resources(kind).get(&name).await?.uid());
        }
        Ok((ids, uids))
    }

    fn names(&self) -> Vec<String> {
        let children = PATHS.map(|path| self.child(path).0);
        ["orders".to_owned()].into_iter().chain(children).collect()
    }

    fn objects(&self) -> Vec<(&'static str, String)> {
        let definitions = self.names().into_iter().map(|name| ("ApiDefinition", name));
        definitions.chain([("SecurityPolicy", "gold".to_owned())]).collect()
    }

    async fn expect_taken_over(&self) -> Result<()> {
        eventually(PATIENCE, "every object to be confirmed", async || {
            for (kind, name) in self.objects() {
                let object: DynamicObject = self.world.resources(kind).get(&name).await?;
                resources::ensure_condition(&object, "Ready", "True").with_context(|| name.clone())?;
            }
            Ok(())
        })
        .await
    }

    /// Asks an API of the Ingress, and with a key the one by hand, until it is cancelled; the backend always answers.
    fn keep_asking(&self, cancel: CancellationToken) -> tokio::task::JoinHandle<Result<usize>> {
        let (url, backend) = (self.world.gateway.ingress_url(), self.blue.service().to_owned());
        let orders = format!("/{}/orders/x", self.world.namespace());
        let (host, key) = (self.host.clone(), self.key.clone());
        tokio::spawn(async move {
            let mut count = 0;
            while !cancel.is_cancelled() {
                for (path, headers) in [
                    ("/x", vec![("host", host.clone())]),
                    (
                        &orders,
                        vec![("host", "any.test".to_owned()), ("authorization", key.clone())],
                    ),
                ] {
                    let mut call = Call::get(&url, path);
                    call.headers = headers;
                    let answer = call.send().await?;
                    ensure!(
                        served_by(&answer) == Some(&backend),
                        "{path} after {count} answers: {answer:?}"
                    );
                    count += 1;
                }
            }
            Ok(count)
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_id_of_tyk_operator_stays_and_nothing_is_deleted() -> Result<()> {
    let mut legacy = Legacy::new().await?;
    let before = legacy.identities().await?;
    ensure!(before.0.len() == 3, "Tyk has {:?}", before.0);
    let earlier = legacy.world.gateway.calls().map(|calls| calls.len());
    let cancel = CancellationToken::new();
    let asking = legacy.keep_asking(cancel.clone());

    // Tyk Operator took the path for the beginning of a text.
    legacy
        .world
        .expect_backend(&legacy.host, "/apix", &legacy.green)
        .await?;
    legacy.world.start_operator().await?;
    legacy.expect_taken_over().await?;
    cancel.cancel();
    ensure!(asking.await?? > 0, "nothing was asked");

    let after = legacy.identities().await?;
    ensure!(before == after, "{before:?} became {after:?}");
    if let (Some(calls), Some(earlier)) = (legacy.world.gateway.calls(), earlier) {
        let calls = &calls[earlier..];
        let writes = |method: &str| calls.iter().filter(|call| call.method == method).count();
        ensure!(
            writes("DELETE") == 0 && writes("POST") + writes("PUT") > 0,
            "the operator called {calls:?}"
        );
    }
    for (kind, name) in legacy.objects() {
        let object = legacy.world.resources(kind).get(&name).await?;
        let id = match kind {
            "SecurityPolicy" => continue,
            _ => &object.data["status"]["api_id"],
        };
        ensure!(*id == legacy.id(&name).as_str(), "{name} has the id {id}");
    }
    // Exact paths are in force now, and a deletion ends.
    for (path, backend) in [("/api/x", &legacy.green), ("/apix", &legacy.blue)] {
        legacy.world.expect_backend(&legacy.host, path, backend).await?;
    }
    legacy.world.delete_ingress("shop").await?;
    legacy.world.expect_no_route(&legacy.host, "/").await?;
    legacy.world.delete("SecurityPolicy", "gold").await?;
    legacy.world.expect_deleted("SecurityPolicy", "gold").await?;
    legacy.world.delete("ApiDefinition", "orders").await?;
    legacy.world.expect_deleted("ApiDefinition", "orders").await?;
    legacy.world.stop().await
}
