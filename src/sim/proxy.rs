//! The way of a request through an API: version, key, headers, target, upstream, and back.

use super::core::Core;
use super::endpoint;
use super::reply::{self, Body, BoxError};
use super::spec::{Auth, Spec};
use super::url::{self, Path, Target};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, HeaderName, HeaderValue, UPGRADE, USER_AGENT};
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use std::net::IpAddr;
use std::sync::Arc;

/// How often a request may be handed from API to API. The real gateway has no such limit for `tyk://` targets.
const HOPS: usize = 5;

const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A refusal of the gateway: status and message.
struct Refusal(u16, &'static str);

const PROXY_PROBLEM: Refusal = Refusal(500, "There was a problem proxying the request");

/// Answers a request that an API's route caught.
pub(super) async fn serve(
    core: &Arc<Core>,
    spec: Arc<Spec>,
    mut request: Request<Incoming>,
    mut path: Path,
    host: String,
    peer: IpAddr,
) -> Response<Body> {
    let original = request.headers().clone();
    let mut spec = spec;
    for _ in 0..HOPS {
        let stripped = String::from_utf8_lossy(&strip(&spec, path.clone()).decoded).into_owned();
        match spec.endpoint.look(&request, [&path.text(), &stripped], peer) {
            endpoint::Verdict::Pass => {}
            endpoint::Verdict::Answer(mock) => return reply::mock(&mock),
            endpoint::Verdict::Refuse(status, message) => return refuse(&spec, &original, &Refusal(status, message)),
        }
        let sent = request
            .uri()
            .path_and_query()
            .map_or_else(String::new, ToString::to_string);
        let rewritten = spec
            .endpoint
            .rewrite(request.method(), [&path.text(), &stripped], &sent);
        if let Some((to, uri)) = rewritten.and_then(|to| Some((Path::parse(to.split('?').next()?)?, to.parse().ok()?)))
        {
            path = to;
            *request.uri_mut() = uri;
        }
        if let Err(refusal) = admit(core, &spec, &mut request) {
            return refuse(&spec, &original, &refusal);
        }
        path = strip(&spec, path);
        let looped = spec.proxy.target.as_ref().filter(|target| target.scheme == "tyk");
        let looped = looped.map(|target| target.host.clone());
        let Some(name) = looped else {
            return match forward(core, &spec, request, &path, &host, peer).await {
                Ok(mut response) => {
                    spec.endpoint
                        .finish(original.get(hyper::header::ORIGIN), response.headers_mut());
                    response
                }
                Err(refusal) => refuse(&spec, &original, &refusal),
            };
        };
        let found = core.state().looped(&name);
        match found.filter(|inner| !inner.is_invalid()) {
            Some(inner) => spec = inner,
            None => return refuse(&spec, &original, &Refusal(500, "Couldn't detect target")),
        }
    }
    let message = "Loop level too deep. Found more than 5 loops in single request";
    refuse(&spec, &original, &Refusal(500, message))
}

fn refuse(spec: &Spec, request: &HeaderMap, refusal: &Refusal) -> Response<Body> {
    let mut response = reply::proxy_error(request, refusal.0, refusal.1);
    if refusal.0 == 401 && spec.auth == Auth::Basic {
        let name = super::definition::text(&spec.definition, "/name");
        if let Ok(realm) = HeaderValue::from_str(&format!("Basic realm=\"{name}\"")) {
            response.headers_mut().insert("Www-Authenticate", realm);
        }
    }
    response
}

/// Version, key, and the headers of the version.
fn admit(core: &Core, spec: &Spec, request: &mut Request<Incoming>) -> Result<(), Refusal> {
    if let Some(refusal) = spec.version.refusal {
        return Err(Refusal(403, refusal));
    }
    authenticate(core, spec, request.headers())?;
    change(
        request.headers_mut(),
        &spec.version.remove_headers,
        &spec.version.add_headers,
    );
    Ok(())
}

/// Keys of the control API are known where they are tokens; everybody else who is not keyless is refused.
fn authenticate(core: &Core, spec: &Spec, headers: &HeaderMap) -> Result<(), Refusal> {
    let name = if spec.auth == Auth::Token {
        spec.auth_header.as_str()
    } else {
        AUTHORIZATION.as_str()
    };
    let value = headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    match (spec.auth, !value.is_empty()) {
        (Auth::Keyless, _) => Ok(()),
        (Auth::Token | Auth::Basic, false) => Err(Refusal(401, "Authorization field missing")),
        (Auth::Jwt | Auth::Oauth, false) => Err(Refusal(400, "Authorization field missing")),
        (Auth::Hmac, _) => Err(Refusal(400, "Authorization field missing, malformed or invalid")),
        (Auth::Basic, true) => Err(Refusal(401, "User not authorised")),
        (Auth::Token, true) => {
            super::keys::admit(core, spec, value).map_err(|(status, message)| Refusal(status, message))
        }
        (Auth::Jwt | Auth::Oauth, true) => Err(Refusal(403, "Access to this API has been disallowed")),
    }
}

fn change(headers: &mut HeaderMap, remove: &[String], add: &std::collections::BTreeMap<String, String>) {
    for name in remove {
        headers.remove(name.as_str());
    }
    for (name, value) in add {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
}

fn strip(spec: &Spec, path: Path) -> Path {
    let raw = if path.raw.is_empty() {
        Vec::new()
    } else {
        spec.strip(&path.raw)
    };
    Path {
        decoded: spec.strip(&path.decoded),
        raw,
    }
}

async fn forward(
    core: &Arc<Core>,
    spec: &Spec,
    mut request: Request<Incoming>,
    path: &Path,
    host: &str,
    peer: IpAddr,
) -> Result<Response<Body>, Refusal> {
    let upgrade = upgrade_of(request.headers());
    let client_side = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let outbound = outbound(core, spec, request, path, host, peer, upgrade).ok_or(PROXY_PROBLEM)?;
    let client = core.upstreams.client(spec.proxy.insecure_tls);
    let sent = tokio::time::timeout(core.config.proxy_timeout, client.request(outbound)).await;
    let mut response = sent
        .map_err(|_| Refusal(504, "Upstream service reached hard timeout."))?
        .map_err(|error| explain(&error))?;
    match client_side.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS) {
        Some(client_side) => {
            let upstream_side = hyper::upgrade::on(&mut response);
            tokio::spawn(tunnel(client_side, upstream_side, core.ended.clone()));
        }
        None => remove_hop_by_hop(response.headers_mut()),
    }
    let version = &spec.version;
    change(
        response.headers_mut(),
        &version.remove_response_headers,
        &version.add_response_headers,
    );
    Ok(response.map(|body| body.map_err(BoxError::from).boxed_unsync()))
}

/// The request as the upstream gets it; `None` if its target cannot be understood.
fn outbound(
    core: &Core,
    spec: &Spec,
    request: Request<Incoming>,
    path: &Path,
    host: &str,
    peer: IpAddr,
    upgrade: Option<HeaderValue>,
) -> Option<Request<Body>> {
    let target = spec.next_target()?;
    let uri = upstream_uri(spec, &target, path, request.uri().query())?;
    let (mut parts, body) = request.into_parts();
    parts.uri = uri;
    parts.version = hyper::Version::HTTP_11;
    parts.extensions = hyper::http::Extensions::new();
    let host = if spec.proxy.preserve_host { host } else { &target.host };
    outgoing(&mut parts.headers, host, peer, upgrade, &core.config.version)?;
    Some(Request::from_parts(parts, body.map_err(BoxError::from).boxed_unsync()))
}

fn upstream_uri(spec: &Spec, target: &Target, path: &Path, query: Option<&str>) -> Option<Uri> {
    let scheme = match target.scheme.as_str() {
        "http" | "h2c" | "ws" => "http",
        "https" | "wss" => "https",
        _ => return None,
    };
    let keep = spec.proxy.keep_slash;
    let raw = if path.raw.is_empty() {
        Vec::new()
    } else {
        url::join(&target.path, &path.raw, keep)
    };
    let decoded = url::join(&target.path, &path.decoded, keep);
    // Where nothing was encoded, what should have been is encoded on the way out.
    let raw = if raw == decoded { Vec::new() } else { raw };
    let joined = Path { decoded, raw }.escaped();
    let queries: Vec<&str> = [target.query.as_str(), query.unwrap_or_default()]
        .into_iter()
        .filter(|query| !query.is_empty())
        .collect();
    let slash = if joined.starts_with('/') { "" } else { "/" };
    let mark = if queries.is_empty() { "" } else { "?" };
    format!("{scheme}://{}{slash}{joined}{mark}{}", target.host, queries.join("&"))
        .parse()
        .ok()
}

/// The headers as the upstream gets them; `None` if the host cannot be a header.
fn outgoing(
    headers: &mut HeaderMap,
    host: &str,
    peer: IpAddr,
    upgrade: Option<HeaderValue>,
    version: &str,
) -> Option<()> {
    let trailers = headers.get("te").is_some_and(|value| value == "trailers");
    remove_hop_by_hop(headers);
    if !trailers {
        headers.remove("te");
    }
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, protocol);
    }
    if !headers.contains_key(USER_AGENT) {
        headers.insert(USER_AGENT, HeaderValue::from_str(&format!("Tyk/{version}")).ok()?);
    }
    let mut hops: Vec<String> = Vec::new();
    for value in headers.get_all("x-forwarded-for") {
        hops.push(String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    hops.push(peer.to_string());
    headers.insert("x-forwarded-for", HeaderValue::from_str(&hops.join(", ")).ok()?);
    headers.insert(HOST, HeaderValue::from_str(host).ok()?);
    Some(())
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    for name in named.iter().map(String::as_str).chain(HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let connection = headers.get(CONNECTION)?.to_str().ok()?.to_ascii_lowercase();
    if connection.split(',').any(|name| name.trim() == "upgrade") {
        headers.get(UPGRADE).cloned()
    } else {
        None
    }
}

fn explain(error: &hyper_util::client::legacy::Error) -> Refusal {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string().starts_with("dns error") {
            return Refusal(500, "Upstream host lookup failed");
        }
        cause = error.source();
    }
    PROXY_PROBLEM
}

/// Carries bytes both ways until one side ends or the gateway does.
async fn tunnel(
    client: hyper::upgrade::OnUpgrade,
    upstream: hyper::upgrade::OnUpgrade,
    ended: tokio_util::sync::CancellationToken,
) {
    let (Ok(client), Ok(upstream)) = tokio::join!(client, upstream) else {
        return;
    };
    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    tokio::select! {
        () = ended.cancelled() => {}
        _ = tokio::io::copy_bidirectional(&mut client, &mut upstream) => {}
    }
}
