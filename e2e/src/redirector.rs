//! `tyk-ingress redirector` as a child process.

use anyhow::{Result, ensure};

use crate::eventually::{PATIENCE, eventually};
use crate::http::Call;
use crate::process::{Process, Spec};
use crate::{operator, ports, run_dir};

/// A running redirect responder. Dropping it kills it.
#[derive(Debug)]
pub struct Redirector {
    _process: Process,
    url: String,
}

impl Redirector {
    /// Starts one that redirects to `https_port`, and waits until it answers.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub async fn start(https_port: u16) -> Result<Self> {
        let [port] = ports::free()?;
        let args = [
            "redirector",
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--https-port",
            &https_port.to_string(),
        ];
        Self::start_exactly(args.map(str::to_owned).into(), port).await
    }

    /// Starts the product with these arguments, which make it redirect on `port`, and waits until it answers.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_exactly(args: Vec<String>, port: u16) -> Result<Self> {
        let url = format!("http://127.0.0.1:{port}");
        let mut process = Process::spawn(Spec {
            program: operator::binary()?,
            args: args.into_iter().map(Into::into).collect(),
            log: run_dir::fresh("redirector")?.join("redirector.log"),
            ..Spec::default()
        })?;
        eventually(PATIENCE, "the redirect responder to answer", async || {
            process.ensure_running()?;
            let answer = Call::get(&url, "/").send().await?;
            ensure!(answer.status == 308, "the answer is {answer:?}");
            Ok(())
        })
        .await?;
        Ok(Self { _process: process, url })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}
