//! What becomes of rules, paths and default backends.

use serde_json::json;
use tyk_ingress::diagnostic::Code;

use crate::world::{backend, ingress, rule, world};

/// Tyk Operator dereferences the missing part of a rule without `http` and of a resource backend and dies, again and
/// again; here each costs only itself and is reported, and the paths beside it are served.
#[test]
fn ing_01_an_incomplete_rule_costs_only_itself() {
    let resource = json!({"resource": {"apiGroup": "storage.example", "kind": "Bucket", "name": "pictures"}});
    let rules = json!([
        {"host": "bare.test"},
        {"host": "shop.test", "http": {"paths": [
            {"path": "/bucket", "pathType": "Prefix", "backend": resource},
            {"path": "/cart", "pathType": "Prefix", "backend": backend("cart")}]}},
    ]);
    let world = world(&[ingress("shop", json!({}), json!({"rules": rules}))]);
    assert!(world.target("shop.test", "/cart").unwrap().starts_with("http://cart."));
    assert_eq!(world.target("bare.test", "/"), None);
    assert!(world.tells(Code::RuleWithoutPaths) && world.tells(Code::ResourceBackendUnsupported));
}

/// Tyk Operator ignores `pathType` and names the API after host and path alone, so that the last of Exact and Prefix
/// wins; here both are served, each for its own requests.
#[test]
fn ing_07_exact_and_prefix_of_one_path_are_two() {
    for kinds in [["Exact", "Prefix"], ["Prefix", "Exact"]] {
        let rules = kinds.map(|kind| rule("shop.test", kind, "/foo", &kind.to_lowercase()));
        let world = world(&[ingress("shop", json!({}), json!({"rules": rules}))]);
        assert_eq!(world.children().len(), 2);
        let answers = |path: &str, service: &str| {
            let target = world.target("shop.test", path);
            assert!(
                target.is_some_and(|target| target.starts_with(&format!("http://{service}."))),
                "{path}"
            );
        };
        answers("/foo", "exact");
        answers("/foo/", "prefix");
        answers("/foo/bar", "prefix");
        assert_eq!(world.target("shop.test", "/foobar"), None);
    }
}

/// Tyk Operator ignores `spec.defaultBackend`; here it takes what no rule wants.
#[test]
fn ing_10_the_default_backend_takes_the_rest() {
    let spec = json!({"defaultBackend": backend("rest"), "rules": [rule("shop.test", "Prefix", "/cart", "cart")]});
    let world = world(&[ingress("shop", json!({}), spec)]);
    assert!(world.target("shop.test", "/cart").unwrap().starts_with("http://cart."));
    for (host, path) in [("shop.test", "/other"), ("other.test", "/"), ("other.test", "/cart")] {
        assert!(
            world.target(host, path).unwrap().starts_with("http://rest."),
            "{host}{path}"
        );
    }
}
