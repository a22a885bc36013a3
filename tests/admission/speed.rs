//! How long a review takes in a large cluster; `cargo test --release --test admission -- --ignored --nocapture`.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use serde_json::json;
use tyk_ingress::admission::World;
use tyk_ingress::snapshot::Snapshot;

use crate::world::{definition, ingress, reviewed, subject, world};

const INGRESSES: usize = 5000;

#[test]
#[ignore = "prints times, checks none"]
fn a_review_among_five_thousand_ingresses() {
    let world = large();
    let taken = ingress("new", 59, &[("shop-77.example.com", "/api")]);
    let free = ingress("new", 59, &[("new.example.com", "/")]);
    let api = definition(
        "new",
        59,
        json!({"proxy": {"listen_path": "/new/", "target_url": "http://a.test"}}),
    );
    for (what, object) in [("a taken path", &taken), ("a free host", &free), ("an API", &api)] {
        let mut times: Vec<_> = (0..20)
            .map(|_| {
                let start = Instant::now();
                reviewed(Some(&world), "CREATE", object);
                start.elapsed()
            })
            .collect();
        times.sort();
        println!("{what}: median {:?}, longest {:?}", times[10], times[19]);
    }
}

/// Ingresses of two paths each, with their children, Services and EndpointSlices.
fn large() -> World {
    let mut snapshot = Snapshot::default();
    for number in 0..INGRESSES {
        let host = format!("shop-{number}.example.com");
        let object = ingress(&format!("shop-{number}"), 1, &[(&host, "/"), (&host, "/api")]);
        subject(&object).put(&mut snapshot);
        let name = json!({"name": format!("shop-{number}"), "namespace": "default"});
        let service = json!({"metadata": name, "spec": {"ports": [{"port": 80}]}});
        snapshot.insert::<k8s_openapi::api::core::v1::Service>(serde_json::from_value(service).unwrap());
        let labels = json!({"kubernetes.io/service-name": format!("shop-{number}")});
        let slice = json!({"metadata": {"name": format!("shop-{number}-x"), "namespace": "default", "labels": labels},
            "addressType": "IPv4", "ports": [{"port": 80}],
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}]});
        snapshot.insert::<k8s_openapi::api::discovery::v1::EndpointSlice>(serde_json::from_value(slice).unwrap());
    }
    let first = world(snapshot.clone());
    for child in first.translation.children.values() {
        snapshot.insert(child.definition().clone());
    }
    world(snapshot)
}
