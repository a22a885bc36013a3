//! The addresses at which clients reach the gateway.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::IngressLoadBalancerIngress;

/// One address, in the form that the status of an Ingress takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// An IP address.
    Ip(IpAddr),
    /// A lower-case DNS name; the API server refuses a port.
    Hostname(String),
}

impl Address {
    /// Reads an IP address or a host name.
    pub fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(ip) => Some(Self::Ip(ip)),
            Err(_) => is_hostname(text).then(|| Self::Hostname(text.to_owned())),
        }
    }
}

impl From<&Address> for IngressLoadBalancerIngress {
    fn from(address: &Address) -> Self {
        match address {
            Address::Ip(ip) => Self {
                ip: Some(ip.to_string()),
                ..Self::default()
            },
            Address::Hostname(name) => Self {
                hostname: Some(name.clone()),
                ..Self::default()
            },
        }
    }
}

/// Addresses of the Service in front of the gateway: what a load balancer was given and the external IPs. Of a Service
/// without a load balancer, when it has none of these, the name that it stands for or the cluster IP.
pub fn addresses_of(service: &Service) -> BTreeSet<Address> {
    let spec = service.spec.clone().unwrap_or_default();
    let balancer = service
        .status
        .iter()
        .flat_map(|status| &status.load_balancer)
        .flat_map(|balancer| balancer.ingress.iter().flatten())
        .filter_map(|ingress| ingress.ip.as_deref().or(ingress.hostname.as_deref()));
    let external = spec.external_ips.iter().flatten().map(String::as_str);
    let found: BTreeSet<_> = balancer.chain(external).filter_map(Address::parse).collect();
    if !found.is_empty() {
        return found;
    }
    let inside = match spec.type_.as_deref() {
        // It will have an address, which is not known yet.
        Some("LoadBalancer") => None,
        Some("ExternalName") => spec.external_name.as_deref(),
        _ => spec.cluster_ip.as_deref().filter(|ip| *ip != "None"),
    };
    inside.and_then(Address::parse).into_iter().collect()
}

/// Whether it is a DNS subdomain as the API server checks it (RFC 1123).
fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_service_is_reached_by_its_outermost_addresses() {
        let balancer = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "lb.test"}]}});
        let cases: [(Value, Value, &[&str]); 7] = [
            (
                json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1"}),
                balancer,
                &["192.0.2.1", "lb.test"],
            ),
            (json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1"}), json!({}), &[]),
            (
                json!({"type": "LoadBalancer", "externalIPs": ["198.51.100.7"]}),
                json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}),
                &["192.0.2.1", "198.51.100.7"],
            ),
            (
                json!({"clusterIP": "10.0.0.1", "externalIPs": ["198.51.100.7"]}),
                json!({}),
                &["198.51.100.7"],
            ),
            (
                json!({"type": "NodePort", "clusterIP": "10.0.0.1"}),
                json!({}),
                &["10.0.0.1"],
            ),
            (json!({"type": "ClusterIP", "clusterIP": "None"}), json!({}), &[]),
            (
                json!({"type": "ExternalName", "externalName": "gw.test"}),
                json!({}),
                &["gw.test"],
            ),
        ];
        for (spec, status, wanted) in cases {
            let service: Service = serde_json::from_value(json!({"spec": spec, "status": status})).unwrap();
            let wanted: BTreeSet<_> = wanted.iter().map(|text| Address::parse(text).unwrap()).collect();
            assert_eq!(addresses_of(&service), wanted, "{spec}");
        }
    }
}
