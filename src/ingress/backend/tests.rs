#![allow(clippy::unwrap_used)]

use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::*;
use crate::ingress::annotations::PREFIX;

/// A Service `web` with this spec, and its slices.
fn world(spec: Value, slices: &[Value]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let service = json!({"metadata": {"name": "web", "namespace": "ns"}, "spec": spec});
    snapshot.insert::<Service>(serde_json::from_value(service).unwrap());
    for (index, slice) in slices.iter().enumerate() {
        let mut slice = slice.clone();
        let labels = json!({"kubernetes.io/service-name": "web"});
        slice["metadata"] = json!({"name": format!("web-{index}"), "namespace": "ns", "labels": labels});
        snapshot.insert::<EndpointSlice>(serde_json::from_value(slice).unwrap());
    }
    snapshot
}

/// The target of `port` of Service `web`.
fn resolve(snapshot: &Snapshot, port: Value, annotations: &[(&str, &str)]) -> Target {
    let annotations = annotations
        .iter()
        .map(|(name, value)| (format!("{PREFIX}{name}"), (*value).to_owned()));
    let mut ingress = k8s_openapi::api::networking::v1::Ingress::default();
    ingress.metadata.annotations = Some(annotations.collect());
    let (annotations, problems) = Annotations::parse(&ingress.into());
    assert_eq!(problems, []);
    let backend = json!({"service": {"name": "web", "port": port}});
    let backend = serde_json::from_value(backend).unwrap();
    Backends::new(snapshot, &Options::default()).resolve("ns", &backend, &annotations)
}

fn code(target: &Target) -> Option<Code> {
    target.problem.as_ref().map(|(code, _)| *code)
}

fn slice(family: &str, ports: Value, endpoints: Value) -> Value {
    json!({"addressType": family, "ports": ports, "endpoints": endpoints})
}

const ENDPOINTS: &[(&str, &str)] = &[("upstream", "endpoints")];

#[test]
fn each_form_of_service_has_its_url() {
    let named = json!({"ports": [{"name": "https", "port": 443}, {"name": "web", "port": 80, "targetPort": 8080}]});
    let headless = |target: Value| json!({"clusterIP": "None", "ports": [{"port": 80, "targetPort": target}]});
    let external = json!({"type": "ExternalName", "externalName": "api.example.org."});
    let http3 = json!({"ports": [
        {"name": "h3", "port": 443, "protocol": "UDP", "appProtocol": "kubernetes.io/h2c"},
        {"name": "tls", "port": 443, "protocol": "TCP", "appProtocol": "https"},
    ]});
    let none = None;
    for (what, spec, port, url, problem) in [
        (
            "a number",
            named.clone(),
            json!({"number": 80}),
            "http://web.ns.svc.cluster.local:80",
            none,
        ),
        (
            "a name",
            named.clone(),
            json!({"name": "web"}),
            "http://web.ns.svc.cluster.local:80",
            none,
        ),
        (
            "443 says nothing",
            named.clone(),
            json!({"number": 443}),
            "http://web.ns.svc.cluster.local:443",
            none,
        ),
        (
            "nor does https",
            named.clone(),
            json!({"name": "https"}),
            "http://web.ns.svc.cluster.local:443",
            none,
        ),
        (
            "headless",
            headless(json!(8080)),
            json!({"number": 80}),
            "http://web.ns.svc.cluster.local:8080",
            none,
        ),
        (
            "headless, the same port",
            json!({"clusterIP": "None", "ports": [{"port": 80}]}),
            json!({"number": 80}),
            "http://web.ns.svc.cluster.local:80",
            none,
        ),
        (
            "headless, no pod yet",
            headless(json!("http")),
            json!({"number": 80}),
            "http://web.ns.svc.cluster.local:80",
            Some(Code::EndpointsNotReady),
        ),
        (
            "an external name",
            external.clone(),
            json!({"number": 8443}),
            "http://api.example.org:8443",
            none,
        ),
        (
            "an external name, a declared port",
            json!({"type": "ExternalName", "externalName": "api.example.org",
                "ports": [{"name": "tls", "port": 443, "appProtocol": "https"}]}),
            json!({"name": "tls"}),
            "https://api.example.org:443",
            none,
        ),
        (
            "no such name",
            external,
            json!({"name": "x"}),
            NOWHERE,
            Some(Code::PortNotFound),
        ),
        (
            "no such port",
            named,
            json!({"number": 81}),
            NOWHERE,
            Some(Code::PortNotFound),
        ),
        (
            "TCP, not UDP",
            http3,
            json!({"number": 443}),
            "https://web.ns.svc.cluster.local:443",
            none,
        ),
        (
            "no ports",
            json!({}),
            json!({"number": 80}),
            NOWHERE,
            Some(Code::PortNotFound),
        ),
    ] {
        let target = resolve(&world(spec, &[]), port, &[]);
        assert_eq!((target.url.as_str(), code(&target)), (url, problem), "{what}");
        assert!(target.list.is_empty(), "{what}");
    }
}

