//! Rules of a schema in the Common Expression Language, without an API server.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cel::{Context, Program};
use serde_json::Value;

/// Compiled rules by their text; `None` for one that needs more than is known here.
#[derive(Default)]
pub struct Rules(BTreeMap<String, Option<Program>>);

impl Rules {
    /// Whether `value` breaks a rule. One that cannot be evaluated here is left to the API server.
    pub fn breaks(&mut self, rule: &str, value: &Value) -> bool {
        let program = self
            .0
            .entry(rule.to_owned())
            .or_insert_with(|| Program::compile(rule).ok());
        let Some(program) = program else { return false };
        let mut context = Context::default();
        // Of the functions that Kubernetes adds, the one that rules of ours use.
        let is_url = |text: Arc<String>| url::Url::parse(&text).is_ok();
        if context.add_function("isURL", is_url).is_err() {
            return false;
        }
        context.add_variable_from_value("self", cel_value(value));
        matches!(program.execute(&context), Ok(cel::Value::Bool(false)))
    }

    /// Whether a rule can be evaluated here.
    #[cfg(test)]
    pub fn is_known(rule: &str) -> bool {
        Program::compile(rule).is_ok()
    }
}

/// Whole numbers are `int` for Kubernetes, whatever their sign. A field that is null is as good as absent.
fn cel_value(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(flag) => cel::Value::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => cel::Value::Int(whole),
            None => cel::Value::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => cel::Value::String(Arc::new(text.clone())),
        Value::Array(items) => cel::Value::List(Arc::new(items.iter().map(cel_value).collect())),
        Value::Object(fields) => {
            let known = fields.iter().filter(|(_, value)| !value.is_null());
            let map: HashMap<String, cel::Value> = known.map(|(key, value)| (key.clone(), cel_value(value))).collect();
            cel::Value::Map(map.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_are_kept_and_broken() {
        let mut rules = Rules::default();
        for (rule, good, bad) in [
            ("self == '' || self.startsWith('/')", json!("/a"), json!("a")),
            (
                "has(self.a) != has(self.b)",
                json!({"a": 1, "b": null}),
                json!({"a": 1, "b": 2}),
            ),
            ("!has(self.n) || self.n == 0", json!({"n": 0}), json!({"n": 7})),
            (
                "self.all(f, !has(f.u) || isURL(f.u))",
                json!([{"u": "http://a"}, {}]),
                json!([{"u": "a b"}]),
            ),
            (
                "size(self.l) > 0 && !self.s.contains('/')",
                json!({"l": [1], "s": "x"}),
                json!({"l": [], "s": "x"}),
            ),
        ] {
            assert!(!rules.breaks(rule, &good), "{rule} {good}");
            assert!(rules.breaks(rule, &bad), "{rule} {bad}");
        }
        assert!(
            !rules.breaks("((", &json!(1)),
            "what cannot be read is left to the API server"
        );
    }
}
