//! Diagnostics, and what begins to be served, as Events of the objects that they are about.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::runtime::events::Reporter;
use kube::{Api, Client, Error, Resource};

use super::{Told, message};
use crate::diagnostic::{Code, Diagnostic, ObjectRef};
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind, Stored};

/// Events of one round; what is over waits for the next.
const PER_ROUND: usize = 50;

/// Objects of which it waits to be told that they are served. Of a larger crowd only so many are told: conditions and
/// metrics say the same, and an event costs the API server as much as an object.
const SYNCED_WAITING: usize = 500;

/// Repairs that are told of those that one report knows. A gateway that lost everything is told by the metrics.
const REPAIRS_TOLD: usize = 10;

/// Longest note in bytes; the API server takes 1024.
const NOTE_MAX: usize = 1000;

/// Places that a note names of those that it has no room to tell of.
const FIELDS_NAMED: usize = 5;

/// Publishes each diagnostic once, when it comes up: those of one object and code that come up together as one event.
///
/// Not by kube's `Recorder`: it joins events of one object and reason for six minutes and keeps the first note, so that
/// the second of two conflicts of an Ingress would never be told.
pub struct Events {
    client: Client,
    reporter: Reporter,
    published: BTreeSet<Occurrence>,
    synced: Synced,
    logged: Told,
}

/// A diagnostic about one life of its object.
type Occurrence = (Diagnostic, String);

impl Events {
    /// `reporter` is the name of the controller in the events.
    pub fn new(client: Client, reporter: &str) -> Self {
        Self {
            client,
            reporter: Reporter::from(reporter),
            published: BTreeSet::new(),
            synced: Synced::default(),
            logged: Told::default(),
        }
    }

    /// Publishes those of the present diagnostics that were not there the last time, and a `Synced` for each object that
    /// is served now and was not, at most 50 events; the rest waits for the next time, of what is served 500 at most. Objects
    /// that the snapshot does not hold are left out. Says whether there may be a rest. Failures are logged, never returned.
    pub async fn publish(
        &mut self,
        snapshot: &Snapshot,
        diagnostics: &[Diagnostic],
        synced: &BTreeMap<ObjectRef, String>,
    ) -> bool {
        let news = news(&mut self.published, snapshot, diagnostics);
        let left = PER_ROUND - news.len();
        for group in news {
            let text = Text::of(&group.diagnostics);
            if !self.create(&group.object, &text).await {
                return true;
            }
            let uid = group.object.uid.clone().unwrap_or_default();
            let told = group
                .diagnostics
                .into_iter()
                .map(|diagnostic| (diagnostic, uid.clone()));
            self.published.extend(told);
        }
        self.synced.take(snapshot, synced);
        for _ in 0..left {
            let Some((key, note)) = self.synced.pending.first_key_value() else {
                return false;
            };
            let (key, text) = (key.clone(), Text::normal("Synced", note));
            let object = reference(snapshot, &key.0).filter(|object| object.uid.as_ref() == Some(&key.1));
            if let Some(object) = object
                && !self.create(&object, &text).await
            {
                return true;
            }
            self.synced.pending.remove(&key);
        }
        left == 0 || !self.synced.pending.is_empty()
    }

    /// Publishes a `Repaired` for the first ten of these. Failures are logged, never returned.
    pub async fn publish_repaired(&mut self, snapshot: &Snapshot, repaired: &BTreeMap<ObjectRef, String>) {
        for (object, note) in repaired.iter().take(REPAIRS_TOLD) {
            if let Some(object) = reference(snapshot, object)
                && !self.create(&object, &Text::normal("Repaired", note)).await
            {
                return;
            }
        }
    }

    /// Whether it was settled, be it that the API server refused it for good.
    async fn create(&mut self, object: &ObjectReference, text: &Text) -> bool {
        let event = self.event(object.clone(), text);
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let Err(error) = api.create(&PostParams::default(), &event).await else {
            return true;
        };
        self.log(object, &error);
        // For example in a namespace that is being deleted.
        matches!(error, Error::Api(status) if (400..429).contains(&status.code))
    }

