#![allow(clippy::unwrap_used)]
use serde_json::{Value, json};

use crate::api::names;
use crate::desired;
use crate::ingress::{Options, Translation, render};
use crate::snapshot::document::EXTENSION;
use crate::snapshot::{Loader, Snapshot};

fn template(change: impl FnOnce(&mut Value)) -> Value {
    let mut object = json!({
        "apiVersion": "tyk.tyk.io/v1alpha1", "kind": "TykOasApiDefinition",
        "metadata": {"name": "t", "labels": {names::LABEL_INGRESS_TEMPLATE: "true"}},
        "spec": {"tykOAS": {"document": {
            "openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": {}, "x-mine": 1,
            EXTENSION: {
                "info": {"id": "of-the-template", "name": "t", "state": {"active": true}},
                "upstream": {"url": "http://t", "loadBalancing": {"enabled": true}, "rateLimit": {"rate": 1}},
                "server": {"listenPath": {"value": "/t/"}, "customDomain": {"enabled": false, "name": "t.com"}},
            },
        }}},
    });
    change(&mut object);
    object
}

fn ingress(paths: Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "web", "annotations": {"tyk.io/template": "t", "tyk.io/template-kind": "TykOasApiDefinition"}},
        "spec": {"ingressClassName": "tyk", "rules": [{"host": "a.com", "http": {"paths": paths}}]},
    })
}

fn path(path: &str) -> Value {
    json!({"path": path, "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}})
}

fn rendered(objects: &[Value], options: &Options) -> (Snapshot, Translation) {
    let service =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}});
    let mut loader = Loader::default();
    for object in objects.iter().chain([&service]) {
        loader.text("a.yaml", &object.to_string()).unwrap();
    }
    let snapshot = loader.finish().snapshot;
    let translation = render(&snapshot, options);
    (snapshot, translation)
}

fn validating(object: &mut Value) {
    let operations = json!({"a": {"validateRequest": {"enabled": true}}});
    object["spec"]["tykOAS"]["document"][EXTENSION]["middleware"]["operations"] = operations;
}

/// The one document of a translation.
fn document(translation: &Translation) -> Value {
    assert_eq!(translation.oas_children.len(), 1);
    let child = translation.oas_children.values().next().unwrap();
    Value::Object(child.spec.tyk_oas.document.clone().unwrap())
}

#[test]
fn a_child_has_the_document_of_the_template_and_the_route_of_the_ingress() {
    let (_, translation) = rendered(&[template(|_| ()), ingress(json!([path("/foo")]))], &Options::default());
    assert!(translation.children.is_empty() && translation.diagnostics.is_empty());
    let (name, child) = translation.oas_children.first_key_value().unwrap();
    let hash = names::child_hash("a.com", "/foo", None);
    assert_eq!(*name.name, names::child_name("default", "web", &hash));
    assert_eq!((&*child.host, &*child.path), ("a.com", "/foo"));
    assert!(!child.definition().is_template());
    let document = document(&translation);
    let domain = &document[EXTENSION]["server"]["customDomain"];
    assert!(
        domain["enabled"] == true && domain["name"].as_str().unwrap().contains("a\\.com"),
        "{domain}"
    );
    assert_eq!(document["x-mine"], 1);
    assert_eq!(
        document[EXTENSION]["info"],
        json!({"name": name.name, "state": {"active": true}})
    );
    assert_eq!(
        document[EXTENSION]["server"]["listenPath"],
        json!({"value": "/foo{tykp:/|$}", "strip": false})
    );
    let preserved = json!({"enabled": true});
    let upstream = json!({"url": "http://web.default.svc.cluster.local:80", "rateLimit": {"rate": 1},
        "preserveHostHeader": preserved, "preserveTrailingSlash": preserved});
    assert_eq!(document[EXTENSION]["upstream"], upstream);
}

