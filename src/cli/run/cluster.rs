//! A cluster as the source: three tasks that translate, keep the children, and report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::admission::{Rules, Webhook};
use super::debounce;
use super::engine::{Engine, Translated};
use super::lead::Lead;
use super::progress::Progress;
use super::{TaskEnd, named};
use crate::admission;
use crate::api::{ApiDefinition, TykOasApiDefinition};
use crate::cluster::address::Addresses;
use crate::cluster::events::Events;
use crate::cluster::{self, Scope, Store};
use crate::desired::Installation;
use crate::diagnostic::ObjectRef;
use crate::http::Health;
use crate::ingress::Translation;
use crate::metrics::Stage;
use crate::report::{self, ReportInput, repaired, report_again};
use crate::settings::{self, CrossNamespaceContexts};
use crate::snapshot::{NamespacedName, Snapshot};
use crate::sync::Outcome;

/// First pause after a failed write to Kubernetes; it doubles up to [`RETRY_MOST`].
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// Longest pause between attempts.
const RETRY_MOST: Duration = Duration::from_secs(30);
/// Writes to Kubernetes that are a crowd: what is asked for is served first, and told afterwards.
const CROWD: usize = 100;
/// How long a crowd may wait, for example for a gateway that does not answer.
const CROWD_WAITS: Duration = Duration::from_secs(40);
/// How long what there is to tell of a translation may wait for the end of the round that it has begun. Until then a gateway
/// is at work, maybe on the same machine, and what came of the round is told at the same time.
const REPORT_WAITS: Duration = Duration::from_secs(5);
/// Pause before more Events are written than one report may write.
const EVENTS_PAUSE: Duration = Duration::from_secs(1);
/// How often everything is translated anew, because time has passed.
const CLOCK_INTERVAL: Duration = Duration::from_secs(300);
/// How often health is looked at.
const HEALTH_INTERVAL: Duration = Duration::from_millis(500);

type Latest = watch::Receiver<Option<Arc<Translated>>>;

/// The cluster, and whether it is ours to write to.
pub struct World {
    /// Refuses to change anything while this process does not lead.
    pub client: Client,
    /// A process that does not lead watches and translates, so that it can take over at once.
    pub lead: Lead,
    /// Judges objects before they come in, if it is to.
    pub webhook: Option<Webhook>,
}

/// Starts the tasks.
pub fn spawn(
    tasks: &mut JoinSet<TaskEnd>,
    engine: Engine,
    ended: mpsc::Receiver<Outcome>,
    World { client, lead, webhook }: World,
    controller: &settings::Controller,
    tyk: &settings::Tyk,
    cancel: CancellationToken,
) {
    let scope = Scope {
        namespaces: controller.namespaces(),
        own_secrets_only: controller.cross_namespace_contexts == CrossNamespaceContexts::Deny,
    };
    let store = Store::start(client.clone(), &scope, cancel.clone());
    let (sender, latest) = watch::channel(None);
    if let Some(webhook) = webhook {
        let (options, operator) = engine.settings();
        let rules = Rules {
            store: store.clone(),
            latest: latest.clone(),
            settings: admission::Settings {
                options: options.clone(),
                operator: operator.clone(),
                namespaces: controller.namespaces(),
            },
            health: engine.health().clone(),
        };
        webhook.spawn(tasks, rules, (client.clone(), lead.clone()), cancel.clone());
    }
    let health = engine.health().clone();
    let progress = Progress::default();
    let translate = Translate {
        engine,
        store: store.clone(),
        debounce: controller.debounce,
        latest: sender,
        lead: lead.clone(),
        progress: progress.clone(),
        told: false,
        last: None,
        was_news: false,
    };
    let children = Children {
        lead: lead.clone(),
        client: client.clone(),
        health: health.clone(),
        store: store.clone(),
        owner: tyk.owner.clone(),
        progress: progress.clone(),
        waited: false,
    };
    let fixed = controller.publish_address.iter().cloned().collect();
    let service = controller.publish_service.clone();
    let reporter = Reporter {
        addresses: cluster::address::follow(client.clone(), fixed, service, cancel.clone()),
        owner: tyk.owner.clone(),
        events: Events::new(client.clone(), "tyk-ingress"),
        client,
        store,
        health,
        org: tyk.org.clone(),
        outcomes: BTreeMap::new(),
        repaired: BTreeMap::new(),
        own: tyk.context().tyk,
        lead,
        progress,
        crowd_since: None,
        memo: report::Memo::default(),
    };
    tasks.spawn(named("translate", translate.run(cancel.clone())));
    tasks.spawn(named("children", children.run(latest.clone(), cancel.clone())));
    tasks.spawn(named("report", reporter.run(latest, ended, cancel)));
}

