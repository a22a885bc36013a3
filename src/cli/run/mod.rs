//! `tyk-ingress run`: the controller.

mod admission;
mod cluster;
mod debounce;
mod engine;
mod lead;
mod manifests;
mod progress;
mod rendered;

use std::path::PathBuf;
use std::sync::Arc;
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
use crate::permit::Permit;
use crate::settings::{self, CrossNamespaceContexts};
use crate::sync::{Finder, Outcome, Workers};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Read manifests from this directory instead of a cluster; may be repeated
    #[arg(long, value_name = "PATH")]
    manifests: Vec<PathBuf>,
    #[command(flatten)]
    controller: settings::Controller,
    /// How log lines are written; text for a terminal and json for anything else, unless given
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Controller")]
    log_format: Option<Format>,
    #[command(flatten)]
    ingress: settings::Ingress,
    #[command(flatten)]
    tyk: settings::Tyk,
}

/// How long the running batch and the last status writes may take when the controller is told to end.
const STOP_LIMIT: Duration = Duration::from_secs(25);

/// How long giving the lease up may take.
const RELEASE_LIMIT: Duration = Duration::from_secs(3);

const NO_CLUSTER: &str = "no way to reach a cluster (kubeconfig or service account)";

impl Run {
    pub(super) fn run(self) -> anyhow::Result<End> {
        let level = logging("info,kube=warn", self.log_format.unwrap_or_else(Format::of_stderr))?;
        quiet_runtime()?.block_on(self.serve(level))
    }

    async fn serve(self, level: Level) -> anyhow::Result<End> {
        let interrupted = super::interrupted()?;
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
        let permit = match self.manifests.is_empty() && self.controller.election.leader_elect {
            true => Permit::none_yet(),
            false => Permit::always(),
        };
        let workers = Workers::new(self.tyk.owner.clone(), resync, outcomes, permit.clone(), cancel.clone());
        anyhow::ensure!(
            self.manifests.is_empty() || self.tyk.gateway_service.clone().flatten().is_none(),
            "--tyk-gateway-service (TYK_GATEWAY_SERVICE) needs a cluster, and --manifests works without one: take a TYK_URL \
             whose host has the addresses of all gateways"
        );
        anyhow::ensure!(
            self.manifests.is_empty() || self.controller.admission.admission_listen.0.is_none(),
            "--admission-listen needs a cluster, and --manifests works without one: leave one of them out"
        );
        let client = match self.manifests.is_empty() {
            true => Some(
                crate::cluster::connect_guarded(permit.clone())
                    .await
                    .context(NO_CLUSTER)?,
            ),
            false => None,
        };
        let workers = match client.clone() {
            Some(client) => workers.finding(finder(client)),
            None => workers,
        };
        let mut operator = self.tyk.operator();
        operator.cross_namespace = self.controller.cross_namespace_contexts == CrossNamespaceContexts::Allow;
        let explaining = operator.clone();
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
            let explain = super::explain::in_controller(self.ingress.options(&self.tyk.owner), explaining);
            let served = http::debug::serve(listener, health, (access, level, explain), cancel.clone());
            tasks.spawn(named("debug", served));
        }
        let mut candidate = None;
        if let Some(client) = client {
            let unguarded = crate::cluster::connect().await.context(NO_CLUSTER)?;
            let namespace = lead::namespace(&self.controller.election, &unguarded);
            let webhook = admission::Webhook::bind(&self.controller.admission, &namespace).await?;
            let (stands, lead) = lead::stand(unguarded, &self.controller.election, &self.tyk.owner, permit)?;
            candidate = Some(stands);
            let world = cluster::World { client, lead, webhook };
            cluster::spawn(
                &mut tasks,
                engine,
                ended,
                world,
                &self.controller,
                &self.tyk,
                cancel.clone(),
            );
        } else {
            let follow = manifests::follow(self.manifests.clone(), engine, ended, cancel.clone());
            tasks.spawn(named("manifests", follow));
        }
        let result = tokio::select! {
            () = interrupted => Ok(()),
            Some(ended) = tasks.join_next() => Err(early(ended)),
            error = lost(&mut candidate) => {
                // Whoever holds the lease now works: nothing here may end in a write.
                return Err(error);
            }
        };
        tracing::info!("ending");
        cancel.cancel();
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_LIMIT, all).await.is_err() {
            tracing::warn!("ended before everything was finished");
            // A write may be under way: the lease ends by itself, later.
        } else if let Some(candidate) = candidate {
            let _ = tokio::time::timeout(RELEASE_LIMIT, candidate.release()).await;
        }
        result.map(|()| End::Clean)
    }
}

/// Follows the Services whose endpoints are gateways.
fn finder(client: kube::Client) -> Finder {
    Arc::new(move |of, cancel| {
        crate::cluster::gateways::follow(client.clone(), of.service.clone(), of.port.clone(), cancel)
    })
}

async fn lost(candidate: &mut Option<lead::Candidate>) -> anyhow::Error {
    match candidate {
        Some(candidate) => candidate.lost().await,
        None => std::future::pending().await,
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