#[test]
fn what_the_template_says_itself_stays() {
    let explicit = template(|object| {
        let extension = &mut object["spec"]["tykOAS"]["document"][EXTENSION];
        extension["server"]["listenPath"]["strip"] = json!(true);
        extension["upstream"]["preserveHostHeader"] = json!({"enabled": false});
        object["spec"]["categories"] = json!(["shop"]);
        object["spec"]["customDomain"] = json!({"enabled": false, "name": "t.com", "certificates": ["id"]});
    });
    let (_, translation) = rendered(&[explicit, ingress(json!([path("/foo")]))], &Options::default());
    let document = document(&translation);
    assert_eq!(document[EXTENSION]["server"]["listenPath"]["strip"], true);
    assert_eq!(document[EXTENSION]["upstream"]["preserveHostHeader"]["enabled"], false);
    let spec = &translation.oas_children.values().next().unwrap().spec;
    assert_eq!(spec.categories, ["shop"]);
    let domain = spec.custom_domain.as_ref().unwrap();
    assert!(domain.enabled && domain.name != "t.com" && domain.certificates == ["id"]);
}

#[test]
fn an_operation_that_needs_the_literal_path_gets_a_classic_api_in_front() {
    for strip in [false, true] {
        let template = template(|object| {
            validating(object);
            object["spec"]["tykOAS"]["document"][EXTENSION]["server"]["listenPath"]["strip"] = json!(strip);
            object["spec"]["customDomain"] = json!({"enabled": true, "name": "t.com", "certificates": ["id"]});
        });
        let (snapshot, translation) = rendered(&[template, ingress(json!([path("/foo")]))], &Options::default());
        let (name, _) = translation.oas_children.first_key_value().unwrap();
        let id = names::api_id("default", &name.name);
        let document = document(&translation);
        let server = &document[EXTENSION]["server"];
        assert_eq!(
            *server,
            json!({"listenPath": {"value": format!("/{id}"), "strip": false}})
        );
        assert_eq!(
            document[EXTENSION]["info"]["state"],
            json!({"active": true, "internal": true})
        );
        let front = &translation
            .children
            .values()
            .next()
            .unwrap()
            .definition()
            .spec
            .definition;
        let front = front.value();
        assert_eq!(front["proxy"]["listen_path"], "/foo{tykp:/|$}");
        assert_eq!(front["proxy"]["target_url"], format!("tyk://{id}"));
        assert_eq!(front["proxy"]["strip_listen_path"], strip);
        assert_eq!(
            (&front["use_keyless"], &front["certificates"]),
            (&json!(true), &json!(["id"]))
        );
        assert!(front["domain"].as_str().unwrap().contains("a\\.com"), "{front:?}");
        let (desired, found) = desired::build(&snapshot, &translation, &desired::Context::default());
        assert_eq!(
            (desired.apis.len(), desired.oas.len(), found.len()),
            (1, 1, 0),
            "{found:?}"
        );
    }
}

#[test]
fn a_literal_path_needs_none() {
    let (_, translation) = rendered(
        &[template(validating), ingress(json!([path("/")]))],
        &Options::default(),
    );
    assert!(translation.children.is_empty());
    assert_eq!(document(&translation)[EXTENSION]["server"]["listenPath"]["value"], "/");
}

#[test]
fn the_http_port_is_that_of_the_options() {
    let options = Options {
        http_port: 8080,
        ..Options::default()
    };
    let (_, translation) = rendered(&[template(|_| ()), ingress(json!([path("/")]))], &options);
    let server = &document(&translation)[EXTENSION]["server"];
    assert_eq!((&server["port"], &server["protocol"]), (&json!(8080), &json!("http")));
}

#[test]
fn without_a_usable_template_both_children_are_held() {
    let broken = template(|object| object["spec"]["tykOAS"] = json!({"configmapRef": {"name": "c", "keyName": "k"}}));
    let no_extension = template(|object| object["spec"]["tykOAS"]["document"] = json!({"openapi": "3.0.3"}));
    for objects in [
        vec![ingress(json!([path("/foo")]))],
        vec![ingress(json!([path("/foo")])), broken],
        vec![ingress(json!([path("/foo")])), no_extension],
    ] {
        let (_, translation) = rendered(&objects, &Options::default());
        assert!(translation.children.is_empty() && translation.oas_children.is_empty());
        assert_eq!(translation.held.len(), 2, "{:?}", translation.held);
        let codes: Vec<_> = translation.diagnostics.iter().map(|one| one.code.as_str()).collect();
        assert_eq!(codes, ["TemplateNotFound"]);
    }
}
