//! What is refused, what is warned of, and what is let in.

use serde_json::{Value, json};

use crate::world::{definition, ingress, of, policy, request, reviewed, settings};
use tyk_ingress::admission;

fn refusal(answer: &Value) -> &str {
    assert_eq!(answer["allowed"], false, "{answer}");
    answer["status"]["message"].as_str().unwrap()
}

fn warnings(answer: &Value) -> Vec<&str> {
    assert_eq!(answer["allowed"], true, "{answer}");
    answer["warnings"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| one.as_str().unwrap())
        .collect()
}

#[test]
fn a_taken_path_is_refused_with_the_winner_and_the_way_out() {
    let world = of(&[ingress("old", 1, &[("a.com", "/x")])]);
    let answer = reviewed(Some(&world), "CREATE", &ingress("new", 2, &[("a.com", "/x")]));
    let text = refusal(&answer);
    assert!(text.starts_with("Conflict at spec.rules[0].http.paths[0]: "), "{text}");
    assert!(text.contains("Ingress default/old"), "{text}");
    assert!(text.ends_with("change its host or path."), "{text}");
}

#[test]
fn what_takes_a_path_away_is_refused() {
    let world = of(&[
        ingress("old", 1, &[("b.com", "/")]),
        ingress("young", 2, &[("a.com", "/x")]),
    ]);
    let answer = reviewed(
        Some(&world),
        "UPDATE",
        &ingress("old", 1, &[("b.com", "/"), ("a.com", "/x")]),
    );
    let text = refusal(&answer);
    assert!(text.contains("of Ingress default/young"), "{text}");
}

#[test]
fn an_error_of_before_refuses_nothing_even_when_it_moves() {
    let winner = ingress("old", 1, &[("a.com", "/x")]);
    let world = of(&[winner, ingress("loser", 2, &[("a.com", "/x")])]);
    let moved = ingress("loser", 2, &[("b.com", "/"), ("a.com", "/x")]);
    assert!(refusal_free(&reviewed(Some(&world), "UPDATE", &moved)));
    let worse = ingress("loser", 2, &[("a.com", "/x"), ("b_c", "/")]);
    assert!(refusal(&reviewed(Some(&world), "UPDATE", &worse)).starts_with("InvalidHost"));
}

fn refusal_free(answer: &Value) -> bool {
    answer["allowed"] == true
}

#[test]
fn what_may_come_later_is_only_warned_of() {
    let mut object = ingress("new", 1, &[("a.com", "/")]);
    object["metadata"]["annotations"] = json!({"tyk.io/template": "later", "tyk.io/unknown": "x".repeat(300)});
    object["spec"]["tls"] = json!([{"hosts": ["a.com"], "secretName": "later"}]);
    let answer = reviewed(Some(&of(&[])), "CREATE", &object);
    let text = warnings(&answer).join("\n");
    assert!(
        text.contains("TemplateNotFound") && text.contains("UnknownAnnotation"),
        "{text}"
    );
    assert!(warnings(&answer).iter().all(|one| one.chars().count() <= 256), "{text}");
    object["metadata"]["annotations"] = json!({});
    let answer = reviewed(Some(&of(&[])), "CREATE", &object);
    let text = warnings(&answer).join("\n");
    assert!(
        text.contains("CertificateNotFound") && text.contains("BackendNotFound"),
        "{text}"
    );
    let answer = reviewed(Some(&of(&[])), "CREATE", &policy("p", 1, None, "later"));
    assert!(warnings(&answer).join("\n").contains("PolicyWaits"), "{answer}");
}

#[test]
fn a_definition_that_no_gateway_serves_is_refused() {
    let bad = definition(
        "bad",
        1,
        json!({"proxy": {"listen_path": "/{x:(y)}", "target_url": "http://a.test"}}),
    );
    let answer = reviewed(Some(&of(&[])), "CREATE", &bad);
    assert!(
        refusal(&answer).starts_with("InvalidDefinition at spec.proxy.listen_path: "),
        "{answer}"
    );
    let api = |name, second| {
        definition(
            name,
            second,
            json!({"api_id": "same", "proxy": {"listen_path": format!("/{name}"), "target_url": "http://a.test"}}),
        )
    };
    let answer = reviewed(Some(&of(&[api("old", 1)])), "CREATE", &api("new", 2));
    assert!(refusal(&answer).starts_with("ApiIdConflict"), "{answer}");
}

#[test]
fn an_object_of_another_shape_is_refused_without_its_values() {
    let mut bad = ingress("bad", 1, &[]);
    bad["spec"]["rules"] = json!("hush");
    let answer = reviewed(Some(&of(&[])), "CREATE", &bad);
    let text = refusal(&answer);
    assert!(
        text.starts_with("InvalidManifest at spec.rules: ") && !text.contains("hush"),
        "{text}"
    );
}

#[test]
fn what_is_nobodys_business_is_let_in() {
    let world = of(&[ingress("old", 1, &[("a.com", "/x")])]);
    let bad = ingress("new", 2, &[("a.com", "/x")]);
    assert!(
        refusal_free(&reviewed(None, "CREATE", &bad)),
        "before the world is known"
    );
    assert!(refusal_free(&reviewed(Some(&world), "DELETE", &bad)));
    let mut leaving = bad.clone();
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
    assert!(refusal_free(&reviewed(Some(&world), "UPDATE", &leaving)));
    let mut foreign = bad.clone();
    foreign["spec"]["ingressClassName"] = json!("nginx");
    assert!(refusal_free(&reviewed(Some(&world), "CREATE", &foreign)));
    let mut child = definition("child", 1, json!({"proxy": {"listen_path": "/(x)"}}));
    child["metadata"]["labels"] = json!({"tyk.io/ingress": "new"});
    child["metadata"]["ownerReferences"] = json!([{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "new", "uid": "u", "controller": true}]);
    assert!(refusal_free(&reviewed(Some(&world), "CREATE", &child)));
    let mut elsewhere = settings();
    elsewhere.namespaces = Some(vec!["other".into()]);
    let review = serde_json::from_value(request("CREATE", &bad)).unwrap();
    assert!(admission::answer(review, Some(&world), &elsewhere).allowed);
    assert!(!refusal_free(&reviewed(Some(&world), "CREATE", &bad)));
}
