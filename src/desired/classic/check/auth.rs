//! Kinds of authentication and what each of them needs. One that the gateway cannot set up it leaves out, so that an API
//! is protected otherwise than it says.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::listener::is_stored;
use super::{Findings, unknown};
use crate::desired::classic::fields::{is_set, is_true, list, object, objects, text};

/// Switches that `use_keyless` overrules.
const SWITCHES: [&str; 8] = [
    "use_basic_auth",
    "use_oauth2",
    "use_openid",
    "enable_jwt",
    "enable_signature_checking",
    "use_go_plugin_auth",
    "enable_coprocess_auth",
    "custom_plugin_auth_enabled",
];
const IDENTITIES: [&str; 8] = [
    "",
    "auth_token",
    "custom_auth",
    "hmac_key",
    "basic_auth_user",
    "jwt_claim",
    "oidc_user",
    "oauth_key",
];
const SIGNING: [&str; 4] = ["", "rsa", "hmac", "ecdsa"];
const HMAC: [&str; 5] = ["hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512", "rsa-sha256"];
const GRANTS: [&str; 4] = ["authorization_code", "refresh_token", "password", "client_credentials"];
const ANSWERS: [&str; 2] = ["code", "token"];

/// Looks at what one kind of authentication needs.
type Check = fn(&Map<String, Value>, &mut Findings);

const CHECKS: [(&str, Check); 5] = [
    ("use_basic_auth", basic),
    ("enable_jwt", jwt),
    ("use_openid", openid),
    ("use_oauth2", oauth),
    ("enable_signature_checking", signatures),
];

pub(super) fn check(definition: &Map<String, Value>, found: &mut Findings) {
    if is_true(definition, "use_keyless") {
        return keyless(definition, found);
    }
    found.one_of(
        "base_identity_provided_by",
        text(definition, "base_identity_provided_by"),
        &IDENTITIES,
    );
    for (switch, check) in CHECKS {
        if is_true(definition, switch) {
            check(definition, found);
        }
    }
    sources(definition, found);
}

/// The gateway asks nobody for a key then, whatever else is switched on. Mutual TLS is asked for all the same.
fn keyless(definition: &Map<String, Value>, found: &mut Findings) {
    if is_true(definition, "use_standard_auth") {
        found.error(
            "use_standard_auth",
            "use_keyless and use_standard_auth exclude each other",
        );
    }
    for switch in SWITCHES.iter().filter(|switch| is_true(definition, switch)) {
        found.ignored(switch, "use_keyless switches it off: everybody is let in");
    }
}

fn basic(definition: &Map<String, Value>, found: &mut Findings) {
    let Some(basic) = object(definition, "basic_auth").filter(|basic| is_true(basic, "extract_from_body")) else {
        return;
    };
    for field in ["body_user_regexp", "body_password_regexp"] {
        match text(basic, field) {
            "" => found.error(
                format_args!("basic_auth.{field}"),
                "extract_from_body needs it; without it the gateway does not check passwords",
            ),
            expression => found.expression(format_args!("basic_auth.{field}"), expression),
        }
    }
}

fn jwt(definition: &Map<String, Value>, found: &mut Findings) {
    found.one_of("jwt_signing_method", text(definition, "jwt_signing_method"), &SIGNING);
    let source = text(definition, "jwt_source");
    let is_url = source.starts_with("http://") || source.starts_with("https://");
    // The value may be a shared secret, so no message holds it.
    if !is_url && !is_stored(source) && !is_base64(source) {
        let message = "it is neither a URL nor base64, so the gateway refuses every token";
        found.error("jwt_source", message);
    }
}

fn openid(definition: &Map<String, Value>, found: &mut Findings) {
    let empty = Map::new();
    let options = object(definition, "openid_options").unwrap_or(&empty);
    if list(options, "providers").is_empty() {
        let message = "use_openid needs a provider; without one the gateway refuses every token";
        found.error("openid_options.providers", message);
    }
    for (index, provider) in objects(options, "providers") {
        let field = format!("openid_options.providers[{index}]");
        if text(provider, "issuer").is_empty() || !is_set(provider, "client_ids") {
            found.ignored(&field, "a provider needs an issuer and at least one of client_ids");
        }
        for client in object(provider, "client_ids").into_iter().flat_map(Map::keys) {
            if !is_base64(client) {
                let message = format!("{client:?} is not base64; the gateway expects client ids in it");
                found.ignored(format_args!("{field}.client_ids"), message);
            }
        }
    }
}

fn oauth(definition: &Map<String, Value>, found: &mut Findings) {
    let empty = Map::new();
    let meta = object(definition, "oauth_meta").unwrap_or(&empty);
    if list(meta, "allowed_access_types").is_empty() && list(meta, "allowed_authorize_types").is_empty() {
        let message = "use_oauth2 needs it or allowed_authorize_types; without them no token can be had";
        found.error("oauth_meta.allowed_access_types", message);
    }
    for (field, known) in [
        ("allowed_access_types", GRANTS.as_slice()),
        ("allowed_authorize_types", ANSWERS.as_slice()),
    ] {
        ignored_unknown(list(meta, field), format!("oauth_meta.{field}"), known, found);
    }
}

fn signatures(definition: &Map<String, Value>, found: &mut Findings) {
    const FIELD: &str = "hmac_allowed_algorithms";
    ignored_unknown(list(definition, FIELD), FIELD.into(), &HMAC, found);
}

fn ignored_unknown(values: &[Value], field: String, known: &[&str], found: &mut Findings) {
    for (index, value) in values.iter().enumerate() {
        let value = value.as_str().unwrap_or_default();
        if !known.contains(&value) {
            found.ignored(format_args!("{field}[{index}]"), unknown(value, known));
        }
    }
}

/// The gateway refuses the whole definition when a kind of authentication has no place for its credential.
fn sources(definition: &Map<String, Value>, found: &mut Findings) {
    for (config, switch) in [
        ("authToken", "use_standard_auth"),
        ("jwt", "enable_jwt"),
        ("hmac", "enable_signature_checking"),
        ("oauth", "use_oauth2"),
        ("oidc", "use_openid"),
        ("coprocess", "enable_coprocess_auth"),
    ] {
        let Some(source) = object(definition, "auth_configs").and_then(|configs| object(configs, config)) else {
            continue;
        };
        let elsewhere = is_true(source, "use_param") || is_true(source, "use_cookie");
        if is_true(definition, switch) && is_true(source, "disable_header") && !elsewhere {
            let message = "header, parameter and cookie are all switched off";
            found.error(format_args!("auth_configs.{config}"), message);
        }
    }
}

/// Go's decoder passes over line breaks.
pub(super) fn is_base64(text: &str) -> bool {
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    STANDARD.decode(text).is_ok()
}
