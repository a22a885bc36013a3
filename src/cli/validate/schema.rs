//! What an API server with our CustomResourceDefinitions would refuse or drop.
//!
//! Structural schemas are a small part of JSON Schema with additions of Kubernetes (`nullable`, unknown fields, rules in
//! CEL at every depth), and messages may not quote a value, which can be a secret: so they are walked here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::rules::Rules;
use crate::api::all_crds;
use crate::api::names::GROUP;
use crate::cli::input::Text;
use crate::diagnostic::{Code, Diagnostic, ObjectRef};
use crate::snapshot::Location;

/// How alike two names have to be, from 0 to 1, for one to be offered.
const ALIKE: f64 = 0.8;

/// Checks every object of our kinds.
pub fn check(texts: &[Text], locations: &BTreeMap<ObjectRef, Location>) -> Vec<Diagnostic> {
    let schemas = schemas();
    let mut rules = Rules::default();
    let mut found = BTreeSet::new();
    for object in texts.iter().flat_map(documents) {
        let (Some(kind), Some(name)) = (object["kind"].as_str(), object["metadata"]["name"].as_str()) else {
            continue;
        };
        let group = object["apiVersion"].as_str().unwrap_or_default().split('/').next();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        let is_it =
            |known: &&ObjectRef| (known.kind, known.namespace.as_ref(), known.name.as_ref()) == (kind, namespace, name);
        let (Some(schema), Some(reference)) = (schemas.get(kind), locations.keys().find(is_it)) else {
            continue;
        };
        if group != Some(GROUP) {
            continue;
        }
        let mut walk = Walk {
            rules: &mut rules,
            found: Vec::new(),
        };
        walk.value(&schema["properties"]["spec"], &object["spec"], "spec");
        let own = walk.found.into_iter();
        found.extend(own.map(|(code, field, message)| Diagnostic::new(code, reference.clone(), field, message)));
    }
    found.into_iter().collect()
}

fn schemas() -> BTreeMap<String, Value> {
    let schema = |crd: &Value| {
        let kind = crd["spec"]["names"]["kind"].as_str()?.to_owned();
        Some((kind, crd.pointer("/spec/versions/0/schema/openAPIV3Schema")?.clone()))
    };
    let crds = all_crds();
    crds.iter()
        .filter_map(|crd| schema(&serde_json::to_value(crd).ok()?))
        .collect()
}

/// The objects of a text, those in lists too.
fn documents(text: &Text) -> Vec<Value> {
    let options = serde_saphyr::options! { budget: None, legacy_octal_numbers: true, strict_booleans: false, with_snippet: false };
    let all: Vec<Value> = serde_saphyr::from_multiple_with_options(&text.text, options).unwrap_or_default();
    let objects = |document: Value| match document["items"].as_array() {
        Some(items) if document["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) => items.clone(),
        _ => vec![document],
    };
    all.into_iter().flat_map(objects).collect()
}

struct Walk<'a> {
    rules: &'a mut Rules,
    found: Vec<(Code, String, String)>,
}

impl Walk<'_> {
    fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.found
            .push((Code::InvalidManifest, field.to_owned(), message.into()));
    }

    fn value(&mut self, schema: &Value, value: &Value, field: &str) {
        if value.is_null() {
            if schema["nullable"] != true && schema["type"].is_string() {
                self.refuse(
                    field,
                    format!("it must be {}, and is null or missing", article(&schema["type"])),
                );
            }
            return;
        }
        if let Some(expected) = schema["type"].as_str()
            && !is_of(expected, value)
        {
            self.refuse(field, format!("it must be {}", article(&schema["type"])));
            return;
        }
        self.bounds(schema, value, field);
        match value {
            Value::Object(fields) => {
                let known = schema["properties"].as_object();
                for required in schema["required"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                {
                    if fields.get(required).is_none_or(Value::is_null) {
                        self.refuse(&format!("{field}.{required}"), "it is required");
                    }
                }
                for (name, one) in fields {
                    let field = format!("{field}.{name}");
                    match known.and_then(|known| known.get(name)) {
                        // The API server drops a null where it may not be one.
                        Some(_) if one.is_null() => {}
                        Some(schema) => self.value(schema, one, &field),
                        None if schema["additionalProperties"].is_object() => {
                            self.value(&schema["additionalProperties"], one, &field);
                        }
                        None if known.is_some() && schema["x-kubernetes-preserve-unknown-fields"] != true => {
                            self.unknown(name, known.into_iter().flat_map(|known| known.keys()), &field);
                        }
                        None => {}
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(&schema["items"], item, &format!("{field}[{index}]"));
                }
            }
            _ => {}
        }
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let text = rule["rule"].as_str().unwrap_or_default();
            if self.rules.breaks(text, value) {
                let below = rule["fieldPath"].as_str().unwrap_or_default();
                self.refuse(&format!("{field}{below}"), rule["message"].as_str().unwrap_or(text));
            }
        }
    }

    fn unknown<'k>(&mut self, name: &str, known: impl Iterator<Item = &'k String>, field: &str) {
        let likeness = |one: &String| strsim::jaro_winkler(one, name);
        let nearest = known.max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
        let message = match nearest.filter(|one| likeness(one) >= ALIKE) {
            Some(nearest) => format!("the field is not known; did you mean {nearest}?"),
            None => "the field is not known".to_owned(),
        };
        self.found.push((Code::UnknownField, field.to_owned(), message));
    }

    fn bounds(&mut self, schema: &Value, value: &Value, field: &str) {
        if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
            let allowed: Vec<_> = allowed.iter().map(Value::to_string).collect();
            self.refuse(field, format!("it must be one of {}", allowed.join(", ")));
        }
        if let Value::String(text) = value
            && let Some(pattern) = schema["pattern"].as_str()
            && regex::Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
        {
            self.refuse(field, format!("it must match {pattern}"));
        }
        let (size, unit, least, most) = match value {
            Value::Number(number) => (number.as_f64(), "", "minimum", "maximum"),
            Value::String(text) => (
                Some(text.chars().count() as f64),
                " characters",
                "minLength",
                "maxLength",
            ),
            Value::Array(items) => (Some(items.len() as f64), " entries", "minItems", "maxItems"),
            Value::Object(fields) => (Some(fields.len() as f64), " fields", "minProperties", "maxProperties"),
            _ => return,
        };
        let Some(size) = size else { return };
        if let Some(least) = schema[least].as_f64().filter(|least| size < *least) {
            self.refuse(field, format!("it must be at least {least}{unit}"));
        }
        if let Some(most) = schema[most].as_f64().filter(|most| size > *most) {
            self.refuse(field, format!("it must be at most {most}{unit}"));
        }
    }
}