struct Translate {
    engine: Engine,
    store: Arc<Store>,
    debounce: Duration,
    latest: watch::Sender<Option<Arc<Translated>>>,
    lead: Lead,
    progress: Progress,
    /// Whether the workers know what is wanted: from the first translation on after the lead was taken.
    told: bool,
    /// How long the last translation took, and when it ended.
    last: Option<(Duration, Instant)>,
    /// Whether the last translation made something that a Tyk did not know.
    was_news: bool,
}

impl Translate {
    async fn run(mut self, cancel: CancellationToken) -> anyhow::Result<()> {
        let mut changes = self.store.changes();
        changes.mark_changed();
        while self.due(&mut changes, &cancel).await {
            // What becomes due by the clock begins now.
            let since = self.store.take_changed().unwrap_or_else(Instant::now);
            if let Some((_, snapshot)) = self.store.snapshot() {
                let begin = Instant::now();
                let translated = Arc::new(self.engine.translate(snapshot.clone()).await?);
                self.last = Some((begin.elapsed(), Instant::now()));
                if self.lead.is_held() {
                    let (revision, news) = self.engine.hand_over(&translated, since);
                    self.progress.handed_over(revision, &news, &translated.fleet);
                    self.told = true;
                    self.was_news = !news.is_empty();
                }
                self.latest.send_replace(Some(translated.clone()));
                self.engine.tell(snapshot, &translated);
            }
        }
        self.engine.ended().await;
        Ok(())
    }

    /// Pauses between translations, in lengths of one. During a round nothing can be sent, and a gateway may need the
    /// processor. What comes after a translation without news is mostly what was written to the cluster because of it.
    fn pauses(&self) -> u32 {
        match (self.progress.is_settled(), self.was_news) {
            (false, _) => 3,
            (true, true) => 1,
            (true, false) => 10,
        }
    }

    /// Waits until there is something to translate; false when the process is told to end.
    async fn due(&mut self, changes: &mut watch::Receiver<u64>, cancel: &CancellationToken) -> bool {
        let due = async {
            tokio::select! {
                // Until there is a snapshot, its arrival is what is waited for.
                () = self.lead.held(), if !self.told && self.store.snapshot().is_some() => true,
                changed = changes.changed() => {
                    // Changes come in bursts: one translation serves them all. While there are many, most of the time
                    // is left to what is made of them.
                    let rest = self.last.map(|(took, end)| (took * self.pauses()).saturating_sub(end.elapsed()));
                    debounce::gathered(changes, self.debounce.max(rest.unwrap_or_default())).await;
                    changes.mark_unchanged();
                    changed.is_ok()
                }
                () = self.store.outdated() => true,
                // Certificates begin and cease to be valid without any change.
                () = sleep(CLOCK_INTERVAL) => true,
            }
        };
        cancel.run_until_cancelled(due).await.unwrap_or(false)
    }
}

struct Children {
    client: Client,
    health: Arc<Health>,
    store: Arc<Store>,
    owner: String,
    lead: Lead,
    progress: Progress,
    /// Whether the crowd that is there has waited.
    waited: bool,
}

