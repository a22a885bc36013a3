//! Comparison of a wanted definition with a loaded one, by meaning.
//!
//! A gateway reads a definition into its own types and writes those back: it adds every field that it knows, and
//! leaves out or adds zero values. So the wanted JSON has to be contained in the loaded one, and a wanted zero value
//! equals absence.

use serde_json::{Number, Value};

use crate::desired::{Desired, certificates, owner};
use crate::tyk::list::{Keep, Shape};

/// Where a gateway puts a value of its own into a definition when it loads it.
const REFERENCES: [&str; 4] = ["env://", "secrets://", "consul://", "vault://"];

/// A wanted value that the loaded definition does not hold.
#[derive(Debug, PartialEq)]
pub(super) struct Difference<'a> {
    /// Path of the field, for example `proxy.listen_path` or `tags[0]`.
    pub(super) field: String,
    /// What the gateway holds there; it can be a secret.
    pub(super) observed: &'a Value,
}

/// What rounds look at beside the fields that a wanted definition has: marks, routes, forms, versions.
const LOOKED_AT: [&[&str]; 10] = [
    &["active"],
    &["api_id"],
    &["application_protocol"],
    &["config_data", owner::KEY],
    &["definition", "versions"],
    &["domain"],
    &["is_oas"],
    &["openapi"],
    &["proxy", "listen_path"],
    &["x-tyk-api-gateway"],
];

/// What rounds look at of an API whatever is wanted.
pub(super) fn looked_at() -> Keep {
    let mut shape = Shape::default();
    LOOKED_AT.iter().for_each(|path| shape.add_path(path));
    Keep {
        shape,
        text: certificates::is_reference,
    }
}

/// What has to be kept of the APIs of a gateway to compare them with this state: 5,000 whole ones would take 200 MB.
pub(super) fn kept(desired: &Desired) -> Keep {
    let Keep { mut shape, text } = looked_at();
    desired
        .apis
        .values()
        .for_each(|api| shape.add_text(&api.payload.text()));
    Keep { shape, text }
}

/// All wanted values that `observed` does not hold, in the order of `desired`.
pub(super) fn differences<'a>(desired: &Value, observed: &'a Value) -> Vec<Difference<'a>> {
    let mut found = Vec::new();
    compare(String::new(), desired, observed, &mut found);
    found
}

/// Adds the wanted values that `observed` does not hold to `found`; `field` is the path of both.
pub(super) fn compare<'a>(field: String, desired: &Value, observed: &'a Value, found: &mut Vec<Difference<'a>>) {
    match (desired, observed) {
        (Value::Object(fields), Value::Object(_) | Value::Null) => {
            for (key, value) in fields {
                compare(
                    join(&field, key),
                    value,
                    observed.get(key).unwrap_or(&Value::Null),
                    found,
                );
            }
        }
        (Value::Array(items), Value::Array(held)) if items.len() == held.len() => {
            for (index, (value, observed)) in items.iter().zip(held).enumerate() {
                compare(format!("{field}[{index}]"), value, observed, found);
            }
        }
        _ if same(desired, observed) => {}
        _ => found.push(Difference { field, observed }),
    }
}

/// Adds the values of `observed` that `desired` does not name to `found`; zero values are none.
pub(super) fn additions<'a>(field: &str, desired: &Value, observed: &'a Value, found: &mut Vec<Difference<'a>>) {
    match (desired, observed) {
        (Value::Object(fields), Value::Object(held)) => {
            for (key, observed) in held {
                additions(
                    &join(field, key),
                    fields.get(key).unwrap_or(&Value::Null),
                    observed,
                    found,
                );
            }
        }
        (Value::Array(items), Value::Array(held)) if items.len() == held.len() => {
            for (index, (desired, observed)) in items.iter().zip(held).enumerate() {
                additions(&format!("{field}[{index}]"), desired, observed, found);
            }
        }
        (Value::Null, observed) if !is_zero(observed) => {
            let field = field.to_owned();
            found.push(Difference { field, observed });
        }
        _ => {}
    }
}

fn join(field: &str, key: &str) -> String {
    match field {
        "" => key.to_owned(),
        field => format!("{field}.{key}"),
    }
}

