//! What the neighbours of an object say is what the whole world says.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};
use tyk_ingress::admission::{Neighbours, Settings, Verdict};
use tyk_ingress::api::names;

use crate::world::{
    context, definition, document, ingress, of, policy, service, settings, snapshot, subject, translating, world_of,
};

const HOSTS: [&str; 6] = ["a.com", "b.com", "c.com", "*.com", "", "not_a_host"];
const PATHS: [&str; 4] = ["/", "/x", "/x/y", "no-slash"];
const INGRESSES: [&str; 5] = ["i0", "i1", "i2", "i3", "i4"];

fn an_ingress() -> impl Strategy<Value = Value> {
    let rule = (prop::sample::select(&HOSTS[..]), prop::sample::select(&PATHS[..]));
    let rules = prop::collection::vec(rule, 0..4);
    let annotation = prop::sample::select(
        &[
            ("", ""),
            ("", ""),
            ("tyk.io/template", "t"),
            ("tyk.io/template", "d0"),
            ("tyk.io/unknown", "t"),
            ("tyk.io/rate-limit", "t"),
            ("nginx.ingress.kubernetes.io/server-alias", "b.com"),
            ("nginx.ingress.kubernetes.io/use-regex", "true"),
            ("nginx.ingress.kubernetes.io/rewrite-target", "/other"),
            ("nginx.ingress.kubernetes.io/canary", "true"),
            ("nginx.ingress.kubernetes.io/from-to-www-redirect", "true"),
        ][..],
    );
    let more = (
        any::<bool>(),
        any::<bool>(),
        prop::sample::select(&["tyk", "tyk", "tyk", "other"][..]),
    );
    (prop::sample::select(&INGRESSES[..]), 0..5_u32, rules, annotation, more).prop_map(
        |(name, second, rules, (annotation, value), (tls, default, class))| {
            let mut object = ingress(name, second, &rules);
            object["spec"]["ingressClassName"] = json!(class);
            if tls {
                object["spec"]["tls"] = json!([{"hosts": ["a.com", "b.com"], "secretName": "later"}]);
            }
            if default {
                object["spec"]["defaultBackend"] = json!({"service": {"name": "shop", "port": {"number": 80}}});
            }
            if !annotation.is_empty() {
                object["metadata"]["annotations"] = json!({annotation: value});
            }
            object
        },
    )
}

/// Name that the child of some Ingress has, if there is one for this host and path.
fn child() -> impl Strategy<Value = String> {
    let place = (prop::sample::select(&HOSTS[..3]), prop::sample::select(&PATHS[..2]));
    (prop::sample::select(&INGRESSES[..]), place)
        .prop_map(|(name, (host, path))| names::child_name("default", name, &names::child_hash(host, path, None)))
}

fn a_definition() -> impl Strategy<Value = Value> {
    let route = (
        prop::sample::select(&["", "{tykhost:(?i)a\\.com[.]?}", "{tykhost:(?i)b\\.com[.]?}"][..]),
        prop::sample::select(&["/x{tykp:/|$}", "/", "/own", "/(x)"][..]),
    );
    let port = (
        prop::sample::select(&[0, 8443, 6000][..]),
        prop::sample::select(&["http", "https", "tcp"][..]),
    );
    let id = prop::option::weighted(0.3, child());
    let target = prop::option::weighted(0.3, child());
    let name = prop::sample::select(&["h0", "h1", "h2", "t"][..]);
    let context = prop::option::weighted(0.2, Just("ctx"));
    (name, 0..5_u32, route, port, (id, target, context)).prop_map(
        |(name, second, (domain, path), (port, protocol), (id, target, context))| {
            let mut spec = json!({
                "domain": domain, "listen_port": port, "protocol": protocol,
                "proxy": {"listen_path": path, "target_url": "http://a.test"}
            });
            if let Some(child) = id {
                spec["api_id"] = json!(names::api_id("default", &child));
            }
            if let Some(child) = target {
                spec["proxy"]["target_internal"] = json!({"target": {"name": child}});
            }
            if let Some(context) = context {
                spec["contextRef"] = json!({"name": context, "namespace": "default"});
            }
            definition(name, second, spec)
        },
    )
}

fn a_document() -> impl Strategy<Value = Value> {
    let path = prop::sample::select(&["/x", "/x{tykp:/|$}", "/own"][..]);
    let domain = prop::sample::select(&["", "a.com"][..]);
    let port = prop::sample::select(&[0, 8443][..]);
    let context = prop::option::weighted(0.2, Just("ctx"));
    (
        prop::sample::select(&["d0", "d1"][..]),
        0..5_u32,
        (path, domain, port),
        context,
    )
        .prop_map(|(name, second, (path, domain, port), context)| {
            let mut server = json!({"listenPath": {"value": path}});
            if !domain.is_empty() {
                server["customDomain"] = json!({"enabled": true, "name": domain});
            }
            if port != 0 {
                server["port"] = json!(port);
            }
            document(name, second, server, context)
        })
}