impl Children {
    async fn run(mut self, mut latest: Latest, cancel: CancellationToken) -> anyhow::Result<()> {
        let mut pause = RETRY_FIRST;
        let _ = cancel.run_until_cancelled(self.lead.held()).await;
        latest.mark_changed();
        while let Some(Ok(())) = cancel.run_until_cancelled(latest.changed()).await {
            let Some(translated) = latest.borrow_and_update().clone() else {
                continue;
            };
            let Some((_, snapshot)) = self.store.snapshot() else {
                continue;
            };
            let start = Instant::now();
            let (failed, crowd) = self.apply(&translated.translation, snapshot).await;
            drop(translated);
            if crowd {
                let _ = cancel.run_until_cancelled(self.progress.settled(CROWD_WAITS)).await;
                latest.mark_changed();
            }
            self.waited = crowd;
            self.health.metrics.stage(Stage::Children, start.elapsed());
            if failed.is_empty() {
                pause = RETRY_FIRST;
                continue;
            }
            for (name, error) in &failed {
                tracing::warn!(%name, error, "an object could not be written; it is tried again");
            }
            // A newer translation does not wait for the pause to end.
            let _ = cancel.run_until_cancelled(timeout(pause, latest.changed())).await;
            pause = (pause * 2).min(RETRY_MOST);
            latest.mark_changed();
        }
        Ok(())
    }

    /// Brings children and finalizers in step; the errors by object, and whether the children are a crowd that has to
    /// wait.
    async fn apply(&self, translation: &Translation, snapshot: Arc<Snapshot>) -> (Vec<(NamespacedName, String)>, bool) {
        let Self { client, owner, .. } = self;
        let ours = cluster::children::Ours {
            owner,
            ingresses: &translation.ingresses,
        };
        let held = &translation.held;
        let classic = cluster::children::plan(&snapshot, &translation.children, held, ours);
        let oas = cluster::children::plan(&snapshot, &translation.oas_children, held, ours);
        let crowd = classic.writes() + oas.writes() > CROWD && !self.waited && !self.progress.is_settled();
        let mut failed = cluster::template::protect::<ApiDefinition>(client, &snapshot).await;
        failed.extend(cluster::template::protect::<TykOasApiDefinition>(client, &snapshot).await);
        // Meanwhile others take the place of its objects, and both would be held.
        drop(snapshot);
        if !crowd {
            failed.extend(classic.run::<ApiDefinition>(client).await);
            failed.extend(oas.run::<TykOasApiDefinition>(client).await);
        }
        let snapshot = self.store.known();
        failed.extend(cluster::finalizer::ensure_all(client, &snapshot).await);
        failed.extend(cluster::ingress::release(client, &snapshot, &translation.ending, owner).await);
        (failed, crowd)
    }
}

struct Reporter {
    client: Client,
    store: Arc<Store>,
    events: Events,
    health: Arc<Health>,
    org: String,
    owner: String,
    addresses: watch::Receiver<Addresses>,
    /// How the last round against each Tyk ended.
    outcomes: BTreeMap<Arc<Installation>, Outcome>,
    /// What was put right since the last report.
    repaired: BTreeMap<ObjectRef, String>,
    /// The operator's own Tyk, without which it is not ready.
    own: Arc<Installation>,
    lead: Lead,
    progress: Progress,
    /// Since when a crowd of statuses waits.
    crowd_since: Option<Instant>,
    memo: report::Memo,
}

