//! The API server's own rules for paths, so that an offline check refuses what `kubectl apply` would refuse.
//! Source: `pkg/apis/networking/validation` of Kubernetes 1.34; each rule was tried against a real server.

use super::path::PathType;

/// Parts that may not stand in a path of type Exact or Prefix.
const FORBIDDEN: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
/// Endings that such a path may not have.
const FORBIDDEN_ENDINGS: [&str; 2] = ["/.", "/.."];

/// Checks `path` as the API server does.
///
/// # Errors
/// What is wrong with the path.
pub fn check_path(path_type: PathType, path: &str) -> Result<(), String> {
    if path_type == PathType::ImplementationSpecific {
        return match path.is_empty() || path.starts_with('/') {
            true => Ok(()),
            false => Err(format!("path {path:?} must be absolute")),
        };
    }
    if !path.starts_with('/') {
        return Err(format!("path {path:?} must be absolute"));
    }
    if let Some(part) = FORBIDDEN.iter().find(|part| path.contains(**part)) {
        return Err(format!("path {path:?} must not contain {part:?}"));
    }
    match FORBIDDEN_ENDINGS.iter().find(|ending| path.ends_with(**ending)) {
        Some(ending) => Err(format!("path {path:?} must not end with {ending:?}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_refused_as_the_api_server_refuses_them() {
        use PathType::{Exact, ImplementationSpecific, Prefix};
        for (path_type, path, accepted) in [
            (Prefix, "/a//b", false),
            (Prefix, "/a/./b", false),
            (Exact, "/a/../b", false),
            (Prefix, "/a/..", false),
            (Prefix, "/a%2Fb", false),
            (Prefix, "", false),
            (Prefix, "a", false),
            (ImplementationSpecific, "a", false),
            (Prefix, "/a%20b", true),
            (ImplementationSpecific, "", true),
            (ImplementationSpecific, "/a//b", true),
            (Prefix, "/{x}", true),
            (Prefix, "/a.b+(c)[d]$^|", true),
            (Prefix, "/é", true),
            (Prefix, "/a b", true),
            (Prefix, "/a?b", true),
        ] {
            assert_eq!(check_path(path_type, path).is_ok(), accepted, "{path_type:?} {path:?}");
        }
    }
}
