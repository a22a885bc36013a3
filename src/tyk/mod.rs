//! The wire: how Tyk is spoken to. Knows nothing of Kubernetes and decides nothing.

pub mod certs;
pub mod dashboard;
mod error;
pub mod gateway;
pub mod list;
mod policies;
mod wire;

use std::net::SocketAddr;
use std::time::Duration;

pub use error::{Error, Kind};

use crate::permit::Permit;
use crate::secret::Secret;

/// Where one Tyk answers, and how to be let in.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Base URL of the control API, for example `http://gateway.tyk.svc:9696`; a path in it is kept.
    pub url: String,
    /// The gateway's `secret`, or the API access key of a user of the Dashboard.
    pub secret: Secret,
    /// Takes any certificate, as `TYK_TLS_INSECURE_SKIP_VERIFY` asks.
    pub insecure_skip_verify: bool,
    /// Certificates, PEM, of authorities that are trusted beside the well-known ones; empty for none.
    pub ca_bundle: String,
    /// Where to connect, when that is not what the host and port of the URL say: one of several gateways behind it.
    pub address: Option<SocketAddr>,
    /// Without it nothing is changed.
    pub permit: Permit,
    /// How long each kind of call may take.
    pub timeouts: Timeouts,
}

impl Endpoint {
    /// An endpoint with the default timeouts, whose certificate is checked.
    pub fn new(url: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            secret: Secret::new(secret),
            insecure_skip_verify: false,
            ca_bundle: String::new(),
            address: None,
            permit: Permit::always(),
            timeouts: Timeouts::default(),
        }
    }
}

/// How long each kind of call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands; 3 s by default.
    pub connect: Duration,
    /// Any call but a reload, with its whole answer; 15 s by default.
    pub request: Duration,
    /// A blocking reload; 60 s by default.
    pub reload: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            request: Duration::from_secs(15),
            reload: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_secret() {
        let shown = format!("{:?}", Endpoint::new("http://gateway", "hunter2"));
        assert!(shown.contains("***") && !shown.contains("hunter2"), "{shown}");
    }
}