#[test]
fn a_missing_service_is_named_all_the_same() {
    let target = resolve(
        &Snapshot::default(),
        json!({"number": 80}),
        &[("backend-protocol", "https")],
    );
    assert_eq!(target.url, "https://web.ns.svc.cluster.local:80");
    assert_eq!(code(&target), Some(Code::BackendNotFound));
    let target = resolve(&Snapshot::default(), json!({"name": "web"}), ENDPOINTS);
    assert_eq!(
        (target.url.as_str(), code(&target)),
        (NOWHERE, Some(Code::PortNotFound))
    );
}

#[test]
fn the_annotation_wins_over_the_protocol_of_the_port() {
    for (app_protocol, annotation, scheme) in [
        (None, None, "http"),
        (Some("https"), None, "https"),
        (Some("kubernetes.io/h2c"), None, "h2c"),
        (Some("grpc"), None, "h2c"),
        (Some("kubernetes.io/ws"), None, "ws"),
        (Some("kubernetes.io/wss"), None, "wss"),
        (Some("mysql"), None, "http"),
        (None, Some("https"), "https"),
        (Some("https"), Some("http"), "http"),
        (Some("kubernetes.io/ws"), Some("grpcs"), "https"),
    ] {
        let snapshot = world(json!({"ports": [{"port": 80, "appProtocol": app_protocol}]}), &[]);
        let annotations: Vec<_> = annotation
            .map(|value| ("backend-protocol", value))
            .into_iter()
            .collect();
        let target = resolve(&snapshot, json!({"number": 80}), &annotations);
        let url = format!("{scheme}://web.ns.svc.cluster.local:80");
        assert_eq!(
            (target.url, target.problem),
            (url, None),
            "{app_protocol:?} {annotation:?}"
        );
    }
}

