//! Ingresses of one path each, and one Service for all of them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tyk_ingress::desired::{self, Context as TykContext};
use tyk_ingress::ingress::{Options, render};
use tyk_ingress::snapshot::Snapshot;

use crate::http::authority;
use crate::scenario::{Backend, ORGANISATION, Scenario};
use crate::{apply, fixtures};

/// Writes of the cluster that are under way at the same time.
const CONCURRENCY: usize = 16;

/// What the Ingresses are and where their paths lead.
pub struct World {
    ingresses: Api<Ingress>,
    client: kube::Client,
    namespace: String,
    class: String,
    /// How often each path was edited.
    edits: Vec<u32>,
    backend: Backend,
}

impl World {
    /// The Service is there; the Ingresses are not.
    pub async fn new(scenario: &Scenario, paths: usize) -> Result<Self> {
        Ok(Self {
            ingresses: scenario.ingresses(),
            client: scenario.client(),
            namespace: scenario.namespace().to_owned(),
            class: scenario.class().to_owned(),
            edits: vec![0; paths],
            backend: scenario.backend("echo").await?,
        })
    }

    /// Number of paths.
    pub fn len(&self) -> usize {
        self.edits.len()
    }

    /// An Ingress for the n-th sample, another one each time.
    pub fn some(&self, sample: usize) -> usize {
        (sample * 7919 + self.len() / 3) % self.len()
    }

    /// Where a path is.
    pub fn place(&self, number: usize) -> (String, String) {
        (self.host(number), self.path(number))
    }

    fn host(&self, number: usize) -> String {
        format!("shop-{number}.{}.test", self.namespace)
    }

    fn path(&self, number: usize) -> String {
        match self.edits[number] {
            0 => "/api".to_owned(),
            edits => format!("/api-{edits}"),
        }
    }

    fn ingress(&self, number: usize) -> Value {
        let rule = fixtures::rule(
            &self.host(number),
            &[fixtures::prefix(&self.path(number), &self.backend)],
        );
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": format!("shop-{number}"), "namespace": self.namespace},
            "spec": {"ingressClassName": self.class, "rules": [rule]}})
    }

    /// What the product sends to the gateway for all paths.
    pub fn definitions(&self, scenario: &Scenario) -> Result<Vec<Value>> {
        let mut snapshot = Snapshot::default();
        for number in 0..self.len() {
            snapshot.insert::<Ingress>(serde_json::from_value(self.ingress(number))?);
        }
        let service = fixtures::external_service(self.backend.service(), &self.namespace, self.backend.port());
        snapshot.insert::<Service>(serde_json::from_value(service)?);
        let authority = authority(&scenario.gateway.ingress_url())?;
        let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let options = Options {
            class: self.class.clone(),
            http_port: port.context("an authority without a port")?,
            ..Options::default()
        };
        let context = TykContext {
            org: ORGANISATION.into(),
            ..TykContext::default()
        };
        let (desired, _) = desired::build(&snapshot, &render(&snapshot, &options), &context);
        Ok(desired.wanted().map(|(_, api)| api.payload.value()).collect())
    }

    /// Creates all Ingresses, and returns how long it took.
    pub async fn create_all(&self) -> Result<Duration> {
        let begin = Instant::now();
        let creates = (0..self.len()).map(|number| async move {
            let ingress: Ingress = serde_json::from_value(self.ingress(number))?;
            self.ingresses.create(&PostParams::default(), &ingress).await?;
            anyhow::Ok(())
        });
        stream::iter(creates)
            .buffer_unordered(CONCURRENCY)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(begin.elapsed())
    }

    /// Moves a path, and returns where it then is.
    pub async fn edit(&mut self, number: usize) -> Result<(String, String)> {
        self.edits[number] += 1;
        self.send(number).await?;
        Ok(self.place(number))
    }

    /// Moves several paths at the same time.
    pub async fn edit_all(&mut self, numbers: &[usize]) -> Result<Vec<(String, String)>> {
        for &number in numbers {
            self.edits[number] += 1;
        }
        let sends = numbers.iter().map(|&number| self.send(number));
        stream::iter(sends)
            .buffer_unordered(CONCURRENCY)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(numbers.iter().map(|&number| self.place(number)).collect())
    }

    async fn send(&self, number: usize) -> Result<()> {
        let patch = json!([{"op": "replace", "path": "/spec/rules/0/http/paths/0/path", "value": self.path(number)}]);
        let patch = Patch::Json::<()>(serde_json::from_value(patch)?);
        let name = format!("shop-{number}");
        self.ingresses.patch(&name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// A Service with endpoints, and an Ingress that leads to it in this way.
    pub async fn prepare_churn(&self, balanced: bool) -> Result<()> {
        let metadata = json!({"name": "churn", "namespace": self.namespace});
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"ports": [{"name": "http", "port": 80}]}});
        let mut backend = json!({"service": {"name": "churn", "port": {"number": 80}}});
        backend = json!({"path": "/", "pathType": "Prefix", "backend": backend});
        let upstream = if balanced { "endpoints" } else { "service" };
        let mut ingress_metadata = metadata;
        ingress_metadata["annotations"] = json!({"tyk.io/upstream": upstream});
        let rule = fixtures::rule(&format!("churn.{}.test", self.namespace), &[backend]);
        let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": ingress_metadata,
            "spec": {"ingressClassName": self.class, "rules": [rule]}});
        apply::object(&self.client, &service).await?;
        apply::object(&self.client, &ingress).await?;
        self.churn(0).await
    }

    /// Replaces the endpoints of that Service.
    pub async fn churn(&self, turn: usize) -> Result<()> {
        let addresses = (0..3).map(|place| format!("10.1.{}.{}", turn % 250, 1 + place));
        let endpoints: Vec<_> = addresses
            .map(|address| json!({"addresses": [address], "conditions": {"ready": true}}))
            .collect();
        let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "churn-1", "namespace": self.namespace, "labels": {"kubernetes.io/service-name": "churn"}},
            "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}], "endpoints": endpoints});
        apply::object(&self.client, &slice).await.map(drop)
    }
}
