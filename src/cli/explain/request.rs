//! A request as it is written on a command line.

use std::fmt;

use url::Url;

/// Method and URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Such as `GET`. No route depends on it.
    pub method: String,
    /// Whether the scheme is https.
    pub secure: bool,
    /// Host as sent, without a port.
    pub host: String,
    /// Port, when the URL names one.
    pub port: Option<u16>,
    /// Path as sent, without a query.
    pub path: String,
}

impl Request {
    /// Reads `GET https://host/path` or `https://host/path`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Request, String> {
        let (method, address) = match text.trim().split_once(char::is_whitespace) {
            Some((method, address)) => (method.to_ascii_uppercase(), address.trim()),
            None => ("GET".to_owned(), text.trim()),
        };
        let wrong = || "must be a method and a URL, for example 'GET https://shop.example.com/cart'".to_owned();
        let url: Url = address.parse().map_err(|_| wrong())?;
        let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https"));
        // The path as it is written: a URL parser takes `/../` away, which a client need not do.
        let (_, rest) = address.split_once("://").ok_or_else(wrong)?;
        let path = rest.find(['/', '?', '#']).map_or("", |start| &rest[start..]);
        let path = path.split(['?', '#']).next().unwrap_or_default();
        Ok(Request {
            method,
            secure: url.scheme() == "https",
            host: host.ok_or_else(wrong)?.to_owned(),
            port: url.port(),
            path: if path.is_empty() { "/".into() } else { path.into() },
        })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{} {scheme}://{}", self.method, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_request_is_read_as_it_is_written() {
        let request = Request::parse("post https://Shop.test:8443/a/../b?x=1").unwrap();
        assert_eq!(request.to_string(), "POST https://shop.test:8443/a/../b");
        assert_eq!(
            Request::parse("http://a.test").unwrap().to_string(),
            "GET http://a.test/"
        );
        assert_eq!(Request::parse("http://a.test?x=/y").unwrap().path, "/");
        for bad in ["", "GET /a", "a.test/b", "ftp://a/b", "GET"] {
            assert!(Request::parse(bad).is_err(), "{bad:?}");
        }
    }
}
