//! One loaded API: what routing and proxying need of a definition, and the definition as `GET` shows it.

use super::definition::{flag, text};
use super::template::{Kind, Template, strip_listen_path};
use super::url::Target;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How a request proves that it may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Auth {
    Keyless,
    Token,
    Basic,
    Jwt,
    Hmac,
    Oauth,
}

/// An API in the gateway's memory.
#[derive(Debug)]
pub(super) struct Spec {
    pub id: String,
    /// The text of its files: as long as it stays, so does the loaded API, renamed listen path and all.
    pub checksum: String,
    pub definition: Value,
    pub oas: Option<Value>,
    pub listen_path: String,
    /// The compiled listen path, once it is settled.
    pub template: Option<Template>,
    /// As written, also when it is disabled: sorting looks at this one.
    pub domain: String,
    pub domain_disabled: bool,
    /// 0 is the main port.
    pub port: u16,
    /// Empty is that of the main port.
    pub protocol: String,
    pub internal: bool,
    /// Never routed: internal, or invalid in a way that the gateway only logs.
    pub skip: bool,
    pub auth: Auth,
    pub auth_header: String,
    pub certificates: Vec<String>,
    pub proxy: Proxy,
    pub version: Version,
    pub endpoint: super::endpoint::Endpoint,
    next_target: AtomicUsize,
}

/// The part of a definition that says where a request goes and what becomes of it on the way.
#[derive(Debug)]
pub(super) struct Proxy {
    pub target: Option<Target>,
    /// Empty unless the API balances its load.
    pub targets: Vec<String>,
    pub strip_listen_path: bool,
    pub preserve_host: bool,
    pub keep_slash: bool,
    pub insecure_tls: bool,
}

/// The version that serves requests.
#[derive(Debug)]
pub(super) struct Version {
    /// The text of the 403 if there is no version to serve.
    pub refusal: Option<&'static str>,
    pub add_headers: BTreeMap<String, String>,
    pub remove_headers: Vec<String>,
    pub add_response_headers: BTreeMap<String, String>,
    pub remove_response_headers: Vec<String>,
}

impl Spec {
    /// Reads a stored definition.
    pub fn new(definition: Value, oas: Option<Value>, checksum: String) -> Spec {
        let listen_path = text(&definition, "/proxy/listen_path").to_owned();
        Spec {
            id: text(&definition, "/api_id").to_owned(),
            checksum,
            oas,
            template: Template::compile(&listen_path, Kind::Prefix).ok(),
            listen_path,
            domain: text(&definition, "/domain").to_owned(),
            domain_disabled: flag(&definition, "/domain_disabled"),
            port: definition["listen_port"]
                .as_u64()
                .and_then(|port| port.try_into().ok())
                .unwrap_or_default(),
            protocol: text(&definition, "/protocol").to_owned(),
            internal: flag(&definition, "/internal"),
            skip: false,
            auth: auth(&definition),
            auth_header: Some(text(&definition, "/auth/auth_header_name"))
                .filter(|name| !name.is_empty())
                .unwrap_or("Authorization")
                .to_owned(),
            certificates: strings(definition.get("certificates")),
            proxy: Proxy::new(&definition),
            version: Version::new(&definition["version_data"]),
            endpoint: super::endpoint::Endpoint::new(&definition, select(&definition["version_data"]).0),
            next_target: AtomicUsize::new(0),
            definition,
        }
    }

    /// The domain that counts for hosts and collisions: none if it is disabled.
    pub fn active_domain(&self) -> &str {
        if self.domain_disabled { "" } else { &self.domain }
    }

    /// Gives the API another listen path, in every form in which it can be read.
    pub fn rename(&mut self, listen_path: String) {
        if let Some(value) = self.definition.pointer_mut("/proxy/listen_path") {
            *value = Value::String(listen_path.clone());
        }
        if let Some(value) = self
            .oas
            .as_mut()
            .and_then(|oas| oas.pointer_mut("/x-tyk-api-gateway/server/listenPath/value"))
        {
            *value = Value::String(listen_path.clone());
        }
        self.template = Template::compile(&listen_path, Kind::Prefix).ok();
        self.listen_path = listen_path;
    }

