//! Who may read: whoever has the token, where one is set.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::secret::Secret;

/// The token that is asked for; none for anybody.
#[derive(Clone, Debug, Default)]
pub struct Access(Option<Secret>);

impl Access {
    /// Asks for this token, if it is not empty.
    pub fn new(token: Option<Secret>) -> Self {
        Self(token.filter(|token| !token.expose().is_empty()))
    }

    /// Whether anybody may read.
    pub fn is_open(&self) -> bool {
        self.0.is_none()
    }

    fn allows(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.0 else { return true };
        let given = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(credential);
        // Hashes, so that the time that it takes says nothing about the token.
        given.is_some_and(|given| Sha256::digest(given) == Sha256::digest(token.expose()))
    }
}

/// A bearer token, or the password of Basic authentication, which is what browsers ask people for.
fn credential(header: &str) -> Option<Vec<u8>> {
    let (scheme, value) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().as_bytes().to_vec());
    }
    let pair = STANDARD
        .decode(value.trim())
        .ok()
        .filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

/// Lets through whoever has the token.
pub(super) async fn check(State(access): State<Access>, request: Request, next: Next) -> Response {
    if access.allows(request.headers()) {
        return next.run(request).await;
    }
    let ask = [(WWW_AUTHENTICATE, "Basic realm=\"tyk-ingress\", charset=\"UTF-8\"")];
    (
        StatusCode::UNAUTHORIZED,
        ask,
        "a bearer token, or Basic with it as the password, is needed\n",
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn allows(token: &str, header: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(AUTHORIZATION, header.parse().unwrap());
        }
        Access::new(Some(Secret::new(token))).allows(&headers)
    }

    #[test]
    fn the_token_opens_in_both_schemes() {
        assert!(allows("hunter2", Some("Bearer hunter2")));
        assert!(allows("hunter2", Some("bearer hunter2")));
        // `anybody:hunter2`
        assert!(allows("hunter2", Some("Basic YW55Ym9keTpodW50ZXIy")));
        for wrong in [
            None,
            Some("Bearer hunter"),
            Some("Bearer "),
            Some("hunter2"),
            Some("Basic hunter2"),
            Some("Basic YQ=="),
        ] {
            assert!(!allows("hunter2", wrong), "{wrong:?}");
        }
    }

    #[test]
    fn without_a_token_anybody_may_read() {
        assert!(allows("", None) && Access::default().is_open());
    }
}
