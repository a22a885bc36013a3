//! Diagnostics as Events of the objects that they are about.

use std::collections::BTreeSet;
use std::time::Instant;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::runtime::events::Reporter;
use kube::{Api, Client, Error};

use super::{LOG_INTERVAL, message};
use crate::diagnostic::{Code, Diagnostic, ObjectRef};
use crate::snapshot::{NamespacedName, Objects, Snapshot, SnapshotKind};

/// Events of one round; what is over waits for the next.
const PER_ROUND: usize = 50;

/// Longest note in bytes; the API server takes 1024.
const NOTE_MAX: usize = 1000;

/// Publishes each diagnostic once, when it comes up.
///
/// Not by kube's `Recorder`: it joins events of one object and reason for six minutes and keeps the first note, so that
/// the second of two conflicts of an Ingress would never be told.
pub struct Events {
    client: Client,
    reporter: Reporter,
    published: BTreeSet<Occurrence>,
    logged: Option<Instant>,
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
            logged: None,
        }
    }

    /// Publishes those of the present diagnostics that were not there the last time, at most 50 of them. Diagnostics
    /// about objects that the snapshot does not hold are left out. Failures are logged, never returned.
    pub async fn publish(&mut self, snapshot: &Snapshot, diagnostics: &[Diagnostic]) {
        for (diagnostic, object) in news(&mut self.published, snapshot, diagnostics) {
            let uid = object.uid.clone().unwrap_or_default();
            let event = self.event(&diagnostic, object);
            let namespace = event.metadata.namespace.clone().unwrap_or_default();
            let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
            let result = api.create(&PostParams::default(), &event).await;
            if let Err(error) = &result {
                self.log(&diagnostic, error);
            }
            match result {
                // Refused for good, for example in a namespace that is being deleted.
                Err(Error::Api(status)) if (400..429).contains(&status.code) => {}
                Err(_) => break,
                Ok(_) => {}
            }
            self.published.insert((diagnostic, uid));
        }
    }

    fn event(&self, diagnostic: &Diagnostic, object: ObjectReference) -> Event {
        let now = Timestamp::now();
        let instance = self.reporter.instance.as_ref().unwrap_or(&self.reporter.controller);
        let namespace = object.namespace.clone().unwrap_or_else(|| "default".to_owned());
        Event {
            metadata: ObjectMeta {
                name: Some(event_name(&diagnostic.object.name, now)),
                namespace: Some(namespace),
                ..ObjectMeta::default()
            },
            type_: Some("Warning".to_owned()),
            reason: Some(diagnostic.code.to_string()),
            action: Some(action(diagnostic.code).to_owned()),
            note: Some(note(diagnostic)),
            regarding: Some(object),
            event_time: Some(MicroTime(now)),
            reporting_controller: Some(self.reporter.controller.clone()),
            reporting_instance: Some(cut(instance, 128).to_owned()),
            ..Event::default()
        }
    }

    fn log(&mut self, diagnostic: &Diagnostic, error: &Error) {
        if self.logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            tracing::warn!(object = %diagnostic.object, error = message(error), "cannot publish an event");
            self.logged = Some(Instant::now());
        }
    }
}

/// Forgets what is over, and says what is new, each with the object that it is about.
fn news(
    published: &mut BTreeSet<Occurrence>,
    snapshot: &Snapshot,
    diagnostics: &[Diagnostic],
) -> Vec<(Diagnostic, ObjectReference)> {
    let present = diagnostics.iter().filter_map(|diagnostic| {
        let object = reference(snapshot, &diagnostic.object)?;
        let uid = object.uid.clone().unwrap_or_default();
        Some(((diagnostic.clone(), uid), object))
    });
    let present: Vec<(Occurrence, ObjectReference)> = present.collect();
    let now: BTreeSet<&Occurrence> = present.iter().map(|(occurrence, _)| occurrence).collect();
    published.retain(|occurrence| now.contains(occurrence));
    let mut seen = BTreeSet::new();
    let new = present
        .iter()
        .filter(|(occurrence, _)| !published.contains(occurrence) && seen.insert(occurrence));
    new.take(PER_ROUND)
        .map(|((diagnostic, _), object)| (diagnostic.clone(), object.clone()))
        .collect()
}

/// The object as an event names it; `None` when the snapshot does not hold it.
fn reference(snapshot: &Snapshot, object: &ObjectRef) -> Option<ObjectReference> {
    match object.kind {
        "Ingress" => find(&snapshot.ingresses, object),
        "IngressClass" => find(&snapshot.ingress_classes, object),
        "Service" => find(&snapshot.services, object),
        "ApiDefinition" => find(&snapshot.api_definitions, object),
        "TykOasApiDefinition" => find(&snapshot.tyk_oas_api_definitions, object),
        "OperatorContext" => find(&snapshot.operator_contexts, object),
        _ => None,
    }
}

fn find<K: SnapshotKind>(objects: &Objects<K>, object: &ObjectRef) -> Option<ObjectReference> {
    let name = NamespacedName::new(&object.namespace, &object.name);
    let meta = objects.get(&name)?.meta();
    Some(ObjectReference {
        api_version: Some(K::API_VERSION.to_owned()),
        kind: Some(K::KIND.to_owned()),
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

fn note(diagnostic: &Diagnostic) -> String {
    let fix = diagnostic.code.fix();
    let text = match diagnostic.field.as_str() {
        "" => format!("{} {fix}", sentence(&diagnostic.message)),
        field => format!("{field}: {} {fix}", sentence(&diagnostic.message)),
    };
    cut(&text, NOTE_MAX).to_owned()
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use k8s_openapi::api::networking::v1::Ingress;
    use serde_json::json;

    use super::*;

    fn snapshot(uid: &str) -> Snapshot {
        let ingress = json!({"metadata": {"namespace": "ns", "name": "web", "uid": uid}});
        let mut snapshot = Snapshot::default();
        snapshot.insert(serde_json::from_value::<Ingress>(ingress).unwrap());
        snapshot
    }

    fn diagnostic(index: usize) -> Diagnostic {
        let object = ObjectRef::new("Ingress", "ns", "web");
        Diagnostic::new(Code::Conflict, object, format!("spec.rules[{index}]"), "taken")
    }

    #[test]
    fn a_round_is_bounded_and_the_next_one_goes_on() {
        let mut diagnostics: Vec<_> = (0..70).map(diagnostic).collect();
        diagnostics.push(diagnostic(0));
        let mut published = BTreeSet::new();
        for wanted in [50, 20, 0] {
            let news = news(&mut published, &snapshot("u"), &diagnostics);
            assert_eq!(news.len(), wanted);
            published.extend(news.into_iter().map(|(diagnostic, _)| (diagnostic, "u".to_owned())));
        }
        assert_eq!(
            news(&mut published, &snapshot("later"), &diagnostics[..3]).len(),
            3,
            "of a new object"
        );
        assert!(published.is_empty());
    }

    #[test]
    fn notes_and_names_fit() {
        let mut long = diagnostic(0);
        long.message = "ü".repeat(900);
        assert!(note(&long).len() <= NOTE_MAX && note(&long).starts_with("spec.rules[0]: ü"));
        let name = event_name(&"a".repeat(253), Timestamp::MAX);
        assert!(name.len() <= 253 && name.contains("a."), "{name}");
    }
}
