//! `tyk-ingress completions`.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, End};

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell to print a script for
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> anyhow::Result<End> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "tyk-ingress", &mut script);
        std::io::stdout().write_all(&script)?;
        Ok(End::Clean)
    }
}
