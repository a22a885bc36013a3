//! The health checks of `docs/gitops.md`, run on statuses as the operator writes them.

use std::collections::HashMap;
use std::sync::Arc;

use cel::{Context, Program};
use mlua::{Lua, Table};
use serde_json::{Value, json};

use crate::blocks::{self, Block};

const PAGE: &str = "docs/gitops.md";

/// A definition of generation 2 whose status saw `observed`, with these conditions.
fn object(observed: u8, template: bool, conditions: &[(&str, &str, &str)]) -> Value {
    let conditions: Vec<_> = conditions
        .iter()
        .map(|(type_, status, reason)| json!({"type": type_, "status": status, "reason": reason, "message": "words"}))
        .collect();
    let mut status = json!({"observedGeneration": observed, "conditions": conditions});
    if template {
        status["ingressTemplate"] = true.into();
    }
    json!({"metadata": {"generation": 2}, "status": status})
}

/// Objects, and what Argo CD and Flux are to say of each.
fn cases() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let all = |accepted, synced, ready| {
        [
            ("Accepted", accepted, "Valid"),
            ("Synced", synced, "SomeReason"),
            ("Ready", ready, "SomeReason"),
        ]
    };
    let good = all("True", "True", "True");
    vec![
        (
            "new",
            json!({"metadata": {"generation": 1}}),
            "Progressing",
            "inProgress",
        ),
        (
            "in the status of nobody",
            json!({"metadata": {"generation": 1}, "status": {}}),
            "Progressing",
            "inProgress",
        ),
        ("served", object(2, false, &good), "Healthy", "current"),
        ("edited since", object(1, false, &good), "Progressing", "inProgress"),
        (
            "not asked yet",
            object(2, false, &all("True", "Unknown", "Unknown")),
            "Progressing",
            "inProgress",
        ),
        (
            "refused",
            object(2, false, &all("False", "False", "False")),
            "Degraded",
            "failed",
        ),
        (
            "not taken by its Tyk",
            object(2, false, &all("True", "False", "False")),
            "Degraded",
            "failed",
        ),
        ("a template", object(2, true, &good[..1]), "Healthy", "current"),
        (
            "a bad template",
            object(2, true, &[("Accepted", "False", "InvalidDefinition")]),
            "Degraded",
            "failed",
        ),
    ]
}

fn block_with(text: &str) -> Block {
    let mut found = blocks::of(PAGE).into_iter().filter(|block| block.text.contains(text));
    found
        .next()
        .unwrap_or_else(|| panic!("{PAGE} has no block with {text}"))
}

#[test]
fn argo_cd_is_told_the_health() {
    let map: Value = serde_saphyr::from_str(&block_with("health.lua").text).unwrap();
    let text = map["data"]["resource.customizations"].as_str().unwrap();
    let customizations: Value = serde_saphyr::from_str(text).unwrap();
    let script = customizations["tyk.tyk.io/*"]["health.lua"].as_str().unwrap();
    for (what, object, expected, _) in cases() {
        let lua = Lua::new();
        lua.globals().set("obj", lua_value(&lua, &object)).unwrap();
        let health: Table = lua.load(script).eval().unwrap();
        let status: String = health.get("status").unwrap();
        assert_eq!(status, expected, "{what}");
        assert!(!health.get::<String>("message").unwrap().is_empty(), "{what}");
    }
}

fn lua_value(lua: &Lua, value: &Value) -> mlua::Value {
    match value {
        Value::Null => mlua::Value::Nil,
        Value::Bool(flag) => mlua::Value::Boolean(*flag),
        Value::Number(number) => mlua::Value::Number(number.as_f64().unwrap()),
        Value::String(text) => mlua::Value::String(lua.create_string(text).unwrap()),
        Value::Array(items) => {
            let items = items.iter().map(|item| lua_value(lua, item));
            mlua::Value::Table(lua.create_sequence_from(items).unwrap())
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (key.as_str(), lua_value(lua, value)));
            mlua::Value::Table(lua.create_table_from(fields).unwrap())
        }
    }
}

#[test]
fn flux_is_told_the_health() {
    let kustomization: Value = serde_saphyr::from_str(&block_with("healthCheckExprs").text).unwrap();
    let checks = kustomization["spec"]["healthCheckExprs"].as_array().unwrap();
    for check in checks {
        for (what, object, _, expected) in cases() {
            // Flux asks in this order; what nothing is true of goes on.
            let order = ["inProgress", "failed", "current"];
            let found = order
                .into_iter()
                .find(|name| holds(check[name].as_str().unwrap(), &object));
            assert_eq!(found.unwrap_or("inProgress"), expected, "{what}: {check}");
        }
    }
}

fn holds(expression: &str, object: &Value) -> bool {
    let mut context = Context::default();
    for name in ["metadata", "status"] {
        context.add_variable_from_value(name, cel_value(object.get(name).unwrap_or(&json!({}))));
    }
    match Program::compile(expression).unwrap().execute(&context).unwrap() {
        cel::Value::Bool(holds) => holds,
        other => panic!("{expression} is {other:?}"),
    }
}

fn cel_value(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(flag) => cel::Value::Bool(*flag),
        Value::Number(number) => cel::Value::Int(number.as_i64().unwrap()),
        Value::String(text) => cel::Value::String(Arc::new(text.clone())),
        Value::Array(items) => cel::Value::List(Arc::new(items.iter().map(cel_value).collect())),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (key.clone(), cel_value(value)));
            cel::Value::Map(fields.collect::<HashMap<_, _>>().into())
        }
    }
}
