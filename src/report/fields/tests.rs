#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use crate::api::{TykOasApiDefinition, TykOasApiDefinitionStatus, names};
use crate::desired::{self, Desired, Fleet, Operator};
use crate::diagnostic::{Code, Diagnostic, ObjectRef};
use crate::ingress::Translation;
use crate::report::tests::{in_step, reported};
use crate::report::{Memo, Report, ReportInput};
use crate::snapshot::{NamespacedName, Snapshot};
use crate::sync::{ApiOutcome, Outcome};

const ID: &str = "id-a";

/// A world with one definition, `ns/a`, and what the stages make of it.
struct World {
    snapshot: Snapshot,
    fleet: Fleet,
    desired: Desired,
    diagnostics: Vec<Diagnostic>,
    outcome: Outcome,
    memo: RefCell<Memo>,
}

fn definition(change: impl FnOnce(&mut Value)) -> TykOasApiDefinition {
    let mut object = json!({"metadata": {"namespace": "ns", "name": "a", "generation": 1}, "spec": {"tykOAS": {"document": {
        "openapi": "3.0.3", "info": {}, "paths": {}, "x-tyk-api-gateway": {
            "info": {"id": ID, "name": "pets"}, "upstream": {"url": "http://up"},
            "server": {"listenPath": {"value": "/pets/"}, "customDomain": {"enabled": true, "name": "a.com"}}}}}}});
    change(&mut object);
    serde_json::from_value(object).unwrap()
}

fn key() -> NamespacedName {
    NamespacedName::new("ns", "a")
}

impl World {
    fn new(change: impl FnOnce(&mut Value), answer: Option<ApiOutcome>) -> Self {
        let mut snapshot = Snapshot::default();
        snapshot.insert(definition(change));
        let operator = Operator::new(desired::Context::default());
        let (fleet, diagnostics) = desired::build_all(&snapshot, &Translation::default(), &operator);
        let desired = Desired::clone(fleet.tyks.values().next().unwrap());
        let mut outcome = Outcome::default();
        Arc::make_mut(&mut outcome.apis).extend(answer.map(|answer| (ID.into(), answer)));
        Self {
            snapshot,
            fleet,
            desired,
            diagnostics,
            outcome,
            memo: RefCell::default(),
        }
    }

    fn report(&self) -> Report {
        let (fleet, outcomes) = in_step(&self.fleet, &self.desired, &self.outcome);
        let translation = Translation::default();
        let input = ReportInput {
            snapshot: &self.snapshot,
            fleet: &fleet,
            diagnostics: &self.diagnostics,
            outcomes: &outcomes,
            translation: &translation,
            owner: "east",
            addresses: None,
            org: "org",
            now: Time(Timestamp::from_second(10).unwrap()),
        };
        reported(&input, &self.memo)
    }

    /// Keeps what is to be written, and proves that the same report again writes nothing.
    fn write(&mut self) -> TykOasApiDefinitionStatus {
        let status = self.report().statuses.remove(&object()).unwrap();
        let status: TykOasApiDefinitionStatus = serde_json::from_value(status.value()).unwrap();
        let mut object = self.snapshot.tyk_oas_api_definitions[&key()].as_ref().clone();
        object.status = Some(status.clone());
        self.snapshot.insert(object);
        assert!(self.report().statuses.is_empty());
        status
    }
}

fn object() -> ObjectRef {
    ObjectRef::new("TykOasApiDefinition", "ns", "a")
}

/// `Accepted`, `Synced`, `Ready` as `status:reason`.
fn conditions(status: &TykOasApiDefinitionStatus) -> String {
    let text = |type_: &str| {
        let found = status.conditions.iter().find(|condition| condition.type_ == type_);
        found.map_or("-".to_owned(), |found| format!("{}:{}", found.status, found.reason))
    };
    [text("Accepted"), text("Synced"), text("Ready")].join(" ")
}

#[test]
fn what_the_gateway_confirmed_of_the_document_is_told() {
    let mut world = World::new(|_| {}, Some(ApiOutcome::Synced));
    let status = world.write();
    assert_eq!(conditions(&status), "True:Valid True:Synced True:Ready");
    assert_eq!((status.id.as_deref(), status.enabled), (Some(ID), Some(true)));
    assert_eq!(status.listen_path.as_deref(), Some("/pets/"));
    assert_eq!(status.target_url.as_deref(), Some("http://up"));
    assert_eq!(status.domain.unwrap().name.as_deref(), Some("a.com"));
    // Without a word of the resource itself.
    let edit = |world: &mut World, url: &str| {
        let edited = world.desired.oas.get_mut(ID).unwrap();
        let mut payload = edited.payload.value();
        payload["x-tyk-api-gateway"]["upstream"]["url"] = json!(url);
        edited.payload = payload.into();
    };
    edit(&mut world, "http://other");
    assert_eq!(world.write().target_url.as_deref(), Some("http://other"));
    edit(&mut world, "http://third");
    Arc::make_mut(&mut world.outcome.apis).insert(ID.into(), ApiOutcome::Failed("400".into()));
    assert_eq!(
        world.write().target_url.as_deref(),
        Some("http://other"),
        "not confirmed"
    );
}