fn is_of(expected: &str, value: &Value) -> bool {
    match expected {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    }
}

fn article(expected: &Value) -> String {
    let expected = expected.as_str().unwrap_or_default();
    let article = if expected.starts_with(['a', 'i', 'o']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {expected}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(schema: &Value, value: &Value) -> Vec<(Code, String)> {
        let mut rules = Rules::default();
        let mut walk = Walk {
            rules: &mut rules,
            found: Vec::new(),
        };
        walk.value(schema, value, "spec");
        walk.found.into_iter().map(|(code, field, _)| (code, field)).collect()
    }

    #[test]
    fn a_schema_is_held_to_at_every_depth() {
        let schema = json!({"type": "object", "required": ["a"], "properties": {
            "a": {"type": "string", "pattern": "^x", "maxLength": 3},
            "n": {"type": "integer", "minimum": 1, "maximum": 9},
            "l": {"type": "array", "maxItems": 1, "items": {"type": "object", "properties": {"b": {"type": "boolean"}}}},
            "m": {"type": "object", "nullable": true, "additionalProperties": {"type": "string", "enum": ["p"]}},
            "o": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {}},
        }, "x-kubernetes-validations": [{"rule": "!has(self.n) || self.n != 5", "message": "five", "fieldPath": ".n"}]});
        let good = json!({"a": "xy", "n": 3, "l": [{"b": true}], "m": null, "o": {"any": 1}});
        assert_eq!(found(&schema, &good), []);
        let refused = |field: &str| (Code::InvalidManifest, format!("spec{field}"));
        for (value, expected) in [
            (json!({}), refused(".a")),
            (json!({"a": 1}), refused(".a")),
            (json!({"a": "y"}), refused(".a")),
            (json!({"a": "xxxx"}), refused(".a")),
            (json!({"a": "x", "n": 0}), refused(".n")),
            (json!({"a": "x", "n": 1.5}), refused(".n")),
            (json!({"a": "x", "n": 5}), refused(".n")),
            (json!({"a": "x", "l": [{"b": "yes"}]}), refused(".l[0].b")),
            (json!({"a": "x", "l": [{}, {}]}), refused(".l")),
            (json!({"a": "x", "m": {"k": "q"}}), refused(".m.k")),
            (
                json!({"a": "x", "l": [{"bb": 1}]}),
                (Code::UnknownField, "spec.l[0].bb".to_owned()),
            ),
        ] {
            assert_eq!(found(&schema, &value), [expected], "{value}");
        }
    }

    #[test]
    fn every_rule_of_ours_can_be_evaluated() {
        fn rules(schema: &Value, found: &mut Vec<String>) {
            match schema {
                Value::Object(fields) => {
                    found.extend(fields.get("rule").and_then(Value::as_str).map(str::to_owned));
                    fields.values().for_each(|one| rules(one, found));
                }
                Value::Array(items) => items.iter().for_each(|one| rules(one, found)),
                _ => {}
            }
        }
        let mut all = Vec::new();
        schemas().values().for_each(|schema| rules(schema, &mut all));
        assert!(all.len() > 20);
        for rule in all {
            assert!(Rules::is_known(&rule), "{rule}");
        }
    }
}
