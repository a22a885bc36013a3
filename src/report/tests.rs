#![allow(clippy::unwrap_used)]
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::{Memo, Report, ReportInput, report, report_again};
use crate::api::{ApiDefinition, ApiDefinitionStatus, names};
use crate::desired::{Api, Desired, Fleet, Installation, Place};
use crate::diagnostic::{Code, Diagnostic, ObjectRef};
use crate::ingress::Translation;
use crate::packed::Packed;
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind, Stored};
use crate::sync::{ApiOutcome, Outcome};

const ID: &str = "id-a";

/// A world with one hand-written definition, `ns/a`, as the round knew it.
pub(super) struct World {
    pub(super) snapshot: Snapshot,
    desired: Desired,
    diagnostics: Vec<Diagnostic>,
    outcome: Outcome,
    /// No round has ended since the start.
    unasked: bool,
    /// Who uses `ns/a`.
    links: Value,
    memo: RefCell<Memo>,
}

pub(super) fn definition(name: &str, metadata: Value, spec: Value) -> ApiDefinition {
    let mut object = json!({"metadata": {"namespace": "ns", "name": name, "generation": 1}, "spec": {"api_id": ID}});
    for (section, more) in [("metadata", metadata), ("spec", spec)] {
        object[section]
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
    }
    serde_json::from_value(object).unwrap()
}

pub(super) fn key(name: &str) -> NamespacedName {
    NamespacedName::new("ns", name)
}

fn api(name: &str, generation: i64) -> Api {
    let source = ObjectRef::new("ApiDefinition", "ns", name);
    Api {
        source,
        generation,
        payload: json!({"org_id": "own-org"}).into(),
    }
}

/// A definition as reports name it.
pub(super) fn object(name: &str) -> ObjectRef {
    ObjectRef::new("ApiDefinition", "ns", name)
}

fn typed(status: &Packed) -> ApiDefinitionStatus {
    serde_json::from_value(status.value()).unwrap()
}

/// A fleet of one Tyk, to which these objects go under the id of this test, and how its round ended.
fn one_tyk(
    desired: &Desired,
    outcome: &Outcome,
    objects: Vec<ObjectRef>,
) -> (Fleet, BTreeMap<Arc<Installation>, Outcome>) {
    let place = |object| {
        let (tyk, id) = (Arc::default(), ID.into());
        (object, Place { tyk, id })
    };
    let fleet = Fleet {
        places: objects.into_iter().map(place).collect(),
        ..Fleet::default()
    };
    in_step(&fleet, desired, outcome)
}

/// The fleet with one Tyk that should hold this, and a round that worked on it and ended so.
pub(super) fn in_step(
    fleet: &Fleet,
    desired: &Desired,
    outcome: &Outcome,
) -> (Fleet, BTreeMap<Arc<Installation>, Outcome>) {
    let desired = Arc::new(desired.clone());
    let fleet = Fleet {
        tyks: BTreeMap::from([(Arc::default(), desired.clone())]),
        ..fleet.clone()
    };
    let outcome = Outcome {
        desired,
        ..outcome.clone()
    };
    (fleet, BTreeMap::from([(Arc::default(), outcome)]))
}

/// A report, whatever is remembered.
pub(super) fn reported(input: &ReportInput<'_>, memo: &RefCell<Memo>) -> Report {
    let report = report(input);
    for _ in 0..2 {
        assert_eq!(report_again(input, &mut memo.borrow_mut()), report);
    }
    report
}

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).unwrap())
}

impl World {
    pub(super) fn of(definition: ApiDefinition) -> Self {
        let mut snapshot = Snapshot::default();
        let leaving = definition.is_inactive() || definition.metadata.deletion_timestamp.is_some();
        let mut desired = Desired::default();
        if leaving {
            desired.removals.insert(ID.into());
        } else if !definition.is_template() {
            desired.apis.insert(ID.into(), api("a", 1));
        }
        snapshot.insert(definition);
        Self {
            snapshot,
            desired,
            diagnostics: Vec::new(),
            outcome: Outcome::default(),
            unasked: false,
            links: Value::Null,
            memo: RefCell::default(),
        }
    }

