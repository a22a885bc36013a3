//! A Tyk gateway that behaves like the real one, for `dev` and for tests. It knows nothing of the rest of the crate.
//!
//! [`dashboard`] is a Tyk Dashboard, which the rest of this page is not about.
//!
//! It is a gateway 5.11 in open source ("ce") mode: the control API with its files that become APIs at a reload, routing
//! by the rules of `gorilla/mux`, and a proxy. Every behaviour is one that a real gateway showed; `tests/sim_gateway`
//! runs the same scenarios against this one and, where one is at hand, against a real one.

mod certs;
mod control;
mod core;
pub mod dashboard;
mod definition;
mod endpoint;
mod faults;
mod keys;
mod listener;
mod mcp;
mod oas;
mod offline;
mod policies;
mod proxy;
mod reload;
mod reply;
mod router;
mod spec;
mod state;
mod template;
mod tls;
mod upstream;
mod url;
mod versions;
mod x509;

pub use faults::{Failure, Faults};
pub use offline::{Answer, Routes};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How a simulated gateway is set up. The defaults are those of a gateway whose options suit an Ingress controller.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of the main port; port 0 takes a free one. Default `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// Address of a separate control API; without one it shares the main port. Default none.
    pub control: Option<SocketAddr>,
    /// What `X-Tyk-Authorization` has to hold. Default `foo`.
    pub secret: String,
    /// `enable_custom_domains`: without it the domains of APIs count nothing. Default true.
    pub custom_domains: bool,
    /// `http_server_options.enable_strict_routes`. Default false.
    pub strict_routes: bool,
    /// Time between two looks for a wanted reload. Default 1 s, as in the real gateway.
    pub reload_interval: Duration,
    /// Time an upstream has to begin its answer. Default 30 s.
    pub proxy_timeout: Duration,
    /// What `/hello` tells. Default `v5.11.0`.
    pub version: String,
    /// Whether `policies.policy_path` names a folder. Without it no policy can be written. Default true.
    pub policy_path: bool,
    /// Whether there are MCP proxies, as there are from 5.12 on. Default false.
    pub mcp: bool,
}

impl Default for Config {
    fn default() -> Config {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Config {
            listen: loopback,
            control: None,
            secret: "foo".to_owned(),
            custom_domains: true,
            strict_routes: false,
            reload_interval: Duration::from_secs(1),
            proxy_timeout: Duration::from_secs(30),
            version: "v5.11.0".to_owned(),
            policy_path: true,
            mcp: false,
        }
    }
}

/// Why a gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The main or the control address cannot be used.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system answered.
        source: std::io::Error,
    },
    /// [`Routes`] cannot be made of a definition.
    #[error("cannot load a definition: {0}")]
    Definition(String),
    /// The TLS of upstream connections cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A call of the control API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// HTTP method.
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// Status of the answer; 0 if the connection was cut instead.
    pub status: u16,
}

/// A running simulated gateway. Dropping it, or [`Gateway::stop`], ends all its listeners and connections.
#[derive(Debug)]
pub struct Gateway {
    core: Arc<core::Core>,
}

impl Gateway {
    /// Starts a gateway without any API.
    ///
    /// # Errors
    /// If the main or the control address cannot be bound.
    pub async fn start(config: Config) -> Result<Gateway, Error> {
        let core = core::Core::new(config)?;
        core.boot().await;
        tokio::spawn(core::reload_loop(
            Arc::downgrade(&core),
            core.ended.clone(),
            core.config.reload_interval,
        ));
        Ok(Gateway { core })
    }

    /// Base address of the control API, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.core.control)
    }

    /// Base address of the main port for traffic, without a trailing slash.
    pub fn ingress_url(&self) -> String {
        format!("http://{}", self.core.main)
    }

    /// The secret of the control API.
    pub fn secret(&self) -> &str {
        &self.core.config.secret
    }

    /// Restarts the process: memory is gone, connections are cut, ports stay. Files are kept, or gone as with a new pod;
    /// certificates live in redis and stay.
    pub async fn restart(&self, keep_files: bool) {
        self.core.halt().await;
        self.core.forget(keep_files);
        self.core.boot().await;
    }

    /// Loses the file of an API, as when somebody deletes it on the gateway's disk. Whether there was one.
    pub fn remove_file(&self, api_id: &str) -> bool {
        self.core.state().remove_api(api_id)
    }

    /// Loses the file of a policy, as when somebody deletes it on the gateway's disk. Whether there was one.
    pub fn remove_policy_file(&self, policy_id: &str) -> bool {
        self.core.state().remove_policy(policy_id)
    }

    /// Loses all certificates, as when somebody empties the redis that holds them.
    pub fn flush_certificates(&self) {
        self.core.state().certs.flush();
    }

    /// The latest calls of the control API, oldest first; at most [`Gateway::CALLS`].
    pub fn calls(&self) -> Vec<Call> {
        self.core.calls()
    }

    /// How many calls are kept.
    pub const CALLS: usize = 10_000;

    /// Switches for failures.
    pub fn faults(&self) -> &Faults {
        &self.core.faults
    }

    /// What killed the process at a reload, if something did. It then refuses connections, also after a restart that
    /// keeps the files.
    pub fn crashed(&self) -> Option<String> {
        self.core.crashed()
    }

    /// Ends all listeners and connections, and waits until the ports are free.
    pub async fn stop(self) {
        self.core.halt().await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.core.ended.cancel();
    }
}
