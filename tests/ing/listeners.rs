//! Ports, TLS and authentication of what is served.

use serde_json::{Value, json};
use tyk_ingress::diagnostic::Code;

use crate::world::{World, ingress, rule, world};

/// Port and Secrets of each listener of a host, the ports in order.
fn listeners(world: &World, host: &str) -> Vec<(u64, Value)> {
    let children = world.children().into_iter().filter(|child| *child.host == *host);
    let mut found: Vec<_> = children
        .map(|child| {
            let definition = child.spec.definition.fields();
            let port = definition
                .get("listen_port")
                .and_then(Value::as_u64)
                .unwrap_or_default();
            (
                port,
                definition.get("certificate_secret_names").cloned().unwrap_or_default(),
            )
        })
        .collect();
    found.sort_by_key(|(port, _)| *port);
    found
}

/// Tyk Operator serves https only for a TLS host that equals the rule's, and http for it no more; here wildcard entries
/// and entries without hosts count too, and http is served beside https.
#[test]
fn ing_11_wildcard_and_hostless_tls_count_and_http_stays() {
    let serves_both = |tls: Value, host: &str, secret: &str| {
        let spec = json!({"tls": [tls], "rules": [rule(host, "Prefix", "/", "web")]});
        let world = world(&[ingress("shop", json!({}), spec)]);
        assert_eq!(
            listeners(&world, host),
            [(0, Value::Null), (8443, json!([secret]))],
            "{host}"
        );
    };
    serves_both(json!({"hosts": ["shop.test"], "secretName": "own"}), "shop.test", "own");
    serves_both(json!({"hosts": ["*.test"], "secretName": "wild"}), "shop.test", "wild");
    serves_both(json!({"secretName": "all"}), "shop.test", "all");
    serves_both(json!({"secretName": "all"}), "*.test", "all");
}

/// Tyk Operator leaves the template's authentication on the path of an HTTP-01 challenge, which then answers 401; here
/// that path is keyless and on http, and its neighbours keep the template.
#[test]
fn ing_12_an_acme_challenge_needs_no_key() {
    let template = json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "ApiDefinition",
        "metadata": {"name": "protected", "namespace": "default", "labels": {"template": "true"}},
        "spec": {"name": "protected", "use_keyless": false, "use_standard_auth": true,
            "proxy": {"target_url": "http://example.com", "strip_listen_path": true}}});
    let challenge = "/.well-known/acme-challenge/token";
    let spec = json!({"tls": [{"secretName": "all"}], "rules": [
        rule("shop.test", "Prefix", "/cart", "cart"),
        rule("shop.test", "Exact", challenge, "cm-acme-http-solver-x1"),
        rule("shop.test", "Prefix", "/odd", "cm-acme-http-solver-x2")]});
    let world = world(&[template, ingress("shop", json!({"tyk.io/template": "protected"}), spec)]);
    for child in world.children() {
        let definition = child.spec.definition.fields();
        let open = definition["use_keyless"] == true && definition.get("use_standard_auth") != Some(&json!(true));
        assert_eq!(open, *child.path != *"/cart", "{definition:?}");
        assert_eq!(
            definition["proxy"]["strip_listen_path"],
            *child.path == *"/cart",
            "{definition:?}"
        );
        assert!(
            !open || definition.get("protocol") != Some(&json!("https")),
            "{definition:?}"
        );
    }
    assert!(world.target("shop.test", challenge).is_some());
}

/// Tyk Operator reads the Ingress ports of no OperatorContext; here those of the context that the IngressClass or the
/// template names are used.
#[test]
fn ing_14_ports_come_from_the_context() {
    let context = json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "OperatorContext",
        "metadata": {"name": "team", "namespace": "default"},
        "spec": {"env": {"ingress": {"httpPort": 8180, "httpsPort": 8543}}}});
    let template = json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "ApiDefinition",
        "metadata": {"name": "team", "namespace": "default", "labels": {"template": "true"}},
        "spec": {"name": "team", "contextRef": {"name": "team", "namespace": "default"}, "use_keyless": true}});
    let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "tyk"},
        "spec": {"controller": "tyk.io/ingress-controller", "parameters": {"apiGroup": "tyk.tyk.io",
            "kind": "OperatorContext", "name": "team", "namespace": "default", "scope": "Namespace"}}});
    let spec = json!({"tls": [{"secretName": "all"}], "rules": [rule("shop.test", "Prefix", "/", "web")]});
    for objects in [
        vec![class, ingress("shop", json!({}), spec.clone())],
        vec![template, ingress("shop", json!({"tyk.io/template": "team"}), spec)],
    ] {
        let world = world(&[objects, vec![context.clone()]].concat());
        let ports: Vec<_> = listeners(&world, "shop.test")
            .into_iter()
            .map(|(port, _)| port)
            .collect();
        assert_eq!(ports, [8180, 8543]);
        assert!(!world.tells(Code::TemplateNotFound));
    }
}
