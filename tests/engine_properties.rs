//! Laws of the ingress engine, for generated Ingresses: every request is answered as the Ingress specification says,
//! the same world gives the same bytes, and a child does not depend on rules that have nothing to do with it.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Rule, answer, snapshot};
use tyk_ingress::ingress::{Options, render};
use tyk_ingress::snapshot::Snapshot;

/// Elements of paths: nested names, one a prefix of another, and everything that needs an escape.
const ELEMENTS: [&str; 12] = ["a", "ab", "b", "a.b", "{", "}", "{x}", "x y", " ", "é", "(", "$|^"];
const HOSTS: [&str; 9] = [
    "",
    "a.com",
    "b.a.com",
    "ba.a.com",
    "c.b.a.com",
    "*.a.com",
    "*.b.a.com",
    "*.com",
    "xn--bcher-kva.a.com",
];
const REQUEST_HOSTS: [&str; 10] = [
    "a.com",
    "b.a.com",
    "B.A.com",
    "ba.a.com",
    "bb.a.com",
    "c.b.a.com",
    "d.b.a.com",
    "other.org",
    "b.a.com:8080",
    "b.a.com.",
];

fn path() -> impl Strategy<Value = String> {
    (
        prop::collection::vec(prop::sample::select(&ELEMENTS[..]), 0..4),
        any::<bool>(),
    )
        .prop_map(|(elements, slash)| {
            let path: String = elements.iter().map(|element| format!("/{element}")).collect();
            if path.is_empty() || slash {
                format!("{path}/")
            } else {
                path
            }
        })
}

fn rule() -> impl Strategy<Value = Rule> {
    let path_type = prop::sample::select(&["Prefix", "Exact", "ImplementationSpecific"][..]);
    (prop::sample::select(&HOSTS[..]), path(), path_type, 0..3_usize).prop_map(|(host, path, path_type, ingress)| {
        Rule {
            ingress,
            host: host.into(),
            path,
            path_type: path_type.into(),
        }
    })
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    prop::collection::vec(rule(), 1..10)
}

/// The specification, written down without any thought of how a gateway does it: the index of the rule that answers.
fn oracle(rules: &[Rule], host: &str, path: &str) -> Option<usize> {
    let host = host.split(':').next().unwrap().trim_end_matches('.').to_lowercase();
    let host_rank = |rule: &Rule| match rule.host.as_str() {
        "" => Some(2),
        exact if exact == host => Some(0),
        wildcard => {
            let suffix = wildcard.strip_prefix('*')?;
            let label = host.strip_suffix(suffix)?;
            (!label.is_empty() && !label.contains('.')).then_some(1)
        }
    };
    // A host that rules name is not a matter for the wildcard, whatever its paths.
    let named = rules.iter().any(|rule| rule.host == host);
    let candidates = rules.iter().enumerate().filter_map(|(index, rule)| {
        let rank = host_rank(rule).filter(|rank| *rank != 1 || !named)?;
        let wanted = rule.path.trim_end_matches('/');
        let matches = match rule.path_type.as_str() {
            "Exact" => path == rule.path,
            _ => path == wanted || path.starts_with(&format!("{wanted}/")),
        };
        let exact = rule.path_type == "Exact";
        let length = if exact { rule.path.len() } else { wanted.len() };
        // Longest path, Exact first; then the oldest Ingress, the longest text, the pathType, the order of the rules.
        let kind = ["Prefix", "ImplementationSpecific", "Exact"]
            .iter()
            .position(|kind| *kind == rule.path_type);
        let key = (
            rank,
            std::cmp::Reverse(length),
            !exact,
            rule.ingress,
            std::cmp::Reverse(rule.path.len()),
            kind,
            index,
        );
        matches.then_some((key, index))
    });
    candidates.min().map(|(_, index)| index)
}

/// Requests near the paths of the rules: the path, with and without a slash, below it, and its neighbours.
fn requests(rules: &[Rule]) -> BTreeSet<String> {
    let near = rules.iter().flat_map(|rule| {
        let path = rule.path.trim_end_matches('/').to_owned();
        [
            format!("{path}/"),
            format!("{path}/a"),
            format!("{path}x"),
            format!("{path}/a/b/"),
            path,
        ]
    });
    near.filter(|path| path.starts_with('/'))
        .chain(["/".to_owned(), "/zz".to_owned()])
        .collect()
}

