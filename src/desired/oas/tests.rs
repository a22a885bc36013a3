#![allow(clippy::unwrap_used)]

mod kinds;

use serde_json::{Value, json};

use super::*;
use crate::desired::{Desired, Operator, build, build_all};
use crate::snapshot::Loader;

/// A document that the gateway takes.
fn document() -> Value {
    json!({
        "openapi": "3.0.3", "info": {"title": "Pets", "version": "1"}, "paths": {}, "x-mine": {"kept": [1, 2.5, null]},
        "x-tyk-api-gateway": {
            "info": {"name": "pets", "state": {"active": true}}, "upstream": {"url": "http://pets"},
            "server": {"listenPath": {"value": "/pets/", "strip": true}},
            "new-part": {"of": "next year"},
        },
    })
}

fn inline(name: &str, document: Value) -> Value {
    json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "TykOasApiDefinition", "metadata": {"name": name},
        "spec": {"tykOAS": {"document": document}}})
}

fn config_map(text: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "doc"}, "data": {"oas": text}})
}

fn referring(name: &str) -> Value {
    let mut object = inline(name, json!(null));
    object["spec"]["tykOAS"] = json!({"configmapRef": {"name": "doc", "keyName": "oas"}});
    object
}

fn built(objects: &[Value]) -> (Desired, Vec<String>) {
    let mut loader = Loader::default();
    let text: Vec<_> = objects.iter().map(Value::to_string).collect();
    loader.text("a.yaml", &text.join("\n---\n")).unwrap();
    let context = Context {
        org: "org".into(),
        owner: "east".into(),
        ..Context::default()
    };
    let (desired, found) = build(&loader.finish().snapshot, &Translation::default(), &context);
    let codes = found
        .iter()
        .map(|one| format!("{} {} {}: {}", one.code, one.object, one.field, one.message));
    (desired, codes.collect())
}

fn id(name: &str) -> String {
    names::api_id("default", name)
}

fn payload(object: Value) -> Value {
    let (desired, found) = built(&[object]);
    assert_eq!(found, [""; 0]);
    desired.oas.into_values().next().unwrap().payload.value()
}

#[test]
fn a_document_keeps_every_field_and_gets_what_the_gateway_needs() {
    let sent = payload(inline("pets", document()));
    let mut wanted = document();
    wanted[EXTENSION]["info"] = json!({"id": id("pets"), "orgId": "org", "name": "pets", "state": {"active": true}});
    wanted[EXTENSION]["middleware"]["global"]["pluginConfig"]["data"] = json!({"enabled": false, "value": {
        "tyk-ingress": {"owner": "east", "source": "TykOasApiDefinition default/pets"}}});
    assert_eq!(sent, wanted);
}

#[test]
fn what_the_document_says_of_itself_stays() {
    let mut own = document();
    own[EXTENSION]["info"]["id"] = json!("mine");
    own[EXTENSION]["info"]["orgId"] = json!("theirs");
    own[EXTENSION]["middleware"]["global"]["pluginConfig"]["data"] = json!({"enabled": true, "value": {"a": 1}});
    let sent = payload(inline("pets", own));
    assert_eq!(sent[EXTENSION]["info"]["id"], "mine");
    assert_eq!(sent[EXTENSION]["info"]["orgId"], "theirs");
    let data = &sent[EXTENSION]["middleware"]["global"]["pluginConfig"]["data"];
    assert_eq!((&data["enabled"], &data["value"]["a"]), (&json!(true), &json!(1)));
}

#[test]
fn a_config_map_holds_json_or_yaml() {
    let yaml = "openapi: 3.0.3\ninfo: {title: on, version: '1'}\npaths:\n  /a:\n    get:\n      responses:\n        200: {description: ok}\n\
                x-tyk-api-gateway:\n  info: {name: a, state: {active: true}}\n  upstream: {url: 'http://a'}\n  server: {listenPath: {value: /a/}}\n";
    for text in [document().to_string(), format!("\n{}", document()), yaml.to_owned()] {
        let (desired, found) = built(&[config_map(&text), referring("pets")]);
        assert_eq!(found, [""; 0], "{text}");
        assert!(desired.oas[id("pets").as_str()].payload.value()["paths"].is_object());
    }
    let (desired, _) = built(&[config_map(yaml), referring("pets")]);
    let sent = &desired.oas[id("pets").as_str()].payload.value();
    assert_eq!(sent["paths"]["/a"]["get"]["responses"]["200"]["description"], "ok");
    assert_eq!(sent["info"]["title"], "on", "YAML 1.2 has two booleans");
}

