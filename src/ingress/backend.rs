//! Where the requests of a route go.

use std::cell::{Cell, OnceCell};

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{IngressBackend, IngressServiceBackend, ServiceBackendPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Options;
use super::annotations::{Annotations, Protocol, Upstream};
use super::endpoints::{SlicePort, Slices};
use crate::diagnostic::Code;
use crate::snapshot::{NamespacedName, Snapshot};

/// A Tyk target, and what is wrong with the backend if anything is. A path whose backend cannot be used keeps its
/// requests and answers them with the gateway's error: they must not fall through to another path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// For `proxy.target_url`.
    pub url: String,
    /// For `proxy.target_list`, each with its scheme; empty when the gateway does not balance.
    pub list: Vec<String>,
    /// The finding about it.
    pub problem: Option<(Code, String)>,
}

/// Host for what has no backend; `.invalid` is reserved to never resolve (RFC 6761 section 6.4). The gateway answers
/// 500 "Upstream host lookup failed" at once (seen on a gateway 5.11).
const NOWHERE: &str = "http://backend-not-found.invalid";
/// The same for a Service without ready endpoints. The gateway refuses a definition that balances among no targets.
const NO_ENDPOINTS: &str = "http://no-ready-endpoints.invalid";

/// The backends of one snapshot.
#[derive(Debug)]
pub struct Backends<'a> {
    snapshot: &'a Snapshot,
    options: &'a Options,
    slices: OnceCell<Slices<'a>>,
    asked_for_slices: Cell<bool>,
}

impl<'a> Backends<'a> {
    /// The backends of a snapshot.
    pub fn new(snapshot: &'a Snapshot, options: &'a Options) -> Self {
        Self {
            snapshot,
            options,
            slices: OnceCell::new(),
            asked_for_slices: Cell::new(false),
        }
    }

    /// Resolves a backend in the namespace of its Ingress, and the canary that shares its requests.
    pub fn resolve(&self, namespace: &str, backend: &IngressBackend, annotations: &Annotations) -> Target {
        let Some(canary) = &annotations.canary else {
            return self.resolve_one(namespace, backend, annotations);
        };
        // Both by their names: endpoints of two Services that come and go would change the shares.
        let by_name = Annotations {
            upstream: Some(Upstream::Service),
            ..annotations.clone()
        };
        let main = self.resolve_one(namespace, backend, &by_name);
        if main.url.starts_with("h2c://") {
            return unheeded(
                main,
                "the gateway cannot balance h2c, so no request goes to the canary".into(),
            );
        }
        let other = self.resolve_one(namespace, &service_backend(&canary.service, &canary.port), &by_name);
        shared(main, other, canary.weight)
    }

    fn resolve_one(&self, namespace: &str, backend: &IngressBackend, annotations: &Annotations) -> Target {
        let (service, wanted) = match named(backend) {
            Ok(named) => named,
            Err((code, message)) => return nowhere(code, message),
        };
        let name = NamespacedName::new(namespace, service);
        match self.snapshot.services.get(&name) {
            Some(found) => self.of_service(&name, found, wanted, annotations),
            None => self.of_missing_service(&name, wanted, annotations),
        }
    }

    fn of_service(
        &self,
        name: &NamespacedName,
        service: &Service,
        wanted: WantedPort<'_>,
        annotations: &Annotations,
    ) -> Target {
        let Some(spec) = &service.spec else {
            return nowhere(
                Code::PortNotFound,
                format!("Service {name} has no {wanted}; it has none"),
            );
        };
        let port = declared(spec, wanted);
        let app_protocol = port.and_then(|port| Protocol::of_app_protocol(port.app_protocol.as_deref()?));
        let protocol = annotations.backend_protocol.or(app_protocol).unwrap_or(Protocol::Http);
        let balanced = annotations.upstream == Some(Upstream::Endpoints);
        match (external_name(spec), port, wanted) {
            (Some(host), Some(port), _) => external(host, i64::from(port.port), protocol, balanced),
            // An ExternalName Service needs no ports of its own.
            (Some(host), None, WantedPort::Number(number)) => external(host, number.into(), protocol, balanced),
            (None, Some(port), _) if balanced => self.of_endpoints(name, spec, port, protocol),
            (None, Some(port), _) => self.of_dns_name(name, spec, port, protocol),
            (_, None, wanted) => nowhere(
                Code::PortNotFound,
                format!("Service {name} has no {wanted}; it has {}", list(spec)),
            ),
        }
    }

