//! The gateways behind a Service, as its EndpointSlices name them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch::{Receiver, Sender};
use tokio_util::sync::CancellationToken;

use super::watch::each;
use super::{Told, send_changed};
use crate::snapshot::NamespacedName;

/// Gateways by address, each with whether it takes users' requests; `None` while they are not known. `Some` of an
/// address is all that is ever there; the key is what the reader works with.
pub type Gateways = Option<BTreeMap<Option<SocketAddr>, bool>>;

/// Follows the endpoints of `service` at the port of this name or number until `cancel`, in a watch of its own, since
/// the Service may lie outside the watched namespaces. Endpoints that are not ready are there too: a gateway can be
/// filled before it takes requests. Those that are ending are not.
///
/// # Panics
/// When called outside a tokio runtime.
pub fn follow(client: Client, service: NamespacedName, port: String, cancel: CancellationToken) -> Receiver<Gateways> {
    let (sender, receiver) = tokio::sync::watch::channel(None);
    let api: Api<EndpointSlice> = Api::namespaced(client, &service.namespace);
    let only = watcher::Config::default().labels(&format!("kubernetes.io/service-name={}", service.name));
    let mut pump = Pump {
        service,
        port,
        sender,
        slices: BTreeMap::new(),
        list: BTreeMap::new(),
        logged: Told::default(),
    };
    each(api, only, cancel, move |event| pump.handle(event));
    receiver
}

struct Pump {
    service: NamespacedName,
    port: String,
    sender: Sender<Gateways>,
    slices: BTreeMap<String, EndpointSlice>,
    /// A list that has not ended.
    list: BTreeMap<String, EndpointSlice>,
    logged: Told,
}

impl Pump {
    fn handle(&mut self, event: watcher::Result<Event<EndpointSlice>>) {
        match event {
            Ok(Event::Init) => self.list.clear(),
            Ok(Event::InitApply(slice)) => drop(self.list.insert(slice.name_any(), slice)),
            Ok(Event::InitDone) => {
                self.slices = std::mem::take(&mut self.list);
                self.tell();
            }
            Ok(Event::Apply(slice)) => {
                self.slices.insert(slice.name_any(), slice);
                self.tell();
            }
            Ok(Event::Delete(slice)) => {
                self.slices.remove(&slice.name_any());
                self.tell();
            }
            Err(error) => self.log(&error),
        }
    }

    fn tell(&self) {
        let now = Some(gateways(self.slices.values(), &self.port));
        send_changed(&self.sender, now);
    }

    fn log(&mut self, error: &watcher::Error) {
        if self.logged.is_due() {
            tracing::warn!(service = %self.service, %error, "cannot watch the endpoints of the gateways; retrying");
        }
    }
}

fn gateways<'a>(slices: impl Iterator<Item = &'a EndpointSlice>, port: &str) -> BTreeMap<Option<SocketAddr>, bool> {
    let mut found: BTreeMap<Option<SocketAddr>, bool> = BTreeMap::new();
    for slice in slices {
        for number in numbers(slice, port) {
            for endpoint in &slice.endpoints {
                let conditions = endpoint.conditions.clone().unwrap_or_default();
                // The first address is as good as the others.
                let address = endpoint
                    .addresses
                    .first()
                    .and_then(|address| address.parse::<IpAddr>().ok());
                let Some(address) = address.filter(|_| conditions.terminating != Some(true)) else {
                    continue;
                };
                let serves = found.entry(Some(SocketAddr::new(address, number))).or_default();
                *serves |= conditions.ready != Some(false);
            }
        }
    }
    one_family(found)
}

/// A gateway with addresses of both families must not be taken for two.
fn one_family(mut found: BTreeMap<Option<SocketAddr>, bool>) -> BTreeMap<Option<SocketAddr>, bool> {
    let is_v4 = |address: &Option<SocketAddr>| address.is_some_and(|address| address.is_ipv4());
    if found.keys().any(is_v4) {
        found.retain(|address, _| is_v4(address));
    }
    found
}

fn numbers(slice: &EndpointSlice, port: &str) -> Vec<u16> {
    let ports = slice.ports.iter().flatten();
    let fits = ports.filter(|found| {
        found.name.as_deref() == Some(port) || found.port.is_some_and(|number| number.to_string() == port)
    });
    fits.filter_map(|found| u16::try_from(found.port?).ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn slice(family: &str, endpoints: Value) -> EndpointSlice {
        serde_json::from_value(
            json!({"metadata": {"name": family}, "addressType": family, "endpoints": endpoints,
            "ports": [{"name": "control", "port": 9696}, {"name": "http", "port": 8080}]}),
        )
        .unwrap()
    }

    fn found(slices: &[EndpointSlice], port: &str) -> Vec<(String, bool)> {
        let found = gateways(slices.iter(), port).into_iter();
        found
            .map(|(address, serves)| (address.unwrap().to_string(), serves))
            .collect()
    }

    #[test]
    fn every_endpoint_that_stays_is_a_gateway_whether_it_is_ready_or_not() {
        let endpoints = json!([
            {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
            {"addresses": ["10.0.0.3"], "conditions": {"ready": false, "serving": true, "terminating": true}},
            {"addresses": ["10.0.0.4"]},
        ]);
        let slices = [slice("IPv4", endpoints)];
        let expected = [
            ("10.0.0.1:9696", true),
            ("10.0.0.2:9696", false),
            ("10.0.0.4:9696", true),
        ];
        let expected = expected.map(|(address, serves)| (address.to_owned(), serves));
        assert_eq!(found(&slices, "control"), expected);
        assert_eq!(found(&slices, "9696"), expected);
        assert_eq!(found(&slices, "other"), []);
    }

    #[test]
    fn a_pod_with_two_families_is_one_gateway() {
        let slices = [
            slice("IPv4", json!([{"addresses": ["10.0.0.1"]}])),
            slice("IPv6", json!([{"addresses": ["fd00::1"]}])),
        ];
        assert_eq!(found(&slices, "http"), [("10.0.0.1:8080".to_owned(), true)]);
        assert_eq!(found(&slices[1..], "http"), [("[fd00::1]:8080".to_owned(), true)]);
    }
}
