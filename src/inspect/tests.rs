#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::json::Filter;
use super::redact::{redacted, url};
use super::{PageRequest, World, json, page};
use crate::desired::{self, Operator};
use crate::ingress;
use crate::snapshot::Loader;
use crate::sync::{ApiOutcome, Outcome};

/// Each is planted where a user may have one.
const SECRETS: &[&str] = &[
    "planted-hmac",
    "planted-jwt",
    "planted-header",
    "planted-config",
    "planted-signing",
    "planted-basic",
    "planted-url",
    "planted-pem",
    "planted-query",
    "planted-env",
    "planted-plugin",
    "planted-webhook",
    "plantedbodytext0",
    "planted-unknown",
    "planted-annotation",
    "planted-secret",
    "planted-name",
    "planted-document",
    "planted-configmap",
    "planted-data-source",
    "424242",
];

const MANIFESTS: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: web, annotations: {kubernetes.io/ingress.class: tyk, note: planted-annotation}}
spec:
  rules:
    - host: shop.example.com
      http: {paths: [{path: /cart, pathType: Prefix, backend: {service: {name: cart, port: {number: 80}}}}]}
    - host: <b>bad</b>
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: cart, port: {number: 80}}}}]}
---
apiVersion: tyk.tyk.io/v1alpha1
kind: ApiDefinition
metadata: {name: pay, namespace: web}
spec:
  name: pay
  protocol: http
  active: true
  use_keyless: true
  request_signing: {is_enabled: true, secret: planted-signing, key_id: planted-hmac}
  jwt_source: planted-jwt
  config_data: {name: planted-name, host: planted-config, pin: 424242}
  auth_configs: {basic: {auth_header_name: X-Key}}
  response_processors: [{name: header_injector, options: {add_headers: {path: planted-header}}}]
  custom_middleware: {driver: goplugin, pre: [{name: Pre, path: /x.so, raw_body_only: true, extra: planted-plugin}]}
  event_handlers: {events: {AuthFailure: [{handler_name: eh_web_hook_handler, handler_meta: {target_path: "https://h/planted-webhook", header_map: {name: planted-header}}}]}}
  global_headers_note: planted-unknown
  some_new_field: {token_of_something: planted-unknown, text: planted-unknown}
  upstream_note: "-----BEGIN PRIVATE KEY-----planted-pem"
  tags: ["-----BEGIN PRIVATE KEY-----planted-pem"]
  graphql: {enabled: false, engine: {data_sources: [{config: {url: planted-data-source, headers: {id: planted-header}}}]}}
  proxy: {listen_path: /pay, target_url: "http://user:planted-basic@pay.svc:80/v1?token=planted-query", strip_listen_path: true}
  version_data:
    not_versioned: true
    versions:
      Default:
        name: Default
        global_headers: {host: planted-header}
        extended_paths: {transform: [{path: /x, method: GET, template_data: {template_mode: blob, input_type: json, template_source: plantedbodytext0}}]}
---
apiVersion: tyk.tyk.io/v1alpha1
kind: OperatorContext
metadata: {name: east, namespace: web}
spec: {env: {mode: ce, url: "http://gw:8080", auth: planted-env, org: o}}
---
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: web}
stringData: {auth: planted-secret, host: planted-secret}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: doc, namespace: web}
data: {oas: planted-configmap}
---
apiVersion: tyk.tyk.io/v1alpha1
kind: TykOasApiDefinition
metadata: {name: oas, namespace: web}
spec:
  tykOAS:
    document:
      openapi: 3.0.3
      info: {title: oas, version: "1", description: planted-document}
      paths: {/x: {get: {operationId: x, responses: {"200": {description: planted-document}}}}}
      components: {schemas: {A: {example: {name: planted-document}, default: planted-document}}}
      x-tyk-api-gateway:
        info: {name: oas, state: {active: true}}
        server: {listenPath: {value: /oas, strip: true}}
        upstream: {url: "https://up.example.com/?key=planted-query", authentication: {enabled: true, basicAuth: {username: planted-basic, password: planted-basic}}}
        middleware: {global: {pluginConfig: {data: {value: {name: planted-name}}}, transformRequestHeaders: {enabled: true, add: [{name: X-A, value: planted-header}]}}}
"#;

fn now() -> Timestamp {
    Timestamp::from_second(1_000).unwrap()
}

fn world(error: Option<&str>) -> World {
    let mut loader = Loader::default();
    loader.text("manifests", MANIFESTS).unwrap();
    let snapshot = loader.finish().snapshot;
    let translation = ingress::render(&snapshot, &ingress::Options::default());
    let operator = Operator::new(desired::Context::at_url("http://own:planted-url@gateway:8080"));
    let (fleet, found) = desired::build_all(&snapshot, &translation, &operator);
    let mut diagnostics = translation.diagnostics.clone();
    diagnostics.extend(found);
    let fleet = Arc::new(fleet);
    let mut world = World::default();
    world.translated(
        Arc::new(snapshot),
        (Arc::new(translation), fleet.clone()),
        Arc::new(diagnostics),
        now(),
    );
    for (tyk, desired) in &fleet.tyks {
        let state = |id: &str| match desired.api(id).unwrap().source.name.as_ref() {
            "pay" => ApiOutcome::Failed("not <taken>".into()),
            _ => ApiOutcome::Synced,
        };
        let apis: BTreeMap<_, _> = desired.wanted().map(|(id, _)| (id.clone(), state(id))).collect();
        let outcome = Outcome {
            tyk: tyk.clone(),
            desired: desired.clone(),
            endpoint_error: error.map(str::to_owned),
            apis: apis.into(),
            ..Outcome::default()
        };
        world.ended(outcome, now());
    }
    world
}

