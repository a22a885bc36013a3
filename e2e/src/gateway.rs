//! The Tyk that the product writes to: a simulator, or a real gateway that the environment names.

use std::env;
use std::io::{Write, stderr};
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hyper::Method;
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};
use tyk_ingress::sim;

use crate::dashboard::Pro;
use crate::http::{Answer, Call};
use crate::scenario::ORGANISATION;

/// Prefix of every namespace of these tests; it is part of all ids and hosts that they make on a gateway.
pub const MARK: &str = "e2e-";

static TURN: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);

/// Whether `E2E_TYK` asks for a Dashboard. Every other value than `pro` means `ce`.
fn is_pro() -> bool {
    env::var("E2E_TYK").is_ok_and(|tyk| tyk == "pro")
}

/// Whether a test is left out since it is about a gateway alone, for the reason that is then printed.
#[must_use]
pub fn skipped_in_pro(reason: &str) -> bool {
    if is_pro() {
        // A line that cannot be printed is no reason to run the test.
        let _ = writeln!(stderr(), "skipped with a Dashboard: {reason}");
    }
    is_pro()
}

/// Where the product's APIs go.
pub enum GatewayUnderTest {
    /// A simulator of its own for each test.
    Sim(sim::Gateway),
    /// A simulated Dashboard of its own for each test, with a simulated gateway that serves what it holds.
    Pro(Box<Pro>),
    /// One gateway for all tests, which therefore run one after the other.
    Real {
        /// URL of the control API.
        url: String,
        /// Secret of the control API.
        secret: String,
        /// URL that serves the APIs.
        ingress_url: String,
        /// Held until the test ends.
        turn: MutexGuard<'static, ()>,
    },
}

impl GatewayUnderTest {
    /// A gateway without an API of these tests: the one that `TYK_GATEWAY_URL`, `TYK_GATEWAY_SECRET` and
    /// `TYK_GATEWAY_INGRESS_URL` (the first, if unset) name, else a new simulator of what `E2E_TYK` names.
    ///
    /// # Errors
    /// When the environment is incomplete, or the gateway does not answer.
    pub async fn start() -> Result<Self> {
        let Ok(url) = env::var("TYK_GATEWAY_URL") else {
            return Self::simulator().await;
        };
        ensure!(!is_pro(), "TYK_GATEWAY_URL is a gateway, E2E_TYK=pro wants a Dashboard");
        let secret = env::var("TYK_GATEWAY_SECRET").context("TYK_GATEWAY_URL is set, TYK_GATEWAY_SECRET is not")?;
        let ingress_url = env::var("TYK_GATEWAY_INGRESS_URL").unwrap_or_else(|_| url.clone());
        let gateway = Self::Real {
            url,
            secret,
            ingress_url,
            turn: TURN.lock().await,
        };
        gateway.clear(MARK).await?;
        Ok(gateway)
    }

    /// Takes every API of this test away, as a gateway without a volume does when it restarts.
    ///
    /// # Errors
    /// When a real gateway refuses.
    pub async fn lose_everything(&self, mark: &str) -> Result<()> {
        match self {
            Self::Sim(gateway) => {
                gateway.restart(false).await;
                Ok(())
            }
            Self::Pro(_) | Self::Real { .. } => self.clear(mark).await,
        }
    }

