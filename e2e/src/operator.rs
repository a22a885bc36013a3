//! The product's binary as a child process.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::control_plane::{ControlPlane, SERVICE_ACCOUNT, SYSTEM_NAMESPACE};
use crate::eventually::eventually;
use crate::http::{Answer, Call};
use crate::process::{Process, Spec};
use crate::{ports, run_dir};

const START_DEADLINE: Duration = Duration::from_secs(30);
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// What the product is started with.
#[derive(Clone, Debug, Default)]
pub struct OperatorConfig {
    /// Its environment, apart from `KUBECONFIG`.
    pub env: BTreeMap<String, String>,
    /// Arguments after `run` and those of the harness.
    pub args: Vec<String>,
}

impl OperatorConfig {
    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(ToString::to_string));
        self
    }

    /// Removes a variable.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }
}

/// A running `tyk-ingress run`. Dropping it kills it.
#[derive(Debug)]
pub struct Operator {
    process: Process,
    url: String,
}

impl Operator {
    /// Starts the product with the rights of its service account, and waits until it is ready.
    ///
    /// # Errors
    /// When it is not ready in time or ends, with the end of its log.
    pub async fn start(cluster: &ControlPlane, config: OperatorConfig) -> Result<Self> {
        Self::spawn(cluster, config).await?.ready().await
    }

    /// Starts the product without waiting for anything.
    ///
    /// # Errors
    /// When the binary is not built, or the service account is missing.
    pub async fn spawn(cluster: &ControlPlane, config: OperatorConfig) -> Result<Self> {
        let kubeconfig = cluster
            .service_account_kubeconfig(SYSTEM_NAMESPACE, SERVICE_ACCOUNT)
            .await?;
        let [port] = ports::free()?;
        let mut args: Vec<OsString> = ["run", "--resync-interval", "1s", "--listen"]
            .map(OsString::from)
            .into();
        args.push(format!("127.0.0.1:{port}").into());
        // The products of all tests share one control plane, and none waits for another.
        if !config.args.iter().any(|arg| arg.starts_with("--leader-elect")) {
            args.push("--leader-elect=false".into());
        }
        args.push("--debug-listen=127.0.0.1:0".into());
        args.extend(config.args.into_iter().map(OsString::from));
        Self::launch(kubeconfig, args, config.env, port)
    }

    /// Starts the product with these arguments and variables and no others, and waits until it is ready on `port`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_exactly(
        kubeconfig: PathBuf,
        args: Vec<String>,
        env: BTreeMap<String, String>,
        port: u16,
    ) -> Result<Self> {
        let args = args.into_iter().map(OsString::from).collect();
        Self::launch(kubeconfig, args, env, port)?.ready().await
    }

    fn launch(kubeconfig: PathBuf, args: Vec<OsString>, env: BTreeMap<String, String>, port: u16) -> Result<Self> {
        let mut variables: Vec<(String, OsString)> = vec![("KUBECONFIG".to_owned(), kubeconfig.into())];
        variables.extend(env.into_iter().map(|(name, value)| (name, value.into())));
        let log = run_dir::fresh("operator")?.join("tyk-ingress.log");
        let process = Process::spawn(Spec {
            program: binary()?,
            args,
            env: variables,
            log,
            remove: None,
        })?;
        Ok(Self {
            process,
            url: format!("http://127.0.0.1:{port}"),
        })
    }

    async fn ready(mut self) -> Result<Self> {
        eventually(START_DEADLINE, "tyk-ingress to be ready", async || {
            self.process.ensure_running()?;
            let answer = self.get("/readyz").await.with_context(|| self.process.tail())?;
            ensure!(
                answer.status == 200,
                "/readyz answers {}: {}; {}",
                answer.status,
                answer.body,
                self.process.tail()
            );
            Ok(())
        })
        .await?;
        Ok(self)
    }

    /// A GET on its own HTTP server (`/metrics`, `/healthz`, `/livez`, `/readyz`).
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        Call::get(&self.url, path).send().await
    }

    /// Sends SIGTERM and waits for an end with exit code 0.
    ///
    /// # Errors
    /// When it takes too long or the exit code is another.
    pub async fn stop(mut self) -> Result<()> {
        let code = self.end().await?;
        ensure!(
            code == 0,
            "after SIGTERM the exit code is {code}; {}",
            self.process.tail()
        );
        Ok(())
    }

    /// Sends SIGTERM, and waits for the end. The exit code, also of one that had ended already.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn end(&mut self) -> Result<i32> {
        let sent = self.process.signal("TERM");
        match self.process.exit_code()? {
            Some(code) => Ok(code),
            None => {
                sent?;
                self.process.wait(STOP_DEADLINE).await
            }
        }
    }

    /// Sends SIGKILL and waits for the end.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn kill(mut self) -> Result<()> {
        self.process.signal("KILL")?;
        self.process.wait(STOP_DEADLINE).await.map(drop)
    }

    /// The exit code if it has ended by itself.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn exit_code(&mut self) -> Result<Option<i32>> {
        self.process.exit_code()
    }

    /// Waits until it ends by itself and returns the exit code.
    ///
    /// # Errors
    /// When it still runs after the time that a start may take.
    pub async fn wait(&mut self) -> Result<i32> {
        self.process.wait(START_DEADLINE).await
    }

    /// Id of its process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> Result<u32> {
        self.process.pid()
    }

    /// All it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The last lines of what it has written.
    #[must_use]
    pub fn tail(&self) -> String {
        self.process.tail()
    }
}

/// `$TYK_INGRESS_BIN`, else the binary that cargo built with the profile of this program.
///
/// # Errors
/// When there is no such file.
pub fn binary() -> Result<PathBuf> {
    let path = match env::var_os("TYK_INGRESS_BIN") {
        Some(path) => PathBuf::from(path),
        None => run_dir::profile()?.join("tyk-ingress"),
    };
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo build` first (cargo does not build it for this package), or set TYK_INGRESS_BIN",
        path.display()
    );
    Ok(path)
}