/// A context that means the operator's own Tyk, or another one.
fn a_context() -> impl Strategy<Value = Value> {
    prop::sample::select(&["http://gateway.test", "http://east.test", ""][..]).prop_map(context)
}

fn a_service() -> impl Strategy<Value = Value> {
    prop::sample::select(&[80, 81][..]).prop_map(|port| service("shop", port))
}

fn a_policy() -> impl Strategy<Value = Value> {
    let id = prop::option::of(Just("same"));
    let api = prop_oneof![child(), Just("h0".to_owned())];
    (prop::sample::select(&["p0", "p1"][..]), 0..5_u32, id, api)
        .prop_map(|(name, second, id, api)| policy(name, second, id, &api))
}

fn object() -> impl Strategy<Value = Value> {
    prop_oneof![8 => an_ingress(), 4 => a_definition(), 2 => a_policy(), 2 => a_document(), 1 => a_context()]
}

/// What is there besides, and is never the one that is asked about.
fn others() -> impl Strategy<Value = Vec<Value>> {
    prop::option::of(a_service()).prop_map(|service| service.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() })]

    /// Of an object that loses or wins several conflicts at once the two may tell another one first.
    #[test]
    fn a_part_of_the_world_decides_as_the_whole(
        objects in prop::collection::vec(object(), 0..9), others in others(), new in object(), translate in any::<bool>(),
    ) {
        let settings = if translate { translating() } else { settings() };
        let (part, whole) = verdicts(&[objects, others].concat(), &new, &settings);
        prop_assert_eq!(part.is_refusal(), whole.is_refusal(), "{:?} {:?}", part, whole);
    }
}

/// What is said of an object by its neighbours, and by the whole world.
fn verdicts(objects: &[Value], new: &Value, settings: &Settings) -> (Verdict, Verdict) {
    let world = world_of(snapshot(objects), settings);
    let new = subject(new);
    let mut with = world.snapshot.as_ref().clone();
    new.put(&mut with);
    let whole = Verdict::between(&new.reference, &settings.make(&world.snapshot), &settings.make(&with));
    let near = Neighbours::of(&world, &new, settings);
    (Verdict::between(&new.reference, &near.before, &near.after), whole)
}

/// `use-regex` counts for every Ingress of the host, and so for what `both` has at another one.
#[test]
fn an_annotation_of_a_host_reaches_a_path_of_another_host() {
    let mut regex = ingress("regex", 0, &[("a.com", "/")]);
    regex["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/use-regex": "true"});
    let both = ingress("both", 0, &[("a.com", "/"), ("b.com", "/")]);
    let new = ingress("new", 1, &[("b.com", "/")]);
    let (part, whole) = verdicts(&[regex, both], &new, &translating());
    assert!(!part.is_refusal() && !whole.is_refusal(), "{part:?} {whole:?}");
}

/// The child that is named loses the default backend to an Ingress that serves nothing, for want of its template.
#[test]
fn a_named_child_is_there_only_if_it_has_no_rival() {
    let backend = json!({"service": {"name": "shop", "port": {"number": 80}}});
    let mut first = ingress("first", 0, &[]);
    first["metadata"]["annotations"] = json!({"tyk.io/template": "missing"});
    let mut second = ingress("second", 0, &[("a.com", "/")]);
    for object in [&mut first, &mut second] {
        object["spec"]["defaultBackend"] = backend.clone();
    }
    let child = names::child_name("default", "second", &names::child_hash("a.com", "/", None));
    let new = definition(
        "new",
        0,
        json!({"proxy": {"listen_path": "/", "target_url": "http://a.test"}}),
    );
    let (part, whole) = verdicts(&[first, second, policy("p", 0, None, &child)], &new, &settings());
    assert!(!part.is_refusal() && !whole.is_refusal(), "{part:?} {whole:?}");
}

#[test]
fn ingresses_of_other_hosts_are_left_out() {
    let world = of(&[
        ingress("one", 1, &[("a.com", "/")]),
        ingress("two", 1, &[("b.com", "/")]),
        ingress("three", 1, &[("c.com", "/"), ("a.com", "/x")]),
    ]);
    let near = Neighbours::of(&world, &subject(&ingress("new", 2, &[("a.com", "/x")])), &settings());
    let names: Vec<_> = near.ingresses.iter().map(|name| name.name.as_ref()).collect();
    assert_eq!(names, ["one", "three"]);
}
