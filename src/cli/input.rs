//! Manifests named on the command line.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use crate::desired::{self, Desired, Operator};
use crate::diagnostic::Diagnostic;
use crate::ingress::{self, Translation};
use crate::nginx;
use crate::settings;
use crate::snapshot::{LoadError, Loaded, Loader};

/// Files and directories to read.
#[derive(Clone, Debug, Args)]
pub struct Input {
    /// Manifest file, directory (read whole), or - for standard input; may be repeated
    #[arg(short = 'f', long = "filename", required = true, value_name = "PATH")]
    pub filename: Vec<PathBuf>,
}

impl Input {
    /// Reads everything.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        let mut loader = Loader::default();
        for path in &self.filename {
            if path.as_os_str() == "-" {
                let mut text = String::new();
                let read = std::io::stdin().read_to_string(&mut text);
                read.map_err(|reason| LoadError::Read {
                    path: "<stdin>".into(),
                    reason,
                })?;
                loader.text("<stdin>", &text)?;
            } else {
                loader.path(path)?;
            }
        }
        Ok(loader.finish())
    }
}

/// Manifests and all that is made of them.
pub struct World {
    /// As read.
    pub loaded: Loaded,
    /// Children of the Ingresses.
    pub translation: Translation,
    /// What the gateway should hold.
    pub desired: Desired,
    /// Findings of every stage, sorted.
    pub diagnostics: Vec<Diagnostic>,
}

impl World {
    /// Runs the pure stages over manifests. Where no URL tells one Tyk from another, every context stands for the same.
    pub fn of(loaded: Loaded, options: &ingress::Options, context: &desired::Context) -> World {
        let (snapshot, not_kept) = nginx::prepared(&loaded.snapshot, options);
        let translation = ingress::render(&snapshot, options);
        let mut operator = Operator::new(context.at(Timestamp::now()));
        operator.only_own = context.tyk.url.is_empty();
        let (fleet, found) = desired::build_all(&snapshot, &translation, &operator);
        let desired = fleet
            .tyks
            .get(&context.tyk)
            .map(|desired| Desired::clone(desired))
            .unwrap_or_default();
        let mut diagnostics = loaded.diagnostics.clone();
        diagnostics.extend(not_kept);
        diagnostics.extend(translation.diagnostics.iter().cloned());
        diagnostics.extend(found);
        diagnostics.sort();
        World {
            loaded,
            translation,
            desired,
            diagnostics,
        }
    }

    /// Reads manifests and runs the pure stages over them.
    pub fn read(input: &Input, ingress: &settings::Ingress, tyk: &desired::Context) -> Result<World, LoadError> {
        Ok(World::of(input.load()?, &ingress.options(&tyk.owner), tyk))
    }
}
