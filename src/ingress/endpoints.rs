//! Ready endpoints of Services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};

use crate::snapshot::{NamespacedName, Snapshot};

/// On an EndpointSlice: name of its Service.
const LABEL_SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The EndpointSlices of a snapshot, by their Service.
#[derive(Debug, Default)]
pub struct Slices<'a>(BTreeMap<NamespacedName, Vec<&'a EndpointSlice>>);

/// A port of a Service, as its EndpointSlices know it.
#[derive(Clone, Copy, Debug)]
pub struct SlicePort<'a> {
    /// The Service.
    pub service: &'a NamespacedName,
    /// Name of the Service's port, empty for one without a name.
    pub name: &'a str,
    /// `IPv4` or `IPv6`; `None` for either. A pod of a dual-stack Service has a slice for each, and would count twice.
    pub family: Option<&'a str>,
}

impl<'a> Slices<'a> {
    /// Orders the slices of a snapshot by their Service.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let mut slices: BTreeMap<NamespacedName, Vec<&EndpointSlice>> = BTreeMap::new();
        for (name, slice) in snapshot.endpoint_slices.iter() {
            let labels = slice.metadata.labels.as_ref();
            if let Some(service) = labels.and_then(|labels| labels.get(LABEL_SERVICE_NAME)) {
                let service = NamespacedName::new(&name.namespace, service);
                slices.entry(service).or_default().push(slice);
            }
        }
        Self(slices)
    }

    /// `address:port` of every endpoint that takes new requests, in the order of their text. As with kube-proxy, pods
    /// that end but still serve take them while no other does, so that the last pod can go without an error.
    pub fn addresses(&self, port: SlicePort<'_>) -> BTreeSet<String> {
        let ready = self.addresses_where(port, is_ready);
        if ready.is_empty() {
            self.addresses_where(port, is_serving)
        } else {
            ready
        }
    }

    /// Number of the port on the pods; the lowest where pods differ, `None` while there are no slices.
    pub fn number(&self, port: SlicePort<'_>) -> Option<u16> {
        self.of(port).flat_map(|slice| numbers(slice, port.name)).min()
    }

    fn addresses_where(&self, port: SlicePort<'_>, wanted: fn(&Endpoint) -> bool) -> BTreeSet<String> {
        let mut addresses = BTreeSet::new();
        for slice in self.of(port) {
            for number in numbers(slice, port.name) {
                let hosts = slice.endpoints.iter().filter(|e| wanted(e)).filter_map(host);
                addresses.extend(hosts.map(|host| format!("{host}:{number}")));
            }
        }
        addresses
    }

    fn of(&self, port: SlicePort<'_>) -> impl Iterator<Item = &'a EndpointSlice> {
        let slices = self.0.get(port.service).into_iter().flatten().copied();
        let counts = move |slice: &&EndpointSlice| {
            // A name is of no family: the gateway looks it up.
            slice.address_type == "FQDN" || port.family.is_none_or(|family| slice.address_type == family)
        };
        slices.filter(counts)
    }
}

fn numbers<'a>(slice: &'a EndpointSlice, name: &'a str) -> impl Iterator<Item = u16> + 'a {
    let tcp = |port: &&EndpointPort| port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
    let ports = slice.ports.iter().flatten().filter(tcp);
    ports
        .filter(move |port| port.name.as_deref().unwrap_or_default() == name)
        .filter_map(|port| u16::try_from(port.port?).ok())
        .filter(|number| *number != 0)
}

/// Unknown counts as ready, as the API documents it.
fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint
        .conditions
        .as_ref()
        .is_none_or(|conditions| conditions.ready != Some(false) && conditions.terminating != Some(true))
}

fn is_serving(endpoint: &Endpoint) -> bool {
    endpoint
        .conditions
        .as_ref()
        .is_some_and(|conditions| conditions.serving == Some(true) && conditions.terminating == Some(true))
}

/// The first address, which the API documents to be as good as the others, as the host of a URL.
fn host(endpoint: &Endpoint) -> Option<String> {
    let address = endpoint.addresses.first()?;
    match address.parse() {
        Ok(IpAddr::V4(address)) => Some(address.to_string()),
        Ok(IpAddr::V6(address)) => Some(format!("[{address}]")),
        Err(_) => {
            let name = address.trim_end_matches('.');
            let is_name = name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
            (is_name && !name.is_empty()).then(|| name.to_owned())
        }
    }
}