fn html(world: &World, filter: &str) -> String {
    let now = Timestamp::from_second(1_090).unwrap();
    let request = PageRequest {
        filter: filter.into(),
        now,
    };
    page(world, &request)
}

#[test]
fn no_answer_holds_a_planted_secret() {
    let world = world(None);
    let answers = [
        ("snapshot", json::snapshot(&world, &Filter::default()).to_string()),
        ("desired", json::desired(&world).to_string()),
        ("plan", json::plan(&world).to_string()),
        ("diagnostics", json::diagnostics(&world).to_string()),
        ("page", html(&world, "")),
    ];
    for (name, text) in answers {
        for secret in SECRETS {
            let at = text
                .find(secret)
                .map(|at| &text[at.saturating_sub(120)..at + secret.len()]);
            assert_eq!(at, None, "{secret} in {name}");
        }
    }
    // They are in what the gateway is sent, or this would prove nothing.
    let apis = world.fleet.tyks.values().flat_map(|desired| desired.apis.values());
    let sent: String = apis.map(|api| api.payload.text()).collect();
    for secret in [
        "planted-signing",
        "planted-jwt",
        "planted-config",
        "planted-query",
        "planted-unknown",
        "424242",
    ] {
        assert!(sent.contains(secret), "{secret}");
    }
}

#[test]
fn what_routes_and_identifies_is_shown() {
    let desired = json::desired(&world(None));
    let tyk = desired["tyks"].as_array().unwrap();
    let tyk = tyk.iter().find(|tyk| tyk["tyk"] == "http://***@gateway:8080").unwrap();
    let find = |kind: &str, source: &str| -> Value {
        let apis = tyk[kind].as_object().unwrap();
        apis.values().find(|api| api["source"] == source).unwrap()["payload"].clone()
    };
    let pay = find("apis", "ApiDefinition web/pay");
    assert_eq!(pay["proxy"]["listen_path"], "/pay");
    assert_eq!(pay["proxy"]["target_url"], "http://***@pay.svc:80/v1?***");
    assert_eq!(pay["version_data"]["versions"]["Default"]["name"], "Default");
    assert_eq!(pay["use_keyless"], true);
    let oas = find("oas", "TykOasApiDefinition web/oas");
    assert_eq!(oas["x-tyk-api-gateway"]["server"]["listenPath"]["value"], "/oas");
}

#[test]
fn keys_that_anybody_may_choose_show_nothing() {
    let shown = redacted(&json!({"headers": {"name": "a", "n": 1, "on": true, "list": ["b", ""]}, "name": "c"}));
    let expected = json!({"headers": {"name": "***", "n": "***", "on": true, "list": ["***", ""]}, "name": "c"});
    assert_eq!(shown, expected);
}

#[test]
fn urls_keep_what_leads_and_not_what_opens() {
    assert_eq!(url("https://a:b@h.com:1/p/q?x=y#z"), "https://***@h.com:1/p/q?***");
    assert_eq!(url("http://a@b@h/"), "http://***@h/");
    assert_eq!(url("tyk://self/x"), "tyk://self/x");
    assert_eq!(url("user:pw@h/p"), "***@h/p");
    assert_eq!(url("http://h"), "http://h");
}

#[test]
fn the_snapshot_is_filtered_by_kind_and_name() {
    let world = world(None);
    let filter = |kind: &str, name: &str| Filter {
        kind: kind.into(),
        name: name.into(),
    };
    let shown = json::snapshot(&world, &filter("ingress", "web/sh"));
    let path = shown.pointer("/Ingress/web~1shop/spec/rules/0/http/paths/0/path");
    assert_eq!(path, Some(&json!("/cart")), "{shown:#}");
    assert_eq!(shown.as_object().unwrap().len(), 1);
    assert_eq!(json::snapshot(&world, &filter("", "nothing")), json!({}));
}

#[test]
fn the_page_tells_what_is_served_and_what_is_wrong() {
    let page = html(&world(None), "");
    for text in [
        "shop.example.com",
        "/cart",
        "InvalidHost",
        "SyncFailed",
        "not &lt;taken&gt;",
        "web/east",
        "90 s ago",
        ">up<",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(!page.contains("<b>bad"), "{page}");
    assert!(page.contains("&lt;b&gt;bad"), "{page}");
}

#[test]
fn a_tyk_that_is_down_says_so_once() {
    let world = world(Some("connection refused"));
    assert!(
        world
            .findings()
            .iter()
            .all(|found| found.code != crate::diagnostic::Code::SyncFailed)
    );
    let page = html(&world, "");
    assert!(
        page.contains(">down<") && page.contains("connection refused") && page.contains(">never<"),
        "{page}"
    );
}

#[test]
fn the_filter_leaves_what_has_the_text() {
    let page = html(&world(None), "\"><SHOP.example");
    assert!(page.contains("value=\"&quot;&gt;&lt;SHOP.example\""), "{page}");
    let page = html(&world(None), "SHOP.example");
    assert!(page.contains("1 of 3") && !page.contains("/oas"), "{page}");
}
