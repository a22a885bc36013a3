//! `tyk-ingress diff`: what `run` would change, without changing it.

mod print;
mod report;
mod shown;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::input::{Input, World, of_cluster};
use super::{End, output, runtime};
use crate::diagnostic::any_error;
use crate::settings::{self, CrossNamespaceContexts};
use crate::snapshot::Loaded;
use crate::sync::{client, endpoint, preview::preview};
use report::Report;

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// Manifest file, directory (read whole), or - for standard input; may be repeated; without it the cluster is read
    #[arg(short = 'f', long = "filename", value_name = "PATH")]
    filename: Vec<PathBuf>,
    /// Namespace of the cluster to read; may be repeated; all without it
    #[arg(short, long, value_name = "NAME", conflicts_with = "filename")]
    namespace: Vec<String>,
    /// How to print the differences
    #[arg(short, long, value_enum, default_value = "human")]
    output: Output,
    /// Whether to colour the text; NO_COLOR switches it off as well
    #[arg(long, value_enum, default_value = "auto")]
    color: Color,
    /// Whether an OperatorContext without `spec.allowedNamespaces` serves resources of other namespaces
    #[arg(long, value_enum, default_value = "allow")]
    cross_namespace_contexts: CrossNamespaceContexts,
    #[command(flatten)]
    ingress: settings::Ingress,
    #[command(flatten)]
    tyk: settings::Tyk,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// Text for people
    Human,
    /// One JSON object
    Json,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    /// When the output is a terminal
    Auto,
    /// In every case
    Always,
    /// In no case
    Never,
}

impl Diff {
    pub(super) fn run(self) -> anyhow::Result<End> {
        self.tyk.endpoint()?;
        runtime("warn")?.block_on(self.compare())
    }

    async fn compare(self) -> anyhow::Result<End> {
        let world = self.world().await?;
        let owner = &self.tyk.owner;
        let mut reports = Vec::new();
        for (tyk, desired) in &world.fleet.tyks {
            let client = client(tyk, endpoint(tyk)).with_context(|| format!("cannot use {tyk}"))?;
            let found = preview(&client, desired, owner).await?;
            reports.push(Report::of(tyk, desired, &found));
        }
        let found = &world.diagnostics;
        let mut out = std::io::stdout().lock();
        match self.output {
            Output::Human => {
                output::diagnostics(&mut std::io::stderr(), found, &world.loaded.locations)?;
                print::human(&mut out, &reports, self.colours())?;
            }
            Output::Json => {
                let text = serde_json::to_string_pretty(&report::json(&reports, found))?;
                writeln!(out, "{text}")?;
            }
        }
        let refused = reports.iter().any(Report::is_refused);
        let differs = reports.iter().any(Report::differs);
        Ok(match differs {
            _ if refused || any_error(found) => End::Unusable,
            true => End::Errors,
            false => End::Clean,
        })
    }

    /// Runs what `run` runs, over the same objects.
    async fn world(&self) -> anyhow::Result<World> {
        let loaded = match self.filename.is_empty() {
            true => Loaded {
                snapshot: Arc::unwrap_or_clone(of_cluster(&self.namespace).await?),
                ..Loaded::default()
            },
            false => Input {
                filename: self.filename.clone(),
            }
            .load()?,
        };
        let mut operator = self.tyk.operator();
        operator.cross_namespace = self.cross_namespace_contexts == CrossNamespaceContexts::Allow;
        Ok(World::under(loaded, &self.ingress.options(&self.tyk.owner), operator))
    }

    fn colours(&self) -> bool {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        match self.color {
            Color::Auto => wanted && std::io::stdout().is_terminal(),
            Color::Always => true,
            Color::Never => false,
        }
    }
}