fn encode(path: &str) -> String {
    percent_encoding::utf8_percent_encode(path, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2F", "/")
}

fn children(snapshot: &Snapshot) -> BTreeMap<String, Value> {
    let translation = render(snapshot, &Options::default());
    translation
        .children
        .iter()
        .map(|(name, child)| (name.to_string(), json!(child.definition())))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_request_is_answered_as_the_specification_says(rules in rules()) {
        let gateway = support::gateway(&snapshot(&rules));
        for host in REQUEST_HOSTS {
            for path in requests(&rules) {
                let expected = oracle(&rules, host, &path);
                let got = answer(&gateway, host, &encode(&path));
                prop_assert_eq!(got, expected, "{} {}", host, path);
            }
        }
    }

    #[test]
    fn the_same_world_gives_the_same_bytes(rules in rules()) {
        let (once, again) = (children(&snapshot(&rules)), children(&snapshot(&rules)));
        prop_assert_eq!(serde_json::to_string(&once).unwrap(), serde_json::to_string(&again).unwrap());
    }

    #[test]
    fn a_child_does_not_depend_on_unrelated_hosts(rules in rules(), more in rules()) {
        let before = children(&snapshot(&rules));
        let unrelated = more.into_iter().map(|rule| {
            let host = if rule.host.is_empty() { "only.example".into() } else { rule.host.replace("com", "example") };
            Rule { ingress: 7, host, ..rule }
        });
        let both: Vec<_> = rules.into_iter().chain(unrelated).collect();
        let after = children(&snapshot(&both));
        for (name, child) in before {
            prop_assert_eq!(after.get(&name), Some(&child));
        }
    }

    #[test]
    fn nothing_that_is_an_ingress_makes_the_engine_panic(
        spec in ingress_spec(), annotations in prop::collection::btree_map("[a-z./-]{1,12}", ".{0,8}", 0..3),
    ) {
        let object = json!({"metadata": {"name": "any", "namespace": "ns", "annotations": annotations}, "spec": spec});
        if let Ok(ingress) = serde_json::from_value::<k8s_openapi::api::networking::v1::Ingress>(object) {
            let mut snapshot = Snapshot::default();
            snapshot.insert(ingress);
            let translation = render(&snapshot, &Options::default());
            let (desired, _) = tyk_ingress::desired::build(&snapshot, &translation, &Default::default());
            let payloads = desired.apis.values().map(|api| api.payload.value());
            prop_assert!(tyk_ingress::sim::Routes::load(payloads).is_ok(), "a definition would end the gateway");
            prop_assert_eq!(desired.apis.len(), translation.children.len(), "the engine wrote what the check refuses");
        }
    }
}

fn ingress_spec() -> impl Strategy<Value = Value> {
    let port = prop_oneof![
        Just(json!({"number": 80})),
        Just(json!({"name": "http"})),
        Just(json!({})),
        any::<i32>().prop_map(|n| json!({"number": n})),
    ];
    let backend = prop_oneof![
        ("[a-z]{1,3}", port).prop_map(|(name, port)| json!({"service": {"name": name, "port": port}})),
        Just(json!({"resource": {"kind": "Bucket", "name": "b"}})),
        Just(json!({})),
    ]
    .boxed();
    let path_type = prop_oneof![
        Just("Prefix"),
        Just("Exact"),
        Just("ImplementationSpecific"),
        Just("Regex")
    ];
    let text = prop_oneof![
        Just(None),
        ".{0,12}".prop_map(Some),
        "/[ -~]{0,20}".prop_map(Some),
        "/.{0,8}".prop_map(Some)
    ];
    let path = (text, path_type, backend.clone())
        .prop_map(|(path, path_type, backend)| json!({"path": path, "pathType": path_type, "backend": backend}));
    let http = prop_oneof![
        Just(json!(null)),
        prop::collection::vec(path, 0..5).prop_map(|paths| json!({"paths": paths})),
    ];
    let host = prop_oneof![
        Just(None),
        ".{0,10}".prop_map(Some),
        "(\\*\\.)?[a-z-]{1,5}(\\.[a-z-]{1,5}){0,2}".prop_map(Some)
    ];
    let rule = (host, http).prop_map(|(host, http)| json!({"host": host, "http": http}));
    let default = prop::option::of(backend);
    (prop::collection::vec(rule, 0..5), default)
        .prop_map(|(rules, backend)| json!({"ingressClassName": "tyk", "rules": rules, "defaultBackend": backend}))
}
