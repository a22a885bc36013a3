//! Where requests come in and where they go.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::Findings;
use crate::desired::classic::fields::{is_set, is_true, list, object, text, versions};
use crate::expression;

const PROTOCOLS: [&str; 6] = ["", "http", "https", "h2c", "tcp", "tls"];
const SCHEMES: [&str; 10] = ["http", "https", "h2c", "ws", "wss", "tcp", "tls", "tyk", "srv", "kafka"];

pub(super) fn check(definition: &Map<String, Value>, found: &mut Findings) {
    let empty = Map::new();
    let proxy = object(definition, "proxy").unwrap_or(&empty);
    let protocol = text(definition, "protocol");
    // An API of a protocol that the gateway does not know is in its list and nowhere else.
    found.one_of("protocol", protocol, &PROTOCOLS);
    let is_stream = matches!(protocol, "tcp" | "tls");
    let listen_path = text(proxy, "listen_path");
    // The listen path of a stream decides nothing, but the gateway compiles it all the same.
    if (!is_stream || !listen_path.is_empty())
        && let Err(message) = expression::check_listen_path(listen_path)
    {
        found.error("proxy.listen_path", message);
    }
    if let Err(message) = expression::check_domain(text(definition, "domain")) {
        found.error("domain", message);
    }
    port(definition, is_stream, found);
    if is_stream {
        stream_target(text(proxy, "target_url"), proxy, found);
    } else {
        target(definition, proxy, found);
    }
    addresses(definition, found);
}

fn port(definition: &Map<String, Value>, is_stream: bool, found: &mut Findings) {
    match definition.get("listen_port") {
        None | Some(Value::Null) => {}
        Some(port) if port.as_u64().is_some_and(|port| port <= u64::from(u16::MAX)) => {}
        Some(port) => return found.error("listen_port", format!("{port} is no port: 0 to 65535")),
    }
    // On the main port the gateway speaks HTTP, and a stream that names no port is meant for that one.
    let given = definition
        .get("listen_port")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    if is_stream && given == 0 {
        found.error("listen_port", "an API of protocol tcp or tls needs a port of its own");
    }
}

fn stream_target(target: &str, proxy: &Map<String, Value>, found: &mut Findings) {
    if is_set(proxy, "target_internal") {
        return found.error(
            "proxy.target_internal",
            "an API of protocol tcp or tls cannot lead to another API",
        );
    }
    if !target.starts_with("tcp://") && !target.starts_with("tls://") {
        let message = "an API of protocol tcp or tls needs a target of the form tcp://host:port or tls://host:port";
        return found.error("proxy.target_url", message);
    }
    if let Err(message) = check_target(target) {
        found.error("proxy.target_url", message);
    }
}

fn target(definition: &Map<String, Value>, proxy: &Map<String, Value>, found: &mut Findings) {
    let target = text(proxy, "target_url");
    if let Err(message) = check_target(target) {
        found.error("proxy.target_url", message);
    }
    let balanced = is_true(proxy, "enable_load_balancing");
    let discovered = object(proxy, "service_discovery").is_some_and(|it| is_true(it, "use_discovery_service"));
    if balanced && !discovered && list(proxy, "target_list").is_empty() {
        found.error("proxy.target_list", "load balancing needs at least one target");
    }
    let graphql = object(definition, "graphql").is_some_and(|graphql| is_true(graphql, "enabled"));
    let overridden = versions(definition).any(|(_, version)| is_set(version, "override_target"));
    let elsewhere = is_set(proxy, "target_internal") || is_set(proxy, "target_list");
    if target.is_empty() && !elsewhere && !discovered && !graphql && !overridden {
        let message = "an API needs a target: target_url, target_internal, target_list, service_discovery or graphql";
        found.error("proxy.target_url", message);
    }
    for (key, version) in versions(definition) {
        if let Err(message) = check_target(text(version, "override_target")) {
            found.error(format_args!("version_data.versions.{key}.override_target"), message);
        }
    }
}

/// The gateway refuses the whole definition for one address that it cannot read.
fn addresses(definition: &Map<String, Value>, found: &mut Findings) {
    for (switch, field) in [
        ("enable_ip_whitelisting", "allowed_ips"),
        ("enable_ip_blacklisting", "blacklisted_ips"),
    ] {
        if !is_true(definition, switch) {
            continue;
        }
        for (index, address) in list(definition, field).iter().enumerate() {
            let address = address.as_str().unwrap_or_default();
            if !is_address(address) {
                let message = format!("{address:?} is neither an IP address nor a network such as 10.0.0.0/8");
                found.error(format_args!("{field}[{index}]"), message);
            }
        }
    }
}

fn is_address(text: &str) -> bool {
    let (address, bits) = text
        .split_once('/')
        .map_or((text, None), |(address, bits)| (address, Some(bits)));
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= most))
}

fn check_target(target: &str) -> Result<(), String> {
    let Some((scheme, rest)) = target.split_once("://") else {
        return match target {
            "" => Ok(()),
            // The gateway looks these up when it loads the API.
            _ if is_stored(target) => Ok(()),
            _ => Err(format!("{:?} has no scheme such as http://", without_user(target))),
        };
    };
    if is_stored(target) {
        return Ok(());
    }
    if !SCHEMES.contains(&scheme) {
        return Err(format!("{:?} has the unknown scheme {scheme:?}", without_user(target)));
    }
    if rest.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("{:?} is not a URL", without_user(target)));
    }
    Ok(())
}

/// Whether the value is kept in one of the gateway's key-value stores.
pub(super) fn is_stored(value: &str) -> bool {
    ["env://", "secrets://", "consul://", "vault://", "$secret_"]
        .iter()
        .any(|start| value.starts_with(start))
}

/// A URL for a message: user and password, if it has any, are nobody else's business.
fn without_user(target: &str) -> String {
    match target.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => target.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_target_is_named_without_its_password() {
        for target in [
            "ftp://user:hunter2@host",
            "http://user:hunter2@ho st",
            "user:hunter2@host",
        ] {
            let Err(message) = check_target(target) else {
                panic!("{target} is accepted")
            };
            assert!(!message.contains("hunter2") && message.contains("@ho"), "{message}");
        }
    }

    #[test]
    fn addresses_are_those_of_go() {
        for good in ["10.0.0.1", "10.0.0.0/8", "::1", "fe80::/10"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "a.com", "10.0.0.0/33", "10.0.0.1/", "1.2.3"] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
