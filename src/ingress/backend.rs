//! Where the requests of a route go.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{IngressBackend, ServiceBackendPort};

use super::Options;
use crate::diagnostic::Code;
use crate::snapshot::{NamespacedName, Snapshot};

/// A Tyk target URL, and what is wrong with the backend if anything is. A path whose backend cannot be used keeps its
/// requests and answers them with the gateway's error: they must not fall through to another path.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// For `proxy.target_url`.
    pub url: String,
    /// The finding about it.
    pub problem: Option<(Code, String)>,
}

/// Host for what has no backend; `.invalid` is reserved to never resolve (RFC 6761 section 6.4).
const NOWHERE: &str = "http://backend-not-found.invalid";

/// Resolves a backend in the namespace of its Ingress.
pub fn resolve(namespace: &str, backend: &IngressBackend, snapshot: &Snapshot, options: &Options) -> Target {
    let Some(service) = &backend.service else {
        return match &backend.resource {
            Some(resource) => nowhere(
                Code::ResourceBackendUnsupported,
                format!("backend is the resource {} {}", resource.kind, resource.name),
            ),
            None => nowhere(Code::InvalidBackend, "backend names no service".into()),
        };
    };
    let wanted = match service.port.as_ref().map(wanted_port) {
        Some(Ok(wanted)) => wanted,
        Some(Err(message)) => return nowhere(Code::InvalidBackend, message),
        None => {
            return nowhere(
                Code::InvalidBackend,
                format!("backend names no port of Service {}", service.name),
            );
        }
    };
    let name = NamespacedName::new(namespace, &service.name);
    match snapshot.services.get(&name) {
        Some(found) => of_service(&name, found, wanted, options),
        None => of_missing_service(&name, wanted, options),
    }
}

#[derive(Clone, Copy)]
enum WantedPort<'a> {
    Number(u16),
    Name(&'a str),
}

impl std::fmt::Display for WantedPort<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            WantedPort::Number(number) => write!(f, "port {number}"),
            WantedPort::Name(name) => write!(f, "port named {name:?}"),
        }
    }
}

fn wanted_port(port: &ServiceBackendPort) -> Result<WantedPort<'_>, String> {
    match (
        port.name.as_deref().filter(|name| !name.is_empty()),
        port.number.filter(|number| *number != 0),
    ) {
        (Some(name), None) => Ok(WantedPort::Name(name)),
        (None, Some(number)) => match u16::try_from(number) {
            Ok(number) => Ok(WantedPort::Number(number)),
            Err(_) => Err(format!("port {number} is not between 1 and 65535")),
        },
        (Some(_), Some(_)) => Err("port has both a name and a number".into()),
        (None, None) => Err("port has neither a name nor a number".into()),
    }
}

fn of_service(name: &NamespacedName, service: &Service, wanted: WantedPort<'_>, options: &Options) -> Target {
    let spec = service.spec.clone().unwrap_or_default();
    let ports = spec.ports.unwrap_or_default();
    let declared = ports.iter().find(|port| match wanted {
        WantedPort::Number(number) => port.port == i32::from(number),
        WantedPort::Name(name) => port.name.as_deref() == Some(name),
    });
    let external_name = (spec.type_.as_deref() == Some("ExternalName"))
        .then_some(spec.external_name)
        .flatten();
    let host = external_name.as_deref().map_or_else(
        || cluster_name(name, options),
        |host| host.trim_end_matches('.').to_owned(),
    );
    match (declared, wanted) {
        (Some(port), _) => fine(format!("http://{host}:{}", port.port)),
        // An ExternalName Service needs no ports of its own.
        (None, WantedPort::Number(number)) if external_name.is_some() => fine(format!("http://{host}:{number}")),
        (None, wanted) => nowhere(
            Code::PortNotFound,
            format!("Service {name} has no {wanted}; it has {}", list(&ports)),
        ),
    }
}

fn of_missing_service(name: &NamespacedName, wanted: WantedPort<'_>, options: &Options) -> Target {
    match wanted {
        WantedPort::Number(number) => Target {
            url: format!("http://{}:{number}", cluster_name(name, options)),
            problem: Some((Code::BackendNotFound, format!("Service {name} does not exist"))),
        },
        wanted => nowhere(
            Code::PortNotFound,
            format!("Service {name} does not exist, so its {wanted} is not known"),
        ),
    }
}

fn cluster_name(name: &NamespacedName, options: &Options) -> String {
    format!("{}.{}.svc.{}", name.name, name.namespace, options.cluster_domain)
}

fn list(ports: &[k8s_openapi::api::core::v1::ServicePort]) -> String {
    let ports: Vec<_> = ports
        .iter()
        .map(|port| match &port.name {
            Some(name) => format!("{} ({name})", port.port),
            None => port.port.to_string(),
        })
        .collect();
    if ports.is_empty() {
        "none".into()
    } else {
        ports.join(", ")
    }
}

fn fine(url: String) -> Target {
    Target { url, problem: None }
}

fn nowhere(code: Code, message: String) -> Target {
    Target {
        url: NOWHERE.into(),
        problem: Some((code, message)),
    }
}
