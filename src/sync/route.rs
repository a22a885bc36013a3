//! Where an API is served: two APIs with the same domain and listen path are both renamed by the gateway.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Observed;
use crate::desired::Desired;

/// Domain and listen path, as texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    domain: String,
    path: String,
}

impl Route {
    fn of(definition: &Value) -> Self {
        Self {
            domain: definition["domain"].as_str().unwrap_or_default().to_owned(),
            path: listen_path(definition).to_owned(),
        }
    }
}

/// `proxy.listen_path`, empty when there is none.
pub(super) fn listen_path(definition: &Value) -> &str {
    definition["proxy"]["listen_path"].as_str().unwrap_or_default()
}

/// Whether `observed` is what the gateway makes of `path` when another API has it too.
pub(super) fn is_renamed(path: &str, id: &str, observed: &str) -> bool {
    let suffix = format!("-{id}");
    let mut rest = observed;
    while let Some(shorter) = rest.strip_suffix(suffix.as_str()) {
        rest = shorter;
        if rest == path {
            return true;
        }
    }
    false
}

/// Routes held by APIs that stay on the gateway and are not ours to move.
#[derive(Debug, Default)]
pub(super) struct Held {
    routes: BTreeMap<Route, String>,
    /// Routes as they would be if the gateway had not renamed the API.
    original: BTreeMap<Route, String>,
}

impl Held {
    /// All of `observed` but what is wanted or about to go.
    pub(super) fn new(desired: &Desired, observed: &Observed, goes: impl Fn(&str) -> bool) -> Self {
        let mut held = Self::default();
        for (id, definition) in observed {
            if desired.apis.contains_key(id) || goes(id) {
                continue;
            }
            let mut route = Route::of(definition);
            held.routes.insert(route.clone(), id.clone());
            let suffix = format!("-{id}");
            while let Some(path) = route.path.strip_suffix(suffix.as_str()) {
                route.path = path.to_owned();
            }
            held.original.insert(route, id.clone());
        }
        held
    }

    /// The API that has the route of `definition`.
    pub(super) fn rival(&self, definition: &Value) -> Option<&str> {
        self.routes.get(&Route::of(definition)).map(String::as_str)
    }

    /// The API that has or had the route of `definition`: if both were renamed, each keeps the other's name away.
    pub(super) fn rival_of_renamed(&self, definition: &Value) -> Option<&str> {
        self.original.get(&Route::of(definition)).map(String::as_str)
    }
}

/// Another API of `observed` that has the wanted route of API `id`, renamed or not.
pub(super) fn rival_in<'a>(observed: &'a Observed, id: &str, definition: &Value) -> Option<&'a str> {
    let route = Route::of(definition);
    observed
        .iter()
        .filter(|(other, _)| other.as_str() != id)
        .find(|(other, held)| {
            let held = Route::of(held);
            held.domain == route.domain && (held.path == route.path || is_renamed(&route.path, other, &held.path))
        })
        .map(|(other, _)| other.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_is_the_path_and_the_id() {
        assert!(is_renamed("/a", "1", "/a-1"));
        assert!(is_renamed("/a", "1", "/a-1-1"));
        assert!(!is_renamed("/a", "1", "/a"));
        assert!(!is_renamed("/a", "1", "/b-1"));
        assert!(!is_renamed("/a", "1", "/a-2"));
        assert!(!is_renamed("/a-1", "1", "/a-1"));
    }
}
