//! The annotations that become nothing or one field, and what is said of each.

use serde_json::json;

use super::Verdict::{self, Differs, Exact, Unsupported};
use super::draft::Draft;

const BUFFERS: &str = "the gateway does not buffer so; answers are the same";
const OF_GATEWAY: &str = "of the whole gateway: set its `http_server_options`";
const AFFINITY: &str = "the gateway takes backends in turn; keep sessions in the backend, or one replica";
const MIRROR: &str = "requests are not copied; mirror them in the mesh or in the backend";
const WAF: &str = "there is no firewall of requests; put one before the gateway, or a plugin in `custom_middleware`";
const ERRORS: &str = "error pages are of the whole gateway: its `templates/error_*.json` or `override_messages`";
const WITH_AUTH_URL: &str = "a part of auth-url";
const WITH_MTLS: &str = "a part of auth-tls-secret";

/// Annotations without an effect on what the gateway is sent.
const TOLD: &[(&str, Verdict, &str)] = &[
    ("affinity", Unsupported, AFFINITY),
    ("affinity-mode", Unsupported, AFFINITY),
    ("affinity-canary-behavior", Unsupported, AFFINITY),
    ("auth-always-set-cookie", Unsupported, WITH_AUTH_URL),
    ("auth-cache-duration", Unsupported, WITH_AUTH_URL),
    ("auth-cache-key", Unsupported, WITH_AUTH_URL),
    ("auth-keepalive", Unsupported, WITH_AUTH_URL),
    ("auth-method", Unsupported, WITH_AUTH_URL),
    ("auth-proxy-set-headers", Unsupported, WITH_AUTH_URL),
    ("auth-request-redirect", Unsupported, WITH_AUTH_URL),
    ("auth-response-headers", Unsupported, WITH_AUTH_URL),
    ("auth-signin", Unsupported, WITH_AUTH_URL),
    ("auth-signin-redirect-param", Unsupported, WITH_AUTH_URL),
    ("auth-tls-error-page", Unsupported, WITH_MTLS),
    ("auth-tls-pass-certificate-to-upstream", Unsupported, WITH_MTLS),
    ("auth-tls-verify-client", Unsupported, WITH_MTLS),
    ("auth-tls-verify-depth", Unsupported, WITH_MTLS),
    ("client-body-buffer-size", Differs, BUFFERS),
    ("client-body-timeout", Differs, OF_GATEWAY),
    ("client-header-timeout", Differs, OF_GATEWAY),
    (
        "connection-proxy-header",
        Differs,
        "the gateway keeps its connections as it is configured",
    ),
    ("custom-http-errors", Unsupported, ERRORS),
    (
        "default-backend",
        Unsupported,
        "no other backend for errors; a Service without endpoints answers 500",
    ),
    (
        "disable-proxy-intercept-errors",
        Exact,
        "errors of the backend are answered as they are",
    ),
    ("enable-modsecurity", Unsupported, WAF),
    ("enable-owasp-core-rules", Unsupported, WAF),
    ("enable-owasp-modsecurity-crs", Unsupported, WAF),
    ("enable-rewrite-log", Exact, "no effect on answers"),
    (
        "global-rate-limit",
        Unsupported,
        "set limit-rps, or `global_rate_limit` of a template",
    ),
    ("http2-insecure-port", Differs, OF_GATEWAY),
    ("http2-push-preload", Exact, "clients ignore it"),
    ("keepalive", Differs, OF_GATEWAY),
    (
        "limit-connections",
        Unsupported,
        "connections are not counted; limit-rps limits requests",
    ),
    ("limit-rate", Unsupported, "the speed of an answer is not limited"),
    ("limit-rate-after", Unsupported, "the speed of an answer is not limited"),
    ("load-balance", Unsupported, AFFINITY),
    ("mirror-host", Unsupported, MIRROR),
    ("mirror-request-body", Unsupported, MIRROR),
    ("mirror-target", Unsupported, MIRROR),
    ("modsecurity-snippet", Unsupported, WAF),
    ("modsecurity-transaction-id", Unsupported, WAF),
    ("preserve-trailing-slash", Exact, "a slash at the end is kept"),
    ("proxy-buffer-size", Differs, BUFFERS),
    ("proxy-buffering", Differs, BUFFERS),
    ("proxy-buffers-number", Differs, BUFFERS),
    ("proxy-busy-buffers-size", Differs, BUFFERS),
    (
        "proxy-cookie-domain",
        Unsupported,
        "cookies are answered as the backend sets them; configure the backend",
    ),
    (
        "proxy-cookie-path",
        Unsupported,
        "cookies are answered as the backend sets them; configure the backend",
    ),
    (
        "proxy-http-version",
        Exact,
        "HTTP/1.1; another by `tyk.io/backend-protocol`",
    ),
    ("proxy-max-temp-file-size", Differs, BUFFERS),
    (
        "proxy-next-upstream",
        Differs,
        "no request is tried twice; uptime tests of a template take away failing targets",
    ),
    ("proxy-next-upstream-timeout", Differs, "no request is tried twice"),
    ("proxy-next-upstream-tries", Differs, "no request is tried twice"),
    (
        "proxy-redirect-from",
        Unsupported,
        "Location is answered as the backend sets it; configure the backend",
    ),
    (
        "proxy-redirect-to",
        Unsupported,
        "Location is answered as the backend sets it; configure the backend",
    ),
    ("proxy-request-buffering", Differs, BUFFERS),
    ("session-cookie-change-on-failure", Unsupported, AFFINITY),
    ("session-cookie-conditional-samesite-none", Unsupported, AFFINITY),
    ("session-cookie-domain", Unsupported, AFFINITY),
    ("session-cookie-expires", Unsupported, AFFINITY),
    ("session-cookie-hash", Unsupported, AFFINITY),
    ("session-cookie-max-age", Unsupported, AFFINITY),
    ("session-cookie-name", Unsupported, AFFINITY),
    ("session-cookie-path", Unsupported, AFFINITY),
    ("session-cookie-samesite", Unsupported, AFFINITY),
    ("session-cookie-secure", Unsupported, AFFINITY),
    ("ssl-ciphers", Differs, OF_GATEWAY),
    (
        "ssl-passthrough",
        Unsupported,
        "no TLS to the backend by its name; an ApiDefinition with `protocol: tls` on a port of its own",
    ),
    ("ssl-prefer-server-ciphers", Differs, OF_GATEWAY),
    (
        "stream-snippet",
        Unsupported,
        "an ApiDefinition with `protocol: tcp` on a port of its own",
    ),
    ("upstream-hash-by", Unsupported, AFFINITY),
    ("upstream-hash-by-subset", Unsupported, AFFINITY),
    ("upstream-hash-by-subset-size", Unsupported, AFFINITY),
    (
        "websocket-services",
        Exact,
        "WebSockets pass, when the gateway has `enable_websockets`",
    ),
];

