//! The world as the watches see it.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::IngressClass;
use kube::Client;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::watcher::Event;
use tokio::sync::watch::{Receiver, Sender};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::LOG_INTERVAL;
use super::named::{self, Named};
use super::watch::{self, Arrival};
use crate::api::{
    APIDescription, ApiDefinition, OperatorContext, PortalAPICatalogue, PortalConfig, SecurityPolicy, SubGraph,
    SuperGraph, TykMcpProxyDefinition, TykOasApiDefinition, TykStreamsApiDefinition,
};
use crate::snapshot::{NamespacedName, Objects, Snapshot, SnapshotKind, Stored, same_metadata};

/// What is watched.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Namespaces whose objects are seen; `None` for all of them, which needs cluster-wide permissions.
    pub namespaces: Option<Vec<String>>,
    /// Reads no Secret that a resource of another namespace names, but for TLS Secrets, which are never named so.
    pub own_secrets_only: bool,
}

/// A kind whose changes are told apart: those that a translation looks at, and the rest.
pub(super) trait Watched: SnapshotKind {
    /// Whether a translation sees no difference between the two. Status, resourceVersion and managedFields do not count.
    fn same(&self, other: &Self) -> bool;

    /// Takes off what nobody reads of this kind.
    fn slim(&mut self) {
        self.meta_mut().managed_fields = None;
    }

    /// Whether a translation of this world looks at the object. A change of any other one is taken in without a word.
    fn is_used(&self, _world: &Snapshot) -> bool {
        true
    }
}

macro_rules! watched {
    ($($kind:ident)*) => {
        $(impl Watched for $kind {
            fn same(&self, other: &Self) -> bool {
                self.spec == other.spec && same_metadata(&self.metadata, &other.metadata)
            }
        })*
    };
}

watched! {
    IngressClass Service ApiDefinition OperatorContext TykOasApiDefinition TykStreamsApiDefinition TykMcpProxyDefinition
    SecurityPolicy SubGraph SuperGraph APIDescription PortalAPICatalogue PortalConfig
}

impl Watched for ConfigMap {
    fn same(&self, other: &Self) -> bool {
        self.data == other.data && self.binary_data == other.binary_data
    }
}

/// Number of objects that are worth a translation to let go of them when no more are replaced.
const OUTDATED: usize = 500;
/// How long no further object may be replaced before that.
const OUTDATED_QUIET: Duration = Duration::from_secs(2);
/// Number of objects that are worth one at once.
const OUTDATED_MOST: usize = 2000;

/// Kinds whose objects name ConfigMaps and Secrets.
const NAMING: [&str; 4] = [
    OperatorContext::KIND,
    TykOasApiDefinition::KIND,
    TykStreamsApiDefinition::KIND,
    TykMcpProxyDefinition::KIND,
];

/// Kinds whose CustomResourceDefinition may be missing.
const OPTIONAL: [&str; 10] = [
    OperatorContext::KIND,
    TykOasApiDefinition::KIND,
    TykStreamsApiDefinition::KIND,
    TykMcpProxyDefinition::KIND,
    SecurityPolicy::KIND,
    SubGraph::KIND,
    SuperGraph::KIND,
    APIDescription::KIND,
    PortalAPICatalogue::KIND,
    PortalConfig::KIND,
];

/// One watch: a kind, a namespace or all, and a name or all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WatchId {
    /// Kind of the objects.
    pub kind: &'static str,
    /// Namespace of the objects, `None` for all.
    pub namespace: Option<String>,
    /// Name of the one object, `None` for all.
    pub name: Option<String>,
}

impl WatchId {
    /// Whether it is there only because an object names what it is for.
    fn is_for_named(&self) -> bool {
        self.kind == ConfigMap::KIND || self.name.is_some()
    }

    /// Whether this failure costs only the objects that need the watch, and not the whole world. Objects of a kind that
    /// the API server does not know do not exist; any other failure of their watch may hide some.
    fn can_do_without(&self, failure: &Failure) -> bool {
        self.is_for_named() || (failure.unknown_kind && OPTIONAL.contains(&self.kind))
    }

    /// Whether the watch says what there is of this object.
    fn covers(&self, name: &NamespacedName) -> bool {
        let fits = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        fits(&self.namespace, &name.namespace) && fits(&self.name, &name.name)
    }
}

/// Why a watch does not deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// What to tell whoever runs the operator.
    pub message: String,
    /// Whether the API server does not know the kind: its CustomResourceDefinition is not installed.
    pub unknown_kind: bool,
}

impl std::fmt::Display for WatchId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        match &self.namespace {
            None => Ok(()),
            Some(namespace) => write!(f, " in {namespace}"),
        }
    }
}

#[derive(Debug, Default)]
struct WatchState {
    synced: bool,
    error: Option<String>,
    /// The first snapshot goes without it, and so do all others until it delivers.
    given_up: bool,
    logged: Option<Instant>,
}

impl WatchState {
    /// Whether the first snapshot waits for it.
    fn is_awaited(&self) -> bool {
        !self.synced && !self.given_up
    }
}