impl Reporter {
    async fn run(
        mut self,
        mut latest: Latest,
        mut ended: mpsc::Receiver<Outcome>,
        cancel: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(HEALTH_INTERVAL);
        let mut leads = false;
        let (mut due, mut more_events) = (None, None);
        let at = |due: Option<tokio::time::Instant>| sleep_until(due.unwrap_or_else(tokio::time::Instant::now));
        loop {
            tokio::select! {
                () = self.lead.held(), if !leads => leads = true,
                () = cancel.cancelled() => return Ok(()),
                changed = latest.changed() => {
                    changed.context("the translation ended")?;
                    if !self.progress.is_settled() {
                        due.get_or_insert_with(|| tokio::time::Instant::now() + REPORT_WAITS);
                        continue;
                    }
                }
                () = at(due), if due.is_some() => {}
                () = at(more_events), if more_events.is_some() && self.progress.is_settled() => {}
                changed = self.addresses.changed() => changed.context("the watch of the addresses ended")?,
                outcome = ended.recv() => {
                    let outcome = outcome.context("the sync workers ended")?;
                    if let Some(translated) = latest.borrow().as_ref() {
                        self.repaired.extend(repaired(&outcome, &translated.translation));
                    }
                    self.take(outcome);
                }
                _ = tick.tick() => {
                    self.health.set_unready(self.unready());
                    continue;
                }
            }
            (due, more_events) = (None, None);
            let translated = latest.borrow_and_update().clone();
            if let Some(translated) = translated.filter(|_| leads) {
                let start = Instant::now();
                let is_more = self.report(&translated).await;
                more_events = is_more.then(|| tokio::time::Instant::now() + EVENTS_PAUSE);
                self.health.metrics.stage(Stage::Report, start.elapsed());
            }
        }
    }

    fn take(&mut self, outcome: Outcome) {
        self.health.ended(&outcome);
        self.progress.ended(&outcome);
        self.outcomes.insert(outcome.tyk.clone(), outcome);
        self.health.set_unready(self.unready());
    }

    /// A process that does not lead is ready when it could take over.
    fn unready(&self) -> Vec<String> {
        let mut reasons = self.store.waiting();
        if !self.lead.is_held() {
            return reasons;
        }
        match self.outcomes.get(&self.own) {
            None if reasons.is_empty() => reasons.push("the gateway has not been looked at yet".into()),
            None => {}
            Some(outcome) => reasons.extend(outcome.endpoint_error.clone()),
        }
        reasons
    }

    /// Whether what there is to tell is a crowd that has to wait, for the end of the round that is due.
    fn waits(&mut self, writes: usize) -> bool {
        if writes <= CROWD || self.progress.is_settled() {
            self.crowd_since = None;
            return false;
        }
        self.crowd_since.get_or_insert_with(Instant::now).elapsed() < CROWD_WAITS
    }

    /// Writes what there is to tell; whether there may be more Events to write.
    async fn report(&mut self, translated: &Translated) -> bool {
        self.outcomes.retain(|tyk, _| translated.fleet.tyks.contains_key(tyk));
        let Some((_, snapshot)) = self.store.snapshot() else {
            return false;
        };
        let addresses = self.addresses.borrow_and_update().clone();
        let input = ReportInput {
            snapshot: &snapshot,
            translation: &translated.translation,
            fleet: &translated.fleet,
            diagnostics: &translated.diagnostics,
            outcomes: &self.outcomes,
            org: &self.org,
            owner: &self.owner,
            addresses: addresses.as_ref(),
            now: Time(jiff::Timestamp::now()),
        };
        let found = report_again(&input, &mut self.memo);
        for (object, error) in cluster::finalizer::release_named(&self.client, &snapshot, &found.release).await {
            tracing::warn!(%object, error, "the finalizer could not be removed; it is tried again");
        }
        // Each write puts another object into the place of one of these.
        drop(snapshot);
        if self.waits(found.statuses.len() + found.ingresses.len()) {
            return false;
        }
        for (object, error) in cluster::status::write(&self.client, &found.statuses).await {
            tracing::warn!(%object, error, "a status could not be written; it is tried again");
        }
        for (name, error) in cluster::ingress::publish(&self.client, &self.owner, &found.ingresses).await {
            tracing::warn!(%name, error, "the status of an Ingress could not be written; it is tried again");
        }
        let snapshot = self.store.known();
        let repaired = std::mem::take(&mut self.repaired);
        self.events.publish_repaired(&snapshot, &repaired).await;
        self.events.publish(&snapshot, &found.diagnostics, &found.synced).await
    }
}
