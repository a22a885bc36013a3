//! Who may come in: addresses, passwords, other guards. An Ingress that loses a guard is not served without one.

use serde_json::json;

use super::Verdict::{Differs, Exact, Unsupported};
use super::draft::Draft;
use super::redirects::{size, words};

const CLOSED: &str = "nothing is served until the template that the Ingress names exists";

/// Translates the annotations of access.
pub fn translate(draft: &mut Draft) {
    addresses(draft);
    password(draft);
    for (name, way) in [
        (
            "auth-url",
            "write the template with `enable_jwt`, `use_openid` or a plugin in `custom_middleware`",
        ),
        (
            "auth-tls-secret",
            "write the template with `use_mutual_tls_auth` and `client_certificates`",
        ),
        (
            "auth-tls-match-cn",
            "write the template with `use_mutual_tls_auth` and `client_certificates`",
        ),
    ] {
        if draft.get(name).is_some_and(|value| !value.is_empty()) {
            draft.close();
            draft.tell(name, Unsupported, format!("Tyk has no such guard; {way}; {CLOSED}"));
        }
    }
    for name in [
        "configuration-snippet",
        "server-snippet",
        "auth-snippet",
        "location-snippet",
    ] {
        snippet(draft, name);
    }
    limits(draft);
}

fn addresses(draft: &mut Draft) {
    let proxy = "the address is the client's X-Real-IP or X-Forwarded-For where one is sent, so the gateway needs \
                 `http_server_options.xff_depth`";
    for (name, switch, list) in [
        ("whitelist-source-range", "enable_ip_whitelisting", "allowed_ips"),
        ("allowlist-source-range", "enable_ip_whitelisting", "allowed_ips"),
        ("denylist-source-range", "enable_ip_blacklisting", "blacklisted_ips"),
    ] {
        let Some(ranges) = draft.get(name).map(words).filter(|ranges| !ranges.is_empty()) else {
            draft.tell(name, Exact, "an empty list, which nginx ignores");
            continue;
        };
        let bad = ranges.iter().find(|range| !range.as_str().is_some_and(is_range));
        if let Some(bad) = bad {
            draft.close();
            let detail = format!("{bad} is no address and no range of addresses; correct it; {CLOSED}");
            draft.tell(name, Unsupported, detail);
            continue;
        }
        draft.define([(switch, json!(true)), (list, json!(ranges))]);
        draft.tell(name, Differs, format!("403 as in nginx, but {proxy}"));
    }
}

fn is_range(text: &str) -> bool {
    let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
    let most = match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

fn password(draft: &mut Draft) {
    match draft.get("auth-type").map(str::to_owned).as_deref() {
        None | Some("") => {}
        Some("basic") => {
            draft.define([("use_keyless", json!(false)), ("use_basic_auth", json!(true))]);
            let detail = "401 as in nginx, but the users of the Secret are not read: make each a key of the gateway \
                          (POST /tyk/keys/USER with `basic_auth_data`); until then nobody is let in";
            draft.tell("auth-type", Differs, detail);
        }
        Some(_) => {
            draft.close();
            let detail = format!(
                "Tyk has basic authentication, no other of nginx's; use `basic`, or write the template; {CLOSED}"
            );
            draft.tell("auth-type", Unsupported, detail);
        }
    }
    draft.tell(
        "auth-secret",
        Differs,
        "the users become keys of the gateway; htpasswd entries of bcrypt can be taken over",
    );
    draft.tell(
        "auth-secret-type",
        Exact,
        "says how the Secret is written, which is not read",
    );
    draft.tell("auth-realm", Differs, "the realm is the name of the API");
    draft.tell(
        "satisfy",
        Differs,
        "a request has to pass the addresses and the authentication, as with `all`",
    );
}

/// A snippet is not repeated, for it may hold secrets; the names of its directives tell what it is about.
fn snippet(draft: &mut Draft, name: &str) {
    let Some(text) = draft.get(name) else { return };
    let lines = text
        .split([';', '{', '}', '\n'])
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut directives: Vec<&str> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    directives.sort_unstable();
    directives.dedup();
    let guards = [
        "allow",
        "auth_basic",
        "auth_request",
        "deny",
        "if",
        "internal",
        "limit_req",
        "satisfy",
        "valid_referers",
    ];
    let closes = directives
        .iter()
        .any(|directive| guards.contains(directive) || directive.contains("_by_lua"))
        || text.contains("return 4");
    let ways: Vec<&str> = directives.iter().filter_map(|directive| way(directive)).collect();
    let ways = if ways.is_empty() {
        "say it in a template".to_owned()
    } else {
        ways.join(", ")
    };
    let closed = if closes {
        format!("; it may guard the Ingress, so {CLOSED}")
    } else {
        String::new()
    };
    let detail = format!(
        "nginx configuration ({}); nearest: {ways}{closed}",
        directives.join(", ")
    );
    draft.tell(name, Unsupported, detail);
    if closes {
        draft.close();
    }
}

fn way(directive: &str) -> Option<&'static str> {
    Some(match directive {
        "more_set_headers" | "add_header" => "`global_response_headers` for response headers",
        "proxy_set_header" | "more_set_input_headers" => "`global_headers` for request headers",
        "more_clear_headers" | "proxy_hide_header" => "`global_response_headers_remove`",
        "rewrite" => "`url_rewrites`",
        "return" => "`tyk.io/redirect`",
        "deny" | "allow" => "`allowed_ips` and `blacklisted_ips`",
        "client_max_body_size" => "`size_limits`",
        "proxy_read_timeout" => "`tyk.io/timeout`",
        _ => return None,
    })
}

fn limits(draft: &mut Draft) {
    let rate = |draft: &Draft, name: &str| {
        draft
            .get(name)
            .and_then(|rate| rate.parse::<u64>().ok())
            .filter(|rate| *rate > 0)
    };
    let chosen = [("limit-rps", 1), ("limit-rpm", 60)]
        .into_iter()
        .find_map(|(name, per)| Some((name, per, rate(draft, name)?)));
    let differs = "one limit for all clients of the API together, not for each address; 429, not 503; no burst";
    if let Some((name, per, rate)) = chosen {
        draft.define([("global_rate_limit", json!({"rate": rate, "per": per}))]);
        draft.tell(name, Differs, differs);
    }
    let other = match chosen {
        Some((name, ..)) => format!("{name} is the limit; the gateway has one"),
        None => "no number above 0, which nginx ignores".into(),
    };
    for name in ["limit-rps", "limit-rpm"]
        .into_iter()
        .filter(|name| chosen.is_none_or(|(chosen, ..)| chosen != *name))
    {
        draft.tell(name, if chosen.is_some() { Differs } else { Exact }, other.clone());
    }
    draft.tell("limit-burst-multiplier", Differs, "the gateway has no burst");
    draft.tell(
        "limit-whitelist",
        Unsupported,
        "the limit is of the API; make a second Ingress for the other clients",
    );
    let Some(body) = draft.get("proxy-body-size").map(str::to_owned) else {
        return;
    };
    match size(&body) {
        Some(0) => draft.tell("proxy-body-size", Exact, "no limit, which is the gateway's default"),
        Some(bytes) => {
            draft.extend("size_limits", &["POST", "PUT", "PATCH"], &json!({"size_limit": bytes}));
            let detail = "400, not 413; a body without Content-Length is refused with 411; of POST, PUT and PATCH";
            draft.tell("proxy-body-size", Differs, detail);
        }
        None => draft.tell(
            "proxy-body-size",
            Unsupported,
            "no size of nginx; write a number with k, m or g",
        ),
    }
}
