//! What is remembered of one run changes nothing in the next: after any edits the result is that of a run that knows nothing.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use proptest::prelude::*;
use serde_json::{Value, json};
use tyk_ingress::api::{ApiDefinition, OperatorContext};
use tyk_ingress::desired::{Context, Operator};
use tyk_ingress::ingress::{HttpForTlsHosts, Options};
use tyk_ingress::snapshot::{NamespacedName, Snapshot, Stored, TlsSecret};
use tyk_ingress::stages::{self, Made, Memo};

/// One change of the world, or of the settings.
#[derive(Clone, Debug)]
enum Edit {
    /// An object comes, or another one in the place of an object of its name.
    Put(Value),
    /// The object of this kind and name goes.
    Remove(&'static str, &'static str),
    /// Redirects to https, or none.
    Redirects(bool),
    /// Organisation of the operator's own settings.
    Organisation(&'static str),
}

fn metadata(name: &str) -> Value {
    json!({"name": name, "namespace": "ns", "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"})
}

fn an_ingress() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(&["i0", "i1", "i2", "i3"][..]);
    let host = prop::sample::select(&["a.com", "b.com", "x.b.com", "*.b.com", "*.com", "", "Bad"][..]);
    let path = prop::sample::select(&["/", "/x", "/x/", "no-slash"][..]);
    let service = prop::sample::select(&["s0", "s1", "none"][..]);
    let annotation = prop::sample::select(
        &[
            None,
            None,
            Some(("template", "t")),
            Some(("template", "missing")),
            Some(("template-kind", "TykOasApiDefinition")),
            Some(("upstream", "endpoints")),
            Some(("canary", "s1:80=20")),
            Some(("timeout", "3s")),
            Some(("unknown", "x")),
            Some(("path-matching", "legacy")),
            Some(("ssl-redirect", "true")),
        ][..],
    );
    let more = (
        prop::sample::select(&["tyk", "tyk", "tyk", "other"][..]),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.1),
    );
    (name, host, prop::collection::vec((path, service), 0..3), annotation, more).prop_map(
        |(name, host, paths, annotation, (class, tls, default, deleted))| {
            let backend = |service: &str| json!({"service": {"name": service, "port": {"number": 80}}});
            let path = |(path, service): (&str, &str)| json!({"path": path, "pathType": "Prefix", "backend": backend(service)});
            let paths: Vec<_> = paths.into_iter().map(path).collect();
            let host = Some(host).filter(|host| !host.is_empty());
            let mut spec = json!({"ingressClassName": class, "rules": [{"host": host, "http": {"paths": paths}}]});
            let mut metadata = metadata(name);
            if let Some((key, value)) = annotation {
                let key = format!("tyk.io/{key}");
                metadata["annotations"] = json!({key: value, "tyk.io/other": "x"});
            }
            if tls {
                spec["tls"] = json!([{"hosts": ["a.com", "*.b.com"], "secretName": "tls"}]);
            }
            if default {
                spec["defaultBackend"] = backend("s0");
            }
            if deleted {
                metadata["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
            }
            json!({"kind": "Ingress", "metadata": metadata, "spec": spec})
        },
    )
}

fn a_service() -> impl Strategy<Value = Value> {
    let spec = prop::sample::select(vec![
        json!({"ports": [{"port": 80}]}),
        json!({"ports": [{"port": 80, "appProtocol": "https"}]}),
        json!({"ports": [{"port": 81}]}),
        json!({"clusterIP": "None", "ports": [{"name": "http", "port": 80, "targetPort": "web"}]}),
        json!({"type": "ExternalName", "externalName": "example.com"}),
    ]);
    (prop::sample::select(&["s0", "s1"][..]), spec)
        .prop_map(|(name, spec)| json!({"kind": "Service", "metadata": metadata(name), "spec": spec}))
}

