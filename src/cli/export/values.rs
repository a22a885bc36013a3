//! Values that say nothing.

use serde_json::{Map, Value};

use crate::sync::is_zero;

/// Fields whose content is the user's own, where a zero is a value.
const FREE_FORM: [&str; 8] = [
    "config_data",
    "extractor_config",
    "handler_meta",
    "headers",
    "meta",
    "meta_data",
    "options",
    "request_headers",
];

/// Takes out values that a gateway writes for what is not set, at every depth. What stays means the same to it.
pub fn without_zeros(fields: &mut Map<String, Value>) {
    fields.retain(|name, value| match FREE_FORM.contains(&name.as_str()) {
        true => !value.is_null() && value.as_object().is_none_or(|own| !own.is_empty()),
        false => !is_zero(value),
    });
    let known = fields
        .iter_mut()
        .filter(|(name, _)| !FREE_FORM.contains(&name.as_str()));
    known.for_each(|(_, value)| clean(value));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn zeros_go_unless_they_are_the_users_own() {
        let mut value =
            json!({"a": {"b": 0, "c": [{"d": "", "e": 1}]}, "f": {}, "config_data": {"mine": 0}, "meta_data": null});
        clean(&mut value);
        assert_eq!(value, json!({"a": {"c": [{"e": 1}]}, "config_data": {"mine": 0}}));
    }
}
