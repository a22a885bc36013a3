//! One execution of the suite: a request and what has to come of it.

/// A request and the answer to expect.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub name: &'static str,
    pub method: &'static str,
    pub scheme: Scheme,
    /// Empty for the address of the status.
    pub host: &'static str,
    pub path: &'static str,
    pub expected: Expected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// 200 from the backend of this name.
    By(&'static str),
    /// 404, and no backend was asked.
    NotFound,
}

/// A GET over http.
pub const fn get(name: &'static str, host: &'static str, path: &'static str, expected: Expected) -> Row {
    Row {
        name,
        method: "GET",
        scheme: Scheme::Http,
        host,
        path,
        expected,
    }
}
