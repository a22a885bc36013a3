//! `tyk-ingress dev`: manifests in, answers out, with no cluster and no Tyk.

mod echo;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::input::{Input, World};
use super::{End, files, output, runtime};
use crate::desired::Desired;
use crate::inspect::routes::{self, Route};
use crate::sync::{ApiOutcome, Outcome, Worker};
use crate::tyk::{Endpoint, gateway::Gateway};
use crate::{http, settings, sim};
use echo::Echoes;

/// Arguments of `dev`.
#[derive(Debug, Args)]
pub struct Dev {
    #[command(flatten)]
    input: Input,
    /// Address of the simulated gateway
    #[arg(long, default_value = "127.0.0.1:9080")]
    listen: SocketAddr,
    /// Where a real gateway takes traffic, when not at --tyk-url
    #[arg(long, value_name = "URL")]
    ingress_url: Option<String>,
    #[command(flatten)]
    ingress: settings::Ingress,
    #[command(flatten)]
    tyk: settings::Tyk,
}

/// The simulated gateway answers a change faster than a real one, whose reloads are a second apart.
const RELOAD_INTERVAL: Duration = Duration::from_millis(50);
/// How often the gateway is looked at for drift.
const RESYNC_INTERVAL: Duration = Duration::from_secs(5);
/// How long to wait, when ending, until a real gateway has nothing of ours any more.
const CLEAN_UP_LIMIT: Duration = Duration::from_secs(10);
/// What may not stand in the path of a `curl` command in single quotes.
const UNSAFE_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'\'')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'#')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'[')
    .add(b']')
    .add(b'^')
    .add(b'|')
    .add(b'\\');

impl Dev {
    pub(super) fn run(self) -> anyhow::Result<End> {
        runtime("warn")?.block_on(self.serve())
    }

    async fn serve(mut self) -> anyhow::Result<End> {
        let (endpoint, ingress_url, simulator) = self.gateway().await?;
        let cancel = CancellationToken::new();
        let redirector = self.redirector(cancel.clone()).await?;
        let (desired, wanted) = watch::channel(None);
        let (outcomes, mut ended) = mpsc::channel(16);
        let gateway = Gateway::new(endpoint)?;
        let worker = Worker::new(gateway, self.tyk.owner.clone(), RESYNC_INTERVAL, wanted, outcomes);
        let running = worker.spawn(cancel.clone());

        let echoes = Echoes::new(&self.ingress.cluster_domain);
        let mut session = Session {
            dev: &self,
            ingress_url,
            desired,
            echoes,
            revision: 0,
            changed: Instant::now(),
            shown: 0,
        };
        let result = session.follow(&mut ended).await;
        if simulator.is_none() {
            session.clean_up(&mut ended).await;
        }
        cancel.cancel();
        running.await.context("the sync worker failed")?;
        if let Some(redirector) = redirector {
            redirector.await.context("the redirect responder failed")??;
        }
        result.map(|()| End::Clean)
    }

    /// Starts the redirect responder, unless the user has one.
    async fn redirector(
        &mut self,
        cancel: CancellationToken,
    ) -> anyhow::Result<Option<JoinHandle<std::io::Result<()>>>> {
        if self.ingress.redirector_url.is_some() {
            return Ok(None);
        }
        let listener = http::bind((Ipv4Addr::LOCALHOST, 0).into())
            .await
            .context("cannot start the redirect responder")?;
        self.ingress.redirector_url = Some(format!("http://{}", listener.local_addr()?));
        Ok(Some(tokio::spawn(http::redirector::serve(
            listener,
            self.ingress.https_ingress_port,
            cancel,
        ))))
    }

    /// The gateway to use: the simulator, unless a URL is given.
    async fn gateway(&self) -> anyhow::Result<(Endpoint, String, Option<sim::Gateway>)> {
        if self.tyk.url.is_some() {
            let endpoint = self.tyk.endpoint()?;
            let ingress_url = self.ingress_url.clone().unwrap_or_else(|| endpoint.url.clone());
            return Ok((endpoint, ingress_url.trim_end_matches('/').to_owned(), None));
        }
        let secret = self
            .tyk
            .secret()?
            .map_or("tyk-ingress-dev", |secret| secret.expose())
            .to_owned();
        let config = sim::Config {
            listen: self.listen,
            secret: secret.clone(),
            reload_interval: RELOAD_INTERVAL,
            ..Default::default()
        };
        let simulator = sim::Gateway::start(config)
            .await
            .context("cannot start the simulated gateway; try another --listen")?;
        Ok((
            Endpoint::new(simulator.url(), secret),
            simulator.ingress_url(),
            Some(simulator),
        ))
    }
}

/// One run of `dev`.
struct Session<'a> {
    dev: &'a Dev,
    ingress_url: String,
    desired: watch::Sender<Option<(u64, Arc<Desired>)>>,
    echoes: Echoes,
    revision: u64,
    /// When the present state of the files was seen.
    changed: Instant,
    /// The last revision whose outcome was printed.
    shown: u64,
}

