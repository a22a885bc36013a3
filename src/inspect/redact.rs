//! What may be shown of definitions and objects. A text is shown only under a key that is known to hold no secret, so
//! that a field which nobody thought of is hidden. True, false and numbers are shown.

use serde_json::{Map, Value};

/// What stands for a hidden value.
const HIDDEN: &str = "***";

/// Keys of definitions, documents, policies and Kubernetes objects whose texts are shown.
const SHOWN: &[&str] = &[
    "addressType",
    "addresses",
    "allowed_ips",
    "api_id",
    "api_name",
    "apiVersion",
    "auth_header_name",
    "base_identity_provided_by",
    "blacklisted_ips",
    "certificates",
    "clusterIP",
    "controller",
    "dbId",
    "domain",
    "expression",
    "graph_ref",
    "host",
    "hosts",
    "http_method",
    "id",
    "ingressClassName",
    "jwt_signing_method",
    "kind",
    "listenPath",
    "listen_path",
    "loadbalancer",
    "match_pattern",
    "method",
    "methods",
    "mode",
    "name",
    "namespace",
    "openapi",
    "operator",
    "orgId",
    "org_id",
    "path",
    "pathType",
    "pinned_public_keys",
    "port",
    "protocol",
    "scheme",
    "secretName",
    "signingMethod",
    "slug",
    "state",
    "strip_path",
    "tags",
    "targetPort",
    "title",
    "tlsMinVersion",
    "type",
    "upstream_certificates",
    "version",
    "versions",
];

/// Keys whose texts are URLs, of which neither user and password nor the query are shown.
const URLS: &[&str] = &["target_url", "targetUrl", "target_list", "url"];

/// Keys below which nothing but true and false is shown: maps of the user's own keys, which can be named like anything
/// above, and what is a secret even as a number.
const SEALED: &[&str] = &[
    "binaryData",
    "config",
    "data",
    "default",
    "enum",
    "env",
    "labels",
    "meta",
    "params",
    "query",
    "stringData",
];

/// Parts of such keys, in lower case.
const SEALED_PARTS: &[&str] = &[
    "annotation",
    "auth_key",
    "basic",
    "body",
    "config_data",
    "configdata",
    "cookie",
    "credential",
    "example",
    "extension",
    "header",
    "hmac",
    "jwt",
    "meta_data",
    "metadata",
    "passphrase",
    "password",
    "plugin",
    "private",
    "script",
    "secret",
    "signature",
    "template_data",
    "token",
    "variable",
];

/// Keys with such a part whose value is shown all the same.
const OPEN: &[&str] = &["auth_header_name", "jwt_signing_method", "secretName"];

/// A copy without secrets.
pub(super) fn redacted(value: &Value) -> Value {
    walk("", value)
}

fn walk(key: &str, value: &Value) -> Value {
    match value {
        Value::Object(fields) if is_sealed(key) => each(fields, |_, value| sealed(value)),
        Value::Object(fields) => each(fields, |name, value| match (key, name) {
            // Where an OAS document has its listen path.
            ("listenPath", "value") => walk("listenPath", value),
            _ => walk(name, value),
        }),
        _ if is_sealed(key) => sealed(value),
        Value::Array(items) => items.iter().map(|item| walk(key, item)).collect(),
        Value::String(text) if URLS.contains(&key) => url(text).into(),
        Value::String(text) if SHOWN.contains(&key) && !text.contains("-----BEGIN") => url_inside(text).into(),
        Value::String(text) if text.is_empty() => value.clone(),
        Value::String(_) => HIDDEN.into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn each(fields: &Map<String, Value>, show: impl Fn(&str, &Value) -> Value) -> Value {
    let shown = fields.iter().map(|(name, value)| (name.clone(), show(name, value)));
    Value::Object(shown.collect())
}

fn is_sealed(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    let has_part = SEALED_PARTS.iter().any(|part| lower.contains(part));
    SEALED.contains(&key) || (has_part && !OPEN.contains(&key))
}

/// Only the shape.
fn sealed(value: &Value) -> Value {
    match value {
        Value::Object(fields) => each(fields, |_, value| sealed(value)),
        Value::Array(items) => items.iter().map(sealed).collect(),
        Value::String(text) if text.is_empty() => value.clone(),
        Value::String(_) | Value::Number(_) => HIDDEN.into(),
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

/// A URL without user, password, query and fragment. Its path is shown.
pub(super) fn url(text: &str) -> String {
    let (before, rest) = match text.split_once("//") {
        Some((scheme, rest)) => (format!("{scheme}//"), rest),
        None => (String::new(), text),
    };
    let (rest, end) = match rest.find(['?', '#']) {
        Some(at) => (&rest[..at], format!("?{HIDDEN}")),
        None => (rest, String::new()),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{HIDDEN}@{host}"),
        None => authority.to_owned(),
    };
    format!("{before}{authority}{path}{end}")
}

/// The same for a text that need not be a URL.
fn url_inside(text: &str) -> String {
    match text.contains("://") {
        true => url(text),
        false => text.to_owned(),
    }
}