    fn plain() -> Self {
        Self::of(definition("a", json!({}), json!({})))
    }

    fn answered(mut self, outcome: ApiOutcome) -> Self {
        self.outcome.apis = BTreeMap::from([(ID.into(), outcome)]).into();
        self
    }

    /// As the worker tells it: the endpoint's error stands for every API that was not settled.
    fn unreachable(self, error: &str) -> Self {
        let mut world = self.answered(ApiOutcome::Failed(error.into()));
        world.outcome.endpoint_error = Some(error.into());
        world
    }

    fn rejected(mut self) -> Self {
        self.desired.apis.clear();
        self.desired.held.insert(ID.into());
        let object = ObjectRef::new("ApiDefinition", "ns", "a");
        self.diagnostics = vec![
            Diagnostic::new(Code::InvalidDefinition, object.clone(), "spec.domain", "has a space"),
            Diagnostic::new(Code::InvalidDefinition, object, "spec.proxy.target_url", "is empty"),
        ];
        self
    }

    pub(super) fn report(&self, now: i64) -> Report {
        let ours: Vec<_> = self.snapshot.ingresses.keys().cloned().collect();
        let translation = Translation {
            ingresses: ours,
            ..Translation::default()
        };
        let objects = self
            .snapshot
            .api_definitions
            .values()
            .filter(|object| !object.is_template());
        let objects: Vec<_> = objects.map(|object| object.whole().object_ref()).collect();
        let (mut fleet, mut outcomes) = one_tyk(&self.desired, &self.outcome, objects);
        let links = self.links.as_object().cloned();
        fleet.links.extend(links.map(|links| (object("a"), links)));
        outcomes.retain(|_, _| !self.unasked);
        let input = ReportInput {
            snapshot: &self.snapshot,
            translation: &translation,
            fleet: &fleet,
            diagnostics: &self.diagnostics,
            outcomes: &outcomes,
            org: "org",
            owner: "tyk-ingress",
            addresses: None,
            now: at(now),
        };
        reported(&input, &self.memo)
    }

    /// Reports, keeps what is to be written, and proves that the same report again writes nothing.
    pub(super) fn write(&mut self, now: i64) -> Option<ApiDefinitionStatus> {
        let report = self.report(now);
        for (object, status) in &report.statuses {
            let name = NamespacedName::new(&object.namespace, &object.name);
            let mut object = self.snapshot.api_definitions[&name].whole().as_ref().clone();
            object.status = Some(status.clone());
            self.snapshot.insert(object);
        }
        assert_eq!(self.report(now + 100).statuses, BTreeMap::new());
        report.statuses.get(&object("a")).map(typed)
    }

    fn edit(&mut self, edit: impl FnOnce(&mut ApiDefinition)) {
        let mut object = self.snapshot.api_definitions[&key("a")].whole().as_ref().clone();
        edit(&mut object);
        self.snapshot.insert(object);
    }
}

/// `Accepted`, `Synced`, `Ready` as `status:reason`.
fn conditions(status: &ApiDefinitionStatus) -> String {
    let text = |type_: &str| {
        let found = status.conditions.iter().find(|condition| condition.type_ == type_);
        found.map_or("-".to_owned(), |found| format!("{}:{}", found.status, found.reason))
    };
    [text("Accepted"), text("Synced"), text("Ready")].join(" ")
}

