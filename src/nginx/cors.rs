//! `enable-cors` and its details. What is not written has ingress-nginx's default, not the gateway's.

use serde_json::json;

use super::Verdict::{Differs, Exact};
use super::draft::Draft;
use super::redirects::words;

const DETAILS: [&str; 6] = [
    "cors-allow-origin",
    "cors-allow-methods",
    "cors-allow-headers",
    "cors-expose-headers",
    "cors-allow-credentials",
    "cors-max-age",
];
const METHODS: &str = "GET, PUT, POST, DELETE, PATCH, OPTIONS";
const HEADERS: &str =
    "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization";
const MAX_AGE: u64 = 1_728_000;

/// Translates the annotations of CORS.
pub fn translate(draft: &mut Draft) {
    if !draft.is_on("enable-cors") {
        draft.tell("enable-cors", Exact, "no headers of CORS");
        for name in DETAILS {
            draft.tell(name, Exact, "no effect without enable-cors, as in nginx");
        }
        return;
    }
    let list = |name: &str, default: &str| words(draft.get(name).unwrap_or(default));
    let age = draft
        .get("cors-max-age")
        .and_then(|age| age.parse().ok())
        .unwrap_or(MAX_AGE);
    let cors = json!({
        "enable": true,
        "allowed_origins": list("cors-allow-origin", "*"),
        "allowed_methods": list("cors-allow-methods", METHODS),
        "allowed_headers": list("cors-allow-headers", HEADERS),
        "exposed_headers": list("cors-expose-headers", ""),
        "allow_credentials": draft.get("cors-allow-credentials").is_none_or(|value| value != "false"),
        "max_age": age,
        "options_passthrough": false,
        "debug": false,
    });
    draft.define([("CORS", cors)]);
    draft.tell(
        "enable-cors",
        Differs,
        "the headers are answered to requests with an Origin, and to a preflight those that it asks for; nginx sends \
         all of them to everybody",
    );
    for name in DETAILS {
        draft.tell(name, Exact, "in `CORS` of the template");
    }
}
