//! One call: who calls, what may be seen, and where it leads.

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response};
use serde_json::{Map, Value, json};

use super::envelope;
use super::store::{Org, Serial, State};
use super::{Config, Permission, User, access, apis, certs, oas, policies, portal};
use crate::sim::control;
use crate::sim::definition;
use crate::sim::reply::{self, Body};

/// The largest body that is read; a longer one counts as none.
const BODY_LIMIT: usize = 10 << 20;

/// A call with its body.
pub(super) struct Sent {
    pub method: String,
    /// The path as it came.
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Sent {
    /// Reads a call to its end.
    pub async fn read(request: Request<Incoming>) -> Sent {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, BODY_LIMIT).collect().await;
        Sent {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body: body.map(Collected::to_bytes).unwrap_or_default(),
        }
    }

    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    pub fn parameter(&self, name: &str) -> String {
        control::parameter(&self.query, name)
    }

    /// The body as a JSON object.
    pub fn object(&self) -> Option<Map<String, Value>> {
        match definition::decode(&self.body) {
            Ok(Value::Object(object)) => Some(object),
            _ => None,
        }
    }
}

/// A call of a known user.
pub(super) struct Visit<'a> {
    pub config: &'a Config,
    pub org: &'a mut Org,
    pub serial: &'a mut Serial,
    pub user: &'a User,
    pub sent: &'a Sent,
}

/// Answers a call.
pub(super) fn answer(config: &Config, state: &mut State, sent: &Sent) -> Response<Body> {
    let segments: Vec<String> = sent
        .path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(decoded)
        .collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let Some(("api", route)) = segments.split_first().map(|(first, route)| (*first, route)) else {
        return reply::not_found();
    };
    let user = config
        .users
        .iter()
        .find(|user| !user.key.is_empty() && user.key == sent.header("authorization"));
    let Some(user) = user else {
        return envelope::error(401, "Not authorised");
    };
    if !may(user, route, &sent.method) {
        let message = format!("access denied: You do not have permission to access  {}", sent.path);
        return envelope::error(403, &message);
    }
    let State { orgs, serial } = state;
    let org = orgs.entry(user.org.clone()).or_default();
    let mut visit = Visit {
        config,
        org,
        serial,
        user,
        sent,
    };
    match route {
        ["apis", "oas", rest @ ..] => oas::answer(&mut visit, super::store::Source::Oas, rest),
        ["apis", "streams", rest @ ..] => oas::answer(&mut visit, super::store::Source::Streams, rest),
        ["mcps", rest @ ..] if config.mcps => oas::answer(&mut visit, super::store::Source::Mcp, rest),
        ["apis", id, "access"] => access::answer(&mut visit, id),
        ["apis", rest @ ..] => apis::answer(&mut visit, rest),
        ["certs", rest @ ..] => certs::answer(&mut visit, rest),
        ["portal", "policies", rest @ ..] => policies::answer(&mut visit, rest),
        ["portal", rest @ ..] => portal::answer(&mut visit, rest),
        _ => reply::not_found(),
    }
}

fn decoded(segment: &str) -> String {
    let bytes = crate::sim::url::unescape(segment.as_bytes()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn may(user: &User, route: &[&str], method: &str) -> bool {
    let section = match route {
        ["apis" | "mcps", ..] => "apis",
        ["portal", "policies", ..] => "policies",
        [section, ..] => section,
        [] => return true,
    };
    match &user.permissions {
        None => true,
        Some(permissions) => match permissions.get(section) {
            Some(Permission::Write) => true,
            Some(Permission::Read) => method == "GET",
            None => false,
        },
    }
}

impl Visit<'_> {
    /// One page of a list, or all of it: `{field: […], pages_field: n}`. `first` is the number of the first page.
    pub fn page(&self, all: Vec<Value>, (field, pages_field): (&str, &str), first: usize) -> Response<Body> {
        let size = self.config.page_size.max(1);
        let wanted = self.sent.parameter("p").parse::<i64>().unwrap_or(first as i64);
        let (objects, pages) = if wanted < 0 && self.config.all_at_once {
            (all, 1)
        } else {
            let pages = all.len().div_ceil(size);
            let skipped = usize::try_from(wanted).unwrap_or(first).saturating_sub(first);
            (all.into_iter().skip(skipped * size).take(size).collect(), pages)
        };
        reply::json(200, &json!({field: objects, pages_field: pages}))
    }

    /// Wrong method, or a path that no list knows.
    pub fn unknown(&self) -> Response<Body> {
        reply::not_found()
    }
}
