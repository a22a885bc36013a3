#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::Ingress;
use proptest::prelude::*;

use super::*;
use crate::api::names;

fn parse(annotations: &[(&str, &str)]) -> (Annotations, Vec<Problem>) {
    let mut ingress = Ingress::default();
    let annotations: BTreeMap<_, _> = annotations
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    ingress.metadata.annotations = Some(annotations);
    Annotations::parse(&ingress.into())
}

/// The only value of one annotation, and the message when it is refused.
fn one(name: &str, value: &str) -> Result<Annotations, String> {
    let (annotations, mut problems) = parse(&[(&format!("{PREFIX}{name}"), value)]);
    match problems.pop() {
        None => Ok(annotations),
        Some((code, at, message)) => {
            assert_eq!((code, at), (Code::InvalidAnnotation, field(name)));
            assert_eq!(annotations, Annotations::default(), "the default stays in force");
            Err(message)
        }
    }
}

#[test]
fn the_table_is_sorted_and_explained() {
    let listed: Vec<_> = TABLE.iter().map(|entry| entry.name).collect();
    assert!(listed.is_sorted(), "{listed:?}");
    for entry in TABLE {
        assert!(entry.doc.ends_with('.'), "{}", entry.name);
        assert!(Annotations::default().set(entry.name, "").is_some(), "{}", entry.name);
    }
    for name in [names::ANNOTATION_TEMPLATE, names::ANNOTATION_TEMPLATE_KIND] {
        assert!(listed.contains(&name.strip_prefix(PREFIX).unwrap()), "{name}");
    }
}

#[test]
fn values_are_read() {
    let protocol = |value| one("backend-protocol", value).unwrap().backend_protocol.unwrap();
    assert_eq!(protocol("http"), Protocol::Http);
    assert_eq!(protocol("https"), Protocol::Https);
    assert_eq!((protocol("h2c"), protocol("grpc")), (Protocol::H2c, Protocol::H2c));
    assert_eq!(protocol("grpcs"), Protocol::Https);
    assert_eq!((protocol("ws"), protocol(" wss ")), (Protocol::Ws, Protocol::Wss));
    let timeout = |value| one("timeout", value).unwrap().timeout.unwrap().0;
    assert_eq!((timeout("30"), timeout("30s"), timeout("86400s")), (30, 30, 86_400));
    let kind = one("template-kind", "TykOasApiDefinition").unwrap().template_kind;
    assert_eq!(kind, Some(TemplateKind::TykOasApiDefinition));
    assert_eq!(one("template", "web").unwrap().template.as_deref(), Some("web"));
    let upstream = |value| one("upstream", value).unwrap().upstream.unwrap();
    assert_eq!(upstream("service"), Upstream::Service);
    assert_eq!(upstream("endpoints"), Upstream::Endpoints);
    let matching = |value| one("path-matching", value).unwrap().path_matching.unwrap();
    assert_eq!(matching("exact-spec"), PathMatching::ExactSpec);
    assert_eq!(matching("legacy"), PathMatching::Legacy);
    assert_eq!(one("tags", "a, b,a").unwrap().tags.unwrap().0, ["a", "b"]);
    assert_eq!(
        one("categories", "shop,eu-1").unwrap().categories.unwrap().0,
        ["shop", "eu-1"]
    );
    let path = one("listen-path", "/v{n:[0-9]+}").unwrap().listen_path;
    assert_eq!(path, Some(ListenPath("/v{n:[0-9]+}".into())));
}

#[test]
fn truth_values_are_words() {
    for name in ["strip-path", "preserve-host", "ssl-redirect", "backend-tls-verify"] {
        let set = |value| {
            let read = one(name, value).unwrap();
            match name {
                "strip-path" => read.strip_path,
                "preserve-host" => read.preserve_host,
                "ssl-redirect" => read.ssl_redirect,
                _ => read.backend_tls_verify,
            }
        };
        assert_eq!((set("true"), set("false")), (Some(true), Some(false)), "{name}");
        for bad in ["", "yes", "True", "1"] {
            assert!(
                one(name, bad).unwrap_err().contains("allowed: true, false"),
                "{name} {bad}"
            );
        }
    }
}

