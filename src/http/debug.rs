//! The status page and `/debug/…`: what the controller knows, without secrets, and the level of its log.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::form_urlencoded;

use super::Health;
use super::access::{self, Access};
use crate::inspect::{self, PageRequest, World, json};
use crate::log::Level;

/// Says which API answers a request in this world, or what is wrong with the request.
pub type Explain = Arc<dyn Fn(&World, &str) -> Result<Value, String> + Send + Sync>;

/// What the routes need.
#[derive(Clone)]
struct Served {
    health: Arc<Health>,
    level: Level,
    explain: Explain,
}

/// Binds the address, if there is one. That it is in use is no reason not to start: nothing but this page needs it.
pub async fn bind(address: Option<SocketAddr>, access: &Access) -> Option<TcpListener> {
    let address = address?;
    if access.is_open() && !address.ip().is_loopback() {
        tracing::warn!(%address, "the status page is open to whoever reaches it: set TYK_INGRESS_DEBUG_TOKEN");
    }
    match TcpListener::bind(address).await {
        Ok(listener) => {
            let address = listener.local_addr().unwrap_or(address);
            tracing::info!(%address, "the status page is served");
            Some(listener)
        }
        Err(error) => {
            tracing::warn!(%address, %error, "there is no status page: cannot listen (--debug-listen)");
            None
        }
    }
}

/// Serves until `cancel`.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    health: Arc<Health>,
    (access, level, explain): (Access, Level, Explain),
    cancel: CancellationToken,
) -> std::io::Result<()> {
    let by_name = access.is_open();
    let routes = Router::new()
        .route("/", get(page))
        .route("/debug/snapshot", get(snapshot))
        .route("/debug/desired", get(desired))
        .route("/debug/plan", get(plan))
        .route("/debug/diagnostics", get(diagnostics))
        .route("/debug/explain", get(explained))
        .route("/debug/log-level", get(log_level).put(set_log_level))
        .layer(middleware::from_fn_with_state(access, access::check))
        .layer(middleware::from_fn_with_state(by_name, check_host))
        .layer(middleware::from_fn(private))
        .with_state(Served { health, level, explain });
    axum::serve(listener, routes)
        .with_graceful_shutdown(cancel.cancelled_owned())
        .await
}

async fn page(State(served): State<Served>, uri: Uri) -> Html<String> {
    let request = PageRequest {
        filter: parameter(&uri, "q"),
        now: Timestamp::now(),
    };
    Html(inspect::page(&served.health.world(), &request))
}

async fn snapshot(State(served): State<Served>, uri: Uri) -> Response {
    let filter = json::Filter {
        kind: parameter(&uri, "kind"),
        name: parameter(&uri, "name"),
    };
    let world = served.health.world();
    // Thousands of objects take their time.
    answer(world, move |world| json::snapshot(world, &filter)).await
}

async fn desired(State(served): State<Served>) -> Response {
    answer(served.health.world(), json::desired).await
}

async fn plan(State(served): State<Served>) -> Response {
    answer(served.health.world(), json::plan).await
}

async fn diagnostics(State(served): State<Served>) -> Response {
    answer(served.health.world(), json::diagnostics).await
}

async fn explained(State(served): State<Served>, uri: Uri) -> Response {
    let (world, request) = (served.health.world(), parameter(&uri, "request"));
    match tokio::task::spawn_blocking(move || (served.explain)(&world, &request)).await {
        Ok(Ok(answer)) => ([(CONTENT_TYPE, "application/json")], format!("{answer:#}\n")).into_response(),
        Ok(Err(reason)) => (StatusCode::BAD_REQUEST, format!("request: {reason}\n")).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn answer(world: World, make: impl FnOnce(&World) -> Value + Send + 'static) -> Response {
    let text = tokio::task::spawn_blocking(move || format!("{:#}\n", make(&world))).await;
    match text {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn log_level(State(served): State<Served>) -> String {
    served.level.get() + "\n"
}

async fn set_log_level(State(served): State<Served>, filter: String) -> Response {
    match served.level.set(&filter) {
        Ok(()) => {
            tracing::info!(filter = served.level.get(), "the log level was changed");
            (served.level.get() + "\n").into_response()
        }
        Err(reason) => (StatusCode::BAD_REQUEST, format!("not a filter: {reason}\n")).into_response(),
    }
}

/// A parameter of the query; empty when it is not there.
fn parameter(uri: &Uri, name: &str) -> String {
    let query = uri.query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default()
}

/// Without a token a page of the web must not read along by giving its own name this address (DNS rebinding), so only
/// addresses and `localhost` are answered.
async fn check_host(State(by_name): State<bool>, request: Request, next: Next) -> Response {
    if by_name && !is_local_name(request.headers()) {
        let message = "without a token the host must be an IP address or localhost\n";
        return (StatusCode::FORBIDDEN, message).into_response();
    }
    next.run(request).await
}

fn is_local_name(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

/// Nothing is kept, framed or told to others.
async fn private(request: Request, next: Next) -> Response {
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    let headers = [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, policy),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, next.run(request).await).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_of_the_web_are_no_local_names() {
        let is_local = |host: &str| is_local_name(&HeaderMap::from_iter([(HOST, host.parse().unwrap())]));
        for host in [
            "localhost:8082",
            "LOCALHOST",
            "127.0.0.1:8082",
            "[::1]:8082",
            "10.0.0.7",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:8082",
            "127.0.0.1.evil.example",
            "",
            "a b",
        ] {
            assert!(!is_local(host), "{host}");
        }
        assert!(!is_local_name(&HeaderMap::new()));
    }

    #[test]
    fn parameters_are_decoded() {
        let uri: Uri = "/?kind=Ingress&q=a%20%26+b".parse().unwrap();
        assert_eq!(parameter(&uri, "q"), "a & b");
        assert_eq!(parameter(&uri, "none"), "");
    }
}
