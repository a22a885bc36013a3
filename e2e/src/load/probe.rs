//! Requests of a user of the gateway, over one connection that stays open.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use tokio::time::sleep;

use super::world::World;
use crate::echo::NAME_HEADER;
use crate::http::{authority, connect};

/// Time between two looks at a path that does not answer yet. A gateway with thousands of APIs has to work for each look,
/// at the same time as on the reload that is waited for.
const INTERVAL: Duration = Duration::from_millis(20);

/// Paths that are waited for one after the other.
const WAITED_FOR: usize = 100;

/// Asks the gateway.
pub struct Probe {
    authority: String,
    connection: Option<SendRequest<Empty<Bytes>>>,
}

impl Probe {
    /// Of the gateway at this URL.
    ///
    /// # Errors
    /// When it is no http URL.
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self {
            authority: authority(url)?,
            connection: None,
        })
    }

    /// Waits until every path answers, and returns how long that took from `begin` on.
    ///
    /// A gateway with many APIs needs milliseconds for each request, so a part of the paths is waited for, and all of them
    /// are looked at afterwards. What does not answer then is waited for as well, and counts.
    ///
    /// # Errors
    /// As [`Self::until_answered`].
    pub async fn until_all_answer(&mut self, world: &World, begin: Instant) -> Result<Duration> {
        let apart = (world.len() / WAITED_FOR).max(1);
        for number in (0..world.len()).step_by(apart).chain([world.len() - 1]) {
            let (host, path) = world.place(number);
            self.until_answered(&host, &path).await?;
        }
        let mut all = begin.elapsed();
        for number in 0..world.len() {
            let (host, path) = world.place(number);
            if !self.answers(request(&host, &path)?).await.unwrap_or(false) {
                self.until_answered(&host, &path).await?;
                all = begin.elapsed();
            }
        }
        Ok(all)
    }

    /// Waits until the backend answers this request, for ever if it never does.
    ///
    /// # Errors
    /// When the path cannot be asked for.
    pub async fn until_answered(&mut self, host: &str, path: &str) -> Result<()> {
        loop {
            // A gateway that closes the connection while it reloads is asked again.
            if self.answers(request(host, path)?).await.unwrap_or(false) {
                return Ok(());
            }
            sleep(INTERVAL).await;
        }
    }

    async fn answers(&mut self, request: Request<Empty<Bytes>>) -> Result<bool> {
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => connect(&self.authority).await?,
        };
        connection.ready().await?;
        let (head, body) = connection.send_request(request).await?.into_parts();
        body.collect().await?;
        self.connection = Some(connection);
        Ok(head.status == 200 && head.headers.contains_key(NAME_HEADER))
    }
}

fn request(host: &str, path: &str) -> Result<Request<Empty<Bytes>>> {
    Request::get(path)
        .header(hyper::header::HOST, host)
        .body(Empty::new())
        .with_context(|| format!("cannot ask for {path}"))
}
