#![allow(clippy::unwrap_used)]

use super::*;
use crate::ingress::annotations::{Categories, Seconds, Tags};

fn target() -> Target {
    Target {
        url: "http://web.ns.svc.cluster.local:80".into(),
        ..Target::default()
    }
}

/// The definition with annotations and target applied.
fn applied(definition: Value, annotations: &Annotations, target: &Target) -> Value {
    let mut definition = definition.as_object().unwrap().clone();
    assert_eq!(apply(&mut definition, annotations, target), []);
    Value::Object(definition)
}

#[test]
fn without_annotations_nothing_of_a_template_changes() {
    let definition = json!({
        "name": "n", "tags": ["edge"], "version_data": {"versions": {"v1": {"name": "v1"}}},
        "proxy": {"strip_listen_path": true, "preserve_host_header": false,
            "transport": {"ssl_insecure_skip_verify": true}},
    });
    assert_eq!(
        applied(definition.clone(), &Annotations::default(), &target()),
        definition
    );
}

#[test]
fn annotations_win_over_the_template() {
    let definition = json!({
        "name": "n", "tags": ["edge"],
        "proxy": {"strip_listen_path": true, "preserve_host_header": false,
            "transport": {"ssl_insecure_skip_verify": true, "ssl_min_version": 771}},
    });
    let annotations = Annotations {
        strip_path: Some(false),
        preserve_host: Some(true),
        backend_tls_verify: Some(true),
        tags: Some(Tags(vec!["eu".into()])),
        categories: Some(Categories(vec!["shop".into(), "web".into()])),
        ..Annotations::default()
    };
    let expected = json!({
        "name": "n #shop #web", "tags": ["eu"],
        "proxy": {"strip_listen_path": false, "preserve_host_header": true,
            "transport": {"ssl_insecure_skip_verify": false, "ssl_min_version": 771}},
    });
    assert_eq!(applied(definition, &annotations, &target()), expected);
    let unverified = Annotations {
        backend_tls_verify: Some(false),
        ..Annotations::default()
    };
    let definition = applied(json!({"proxy": {}}), &unverified, &target());
    assert_eq!(
        definition["proxy"]["transport"],
        json!({"ssl_insecure_skip_verify": true})
    );
}

#[test]
fn targets_of_a_template_do_not_stay() {
    let template = json!({"proxy": {
        "target_url": "http://web", "target_internal": {"target": {"name": "x"}}, "target_list": ["http://old"],
        "enable_load_balancing": true, "check_host_against_uptime_tests": true,
        "service_discovery": {"use_discovery_service": true},
    }});
    let definition = applied(template.clone(), &Annotations::default(), &target());
    assert_eq!(definition, json!({"proxy": {"target_url": "http://web"}}));
    let balanced = Target {
        list: vec!["http://10.0.0.1:80".into()],
        ..target()
    };
    let definition = applied(template, &Annotations::default(), &balanced);
    let proxy =
        json!({"target_url": "http://web", "target_list": ["http://10.0.0.1:80"], "enable_load_balancing": true});
    assert_eq!(definition["proxy"], proxy);
}

fn timeout() -> Annotations {
    Annotations {
        timeout: Some(Seconds(5)),
        ..Annotations::default()
    }
}

#[test]
fn a_timeout_is_set_for_every_method_in_every_version() {
    let old = json!({"hard_timeouts": [{"path": "/slow", "method": "GET", "timeout": 60}], "white_list": []});
    for (version_data, versions) in [
        (json!({}), 1),
        (json!({"not_versioned": true, "versions": {}}), 1),
        (
            json!({"versions": {"v1": {"name": "v1", "use_extended_paths": true, "extended_paths": old}, "v2": {}}}),
            2,
        ),
        (
            json!({"versions": {"v1": {"name": "v1", "paths": {"white_list": []}}}}),
            1,
        ),
    ] {
        let definition = applied(json!({"version_data": version_data}), &timeout(), &target());
        let found = definition["version_data"]["versions"].as_object().unwrap();
        assert_eq!(found.len(), versions);
        for version in found.values() {
            assert_eq!(version["use_extended_paths"], json!(true));
            let timeouts = version["extended_paths"]["hard_timeouts"].as_array().unwrap();
            assert_eq!(timeouts.len(), METHODS.len());
            assert_eq!(timeouts[0], json!({"path": ".*", "method": "GET", "timeout": 5}));
        }
    }
}

#[test]
fn a_timeout_does_not_switch_off_the_path_lists_of_a_template() {
    let definition = json!({"version_data": {"versions": {"v1": {"name": "v1", "paths": {"white_list": ["/open"]}}}}});
    let mut changed = definition.as_object().unwrap().clone();
    let problems = apply(&mut changed, &timeout(), &target());
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].0, Code::AnnotationWithoutEffect);
    assert_eq!(changed["version_data"], definition["version_data"]);
}
