//! Echo upstreams: one loopback listener for each Service that `dev` has no real backend for.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context;
use axum::Router;
use axum::extract::Request;
use axum::http::header::HOST;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::desired::Desired;
use crate::snapshot::document::EXTENSION;

/// How a Service is named below the cluster's domain.
const SHORT_SUFFIX: &str = ".svc";

/// The listeners, by the authority that they stand in for. They end when this is dropped.
#[derive(Debug)]
pub struct Echoes {
    addresses: BTreeMap<String, SocketAddr>,
    suffix: String,
    stop: CancellationToken,
    _guard: DropGuard,
}

impl Echoes {
    /// Stands in for Services below this cluster domain.
    pub fn new(cluster_domain: &str) -> Self {
        let stop = CancellationToken::new();
        let suffix = format!(".svc.{cluster_domain}");
        Self {
            addresses: BTreeMap::new(),
            suffix,
            stop: stop.clone(),
            _guard: stop.drop_guard(),
        }
    }

    /// Points every target inside the cluster, a Service or an endpoint, to an echo upstream, which is started when it is new.
    pub async fn stand_in(&mut self, desired: &mut Desired) -> anyhow::Result<()> {
        let documents = desired.oas.values_mut().chain(desired.mcps.values_mut());
        for api in desired.apis.values_mut().chain(documents) {
            let mut payload = api.payload.value();
            let found = match api.payload.is_document() {
                true => upstream(&mut payload).into_iter().collect(),
                false => targets(&mut payload),
            };
            for target in found {
                self.stand_in_for(target).await?;
            }
            api.payload = payload.into();
        }
        Ok(())
    }

    async fn stand_in_for(&mut self, target: &mut Value) -> anyhow::Result<()> {
        let Some(authority) = self.authority(target) else {
            return Ok(());
        };
        let address = match self.addresses.get(&authority) {
            Some(address) => *address,
            None => self.start(authority).await?,
        };
        *target = Value::String(format!("http://{address}"));
        Ok(())
    }

    /// The `host:port` of a target that is a Service or an endpoint of the cluster.
    fn authority(&self, target: &Value) -> Option<String> {
        let rest = target.as_str()?.split_once("://")?.1;
        let authority = rest.split('/').next()?;
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let endpoint = address.is_some_and(|address| !address.is_loopback());
        let service = host.ends_with(&self.suffix) || host.ends_with(SHORT_SUFFIX);
        (endpoint || service).then(|| authority.to_owned())
    }

    async fn start(&mut self, authority: String) -> anyhow::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("cannot start an echo upstream")?;
        let address = listener.local_addr()?;
        let host = authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host);
        let name = match host.ends_with(&self.suffix) || host.ends_with(SHORT_SUFFIX) {
            true => format!(
                "service {}",
                authority.replace(&self.suffix, "").replace(SHORT_SUFFIX, "")
            ),
            false => format!("endpoint {authority}"),
        };
        let router = Router::new().fallback(move |request: Request| {
            let text = answer(&name, &request);
            async move { text }
        });
        let stopped = self.stop.clone().cancelled_owned();
        tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stopped).await });
        self.addresses.insert(authority, address);
        Ok(address)
    }
}

/// Where a definition sends requests.
fn targets(payload: &mut Value) -> Vec<&mut Value> {
    let Some(proxy) = payload.get_mut("proxy").and_then(Value::as_object_mut) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (field, value) in proxy {
        match (field.as_str(), value) {
            ("target_url", url) => found.push(url),
            ("target_list", Value::Array(list)) => found.extend(list),
            _ => {}
        }
    }
    found
}

/// Where an OAS document sends requests.
fn upstream(document: &mut Value) -> Option<&mut Value> {
    let url = document.get_mut(EXTENSION)?.get_mut("upstream")?.get_mut("url")?;
    url.is_string().then_some(url)
}

/// What a backend saw of a request.
fn answer(name: &str, request: &Request) -> String {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    format!("echo of {name}\n{} {} host={host}\n", request.method(), request.uri())
}