    /// A decoded path as the upstream sees it, if the API strips its listen path.
    pub fn strip(&self, path: &[u8]) -> Vec<u8> {
        match &self.template {
            Some(template) if self.proxy.strip_listen_path => strip_listen_path(&self.listen_path, template, path),
            _ => path.to_vec(),
        }
    }

    /// Whether the gateway loads the API and then only logs that it cannot route it.
    pub fn is_invalid(&self) -> bool {
        let http = matches!(self.protocol.as_str(), "" | "http" | "https");
        http && (self.listen_path.is_empty() || self.listen_path.contains(' ')) || self.proxy.target.is_none()
    }

    /// Where the next request goes: round robin over the targets, or the one target. `None` if it cannot be understood.
    pub fn next_target(&self) -> Option<Target> {
        if self.proxy.targets.is_empty() {
            return self.proxy.target.clone();
        }
        let turn = self.next_target.fetch_add(1, Ordering::Relaxed);
        let host = self.proxy.targets.get(turn % self.proxy.targets.len())?.trim();
        let protocol = if self.protocol.is_empty() {
            "http"
        } else {
            &self.protocol
        };
        let host = if host.contains("://") {
            host.to_owned()
        } else {
            format!("{protocol}://{host}")
        };
        Target::parse(&host.replacen("h2c://", "http://", 1))
    }

    /// Whether a `tyk://` address means this API: by id, or by name without regard to case.
    pub fn answers_to(&self, search: &str) -> bool {
        let name = text(&self.definition, "/name")
            .split('#')
            .next()
            .unwrap_or_default()
            .trim_end();
        let plain: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        self.id == search || plain.trim_matches('-').eq_ignore_ascii_case(search)
    }
}

impl Proxy {
    fn new(definition: &Value) -> Proxy {
        let balanced = flag(definition, "/proxy/enable_load_balancing");
        Proxy {
            target: Target::parse(text(definition, "/proxy/target_url")),
            targets: if balanced {
                strings(definition.pointer("/proxy/target_list"))
            } else {
                Vec::new()
            },
            strip_listen_path: flag(definition, "/proxy/strip_listen_path"),
            preserve_host: flag(definition, "/proxy/preserve_host_header"),
            keep_slash: flag(definition, "/proxy/disable_strip_slash"),
            insecure_tls: flag(definition, "/proxy/transport/ssl_insecure_skip_verify"),
        }
    }
}

impl Version {
    fn new(data: &Value) -> Version {
        let (version, refusal) = select(data);
        let unless = |switch: &str| {
            if flag(version, switch) { &Value::Null } else { version }
        };
        let request = unless("/global_headers_disabled");
        let response = unless("/global_response_headers_disabled");
        Version {
            refusal,
            add_headers: pairs(&request["global_headers"]),
            remove_headers: strings(request.get("global_headers_remove")),
            add_response_headers: pairs(&response["global_response_headers"]),
            remove_response_headers: strings(response.get("global_response_headers_remove")),
        }
    }
}

/// The version that serves requests without a version, and why there is none.
fn select(data: &Value) -> (&Value, Option<&'static str>) {
    let all = data["versions"].as_object();
    if data["not_versioned"] == true {
        let version = all.and_then(|all| match all.len() {
            1 => all.values().next(),
            _ => ["Default", "default", ""].into_iter().find_map(|name| all.get(name)),
        });
        let refusal = "No default API version for this non-versioned API found";
        return version.map_or((&Value::Null, Some(refusal)), |version| (version, None));
    }
    match (text(data, "/default_version"), all) {
        ("", _) => (&Value::Null, Some("Version information not found")),
        (name, all) => {
            let refusal = "This API version does not seem to exist";
            let version = all.and_then(|all| all.get(name));
            version.map_or((&Value::Null, Some(refusal)), |version| (version, None))
        }
    }
}

fn auth(definition: &Value) -> Auth {
    let order = [
        ("/use_keyless", Auth::Keyless),
        ("/use_oauth2", Auth::Oauth),
        ("/use_basic_auth", Auth::Basic),
        ("/enable_signature_checking", Auth::Hmac),
        ("/enable_jwt", Auth::Jwt),
    ];
    order
        .into_iter()
        .find(|(pointer, _)| flag(definition, pointer))
        .map_or(Auth::Token, |(_, auth)| auth)
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn pairs(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}
