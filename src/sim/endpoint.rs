//! What an API does to a request besides its key and its headers: answers of its own, addresses, sizes, rewrites, CORS.
//! As read in the gateway's source; the order is its own too.

use super::definition::{flag, text};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, ORIGIN, VARY};
use hyper::{HeaderMap, Method, Request, StatusCode};
use regex::Regex;
use serde_json::Value;
use std::net::IpAddr;

/// The settings of one API.
#[derive(Debug, Default)]
pub(super) struct Endpoint {
    allowed: Option<Vec<Range>>,
    blocked: Vec<Range>,
    mocks: Vec<Entry<Mock>>,
    sizes: Vec<Entry<u64>>,
    rewrites: Vec<Entry<(Regex, String)>>,
    cors: Option<Cors>,
}

/// A setting for a method and for paths.
#[derive(Debug)]
struct Entry<T> {
    path: Regex,
    method: String,
    value: T,
}

/// An answer of the gateway's own.
#[derive(Clone, Debug)]
pub(super) struct Mock {
    pub code: u16,
    pub body: String,
    pub headers: Vec<(String, String)>,
}

/// What becomes of a request before its key is looked at.
pub(super) enum Verdict {
    Pass,
    Answer(Mock),
    Refuse(u16, &'static str),
}

impl Endpoint {
    /// Reads them of a definition and of the version that serves it.
    pub fn new(definition: &Value, version: &Value) -> Endpoint {
        let extended = match version["use_extended_paths"] == true {
            true => &version["extended_paths"],
            false => &Value::Null,
        };
        Endpoint {
            allowed: flag(definition, "/enable_ip_whitelisting").then(|| ranges(&definition["allowed_ips"])),
            blocked: match flag(definition, "/enable_ip_blacklisting") {
                true => ranges(&definition["blacklisted_ips"]),
                false => Vec::new(),
            },
            mocks: entries(&extended["mock_response"], |entry| Some(mock(entry))),
            sizes: entries(&extended["size_limits"], |entry| entry["size_limit"].as_u64()),
            rewrites: entries(&extended["url_rewrites"], |entry| {
                let pattern = Regex::new(text(entry, "/match_pattern")).ok()?;
                Some((pattern, text(entry, "/rewrite_to").to_owned()))
            }),
            cors: flag(definition, "/CORS/enable").then(|| Cors::new(&definition["CORS"])),
        }
    }

    /// Looks at a request, whose path may be read with and without the listen path.
    pub fn look<B>(&self, request: &Request<B>, paths: [&str; 2], peer: IpAddr) -> Verdict {
        if let Some(answer) = self.cors.as_ref().and_then(|cors| cors.preflight(request)) {
            return Verdict::Answer(answer);
        }
        if let Some(mock) = find(&self.mocks, request.method(), paths) {
            return Verdict::Answer(mock.clone());
        }
        let address = address(request.headers(), peer);
        let allowed = self
            .allowed
            .as_ref()
            .is_none_or(|ranges| ranges.iter().any(|range| range.holds(address)));
        if !allowed || self.blocked.iter().any(|range| range.holds(address)) {
            return Verdict::Refuse(403, "access from this IP has been disallowed");
        }
        match find(&self.sizes, request.method(), paths) {
            Some(most) => match request
                .headers()
                .get(CONTENT_LENGTH)
                .map(|length| length.to_str().ok()?.parse().ok())
            {
                None => Verdict::Refuse(411, "Content length is required for this request"),
                Some(None) => Verdict::Refuse(400, "content length is not a valid Integer"),
                Some(Some::<u64>(length)) if length > *most => Verdict::Refuse(400, "Request is too large"),
                Some(Some(_)) => Verdict::Pass,
            },
            None => Verdict::Pass,
        }
    }

    /// The path and query that a request is rewritten to; `sent` has both.
    pub fn rewrite(&self, method: &Method, paths: [&str; 2], sent: &str) -> Option<String> {
        let (pattern, to) = find(&self.rewrites, method, paths)?;
        let groups = pattern.captures(sent)?;
        let mut out = to.clone();
        for found in Regex::new(r"\$\d+").ok()?.find_iter(to) {
            let index: usize = found.as_str().get(1..)?.parse().ok()?;
            out = out.replace(found.as_str(), groups.get(index).map_or("", |group| group.as_str()));
        }
        Some(out)
    }

    /// Adds what CORS says of an answer.
    pub fn finish(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if let Some(cors) = &self.cors {
            cors.finish(origin, headers);
        }
    }
}

fn find<'a, T>(entries: &'a [Entry<T>], method: &Method, paths: [&str; 2]) -> Option<&'a T> {
    let found = entries
        .iter()
        .find(|entry| entry.method == method.as_str() && paths.iter().any(|path| entry.path.is_match(path)));
    found.map(|entry| &entry.value)
}

