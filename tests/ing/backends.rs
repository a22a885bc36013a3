//! Where requests go.

use serde_json::json;
use tyk_ingress::diagnostic::Code;
use tyk_ingress::ingress::Options;

use crate::world::{ingress, rule, service, world, world_with};

/// Tyk Operator makes port 0 of a named port and says nothing; here the name is looked up in the Service, and a name
/// that the Service does not have is reported.
#[test]
fn ing_05_a_named_port_is_looked_up() {
    let web = service(
        "web",
        json!([{"name": "metrics", "port": 9090}, {"name": "http", "port": 8080}]),
    );
    let named = |port: &str| {
        let mut rule = rule("shop.test", "Prefix", "/", "web");
        rule["http"]["paths"][0]["backend"]["service"]["port"] = json!({"name": port});
        world(&[web.clone(), ingress("shop", json!({}), json!({"rules": [rule]}))])
    };
    let found = named("http");
    let target = found.target("shop.test", "/").unwrap();
    assert_eq!(target, "http://web.default.svc.cluster.local:8080");
    assert!(!found.tells(Code::PortNotFound));

    let missing = named("grpc");
    let target = missing.target("shop.test", "/").unwrap();
    assert!(missing.tells(Code::PortNotFound) && !target.ends_with(":0"), "{target}");
}

/// Tyk Operator builds `http://….svc.cluster.local` for every backend; here the cluster's domain is a setting, and a
/// Service port tells its protocol by `appProtocol`.
#[test]
fn ing_22_cluster_domain_and_scheme_follow_the_cluster() {
    let options = Options {
        cluster_domain: "k8s.example".into(),
        ..Options::default()
    };
    let objects = [
        service("plain", json!([{"port": 80}])),
        service("secure", json!([{"port": 80, "appProtocol": "https"}])),
        ingress(
            "shop",
            json!({}),
            json!({"rules": [
                rule("shop.test", "Prefix", "/plain", "plain"),
                rule("shop.test", "Prefix", "/secure", "secure")]}),
        ),
    ];
    let world = world_with(&objects, &options);
    let target = |path: &str| world.target("shop.test", path).unwrap();
    assert_eq!(target("/plain"), "http://plain.default.svc.k8s.example:80");
    assert_eq!(target("/secure"), "https://secure.default.svc.k8s.example:80");
}
