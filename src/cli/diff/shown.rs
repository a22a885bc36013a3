//! Values for people, without secrets. A value that could be one is compared, and shown as `***`.

use serde_json::Value;

/// Instead of a secret.
const HIDDEN: &str = "***";
/// Longest text that is shown whole.
const TEXT_MAX: usize = 120;
/// A name with one of these in it, in lower case and without `_` and `-`, stands for a secret, or for a place where
/// users put some.
const SECRET_NAMES: [&str; 20] = [
    "secret",
    "password",
    "passwd",
    "passphrase",
    "token",
    "credential",
    "privatekey",
    "apikey",
    "accesskey",
    "signingkey",
    "encryptionkey",
    "jwtsource",
    "headers",
    "cookie",
    "authorization",
    "metadata",
    "configdata",
    "pem",
    "session",
    "upstreamauth",
];
/// Names that hold one of those and are only a place or a switch.
const HARMLESS_NAMES: [&str; 8] = [
    "authtoken",
    "authheadername",
    "removeheaders",
    "deleteheaders",
    "globalheadersremove",
    "globalresponseheadersremove",
    "deleteglobalheaders",
    "cachebyheaders",
];
/// Texts that are secrets wherever they stand.
const SECRET_TEXTS: [&str; 6] = ["-----BEGIN", "Bearer ", "Basic ", "password=", "secret=", "token="];
/// Where a gateway reads a value of its own; the loaded form shows the value itself.
const REFERENCES: [&str; 4] = ["env://", "secrets://", "consul://", "vault://"];

/// The two sides of a changed field.
pub fn both(field: &str, held: &Value, wanted: &Value) -> (Value, Value) {
    if is_secret_field(field) {
        return (hidden(held), hidden(wanted));
    }
    let resolved = is_reference(wanted);
    let held = if resolved { hidden(held) } else { value(held) };
    (held, value(wanted))
}

/// A value without the secrets in it.
fn value(given: &Value) -> Value {
    match given {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, one)| {
                let shown = if is_secret_name(name) { hidden(one) } else { value(one) };
                (name.clone(), shown)
            })
            .collect(),
        Value::Array(items) => items.iter().map(value).collect(),
        Value::String(text) => Value::String(shown_text(text)),
        other => other.clone(),
    }
}

/// Switches and numbers are no secrets, and neither is that there is nothing.
fn hidden(given: &Value) -> Value {
    match given {
        Value::Null | Value::Bool(_) => given.clone(),
        Value::String(text) if text.is_empty() => given.clone(),
        Value::Array(items) => items.iter().map(hidden).collect(),
        Value::Object(fields) => fields.iter().map(|(name, one)| (name.clone(), hidden(one))).collect(),
        _ => Value::String(HIDDEN.into()),
    }
}

fn is_reference(wanted: &Value) -> bool {
    match wanted {
        Value::String(text) => REFERENCES.iter().any(|reference| text.contains(reference)),
        Value::Array(items) => items.iter().any(is_reference),
        Value::Object(fields) => fields.values().any(is_reference),
        _ => false,
    }
}

fn is_secret_field(field: &str) -> bool {
    field.split(['.', '[', ']']).any(is_secret_name)
}

fn is_secret_name(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_lowercase();
    !HARMLESS_NAMES.contains(&plain.as_str()) && SECRET_NAMES.iter().any(|secret| plain.contains(secret))
}

fn shown_text(text: &str) -> String {
    if SECRET_TEXTS.iter().any(|secret| text.contains(secret)) {
        return HIDDEN.into();
    }
    let text = without_url_secrets(text);
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

/// The user and the query of a URL can hold a secret.
fn without_url_secrets(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else {
        return text.to_owned();
    };
    let secret = !url.username().is_empty() || url.password().is_some() || url.query().is_some();
    if !secret || !url.has_host() {
        return text.to_owned();
    }
    if !url.username().is_empty() || url.password().is_some() {
        let _ = (url.set_password(None), url.set_username(HIDDEN));
    }
    if url.query().is_some() {
        url.set_query(Some(HIDDEN));
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_values_are_shown() {
        for (field, shown) in [
            ("proxy.target_url", json!("http://a/b")),
            ("use_keyless", json!(true)),
            ("auth_configs.authToken.auth_header_name", json!("Authorization")),
            ("certificates[0]", json!("5f0c")),
            ("version_data.versions.Default.global_headers_remove", json!(["X-A"])),
            ("enable_jwt", json!(false)),
            ("secret_enabled", json!(true)),
        ] {
            assert_eq!(
                both(field, &Value::Null, &shown),
                (Value::Null, shown.clone()),
                "{field}"
            );
        }
    }

    #[test]
    fn what_can_be_a_secret_is_not() {
        let planted = "hunter2";
        for (field, held) in [
            ("request_signing.secret", json!(planted)),
            ("jwt_source", json!(planted)),
            ("version_data.versions.Default.global_headers.X-Team", json!(planted)),
            (
                "version_data.versions.Default.global_headers",
                json!({"X-Team": planted}),
            ),
            ("config_data.mine", json!([planted])),
            ("meta_data", json!({"a": {"b": planted}})),
            ("proxy.target_url", json!(format!("http://me:{planted}@a/b"))),
            ("proxy.target_url", json!(format!("http://a/b?key={planted}"))),
            (
                "x",
                json!({"clientSecret": planted, "api-key": planted, "deep": [{"Password": planted}]}),
            ),
            ("note", json!(format!("Bearer {planted}"))),
            ("note", json!(format!("-----BEGIN PRIVATE KEY----- {planted}"))),
        ] {
            let (shown, _) = both(field, &held, &Value::Null);
            assert!(!shown.to_string().contains(planted), "{field}: {shown}");
        }
        let (held, wanted) = both("name", &json!(planted), &json!("env://NAME"));
        assert_eq!((held, wanted), (json!("***"), json!("env://NAME")));
    }

    #[test]
    fn a_long_text_is_cut() {
        let (_, shown) = both("description", &Value::Null, &json!("é".repeat(500)));
        assert!(shown.to_string().chars().count() < 150, "{shown}");
    }
}