#[test]
fn conditions_follow_what_the_gateway_said() {
    let inactive = || World::of(definition("a", json!({}), json!({"active": false})));
    let template = || World::of(definition("a", json!({"labels": {"template": "true"}}), json!({})));
    let failed = || ApiOutcome::Failed("500".into());
    let cases = [
        (World::plain(), "True:Valid Unknown:Pending Unknown:Pending", None, None),
        (
            World::plain().answered(ApiOutcome::Synced),
            "True:Valid True:Synced True:Ready",
            Some(ID),
            Some("Successful"),
        ),
        (
            World::plain().answered(failed()),
            "True:Valid False:SyncFailed False:SyncFailed",
            None,
            Some("Failed"),
        ),
        (
            World::plain().unreachable("refused"),
            "True:Valid False:Unreachable False:Unreachable",
            None,
            Some("Failed"),
        ),
        (
            World::plain().rejected(),
            "False:InvalidDefinition False:NotAccepted False:NotAccepted",
            None,
            Some("Failed"),
        ),
        (
            inactive().answered(ApiOutcome::Gone),
            "True:Valid True:Inactive True:Ready",
            None,
            Some("Successful"),
        ),
        (
            inactive().answered(failed()),
            "True:Valid False:SyncFailed False:SyncFailed",
            None,
            Some("Failed"),
        ),
        (template(), "True:Template - -", None, None),
    ];
    for (mut world, wanted, api_id, transaction) in cases {
        let status = world.write(10).unwrap();
        assert_eq!(conditions(&status), wanted);
        assert_eq!(status.api_id.as_deref(), api_id, "{wanted}");
        assert_eq!(status.org_id.as_deref(), api_id.map(|_| "own-org"), "{wanted}");
        assert_eq!(
            status.latest_transaction.and_then(|one| one.status).as_deref(),
            transaction,
            "{wanted}"
        );
        assert_eq!(status.observed_generation, Some(1), "{wanted}");
        assert_eq!(status.ingress_template, (wanted == "True:Template - -").then_some(true));
    }
}

#[test]
fn messages_are_for_the_user() {
    let status = World::plain().rejected().write(1).unwrap();
    assert_eq!(status.conditions[0].message, "spec.domain: has a space (and 1 more)");
    let mut long = World::plain().answered(ApiOutcome::Failed("ü".repeat(5000)));
    assert_eq!(long.write(1).unwrap().conditions[1].message.len(), 1000);
}

#[test]
fn times_move_with_results_only() {
    let mut world = World::plain().answered(ApiOutcome::Synced);
    let time = |status: &ApiDefinitionStatus| status.latest_transaction.as_ref().unwrap().time.clone().unwrap();
    assert_eq!(time(&world.write(10).unwrap()), at(10));
    world.edit(|object| object.metadata.generation = Some(2));
    world.desired.apis.insert(ID.into(), api("a", 2));
    let status = world.write(20).unwrap();
    assert_eq!((time(&status), status.observed_generation), (at(10), Some(2)));
    assert!(
        status
            .conditions
            .iter()
            .all(|condition| condition.last_transition_time == at(10))
    );
    world = world.answered(ApiOutcome::Failed("one".into()));
    assert_eq!(time(&world.write(30).unwrap()), at(30));
    world = world.answered(ApiOutcome::Failed("two".into()));
    let status = world.write(40).unwrap();
    assert_eq!(time(&status), at(40));
    assert_eq!(status.conditions[1].last_transition_time, at(30));
    assert_eq!(status.api_id.as_deref(), Some(ID), "what was confirmed once is kept");
}

#[test]
fn what_was_confirmed_outlives_a_gateway_that_cannot_be_asked() {
    let mut world = World::plain().answered(ApiOutcome::Synced);
    world.write(10).unwrap();
    world = world.unreachable("refused");
    assert_eq!(world.write(20), None);
    world.edit(|object| object.metadata.generation = Some(2));
    world.desired.apis.insert(ID.into(), api("a", 2));
    let status = world.write(30).unwrap();
    assert_eq!(conditions(&status), "True:Valid False:Unreachable False:Unreachable");
    assert!(
        world.report(40).diagnostics.is_empty(),
        "one outage is not a finding for every object"
    );
    // An error of the API itself is told although the round ended early.
    Arc::make_mut(&mut world.outcome.apis).insert(ID.into(), ApiOutcome::Failed("400".into()));
    assert_eq!(
        conditions(&world.write(50).unwrap()),
        "True:Valid False:SyncFailed False:SyncFailed"
    );
}