impl Session<'_> {
    /// Follows the files until interrupted.
    async fn follow(&mut self, ended: &mut mpsc::Receiver<Outcome>) -> anyhow::Result<()> {
        let mut seen = files::fingerprint(&self.dev.input.filename);
        let world = World::read(&self.dev.input, &self.dev.ingress, &self.dev.tyk.context())?;
        self.show(world).await?;
        let mut tick = tokio::time::interval(files::INTERVAL);
        let mut interrupted = std::pin::pin!(super::interrupted()?);
        loop {
            tokio::select! {
                () = &mut interrupted => return Ok(()),
                Some(outcome) = ended.recv() => self.report(&outcome)?,
                _ = tick.tick() => {
                    let now = files::fingerprint(&self.dev.input.filename);
                    if now != seen {
                        seen = now;
                        self.reread().await?;
                    }
                }
            }
        }
    }

    async fn reread(&mut self) -> anyhow::Result<()> {
        self.changed = Instant::now();
        match World::read(&self.dev.input, &self.dev.ingress, &self.dev.tyk.context()) {
            Ok(world) => self.show(world).await,
            Err(error) => Ok(writeln!(
                std::io::stdout(),
                "\nthe files changed, but the gateway stays as it was:\n{error}"
            )?),
        }
    }

    /// Prints the routes and hands the state to the worker.
    async fn show(&mut self, world: World) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        let gateway = match self.dev.tyk.url {
            None => "simulated Tyk gateway",
            Some(_) => "Tyk gateway",
        };
        writeln!(out, "\n{gateway} at {}\n", self.ingress_url)?;
        output::diagnostics(&mut out, &world.diagnostics, &world.loaded.locations)?;
        let routes = routes::of(&world.desired, &world.translation);
        if !world.diagnostics.is_empty() {
            writeln!(out)?;
        }
        let redirector = self.dev.ingress.redirector_url.as_deref();
        let rows: Vec<_> = routes
            .iter()
            .map(|route| row(route, &self.ingress_url, redirector))
            .collect();
        output::table(
            &mut out,
            &["HOST", "PATH", "MATCHING", "SCHEME", "TARGET", "TRY"],
            &rows,
        )?;
        if rows.is_empty() {
            writeln!(
                out,
                "no routes: is an Ingress of class {:?} in the files?",
                self.dev.ingress.ingress_class
            )?;
        }
        drop(out);
        let mut desired = Desired::clone(&world.desired);
        self.echoes.stand_in(&mut desired).await?;
        self.revision += 1;
        self.desired.send_replace(Some((self.revision, Arc::new(desired))));
        Ok(())
    }

    /// Prints how the gateway took the last change, once, and every failure.
    fn report(&mut self, outcome: &Outcome) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        let failed = outcome.apis.iter().filter_map(|(id, api)| match api {
            ApiOutcome::Failed(message) => Some(format!("{id}: {message}")),
            ApiOutcome::Synced | ApiOutcome::Gone => None,
        });
        let problems: Vec<_> = outcome.endpoint_error.iter().cloned().chain(failed).collect();
        for problem in &problems {
            writeln!(out, "error: {problem}")?;
        }
        if problems.is_empty() && outcome.revision > self.shown && outcome.revision == self.revision {
            self.shown = outcome.revision;
            let apis = outcome.apis.values().filter(|api| **api == ApiOutcome::Synced).count();
            let took = self.changed.elapsed().as_secs_f64();
            writeln!(
                out,
                "\nin step: {apis} APIs served {took:.2} s after the change. Edit the files, or press Ctrl-C to end."
            )?;
        }
        Ok(())
    }

    /// Takes what this run made off a gateway that goes on without us.
    async fn clean_up(&mut self, ended: &mut mpsc::Receiver<Outcome>) {
        self.revision += 1;
        self.desired.send_replace(Some((self.revision, Arc::default())));
        let removed = async {
            while let Some(outcome) = ended.recv().await {
                if outcome.revision == self.revision && outcome.endpoint_error.is_none() && outcome.calls.deletes > 0 {
                    return;
                }
            }
        };
        if tokio::time::timeout(CLEAN_UP_LIMIT, removed).await.is_err() {
            tracing::warn!("APIs with the mark {:?} may be left on the gateway", self.dev.tyk.owner);
        }
    }
}

fn row(route: &Route, ingress_url: &str, redirector: Option<&str>) -> Vec<String> {
    let Route {
        host,
        path,
        matching,
        target,
        ..
    } = route.clone();
    let target = match redirector == Some(target.as_str()) {
        true => "redirect to https".into(),
        false => target.trim_start_matches("http://").to_owned(),
    };
    vec![host, path, matching, route.scheme(), target, curl(route, ingress_url)]
}

/// A command that reaches a route.
fn curl(route: &Route, ingress_url: &str) -> String {
    let url = match route.port {
        0 => ingress_url.to_owned(),
        port => with_port(ingress_url, port),
    };
    let path = utf8_percent_encode(&route.path, UNSAFE_IN_PATH);
    let host = route.host.replacen('*', "any", 1);
    match (route.secure, route.host.as_str()) {
        (false, "*") => format!("curl '{url}{path}'"),
        (false, _) => format!("curl -H 'Host: {host}' '{url}{path}'"),
        (true, "*") => format!("curl -k '{}{path}'", url.replacen("http:", "https:", 1)),
        (true, _) => {
            let authority = url.split_once("://").map_or(url.as_str(), |(_, authority)| authority);
            let (address, port) = authority.rsplit_once(':').unwrap_or((authority, "443"));
            format!("curl -k --resolve '{host}:{port}:{address}' 'https://{host}:{port}{path}'")
        }
    }
}

fn with_port(url: &str, port: u64) -> String {
    match url.rsplit_once(':') {
        Some((start, old)) if old.bytes().all(|b| b.is_ascii_digit()) => format!("{start}:{port}"),
        _ => format!("{url}:{port}"),
    }
}
