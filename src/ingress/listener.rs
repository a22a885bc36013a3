//! The listeners of a route: one child each.

use k8s_openapi::api::networking::v1::IngressClass;

use super::Options;
use super::route::Route;
use crate::api::Target;
use crate::snapshot::{ContextProblem, NamespacedName, Snapshot};

/// What is served over http for a host that `spec.tls` covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum HttpForTlsHosts {
    /// The same as over https.
    #[default]
    Serve,
    /// A redirect to https.
    Redirect,
    /// Nothing.
    None,
}

/// Ports of the gateway for Ingress traffic; 0 is its main port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// For http.
    pub http: u16,
    /// For https.
    pub https: u16,
}

/// Scheme and port that a child listens on, and what it does there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listener<'a> {
    /// http, with the backend of the route.
    Http(u16),
    /// https, with the backend of the route and the certificates of these Secrets.
    Https(u16, &'a [String]),
    /// http, with a redirect to https.
    Redirect(u16),
}

/// The listeners of a route, the one that keeps Tyk Operator's name first.
///
/// With no port for https of its own, the gateway's main port serves whatever the gateway was configured for, once.
pub fn listeners<'a>(route: &'a Route, ports: Ports, http: HttpForTlsHosts) -> Vec<Listener<'a>> {
    let Some(secrets) = route.secrets.as_deref().filter(|_| !is_acme(route)) else {
        return vec![Listener::Http(ports.http)];
    };
    let https = Listener::Https(ports.https, secrets);
    match http {
        _ if ports.http == ports.https => vec![https],
        HttpForTlsHosts::Serve => vec![https, Listener::Http(ports.http)],
        HttpForTlsHosts::Redirect => vec![https, Listener::Redirect(ports.http)],
        HttpForTlsHosts::None => vec![https],
    }
}

/// Whether a route is an HTTP-01 challenge: its client speaks http, has no credentials, and wants the path as it is
/// (RFC 8555 section 8.3). cert-manager is known by its path and by the Services of its solver.
pub fn is_acme(route: &Route) -> bool {
    let solver = route
        .backend
        .service
        .as_ref()
        .is_some_and(|service| service.name.contains("cm-acme-http-solver"));
    solver || route.path_text.contains(".well-known/acme-challenge")
}

/// The ports that apply to an object of `namespace`: those of the context that its template names, else of the one that
/// the IngressClass names, else the operator's own. A port that a context leaves out is the gateway's main port.
///
/// # Errors
/// When the context cannot be used.
pub fn ports(
    context: Option<&Target>,
    namespace: &str,
    snapshot: &Snapshot,
    options: &Options,
) -> Result<Ports, ContextProblem> {
    let Some(target) = context else {
        return Ok(options.ports());
    };
    let name = NamespacedName::new(target.namespace_or(namespace), &target.name);
    let settings = snapshot.context_settings(&name)?;
    Ok(Ports {
        http: settings.http_port.unwrap_or_default(),
        https: settings.https_port.unwrap_or_default(),
    })
}

/// The context that a class names as its parameters.
pub fn context_of_class(class: &IngressClass) -> Option<Target> {
    let parameters = class.spec.as_ref()?.parameters.as_ref()?;
    let ours =
        parameters.kind == "OperatorContext" && parameters.api_group.as_deref() == Some(crate::api::names::GROUP);
    ours.then(|| Target {
        name: parameters.name.clone(),
        namespace: parameters.namespace.clone(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::api::OperatorContext;
    use crate::snapshot::{Loader, NamedSecret};

    #[test]
    fn ports_of_a_context_are_those_of_its_secret_and_its_env() {
        let mut snapshot = Snapshot::default();
        for (name, spec) in [
            ("env", json!({"env": {"ingress": {"httpPort": 81}}})),
            (
                "both",
                json!({"env": {"ingress": {"httpPort": 81, "httpsPort": 82}}, "secretRef": {"name": "conf"}}),
            ),
            ("broken", json!({"secretRef": {"name": "none"}})),
        ] {
            let object = json!({"metadata": {"namespace": "ns", "name": name}, "spec": spec});
            snapshot.insert::<OperatorContext>(serde_json::from_value(object).unwrap());
        }
        let secret =
            json!({"metadata": {"namespace": "ns", "name": "conf"}, "stringData": {"TYK_HTTPS_INGRESS_PORT": "9"}});
        snapshot.insert::<NamedSecret>(serde_json::from_value(secret).unwrap());
        let options = Options::default();
        let of = |name: &str| {
            let target = Target {
                name: name.into(),
                namespace: None,
            };
            ports(Some(&target), "ns", &snapshot, &options).map(|ports| (ports.http, ports.https))
        };
        assert_eq!(ports(None, "ns", &snapshot, &options), Ok(options.ports()));
        assert_eq!(of("env"), Ok((81, 0)));
        assert_eq!(of("both"), Ok((81, 9)));
        assert!(of("broken").is_err() && of("missing").is_err());
    }
    #[test]
    fn a_context_that_cannot_be_used_takes_no_child_away() {
        let text = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: tyk}
spec:
  controller: tyk.io/ingress-controller
  parameters: {apiGroup: tyk.tyk.io, kind: OperatorContext, name: east, namespace: ns, scope: Namespace}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: ns}
spec:
  ingressClassName: tyk
  tls: [{hosts: [a.com], secretName: tls}]
  rules: [{host: a.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
";
        let context = "
---
apiVersion: tyk.tyk.io/v1alpha1
kind: OperatorContext
metadata: {name: east, namespace: ns}
spec: {secretRef: {name: conf}}
";
        let secret = "
---
apiVersion: v1
kind: Secret
metadata: {name: conf, namespace: ns}
stringData: {TYK_HTTP_INGRESS_PORT: '81', TYK_HTTPS_INGRESS_PORT: '82'}
";
        let rendered = |parts: &[&str]| {
            let mut loader = Loader::default();
            loader.text("a.yaml", &parts.concat()).unwrap();
            let options = Options {
                https_port: 0,
                ..Options::default()
            };
            super::super::render(&loader.finish().snapshot, &options)
        };
        let good = rendered(&[text, context, secret]);
        assert_eq!((good.children.len(), good.held.len()), (2, 0));
        let ports = good
            .children
            .values()
            .map(|child| child.spec.definition.get("listen_port"));
        assert_eq!(ports.map(|port| port.unwrap().as_u64().unwrap()).max(), Some(82));
        for broken in [rendered(&[text, context]), rendered(&[text])] {
            assert_eq!(
                broken.children.len(),
                1,
                "on the one port of the operator's own settings"
            );
            assert!(
                good.children.keys().all(|name| broken.held.contains(name)),
                "{:?}",
                broken.held
            );
        }
    }
}