#[test]
fn a_document_that_cannot_be_used_is_told_and_holds_the_api() {
    let without = |part: &str| {
        let mut broken = document();
        broken.as_object_mut().unwrap().remove(part);
        vec![inline("pets", broken)]
    };
    let with = |pointer: &str, value: Value| {
        let mut broken = document();
        *broken.pointer_mut(pointer).unwrap() = value;
        vec![inline("pets", broken)]
    };
    let path = "/x-tyk-api-gateway/server/listenPath/value";
    let no_source = {
        let mut object = inline("pets", json!({}));
        object["spec"]["tykOAS"] = json!({});
        vec![object]
    };
    let mut wrong_key = config_map("x");
    wrong_key["data"] = json!({"other": "x"});
    for (objects, words) in [
        (vec![referring("pets")], "DocumentNotFound"),
        (vec![wrong_key, referring("pets")], "DocumentNotFound"),
        (no_source, "DocumentNotFound"),
        (
            vec![config_map("{\"openapi\": hunter2"), referring("pets")],
            "InvalidDocument",
        ),
        (vec![config_map("a: [hunter2"), referring("pets")], "InvalidDocument"),
        (vec![config_map("hunter2"), referring("pets")], "is not an object"),
        (without("info"), "`info`"),
        (without("paths"), "`paths`"),
        (without("openapi"), "`openapi`"),
        (without(EXTENSION), "`x-tyk-api-gateway`"),
        (with("/x-tyk-api-gateway/upstream", json!(1)), "upstream"),
        (with(path, json!(1)), "listenPath"),
        (with(path, json!("/a{x:(a|b)}")), "capture group"),
        (with(path, json!("/a{x-y:a}")), "x-y"),
        (with(path, json!("/a{x:a{2}}")), "brace"),
        (with(path, json!("a")), "start"),
    ] {
        let (desired, found) = built(&objects);
        assert!(found.len() == 1 && found[0].contains(words), "{words}: {found:?}");
        assert!(!found[0].contains("hunter2"), "{found:?}");
        assert!(desired.oas.is_empty() && desired.held.contains(&id("pets")), "{words}");
    }
}

#[test]
fn an_api_whose_document_is_gone_is_held_under_its_confirmed_id_too() {
    let mut object = referring("pets");
    object["status"] = json!({"id": "mine"});
    let (desired, _) = built(&[object.clone()]);
    assert!(desired.held.contains("mine") && desired.held.contains(&id("pets")));
    object["metadata"]["deletionTimestamp"] = json!("2024-05-06T07:08:09Z");
    let (desired, found) = built(&[object]);
    assert!(desired.removals.contains("mine") && desired.held.is_empty() && found.is_empty());
}

#[test]
fn a_variable_of_the_domain_cannot_be_used_in_the_path() {
    let mut twice = document();
    twice[EXTENSION]["server"] = json!({"listenPath": {"value": "/a{x:/|$}"},
        "customDomain": {"enabled": true, "name": "{x:[^.]+}.a.com"}});
    assert!(built(&[inline("pets", twice)]).1[0].contains("named twice"));
}

#[test]
fn an_inactive_document_and_a_template_are_not_served() {
    let mut inactive = document();
    inactive[EXTENSION]["info"]["state"]["active"] = json!(false);
    let (desired, found) = built(&[inline("pets", inactive)]);
    assert!(desired.removals.contains(&id("pets")) && desired.oas.is_empty() && found.is_empty());
    let mut template = inline("pets", document());
    template["metadata"]["labels"] = json!({names::LABEL_INGRESS_TEMPLATE: "true"});
    assert_eq!(built(&[template]), (Desired::default(), Vec::new()));
}

#[test]
fn operations_that_the_gateway_would_skip_are_told() {
    let mut skipped = document();
    skipped[EXTENSION]["middleware"] = json!({"operations": {"a": {"validateRequest": {"enabled": true}}}});
    assert!(built(&[inline("pets", skipped.clone())]).1.is_empty());
    skipped[EXTENSION]["server"]["listenPath"]["value"] = json!("/a{tykp:/|$}");
    let (desired, found) = built(&[inline("pets", skipped)]);
    assert!(found[0].starts_with("OperationsSkipped"), "{found:?}");
    assert!(desired.oas.contains_key(id("pets").as_str()), "it is a warning");
}

