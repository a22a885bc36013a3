//! Route templates as `gorilla/mux` 1.8.1 compiles them: literals, and `{name}` or `{name:expression}` between them.

use regex::Regex;

/// What a template is matched against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The start of the decoded path.
    Prefix,
    /// The whole host.
    Host,
}

/// Why a template cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    /// The router reports an error: the route exists and never matches.
    #[error("{0}")]
    Invalid(String),
    /// The router panics.
    #[error("route {0} contains capture groups in its regexp")]
    CaptureGroup(String),
}

/// A compiled template.
#[derive(Clone, Debug)]
pub(super) struct Template {
    matcher: Matcher,
    kind: Kind,
    names: Vec<String>,
    ignore_port: bool,
}

#[derive(Clone, Debug)]
enum Matcher {
    /// A template without variables needs no expression; thousands of APIs would be slow to load otherwise.
    Literal(String),
    Expression(Regex),
}

impl Template {
    /// Compiles `text`.
    ///
    /// # Errors
    /// What the router refuses, and the capture groups it panics on.
    pub fn compile(text: &str, kind: Kind) -> Result<Template, TemplateError> {
        if kind == Kind::Prefix && !text.is_empty() && !text.starts_with('/') {
            return Err(TemplateError::Invalid(format!(
                "path must start with a slash, got {text:?}"
            )));
        }
        let found = variables(text)?;
        if found.is_empty() {
            let ignore_port = kind == Kind::Host && !text.contains(':');
            return Ok(Template {
                matcher: Matcher::Literal(text.to_owned()),
                kind,
                names: Vec::new(),
                ignore_port,
            });
        }
        let (pattern, names) = pattern(text, kind, &found)?;
        // The router looks for the colon in the escaped text, and its escaping leaves a colon alone.
        let ignore_port = kind == Kind::Host && !pattern.contains(':');
        let regex = compile_expression(&pattern)?;
        if regex.captures_len() - 1 != names.len() {
            return Err(TemplateError::CaptureGroup(text.to_owned()));
        }
        let matcher = Matcher::Expression(regex);
        Ok(Template {
            matcher,
            kind,
            names,
            ignore_port,
        })
    }

    /// Whether a decoded path starts with what the template describes.
    pub fn matches_path(&self, path: &str) -> bool {
        self.is_match(path)
    }

    /// Whether the template describes the whole host. A port counts only if the pattern holds a colon.
    pub fn matches_host(&self, host: &str) -> bool {
        let host = if self.ignore_port {
            host.split(':').next().unwrap_or_default()
        } else {
            host
        };
        self.is_match(host)
    }

    /// Whether both templates name the same variable, which makes the route of the later one unusable.
    pub fn shares_name(&self, other: &Template) -> bool {
        self.names.iter().any(|name| other.names.contains(name))
    }

    /// `path` without what the template matches.
    pub fn strip(&self, path: &str) -> String {
        match &self.matcher {
            Matcher::Literal(literal) => path.strip_prefix(literal.as_str()).unwrap_or(path).to_owned(),
            Matcher::Expression(regex) => regex.replace(path, "").into_owned(),
        }
    }

    fn is_match(&self, text: &str) -> bool {
        match (&self.matcher, self.kind) {
            (Matcher::Literal(literal), Kind::Prefix) => text.starts_with(literal.as_str()),
            (Matcher::Literal(literal), Kind::Host) => text == literal,
            (Matcher::Expression(regex), _) => regex.is_match(text),
        }
    }
}

impl Kind {
    fn default_expression(self) -> &'static str {
        match self {
            Kind::Prefix => "[^/]+",
            Kind::Host => "[^.]+",
        }
    }
}

fn compile_expression(pattern: &str) -> Result<Regex, TemplateError> {
    regex::RegexBuilder::new(pattern)
        .size_limit(8 << 20)
        .build()
        .map_err(|error| TemplateError::Invalid(error.to_string()))
}

/// The whole expression of a template, and the names of its variables.
fn pattern(text: &str, kind: Kind, variables: &[(usize, usize)]) -> Result<(String, Vec<String>), TemplateError> {
    let mut pattern = String::from("^");
    let mut names = Vec::new();
    let mut end = 0;
    for &(start, stop) in variables {
        let inner = &text[start + 1..stop - 1];
        let (name, expression) = inner.split_once(':').unwrap_or((inner, kind.default_expression()));
        if name.is_empty() || expression.is_empty() {
            let variable = &text[start..stop];
            return Err(TemplateError::Invalid(format!(
                "missing name or pattern in {variable:?}"
            )));
        }
        compile_expression(&format!("^{expression}$"))?;
        pattern.push_str(&regex::escape(&text[end..start]));
        pattern.push_str(&format!("(?P<v{}>{expression})", names.len()));
        names.push(name.to_owned());
        end = stop;
    }
    pattern.push_str(&regex::escape(&text[end..]));
    if kind == Kind::Host {
        pattern.push('$');
    }
    Ok((pattern, names))
}

/// Start and end of every outermost pair of braces.
fn variables(text: &str) -> Result<Vec<(usize, usize)>, TemplateError> {
    let unbalanced = || TemplateError::Invalid(format!("unbalanced braces in {text:?}"));
    let (mut level, mut start, mut found) = (0_usize, 0, Vec::new());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => {
                if level == 0 {
                    start = at;
                }
                level += 1;
            }
            b'}' => {
                level = level.checked_sub(1).ok_or_else(unbalanced)?;
                if level == 0 {
                    found.push((start, at + 1));
                }
            }
            _ => {}
        }
    }
    if level == 0 { Ok(found) } else { Err(unbalanced()) }
}

