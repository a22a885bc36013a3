//! Answers that the gateway itself gives, byte for byte.

use super::endpoint::Mock;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::{HeaderMap, Response, StatusCode};
use serde_json::Value;

/// Any error of a body.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of every answer, and of every forwarded request.
pub(super) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A body held in memory.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

fn plain(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// JSON of the control API.
pub(super) fn json(status: u16, body: &Value) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    plain(status, "application/json", format!("{body}\n"))
}

/// An error of the control API.
pub(super) fn error(status: u16, message: &str) -> Response<Body> {
    json(status, &serde_json::json!({"status": "error", "message": message}))
}

/// An answer that asks to be left alone for some seconds.
pub(super) fn busy(mut answer: Response<Body>, seconds: u64) -> Response<Body> {
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

/// The success of a write.
pub(super) fn modified(key: &str, action: &str) -> Response<Body> {
    json(200, &serde_json::json!({"key": key, "status": "ok", "action": action}))
}

/// The success of anything else.
pub(super) fn ok(message: &str) -> Response<Body> {
    json(200, &serde_json::json!({"status": "ok", "message": message}))
}

/// An answer that a definition gives.
pub(super) fn mock(mock: &Mock) -> Response<Body> {
    let mut response = Response::new(full(mock.body.clone()));
    *response.status_mut() = StatusCode::from_u16(mock.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &mock.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// An unknown path, as Go's own handler says it.
pub(super) fn not_found() -> Response<Body> {
    let mut response = plain(
        StatusCode::NOT_FOUND,
        "text/plain; charset=utf-8",
        "404 page not found\n",
    );
    response
        .headers_mut()
        .insert("X-Content-Type-Options", HeaderValue::from_static("nosniff"));
    response
}

/// An unknown path, as the gateway says it: on the port of the control API, and with strict routes.
pub(super) fn gateway_not_found() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "Not Found")
}

/// A request line or host that cannot be read.
pub(super) fn bad_request(detail: &str) -> Response<Body> {
    plain(
        StatusCode::BAD_REQUEST,
        "text/plain; charset=utf-8",
        format!("400 Bad Request{detail}"),
    )
}

/// The redirect to a clean path.
pub(super) fn redirect(location: &str) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// An error on the way through an API; XML if the request says that it is XML.
pub(super) fn proxy_error(request: &HeaderMap, status: u16, message: &str) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let sent = request
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let xml = |message| format!("<?xml version = \"1.0\" encoding = \"UTF-8\"?>\n<error>{message}</error>\n");
    let mut response = match sent.split(';').next().unwrap_or_default() {
        "application/xml" => plain(status, "application/xml", xml(message)),
        "text/xml" => plain(status, "text/xml", xml(message)),
        _ => plain(
            status,
            "application/json",
            format!("{{\n    \"error\": \"{}\"\n}}", message.replace('\'', "\\'")),
        ),
    };
    response
        .headers_mut()
        .insert("X-Generator", HeaderValue::from_static("tyk.io"));
    response
}