fn a_slice() -> impl Strategy<Value = Value> {
    (prop::sample::select(&["s0", "s1"][..]), 0..3_u8).prop_map(|(service, count)| {
        let endpoint = |last| json!({"addresses": [format!("10.0.0.{last}")], "conditions": {"ready": true}});
        let mut metadata = metadata(&format!("{service}-x"));
        metadata["labels"] = json!({"kubernetes.io/service-name": service});
        json!({"kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}], "endpoints": (0..count).map(endpoint).collect::<Vec<_>>()})
    })
}

fn another() -> impl Strategy<Value = Value> {
    let mut template = metadata("t");
    template["labels"] = json!({"template": "true"});
    let definition = |spec: Value| {
        let mut all = json!({"name": "t", "protocol": "http", "active": true, "use_keyless": true,
            "proxy": {"listen_path": "/t/", "target_url": "http://t.test"}});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        json!({"kind": "ApiDefinition", "metadata": template, "spec": all})
    };
    let own = |domain: &str| {
        let proxy = json!({"listen_path": "/x{tykp:/|$}", "target_url": "http://own.test"});
        let spec = json!({"name": "h", "protocol": "http", "active": true, "use_keyless": true, "domain": domain, "proxy": proxy});
        json!({"kind": "ApiDefinition", "metadata": metadata("h"), "spec": spec})
    };
    let class = |parameters: Value| {
        let spec = json!({"controller": "tyk.io/ingress-controller", "parameters": parameters});
        json!({"kind": "IngressClass", "metadata": {"name": "tyk"}, "spec": spec})
    };
    let context = |port: u16| {
        let env = json!({"ingress": {"httpPort": port}, "org": "there"});
        json!({"kind": "OperatorContext", "metadata": metadata("ctx"), "spec": {"env": env}})
    };
    let parameters = json!({"apiGroup": "tyk.tyk.io", "kind": "OperatorContext", "name": "ctx", "namespace": "ns", "scope": "Namespace"});
    let mut ending = json!({"name": "ns"});
    ending["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
    prop::sample::select(vec![
        definition(json!({})),
        definition(json!({"contextRef": {"name": "ctx"}})),
        definition(json!({"use_mutual_tls_auth": true})),
        own("{tykhost:(?i)a\\.com[.]?}"),
        own(""),
        class(Value::Null),
        class(parameters),
        context(81),
        context(82),
        json!({"kind": "Namespace", "metadata": {"name": "ns"}}),
        json!({"kind": "Namespace", "metadata": ending}),
        json!({"kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata("tls"), "data": {"tls.crt": "", "tls.key": ""}}),
    ])
}

fn edit() -> impl Strategy<Value = Edit> {
    let gone = prop::sample::select(
        &[
            ("Ingress", "i0"),
            ("Ingress", "i1"),
            ("Ingress", "i2"),
            ("Service", "s0"),
            ("EndpointSlice", "s0-x"),
            ("ApiDefinition", "t"),
            ("IngressClass", "tyk"),
            ("OperatorContext", "ctx"),
        ][..],
    );
    prop_oneof![
        8 => an_ingress().prop_map(Edit::Put),
        3 => a_service().prop_map(Edit::Put),
        1 => a_slice().prop_map(Edit::Put),
        3 => another().prop_map(Edit::Put),
        3 => gone.prop_map(|(kind, name)| Edit::Remove(kind, name)),
        1 => any::<bool>().prop_map(Edit::Redirects),
        1 => prop::sample::select(&["", "org"][..]).prop_map(Edit::Organisation),
    ]
}

/// The world and the settings.
#[derive(Default)]
struct Site {
    snapshot: Snapshot,
    options: Options,
    own: Context,
}

impl Site {
    fn edit(&mut self, edit: &Edit) {
        match edit {
            Edit::Put(object) => self.put(object.clone()),
            Edit::Remove(kind, name) => self.remove(kind, name),
            Edit::Redirects(on) => {
                self.options.http_for_tls_hosts = if *on {
                    HttpForTlsHosts::Redirect
                } else {
                    HttpForTlsHosts::Serve
                };
                self.options.redirector_url = Some("http://redirector.test".into());
            }
            Edit::Organisation(org) => self.own.org = (*org).to_owned(),
        }
    }

    fn put(&mut self, object: Value) {
        let world = &mut self.snapshot;
        macro_rules! put {
            ($($kind:literal $type:ty),*) => {
                match object["kind"].as_str().unwrap() {
                    $($kind => drop(world.insert::<$type>(serde_json::from_value(object).unwrap())),)*
                    other => panic!("{other}"),
                }
            };
        }
        put!("Ingress" Ingress, "Service" Service, "EndpointSlice" EndpointSlice, "ApiDefinition" ApiDefinition,
            "IngressClass" IngressClass, "OperatorContext" OperatorContext, "Namespace" Namespace, "Secret" TlsSecret);
    }

    fn remove(&mut self, kind: &str, name: &str) {
        let world = &mut self.snapshot;
        let key = NamespacedName::new("ns", name);
        match kind {
            "Ingress" => drop(world.remove::<Ingress>(&key)),
            "Service" => drop(world.remove::<Service>(&key)),
            "EndpointSlice" => drop(world.remove::<EndpointSlice>(&key)),
            "ApiDefinition" => drop(world.remove::<ApiDefinition>(&key)),
            "OperatorContext" => drop(world.remove::<OperatorContext>(&key)),
            _ => drop(world.remove::<IngressClass>(&NamespacedName::new("", name))),
        }
    }

    fn made(&self, memo: &mut Memo, second: i64) -> Made {
        let now = Timestamp::from_second(1_770_000_000 + second).unwrap();
        let operator = Operator::new(self.own.at(now));
        stages::run_again(&self.snapshot, &self.options, &operator, (memo, || ()))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_remembered_changes_nothing(edits in prop::collection::vec(prop::collection::vec(edit(), 0..4), 1..12)) {
        let (mut site, mut memo) = (Site::default(), Memo::default());
        for (turn, edits) in edits.iter().enumerate() {
            edits.iter().for_each(|edit| site.edit(edit));
            let again = site.made(&mut memo, turn as i64);
            let fresh = site.made(&mut Memo::default(), turn as i64);
            prop_assert_eq!(&again.translation.children, &fresh.translation.children);
            prop_assert_eq!(&again.translation.oas_children, &fresh.translation.oas_children);
            prop_assert_eq!(&again.translation.held, &fresh.translation.held);
            prop_assert_eq!(&again.translation.ingresses, &fresh.translation.ingresses);
            prop_assert_eq!(&again.translation.ending, &fresh.translation.ending);
            prop_assert_eq!(&again.diagnostics, &fresh.diagnostics);
            prop_assert_eq!(&again.fleet, &fresh.fleet);
        }
    }
}

/// Three Ingresses of one path each.
fn three() -> Site {
    let mut site = Site::default();
    for number in 0..3 {
        let backend = json!({"service": {"name": "s0", "port": {"number": 80}}});
        let rules = json!([{"host": format!("h{number}.com"),
            "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]);
        let spec = json!({"ingressClassName": "tyk", "rules": rules});
        site.put(json!({"kind": "Ingress", "metadata": metadata(&format!("i{number}")), "spec": spec}));
    }
    site
}

#[test]
fn an_ingress_whose_status_is_written_is_not_rendered_again_and_its_old_object_not_held() {
    let (mut site, mut memo) = (three(), Memo::default());
    let before = site.made(&mut memo, 0).translation.children;
    let old: Vec<_> = site.snapshot.ingresses.values().cloned().collect();
    for ingress in &old {
        let mut told = Arc::unwrap_or_clone(ingress.whole());
        told.metadata.resource_version = Some("2".into());
        told.status = serde_json::from_value(json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}})).unwrap();
        site.snapshot.insert(told);
    }
    let after = site.made(&mut memo, 1).translation.children;
    assert_eq!((before.len(), after.len()), (3, 3));
    assert!(
        before
            .values()
            .zip(after.values())
            .all(|(one, other)| Arc::ptr_eq(one, other))
    );
    // Beside the one in the list.
    assert!(old.iter().all(|ingress| Arc::strong_count(&ingress.held()) == 2));
}

#[test]
fn what_has_not_changed_is_the_same_object() {
    let mut site = three();
    let mut memo = Memo::default();
    let before = site.made(&mut memo, 0);
    let mut moved = serde_json::to_value(site.snapshot.ingresses.values().next().unwrap().whole().as_ref()).unwrap();
    moved["spec"]["rules"][0]["http"]["paths"][0]["path"] = json!("/moved");
    site.put(moved);
    let after = site.made(&mut memo, 1);
    let payloads = |made: &Made| -> Vec<_> {
        let tyks = made.fleet.tyks.values();
        tyks.flat_map(|desired| desired.apis.values().map(|api| api.payload.clone()))
            .collect()
    };
    let (before, after) = (payloads(&before), payloads(&after));
    let kept = after
        .iter()
        .filter(|payload| before.iter().any(|one| one.is_shared_with(payload)))
        .count();
    assert_eq!((before.len(), after.len(), kept), (3, 3, 2));
}
