//! Pods of a Service: echo servers on loopback addresses, and the EndpointSlice that names them.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;
use serde_json::{Value, json};

use crate::echo::Echo;

/// Name of the only port of Service and EndpointSlice.
pub const PORT_NAME: &str = "http";

/// Echo servers `pod-1`, `pod-2` and so on, on one port of 127.0.0.1, 127.0.0.2 and so on.
#[derive(Debug)]
pub struct Pods {
    echoes: Vec<Echo>,
}

impl Pods {
    /// Starts `count` of them.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(count: u8) -> Result<Self> {
        let mut echoes: Vec<Echo> = Vec::new();
        for number in 1..=count {
            let port = echoes.first().map_or(0, Echo::port);
            echoes.push(Echo::start_at(&name(number), address(number), port).await?);
        }
        Ok(Self { echoes })
    }

    /// A headless Service with this port and no selector.
    #[must_use]
    pub fn service(&self, name: &str, namespace: &str, port: u16) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": "None", "ports": [{"name": PORT_NAME, "port": port, "targetPort": PORT_NAME}]}})
    }

    /// The EndpointSlice of a Service with these pods, by number, and whether each is ready. The API server takes no
    /// loopback address for an address of type IPv4 or IPv6, but does as a domain name.
    #[must_use]
    pub fn slice(&self, service: &str, namespace: &str, pods: &[(u8, bool)]) -> Value {
        let endpoint = |(pod, ready): &(u8, bool)| json!({"addresses": [address(*pod).to_string()], "conditions": {"ready": ready}});
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": service, "namespace": namespace,
                "labels": {"kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": "e2e"}},
            "addressType": "FQDN",
            "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(),
            "ports": [{"name": PORT_NAME, "port": self.echoes.first().map(Echo::port), "protocol": "TCP"}]})
    }
}

/// Name of a pod, with which it answers.
#[must_use]
pub fn name(pod: u8) -> String {
    format!("pod-{pod}")
}

fn address(pod: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, pod).into()
}