    /// The Service by its name. That of a headless one leads to the pods themselves, so the port is theirs.
    fn of_dns_name(&self, name: &NamespacedName, spec: &ServiceSpec, port: &ServicePort, protocol: Protocol) -> Target {
        let at = |number: i64| self.url(name, number, protocol);
        if spec.cluster_ip.as_deref() != Some("None") {
            return fine(at(port.port.into()));
        }
        match &port.target_port {
            None => fine(at(port.port.into())),
            Some(IntOrString::Int(number)) => fine(at((*number).into())),
            Some(IntOrString::String(target)) => match self.slices().number(slice_port(name, spec, port)) {
                Some(number) => fine(at(number.into())),
                None => Target {
                    problem: Some((
                        Code::EndpointsNotReady,
                        format!("headless Service {name} has no endpoint that tells the number of its port {target:?}"),
                    )),
                    ..fine(at(port.port.into()))
                },
            },
        }
    }

    fn of_endpoints(
        &self,
        name: &NamespacedName,
        spec: &ServiceSpec,
        port: &ServicePort,
        protocol: Protocol,
    ) -> Target {
        if protocol == Protocol::H2c {
            // In a list the gateway turns h2c into http, and the backend gets HTTP/1.1 (seen on a gateway 5.11).
            let message = format!("the gateway cannot balance h2c, so Service {name} is used by its name");
            return unheeded(self.of_dns_name(name, spec, port, protocol), message);
        }
        let addresses = self.slices().addresses(slice_port(name, spec, port));
        if addresses.is_empty() {
            return Target {
                url: NO_ENDPOINTS.into(),
                problem: Some((
                    Code::EndpointsNotReady,
                    format!("Service {name} has no ready endpoint for port {}", port.port),
                )),
                ..Target::default()
            };
        }
        let scheme = protocol.scheme();
        Target {
            list: addresses
                .iter()
                .map(|address| format!("{scheme}://{address}"))
                .collect(),
            ..fine(self.url(name, port.port.into(), protocol))
        }
    }

    fn of_missing_service(&self, name: &NamespacedName, wanted: WantedPort<'_>, annotations: &Annotations) -> Target {
        let protocol = annotations.backend_protocol.unwrap_or(Protocol::Http);
        match wanted {
            WantedPort::Number(number) => Target {
                problem: Some((Code::BackendNotFound, format!("Service {name} does not exist"))),
                ..fine(self.url(name, number.into(), protocol))
            },
            wanted => nowhere(
                Code::PortNotFound,
                format!("Service {name} does not exist, so its {wanted} is not known"),
            ),
        }
    }

    fn url(&self, name: &NamespacedName, port: i64, protocol: Protocol) -> String {
        let NamespacedName { namespace, name } = name;
        let domain = &self.options.cluster_domain;
        format!("{}://{name}.{namespace}.svc.{domain}:{port}", protocol.scheme())
    }

    /// Whether EndpointSlices were looked at since this was last asked.
    pub fn took_slices(&self) -> bool {
        self.asked_for_slices.take()
    }

    fn slices(&self) -> &Slices<'a> {
        self.asked_for_slices.set(true);
        self.slices.get_or_init(|| Slices::new(self.snapshot))
    }
}