#[test]
fn a_bad_value_is_told_with_the_values_allowed() {
    for (name, value, says) in [
        ("backend-protocol", "HTTP", "http, https, h2c, grpc, grpcs, ws, wss"),
        ("backend-protocol", "tcp", "in force: appProtocol"),
        ("template-kind", "Ingress", "ApiDefinition, TykOasApiDefinition"),
        ("path-matching", "regex", "exact-spec, legacy"),
        ("upstream", "pods", "service, endpoints"),
        ("timeout", "0", "from 1 to 86400"),
        ("timeout", "-1", "whole seconds"),
        ("timeout", "+1", "whole seconds"),
        ("timeout", "1.5s", "whole seconds"),
        ("timeout", "1m", "whole seconds"),
        ("timeout", "99999999999", "whole seconds"),
        ("listen-path", "/a{x:(b|c)}", "capture group"),
        ("listen-path", "a", "start with /"),
        ("tags", "a,,b", "empty word"),
        ("tags", "a b", "character ' '"),
        ("categories", "#a", "character '#'"),
    ] {
        let message = one(name, value).unwrap_err();
        assert!(message.contains(says), "{name} {value}: {message}");
    }
    let long = "x".repeat(10_000);
    assert!(one("upstream", &long).unwrap_err().len() < 300);
}

#[test]
fn an_unknown_name_is_told_with_the_nearest_one() {
    for (name, says) in [
        ("tyk.io/strip-paths", "did you mean tyk.io/strip-path?"),
        ("tyk.io/Strip-Path", "did you mean tyk.io/strip-path?"),
        ("tyk.io/backend_protocol", "did you mean tyk.io/backend-protocol?"),
        ("tyk.io/tmeout", "did you mean tyk.io/timeout?"),
        ("tyk.io/rewrite-target", "has no effect"),
        ("tyk.io/", "has no effect"),
    ] {
        let (annotations, problems) = parse(&[(name, "true")]);
        assert_eq!(annotations, Annotations::default());
        assert_eq!(problems.len(), 1, "{name}");
        assert_eq!(problems[0].0, Code::UnknownAnnotation);
        assert!(problems[0].2.contains(says), "{}", problems[0].2);
    }
    let others = [
        ("kubernetes.io/ingress.class", "tyk"),
        ("my.tyk.io/strip", "x"),
        ("tyk", "x"),
    ];
    assert_eq!(parse(&others), (Annotations::default(), Vec::new()));
}

#[test]
fn app_protocols_are_those_of_kubernetes() {
    for (text, protocol) in [
        ("http", Some(Protocol::Http)),
        ("HTTPS", Some(Protocol::Https)),
        ("kubernetes.io/h2c", Some(Protocol::H2c)),
        ("kubernetes.io/ws", Some(Protocol::Ws)),
        ("kubernetes.io/wss", Some(Protocol::Wss)),
        ("grpc", Some(Protocol::H2c)),
        ("mysql", None),
        ("", None),
    ] {
        assert_eq!(Protocol::of_app_protocol(text), protocol, "{text}");
    }
}

proptest! {
    #[test]
    fn no_annotation_panics(name in "\\PC{0,20}", value in "\\PC{0,60}", known in 0..TABLE.len()) {
        let (_, problems) = parse(&[(&format!("{PREFIX}{name}"), &value)]);
        prop_assert!(problems.iter().all(|(_, _, message)| !message.is_empty()));
        let known = TABLE[known].name;
        let (annotations, problems) = parse(&[(&format!("{PREFIX}{known}"), &value)]);
        prop_assert_eq!(problems.is_empty(), annotations != Annotations::default());
    }
}
