#![allow(clippy::unwrap_used)]

use k8s_openapi::api::core::v1::Namespace;
use serde_json::{Value, json};

use super::*;
use crate::secret::Secret;
use crate::snapshot::NamedSecret;

/// A world with the context `tyk/east`.
fn world(spec: Value) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let object = json!({"metadata": {"name": "east", "namespace": "tyk"}, "spec": spec});
    snapshot.insert::<OperatorContext>(serde_json::from_value(object).unwrap());
    snapshot
}

fn operator() -> Operator {
    let tyk = Installation {
        url: "http://gateway".into(),
        auth: Secret::new("own"),
        ..Installation::default()
    };
    Operator::new(Context {
        org: "own-org".into(),
        owner: "me".into(),
        tyk: Arc::new(tyk),
        ..Context::default()
    })
}

fn of(snapshot: &Snapshot, operator: &Operator, namespace: &str) -> Result<(Context, Option<Code>), Refusal> {
    let target = Target {
        name: "east".into(),
        namespace: Some("tyk".into()),
    };
    let contexts = Contexts::new(snapshot, operator);
    let found = contexts.of(Some(&target), namespace);
    found.map(|(context, warning)| (context.clone(), warning.map(|(code, _)| code)))
}

#[test]
fn what_a_context_leaves_out_is_the_operators_own() {
    let (context, _) = of(&world(json!({"env": {"org": "east"}})), &operator(), "tyk").unwrap();
    assert_eq!((context.org.as_str(), context.name.as_str()), ("east", "tyk/east"));
    assert_eq!(context.tyk, operator().own.tyk);
    let (context, _) = of(&world(json!({"env": {"url": "http://gateway/"}})), &operator(), "tyk").unwrap();
    assert_eq!((context.org.as_str(), context.tyk), ("own-org", operator().own.tyk));
}

#[test]
fn the_operators_credentials_never_go_to_a_url_that_a_context_gives() {
    let elsewhere = world(json!({"env": {"url": "http://evil"}}));
    let (code, message) = of(&elsewhere, &operator(), "tyk").unwrap_err();
    assert_eq!(code, Code::ContextNotFound);
    assert!(
        message.contains("http://evil") && message.contains("TYK_AUTH"),
        "{message}"
    );
    let with_its_own = world(json!({"env": {"url": "http://west", "auth": "theirs"}}));
    let (context, _) = of(&with_its_own, &operator(), "tyk").unwrap();
    assert_eq!(
        (context.tyk.url.as_str(), context.tyk.auth.expose()),
        ("http://west", "theirs")
    );
}

#[test]
fn who_may_use_a_context_is_its_own_business_first() {
    let mut denying = operator();
    denying.cross_namespace = false;
    let allowed = |names: Value| world(json!({"allowedNamespaces": names}));
    let team = |snapshot: Snapshot, operator: &Operator| of(&snapshot, operator, "team").map(|(_, warning)| warning);
    assert_eq!(
        team(world(json!({})), &operator()).unwrap(),
        Some(Code::ContextOfOtherNamespace)
    );
    for refused in [
        team(world(json!({})), &denying),
        team(allowed(json!({})), &operator()),
        team(allowed(json!({"names": ["other"]})), &operator()),
    ] {
        assert_eq!(refused.unwrap_err().0, Code::ContextNotAllowed);
    }
    assert_eq!(team(allowed(json!({"names": ["team"]})), &denying).unwrap(), None);
    let mut labelled = allowed(json!({"selector": {"matchLabels": {"tyk": "yes"}}}));
    assert!(team(labelled.clone(), &denying).is_err());
    let namespace = json!({"metadata": {"name": "team", "labels": {"tyk": "yes"}}});
    labelled.insert::<Namespace>(serde_json::from_value(namespace).unwrap());
    assert_eq!(team(labelled, &denying).unwrap(), None);
    assert!(
        of(&world(json!({})), &denying, "tyk").is_ok(),
        "its own namespace always may"
    );
}

#[test]
fn a_secret_of_another_namespace_is_allowed_in_the_same_way() {
    let mut snapshot = world(json!({"secretRef": {"name": "conf", "namespace": "vault"}}));
    let secret = json!({"metadata": {"name": "conf", "namespace": "vault"},
        "stringData": {"TYK_URL": "http://west", "TYK_AUTH": "theirs"}});
    snapshot.insert::<NamedSecret>(serde_json::from_value(secret).unwrap());
    assert_eq!(of(&snapshot, &operator(), "tyk").unwrap().0.tyk.url, "http://west");
    let mut denying = operator();
    denying.cross_namespace = false;
    let (_, message) = of(&snapshot, &denying, "tyk").unwrap_err();
    assert!(message.contains("vault") && !message.contains("theirs"), "{message}");
}

#[test]
fn what_a_context_was_last_is_enough_to_take_something_away() {
    let snapshot = world(json!({"secretRef": {"name": "conf"}}));
    let target = Target {
        name: "east".into(),
        namespace: None,
    };
    let name = NamespacedName::new("tyk", "east");
    let mut operator = operator();
    assert!(
        Contexts::new(&snapshot, &operator)
            .of_leaving(Some(&target), "tyk")
            .is_none()
    );
    operator.last = Arc::new(BTreeMap::from([(name, operator.own.clone())]));
    let contexts = Contexts::new(&snapshot, &operator);
    assert!(contexts.of(Some(&target), "tyk").is_err());
    assert_eq!(contexts.of_leaving(Some(&target), "tyk"), Some(&operator.own));
    assert_eq!(
        contexts.diagnostics().map(|found| found.code).collect::<Vec<_>>(),
        [Code::ContextInvalid]
    );
}

#[test]
fn contexts_with_the_same_settings_mean_one_tyk() {
    let mut snapshot = world(json!({"env": {"url": "http://west", "auth": "a"}}));
    let twin = json!({"metadata": {"name": "twin", "namespace": "tyk"}, "spec": {"env": {"url": "http://west/", "auth": "a"}}});
    snapshot.insert::<OperatorContext>(serde_json::from_value(twin).unwrap());
    let operator = operator();
    let found = Contexts::new(&snapshot, &operator).installations();
    let names: Vec<Vec<_>> = found.into_values().map(|names| names.into_iter().collect()).collect();
    assert_eq!(
        names,
        [vec![String::new()], vec!["tyk/east".to_owned(), "tyk/twin".to_owned()]]
    );
}