#[test]
fn where_there_was_nothing_to_tell_there_can_be_something_again() {
    let settled = || {
        let mut world = World::plain().answered(ApiOutcome::Synced);
        world.write(10).unwrap();
        world
    };
    let mut wiped = settled();
    wiped.edit(|object| object.status = None);
    assert!(wiped.write(20).is_some());
    let mut moved = settled();
    let payload = json!({"org_id": "other-org"}).into();
    moved.desired.apis.get_mut(ID).unwrap().payload = payload;
    assert_eq!(moved.write(20).unwrap().org_id.as_deref(), Some("other-org"));
    let mut refused = settled();
    refused.diagnostics = World::plain().rejected().diagnostics;
    assert!(
        refused.write(20).unwrap().conditions[0]
            .message
            .starts_with("spec.domain")
    );
    let mut linked = settled();
    linked.links = json!({"linked_by_policies": [{"namespace": "ns", "name": "gold"}]});
    assert_eq!(linked.report(20).statuses.len(), 1);
}

#[test]
fn what_was_confirmed_outlives_a_restart() {
    let mut world = World::plain().answered(ApiOutcome::Synced);
    world.write(10).unwrap();
    world.unasked = true;
    assert_eq!(world.write(20), None);
    world.edit(|object| object.metadata.generation = Some(2));
    world.desired.apis.insert(ID.into(), api("a", 2));
    assert_eq!(
        conditions(&world.write(30).unwrap()),
        "True:Valid Unknown:Pending Unknown:Pending"
    );
}

#[test]
fn a_round_says_nothing_of_what_it_did_not_know() {
    let mut newer = World::plain().answered(ApiOutcome::Synced);
    newer.edit(|object| object.metadata.generation = Some(2));
    let mut unknown = World::plain().answered(ApiOutcome::Synced);
    unknown.desired = Desired::default();
    let mut other = World::plain().answered(ApiOutcome::Synced);
    other.desired.apis.insert(ID.into(), api("b", 1));
    for world in [&mut newer, &mut unknown, &mut other] {
        assert_eq!(world.write(10), None);
    }
}

#[test]
fn what_others_wrote_into_the_status_is_not_touched() {
    let mut world = World::plain().answered(ApiOutcome::Synced);
    let theirs = json!({"api_id": "old", "latestTykSpecHash": "1", "linked_by_apis": [{"name": "b"}],
        "conditions": [{"type": "Theirs", "status": "True", "reason": "R", "message": "",
            "lastTransitionTime": "2024-05-06T07:08:09Z"}]});
    world.edit(|object| object.status = Some(serde_json::from_value(theirs).unwrap()));
    let status = typed(&world.report(10).statuses[&object("a")]);
    assert_eq!(status.api_id.as_deref(), Some(ID));
    assert!(status.latest_tyk_spec_hash.is_none());
    assert!(status.conditions.iter().all(|condition| condition.type_ != "Theirs"));
}

