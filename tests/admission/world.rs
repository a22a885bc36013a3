//! Objects, worlds of them, and reviews.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};
use tyk_ingress::admission::{self, Settings, Subject, World};
use tyk_ingress::api::{ApiDefinition, OperatorContext, SecurityPolicy, TykOasApiDefinition};
use tyk_ingress::desired::{Context, Operator};
use tyk_ingress::ingress::Options;
use tyk_ingress::snapshot::Snapshot;

pub fn settings() -> Settings {
    Settings {
        options: Options::default(),
        operator: Operator::new(Context::default()),
        namespaces: None,
    }
}

/// The same for a controller that translates the annotations of ingress-nginx.
pub fn translating() -> Settings {
    let mut settings = settings();
    settings.options.nginx_annotations = true;
    settings
}

pub fn world(snapshot: Snapshot) -> World {
    world_of(snapshot, &settings())
}

pub fn world_of(snapshot: Snapshot, settings: &Settings) -> World {
    let made = settings.make(&snapshot);
    World {
        snapshot: snapshot.into(),
        translation: made.translation.into(),
        fleet: made.fleet.into(),
    }
}

/// A world of manifests.
pub fn of(objects: &[Value]) -> World {
    world(snapshot(objects))
}

pub fn snapshot(objects: &[Value]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    objects.iter().for_each(|object| subject(object).put(&mut snapshot));
    snapshot
}

pub fn subject(object: &Value) -> Subject {
    let (kind, object) = (object["kind"].as_str().unwrap(), object.clone());
    match kind {
        "Ingress" => Subject::new::<Ingress>(serde_json::from_value(object).unwrap()),
        "ApiDefinition" => Subject::new::<ApiDefinition>(serde_json::from_value(object).unwrap()),
        "SecurityPolicy" => Subject::new::<SecurityPolicy>(serde_json::from_value(object).unwrap()),
        "TykOasApiDefinition" => Subject::new::<TykOasApiDefinition>(serde_json::from_value(object).unwrap()),
        "OperatorContext" => Subject::new::<OperatorContext>(serde_json::from_value(object).unwrap()),
        "Service" => Subject::new::<Service>(serde_json::from_value(object).unwrap()),
        other => panic!("{other}"),
    }
}

/// An Ingress that is as old as its second says, with rules of one path each.
pub fn ingress(name: &str, second: u32, rules: &[(&str, &str)]) -> Value {
    let rules: Vec<Value> = rules
        .iter()
        .map(|(host, path)| {
            let backend = json!({"service": {"name": "shop", "port": {"number": 80}}});
            let path = json!({"path": path, "pathType": "Prefix", "backend": backend});
            json!({"host": Some(host).filter(|host| !host.is_empty()), "http": {"paths": [path]}})
        })
        .collect();
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": metadata(name, second),
        "spec": {"ingressClassName": "tyk", "rules": rules}
    })
}

pub fn definition(name: &str, second: u32, mut spec: Value) -> Value {
    for (field, value) in [
        ("name", json!(name)),
        ("use_keyless", json!(true)),
        ("protocol", json!("http")),
        ("active", json!(true)),
        (
            "version_data",
            json!({"not_versioned": true, "versions": {"Default": {"name": "Default"}}}),
        ),
    ] {
        if spec[field].is_null() {
            spec[field] = value;
        }
    }
    json!({
        "apiVersion": "tyk.tyk.io/v1alpha1", "kind": "ApiDefinition",
        "metadata": metadata(name, second), "spec": spec
    })
}

pub fn document(name: &str, second: u32, server: Value, context: Option<&str>) -> Value {
    let document = json!({"openapi": "3.0.3", "info": {"title": name, "version": "1"}, "paths": {},
        "x-tyk-api-gateway": {"info": {"name": name, "state": {"active": true}}, "upstream": {"url": "http://a.test"},
            "server": server}});
    let context = context.map(|name| json!({"name": name, "namespace": "default"}));
    json!({
        "apiVersion": "tyk.tyk.io/v1alpha1", "kind": "TykOasApiDefinition",
        "metadata": metadata(name, second), "spec": {"contextRef": context, "tykOAS": {"document": document}}
    })
}

pub fn context(url: &str) -> Value {
    json!({
        "apiVersion": "tyk.tyk.io/v1alpha1", "kind": "OperatorContext", "metadata": metadata("ctx", 0),
        "spec": {"env": {"mode": "ce", "url": url, "auth": "x", "org": "o"}}
    })
}

pub fn service(name: &str, port: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata(name, 0),
        "spec": {"ports": [{"port": port, "name": "http"}]}
    })
}

pub fn policy(name: &str, second: u32, id: Option<&str>, api: &str) -> Value {
    json!({
        "apiVersion": "tyk.tyk.io/v1alpha1", "kind": "SecurityPolicy",
        "metadata": metadata(name, second),
        "spec": {"name": name, "id": id, "active": true, "state": "active",
            "access_rights_array": [{"name": api, "namespace": "default", "versions": ["Default"]}]}
    })
}

fn metadata(name: &str, second: u32) -> Value {
    json!({"name": name, "namespace": "default", "uid": name,
        "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")})
}

pub fn request(operation: &str, object: &Value) -> Value {
    let (group, version) = object["apiVersion"].as_str().unwrap().split_once('/').unwrap();
    let kind = object["kind"].as_str().unwrap();
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "one", "operation": operation, "namespace": "default", "name": object["metadata"]["name"],
            "kind": {"group": group, "version": version, "kind": kind},
            "resource": {"group": group, "version": version, "resource": kind},
            "userInfo": {}, "object": object, "oldObject": null
        }
    })
}

/// `response` of the answer to a review.
pub fn reviewed(world: Option<&World>, operation: &str, object: &Value) -> Value {
    let review = serde_json::from_value(request(operation, object)).unwrap();
    json!(admission::answer(review, world, &settings()))
}
