//! Manifests named on the command line.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::cluster::{self, Scope, Store};
use crate::desired::{self, Desired, Fleet, Operator};
use crate::diagnostic::Diagnostic;
use crate::ingress::{self, Translation};
use crate::settings;
use crate::snapshot::{LoadError, Loaded, Loader, Snapshot, manifest_files};
use crate::stages;

/// How long a cluster may take to tell what it holds.
const CLUSTER_LIMIT: Duration = Duration::from_secs(60);

/// Files and directories to read.
#[derive(Clone, Debug, Args)]
pub struct Input {
    /// Manifest file, directory (read whole), or - for standard input; may be repeated
    #[arg(short = 'f', long = "filename", required = true, num_args = 1.., value_name = "PATH")]
    pub filename: Vec<PathBuf>,
}

/// The text of one file.
pub struct Text {
    /// Path as the user gave it, or `<stdin>`.
    pub file: String,
    /// All of it.
    pub text: String,
}

impl Input {
    /// Reads every file.
    pub fn texts(&self) -> Result<Vec<Text>, LoadError> {
        let mut texts = Vec::new();
        for path in &self.filename {
            if path.as_os_str() == "-" {
                let file = "<stdin>".to_owned();
                let text = std::io::read_to_string(std::io::stdin());
                texts.push(read(file, text)?);
                continue;
            }
            for path in manifest_files(path)? {
                texts.push(read(path.display().to_string(), std::fs::read_to_string(&path))?);
            }
        }
        Ok(texts)
    }

    /// Reads everything.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        load(&self.texts()?)
    }
}

fn read(file: String, text: std::io::Result<String>) -> Result<Text, LoadError> {
    match text {
        Ok(text) => Ok(Text { file, text }),
        Err(reason) => Err(LoadError::Read { path: file, reason }),
    }
}

/// The objects of texts.
pub fn load(texts: &[Text]) -> Result<Loaded, LoadError> {
    let mut loader = Loader::default();
    for Text { file, text } in texts {
        loader.text(file, text)?;
    }
    Ok(loader.finish())
}

/// What a cluster holds.
pub async fn of_cluster(namespaces: &[String]) -> anyhow::Result<Arc<Snapshot>> {
    let client = cluster::connect()
        .await
        .context("no way to reach a cluster; give manifests by -f")?;
    let cancel = CancellationToken::new();
    let _ends = cancel.clone().drop_guard();
    let scope = Scope {
        namespaces: (!namespaces.is_empty()).then(|| namespaces.to_vec()),
        ..Scope::default()
    };
    let store = Store::start(client, &scope, cancel);
    let mut changes = store.changes();
    let read = async {
        loop {
            if let Some((_, snapshot)) = store.snapshot() {
                return Ok(snapshot);
            }
            changes.changed().await.context("the cluster cannot be watched")?;
        }
    };
    tokio::time::timeout(CLUSTER_LIMIT, read)
        .await
        .context("the cluster did not tell all that it holds within a minute")?
}

/// Manifests and all that is made of them.
pub struct World {
    /// As read.
    pub loaded: Loaded,
    /// Children of the Ingresses.
    pub translation: Translation,
    /// What the gateway should hold.
    pub desired: Arc<Desired>,
    /// What every Tyk should hold.
    pub fleet: Fleet,
    /// Findings of every stage, sorted.
    pub diagnostics: Vec<Diagnostic>,
}

impl World {
    /// Runs the pure stages over manifests. Where no URL tells one Tyk from another, every context stands for the same.
    pub fn of(loaded: Loaded, options: &ingress::Options, context: &desired::Context) -> World {
        let mut operator = Operator::new(context.clone());
        operator.only_own = context.tyk.url.is_empty();
        World::under(loaded, options, operator)
    }

    /// Runs the pure stages over manifests as they are at this moment.
    pub fn under(loaded: Loaded, options: &ingress::Options, mut operator: Operator) -> World {
        operator.own = operator.own.at(Timestamp::now());
        let made = stages::run(&loaded.snapshot, options, &operator);
        let mut diagnostics = made.diagnostics;
        diagnostics.extend(loaded.diagnostics.iter().cloned());
        diagnostics.sort();
        World {
            desired: made.fleet.tyks.get(&operator.own.tyk).cloned().unwrap_or_default(),
            translation: made.translation,
            fleet: made.fleet,
            loaded,
            diagnostics,
        }
    }

    /// Reads manifests and runs the pure stages over them.
    pub fn read(input: &Input, ingress: &settings::Ingress, tyk: &desired::Context) -> Result<World, LoadError> {
        Ok(World::of(input.load()?, &ingress.options(&tyk.owner), tyk))
    }
}
