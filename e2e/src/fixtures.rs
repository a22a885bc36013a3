//! Parts of Ingress objects, as short as the tests want to read them.

use serde_json::{Value, json};

use crate::pki::ServerCertificate;
use crate::scenario::Backend;

/// `spec.controller` of the IngressClasses that belong to the product.
pub const CONTROLLER: &str = "tyk.io/ingress-controller";

/// A rule for a host; an empty host is left out.
#[must_use]
pub fn rule(host: &str, paths: &[Value]) -> Value {
    let mut rule = json!({"http": {"paths": paths}});
    if !host.is_empty() {
        rule["host"] = host.into();
    }
    rule
}

/// A path of type Prefix.
#[must_use]
pub fn prefix(path: &str, backend: &Backend) -> Value {
    json!({"path": path, "pathType": "Prefix", "backend": service(backend)})
}

/// A path of type Exact.
#[must_use]
pub fn exact(path: &str, backend: &Backend) -> Value {
    json!({"path": path, "pathType": "Exact", "backend": service(backend)})
}

/// An Ingress backend: the Service by port number.
#[must_use]
pub fn service(backend: &Backend) -> Value {
    json!({"service": {"name": backend.service(), "port": {"number": backend.port()}}})
}

/// An IngressClass of the product.
#[must_use]
pub fn ingress_class(name: &str) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name},
        "spec": {"controller": CONTROLLER}})
}

/// A Service that leads to a port of this machine: the name that an ExternalName Service stands for is looked up by the
/// gateway, and so needs no cluster DNS.
#[must_use]
pub fn external_service(name: &str, namespace: &str, port: u16) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "ExternalName", "externalName": "127.0.0.1", "ports": [{"name": "http", "port": port}]}})
}

/// A Secret of type `kubernetes.io/tls`.
#[must_use]
pub fn tls_secret(name: &str, namespace: &str, server: &ServerCertificate) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {"tls.crt": server.certificate, "tls.key": server.key}})
}

/// An entry of `spec.tls`; without hosts it says nothing of them.
#[must_use]
pub fn tls(hosts: &[&str], secret: &str) -> Value {
    match hosts {
        [] => json!({"secretName": secret}),
        hosts => json!({"hosts": hosts, "secretName": secret}),
    }
}
