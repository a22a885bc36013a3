//! Rules to a snapshot, and a snapshot to the answers of a gateway.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use tyk_ingress::desired::{self, Context};
use tyk_ingress::ingress::{Options, render};
use tyk_ingress::sim::{Answer, Routes};
use tyk_ingress::snapshot::Snapshot;

/// One path of one Ingress. Ingress 0 is the oldest; the backend is named after the rule's place in the list.
#[derive(Clone, Debug)]
pub struct Rule {
    pub ingress: usize,
    pub host: String,
    pub path: String,
    pub path_type: String,
}

/// The Ingresses of these rules.
pub fn snapshot(rules: &[Rule]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for number in 0..10 {
        let of_ingress = rules.iter().enumerate().filter(|(_, rule)| rule.ingress == number);
        let rules: Vec<Value> = of_ingress
            .map(|(index, rule)| {
                let backend = json!({"service": {"name": format!("rule-{index}"), "port": {"number": 80}}});
                let path = json!({"path": rule.path, "pathType": rule.path_type, "backend": backend});
                let host = (!rule.host.is_empty()).then_some(&rule.host);
                json!({"host": host, "http": {"paths": [path]}})
            })
            .collect();
        if !rules.is_empty() {
            let metadata = json!({
                "name": format!("ingress-{number}"), "namespace": "default", "creationTimestamp": format!("2026-01-01T00:00:0{number}Z"),
            });
            let ingress = json!({"metadata": metadata, "spec": {"ingressClassName": "tyk", "rules": rules}});
            snapshot.insert::<k8s_openapi::api::networking::v1::Ingress>(serde_json::from_value(ingress).unwrap());
        }
    }
    snapshot
}

/// A gateway that holds what is made of a snapshot, and where its APIs lead.
pub struct Gateway {
    routes: Routes,
    desired: desired::Desired,
}

/// Renders a snapshot and loads it.
pub fn gateway(snapshot: &Snapshot) -> Gateway {
    let translation = render(snapshot, &Options::default());
    let (desired, _) = desired::build(snapshot, &translation, &Context::default());
    let routes = Routes::load(desired.apis.values().map(|api| api.payload.value())).unwrap();
    Gateway { routes, desired }
}

/// The place of the rule that answers a request.
pub fn answer(gateway: &Gateway, host: &str, path: &str) -> Option<usize> {
    match gateway.routes.answer(host, path) {
        Answer::Api(id) => {
            let payload = gateway.desired.apis[id.as_str()].payload.value();
            let target = payload["proxy"]["target_url"].as_str().unwrap();
            let number = target.strip_prefix("http://rule-").unwrap().split('.').next().unwrap();
            Some(number.parse().unwrap())
        }
        Answer::NotFound => None,
        other => panic!("{host} {path}: {other:?}"),
    }
}