fn entries<T>(list: &Value, read: impl Fn(&Value) -> Option<T>) -> Vec<Entry<T>> {
    let list = list
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| !flag(entry, "/disabled"));
    let read = |entry: &Value| {
        Some(Entry {
            path: Regex::new(text(entry, "/path")).ok()?,
            method: text(entry, "/method").to_owned(),
            value: read(entry)?,
        })
    };
    list.filter_map(read).collect()
}

fn mock(entry: &Value) -> Mock {
    let headers = entry["headers"].as_object().into_iter().flatten();
    Mock {
        code: entry["code"]
            .as_u64()
            .and_then(|code| code.try_into().ok())
            .unwrap_or(200),
        body: text(entry, "/body").to_owned(),
        headers: headers
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
    }
}

/// The address that counts: what the client says of itself goes first.
fn address(headers: &HeaderMap, peer: IpAddr) -> IpAddr {
    let said = |name: &str| headers.get(name)?.to_str().ok()?.split(',').next()?.trim().parse().ok();
    said("x-real-ip").or_else(|| said("x-forwarded-for")).unwrap_or(peer)
}

/// A range of addresses, as bits.
#[derive(Debug)]
struct Range {
    address: IpAddr,
    bits: u32,
}

impl Range {
    fn holds(&self, other: IpAddr) -> bool {
        let shared = match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (u32::from(own) ^ u32::from(other)).leading_zeros(),
            (IpAddr::V6(own), IpAddr::V6(other)) => (u128::from(own) ^ u128::from(other)).leading_zeros(),
            _ => return false,
        };
        shared >= self.bits
    }
}

fn ranges(list: &Value) -> Vec<Range> {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    let one = |text: &str| {
        let (address, bits) = text.split_once('/').unwrap_or((text, "128"));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        Some(Range {
            address,
            bits: bits.parse::<u32>().ok()?.min(most),
        })
    };
    texts.filter_map(one).collect()
}

/// The settings of CORS, with the behaviour of the library that the gateway uses.
#[derive(Debug)]
struct Cors {
    origins: Vec<String>,
    methods: Vec<String>,
    headers: Vec<String>,
    exposed: Vec<String>,
    credentials: bool,
    age: u64,
}

impl Cors {
    fn new(settings: &Value) -> Cors {
        let list = |name: &str| {
            let items = settings[name]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            items.map(str::to_owned).collect()
        };
        Cors {
            origins: list("allowed_origins"),
            methods: list("allowed_methods"),
            headers: list("allowed_headers"),
            exposed: list("exposed_headers"),
            credentials: flag(settings, "/allow_credentials"),
            age: settings["max_age"].as_u64().unwrap_or_default(),
        }
    }

    /// The value of the header for this origin.
    fn origin(&self, origin: Option<&HeaderValue>) -> Option<String> {
        let origin = origin?.to_str().ok()?;
        if self.origins.is_empty() || self.origins.iter().any(|known| known == "*") {
            return Some("*".to_owned());
        }
        let known = self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin));
        known.then(|| origin.to_owned())
    }

    fn preflight<B>(&self, request: &Request<B>) -> Option<Mock> {
        let asked = |name: &str| request.headers().get(name)?.to_str().ok().map(str::to_owned);
        let method = asked("access-control-request-method").filter(|_| request.method() == Method::OPTIONS)?;
        let mut answer = Mock {
            code: StatusCode::NO_CONTENT.as_u16(),
            body: String::new(),
            headers: Vec::new(),
        };
        let headers = asked("access-control-request-headers").unwrap_or_default();
        let known = |name: &str| {
            let name = name.trim();
            self.headers
                .iter()
                .any(|known| known == "*" || known.eq_ignore_ascii_case(name))
        };
        let fits = self.methods.iter().any(|known| known.eq_ignore_ascii_case(&method)) || method == "OPTIONS";
        let Some(origin) = self.origin(request.headers().get(ORIGIN)).filter(|_| fits) else {
            return Some(answer);
        };
        if !headers.is_empty() && !headers.split(',').all(known) {
            return Some(answer);
        }
        let mut add = |name: &str, value: String| answer.headers.push((name.to_owned(), value));
        add("Access-Control-Allow-Origin", origin);
        add("Access-Control-Allow-Methods", method.to_uppercase());
        if !headers.is_empty() {
            add("Access-Control-Allow-Headers", headers);
        }
        if self.credentials {
            add("Access-Control-Allow-Credentials", "true".to_owned());
        }
        if self.age > 0 {
            add("Access-Control-Max-Age", self.age.to_string());
        }
        Some(answer)
    }

    fn finish(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        headers.append(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = self.origin(origin) else { return };
        let mut set = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("access-control-allow-origin", &origin);
        if !self.exposed.is_empty() {
            set("access-control-expose-headers", &self.exposed.join(", "));
        }
        if self.credentials {
            set("access-control-allow-credentials", "true");
        }
    }
}