#[test]
fn ready_endpoints_are_listed_once_and_in_order() {
    let spec = json!({"ports": [{"name": "web", "port": 80, "targetPort": "http"}, {"name": "admin", "port": 81}]});
    let ports = json!([{"name": "web", "port": 8080}, {"name": "admin", "port": 9090}]);
    let first = slice(
        "IPv4",
        ports.clone(),
        json!([
            {"addresses": ["10.0.0.3", "10.0.0.99"], "conditions": {"ready": true}},
            {"addresses": ["10.0.0.2"]},
            {"addresses": ["10.0.0.4"], "conditions": {"ready": false, "serving": true}},
            {"addresses": ["10.0.0.5"], "conditions": {"ready": false, "serving": true, "terminating": true}},
            {"addresses": ["10.0.0.6"], "conditions": {"ready": true, "terminating": true}},
            {"addresses": ["not/an/address"]},
            {"addresses": []},
        ]),
    );
    // While a slice is written anew an endpoint may be in two; here its pods have another port number as well.
    let second = slice("IPv4", ports, json!([{"addresses": ["10.0.0.3"]}]));
    let third = slice(
        "IPv4",
        json!([{"name": "web", "port": 8081}]),
        json!([{"addresses": ["10.0.0.1"]}]),
    );
    let udp = slice(
        "IPv4",
        json!([{"name": "web", "port": 53, "protocol": "UDP"}]),
        json!([{"addresses": ["10.0.0.7"]}]),
    );
    let snapshot = world(spec, &[first, second, third, udp]);
    let expected = ["http://10.0.0.1:8081", "http://10.0.0.2:8080", "http://10.0.0.3:8080"];
    for port in [json!({"number": 80}), json!({"name": "web"})] {
        let target = resolve(&snapshot, port, ENDPOINTS);
        assert_eq!(
            (target.list, target.problem),
            (expected.map(String::from).to_vec(), None)
        );
        assert_eq!(target.url, "http://web.ns.svc.cluster.local:80");
    }
    let admin = resolve(&snapshot, json!({"name": "admin"}), ENDPOINTS);
    assert_eq!(admin.list, ["http://10.0.0.2:9090", "http://10.0.0.3:9090"]);
}

#[test]
fn pods_that_end_serve_while_no_other_does() {
    let ending = json!({"ready": false, "serving": true, "terminating": true});
    let gone = json!({"ready": false, "serving": false, "terminating": true});
    let not_ready = json!({"ready": false, "serving": false, "terminating": false});
    let endpoints = json!([
        {"addresses": ["10.0.0.1"], "conditions": ending},
        {"addresses": ["10.0.0.2"], "conditions": gone},
        {"addresses": ["10.0.0.3"], "conditions": not_ready},
    ]);
    let spec = json!({"ports": [{"port": 80}]});
    let snapshot = world(spec.clone(), &[slice("IPv4", json!([{"port": 80}]), endpoints)]);
    assert_eq!(
        resolve(&snapshot, json!({"number": 80}), ENDPOINTS).list,
        ["http://10.0.0.1:80"]
    );

    let endpoints = json!([{"addresses": ["10.0.0.3"], "conditions": not_ready}]);
    for slices in [vec![], vec![slice("IPv4", json!([{"port": 80}]), endpoints)]] {
        let target = resolve(&world(spec.clone(), &slices), json!({"number": 80}), ENDPOINTS);
        assert_eq!(code(&target), Some(Code::EndpointsNotReady));
        assert_eq!((target.url.as_str(), target.list.len()), (NO_ENDPOINTS, 0));
    }
}

#[test]
fn a_pod_of_two_families_counts_once() {
    let slices = [
        slice("IPv4", json!([{"port": 80}]), json!([{"addresses": ["10.0.0.1"]}])),
        slice("IPv6", json!([{"port": 80}]), json!([{"addresses": ["fd00::1"]}])),
    ];
    let list = |families: Value| {
        let snapshot = world(json!({"ports": [{"port": 80}], "ipFamilies": families}), &slices);
        resolve(&snapshot, json!({"number": 80}), ENDPOINTS).list
    };
    assert_eq!(list(json!(["IPv4", "IPv6"])), ["http://10.0.0.1:80"]);
    assert_eq!(list(json!(["IPv6"])), ["http://[fd00::1]:80"]);
}

#[test]
fn endpoints_may_have_names() {
    let slices = [slice(
        "FQDN",
        json!([{"port": 80}]),
        json!([{"addresses": ["pod.example.org"]}]),
    )];
    for families in [json!(["IPv4"]), json!(["IPv6", "IPv4"]), Value::Null] {
        let snapshot = world(json!({"ports": [{"port": 80}], "ipFamilies": families}), &slices);
        let target = resolve(&snapshot, json!({"number": 80}), ENDPOINTS);
        assert_eq!(
            (target.list, target.problem),
            (vec!["http://pod.example.org:80".to_owned()], None)
        );
    }
}