/// The length by which 5.11 sorts listen paths: segments that are one expression as a whole count nothing.
pub(super) fn listen_path_length(listen_path: &str) -> usize {
    if !listen_path.contains('{') {
        return listen_path.len();
    }
    let slashes = listen_path.matches('/').count();
    let whole = |segment: &&str| !(segment.len() > 2 && segment.starts_with('{') && segment.ends_with('}'));
    slashes + listen_path.split('/').filter(whole).map(str::len).sum::<usize>()
}

/// A decoded path without the listen path; always begins with a slash. The text of the listen path goes first, then
/// what its template matches.
pub(super) fn strip_listen_path(listen_path: &str, template: &Template, path: &[u8]) -> Vec<u8> {
    let mut stripped = match path.strip_prefix(listen_path.as_bytes()) {
        Some(rest) => rest.to_vec(),
        None => template.strip(&String::from_utf8_lossy(path)).into_bytes(),
    };
    if stripped.first() != Some(&b'/') {
        stripped.insert(0, b'/');
    }
    stripped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lengths() {
        let table = [
            ("/", 1),
            ("/foo", 4),
            ("/foo/", 5),
            ("/foo{tykp:/|$}", 14),
            ("/foo{tykexact:$}", 16),
            ("/foo{tykexact:/$}", 17),
            ("/foo/b{tykp:/|$}", 16),
            ("/{tykexact:$|/^}", 16),
            ("/{x:$}", 1),
            ("/foo/{tykexact:$}", 5),
            ("/{a}/b", 3),
            ("/{}", 3),
        ];
        for (listen_path, length) in table {
            assert_eq!(listen_path_length(listen_path), length, "{listen_path}");
        }
    }

    #[test]
    fn path_templates() {
        let table = [
            ("/foo", "/foobar", true),
            ("/foo", "/Foo", false),
            ("/foo{p:/|$}", "/foo", true),
            ("/foo{p:/|$}", "/foo/x", true),
            ("/foo{p:/|$}", "/foobar", false),
            ("/foo{e:$}", "/foo", true),
            ("/foo{e:$}", "/foo/", false),
            ("/foo{e:/$}", "/foo/", true),
            ("/foo{e:/$}", "/foo/x", false),
            ("/{e:$|/^}", "/", true),
            ("/{e:$|/^}", "/a", false),
            ("/a.b", "/axb", false),
            ("/{id}/x", "/7/x/y", true),
            ("/{id}/x", "/7/8/x", false),
            ("", "/any", true),
            ("/x{b:[0-9]{2}}", "/x42", true),
        ];
        for (template, path, matches) in table {
            assert_eq!(
                Template::compile(template, Kind::Prefix).unwrap().matches_path(path),
                matches,
                "{template} {path}"
            );
        }
    }

    #[test]
    fn host_templates() {
        let table = [
            ("a.com", "a.com", true),
            ("a.com", "a.com:8080", true),
            ("a.com", "A.com", false),
            ("a.com", "a.com.", false),
            ("a.com", "b.a.com", false),
            ("{h:[^.]+}.a.com", "b.a.com:1", true),
            ("{h}.a.com", "b.a.com:1", true),
            ("{h}.a.com", "x.y.a.com", false),
            ("{h}.a.com", "a.com", false),
            ("{h:(?i)a\\.com[.]?}", "A.CoM.", true),
            ("a.com:8080", "a.com:8080", true),
            ("a.com:8080", "a.com", false),
            ("{h:a|b}.com", "b.com", true),
        ];
        for (template, host, matches) in table {
            let compiled = Template::compile(template, Kind::Host).unwrap();
            assert_eq!(compiled.matches_host(host), matches, "{template} {host}");
        }
        assert!(
            !Template::compile("{h:(?:a|b)}.com", Kind::Host)
                .unwrap()
                .matches_host("a.com:80")
        );
    }

    #[test]
    fn refuses_what_the_router_refuses() {
        for bad in ["foo", "/a{", "/a}", "/{:x}", "/{x:}", "/{x:[}", "/{x:a}}"] {
            assert!(
                matches!(Template::compile(bad, Kind::Prefix), Err(TemplateError::Invalid(_))),
                "{bad}"
            );
        }
        assert!(matches!(
            Template::compile("/{x:(a|b)}", Kind::Prefix),
            Err(TemplateError::CaptureGroup(_))
        ));
        assert!(Template::compile("/{x:(?:a|b)}", Kind::Prefix).is_ok());
    }

    #[test]
    fn strips() {
        let table = [
            ("/foo", "/foo/bar", "/bar"),
            ("/foo", "/foobar", "/bar"),
            ("/foo/", "/foo/bar", "/bar"),
            ("/foo", "/foo", "/"),
            ("/foo{p:/|$}", "/foo/bar", "/bar"),
            ("/foo{p:/|$}", "/foo", "/"),
            ("/{x}/y", "/1/y/z", "/z"),
            ("/inner", "/pets", "/pets"),
        ];
        for (listen_path, path, rest) in table {
            let template = Template::compile(listen_path, Kind::Prefix).unwrap();
            assert_eq!(
                strip_listen_path(listen_path, &template, path.as_bytes()),
                rest.as_bytes(),
                "{listen_path} {path}"
            );
        }
    }
}
