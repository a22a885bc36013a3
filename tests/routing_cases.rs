//! Cases of `tests/data/routing.yaml`, answered by the simulated gateway's routes.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use tyk_ingress::desired::{self, Context};
use tyk_ingress::ingress::{Options, render};
use tyk_ingress::sim::{Answer, Routes};
use tyk_ingress::snapshot::Snapshot;

/// Rules, and who answers which request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    ingresses: Vec<Rules>,
    answers: BTreeMap<String, Value>,
}

/// One Ingress.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    #[serde(default)]
    rules: Vec<String>,
    /// Hosts of rules without paths.
    #[serde(default)]
    hosts: Vec<String>,
    default: Option<String>,
}

impl Rules {
    fn ingress(&self, age: usize) -> Value {
        let hosts = self.hosts.iter().map(|host| json!({"host": host}));
        let rules: Vec<_> = self.rules.iter().map(|text| rule(text)).chain(hosts).collect();
        json!({
            "metadata": {
                // Names go against age, so that age alone must decide.
                "name": format!("ingress-{}", 9 - age),
                "namespace": "default",
                "creationTimestamp": format!("2026-01-01T00:00:0{age}Z"),
            },
            "spec": {
                "ingressClassName": "tyk",
                "rules": rules,
                "defaultBackend": self.default.as_deref().map(backend),
            },
        })
    }
}

/// `HOST PATH TYPE BACKEND`; only the path may hold blanks.
fn rule(text: &str) -> Value {
    let (host, rest) = text.split_once(' ').unwrap();
    let parts: Vec<_> = rest.rsplitn(3, ' ').collect();
    let [name, path_type, path] = parts[..] else {
        panic!("{text:?}")
    };
    let path = json!({"path": path, "pathType": path_type, "backend": backend(name)});
    json!({"host": Some(host).filter(|host| *host != "*"), "http": {"paths": [path]}})
}

fn backend(name: &str) -> Value {
    json!({"service": {"name": name, "port": {"number": 80}}})
}

/// A gateway that holds the Ingresses, and the backend of each of its APIs.
fn load(case: &Case) -> (Routes, BTreeMap<String, String>) {
    let mut snapshot = Snapshot::default();
    for (age, rules) in case.ingresses.iter().enumerate() {
        snapshot
            .insert::<k8s_openapi::api::networking::v1::Ingress>(serde_json::from_value(rules.ingress(age)).unwrap());
    }
    let translation = render(&snapshot, &Options::default());
    let (desired, _) = desired::build(&snapshot, &translation, &Context::default());
    let routes = Routes::load(desired.apis.values().map(|api| api.payload.value())).unwrap();
    let backend = |payload: &Value| {
        let target = payload["proxy"]["target_url"].as_str().unwrap();
        target
            .trim_start_matches("http://")
            .split('.')
            .next()
            .unwrap()
            .to_owned()
    };
    let backends = desired
        .apis
        .iter()
        .map(|(id, api)| (id.to_string(), backend(&api.payload.value())));
    (routes, backends.collect())
}

#[test]
fn requests_reach_the_backend_that_the_specification_names() {
    let cases: Vec<Case> = serde_saphyr::from_str(include_str!("data/routing.yaml")).unwrap();
    let asked: usize = cases.iter().map(|case| case.answers.len()).sum();
    assert!(asked >= 150, "only {asked} requests");
    let mut wrong = Vec::new();
    for case in &cases {
        let (routes, backends) = load(case);
        for (request, expected) in &case.answers {
            let (host, path) = request.split_once(' ').unwrap();
            let path = path.split('?').next().unwrap();
            let actual = match routes.answer(host, path) {
                Answer::Api(id) => backends[&id].as_str(),
                Answer::NotFound => "404",
                Answer::Redirect => "redirect",
                Answer::BadRequest => "bad request",
            };
            let expected = expected.as_str().map_or_else(|| expected.to_string(), str::to_owned);
            if actual != expected {
                wrong.push(format!(
                    "{}: {request} is answered by {actual}, not by {expected}",
                    case.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_name_is_used_once() {
    let cases: Vec<Case> = serde_saphyr::from_str(include_str!("data/routing.yaml")).unwrap();
    let mut names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
}