#[derive(Debug, Default)]
struct State {
    /// Shared with the readers; the first change after a read copies the maps (not the objects).
    snapshot: Arc<Snapshot>,
    watches: BTreeMap<WatchId, WatchState>,
    scope: Scope,
    /// Objects that are watched, or are about to be, because others name them.
    named: Named,
}

/// Every object that the watches have seen and that still exists.
#[derive(Debug)]
pub struct Store {
    state: Mutex<State>,
    revision: Sender<u64>,
    /// Objects that were replaced since a translation began, and of which it sees no difference.
    unseen: Sender<usize>,
    /// When the oldest change came that no translation has taken in.
    changed: Mutex<Option<Instant>>,
}

impl Store {
    /// Starts the watches. They end with `cancel` and never before.
    ///
    /// # Panics
    /// When called outside a tokio runtime.
    pub fn start(client: Client, scope: &Scope, cancel: CancellationToken) -> Arc<Self> {
        let store = Arc::new(Self::new());
        store.state().scope = scope.clone();
        watch::start_all(&store, &client, scope, &cancel);
        tokio::spawn(named::follow(Arc::clone(&store), client, cancel));
        store
    }

    fn new() -> Self {
        Self {
            state: Mutex::default(),
            revision: Sender::new(0),
            unseen: Sender::new(0),
            changed: Mutex::default(),
        }
    }

    /// The world now and its revision; `None` until every watch has delivered its first list, since a part of the
    /// world would be taken for the whole and the rest for deleted.
    pub fn snapshot(&self) -> Option<(u64, Arc<Snapshot>)> {
        let state = self.state();
        let synced = !state.watches.values().any(WatchState::is_awaited);
        synced.then(|| (*self.revision.borrow(), Arc::clone(&state.snapshot)))
    }

    /// The objects that are known, even while what one of them names is not there yet: for those to whom that is all the same.
    pub fn known(&self) -> Arc<Snapshot> {
        Arc::clone(&self.state().snapshot)
    }

    /// The revision. It rises when something changes that a translation looks at, and when the first snapshot is there.
    pub fn changes(&self) -> Receiver<u64> {
        self.revision.subscribe()
    }

    /// Ends when many objects were replaced without a difference that a translation sees, as by their statuses, and no
    /// more are, or very many: until the next translation those of the last one are held as well.
    pub async fn outdated(&self) {
        let mut unseen = self.unseen.subscribe();
        while let Ok(number) = unseen
            .wait_for(|number| *number >= OUTDATED)
            .await
            .map(|number| *number)
        {
            if number >= OUTDATED_MOST || timeout(OUTDATED_QUIET, unseen.changed()).await.is_err() {
                return;
            }
        }
    }

    /// When the oldest change came that was not asked for here before. To be called before the snapshot is taken that has
    /// the change in it.
    pub fn take_changed(&self) -> Option<Instant> {
        self.unseen.send_replace(0);
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Tells of a change. Under the lock of the state, so that no reader sees the new world under the old number.
    fn raise(&self) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.get_or_insert_with(Instant::now);
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// The watches that have not delivered their first list, each with its last error.
    pub fn waiting(&self) -> Vec<String> {
        let state = self.state();
        let waiting = state.watches.iter().filter(|(_, watch)| watch.is_awaited());
        waiting
            .map(|(id, watch)| match &watch.error {
                None => id.to_string(),
                Some(error) => format!("{id}: {error}"),
            })
            .collect()
    }

    /// A watch that the first snapshot waits for.
    pub(super) fn expect(&self, id: &WatchId) {
        self.state().watches.entry(id.clone()).or_default();
    }

    /// Takes in what a watch delivers.
    pub(super) fn handle<K: Watched>(&self, id: &WatchId, shadow: &mut Shadow<K>, event: Event<Arrival<K>>) {
        let mut state = self.state();
        if state.has_ended(id) {
            return;
        }
        let is_apply = matches!(event, Event::Apply(_));
        let changed = match event {
            Event::Init => {
                shadow.0.clear();
                false
            }
            Event::InitApply(Ok(object)) => {
                let object = slim(object);
                let name = NamespacedName::among(&shadow.0, object.meta());
                let stored = K::Form::of(Arc::new(object), &name);
                shadow.0.insert(name, stored);
                false
            }
            Event::InitApply(Err(invalid)) => {
                // Not seen as deleted: what was good once stays in force.
                let name = skipped(id, &invalid);
                let last_good = K::objects(Arc::make_mut(&mut state.snapshot)).get(&name).cloned();
                shadow.0.extend(last_good.map(|object| (name, object)));
                false
            }
            Event::InitDone => state.swap(id, mem::take(shadow)),
            Event::Apply(Ok(object)) => state.put(slim(object)),
            Event::Apply(Err(invalid)) => {
                skipped(id, &invalid);
                false
            }
            Event::Delete(Ok(object)) => state.remove::<K>(&NamespacedName::of(object.meta())),
            Event::Delete(Err(invalid)) => state.remove::<K>(&NamespacedName::of(&invalid.metadata)),
        };
        if changed && NAMING.contains(&K::KIND) {
            state.refer();
        }
        match changed {
            true => self.raise(),
            false if is_apply => self.unseen.send_modify(|number| *number += 1),
            false => {}
        }
    }

    /// Keeps the error of a watch, which goes on by itself.
    pub(super) fn failed(&self, id: &WatchId, failure: &Failure) {
        let error = failure.message.as_str();
        let mut state = self.state();
        if state.has_ended(id) {
            return;
        }
        let watch = state.watches.entry(id.clone()).or_default();
        let due = match watch.synced {
            // What keeps the first list away is in `waiting` all the time, so it is said once.
            false => watch.error.as_deref() != Some(error),
            true => watch.logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL),
        };
        if due {
            tracing::warn!(watch = %id, error, "cannot watch; retrying");
            watch.logged = Some(Instant::now());
        }
        watch.error = Some(error.to_owned());
        if watch.is_awaited() && id.can_do_without(failure) {
            watch.given_up = true;
            self.raise();
        }
    }

