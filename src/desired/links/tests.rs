#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::api::{ApiDefinition, OperatorContext, SecurityPolicy, SubGraph, SuperGraph, TykOasApiDefinition};

/// A world of objects; a name that ends with `!` is being deleted.
#[derive(Default)]
struct World(Snapshot);

impl World {
    fn with<K: SnapshotKind + serde::de::DeserializeOwned>(mut self, name: &str, spec: Value) -> Self {
        let mut object = json!({"metadata": {"namespace": "ns", "name": name.trim_end_matches('!')}, "spec": spec});
        if name.ends_with('!') {
            object["metadata"]["deletionTimestamp"] = json!("2024-05-06T07:08:09Z");
        }
        self.0.insert::<K>(serde_json::from_value(object).unwrap());
        self
    }

    fn api(self, name: &str) -> Self {
        self.with::<ApiDefinition>(name, json!({}))
    }

    fn policy(self, name: &str, apis: &[&str]) -> Self {
        let rights: Vec<_> = apis.iter().map(|api| json!({"name": api, "namespace": "ns"})).collect();
        self.with::<SecurityPolicy>(name, json!({"access_rights_array": rights}))
    }

    fn caller(self, name: &str, target: &str) -> Self {
        let target = json!({"proxy": {"target_internal": {"target": {"name": target, "namespace": "ns"}}}});
        self.with::<ApiDefinition>(name, target)
    }

    fn links(&self) -> Links {
        Links::of(&self.0, &graph::edges(&self.0))
    }

    /// Why a deletion waits, by kind and name.
    fn refusals(&self) -> Vec<String> {
        let refusals = self.links().refusals().into_iter();
        refusals
            .map(|(object, reason)| format!("{} {}: {reason}", object.kind, object.name))
            .collect()
    }

    fn status(&self, kind: &'static str, name: &str) -> Value {
        let found = self.links().statuses(&self.0);
        Value::Object(
            found
                .get(&ObjectRef::new(kind, "ns", name))
                .cloned()
                .unwrap_or_default(),
        )
    }
}

#[test]
fn an_api_stays_while_a_policy_or_another_api_needs_it() {
    let world = World::default().api("a!").policy("gold", &["a"]);
    let text = "ApiDefinition a: unable to delete api due to security policy dependency=ns/gold";
    assert_eq!(world.refusals(), [text]);
    let world = World::default().api("a!").caller("front", "a");
    let text = "ApiDefinition a: unable to delete api due to being depended by =ns/front";
    assert_eq!(world.refusals(), [text]);
    let nobody = World::default().api("a!").policy("gold", &["b"]).caller("front", "b");
    assert!(nobody.refusals().is_empty());
    let not_in_deletion = World::default().api("a").policy("gold", &["a"]);
    assert!(not_in_deletion.refusals().is_empty());
}

#[test]
fn two_that_are_deleted_together_both_go() {
    let world = World::default().api("a!").policy("gold!", &["a"]);
    assert!(world.refusals().is_empty());
    let mutual = World::default().caller("a!", "b").caller("b!", "a");
    assert!(mutual.refusals().is_empty());
    let itself = World::default().caller("a!", "a");
    assert!(itself.refusals().is_empty());
}

#[test]
fn a_version_stays_while_its_base_names_it() {
    let versioning = json!({"enabled": true, "name": "v1", "default": "v2", "location": "header", "key": "v",
        "versions": [{"name": "v2", "tykOasApiDefinitionRef": {"name": "two"}}]});
    let world = World::default()
        .with::<TykOasApiDefinition>("one", json!({"versioning": versioning}))
        .with::<TykOasApiDefinition>("two!", json!({}));
    let text = "TykOasApiDefinition two: unable to delete api due to being a version of =ns/one";
    assert_eq!(world.refusals(), [text]);
    assert_eq!(
        world.status("TykOasApiDefinition", "two")["versioningStatus"],
        json!({"isVersionedAPI": true, "isDefaultVersion": true,
            "baseAPIVersionContextRef": {"name": "one", "namespace": "ns"}})
    );
    assert_eq!(
        world.status("TykOasApiDefinition", "one")["versioningStatus"],
        json!({"isVersionedAPI": true, "isDefaultVersion": false})
    );
}

#[test]
fn graphs_stay_while_they_are_served() {
    let sub = json!({"schema": "type Query { a: Int }", "sdl": "type Query { a: Int }"});
    let graph =
        |mode: &str, name: &str| json!({"graphql": {"enabled": true, "execution_mode": mode, "graph_ref": name}});
    let world = World::default()
        .with::<SubGraph>("users!", sub.clone())
        .with::<ApiDefinition>("api", graph("subgraph", "users"));
    assert_eq!(
        world.refusals(),
        ["SubGraph users: subgraph is referenced in ApiDefinition ns/api"]
    );
    assert_eq!(world.status("ApiDefinition", "api")["linked_to_subgraph"], "users");
    let world = World::default()
        .with::<SubGraph>("users!", sub.clone())
        .with::<SuperGraph>("all", json!({"subgraph_refs": [{"name": "users"}]}));
    assert_eq!(
        world.refusals(),
        ["SubGraph users: subgraph is referenced in SuperGraph ns/all"]
    );
    let world = World::default()
        .with::<SubGraph>("users", sub)
        .with::<SuperGraph>("all!", json!({"subgraph_refs": [{"name": "users"}]}))
        .with::<ApiDefinition>("api", graph("supergraph", "all"));
    assert_eq!(
        world.refusals(),
        ["SuperGraph all: SuperGraph is referenced in ApiDefinition ns/api"]
    );
}

#[test]
fn a_context_stays_while_anything_names_it_even_in_deletion() {
    let named = json!({"contextRef": {"name": "east"}});
    let world = World::default()
        .with::<OperatorContext>("east!", json!({}))
        .with::<ApiDefinition>("a!", named.clone())
        .with::<SecurityPolicy>("gold", named);
    let [refusal] = &world.refusals()[..] else {
        panic!("{:?}", world.refusals());
    };
    assert!(refusal.starts_with("OperatorContext east: Operator context is used by other resources.Please check"));
    assert_eq!(
        world.status("OperatorContext", "east"),
        json!({"linked_api_definitions": [{"name": "a", "namespace": "ns"}],
            "linked_security_policies": [{"name": "gold", "namespace": "ns"}]})
    );
    assert!(
        World::default()
            .with::<OperatorContext>("east!", json!({}))
            .refusals()
            .is_empty()
    );
}

#[test]
fn links_are_told_on_both_sides() {
    let world = World::default().api("a").policy("gold", &["a"]).caller("front", "a");
    let one = |name: &str| json!([{"name": name, "namespace": "ns"}]);
    let status = world.status("ApiDefinition", "a");
    assert_eq!(
        (&status["linked_by_policies"], &status["linked_by_apis"]),
        (&one("gold"), &one("front"))
    );
    assert_eq!(
        world.status("ApiDefinition", "front"),
        json!({"linked_to_apis": one("a")})
    );
    assert_eq!(
        world.status("SecurityPolicy", "gold"),
        json!({"linked_apis": [{"kind": "ApiDefinition", "name": "a", "namespace": "ns"}]})
    );
}
