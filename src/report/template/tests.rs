#![allow(clippy::unwrap_used)]
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::json;

use crate::api::names;
use crate::diagnostic::Code;
use crate::report::tests::{World, definition, key};

#[test]
fn a_template_in_use_waits_for_its_users() {
    let metadata = json!({"labels": {"template": "true"}, "deletionTimestamp": "2024-05-06T07:08:09Z",
        "finalizers": [names::FINALIZER_TEMPLATE]});
    let mut world = World::of(definition("a", metadata, json!({})));
    let user = json!({"metadata": {"namespace": "ns", "name": "web", "annotations": {"tyk.io/template": "a"}}});
    world.snapshot.insert(serde_json::from_value::<Ingress>(user).unwrap());
    let status = world.write(1).unwrap();
    let text = "Can't delete a, Ingress resources [web] depend on it";
    assert_eq!(status.latest_transaction.unwrap().error.as_deref(), Some(text));
    let report = world.report(2);
    assert_eq!(report.release, []);
    let codes: Vec<_> = report.diagnostics.iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::TemplateInUse]);
    world.snapshot.ingresses.clear();
    let report = world.report(3);
    assert_eq!((report.release, report.diagnostics), (vec![key("a")], Vec::new()));
}
