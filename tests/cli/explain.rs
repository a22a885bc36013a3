//! `explain`: codes, and the way of a request.

use serde_json::Value;

use crate::program::{Folder, ingress, run, service};

#[test]
fn every_code_is_explained_and_a_wrong_one_gets_the_nearest() {
    let ended = run(&["explain", "conflict"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(
        ended.out.starts_with("Conflict (error)") && ended.out.contains("Fix"),
        "{}",
        ended.out
    );
    let wrong = run(&["explain", "Conflct"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("did you mean Conflict?"), "{}", wrong.err);
    let all = run(&["explain", "-o", "json"]).json();
    assert!(all.as_array().unwrap().len() > 40);
    assert!(run(&["explain"]).out.contains("ListenPathCollision"));
    assert_eq!(
        run(&["explain", "--request", "http://a/"]).code,
        Some(2),
        "a request needs files"
    );
    assert_eq!(run(&["explain", "-f", "-", "--request", "a/"]).code, Some(2));
}

fn dated(name: &str, day: u8, host: &str, path: &str) -> String {
    let text = ingress(name, host, path, name);
    let metadata = format!("name: {name}, creationTimestamp: \"2026-01-0{day}T00:00:00Z\"");
    text.replace(
        &format!("metadata: {{ name: {name} }}"),
        &format!("metadata: {{ {metadata} }}"),
    )
}

fn world() -> Folder {
    let folder = Folder::new();
    let exact = dated("exact", 3, "a.shop.test", "/cart").replace("Prefix", "Exact");
    let rest = dated("rest", 1, "a.shop.test", "/rest").replace("host: a.shop.test", "host:");
    let definition = "apiVersion: tyk.tyk.io/v1alpha1\nkind: ApiDefinition\nmetadata: { name: hand }\nspec: { name: hand, \
                      use_keyless: true, proxy: { listen_path: /hand, target_url: http://hand } }\n";
    let all = [
        dated("wild", 1, "\"*.shop.test\"", "/"),
        dated("root", 1, "a.shop.test", "/"),
        dated("cart", 2, "a.shop.test", "/cart"),
        dated("late", 4, "a.shop.test", "/cart"),
        exact,
        rest,
        definition.into(),
    ];
    folder.write("all.yaml", &all.join("---\n"));
    folder
}

#[test]
fn the_first_and_the_second_of_a_request_are_told_with_the_reason() {
    let folder = world();
    let asked = |request: &str| -> (Option<i32>, Value) {
        let ended = run(&["explain", "-o", "json", "-f", folder.text(), "--request", request]);
        (ended.code, ended.json())
    };
    for (request, winner, second, because) in [
        (
            "http://a.shop.test/cart",
            "Ingress default/exact",
            "Ingress default/cart",
            "Exact goes before Prefix",
        ),
        (
            "http://a.shop.test/cart/x",
            "Ingress default/cart",
            "Ingress default/late",
            "older",
        ),
        (
            "http://a.shop.test/x",
            "Ingress default/root",
            "Ingress default/wild",
            "nothing from a wildcard",
        ),
        (
            "http://b.shop.test/rest",
            "Ingress default/wild",
            "Ingress default/rest",
            "before one for every host",
        ),
        (
            "http://a.shop.test/rest",
            "Ingress default/root",
            "Ingress default/rest",
            "before one for every host",
        ),
    ] {
        let (code, answer) = asked(request);
        assert_eq!(code, Some(0), "{request}");
        assert_eq!(answer["winner"]["source"], winner, "{request}: {answer}");
        assert_eq!(answer["second"]["source"], second, "{request}: {answer}");
        assert!(
            answer["because"].as_str().unwrap().contains(because),
            "{request}: {answer}"
        );
    }
    let (_, cart) = asked("http://a.shop.test/cart");
    assert_eq!(cart["winner"]["listen_path"], "/cart{tykexact:$}");
    assert_eq!(cart["winner"]["field"], "spec.rules[0].http.paths[0]");
    assert!(cart["winner"]["at"].as_str().unwrap().contains("all.yaml:"), "{cart}");
    let (code, hand) = asked("POST http://other.test/hand/x?q=1");
    assert_eq!(
        (code, &hand["winner"]["source"]),
        (Some(0), &Value::from("ApiDefinition default/hand"))
    );
}

#[test]
fn a_request_that_nobody_answers_is_told_why() {
    let folder = Folder::new();
    folder.write("a.yaml", &(ingress("a", "shop.test", "/cart", "web") + &service("web")));
    for (request, because) in [
        ("http://shop.test/x", "it has /cart"),
        ("http://other.test/", "there are rules for shop.test"),
        ("https://shop.test/cart", "spec.tls"),
        ("http://shop.test/a//b", "redirects"),
    ] {
        let ended = run(&["explain", "-f", folder.text(), "--request", request]);
        assert_eq!(ended.code, Some(1), "{request}");
        assert!(
            ended.out.contains("nobody answers") && ended.out.contains(because),
            "{request}: {}",
            ended.out
        );
    }
}
