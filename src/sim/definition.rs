//! What the gateway makes of a posted document: the types it insists on, the fields it adds, the ids it gives.
//!
//! `defaults.json` holds the fields and zero values that a real gateway 5.11 answers for an empty definition and policy.

use serde_json::{Map, Value};
use std::sync::LazyLock;

static DEFAULTS: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("defaults.json")).unwrap_or_default());

/// A document whose types are not those of the gateway's own structures, or no JSON at all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads the first JSON value of a body, as Go's decoder does; what follows it is ignored.
pub(super) fn decode(body: &[u8]) -> Result<Value, Malformed> {
    serde_json::Deserializer::from_slice(body)
        .into_iter()
        .next()
        .ok_or(Malformed)?
        .map_err(|_| Malformed)
}

/// A classic definition as the gateway stores it.
pub(super) fn api(posted: Value) -> Result<Value, Malformed> {
    let mut definition = complete(posted, &DEFAULTS["api"])?;
    if definition["listen_port"].as_i64().is_none() {
        return Err(Malformed);
    }
    if let Some(versions) = definition
        .pointer_mut("/version_data/versions")
        .and_then(Value::as_object_mut)
    {
        for version in versions.values_mut() {
            *version = complete(version.take(), &DEFAULTS["version"])?;
        }
    }
    Ok(definition)
}

/// A policy as the gateway stores it. Its `_id` has to be an object id if it is there.
pub(super) fn policy(posted: Value) -> Result<Value, Malformed> {
    let policy = complete(posted, &DEFAULTS["policy"])?;
    match policy["_id"].as_str() {
        Some("") => Ok(policy),
        Some(id) if id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(policy),
        _ => Err(Malformed),
    }
}

/// `posted` with every field of `default` that it lacks.
fn complete(posted: Value, default: &Value) -> Result<Value, Malformed> {
    match (posted, default) {
        (Value::Null, default) => Ok(default.clone()),
        (Value::Object(mut posted), Value::Object(default)) => {
            for (key, default) in default {
                let value = complete(posted.remove(key).unwrap_or_default(), default)?;
                posted.insert(key.clone(), value);
            }
            Ok(Value::Object(posted))
        }
        (posted @ Value::String(_), Value::String(_))
        | (posted @ Value::Bool(_), Value::Bool(_))
        | (posted @ Value::Number(_), Value::Number(_))
        | (posted @ (Value::Array(_) | Value::Object(_)), Value::Null) => Ok(posted),
        _ => Err(Malformed),
    }
}

/// The rules a decoded definition has to keep; the reason if it breaks one.
pub(super) fn validate(definition: &Value) -> Result<(), &'static str> {
    let proxy = &definition["proxy"];
    let targets = proxy["target_list"].as_array().map_or(0, Vec::len);
    if proxy["enable_load_balancing"] == true && targets == 0 {
        return Err(
            "all load balancing targets have weight 0, at least one target must have weight > 0",
        );
    }
    Ok(())
}

/// An id for a definition that has none: 32 hexadecimal digits.
pub(super) fn generate_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// A text field, empty if it is absent.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A switch, off if it is absent.
pub(super) fn flag(value: &Value, pointer: &str) -> bool {
    value
        .pointer(pointer)
        .and_then(Value::as_bool)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn adds_the_fields_of_the_gateway() {
        let stored = api(json!({"api_id": "a", "proxy": {"listen_path": "/a"}, "version_data": {"versions": {"v": {"name": "v"}}}})).unwrap();
        assert_eq!(stored["proxy"]["listen_path"], "/a");
        assert_eq!(stored["proxy"]["strip_listen_path"], false);
        assert_eq!(
            stored["version_data"]["versions"]["v"]["use_extended_paths"],
            false
        );
        assert_eq!(stored["CORS"]["enable"], false);
    }

    #[test]
    fn refuses_wrong_types() {
        for bad in [
            json!([]),
            json!("x"),
            json!({"name": 3}),
            json!({"proxy": []}),
            json!({"active": "yes"}),
            json!({"listen_port": 1.5}),
            json!({"certificates": "id"}),
            json!({"version_data": {"versions": {"v": 1}}}),
        ] {
            assert_eq!(api(bad.clone()), Err(Malformed), "{bad}");
        }
        assert_eq!(api(Value::Null).unwrap()["api_id"], "");
        assert_eq!(policy(json!({"id": "p", "_id": "xx"})), Err(Malformed));
        assert!(decode(b"").is_err() && decode(b"{").is_err());
        assert_eq!(decode(b"{} trailing").unwrap(), json!({}));
    }

    #[test]
    fn balancing_needs_a_target() {
        assert!(
            validate(&json!({"proxy": {"enable_load_balancing": true, "target_list": null}}))
                .is_err()
        );
        assert!(
            validate(
                &json!({"proxy": {"enable_load_balancing": true, "target_list": ["http://a"]}})
            )
            .is_ok()
        );
    }
}
