//! Worlds of many Ingresses.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tyk_ingress::api::names;
use tyk_ingress::ingress::{self, Options};
use tyk_ingress::snapshot::{NamespacedName, Snapshot, SnapshotKind};

/// How many namespaces the Ingresses are spread over.
const NAMESPACES: usize = 50;

/// A world of this many Ingresses, each with its Service and its EndpointSlice. Nine of ten have one path, every tenth
/// has three.
pub fn world(ingresses: usize) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for number in 0..ingresses {
        put(&mut snapshot, &ingress(number, "/"));
        put(&mut snapshot, &service(number));
        put(&mut snapshot, &endpoints(number));
    }
    snapshot
}

/// Puts in the children that the cluster has of these Ingresses.
pub fn put_children(snapshot: &mut Snapshot) {
    let translation = ingress::render(snapshot, &Options::default());
    for (number, child) in translation.children.values().enumerate() {
        let mut child = child.definition();
        child.metadata.uid = Some(format!("00000000-0000-4000-9000-{number:012}"));
        child.metadata.resource_version = Some(number.to_string());
        child.metadata.generation = Some(1);
        child.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        child.metadata.finalizers = Some(vec![names::FINALIZER_API_DEFINITION.to_owned()]);
        snapshot.insert(child);
    }
}

/// Name of an Ingress, and of its Service.
pub fn name(number: usize) -> NamespacedName {
    NamespacedName::new(format!("team-{}", number % NAMESPACES), format!("shop-{number}"))
}

/// Replaces one Ingress by the same with another path.
pub fn change(snapshot: &mut Snapshot, number: usize, path: &str) {
    put(snapshot, &ingress(number, path));
}

fn put(snapshot: &mut Snapshot, object: &Object) {
    match object {
        Object::Ingress(value) => insert::<k8s_openapi::api::networking::v1::Ingress>(snapshot, value),
        Object::Service(value) => insert::<k8s_openapi::api::core::v1::Service>(snapshot, value),
        Object::Endpoints(value) => insert::<k8s_openapi::api::discovery::v1::EndpointSlice>(snapshot, value),
    }
}

enum Object {
    Ingress(Value),
    Service(Value),
    Endpoints(Value),
}

fn insert<K: SnapshotKind + DeserializeOwned>(snapshot: &mut Snapshot, value: &Value) {
    snapshot.insert(K::deserialize(value).expect("an object as it is written here"));
}

fn metadata(number: usize) -> Value {
    let NamespacedName { namespace, name } = name(number);
    json!({"namespace": namespace, "name": name, "uid": format!("00000000-0000-4000-8000-{number:012}"),
        "resourceVersion": number.to_string(), "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"})
}

fn ingress(number: usize, first: &str) -> Object {
    let name = name(number).name;
    let backend = json!({"service": {"name": name, "port": {"number": 80}}});
    let paths = [first, "/api", "/admin"];
    let count = if number.is_multiple_of(10) { 3 } else { 1 };
    let paths: Vec<_> = paths[..count]
        .iter()
        .map(|path| json!({"path": path, "pathType": "Prefix", "backend": backend}))
        .collect();
    let rule = json!({"host": format!("{name}.example.com"), "http": {"paths": paths}});
    Object::Ingress(json!({"metadata": metadata(number), "spec": {"ingressClassName": "tyk", "rules": [rule]}}))
}

fn service(number: usize) -> Object {
    let ports = json!([{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]);
    Object::Service(json!({"metadata": metadata(number), "spec": {"ports": ports, "clusterIP": "10.0.0.1"}}))
}

fn endpoints(number: usize) -> Object {
    let mut metadata = metadata(number);
    metadata["labels"] = json!({"kubernetes.io/service-name": metadata["name"]});
    Object::Endpoints(
        json!({"metadata": metadata, "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}],
        "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": true}}]}),
    )
}
