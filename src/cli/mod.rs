//! From arguments to an exit code: 0 when all is well, 1 when an object has an error, 2 for wrong usage, unreadable
//! input or a failed start.

mod completions;
mod crds;
mod input;
mod output;
mod render;
mod routes;
mod validate;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Ingress controller and operator for the Tyk API gateway.
#[derive(Debug, Parser)]
#[command(name = "tyk-ingress", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print what manifests become: children, Tyk definitions, or a table of routes
    Render(render::Render),
    /// Check manifests and print what is wrong with them
    Validate(validate::Validate),
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
    /// An object has an error.
    Errors,
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Render(command) => command.run(),
        Command::Validate(command) => command.run(),
        Command::Crds(command) => command.run(),
        Command::Completions(command) => command.run(),
    };
    match result {
        Ok(End::Clean) => ExitCode::SUCCESS,
        Ok(End::Errors) => ExitCode::from(1),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The reader of our output went away, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
