//! One Tyk: a control API and the way to reach it.

use std::cmp::Ordering;
use std::{fmt, ptr};

use crate::api::Mode;
use crate::secret::Secret;
use crate::snapshot::NamespacedName;

/// A Tyk to configure. Contexts whose settings are the same mean the same one, so that one worker serves them all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installation {
    /// Which control API is spoken.
    pub mode: Mode,
    /// Base URL of the control API, without a slash at its end; empty when none is known.
    pub url: String,
    /// What lets us in.
    pub auth: Secret,
    /// Takes any certificate of the control API.
    pub insecure_skip_verify: bool,
    /// Certificates, PEM, that sign those of the control API beside the well-known ones; empty for none.
    pub ca_bundle: String,
    /// The Service whose endpoints are its gateways; without one, every address of the URL's host is one.
    pub service: Option<GatewayService>,
}

/// The gateways of a Tyk as Kubernetes knows them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GatewayService {
    /// The Service.
    pub service: NamespacedName,
    /// Name or number of the port of its EndpointSlices at which the control API answers.
    pub port: String,
}

impl GatewayService {
    /// Reads `NAMESPACE/NAME:PORT`.
    pub fn parse(text: &str) -> Option<Self> {
        let (service, port) = text.trim().rsplit_once(':')?;
        let (namespace, name) = service.split_once('/')?;
        let is_name = |text: &str| {
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            !text.is_empty() && text.bytes().all(fits)
        };
        [namespace, name, port].into_iter().all(is_name).then(|| Self {
            service: NamespacedName::new(namespace, name),
            port: port.to_owned(),
        })
    }
}

/// What is asked for most is the very same one: each of thousands of resources names it.
impl Ord for Installation {
    fn cmp(&self, other: &Self) -> Ordering {
        fn parts(one: &Installation) -> impl Ord {
            let Installation {
                mode,
                url,
                auth,
                insecure_skip_verify,
                ca_bundle,
                service,
            } = one;
            (mode, url, auth, insecure_skip_verify, ca_bundle, service)
        }
        match ptr::eq(self, other) {
            true => Ordering::Equal,
            false => parts(self).cmp(&parts(other)),
        }
    }
}

impl PartialOrd for Installation {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Installation {
    /// Host and port of the control API as they stand in its URL.
    pub fn authority(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = &rest[..end];
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    }

    /// Whether it is a Tyk Dashboard rather than a gateway.
    pub fn is_dashboard(&self) -> bool {
        self.mode == Mode::Pro
    }
}

/// The URL, which is what tells one Tyk from another.
impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_of_gateways_has_a_namespace_a_name_and_a_port() {
        let found = GatewayService::parse(" tyk/gateway-control:9696 ");
        let service = NamespacedName::new("tyk", "gateway-control");
        assert_eq!(
            found,
            Some(GatewayService {
                service,
                port: "9696".into()
            })
        );
        for bad in [
            "",
            "tyk/gateway",
            "gateway:80",
            "a/b/c:80",
            "tyk/:80",
            "tyk/gateway:",
            "http://tyk/gateway:80",
        ] {
            assert_eq!(GatewayService::parse(bad), None, "{bad}");
        }
    }
}
