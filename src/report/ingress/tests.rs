#![allow(clippy::unwrap_used)]
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use crate::desired::{self, Desired, Fleet, Operator};
use crate::diagnostic::ObjectRef;
use crate::ingress::{self, Options, Translation};
use crate::packed::Packed;
use crate::report::tests::{in_step, reported};
use crate::report::{Address, Memo, Report, ReportInput};
use crate::snapshot::{NamespacedName, Snapshot, Stored};
use crate::sync::{ApiOutcome, Outcome};

/// A world with the Ingress `ns/web` of two paths, and a gateway at 192.0.2.80.
struct World {
    snapshot: Snapshot,
    translation: Translation,
    fleet: Fleet,
    desired: Desired,
    outcome: Outcome,
    addresses: Option<BTreeSet<Address>>,
    memo: RefCell<Memo>,
}

/// Addresses that stand in the status, and the manager who wrote them.
fn published(addresses: &[&str], manager: &str) -> Value {
    let list: Vec<_> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
    json!({"status": list, "manager": manager})
}

impl World {
    fn new(class: &str, before: &Value) -> Self {
        let path = |path: &str| {
            let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
            json!({"path": path, "pathType": "Prefix", "backend": backend})
        };
        let ingress: Ingress = serde_json::from_value(json!({
            "metadata": {"namespace": "ns", "name": "web", "uid": "u",
                "managedFields": [{"manager": before["manager"], "subresource": "status"}]},
            "spec": {"ingressClassName": class, "rules": [
                {"host": "a.test", "http": {"paths": [path("/a"), path("/b")]}}]},
            "status": {"loadBalancer": {"ingress": before["status"]}},
        }))
        .unwrap();
        let mut snapshot = Snapshot::default();
        snapshot.insert(ingress);
        let translation = ingress::render(&snapshot, &Options::default());
        let operator = Operator::new(desired::Context::default());
        let (fleet, _) = desired::build_all(&snapshot, &translation, &operator);
        let desired = Desired::clone(fleet.tyks.values().next().unwrap());
        Self {
            snapshot,
            translation,
            fleet,
            desired,
            outcome: Outcome::default(),
            addresses: Some(BTreeSet::from([Address::parse("192.0.2.80").unwrap()])),
            memo: RefCell::default(),
        }
    }

    /// What the gateway says of the two APIs, one letter each: `s`ynced, `f`ailed, `u`nreachable, nothing.
    fn answered(mut self, answers: &str) -> Self {
        let ids: Vec<_> = self.desired.apis.keys().cloned().collect();
        let outcome = |answer: char| match answer {
            's' => Some(ApiOutcome::Synced),
            'f' => Some(ApiOutcome::Failed("400".into())),
            'u' => Some(ApiOutcome::Failed("no answer".into())),
            _ => None,
        };
        let answered = ids.into_iter().zip(answers.chars());
        let answered: BTreeMap<_, _> = answered
            .filter_map(|(id, answer)| Some((id, outcome(answer)?)))
            .collect();
        self.outcome.apis = answered.into();
        self.outcome.endpoint_error = answers.contains('u').then(|| "no answer".to_owned());
        self
    }

    fn report(&self) -> Report {
        let (fleet, outcomes) = in_step(&self.fleet, &self.desired, &self.outcome);
        let input = ReportInput {
            snapshot: &self.snapshot,
            translation: &self.translation,
            fleet: &fleet,
            diagnostics: &[],
            outcomes: &outcomes,
            org: "",
            owner: "tyk-ingress",
            addresses: self.addresses.as_ref(),
            now: Time(Timestamp::UNIX_EPOCH),
        };
        reported(&input, &self.memo)
    }

    /// The children are in the cluster as well.
    fn with_children(mut self) -> Self {
        for child in self.translation.children.values() {
            self.snapshot.insert(child.definition());
        }
        self
    }

    /// Whether it is said that the Ingress is served.
    fn is_news(&self) -> bool {
        let ingress = ObjectRef::new("Ingress", "ns", "web");
        self.report().synced.contains_key(&ingress)
    }

    /// The addresses that are to be written, `None` when nothing is.
    fn written(&self) -> Option<Vec<String>> {
        let report = self.report();
        let status = report.ingresses.get(&NamespacedName::new("ns", "web"))?;
        Some(status.addresses.iter().flat_map(|one| one.ip.clone()).collect())
    }
}

#[test]
fn an_address_needs_a_served_path_and_none_on_its_way() {
    let none = published(&[], "");
    let some = || Some(vec!["192.0.2.80".to_owned()]);
    for (answers, wanted) in [
        ("ss", some()),
        ("sf", some()),
        ("ff", None),
        ("s ", None),
        ("  ", None),
        ("su", None),
    ] {
        let world = World::new("tyk", &none).answered(answers);
        assert_eq!(world.written(), wanted, "{answers:?}");
        assert!(!world.is_news(), "{answers:?}: children that nobody has made yet");
        assert_eq!(world.with_children().is_news(), answers == "ss", "{answers:?}");
    }
    let mut unknown = World::new("tyk", &none).answered("ss");
    unknown.addresses = None;
    assert_eq!(unknown.written(), None);
}

#[test]
fn an_ingress_is_told_when_the_last_of_its_children_is() {
    let mut world = World::new("tyk", &published(&[], "")).answered("ss").with_children();
    let statuses: Vec<_> = world.report().statuses.into_iter().collect();
    let [first, second] = statuses.as_slice() else {
        panic!("{statuses:?}")
    };
    let mut write = |(object, status): &(ObjectRef, Packed)| {
        let name = NamespacedName::new(&object.namespace, &object.name);
        let mut child = world.snapshot.api_definitions[&name].whole().as_ref().clone();
        child.status = Some(status.clone());
        world.snapshot.insert(child);
        world.is_news()
    };
    assert!(write(first));
    assert!(!write(second), "it was told already");
}

#[test]
fn only_what_differs_and_what_is_ours_is_written() {
    let (ours, other) = ("tyk-ingress-status", "nginx");
    let gone = || Some(Vec::new());
    let new = || Some(vec!["192.0.2.80".to_owned()]);
    for (class, before, answers, wanted) in [
        ("tyk", published(&["192.0.2.80"], ours), "ss", None),
        ("tyk", published(&["192.0.2.1"], ours), "ss", new()),
        ("tyk", published(&["192.0.2.1"], other), "ss", new()),
        // While the gateway does not answer, or does not take an edit, what was confirmed stays.
        ("tyk", published(&["192.0.2.80"], ours), "uu", None),
        ("tyk", published(&["192.0.2.80"], ours), "ff", None),
        ("nginx", published(&["192.0.2.80"], ours), "  ", gone()),
        ("nginx", published(&["192.0.2.80"], other), "  ", None),
        ("nginx", published(&["192.0.2.80"], "west-status"), "  ", None),
    ] {
        let world = World::new(class, &before).answered(answers);
        assert_eq!(world.written(), wanted, "{class} {before} {answers:?}");
    }
    let mut without = World::new("tyk", &published(&["192.0.2.80"], ours)).answered("ss");
    without.addresses = Some(BTreeSet::new());
    assert_eq!(without.written(), gone());
}

#[test]
fn an_ingress_without_a_path_to_serve_has_no_address() {
    let mut world = World::new("tyk", &published(&["192.0.2.80"], "tyk-ingress-status"));
    world.translation.children = BTreeMap::new();
    assert_eq!(world.written(), Some(Vec::new()));
    world.outcome.endpoint_error = Some("no answer".into());
    assert_eq!(world.written(), None);
}