    /// The objects that are watched because others name them.
    pub(super) fn named(&self) -> Named {
        self.state().named.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether nothing names any more what the watch is for; its last events may still be on their way.
    fn has_ended(&self, id: &WatchId) -> bool {
        id.is_for_named() && !self.named.contains_key(id)
    }

    /// Takes in which objects are named now. The snapshot waits for those that are new: without its document an API
    /// would be reported as broken.
    fn refer(&mut self) {
        let wanted = named::named(&self.snapshot, &self.scope);
        let before = mem::replace(&mut self.named, wanted);
        for id in before.keys().filter(|id| !self.named.contains_key(*id)) {
            self.watches.remove(id);
        }
        for (id, names) in &self.named {
            if before.get(id).is_none_or(|before| !names.is_subset(before)) {
                self.watches.insert(id.clone(), WatchState::default());
            }
        }
        named::retain(Arc::make_mut(&mut self.snapshot), &self.named);
    }

    fn put<K: Watched>(&mut self, object: K) -> bool {
        let object = Arc::new(object);
        let before = Arc::make_mut(&mut self.snapshot).keep(Arc::clone(&object));
        before.is_none_or(|before| !before.whole().same(&object)) && object.is_used(&self.snapshot)
    }

    fn remove<K: Watched>(&mut self, name: &NamespacedName) -> bool {
        let before = Arc::make_mut(&mut self.snapshot).remove::<K>(name);
        before.is_some_and(|before| before.whole().is_used(&self.snapshot))
    }

    /// Replaces all that the watch is responsible for by a complete list.
    fn swap<K: Watched>(&mut self, id: &WatchId, Shadow(list): Shadow<K>) -> bool {
        let objects = K::objects(Arc::make_mut(&mut self.snapshot));
        let (before, others): (Objects<K>, Objects<K>) =
            mem::take(objects).into_iter().partition(|(name, _)| id.covers(name));
        let same = before.len() == list.len()
            && before.iter().all(|(name, object)| {
                list.get(name)
                    .is_some_and(|new| new.is(object) || new.whole().same(&object.whole()))
            });
        *objects = others;
        objects.extend(list);
        let watch = self.watches.entry(id.clone()).or_default();
        if watch.error.take().is_some() || !watch.synced {
            tracing::info!(watch = %id, "in sync");
        }
        watch.logged = None;
        !mem::replace(&mut watch.synced, true) || !same
    }
}

/// A list that has begun and not ended.
#[derive(Debug)]
pub(super) struct Shadow<K: SnapshotKind>(Objects<K>);

impl<K: SnapshotKind> Default for Shadow<K> {
    fn default() -> Self {
        Self(Objects::<K>::new())
    }
}

/// Takes off what nobody reads and what is often the larger part of an object.
fn slim<K: Watched>(mut object: K) -> K {
    object.slim();
    let meta = object.meta_mut();
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(LAST_APPLIED);
        if annotations.is_empty() {
            meta.annotations = None;
        }
    }
    // A copy has no room to grow, and lies beside what was taken off rather than between.
    object.clone()
}

/// Where kubectl keeps the whole object a second time.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn skipped(id: &WatchId, invalid: &InvalidObject) -> NamespacedName {
    let name = NamespacedName::of(&invalid.metadata);
    let error = without_values(&invalid.error);
    tracing::warn!(watch = %id, object = %name, error, "cannot read the object; what was read of it before stays");
    name
}

/// The part of a decoding error that quotes nothing of the object, which can hold secrets.
fn without_values(error: &str) -> String {
    match error.rsplit_once(". Expected ") {
        Some((_, expected)) => format!("a field has the wrong form, expected {expected}"),
        None if error.starts_with("Missing field") => error.to_owned(),
        None => "a field has the wrong form".to_owned(),
    }
}

#[cfg(test)]
mod tests;