#[test]
fn the_resource_wins_over_its_document() {
    let mut own = document();
    own["components"] = json!({"securitySchemes": {"jwt": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "key": {"type": "apiKey", "in": "header", "name": "k"}}});
    own[EXTENSION]["server"]["authentication"] = json!({"enabled": true, "securitySchemes": {
        "jwt": {"enabled": true, "defaultPolicies": ["old"]}, "key": {"enabled": true}}});
    own[EXTENSION]["server"]["customDomain"] = json!({"enabled": false, "name": "old.com", "kept": 1});
    own[EXTENSION]["info"]["versioning"] =
        json!({"enabled": false, "key": "x-old", "versions": [{"name": "v2", "id": "old"}, {"name": "v9", "id": "9"}]});
    let mut object = inline("pets", own);
    object["spec"].as_object_mut().unwrap().extend(
        json!({
            "customDomain": {"enabled": true, "name": "a.com", "certificates": ["cert"]},
            "clientCertificate": {"enabled": false},
            "certificatePinning": {"enabled": true, "domainToPublicKeysMapping": [{"domain": "*", "publicKeys": ["k"]}]},
            "mutualTLS": {"enabled": true, "domainToCertificateMapping": [{"domain": "*", "certificateID": "c"}]},
            "upstreamRequestSigning": {"algorithm": "hmac-sha256", "keyId": "k"},
            "jwtAuth": {"defaultPoliciesRef": [{"name": "gold"}], "scopes": {"claimName": "scope",
                "scopeToPolicyMapping": [{"scope": "read", "policyRef": {"name": "ro", "namespace": "other"}}]}},
            "versioning": {"enabled": true, "name": "v1", "default": "v1", "location": "header",
                "versions": [{"name": "v2", "tykOasApiDefinitionRef": {"name": "two"}}]},
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    let mut second = document();
    second[EXTENSION]["info"]["id"] = json!("id-of-two");
    second[EXTENSION]["server"]["listenPath"]["value"] = json!("/two/");
    let policy = json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "SecurityPolicy", "metadata": {"name": "gold"},
        "spec": {"id": "gold-id", "name": "Gold"}});
    let (desired, found) = built(&[object, inline("two", second), policy]);
    let missing = "spec.jwtAuth.scopes.scopeToPolicyMapping[0].policyRef: SecurityPolicy other/ro does not exist";
    assert_eq!(
        found,
        [format!("PolicyNotFound TykOasApiDefinition default/pets {missing}")]
    );
    let sent = &desired.oas[id("pets").as_str()].payload.value()[EXTENSION];
    let server = &sent["server"];
    let domain = json!({"enabled": true, "name": "a.com", "certificates": ["cert"], "kept": 1});
    assert_eq!(server["customDomain"], domain);
    assert_eq!(server["clientCertificates"], json!({"enabled": false}));
    let jwt = &server["authentication"]["securitySchemes"]["jwt"];
    assert_eq!(jwt["defaultPolicies"], json!(["gold-id"]));
    assert_eq!(
        jwt["scopes"],
        json!({"claimName": "scope", "scopeToPolicyMapping": [
        {"scope": "read", "policyId": names::api_id("other", "ro")}]})
    );
    assert_eq!(
        server["authentication"]["securitySchemes"]["key"],
        json!({"enabled": true})
    );
    let upstream = &sent["upstream"];
    let pinned = json!([{"domain": "*", "publicKeys": ["k"]}]);
    assert_eq!(upstream["certificatePinning"]["domainToPublicKeysMapping"], pinned);
    let mapping = json!([{"domain": "*", "certificate": "c"}]);
    assert_eq!(upstream["mutualTLS"]["domainToCertificateMapping"], mapping);
    let signing = json!({"enabled": true, "algorithm": "hmac-sha256", "keyId": "k"});
    assert_eq!(upstream["authentication"]["requestSigning"], signing);
    let versioning = json!({"enabled": true, "name": "v1", "default": "v1", "location": "header", "key": "x-old",
        "versions": [{"name": "v9", "id": "9"}, {"name": "v2", "id": "id-of-two"}]});
    assert_eq!(sent["info"]["versioning"], versioning);
}

fn signed_with(key: &str) -> Value {
    let mut object = inline("pets", document());
    object["spec"]["upstreamRequestSigning"] =
        json!({"algorithm": "hmac-sha256", "keyId": "k", "secretRef": {"name": "hmac", "keyName": key}});
    object
}

fn hmac() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hmac"}, "type": "Opaque",
        "stringData": {"key": "hunter2\n", "empty": " "}, "data": {"binary": "/w=="}})
}

