//! What a listener of a route looks like to the gateway, whatever kind of API serves it.

use std::collections::{BTreeMap, BTreeSet};

use super::host::Host;
use super::listener::Listener;
use super::route::Route;

/// Labels of the exact hosts, by the suffix of the wildcard that would match them as well.
#[derive(Debug, Default)]
pub struct ExactLabels<'a>(BTreeMap<&'a str, BTreeSet<&'a str>>);

impl<'a> ExactLabels<'a> {
    /// Of all routes: the wildcards among them leave these out.
    pub fn of(routes: impl Iterator<Item = &'a Route> + Clone) -> Self {
        let suffixes = routes.clone().filter_map(|route| match &route.host {
            Host::Wildcard(suffix) => Some((suffix.as_str(), BTreeSet::new())),
            Host::Any | Host::Exact(_) => None,
        });
        let mut labels: BTreeMap<&str, BTreeSet<&str>> = suffixes.collect();
        if labels.is_empty() {
            return Self(labels);
        }
        for route in routes {
            if let Host::Exact(name) = &route.host
                && let Some((label, suffix)) = name.split_once('.')
                && let Some(labels) = labels.get_mut(suffix)
            {
                labels.insert(label);
            }
        }
        Self(labels)
    }

    fn below(&self, host: &Host) -> &BTreeSet<&'a str> {
        static NONE: BTreeSet<&str> = BTreeSet::new();
        match host {
            Host::Wildcard(suffix) => self.0.get(suffix.as_str()).unwrap_or(&NONE),
            Host::Any | Host::Exact(_) => &NONE,
        }
    }
}

/// Domain, path, port, protocol and certificates of one child.
#[derive(Clone, Debug)]
pub struct Exposure {
    /// Hash that names the child among those of the Ingress.
    pub hash: String,
    /// Name of the child.
    pub name: String,
    /// Domain expression, empty for every host.
    pub domain: String,
    /// Listen path.
    pub listen_path: String,
    /// Port and protocol, when not those of the gateway's main port.
    pub listen: Option<(u16, &'static str)>,
    /// Secrets with the certificates to show.
    pub secrets: Vec<String>,
}

impl Exposure {
    /// Of one listener. `literal` keeps an exact host as it is on https, for mutual TLS.
    pub fn of(route: &Route, listener: &Listener<'_>, hash: String, exact: &ExactLabels<'_>, literal: bool) -> Self {
        let labels = exact.below(&route.host);
        let (domain, port, protocol, secrets) = match listener {
            Listener::Http(port) | Listener::Redirect(port) => (route.host.domain(labels), *port, "http", &[][..]),
            Listener::Https(port, secrets) => (route.host.domain_for_https(labels, literal), *port, "https", *secrets),
        };
        let listen_path = match listener {
            Listener::Https(..) if route.host == Host::Any => route.path.listen_path_for_https(),
            _ => route.listen_path.clone(),
        };
        Self {
            name: route.child_name(&hash),
            hash,
            domain,
            listen_path,
            listen: (port != 0).then_some((port, protocol)),
            secrets: secrets.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}