fn same(desired: &Value, observed: &Value) -> bool {
    match (desired, observed) {
        (Value::Number(one), Value::Number(other)) => same_number(one, other),
        (Value::String(text), Value::String(held)) => text == held || resolves_to(text, held),
        _ => desired == observed || (is_zero(desired) && is_zero(observed)),
    }
}

fn same_number(one: &Number, other: &Number) -> bool {
    one == other || one.as_f64() == other.as_f64() && !(whole(one) && whole(other))
}

fn whole(number: &Number) -> bool {
    number.is_i64() || number.is_u64()
}

/// A gateway shows the value that a reference stands for, up to the end of the string.
fn resolves_to(text: &str, held: &str) -> bool {
    REFERENCES
        .iter()
        .filter_map(|reference| text.find(reference))
        .min()
        .is_some_and(|start| held.starts_with(&text[..start]))
}

/// Whether a value is the one that Go has for nothing.
pub fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_zero),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(desired: Value, observed: Value) -> Vec<String> {
        differences(&desired, &observed)
            .into_iter()
            .map(|difference| difference.field)
            .collect()
    }

    #[test]
    fn the_same_meaning_is_no_difference() {
        for (desired, observed) in [
            (json!({"a": 1}), json!({"a": 1, "b": 2})),
            (json!({"a": 1}), json!({"a": 1.0})),
            (json!({"a": {"b": "x"}}), json!({"a": {"b": "x", "c": [1]}})),
            (json!({"a": [{"b": 1}]}), json!({"a": [{"b": 1, "c": true}]})),
            (
                json!({"a": null, "b": false, "c": 0, "d": "", "e": [], "f": {}}),
                json!({}),
            ),
            (
                json!({"a": null, "b": [], "c": {}}),
                json!({"a": "", "b": null, "c": null}),
            ),
            (json!({"a": {"b": {"c": 0}}}), json!({})),
            (json!({"a": {}}), json!({"a": {"b": 1}})),
            (json!({"a": "env://TOKEN"}), json!({"a": "the value"})),
            (json!({"a": "Bearer secrets://token"}), json!({"a": "Bearer the value"})),
        ] {
            assert_eq!(
                fields(desired.clone(), observed.clone()),
                [""; 0],
                "{desired} {observed}"
            );
        }
    }

    #[test]
    fn what_was_added_is_named_by_its_field() {
        let desired = json!({"a": {"b": 1}, "c": [{"d": 1}], "n": null});
        let observed =
            json!({"a": {"b": 2, "x": 1, "zero": 0}, "c": [{"d": 1, "y": "z"}], "n": 1, "e": [], "m": {"q": 1}});
        let mut found = Vec::new();
        additions("", &desired, &observed, &mut found);
        let fields: Vec<_> = found.into_iter().map(|found| found.field).collect();
        assert_eq!(fields, ["a.x", "c[0].y", "m", "n"]);
    }

    #[test]
    fn another_meaning_is_named_by_its_field() {
        for (desired, observed, field) in [
            (json!({"a": 1}), json!({"a": 2}), "a"),
            (json!({"a": 1}), json!({}), "a"),
            (json!({"a": {"b": 1}}), json!({}), "a.b"),
            (json!({"a": {"b": 1}}), json!({"a": "x"}), "a"),
            (json!({"a": false}), json!({"a": true}), "a"),
            (json!({"a": ""}), json!({"a": "x"}), "a"),
            (json!({"a": []}), json!({"a": [1]}), "a"),
            (json!({"a": [1, 2]}), json!({"a": [2, 1]}), "a[0]"),
            (json!({"a": [1]}), json!({"a": [1, 2]}), "a"),
            (json!({"a": {"b": 0}}), json!({"a": {"b": 5}}), "a.b"),
            (json!({"a": "1"}), json!({"a": 1}), "a"),
            (
                json!({"a": 9007199254740993_i64}),
                json!({"a": 9007199254740992_i64}),
                "a",
            ),
            (json!({"a": "Bearer env://TOKEN"}), json!({"a": "other"}), "a"),
        ] {
            assert_eq!(
                fields(desired.clone(), observed.clone()).first().map(String::as_str),
                Some(field),
                "{desired} {observed}"
            );
        }
    }
}
