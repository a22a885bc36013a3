//! `tyk-ingress run`: the controller.

mod cluster;
mod engine;
mod manifests;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{End, logging, quiet_runtime};
use crate::http::{self, Access, Health};
use crate::log::{Format, Level};
use crate::metrics::Metrics;
use crate::settings::{self, CrossNamespaceContexts};
use crate::sync::{Outcome, Workers};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Read manifests from this directory instead of a cluster; may be repeated
    #[arg(long, value_name = "PATH")]
    manifests: Vec<PathBuf>,
    #[command(flatten)]
    controller: settings::Controller,
    /// How log lines are written; text for a terminal and json for anything else, unless given
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<Format>,
    #[command(flatten)]
    ingress: settings::Ingress,
    #[command(flatten)]
    tyk: settings::Tyk,
}

/// How long the running batch and the last status writes may take when the controller is told to end.
const STOP_LIMIT: Duration = Duration::from_secs(25);

impl Run {
    pub(super) fn run(self) -> anyhow::Result<End> {
        let level = logging("info,kube=warn", self.log_format.unwrap_or_else(Format::of_stderr))?;
        quiet_runtime()?.block_on(self.serve(level))
    }

    async fn serve(self, level: Level) -> anyhow::Result<End> {
        self.tyk.endpoint()?;
        let context = self.tyk.context();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            gateway = context.tyk.authority(),
            "starting"
        );
        let health = Health::new(Metrics::new()?);
        let address = self.controller.listen;
        let listener = http::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address} (--listen)"))?;
        let cancel = CancellationToken::new();
        let (outcomes, ended) = mpsc::channel::<Outcome>(16);
        let resync = self.controller.resync_interval;
        let workers = Workers::new(self.tyk.owner.clone(), resync, outcomes, cancel.clone());
        let mut operator = self.tyk.operator();
        operator.cross_namespace = self.controller.cross_namespace_contexts == CrossNamespaceContexts::Allow;
        let engine = engine::Engine::new(self.ingress.options(&self.tyk.owner), operator, workers, health.clone());

        // Every task runs until `cancel`; one that ends before ends the process, so that it is started anew as a whole.
        let mut tasks = JoinSet::new();
        let access = Access::new(self.controller.metrics_token.clone());
        tasks.spawn(named(
            "http",
            http::serve(listener, health.clone(), access, cancel.clone()),
        ));
        let access = Access::new(self.controller.debug_token.clone());
        if let Some(listener) = http::debug::bind(self.controller.debug_listen.0, &access).await {
            let served = http::debug::serve(listener, health, (access, level), cancel.clone());
            tasks.spawn(named("debug", served));
        }
        if self.manifests.is_empty() {
            cluster::spawn(&mut tasks, engine, ended, &self.controller, &self.tyk, cancel.clone()).await?;
        } else {
            let follow = manifests::follow(self.manifests.clone(), engine, ended, cancel.clone());
            tasks.spawn(named("manifests", follow));
        }
        let result = tokio::select! {
            signal = super::interrupted() => signal,
            Some(ended) = tasks.join_next() => Err(early(ended)),
        };
        tracing::info!("ending");
        cancel.cancel();
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_LIMIT, all).await.is_err() {
            tracing::warn!("ended before everything was finished");
        }
        result.map(|()| End::Clean)
    }
}

/// How a task ended, and its name.
type TaskEnd = (&'static str, anyhow::Result<()>);

async fn named<E: Into<anyhow::Error>>(name: &'static str, task: impl Future<Output = Result<(), E>>) -> TaskEnd {
    (name, task.await.map_err(Into::into))
}

fn early(ended: Result<TaskEnd, tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok((name, Ok(()))) => anyhow::anyhow!("the task {name} ended by itself"),
        Ok((name, Err(error))) => error.context(format!("the task {name} failed")),
        Err(error) => anyhow::anyhow!(error).context("a task failed"),
    }
}
