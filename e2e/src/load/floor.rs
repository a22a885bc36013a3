//! What the gateway alone needs: the definitions that the product would send, posted one after the other over one
//! connection, and one reload.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request};
use serde_json::Value;
use tokio::time::sleep;

use super::measures::Spread;
use super::phase;
use super::probe::Probe;
use super::world::World;
use crate::Scenario;
use crate::http::{authority, connect};

/// Time after a reload in which the gateway clears up.
const PAUSE: Duration = Duration::from_secs(1);

/// The gateway's own times.
#[derive(Clone, Debug)]
pub struct Floor {
    /// All definitions.
    pub writes: Duration,
    /// The first reload.
    pub reload: Duration,
    /// From the first write until the last path answers.
    pub all: Duration,
    /// A later reload after one write, asked for at any moment.
    pub again: Spread,
    /// The list of all APIs.
    pub list: Duration,
}

impl Floor {
    /// Measures it, and leaves the gateway empty.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn measure(scenario: &Scenario, world: &World, probe: &mut Probe, samples: usize) -> Result<Self> {
        let definitions = world.definitions(scenario)?;
        let mut control = Control::connect(scenario).await?;
        let begin = Instant::now();
        for definition in &definitions {
            control.write(definition).await?;
        }
        let writes = begin.elapsed();
        control.reload().await?;
        let reload = begin.elapsed() - writes;
        let all = probe.until_all_answer(world, begin).await?;
        let mut times = Vec::new();
        for sample in 0..samples.max(1) {
            sleep(PAUSE).await;
            phase::of(sample).await;
            control.write(&definitions[sample % definitions.len()]).await?;
            let begin = Instant::now();
            control.reload().await?;
            times.push(begin.elapsed());
        }
        let begin = Instant::now();
        control.call(Method::GET, "/tyk/apis", String::new()).await?;
        let list = begin.elapsed();
        scenario.gateway.lose_everything(scenario.namespace()).await?;
        Ok(Self {
            writes,
            reload,
            all,
            again: Spread::of(&times),
            list,
        })
    }
}

/// The control API over one connection.
struct Control {
    connection: SendRequest<Full<Bytes>>,
    authority: String,
    secret: String,
}

impl Control {
    async fn connect(scenario: &Scenario) -> Result<Self> {
        let authority = authority(&scenario.gateway.url())?;
        Ok(Self {
            connection: connect(&authority).await?,
            authority,
            secret: scenario.gateway.secret(),
        })
    }

    async fn write(&mut self, definition: &Value) -> Result<()> {
        self.call(Method::POST, "/tyk/apis", definition.to_string()).await
    }

    async fn reload(&mut self) -> Result<()> {
        self.call(Method::GET, "/tyk/reload/?block=true", String::new()).await
    }

    async fn call(&mut self, method: Method, path: &str, body: String) -> Result<()> {
        let what = format!("{method} {path}");
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.authority)
            .header("x-tyk-authorization", &self.secret)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        self.connection.ready().await.with_context(|| what.clone())?;
        let (head, body) = self
            .connection
            .send_request(request)
            .await
            .with_context(|| what.clone())?
            .into_parts();
        let body = body.collect().await.with_context(|| what.clone())?.to_bytes();
        let said = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        ensure!(head.status == 200, "{what} answers {}: {said}", head.status);
        Ok(())
    }
}