    /// A simulator, whatever real gateway the environment names.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn simulator() -> Result<Self> {
        Self::simulator_of(ORGANISATION).await
    }

    /// The same, for this organisation if it is a Dashboard. A gateway is for all.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn simulator_of(organisation: &str) -> Result<Self> {
        match is_pro() {
            true => Self::dashboard(organisation).await,
            false => Self::gateway().await,
        }
    }

    /// A simulated Dashboard of an organisation, whatever the environment names.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn dashboard(organisation: &str) -> Result<Self> {
        Ok(Self::Pro(Box::new(Pro::start(organisation).await?)))
    }

    /// A simulated gateway, whatever the environment names.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn gateway() -> Result<Self> {
        // The real gateway looks for wanted reloads every second, which each test would wait for several times.
        let config = sim::Config {
            reload_interval: Duration::from_millis(100),
            mcp: true,
            ..sim::Config::default()
        };
        Ok(Self::Sim(sim::Gateway::start(config).await?))
    }

    /// `TYK_MODE` of a product that writes to it.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        match self {
            Self::Pro(_) => "pro",
            Self::Sim(_) | Self::Real { .. } => "ce",
        }
    }

    /// The calls so far of the API that the product uses; none are known of a real gateway.
    #[must_use]
    pub fn calls(&self) -> Option<Vec<sim::Call>> {
        match self {
            Self::Sim(gateway) => Some(gateway.calls()),
            Self::Pro(pro) => Some(pro.dashboard.calls()),
            Self::Real { .. } => None,
        }
    }

    /// Switches for failures of the API that the product uses, and the path of its APIs there; a real gateway has none.
    #[must_use]
    pub fn faults(&self) -> Option<(&sim::Faults, &'static str)> {
        match self {
            Self::Sim(gateway) => Some((gateway.faults(), "/tyk/apis")),
            Self::Pro(pro) => Some((pro.dashboard.faults(), "/api/apis")),
            Self::Real { .. } => None,
        }
    }

    /// URL of the API that the product uses, for `TYK_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Sim(gateway) => gateway.url(),
            Self::Pro(pro) => pro.dashboard.url(),
            Self::Real { url, .. } => url.clone(),
        }
    }

    /// URL that serves the APIs.
    #[must_use]
    pub fn ingress_url(&self) -> String {
        match self {
            Self::Sim(gateway) => gateway.ingress_url(),
            Self::Pro(pro) => pro.gateway.ingress_url(),
            Self::Real { ingress_url, .. } => ingress_url.clone(),
        }
    }

    /// Secret of that API, for `TYK_AUTH`.
    #[must_use]
    pub fn secret(&self) -> String {
        match self {
            Self::Sim(gateway) => gateway.secret().to_string(),
            Self::Pro(pro) => pro.key().to_owned(),
            Self::Real { secret, .. } => secret.clone(),
        }
    }

    /// A GET of `path` with this `Host`, as a user of the gateway sends it.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub async fn request(&self, host: &str, path: &str) -> Result<Answer> {
        let mut call = Call::get(&self.ingress_url(), path);
        call.headers.push(("host", host.to_owned()));
        call.send().await
    }

    /// All loaded APIs.
    ///
    /// # Errors
    /// When the gateway does not answer with a list.
    pub async fn list_apis(&self) -> Result<Vec<Value>> {
        match self.control(Method::GET, "/tyk/apis", String::new()).await?.json()? {
            Value::Array(apis) => Ok(apis),
            other => bail!("/tyk/apis answers {other}"),
        }
    }

    /// All loaded APIs whose definition contains `mark`.
    ///
    /// # Errors
    /// As [`Self::list_apis`].
    pub async fn list_marked(&self, mark: &str) -> Result<Vec<Value>> {
        let mut apis = self.list_apis().await?;
        apis.retain(|api| api.to_string().contains(mark));
        Ok(apis)
    }

    /// Ids of the stored certificates of an organisation.
    ///
    /// # Errors
    /// When the gateway does not answer with a list.
    pub async fn certificates(&self, organisation: &str) -> Result<Vec<String>> {
        let path = format!("/tyk/certs?org_id={organisation}");
        let answer = self.control(Method::GET, &path, String::new()).await?.json()?;
        // The gateway writes an empty list as null.
        let ids: Option<Vec<String>> =
            serde_json::from_value(answer["certs"].clone()).with_context(|| format!("{path} answers {answer}"))?;
        Ok(ids.unwrap_or_default())
    }

    /// Stores a definition; it is served after the next [`Self::reload`].
    ///
    /// # Errors
    /// When the gateway refuses it.
    pub async fn create_api(&self, definition: &Value) -> Result<()> {
        self.change(Method::POST, "/tyk/apis", definition.to_string()).await
    }

    /// Deletes a definition; it is served until the next [`Self::reload`].
    ///
    /// # Errors
    /// When the gateway refuses, for example because it has no such API.
    pub async fn delete_api(&self, id: &str) -> Result<()> {
        self.change(Method::DELETE, &format!("/tyk/apis/{id}"), String::new())
            .await
    }

    /// Loads what was written, and returns when that is served.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn reload(&self) -> Result<()> {
        self.change(Method::GET, "/tyk/reload/?block=true", String::new()).await
    }

    /// Deletes every API and every policy whose definition contains `mark`, and reloads.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn clear(&self, mark: &str) -> Result<()> {
        for policy in self.list_policies().await? {
            if let Some(id) = policy["id"].as_str().filter(|_| policy.to_string().contains(mark)) {
                self.change(Method::DELETE, &format!("/tyk/policies/{id}"), String::new())
                    .await?;
            }
        }
        for api in self.list_marked(mark).await? {
            self.delete_api(api["api_id"].as_str().context("an API without api_id")?)
                .await?;
        }
        self.reload().await
    }

    /// All loaded policies.
    ///
    /// # Errors
    /// When the gateway does not answer with a list.
    pub async fn list_policies(&self) -> Result<Vec<Value>> {
        match self
            .control(Method::GET, "/tyk/policies", String::new())
            .await?
            .json()?
        {
            Value::Array(policies) => Ok(policies),
            other => bail!("/tyk/policies answers {other}"),
        }
    }

    /// A call of the control API that has to succeed.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn change(&self, method: Method, path: &str, body: String) -> Result<()> {
        let what = format!("{method} {path}");
        let answer = self.control(method, path, body).await?;
        ensure!(
            answer.status == 200,
            "{what} answers {}: {}",
            answer.status,
            answer.body
        );
        Ok(())
    }

    /// A call of the control API. What is behind a Dashboard is written to that, see [`Pro::control`].
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub async fn control(&self, method: Method, path: &str, body: String) -> Result<Answer> {
        if let Self::Pro(pro) = self {
            return pro.control(method, path, body).await;
        }
        let headers = vec![
            ("x-tyk-authorization", self.secret()),
            ("content-type", "application/json".to_owned()),
        ];
        Call {
            server: self.url(),
            method,
            path: path.to_owned(),
            headers,
            body,
        }
        .send()
        .await
    }
}
