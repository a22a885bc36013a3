//! Paths of rules, and the Tyk listen paths that match them.
//!
//! A listen path is a string prefix for the gateway, unless it ends in an expression: `{tykp:/|$}` ends an element,
//! `{tykexact:$}` ends the path. The gateway tries longer listen paths first, and does not count a segment that is
//! wholly in braces; so every segment here has something outside of its braces, and the suffix of an exact path is
//! longer than that of a prefix. Both together give "longest path first, Exact before Prefix" for any set of rules.

use percent_encoding::percent_decode_str;

/// What a path of a rule matches, percent-decoded, because the gateway matches decoded paths.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathMatch {
    /// This path only.
    Exact(String),
    /// This path and all below it, element by element; without its trailing slash, so `/` is the empty text.
    Prefix(String),
    /// A Tyk listen path as it stands: a string prefix, unless it ends in an expression.
    Verbatim(String),
}

/// `pathType` of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathType {
    /// Element by element.
    Prefix,
    /// Treated as [`PathType::Prefix`], which is what most controllers do.
    ImplementationSpecific,
    /// The whole path.
    Exact,
}

impl PathType {
    /// Reads `pathType`.
    pub fn parse(text: &str) -> Option<PathType> {
        match text {
            "Prefix" => Some(PathType::Prefix),
            "ImplementationSpecific" => Some(PathType::ImplementationSpecific),
            "Exact" => Some(PathType::Exact),
            _ => None,
        }
    }

    /// As written in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            PathType::Prefix => "Prefix",
            PathType::ImplementationSpecific => "ImplementationSpecific",
            PathType::Exact => "Exact",
        }
    }
}

impl PathMatch {
    /// Reads a path that the API server accepts. The second value is the cleaned path when the gateway would redirect
    /// the one given (`//`, dot segments), and the match is then of the cleaned path.
    ///
    /// # Errors
    /// When the decoded path is not UTF-8, which no listen path can express.
    pub fn parse(path_type: PathType, path: &str) -> Result<(PathMatch, Option<String>), String> {
        let decoded = percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| format!("path {path:?} is not UTF-8 once percent-decoded"))?
            .into_owned();
        let cleaned = clean(&decoded);
        let redirected = (cleaned != decoded && !decoded.is_empty()).then(|| cleaned.clone());
        let matched = match path_type {
            PathType::Exact => PathMatch::Exact(cleaned),
            PathType::Prefix | PathType::ImplementationSpecific => {
                PathMatch::Prefix(cleaned.trim_end_matches('/').to_owned())
            }
        };
        Ok((matched, redirected))
    }

    /// The Tyk listen path for https of every host. The gateway renames two APIs of one domain and listen path, whatever
    /// their ports; a twin on http has the same empty domain, so the names of the variables differ here.
    pub fn listen_path_for_https(&self) -> String {
        if let PathMatch::Verbatim(path) = self {
            return format!("{path}{{tykroot:|^}}");
        }
        match self.listen_path().as_str() {
            // Matches nothing more; the segment is wholly in braces, so the gateway counts it as it counts `/`.
            "/" => "/{tykroot:|^}".into(),
            path => path.replace("{tykp:", "{tyks:").replace("{tykexact:", "{tyksexac:"),
        }
    }

    /// The Tyk listen path.
    pub fn listen_path(&self) -> String {
        match self {
            PathMatch::Verbatim(path) => path.clone(),
            PathMatch::Prefix(path) if path.is_empty() => "/".into(),
            PathMatch::Prefix(path) => format!("{}{{tykp:/|$}}", template(path)),
            PathMatch::Exact(path) => match path.strip_suffix('/') {
                // `/^` matches nothing; its slash keeps the segment from being wholly in braces.
                None if needs_literal(path) => format!("{}{{tykexact:$|/^}}", template(path)),
                None => format!("{}{{tykexact:$}}", template(path)),
                Some("") => "/{tykexact:$|/^}".into(),
                Some(path) => format!("{}{{tykexact:/$}}", template(path)),
            },
        }
    }
}

