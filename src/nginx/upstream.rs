//! The way to the backend: protocol, TLS, times, headers.

use std::collections::BTreeMap;

use kube::ResourceExt;
use serde_json::json;

use super::Verdict::{Differs, Exact, Unsupported};
use super::draft::Draft;
use crate::snapshot::{NamespacedName, Snapshot};

/// Translates the annotations of the way to the backend.
pub fn translate(draft: &mut Draft, snapshot: &Snapshot) {
    let secure = protocol(draft);
    tls(draft, secure);
    times(draft);
    headers(draft, snapshot);
    if draft.is_on("service-upstream") {
        draft.annotate("upstream", "service");
    }
    draft.tell(
        "service-upstream",
        Exact,
        "requests go to the Service by its name, which is the default",
    );
}

/// Whether the backend speaks TLS.
fn protocol(draft: &mut Draft) -> bool {
    let Some(given) = draft.get("backend-protocol").map(str::to_ascii_uppercase) else {
        return false;
    };
    let ours = match given.as_str() {
        "HTTP" => "http",
        "HTTPS" => "https",
        "GRPC" => "grpc",
        "GRPCS" => "grpcs",
        _ => {
            let detail = "Tyk speaks HTTP and gRPC; put a server that speaks HTTP before the backend";
            draft.tell("backend-protocol", Unsupported, detail);
            return false;
        }
    };
    draft.annotate("backend-protocol", ours);
    match ours {
        "grpcs" => draft.tell(
            "backend-protocol",
            Differs,
            "HTTP/2 over TLS needs `proxy_enable_http2` of the gateway",
        ),
        _ => draft.tell("backend-protocol", Exact, "`tyk.io/backend-protocol`"),
    }
    matches!(ours, "https" | "grpcs")
}

fn tls(draft: &mut Draft, secure: bool) {
    let verify = draft.get("proxy-ssl-verify") == Some("on");
    if secure {
        draft.annotate("backend-tls-verify", verify.to_string());
    }
    match verify {
        true => draft.tell(
            "proxy-ssl-verify",
            Differs,
            "verified with the authorities of the gateway's own system",
        ),
        false => draft.tell("proxy-ssl-verify", Exact, "`tyk.io/backend-tls-verify`"),
    }
    let secret = "name the certificate in `upstream_certificates` of the template";
    draft.tell(
        "proxy-ssl-secret",
        Unsupported,
        format!("no certificate is shown to the backend, and its authority is not read; {secret}"),
    );
    draft.tell("proxy-ssl-verify-depth", Differs, "the depth is not limited");
    for name in ["proxy-ssl-name", "proxy-ssl-server-name"] {
        draft.tell(name, Differs, "the name in TLS is that of the target");
    }
    let detail = "set `proxy.transport.ssl_ciphers` of the template, with Go's names";
    draft.tell("proxy-ssl-ciphers", Unsupported, detail);
    let versions = [("TLSv1", 769), ("TLSv1.1", 770), ("TLSv1.2", 771), ("TLSv1.3", 772)];
    let known = |word: &str| {
        versions
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, number)| *number)
    };
    let given: Option<Vec<u32>> = draft
        .get("proxy-ssl-protocols")
        .map(|text| text.split_whitespace().filter_map(known).collect());
    if let Some((least, most)) = given.and_then(|given| Some((*given.iter().min()?, *given.iter().max()?))) {
        draft.define_transport("ssl_min_version", json!(least));
        draft.define_transport("ssl_max_version", json!(most));
        draft.tell("proxy-ssl-protocols", Exact, "`proxy.transport` of the template");
    } else {
        draft.tell(
            "proxy-ssl-protocols",
            Unsupported,
            "no version of TLS that the gateway knows",
        );
    }
}

fn times(draft: &mut Draft) {
    let seconds = |text: &str| {
        text.trim_end_matches('s')
            .parse::<u32>()
            .ok()
            .filter(|seconds| (1..=86_400).contains(seconds))
    };
    match draft.get("proxy-read-timeout").map(seconds) {
        None => {}
        Some(Some(seconds)) => {
            draft.annotate("timeout", seconds.to_string());
            let detail =
                "for the whole response, not between two reads; no longer than the gateway's `proxy_default_timeout`";
            draft.tell("proxy-read-timeout", Differs, detail);
        }
        Some(None) => draft.tell(
            "proxy-read-timeout",
            Unsupported,
            "no number of seconds from 1 to 86400",
        ),
    }
    draft.tell(
        "proxy-send-timeout",
        Differs,
        "the time to send a request is not limited by itself",
    );
    draft.tell(
        "proxy-connect-timeout",
        Differs,
        "the gateway has one time for all connections, `dialer_timeout`",
    );
}

fn headers(draft: &mut Draft, snapshot: &Snapshot) {
    if let Some(prefix) = draft.get("x-forwarded-prefix").map(str::to_owned) {
        match prefix.contains('$') {
            true => draft.tell(
                "x-forwarded-prefix",
                Unsupported,
                "a header of the template is fixed, without groups of the path",
            ),
            false => {
                draft.add_header("global_headers", "X-Forwarded-Prefix", &prefix);
                draft.tell("x-forwarded-prefix", Exact, "`global_headers` of the template");
            }
        }
    }
    let detail = "the Host header is the client's, or with `tyk.io/preserve-host: \"false\"` the target's; make an \
                  ExternalName Service of that name and set it";
    draft.tell("upstream-vhost", Unsupported, detail);
    let Some(name) = draft.get("custom-headers").map(str::to_owned) else {
        return;
    };
    match config_map(draft, snapshot, &name) {
        Some(headers) => {
            for (name, value) in headers {
                draft.add_header("global_response_headers", &name, &value);
            }
            draft.define([(
                "response_processors",
                json!([{"name": "header_injector", "options": {}}]),
            )]);
            draft.tell(
                "custom-headers",
                Exact,
                "`global_response_headers` of the template; a change of the ConfigMap needs a new translation",
            );
        }
        None => {
            let detail = format!(
                "ConfigMap {name} is not among what was read; give it as well, or set `global_response_headers`"
            );
            draft.tell("custom-headers", Unsupported, detail);
        }
    }
}

fn config_map(draft: &Draft, snapshot: &Snapshot, name: &str) -> Option<BTreeMap<String, String>> {
    let own = draft.ingress.namespace().unwrap_or_default();
    let (namespace, name) = name.split_once('/').unwrap_or((&own, name));
    // As other namespaces of an Ingress, those of a ConfigMap are nobody's business.
    let found = snapshot
        .config_maps
        .get(&NamespacedName::new(namespace, name))
        .filter(|_| namespace == own)?;
    found.data.clone()
}
