//! How the suite goes about a feature: apply, wait for the status, ask, and look at both ends.

use std::io::{Write, stderr};
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use e2e::http::{Answer, Call, authority};
use e2e::pki::ServerCertificate;
use e2e::{PATIENCE, Scenario, eventually, https};
use hyper::Version;

use crate::row::{Expected, Row, Scheme};

/// Where the product says that it serves Ingresses.
pub const ADDRESS: &str = "127.0.0.1";

/// What the suite's client calls itself.
const USER_AGENT: &str = "Go-http-client/1.1";

/// Headers of every answer.
const ANSWER_HEADERS: [&str; 3] = ["content-length", "content-type", "date"];

/// The Ingress of a feature, applied and published.
pub struct Feature<'a> {
    pub world: &'a Scenario,
    /// Shown by https.
    pub certificate: Option<&'a ServerCertificate>,
    /// Further headers that its answers have to have.
    pub headers: &'a [&'a str],
}

/// A world whose product publishes [`ADDRESS`].
pub async fn start(name: &str) -> Result<Scenario> {
    Scenario::start_with(name, &["--publish-address", ADDRESS]).await
}

impl Feature<'_> {
    /// Waits until the Ingress is published, then asks every row.
    pub async fn check(&self, ingress: &str, rows: &[Row]) -> Result<()> {
        let addresses = self.world.expect_published(ingress).await?;
        ensure!(addresses == [ADDRESS], "the status names {addresses:?}");
        let mut failed = Vec::new();
        for row in rows {
            let result = self.ask(row).await;
            told(row.name, result.is_ok())?;
            failed.extend(result.err().map(|error| format!("{}: {error:#}", row.name)));
        }
        ensure!(failed.is_empty(), "{}", failed.join("\n"));
        Ok(())
    }

    /// Published means served: there is one look at http. A TLS listener is opened by the gateway a moment after.
    async fn ask(&self, row: &Row) -> Result<()> {
        let answer = match row.scheme {
            Scheme::Http => self.send(row).await?,
            Scheme::Https => eventually(PATIENCE, row.name, async || self.send(row).await).await?,
        };
        match row.expected {
            Expected::By(backend) => self.served(row, backend, &answer),
            Expected::NotFound => {
                ensure!(answer.status == 404, "the answer is {answer:?}");
                ensure!(
                    e2e::scenario::served_by(&answer).is_none(),
                    "a backend was asked: {answer:?}"
                );
                Ok(())
            }
        }
    }

    async fn send(&self, row: &Row) -> Result<Answer> {
        let mut call = Call::get(&self.world.gateway.ingress_url(), row.path);
        call.method = row.method.parse().context("not a method")?;
        call.headers.push(("user-agent", USER_AGENT.to_owned()));
        if !row.host.is_empty() {
            call.headers.push(("host", row.host.to_owned()));
        }
        match row.scheme {
            Scheme::Http => call.send().await,
            Scheme::Https => {
                let certificate = self.certificate.context("https without a certificate")?;
                https::send(self.world.https_port(), row.host, call, certificate).await
            }
        }
    }

    fn served(&self, row: &Row, backend: &str, answer: &Answer) -> Result<()> {
        ensure!(answer.status == 200, "the answer is {answer:?}");
        ensure!(
            answer.version == Version::HTTP_11,
            "the answer's protocol is {:?}",
            answer.version
        );
        for header in ANSWER_HEADERS.iter().chain(self.headers) {
            ensure!(answer.headers.contains_key(*header), "no {header} in {answer:?}");
        }
        let host = match row.host {
            "" => authority(&self.world.gateway.ingress_url())?,
            host => host.to_owned(),
        };
        let seen = answer.json()?;
        for (field, wanted) in [
            (&seen["name"], backend),
            (&seen["method"], row.method),
            (&seen["path"], row.path),
            (&seen["protocol"], "HTTP/1.1"),
            (&seen["headers"]["host"], &host),
            (&seen["headers"]["user-agent"], USER_AGENT),
        ] {
            ensure!(field.as_str() == Some(wanted), "not {wanted:?} but {field} in {seen}");
        }
        Ok(())
    }
}

/// Prints the result of an execution; the rows of a test are told although it succeeds.
pub fn told(name: &str, passed: bool) -> Result<()> {
    static LINE: Mutex<()> = Mutex::new(());
    let _line = LINE
        .lock()
        .map_err(|_| anyhow::anyhow!("another test panicked while it printed"))?;
    let result = if passed { "ok" } else { "FAILED" };
    writeln!(stderr(), "conformance: {name} ... {result}").context("no standard error")
}