/// The path that the gateway redirects to: one slash for many, dot segments resolved, a trailing slash kept.
fn clean(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    let trailing = !segments.is_empty() && path.ends_with('/');
    format!("/{}{}", segments.join("/"), if trailing { "/" } else { "" })
}

/// Characters that cannot stand in a listen path as they are: braces begin variables, a space makes the gateway skip
/// the API (seen in its source), and control characters are kept out of its file.
fn is_special(c: char) -> bool {
    matches!(c, '{' | '}' | ' ') || c.is_ascii_control()
}

fn needs_literal(path: &str) -> bool {
    path.rsplit('/')
        .next()
        .is_some_and(|segment| segment.starts_with(is_special))
}

/// The path with every special character as a variable of its own. One that ends its segment takes the following
/// slash with it, so that no segment is wholly in braces.
fn template(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 12);
    let mut chars = path.chars().peekable();
    let mut variables = 0;
    while let Some(c) = chars.next() {
        if !is_special(c) {
            out.push(c);
            continue;
        }
        let slash = if chars.next_if_eq(&'/').is_some() { "/" } else { "" };
        out.push_str(&format!("{{tykesc{variables}:\\x{:02X}{slash}}}", u32::from(c)));
        variables += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn listen_path(path_type: PathType, path: &str) -> String {
        PathMatch::parse(path_type, path).unwrap().0.listen_path()
    }

    #[test]
    fn listen_paths_are_those_measured_on_a_gateway() {
        use PathType::*;
        for (path_type, path, expected) in [
            (Prefix, "/foo", "/foo{tykp:/|$}"),
            (Prefix, "/foo/", "/foo{tykp:/|$}"),
            (ImplementationSpecific, "/foo", "/foo{tykp:/|$}"),
            (ImplementationSpecific, "", "/"),
            (Prefix, "/", "/"),
            (Exact, "/foo", "/foo{tykexact:$}"),
            (Exact, "/foo/", "/foo{tykexact:/$}"),
            (Exact, "/", "/{tykexact:$|/^}"),
            (Prefix, "/a%20b", "/a{tykesc0:\\x20}b{tykp:/|$}"),
            (Prefix, "/a b", "/a{tykesc0:\\x20}b{tykp:/|$}"),
            (Exact, "/v1/{id}", "/v1/{tykesc0:\\x7B}id{tykesc1:\\x7D}{tykexact:$|/^}"),
            (Prefix, "/{id}/x", "/{tykesc0:\\x7B}id{tykesc1:\\x7D/}x{tykp:/|$}"),
            (Exact, "/{}/", "/{tykesc0:\\x7B}{tykesc1:\\x7D}{tykexact:/$}"),
            (Prefix, "/café", "/café{tykp:/|$}"),
            (Exact, "/a%zz", "/a%zz{tykexact:$}"),
        ] {
            assert_eq!(listen_path(path_type, path), expected, "{path_type:?} {path}");
        }
    }

    #[test]
    fn a_twin_has_another_text_of_the_same_length() {
        for (path_type, path) in [
            (PathType::Prefix, "/foo"),
            (PathType::Exact, "/foo"),
            (PathType::Exact, "/"),
        ] {
            let (matched, _) = PathMatch::parse(path_type, path).unwrap();
            assert_ne!(matched.listen_path(), matched.listen_path_for_https());
            assert_eq!(matched.listen_path().len(), matched.listen_path_for_https().len());
        }
        assert_eq!(
            PathMatch::Prefix(String::new()).listen_path_for_https(),
            "/{tykroot:|^}"
        );
    }

    #[test]
    fn a_path_that_the_gateway_redirects_is_served_at_its_cleaned_form() {
        let (matched, cleaned) = PathMatch::parse(PathType::ImplementationSpecific, "/a//b/../c").unwrap();
        assert_eq!(matched, PathMatch::Prefix("/a/c".into()));
        assert_eq!(cleaned.as_deref(), Some("/a/c"));
        assert!(PathMatch::parse(PathType::Prefix, "/a%ff").is_err());
    }
}