#[test]
fn a_shared_secret_is_sent_and_never_shown() {
    let (desired, found) = built(&[signed_with("key"), hmac()]);
    assert_eq!(found, [""; 0]);
    let payload = &desired.oas[id("pets").as_str()].payload.value();
    let signing = |payload: &Value| payload[EXTENSION]["upstream"]["authentication"]["requestSigning"].clone();
    let wanted = json!({"enabled": true, "algorithm": "hmac-sha256", "keyId": "k", "secret": "hunter2"});
    assert_eq!(signing(payload), wanted);
    let shown = without_secrets(payload);
    assert_eq!(signing(&shown)["secret"], "***");
    assert!(!shown.to_string().contains("hunter2"));
    assert_eq!(without_secrets(&document()), document());
}

#[test]
fn a_secret_of_another_namespace_is_used_as_contexts_are() {
    let mut signed = signed_with("key");
    signed["spec"]["upstreamRequestSigning"]["secretRef"]["namespace"] = json!("others");
    let mut theirs = hmac();
    theirs["metadata"]["namespace"] = json!("others");
    let mut loader = Loader::default();
    loader.text("a.yaml", &format!("{signed}\n---\n{theirs}")).unwrap();
    let snapshot = loader.finish().snapshot;
    let codes = |cross_namespace| {
        let operator = Operator {
            cross_namespace,
            ..Operator::new(Context::default())
        };
        let (_, found) = build_all(&snapshot, &Translation::default(), &operator);
        found.into_iter().map(|one| (one.code, one.field)).collect::<Vec<_>>()
    };
    assert_eq!(codes(true), []);
    let refused = (Code::SecretNotFound, "spec.upstreamRequestSigning.secretRef".to_owned());
    assert_eq!(codes(false), [refused]);
}

#[test]
fn a_definition_is_held_until_its_shared_secret_is_there() {
    for (key, secrets, told) in [
        (
            "key",
            vec![],
            "Secret default/hmac does not exist in a watched namespace",
        ),
        ("none", vec![hmac()], "Secret default/hmac has no key none"),
        ("empty", vec![hmac()], "the key empty of Secret default/hmac is empty"),
        (
            "binary",
            vec![hmac()],
            "the key binary of Secret default/hmac is not a text",
        ),
    ] {
        let mut objects = vec![signed_with(key)];
        objects.extend(secrets);
        let (desired, found) = built(&objects);
        let about = "SecretNotFound TykOasApiDefinition default/pets spec.upstreamRequestSigning.secretRef";
        assert_eq!(found, [format!("{about}: {told}")]);
        assert!(desired.held.contains(&id("pets")) && desired.oas.is_empty());
    }
}

#[test]
fn references_that_lead_nowhere_are_told() {
    let mut object = inline("pets", document());
    object["spec"]["versioning"] =
        json!({"enabled": true, "versions": [{"name": "v2", "tykOasApiDefinitionRef": {"name": "gone"}}]});
    let (desired, found) = built(&[object.clone()]);
    assert!(found[0].starts_with("VersionNotFound"), "{found:?}");
    let versions = &desired.oas[id("pets").as_str()].payload.value()[EXTENSION]["info"]["versioning"]["versions"];
    assert_eq!(versions[0]["id"], id("gone"), "it works as soon as it is there");
    object["spec"]["customDomain"] = json!({"enabled": true, "name": "a.com", "certificatesRef": ["gone"]});
    let (desired, found) = built(&[object]);
    assert!(
        found.iter().any(|one| one.starts_with("CertificateNotFound")),
        "{found:?}"
    );
    assert!(desired.held.contains(&id("pets")));
}

#[test]
fn classic_and_oas_apis_compete_for_ids_and_routes() {
    let classic = json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "ApiDefinition",
        "metadata": {"name": "old", "creationTimestamp": "2024-05-06T07:08:09Z"},
        "spec": {"name": "old", "proxy": {"listen_path": "/pets/", "target_url": "http://a"}}});
    let (desired, found) = built(&[inline("pets", document()), classic.clone()]);
    assert!(desired.oas.is_empty() && desired.apis.len() == 1);
    assert!(
        found[0].starts_with("ListenPathCollision TykOasApiDefinition default/pets spec.tykOAS"),
        "{found:?}"
    );
    let mut same_id = document();
    same_id[EXTENSION]["info"]["id"] = json!(id("old"));
    same_id[EXTENSION]["server"]["listenPath"]["value"] = json!("/other/");
    let (_, found) = built(&[inline("pets", same_id), classic]);
    assert!(
        found[0].starts_with("ApiIdConflict TykOasApiDefinition default/pets spec.tykOAS"),
        "{found:?}"
    );
}
