//! From arguments to an exit code: 0 when all is well, 1 when an object has an error or `diff` finds a difference, 2 for
//! wrong usage, unreadable input or a failed start.

mod completions;
mod crds;
mod dev;
mod diff;
mod explain;
mod export;
mod files;
mod input;
mod migrate;
mod output;
mod redirector;
mod render;
mod run;
mod validate;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::log::{Format, Level};

/// Ingress controller and operator for the Tyk API gateway.
#[derive(Debug, Parser)]
#[command(name = "tyk-ingress", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the controller
    Run(Box<run::Run>),
    /// Serve manifests from a simulated gateway, and follow their edits
    Dev(dev::Dev),
    /// Redirect every request to https
    Redirector(redirector::Redirector),
    /// Print what manifests become: children, Tyk definitions, or a table of routes
    Render(render::Render),
    /// Check manifests and print what is wrong with them
    Validate(validate::Validate),
    /// Print what `run` would change on a gateway, without changing it
    Diff(diff::Diff),
    /// Print manifests for the APIs and policies that a gateway already holds
    Export(export::Export),
    /// Explain a diagnostic, or which API answers a request and why
    Explain(explain::Explain),
    /// Translate Ingresses of ingress-nginx, and print what is kept of each
    Migrate(migrate::Migrate),
    /// Print the CustomResourceDefinitions
    Crds(crds::Crds),
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nothing to complain about.
    Clean,
    /// An object has an error, or there are differences.
    Errors,
    /// The answer cannot be relied on as a whole.
    Unusable,
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Run(command) => command.run(),
        Command::Dev(command) => command.run(),
        Command::Redirector(command) => command.run(),
        Command::Render(command) => command.run(),
        Command::Validate(command) => command.run(),
        Command::Diff(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Migrate(command) => command.run(),
        Command::Crds(command) => command.run(),
        Command::Completions(command) => command.run(),
    };
    match result {
        Ok(End::Clean) => ExitCode::SUCCESS,
        Ok(End::Errors) => ExitCode::from(1),
        Ok(End::Unusable) => ExitCode::from(2),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The asynchronous runtime, with logging. `log` is the filter unless `RUST_LOG` is set.
fn runtime(log: &str) -> anyhow::Result<tokio::runtime::Runtime> {
    logging(log, Format::of_stderr())?;
    quiet_runtime()
}

fn logging(log: &str, format: Format) -> anyhow::Result<Level> {
    Level::start(log, format).context("cannot start logging")
}

/// The asynchronous runtime, with the one TLS provider set up.
fn quiet_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    // Only an earlier installation makes it fail, and that one serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Translations have threads of their own. Of what else computes nothing takes long, and each thread keeps memory to
    // itself.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.context("cannot start the asynchronous runtime")
}

/// Listens from now on for SIGTERM and Ctrl-C; what it returns ends with the first of them.
///
/// # Errors
/// When the system does not let us listen.
fn interrupted() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The reader of our output went away, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
