//! Child processes that never outlive the test process.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::eventually::eventually;

/// A shell holds the child. It reads the names of signals to pass on, and the end of its input means "kill": the kernel
/// closes the pipe however the test process ends, so nothing is left running even when no destructor gets to run
/// (statics, SIGKILL, an abort).
const KEEPER: &str = r#"
exec 3<&0 </dev/null
remove=$1; shift
"$@" 3<&- & pid=$!
{ while read -r signal <&3; do kill -s "$signal" "$pid"; done; kill -s KILL "$pid"; } >/dev/null 2>&1 & watcher=$!
exec 3<&-
wait "$pid"; code=$?
kill "$watcher" 2>/dev/null
[ -z "$remove" ] || rm -rf -- "$remove"
exit "$code"
"#;

/// How much of a log an error shows.
const TAIL_LINES: usize = 25;

/// What to run.
#[derive(Debug, Default)]
pub struct Spec {
    /// Path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment, apart from `PATH`.
    pub env: Vec<(String, OsString)>,
    /// File for its standard output and error.
    pub log: PathBuf,
    /// A folder to remove when it has ended.
    pub remove: Option<PathBuf>,
}

/// A running child; dropping it kills the child and waits for its end.
#[derive(Debug)]
pub struct Process {
    child: Child,
    orders: Option<ChildStdin>,
    log: PathBuf,
}

impl Process {
    /// Starts the program in a process group of its own.
    ///
    /// # Errors
    /// When the log cannot be written or the shell cannot be started; a missing program shows as exit code 127.
    pub fn spawn(spec: Spec) -> Result<Self> {
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&spec.log)
            .with_context(|| format!("cannot write {}", spec.log.display()))?;
        let mut child = Command::new("/bin/sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(spec.remove.unwrap_or_default())
            .arg(&spec.program)
            .args(&spec.args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(spec.env)
            .stdin(Stdio::piped())
            .stderr(log.try_clone().context("cannot share the log")?)
            .stdout(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", spec.program.display()))?;
        let orders = child.stdin.take();
        Ok(Self {
            child,
            orders,
            log: spec.log,
        })
    }

    /// Sends a signal, named without `SIG`.
    ///
    /// # Errors
    /// When the child has ended already.
    pub fn signal(&mut self, name: &str) -> Result<()> {
        let orders = self.orders.as_mut().context("the child was killed")?;
        writeln!(orders, "{name}").with_context(|| format!("cannot send {name}: the child has ended"))
    }

    /// Id of the child's process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> Result<u32> {
        let keeper = self.child.id();
        let path = format!("/proc/{keeper}/task/{keeper}/children");
        let children = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        // The shell starts the child first.
        let first = children.split_whitespace().next();
        first.and_then(|pid| pid.parse().ok()).context("the child has ended")
    }

    /// The exit code if the child has ended: 128 and the signal's number if a signal ended it.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn exit_code(&mut self) -> Result<Option<i32>> {
        let status = self.child.try_wait().context("cannot ask for the exit status")?;
        Ok(status.map(|status| status.code().unwrap_or(-1)))
    }

    /// Waits for the child's end and returns its exit code.
    ///
    /// # Errors
    /// After `deadline`, with the end of the log.
    pub async fn wait(&mut self, deadline: Duration) -> Result<i32> {
        eventually(deadline, "the process to end", async || match self.exit_code()? {
            Some(code) => Ok(code),
            None => bail!("it still runs; {}", self.tail()),
        })
        .await
    }

    /// Fails with the end of the log when the child has ended.
    ///
    /// # Errors
    /// When it has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        match self.exit_code()? {
            None => Ok(()),
            Some(code) => bail!("it ended with exit code {code}; {}", self.tail()),
        }
    }

    /// All it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Where it writes.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The last lines of its log, under the log's path.
    #[must_use]
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(TAIL_LINES);
        format!("{} ends with:\n{}", self.log.display(), lines[from..].join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.orders.take());
        // Nobody is left to tell about an error, and the pipe's end has killed the child in any case.
        let _ = self.child.wait();
    }
}
