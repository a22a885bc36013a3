//! A simulated Dashboard, and the simulated gateway that serves what it holds.

use anyhow::{Context, Result};
use hyper::Method;
use serde_json::{Value, json};
use tyk_ingress::sim;
use tyk_ingress::sim::dashboard::{Config, Dashboard, User};

use crate::http::{Answer, Call};

/// A Dashboard with one gateway. Reading of the gateway's control API, and keys, are the gateway's; what is written to it
/// otherwise is written to the Dashboard, as somebody does who has an account there.
pub struct Pro {
    /// The Dashboard.
    pub dashboard: Dashboard,
    /// What serves its APIs.
    pub gateway: sim::Gateway,
    key: String,
}

impl Pro {
    /// Starts one for an organisation.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(organisation: &str) -> Result<Self> {
        let key = format!("key-of-{organisation}");
        let config = Config {
            users: vec![User::administrator(&key, organisation)],
            ..Config::default()
        };
        let dashboard = Dashboard::start(config).await?;
        let config = sim::Config {
            mcp: true,
            ..sim::Config::default()
        };
        let gateway = sim::Gateway::start(config).await?;
        dashboard.attach(&gateway).await;
        Ok(Self {
            dashboard,
            gateway,
            key,
        })
    }

    /// API access key of an administrator of the organisation.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A call of the gateway's control API, as the type says.
    ///
    /// # Errors
    /// When it is not answered.
    pub async fn control(&self, method: Method, path: &str, body: String) -> Result<Answer> {
        let (route, _) = path.split_once('?').unwrap_or((path, ""));
        let segments: Vec<&str> = route
            .trim_start_matches("/tyk/")
            .trim_end_matches('/')
            .split('/')
            .collect();
        match segments[..] {
            ["apis", "oas", ..] | ["mcps", ..] if method != Method::GET => {
                self.call(method, &path.replacen("/tyk", "/api", 1), body).await
            }
            ["apis"] if method == Method::POST => {
                let definition: Value = serde_json::from_str(&body)?;
                let id = definition["api_id"].as_str().unwrap_or_default().to_owned();
                match self.dashboard.record(&id) {
                    Some(record) => self.put_definition(&id, record, definition).await,
                    None => {
                        let record = json!({"api_definition": definition});
                        self.call(Method::POST, "/api/apis", record.to_string()).await
                    }
                }
            }
            ["apis", id] if method == Method::PUT => {
                let record = self.dashboard.record(id).with_context(|| format!("no API {id}"))?;
                self.put_definition(id, record, serde_json::from_str(&body)?).await
            }
            ["apis", id] if method == Method::DELETE => self.call(method, &format!("/api/apis/{id}"), body).await,
            ["policies"] if method == Method::POST => self.call(method, "/api/portal/policies", body).await,
            ["policies", id] if method != Method::GET => {
                let held = self
                    .call(Method::GET, "/api/portal/policies?p=-2", String::new())
                    .await?;
                let held = held.json()?;
                let found = held["Data"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .find(|policy| policy["id"] == id);
                let found = found.and_then(|policy| policy["_id"].as_str());
                let id = found.with_context(|| format!("no policy {id}"))?;
                self.call(method, &format!("/api/portal/policies/{id}"), body).await
            }
            _ => {
                let secret = ("x-tyk-authorization", self.gateway.secret().to_owned());
                send(self.gateway.url(), secret, method, path, body).await
            }
        }
    }

    /// A call of the Dashboard's API.
    ///
    /// # Errors
    /// When it is not answered.
    pub async fn call(&self, method: Method, path: &str, body: String) -> Result<Answer> {
        let key = ("authorization", self.key.clone());
        send(self.dashboard.url(), key, method, path, body).await
    }

    /// Puts another definition into a record, whose other fields stay.
    async fn put_definition(&self, id: &str, mut record: Value, mut definition: Value) -> Result<Answer> {
        definition["id"] = record["api_definition"]["id"].take();
        record["api_definition"] = definition;
        self.call(Method::PUT, &format!("/api/apis/{id}"), record.to_string())
            .await
    }
}

async fn send(server: String, key: (&'static str, String), method: Method, path: &str, body: String) -> Result<Answer> {
    Call {
        server,
        method,
        path: path.to_owned(),
        headers: vec![key, ("content-type", "application/json".to_owned())],
        body,
    }
    .send()
    .await
}
