//! Values that say nothing.

use serde_json::{Map, Value};

/// Takes out values that a gateway writes for what is not set, at every depth. What stays means the same to it.
pub fn without_zeros(fields: &mut Map<String, Value>) {
    fields.retain(|_, value| !is_zero(value));
    fields.values_mut().for_each(clean);
}

fn clean(value: &mut Value) {
    match value {
        Value::Object(fields) => without_zeros(fields),
        Value::Array(items) => items.iter_mut().for_each(clean),
        _ => {}
    }
}

/// Takes out nulls alone, at every depth.
pub fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
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