#[test]
fn endpoints_of_each_protocol() {
    let slices = [slice(
        "IPv4",
        json!([{"port": 8443}]),
        json!([{"addresses": ["10.0.0.1"]}]),
    )];
    for (protocol, list, problem) in [
        ("https", vec!["https://10.0.0.1:8443"], None),
        ("ws", vec!["ws://10.0.0.1:8443"], None),
        ("wss", vec!["wss://10.0.0.1:8443"], None),
        ("grpc", vec![], Some(Code::AnnotationWithoutEffect)),
    ] {
        let snapshot = world(json!({"ports": [{"port": 443}]}), &slices);
        let annotations = [ENDPOINTS[0], ("backend-protocol", protocol)];
        let target = resolve(&snapshot, json!({"number": 443}), &annotations);
        assert_eq!(
            (target.list.clone(), code(&target)),
            (list.iter().map(|s| (*s).to_owned()).collect(), problem)
        );
        assert!(
            target.url.ends_with("://web.ns.svc.cluster.local:443"),
            "{}",
            target.url
        );
    }
    let external = json!({"type": "ExternalName", "externalName": "api.example.org"});
    let target = resolve(&world(external, &[]), json!({"number": 80}), ENDPOINTS);
    assert_eq!(code(&target), Some(Code::AnnotationWithoutEffect));
    assert_eq!(target.url, "http://api.example.org:80");
}

#[test]
fn a_headless_service_is_reached_at_the_port_of_its_pods() {
    let spec = json!({"clusterIP": "None", "ports": [{"name": "web", "port": 80, "targetPort": "http"}]});
    let slices = [slice(
        "IPv4",
        json!([{"name": "web", "port": 8080}]),
        json!([{"addresses": ["10.0.0.1"]}]),
    )];
    let snapshot = world(spec, &slices);
    let by_name = resolve(&snapshot, json!({"name": "web"}), &[]);
    assert_eq!(
        (by_name.url.as_str(), by_name.problem),
        ("http://web.ns.svc.cluster.local:8080", None)
    );
    let balanced = resolve(&snapshot, json!({"name": "web"}), ENDPOINTS);
    assert_eq!(balanced.list, ["http://10.0.0.1:8080"]);
}

#[test]
fn slices_of_other_services_and_namespaces_are_not_ours() {
    let mut snapshot = world(json!({"ports": [{"port": 80}]}), &[]);
    for (namespace, service) in [("other", "web"), ("ns", "api")] {
        let labels = json!({"kubernetes.io/service-name": service});
        let mut foreign = slice("IPv4", json!([{"port": 80}]), json!([{"addresses": ["10.0.0.1"]}]));
        foreign["metadata"] = json!({"name": "web-x", "namespace": namespace, "labels": labels});
        snapshot.insert::<EndpointSlice>(serde_json::from_value(foreign).unwrap());
    }
    assert_eq!(
        code(&resolve(&snapshot, json!({"number": 80}), ENDPOINTS)),
        Some(Code::EndpointsNotReady)
    );
}

#[test]
fn a_canary_has_its_share_of_the_turns() {
    let snapshot = world(json!({"ports": [{"port": 80}]}), &[]);
    for (canary, turns, canaries) in [
        ("next:80=20", 5, 1),
        ("next:80=33", 100, 33),
        ("next:80=0", 1, 0),
        ("next:80=100", 1, 1),
    ] {
        let target = resolve(
            &snapshot,
            json!({"number": 80}),
            &[("canary", canary), ("upstream", "endpoints")],
        );
        let found = target.list.iter().filter(|url| url.contains("//next.")).count();
        assert_eq!((target.list.len(), found), (turns, canaries), "{canary}");
        assert_eq!(code(&target), Some(Code::BackendNotFound));
    }
    let target = resolve(
        &snapshot,
        json!({"number": 80}),
        &[("canary", "next:80=20"), ("backend-protocol", "h2c")],
    );
    assert!(target.list.is_empty() && code(&target) == Some(Code::AnnotationWithoutEffect));
}