/// The Service and port that a backend names.
fn named(backend: &IngressBackend) -> Result<(&str, WantedPort<'_>), (Code, String)> {
    let invalid = |message: String| (Code::InvalidBackend, message);
    let Some(service) = &backend.service else {
        return Err(match &backend.resource {
            Some(resource) => (
                Code::ResourceBackendUnsupported,
                format!("backend is the resource {} {}", resource.kind, resource.name),
            ),
            None => invalid("backend names no service".into()),
        });
    };
    match service.port.as_ref().map(wanted_port) {
        Some(wanted) => Ok((&service.name, wanted.map_err(invalid)?)),
        None => Err(invalid(format!("backend names no port of Service {}", service.name))),
    }
}

#[derive(Clone, Copy, Debug)]
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

/// The port of a Service that is meant. Another protocol may have the same number: https and HTTP/3 share 443.
fn declared<'a>(spec: &'a ServiceSpec, wanted: WantedPort<'_>) -> Option<&'a ServicePort> {
    let tcp = |port: &&ServicePort| port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
    spec.ports.iter().flatten().filter(tcp).find(|port| match wanted {
        WantedPort::Number(number) => port.port == i32::from(number),
        WantedPort::Name(name) => port.name.as_deref() == Some(name),
    })
}

fn external_name(spec: &ServiceSpec) -> Option<&str> {
    let name = spec.external_name.as_deref().map(|name| name.trim_end_matches('.'));
    name.filter(|name| spec.type_.as_deref() == Some("ExternalName") && !name.is_empty())
}

fn external(host: &str, port: i64, protocol: Protocol, balanced: bool) -> Target {
    let target = fine(format!("{}://{host}:{port}", protocol.scheme()));
    if !balanced {
        return target;
    }
    let message = format!("an ExternalName Service has no endpoints, so {host} is used by its name");
    unheeded(target, message)
}

fn slice_port<'a>(service: &'a NamespacedName, spec: &'a ServiceSpec, port: &'a ServicePort) -> SlicePort<'a> {
    SlicePort {
        service,
        name: port.name.as_deref().unwrap_or_default(),
        family: spec.ip_families.iter().flatten().next().map(String::as_str),
    }
}

fn list(spec: &ServiceSpec) -> String {
    let ports = spec.ports.iter().flatten();
    let ports: Vec<_> = ports
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

fn service_backend(service: &str, port: &str) -> IngressBackend {
    let number = port.parse().ok();
    IngressBackend {
        service: Some(IngressServiceBackend {
            name: service.to_owned(),
            port: Some(ServiceBackendPort {
                name: number.is_none().then(|| port.to_owned()),
                number,
            }),
        }),
        resource: None,
    }
}

/// A list in which `weight` of 100 entries are the canary, spread evenly. The gateway takes the entries in turn.
fn shared(main: Target, canary: Target, weight: u32) -> Target {
    let mut divisor = (weight, 100);
    while divisor.0 != 0 {
        divisor = (divisor.1 % divisor.0, divisor.0);
    }
    let (part, whole) = (weight / divisor.1, 100 / divisor.1);
    let is_canary = |turn: u32| (turn + 1) * part / whole > turn * part / whole;
    Target {
        list: (0..whole)
            .map(|turn| {
                if is_canary(turn) {
                    canary.url.clone()
                } else {
                    main.url.clone()
                }
            })
            .collect(),
        problem: main.problem.or(canary.problem),
        url: main.url,
    }
}

fn fine(url: String) -> Target {
    Target {
        url,
        ..Target::default()
    }
}

/// A target for which the wish for endpoints has no effect. A finding that it already has weighs more.
fn unheeded(target: Target, message: String) -> Target {
    Target {
        problem: target.problem.or(Some((Code::AnnotationWithoutEffect, message))),
        ..target
    }
}

fn nowhere(code: Code, message: String) -> Target {
    Target {
        problem: Some((code, message)),
        ..fine(NOWHERE.into())
    }
}

#[cfg(test)]
mod tests;
