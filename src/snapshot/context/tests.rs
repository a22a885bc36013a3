#![allow(clippy::unwrap_used)]
use serde_json::{Value, json};

use super::*;
use crate::api::OperatorContext;

const HIDDEN: &str = "hunter2";

fn name() -> NamespacedName {
    NamespacedName::new("tyk", "east")
}

fn world(spec: Value, secrets: &[(&str, Value)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let context = json!({"metadata": {"name": "east", "namespace": "tyk"}, "spec": spec});
    snapshot.insert::<OperatorContext>(serde_json::from_value(context).unwrap());
    for (namespace, data) in secrets {
        let secret = json!({"metadata": {"name": "conf", "namespace": namespace}, "stringData": data});
        snapshot.insert::<NamedSecret>(serde_json::from_value(secret).unwrap());
    }
    snapshot
}

fn with(env: Value, secret: Value) -> Result<ContextSettings, ContextProblem> {
    let spec = json!({"env": env, "secretRef": {"name": "conf"}});
    world(spec, &[("tyk", secret)]).context_settings(&name())
}

#[test]
fn every_setting_is_read_from_both_places() {
    let env = json!({
        "mode": "pro", "url": " https://tyk:3000/ ", "auth": HIDDEN, "org": "o", "insecureSkipVerify": true,
        "ingress": {"httpPort": 0, "httpsPort": 443}, "user_owners": ["u", "v"], "user_group_owners": ["g"],
    });
    let secret = json!({
        "TYK_MODE": "pro", "TYK_URL": "https://tyk:3000//\n", "TYK_AUTH": "hunter2\n", "TYK_ORG": "o",
        "TYK_TLS_INSECURE_SKIP_VERIFY": "1", "TYK_HTTP_INGRESS_PORT": "0", "TYK_HTTPS_INGRESS_PORT": "443",
        "TYK_USER_OWNERS": "u, v,", "TYK_USER_GROUP_OWNERS": "g",
    });
    let expected = ContextSettings {
        mode: Some(Mode::Pro),
        url: Some("https://tyk:3000".into()),
        auth: Some(Secret::new(HIDDEN)),
        org: Some("o".into()),
        insecure_skip_verify: Some(true),
        ca_bundle: None,
        gateway_service: None,
        http_port: Some(0),
        https_port: Some(443),
        user_owners: vec!["u".into(), "v".into()],
        user_group_owners: vec!["g".into()],
    };
    assert_eq!(with(env.clone(), json!({})), Ok(expected.clone()));
    assert_eq!(with(json!({}), secret), Ok(expected.clone()));
    assert_eq!(world(json!({"env": env}), &[]).context_settings(&name()), Ok(expected));
    assert_eq!(
        world(json!({}), &[]).context_settings(&name()),
        Ok(ContextSettings::default())
    );
}

#[test]
fn the_secret_wins_key_by_key() {
    let env = json!({"mode": "ce", "org": "env", "ingress": {"httpPort": 99999, "httpsPort": 1}});
    let found = with(
        env,
        json!({"TYK_ORG": "secret", "TYK_MODE": " ", "TYK_HTTP_INGRESS_PORT": "80"}),
    )
    .unwrap();
    assert_eq!(found.org.as_deref(), Some("secret"));
    assert_eq!(found.mode, Some(Mode::Ce), "an empty text is none");
    assert_eq!((found.http_port, found.https_port), (Some(80), Some(1)));
}

#[test]
fn the_secret_is_that_of_the_contexts_namespace_unless_another_is_named() {
    let secrets = [
        ("tyk", json!({"TYK_ORG": "own"})),
        ("other", json!({"TYK_ORG": "other"})),
    ];
    let org = |namespace: Value| {
        let spec = json!({"secretRef": {"name": "conf", "namespace": namespace}});
        let settings = world(spec, &secrets).context_settings(&name());
        settings.map(|settings| settings.org.unwrap())
    };
    assert_eq!(org(json!(null)).unwrap(), "own");
    assert_eq!(org(json!("")).unwrap(), "own");
    assert_eq!(org(json!("other")).unwrap(), "other");
    let problem = org(json!("nowhere")).unwrap_err();
    assert_eq!(problem.field(), "spec.secretRef");
    assert_eq!(
        problem.to_string(),
        "OperatorContext tyk/east names the Secret nowhere/conf, which does not exist in a watched namespace; create \
         it, or correct spec.secretRef"
    );
}

#[test]
fn a_missing_context_says_the_way_out() {
    let problem = Snapshot::default().context_settings(&name()).unwrap_err();
    assert_eq!(
        (problem.field(), &problem),
        ("", &ContextProblem::Missing { context: name() })
    );
    assert!(
        problem
            .to_string()
            .starts_with("OperatorContext tyk/east does not exist"),
        "{problem}"
    );
}

#[test]
fn values_that_cannot_be_used_are_named_and_not_shown() {
    let bundle = "-----BEGIN CERTIFICATE-----hunter2";
    for (key, value) in [
        ("TYK_MODE", json!("hunter2")),
        ("TYK_URL", json!("hunter2:8080")),
        ("TYK_URL", json!("ftp://hunter2")),
        ("TYK_URL", json!("http://user:hunter2@gateway")),
        ("TYK_URL", json!("http://gateway?key=hunter2")),
        ("TYK_URL", json!("http://")),
        ("TYK_AUTH", json!("hunter2 hunter2")),
        ("TYK_ORG", json!(["hunter2"])),
        ("TYK_TLS_INSECURE_SKIP_VERIFY", json!("hunter2")),
        ("TYK_TLS_CA_BUNDLE", json!(bundle)),
        ("TYK_HTTP_INGRESS_PORT", json!("hunter2")),
        ("TYK_HTTPS_INGRESS_PORT", json!("65536")),
    ] {
        let problem = with(json!({"org": "o"}), json!({key: value, "TYK_USER_OWNERS": "u"})).unwrap_err();
        let text = format!("{problem} {problem:?}");
        assert!(text.contains(key) && text.contains("tyk/conf"), "{text}");
        assert!(!text.contains(HIDDEN), "{text}");
        assert_eq!(problem.field(), "spec.secretRef");
    }
    for (field, env) in [
        ("spec.env.url", json!({"url": "http://:hunter2@gateway"})),
        ("spec.env.auth", json!({"auth": "hunter2 hunter2"})),
        ("spec.env.ingress.httpPort", json!({"ingress": {"httpPort": -1}})),
    ] {
        let problem = world(json!({"env": env}), &[]).context_settings(&name()).unwrap_err();
        let text = format!("{problem} {problem:?}");
        assert!(text.contains(field) && !text.contains(HIDDEN), "{text}");
        assert_eq!(problem.field(), field);
    }
}

#[test]
fn a_bundle_of_certificates_is_taken_as_it_is() {
    let one = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----";
    let two = format!("# ours\n{one}\n{one}");
    let found = with(
        json!({"caBundle": one}),
        json!({"TYK_TLS_CA_BUNDLE": format!("{two}\n")}),
    )
    .unwrap();
    assert_eq!(found.ca_bundle, Some(two));
    let found = with(json!({"caBundle": one}), json!({})).unwrap();
    assert_eq!(found.ca_bundle.as_deref(), Some(one));
}

#[test]
fn nothing_here_prints_a_secret() {
    let secret = json!({"TYK_AUTH": HIDDEN, "TYK_URL": "http://gateway"});
    let snapshot = world(
        json!({"env": {"auth": HIDDEN}, "secretRef": {"name": "conf"}}),
        &[("tyk", secret)],
    );
    let settings = snapshot.context_settings(&name()).unwrap();
    assert_eq!(settings.auth.as_ref().map(Secret::expose), Some(HIDDEN));
    let text = format!("{settings:?} {snapshot:?} {:?}", snapshot.secrets);
    assert!(!text.contains(HIDDEN) && text.contains("http://gateway"), "{text}");
}