#[test]
fn conditions_follow_the_rules_of_the_classic_kind() {
    let failed = Some(ApiOutcome::Failed("400".into()));
    let mut world = World::new(|_| {}, failed);
    assert_eq!(
        conditions(&world.write()),
        "True:Valid False:SyncFailed False:SyncFailed"
    );
    let found = world.report().diagnostics;
    assert_eq!(found[0].object.to_string(), "TykOasApiDefinition ns/a");
    let no_document = |object: &mut Value| object["spec"]["tykOAS"] = json!({});
    let status = World::new(no_document, None).write();
    assert_eq!(
        conditions(&status),
        "False:DocumentNotFound False:NotAccepted False:NotAccepted"
    );
    let template = |object: &mut Value| object["metadata"]["labels"] = json!({names::LABEL_INGRESS_TEMPLATE: "true"});
    let status = World::new(template, None).write();
    assert_eq!(
        (conditions(&status).as_str(), status.ingress_template),
        ("True:Template - -", Some(true))
    );
    let inactive = |object: &mut Value| {
        object["spec"]["tykOAS"]["document"]["x-tyk-api-gateway"]["info"]["state"] = json!({"active": false});
    };
    let status = World::new(inactive, Some(ApiOutcome::Gone)).write();
    assert_eq!(
        (conditions(&status).as_str(), status.enabled),
        ("True:Valid True:Inactive True:Ready", Some(false))
    );
}

#[test]
fn an_object_goes_when_the_gateway_was_seen_without_its_api() {
    let deleting = |object: &mut Value| {
        object["metadata"]["deletionTimestamp"] = json!("2024-05-06T07:08:09Z");
        object["metadata"]["finalizers"] = json!([names::FINALIZER_OAS_API_DEFINITION]);
    };
    let failed = World::new(deleting, Some(ApiOutcome::Failed("500".into()))).report();
    assert!(failed.release.is_empty());
    let gone = World::new(deleting, Some(ApiOutcome::Gone)).report();
    assert_eq!(gone.release, [object()]);
}

#[test]
fn a_template_in_use_is_not_let_go() {
    let deleted = |object: &mut Value| {
        object["metadata"]["labels"] = json!({names::LABEL_INGRESS_TEMPLATE: "true"});
        object["metadata"]["finalizers"] = json!([names::FINALIZER_TEMPLATE]);
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    };
    let user = |kind: &str| -> Ingress {
        let annotations = json!({"tyk.io/template": "a", "tyk.io/template-kind": kind});
        serde_json::from_value(json!({"metadata": {"namespace": "ns", "name": "web", "annotations": annotations}}))
            .unwrap()
    };
    let mut world = World::new(deleted, None);
    assert_eq!(world.report().release, [object()], "nobody uses it");
    world.snapshot.insert(user("ApiDefinition"));
    assert_eq!(
        world.report().release,
        [object()],
        "a template of the other kind is used"
    );
    world.snapshot.insert(user("TykOasApiDefinition"));
    let report = world.report();
    assert!(report.release.is_empty());
    let found = &report.diagnostics[0];
    assert_eq!(
        (found.code, found.object.kind),
        (Code::TemplateInUse, "TykOasApiDefinition")
    );
    assert_eq!(found.message, "Can't delete a, Ingress resources [web] depend on it");
}

#[test]
fn every_field_is_one_that_the_schema_of_its_kind_has() {
    for (kind, fields) in super::OF_KIND {
        let mut crds = crate::api::all_crds().into_iter();
        let crd = crds.find(|crd| crd.spec.names.kind == kind).unwrap();
        let schema = crd.spec.versions[0].schema.as_ref().unwrap();
        let schema = schema.open_api_v3_schema.as_ref().unwrap();
        let status = &schema.properties.as_ref().unwrap()["status"].properties;
        let known = status.as_ref().unwrap();
        for field in super::COMMON.iter().chain(fields) {
            assert!(known.contains_key(*field), "{kind}: {field}");
        }
    }
}
