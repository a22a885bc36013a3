//! A snapshot of objects as JSON, what is made of it, and a gateway's answers.

use serde_json::{Value, json};
use tyk_ingress::desired::{self, Desired};
use tyk_ingress::diagnostic::Code;
use tyk_ingress::ingress::{Child, Options, Translation, render};
use tyk_ingress::sim::{Answer, Routes};
use tyk_ingress::snapshot::Snapshot;

/// What is made of some objects.
pub struct World {
    pub translation: Translation,
    pub desired: Desired,
    codes: Vec<Code>,
}

/// Renders objects with the settings of a start without flags.
pub fn world(objects: &[Value]) -> World {
    world_with(objects, &Options::default())
}

/// Renders objects.
pub fn world_with(objects: &[Value], options: &Options) -> World {
    let mut snapshot = Snapshot::default();
    for object in objects {
        insert(&mut snapshot, object);
    }
    let translation = render(&snapshot, options);
    let (desired, found) = desired::build(&snapshot, &translation, &desired::Context::default());
    let codes = translation
        .diagnostics
        .iter()
        .chain(&found)
        .map(|found| found.code)
        .collect();
    World {
        translation,
        desired,
        codes,
    }
}

fn insert(snapshot: &mut Snapshot, object: &Value) {
    use k8s_openapi::api::{core::v1::Service, networking::v1::Ingress, networking::v1::IngressClass};
    use tyk_ingress::api::{ApiDefinition, OperatorContext};

    let object = object.clone();
    match object["kind"].as_str().unwrap() {
        "Ingress" => drop(snapshot.insert::<Ingress>(serde_json::from_value(object).unwrap())),
        "IngressClass" => drop(snapshot.insert::<IngressClass>(serde_json::from_value(object).unwrap())),
        "Service" => drop(snapshot.insert::<Service>(serde_json::from_value(object).unwrap())),
        "ApiDefinition" => drop(snapshot.insert::<ApiDefinition>(serde_json::from_value(object).unwrap())),
        "OperatorContext" => drop(snapshot.insert::<OperatorContext>(serde_json::from_value(object).unwrap())),
        kind => panic!("no {kind} here"),
    }
}

impl World {
    /// Whether a finding of this kind was made.
    pub fn tells(&self, code: Code) -> bool {
        self.codes.contains(&code)
    }

    /// The children, in the order of their names.
    pub fn children(&self) -> Vec<&Child> {
        self.translation.children.values().map(AsRef::as_ref).collect()
    }

    /// The definitions of the children.
    pub fn definitions(&self) -> Vec<Value> {
        let children = self.translation.children.values();
        children.map(|child| child.spec.definition.value()).collect()
    }

    /// Target URL of the API that answers a request, `None` when there is no route.
    pub fn target(&self, host: &str, path: &str) -> Option<String> {
        let routes = Routes::load(self.desired.apis.values().map(|api| api.payload.value())).unwrap();
        match routes.answer(host, path) {
            Answer::Api(id) => Some(
                self.desired.apis[id.as_str()].payload.value()["proxy"]["target_url"]
                    .as_str()?
                    .to_owned(),
            ),
            Answer::NotFound => None,
            other => panic!("{host}{path}: {other:?}"),
        }
    }
}

/// An Ingress of the class `tyk` in the namespace `default`; `spec` needs no class.
pub fn ingress(name: &str, annotations: Value, mut spec: Value) -> Value {
    spec["ingressClassName"] = "tyk".into();
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": spec,
        "metadata": {"name": name, "namespace": "default", "uid": format!("uid-of-{name}"), "annotations": annotations}})
}

/// A rule with one path.
pub fn rule(host: &str, path_type: &str, path: &str, service: &str) -> Value {
    json!({"host": host, "http": {"paths": [
        {"path": path, "pathType": path_type, "backend": backend(service)}]}})
}

/// Port 80 of a Service.
pub fn backend(service: &str) -> Value {
    json!({"service": {"name": service, "port": {"number": 80}}})
}

/// A Service in the namespace `default`.
pub fn service(name: &str, ports: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
        "spec": {"ports": ports}})
}
