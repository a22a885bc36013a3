//! Redirects that an annotation asks for, answered by the gateway itself.

use serde_json::{Map, Value, json};

use super::annotations::{Annotations, Redirect};
use super::overrides;
use super::path::PathType;

/// The redirect of a path: that of its Exact rule, else that of every path.
pub fn of<'a>(annotations: &'a Annotations, path_type: Option<PathType>, path: &str) -> Option<&'a Redirect> {
    let redirects = &annotations.redirect.as_ref()?.0;
    let own = redirects
        .iter()
        .find(|redirect| redirect.path.as_deref() == Some(path) && path_type == Some(PathType::Exact));
    own.or_else(|| redirects.iter().find(|redirect| redirect.path.is_none()))
}

/// Answers every request with the redirect.
///
/// # Errors
/// As with a timeout, when a version of the template cannot have extended paths.
pub fn apply(definition: &mut Map<String, Value>, redirect: &Redirect) -> Result<(), String> {
    let mocks: Vec<_> = overrides::METHODS
        .iter()
        .map(|method| {
            json!({
                "path": overrides::EVERY_PATH, "method": method, "code": redirect.code, "body": "",
                "headers": {"Location": redirect.location},
            })
        })
        .collect();
    overrides::set_extended(definition, "mock_response", &json!(mocks))
}