    fn event(&self, object: ObjectReference, text: &Text) -> Event {
        let now = Timestamp::now();
        let instance = self.reporter.instance.as_ref().unwrap_or(&self.reporter.controller);
        let namespace = object.namespace.clone().unwrap_or_else(|| "default".to_owned());
        Event {
            metadata: ObjectMeta {
                name: Some(event_name(object.name.as_deref().unwrap_or_default(), now)),
                namespace: Some(namespace),
                ..ObjectMeta::default()
            },
            type_: Some(text.type_.to_owned()),
            reason: Some(text.reason.to_owned()),
            action: Some(text.action.to_owned()),
            note: Some(text.note.clone()),
            regarding: Some(object),
            event_time: Some(MicroTime(now)),
            reporting_controller: Some(self.reporter.controller.clone()),
            reporting_instance: Some(cut(instance, 128).to_owned()),
            ..Event::default()
        }
    }

    fn log(&mut self, object: &ObjectReference, error: &Error) {
        if self.logged.is_due() {
            let (kind, name) = (object.kind.as_deref(), object.name.as_deref());
            tracing::warn!(kind, name, error = message(error), "cannot publish an event");
        }
    }
}

/// What an event says.
struct Text {
    type_: &'static str,
    reason: &'static str,
    action: &'static str,
    note: String,
}

impl Text {
    /// Of diagnostics of one code.
    fn of(diagnostics: &[Diagnostic]) -> Self {
        let code = diagnostics[0].code;
        Self {
            type_: "Warning",
            reason: code.as_str(),
            action: action(code),
            note: note(diagnostics),
        }
    }

    fn normal(reason: &'static str, note: &str) -> Self {
        Self {
            type_: "Normal",
            reason,
            action: "Sync",
            note: cut(note, NOTE_MAX).to_owned(),
        }
    }
}

/// New diagnostics of one object and one code.
struct Group {
    object: ObjectReference,
    diagnostics: Vec<Diagnostic>,
}

/// Forgets what is over, and says what is new, each with the object that it is about.
fn news(published: &mut BTreeSet<Occurrence>, snapshot: &Snapshot, diagnostics: &[Diagnostic]) -> Vec<Group> {
    let present = diagnostics.iter().filter_map(|diagnostic| {
        let object = reference(snapshot, &diagnostic.object)?;
        let uid = object.uid.clone().unwrap_or_default();
        Some(((diagnostic.clone(), uid), object))
    });
    let present: BTreeMap<Occurrence, ObjectReference> = present.collect();
    published.retain(|occurrence| present.contains_key(occurrence));
    let mut groups: BTreeMap<_, Group> = BTreeMap::new();
    for ((diagnostic, uid), object) in present {
        let occurrence = (diagnostic, uid);
        if published.contains(&occurrence) {
            continue;
        }
        let (diagnostic, _) = occurrence;
        let group = groups.entry((diagnostic.object.clone(), diagnostic.code));
        let new = || Group {
            object,
            diagnostics: Vec::new(),
        };
        group.or_insert_with(new).diagnostics.push(diagnostic);
    }
    groups.into_values().take(PER_ROUND).collect()
}

/// One life of an object.
type Life = (ObjectRef, String);

/// What is served now and was not.
#[derive(Default)]
struct Synced {
    /// Objects that the report calls news, so that the same news twice is one event.
    known: BTreeSet<Life>,
    /// Notes that there was no room for in a round.
    pending: BTreeMap<Life, String>,
}