fn child(metadata: Value) -> ApiDefinition {
    let mut all = json!({"labels": {names::LABEL_INGRESS: "web"}, "ownerReferences": [
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web", "uid": "u", "controller": true}]});
    all.as_object_mut()
        .unwrap()
        .extend(metadata.as_object().unwrap().clone());
    definition("a", all, json!({}))
}

#[test]
fn a_failure_of_a_child_is_told_on_its_ingress() {
    let mut world = World::of(child(json!({}))).answered(ApiOutcome::Failed("500".into()));
    world.desired.apis.insert(ID.into(), api("a", 0));
    let objects: Vec<_> = world
        .report(1)
        .diagnostics
        .into_iter()
        .map(|one| (one.code, one.object.to_string()))
        .collect();
    let wanted = ["ApiDefinition ns/a", "Ingress ns/web"].map(|object| (Code::SyncFailed, object.to_owned()));
    assert_eq!(objects, wanted);
    world.desired = Desired::default();
    assert_eq!(
        world.report(1),
        Report::default(),
        "a child that is about to be deleted"
    );
}

fn deleting(name: &str, metadata: Value, spec: Value) -> ApiDefinition {
    let mut all = json!({"deletionTimestamp": "2024-05-06T07:08:09Z", "finalizers": [names::FINALIZER_API_DEFINITION]});
    all.as_object_mut()
        .unwrap()
        .extend(metadata.as_object().unwrap().clone());
    definition(name, all, spec)
}

#[test]
fn an_object_goes_when_the_gateway_was_seen_without_its_api() {
    let plain = || World::of(deleting("a", json!({}), json!({})));
    let theirs = json!({"finalizers": ["example.com/theirs"]});
    let template = json!({"finalizers": [names::FINALIZER_TEMPLATE], "labels": {"template": "true"}});
    let mut unknown = plain().answered(ApiOutcome::Gone);
    unknown.desired = Desired::default();
    let mut stale = plain().answered(ApiOutcome::Synced);
    stale.desired = World::plain().desired;
    let mut inherited = plain().answered(ApiOutcome::Synced);
    inherited.snapshot.insert(definition("heir", json!({}), json!({})));
    inherited.desired = World::plain().desired;
    let cases = [
        ("gone", plain().answered(ApiOutcome::Gone), true),
        ("failed", plain().answered(ApiOutcome::Failed("500".into())), false),
        ("unreachable", plain().unreachable("refused"), false),
        ("no answer", plain(), false),
        ("not in deletion", World::plain().answered(ApiOutcome::Gone), false),
        (
            "without our finalizer",
            World::of(deleting("a", theirs, json!({}))).answered(ApiOutcome::Gone),
            false,
        ),
        ("template", World::of(deleting("a", template, json!({}))), true),
        ("deleted after the round began", stale, false),
        ("not known to the round", unknown, false),
        ("the API is another's now", inherited, true),
    ];
    for (case, world, due) in cases {
        assert_eq!(world.report(1).release.contains(&object("a")), due, "{case}");
    }
}

#[test]
fn a_deleted_child_makes_room_only_for_a_new_one() {
    let metadata =
        json!({"deletionTimestamp": "2024-05-06T07:08:09Z", "finalizers": [names::FINALIZER_API_DEFINITION]});
    let mut world = World::of(child(metadata)).answered(ApiOutcome::Synced);
    world.desired = Desired {
        apis: BTreeMap::from([(ID.into(), api("a", 0))]),
        ..Desired::default()
    };
    assert!(
        world.report(1).release.is_empty(),
        "the Ingress is gone, and the API still there"
    );
    let ingress = json!({"metadata": {"namespace": "ns", "name": "web"}});
    world
        .snapshot
        .insert(serde_json::from_value::<k8s_openapi::api::networking::v1::Ingress>(ingress).unwrap());
    assert_eq!(world.report(1).release, [object("a")]);
}

#[test]
fn an_object_in_deletion_tells_its_trouble() {
    let mut world = World::of(deleting("a", json!({}), json!({}))).answered(ApiOutcome::Failed("500".into()));
    let status = world.write(1).unwrap();
    assert_eq!(conditions(&status), "- False:SyncFailed False:Deleting");
    let object = object("a");
    assert_eq!(
        world.report(1).diagnostics,
        [Diagnostic::new(Code::SyncFailed, object, "", "500")]
    );
}

#[test]
fn the_child_of_another_operator_is_not_reported_on() {
    let owned = |labels: Value| {
        let owner = json!([{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web", "uid": "u",
            "controller": true}]);
        json!({"ownerReferences": owner, "labels": labels, "deletionTimestamp": "2024-05-06T07:08:09Z",
            "finalizers": [names::FINALIZER_API_DEFINITION]})
    };
    for (operator, wanted) in [("tyk-ingress", 1), ("west", 0)] {
        let labels = json!({"tyk.io/ingress": "web", "tyk.io/operator": operator});
        let world = World::of(definition("a", owned(labels), json!({}))).answered(ApiOutcome::Gone);
        assert_eq!(world.report(1).release.len(), wanted, "{operator}");
    }
}
