//! A Tyk Dashboard ("pro" mode), as its published API and the calls of Tyk Operator describe it. Its source is closed, so
//! that, unlike the gateway's, its behaviour is not checked against a real one. Where the contract leaves room it does
//! what costs a careless client most: an update takes away whatever it does not send back.

mod access;
mod apis;
mod attached;
mod certs;
mod envelope;
mod oas;
mod policies;
mod portal;
mod server;
mod store;
mod visit;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;

pub use super::{Call, Error, Failure, Faults};

/// How a simulated Dashboard is set up. The defaults are those of a present version, set up as Tyk Operator asks.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of the API; port 0 takes a free one. Default `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// Who may call. Default one administrator with the key `key` of the organisation `org`.
    pub users: Vec<User>,
    /// `allow_explicit_policy_id`: without it a policy's `id` is that of the database. Default true.
    pub explicit_policy_id: bool,
    /// `enable_duplicate_slugs`: without it two APIs cannot have one domain and listen path. Default true.
    pub duplicate_slugs: bool,
    /// Whether a new API keeps the `api_id` that it comes with; old versions give it another. Default true.
    pub keeps_api_id: bool,
    /// Whether the licence covers streams. Default true.
    pub streams: bool,
    /// Whether `/api/mcps` is there, as from 5.13 on. Default true.
    pub mcps: bool,
    /// Objects on one page of a list. Default 10.
    pub page_size: usize,
    /// Whether `p=-2` gives all pages at once. Default true.
    pub all_at_once: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            users: vec![User::administrator("key", "org")],
            explicit_policy_id: true,
            duplicate_slugs: true,
            keeps_api_id: true,
            streams: true,
            mcps: true,
            page_size: 10,
            all_at_once: true,
        }
    }
}

/// Somebody with an API access key.
#[derive(Clone, Debug)]
pub struct User {
    /// What `authorization` has to hold.
    pub key: String,
    /// The organisation whose objects are seen.
    pub org: String,
    /// Id of the user, for owners.
    pub id: String,
    /// Id of the user's group, for owners; empty for none.
    pub group: String,
    /// What the user may do, by section: `apis`, `policies`, `certs`, `portal`. `None` for an administrator, who may do
    /// all and sees APIs of other owners.
    pub permissions: Option<BTreeMap<String, Permission>>,
}

/// What a user may do in one section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// `GET` only.
    Read,
    /// All calls.
    Write,
}

impl User {
    /// A user who may do everything in an organisation.
    pub fn administrator(key: &str, org: &str) -> User {
        User {
            key: key.to_owned(),
            org: org.to_owned(),
            id: format!("user-{key}"),
            group: String::new(),
            permissions: None,
        }
    }

    /// A user who may do just this.
    pub fn limited<'a>(key: &str, org: &str, may: impl IntoIterator<Item = (&'a str, Permission)>) -> User {
        let may = may
            .into_iter()
            .map(|(section, permission)| (section.to_owned(), permission));
        User {
            permissions: Some(may.collect()),
            ..User::administrator(key, org)
        }
    }
}

/// A running simulated Dashboard. Dropping it ends its listener and its connections.
#[derive(Debug)]
pub struct Dashboard {
    server: Arc<server::Server>,
}

impl Dashboard {
    /// Starts a Dashboard without any object.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn start(config: Config) -> Result<Dashboard, Error> {
        let server = server::Server::new(config)?;
        server.up().await?;
        Ok(Dashboard { server })
    }

    /// Base address, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// The latest calls, oldest first; at most [`super::Gateway::CALLS`].
    pub fn calls(&self) -> Vec<Call> {
        self.server.calls()
    }

    /// Switches for failures.
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// Refuses connections, and cuts those that stand; what is stored stays.
    pub async fn down(&self) {
        self.server.down().await;
    }

    /// Answers again.
    ///
    /// # Errors
    /// If the address cannot be bound any more.
    pub async fn up(&self) -> Result<(), Error> {
        self.server.up().await
    }

    /// Lets a gateway serve the active APIs that are stored here, from now on and without a reload call.
    pub async fn attach(&self, gateway: &super::Gateway) {
        self.server.attach(gateway.core.clone()).await;
    }

    /// The stored record of an API by either of its ids, as the database has it.
    pub fn record(&self, id: &str) -> Option<Value> {
        self.server
            .state()
            .orgs
            .values()
            .find_map(|org| org.find(id))
            .map(|api| api.record())
    }

    /// Sets a field beside the definition of an API, as an administrator or another version may; whether there is one.
    pub fn set_field(&self, id: &str, name: &str, value: Value) -> bool {
        let mut state = self.server.state();
        let api = state.orgs.values_mut().find_map(|org| org.find_mut(id));
        api.map(|api| api.wrapper.insert(name.to_owned(), value)).is_some()
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.server.ended.cancel();
    }
}