/// Says something of every annotation that no other part has spoken of.
pub fn translate(draft: &mut Draft) {
    if draft.get("enable-access-log").is_some_and(|value| value == "false") {
        draft.define([("do_not_track", json!(true))]);
    }
    draft.tell("enable-access-log", Exact, "`do_not_track` of the template");
    if draft.is_on("enable-opentelemetry") {
        draft.define([("detailed_tracing", json!(true))]);
    }
    for name in [
        "enable-opentelemetry",
        "enable-opentracing",
        "opentelemetry-trust-incoming-span",
    ] {
        draft.tell(
            name,
            Differs,
            "the gateway as a whole traces or does not; `detailed_tracing` says how much",
        );
    }
    for (name, verdict, detail) in TOLD {
        match draft.get(name) {
            Some("") => draft.tell(name, Exact, "empty, which nginx ignores"),
            _ => draft.tell(name, *verdict, *detail),
        }
    }
    // Of the paths is spoken later.
    let later = ["use-regex", "rewrite-target", "server-alias"];
    for name in draft.untold().iter().filter(|name| !later.contains(&name.as_str())) {
        draft.tell(name, Unsupported, "not known, so it is left out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_told_once_and_every_difference_is_named() {
        let mut names: Vec<_> = TOLD.iter().map(|(name, ..)| name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(TOLD.iter().all(|(_, _, detail)| detail.len() > 8));
    }
}
