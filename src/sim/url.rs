//! Paths and URLs as Go's `net/url` and `path` packages treat them: the gateway matches, cleans, strips and forwards by
//! these rules, and they differ from those of the `http` crate in what is kept and what is escaped.

/// A request path: decoded, and as it was sent where decoding and encoding again would not give the same text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Decoded bytes.
    pub decoded: Vec<u8>,
    /// The text as sent, or empty when it is the usual encoding of `decoded`.
    pub raw: Vec<u8>,
}

impl Path {
    /// Parses the path of a request line; `None` for a broken percent escape, which Go answers with 400.
    pub fn parse(sent: &str) -> Option<Path> {
        let decoded = unescape(sent.as_bytes())?;
        let raw = if escape(&decoded) == sent {
            Vec::new()
        } else {
            sent.as_bytes().to_vec()
        };
        Some(Path { decoded, raw })
    }

    /// The decoded path for regular expressions, with replacement characters for what is not UTF-8.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.decoded)
    }

    /// The path as it goes out: as sent if that still says the same, else the usual encoding.
    pub fn escaped(&self) -> String {
        if !self.raw.is_empty()
            && valid_encoded(&self.raw)
            && unescape(&self.raw).is_some_and(|raw| raw == self.decoded)
        {
            return String::from_utf8_lossy(&self.raw).into_owned();
        }
        escape(&self.decoded)
    }
}

/// The canonical form of a decoded path: no empty, `.` or `..` segment, a trailing slash kept.
pub(super) fn clean(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.split(|&byte| byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut cleaned = Vec::with_capacity(path.len() + 1);
    for segment in kept {
        cleaned.push(b'/');
        cleaned.extend_from_slice(segment);
    }
    if cleaned.is_empty() || path.last() == Some(&b'/') {
        cleaned.push(b'/');
    }
    cleaned
}

/// Joins the path of a target and the path of a request with one slash between them.
///
/// With `keep_slash` (Tyk's `disable_strip_slash`) an empty rest leaves the target's path as it was written.
pub(super) fn join(target: &[u8], rest: &[u8], keep_slash: bool) -> Vec<u8> {
    if keep_slash && (rest.is_empty() || rest == b"/") {
        return target.to_vec();
    }
    let end = target
        .iter()
        .rposition(|&byte| byte != b'/')
        .map_or(0, |last| last + 1);
    let start = rest
        .iter()
        .position(|&byte| byte != b'/')
        .unwrap_or(rest.len());
    let mut joined = target[..end].to_vec();
    if start < rest.len() {
        joined.push(b'/');
        joined.extend_from_slice(&rest[start..]);
    }
    joined
}

/// Percent-decodes; `None` if an escape is not two hexadecimal digits.
pub(super) fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = hex(*bytes.next()?)?;
        let low = hex(*bytes.next()?)?;
        decoded.push(high << 4 | low);
    }
    Some(decoded)
}

/// Percent-encodes a path as Go does.
pub(super) fn escape(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for &byte in path {
        if needs_escape(byte) {
            text.push('%');
            for digit in [byte >> 4, byte & 15] {
                text.push(
                    char::from_digit(u32::from(digit), 16)
                        .unwrap_or('0')
                        .to_ascii_uppercase(),
                );
            }
        } else {
            text.push(char::from(byte));
        }
    }
    text
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

fn needs_escape(byte: u8) -> bool {
    !(byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte))
}

fn valid_encoded(raw: &[u8]) -> bool {
    raw.iter()
        .all(|&byte| b"!$&'()*+,;=:@[]%".contains(&byte) || !needs_escape(byte))
}

/// The parts of an upstream address that matter for forwarding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// Lower case, empty if there is none.
    pub scheme: String,
    /// Host with its port, if it has one.
    pub host: String,
    /// Decoded.
    pub path: Vec<u8>,
    /// Without the question mark.
    pub query: String,
}

impl Target {
    /// Parses a target URL; `None` where Go's `url.Parse` fails, which makes the gateway skip the API.
    pub fn parse(text: &str) -> Option<Target> {
        if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            return None;
        }
        let text = text.split('#').next().unwrap_or_default();
        let (text, query) = text.split_once('?').unwrap_or((text, ""));
        let (scheme, rest) = split_scheme(text)?;
        let (host, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.find('/').map_or((rest, ""), |at| rest.split_at(at)),
            None if scheme.is_empty()
                && rest
                    .split('/')
                    .next()
                    .is_some_and(|first| first.contains(':')) =>
            {
                return None;
            }
            None => ("", rest),
        };
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        if host.contains([' ', '<', '>', '"', '{', '}']) || !valid_port(host) {
            return None;
        }
        Some(Target {
            scheme: scheme.to_ascii_lowercase(),
            host: host.to_owned(),
            path: unescape(path.as_bytes())?,
            query: query.to_owned(),
        })
    }
}

fn split_scheme(text: &str) -> Option<(&str, &str)> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at > 0 => return Some((&text[..at], &text[at + 1..])),
            b':' => return None,
            _ => break,
        }
    }
    Some(("", text))
}

fn valid_port(host: &str) -> bool {
    let after_address = host.rsplit_once(']').map_or(host, |(_, after)| after);
    match after_address.split_once(':') {
        Some((_, port)) => port.bytes().all(|byte| byte.is_ascii_digit()),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cleans_as_the_router_does() {
        let table = [
            ("/", "/"),
            ("", "/"),
            ("/a", "/a"),
            ("/a/", "/a/"),
            ("//a", "/a"),
            ("/a//b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/../a", "/a"),
            ("/a/..", "/"),
            ("/a/.", "/a"),
            ("/a/b/../", "/a/"),
            ("/..", "/"),
            ("/a//", "/a/"),
        ];
        for (path, cleaned) in table {
            assert_eq!(
                String::from_utf8(clean(path.as_bytes())).unwrap(),
                cleaned,
                "{path}"
            );
        }
    }

    #[test]
    fn joins_with_one_slash() {
        let table = [
            ("", "/", false, ""),
            ("", "/a", false, "/a"),
            ("/base/", "/a/", false, "/base/a/"),
            ("/base/", "/", false, "/base"),
            ("/base/", "/", true, "/base/"),
            ("/base", "//a", true, "/base/a"),
            ("/", "", true, "/"),
        ];
        for (target, rest, keep, joined) in table {
            assert_eq!(
                String::from_utf8(join(target.as_bytes(), rest.as_bytes(), keep)).unwrap(),
                joined,
                "{target} {rest}"
            );
        }
    }

    #[test]
    fn keeps_an_unusual_encoding() {
        let path = Path::parse("/a%2Fb").unwrap();
        assert_eq!(path.decoded, b"/a/b");
        assert_eq!(path.escaped(), "/a%2Fb");
        assert_eq!(Path::parse("/a%20b").unwrap().raw, b"");
        assert_eq!(Path::parse("/%7Bx|y").unwrap().escaped(), "/%7Bx%7Cy");
        assert_eq!(Path::parse("/%zz"), None);
    }

    #[test]
    fn parses_targets() {
        let target = Target::parse("HTTP://user@up:80/a%20b?x=1#y").unwrap();
        assert_eq!(
            (
                target.scheme.as_str(),
                target.host.as_str(),
                target.query.as_str()
            ),
            ("http", "up:80", "x=1")
        );
        assert_eq!(target.path, b"/a b");
        assert_eq!(Target::parse("tyk://other/x").unwrap().host, "other");
        for bad in [
            "127.0.0.1:80",
            "http://a b/",
            "http://a:port/",
            "http://a/%zz",
            ":x",
            "http://a\n",
        ] {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
    }
}