impl Synced {
    fn take(&mut self, snapshot: &Snapshot, synced: &BTreeMap<ObjectRef, String>) {
        let present = synced.iter().filter_map(|(object, note)| {
            let uid = reference(snapshot, object)?.uid.unwrap_or_default();
            Some(((object.clone(), uid), note.clone()))
        });
        let present: BTreeMap<_, _> = present.collect();
        self.known.retain(|life| present.contains_key(life));
        for (life, note) in present {
            if self.known.insert(life.clone()) && self.pending.len() < SYNCED_WAITING {
                self.pending.insert(life, note);
            }
        }
    }
}

/// The object as an event names it; `None` when the snapshot does not hold it.
fn reference(snapshot: &Snapshot, object: &ObjectRef) -> Option<ObjectReference> {
    match object.kind {
        "Ingress" => find(&snapshot.ingresses, object),
        "IngressClass" => find(&snapshot.ingress_classes, object),
        "Secret" => find(&snapshot.tls_secrets, object),
        "Service" => find(&snapshot.services, object),
        "ApiDefinition" => find(&snapshot.api_definitions, object),
        "TykOasApiDefinition" => find(&snapshot.tyk_oas_api_definitions, object),
        "TykStreamsApiDefinition" => find(&snapshot.tyk_streams_api_definitions, object),
        "TykMcpProxyDefinition" => find(&snapshot.tyk_mcp_proxy_definitions, object),
        "SecurityPolicy" => find(&snapshot.security_policies, object),
        "SubGraph" => find(&snapshot.sub_graphs, object),
        "SuperGraph" => find(&snapshot.super_graphs, object),
        "OperatorContext" => find(&snapshot.operator_contexts, object),
        "APIDescription" => find(&snapshot.api_descriptions, object),
        "PortalAPICatalogue" => find(&snapshot.portal_api_catalogues, object),
        "PortalConfig" => find(&snapshot.portal_configs, object),
        _ => None,
    }
}

fn find<S>(objects: &BTreeMap<NamespacedName, S>, object: &ObjectRef) -> Option<ObjectReference>
where
    S: Stored<Object: SnapshotKind>,
{
    let name = NamespacedName::new(&object.namespace, &object.name);
    let found = objects.get(&name)?.whole();
    let meta = found.meta();
    Some(ObjectReference {
        api_version: Some(S::Object::API_VERSION.to_owned()),
        kind: Some(S::Object::KIND.to_owned()),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        ..ObjectReference::default()
    })
}

/// What was being done when it came up.
fn action(code: Code) -> &'static str {
    match code {
        Code::SyncFailed => "Sync",
        _ => "Translate",
    }
}

/// The first of the diagnostics in full, and where the others are.
fn note(diagnostics: &[Diagnostic]) -> String {
    let (first, others) = (&diagnostics[0], &diagnostics[1..]);
    let mut text = match first.field.as_str() {
        "" => sentence(&first.message),
        field => format!("{field}: {}", sentence(&first.message)),
    };
    if !others.is_empty() {
        let fields: BTreeSet<_> = others.iter().map(|other| other.field.as_str()).collect();
        let elsewhere = |field: &&str| !field.is_empty() && *field != first.field;
        let named: Vec<_> = fields.into_iter().filter(elsewhere).take(FIELDS_NAMED).collect();
        let places = match named.as_slice() {
            [] => String::new(),
            named if named.len() < others.len() => format!(": {}, …", named.join(", ")),
            named => format!(": {}", named.join(", ")),
        };
        text.push_str(&format!(" (And {} more{places}.)", others.len()));
    }
    cut(&format!("{text} {}", first.code.fix()), NOTE_MAX).to_owned()
}

fn sentence(text: &str) -> String {
    match text.ends_with(['.', '!', '?']) {
        true => text.to_owned(),
        false => format!("{text}."),
    }
}

/// Unique, and in the form that other controllers give it: the object's name and a time.
fn event_name(object: &str, now: Timestamp) -> String {
    let time = format!(".{:x}", now.as_nanosecond());
    format!("{}{time}", cut(object, 253 - time.len()).trim_end_matches(['.', '-']))
}

/// At most `max` bytes of the beginning, whole characters.
fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests;
