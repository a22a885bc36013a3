//! The redirect responder: it answers every request with the same URL under https. It has no state and no settings but
//! the port, so any number of copies may run.

use axum::Router;
use axum::extract::State;
use axum::http::header::{HOST, LOCATION};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The port of https that clients expect and that is left out of URLs.
const STANDARD_PORT: u16 = 443;

/// Serves until `cancel`, redirecting to `https_port` as clients reach it.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, https_port: u16, cancel: CancellationToken) -> std::io::Result<()> {
    let routes = Router::new().fallback(redirect).with_state(https_port);
    axum::serve(listener, routes)
        .with_graceful_shutdown(cancel.cancelled_owned())
        .await
}

/// 308 keeps method and body, unlike 301 and 302 (RFC 9110 section 15.4.9).
async fn redirect(State(https_port): State<u16>, headers: HeaderMap, uri: Uri) -> Response {
    let location = headers.get(HOST).and_then(|host| location(host, &uri, https_port));
    match location {
        Some(location) => (StatusCode::PERMANENT_REDIRECT, [(LOCATION, location)]).into_response(),
        None => (StatusCode::BAD_REQUEST, "the Host header is missing or is no host\n").into_response(),
    }
}

fn location(host: &HeaderValue, uri: &Uri, https_port: u16) -> Option<HeaderValue> {
    let authority: Authority = host.to_str().ok()?.parse().ok()?;
    let host = authority.host();
    if host.is_empty() || authority.as_str().contains('@') {
        return None;
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let location = match https_port {
        STANDARD_PORT => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    };
    HeaderValue::from_str(&location).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn redirected(host: &'static str, uri: &str, port: u16) -> Option<String> {
        let location = location(&HeaderValue::from_static(host), &uri.parse().unwrap(), port)?;
        Some(location.to_str().unwrap().to_owned())
    }

    #[test]
    fn host_path_and_query_are_kept() {
        assert_eq!(
            redirected("a.com", "/x%20y?b=1&b=2", 443).unwrap(),
            "https://a.com/x%20y?b=1&b=2"
        );
        assert_eq!(redirected("a.com:8080", "/", 8443).unwrap(), "https://a.com:8443/");
        assert_eq!(redirected("[::1]:8080", "/x", 443).unwrap(), "https://[::1]/x");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        assert_eq!(redirected("", "/", 443), None);
        assert_eq!(redirected("user@a.com", "/", 443), None);
        assert_eq!(redirected("a.com/evil", "/", 443), None);
    }
}
