//! Where an API is served: two APIs with the same domain and listen path are both renamed by the gateway.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Loaded, Observed, form};

/// Domain and listen path in one text, as the gateway compares them.
fn route(domain: &str, path: &str) -> String {
    format!("{domain}{path}")
}

/// Domain and listen path of a definition in one text.
pub(super) fn of(definition: &Value) -> String {
    let (domain, path) = form::route(definition);
    route(domain, path)
}

/// The same of a loaded one.
pub(super) fn of_loaded(loaded: &Loaded) -> String {
    let (domain, path) = loaded.route();
    route(domain, path)
}

/// The listen path, empty when there is none.
pub(super) fn listen_path(definition: &Value) -> &str {
    form::route(definition).1
}

/// What is left of the listen path `observed` of API `id` without what the gateway adds to it when another API has it too.
fn without_rename<'a>(observed: &'a str, id: &str) -> Option<&'a str> {
    let mut rest = observed;
    loop {
        if let Some(path) = rest.strip_suffix(id).and_then(|path| path.strip_suffix('-')) {
            return Some(path);
        }
        rest = rest.strip_suffix('_')?;
    }
}

/// Whether `observed` is what the gateway makes of `path` when another API has it too.
pub(super) fn is_renamed(path: &str, id: &str, observed: &str) -> bool {
    observed != path && without_rename(observed, id) == Some(path)
}

/// The route that a loaded definition has, and that which it would have if the gateway had not renamed it.
pub(super) fn held_by(id: &str, loaded: &Loaded) -> [String; 2] {
    let (domain, path) = loaded.route();
    let original = without_rename(path, id).unwrap_or(path);
    [path, original].map(|path| route(domain, path))
}

/// Routes held by APIs that stay on the gateway as they are.
#[derive(Debug, Default)]
pub(super) struct Held {
    routes: BTreeMap<String, String>,
    /// Routes as they would be if the gateway had not renamed the API.
    original: BTreeMap<String, String>,
}

impl Held {
    /// Of all of `observed` that `stays`.
    pub(super) fn new(observed: &Observed, stays: impl Fn(&str) -> bool) -> Self {
        let mut held = Self::default();
        let stays = |(id, loaded): &(&String, &Loaded)| stays(id) && form::is_served(loaded.value());
        for (id, loaded) in observed.iter().filter(stays) {
            let [now, original] = held_by(id, loaded);
            held.routes.insert(now, id.clone());
            held.original.insert(original, id.clone());
        }
        held
    }

    /// The API that has this route, which is [`of`] a definition.
    pub(super) fn rival(&self, route: &str) -> Option<&str> {
        self.routes.get(route).map(String::as_str)
    }

    /// The API that has this route, or had it until it was renamed as well: as long as both are there, they are renamed
    /// again at the next start of the gateway.
    pub(super) fn rival_of_renamed(&self, route: &str) -> Option<&str> {
        self.original
            .get(route)
            .or_else(|| self.routes.get(route))
            .map(String::as_str)
    }
}

/// Another API of `observed` that has the wanted route of API `id`, renamed or not.
pub(super) fn rival_in<'a>(observed: &'a Observed, id: &str, definition: &Value) -> Option<&'a str> {
    let wanted = of(definition);
    let has = |other: &str, held: &Loaded| held_by(other, held).contains(&wanted);
    observed
        .iter()
        .find(|(other, held)| *other != id && has(other, held))
        .map(|(other, _)| other.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_is_the_path_and_the_id() {
        assert!(is_renamed("/a", "1", "/a-1"));
        assert!(is_renamed("/a", "1", "/a-1__"));
        assert!(is_renamed("/a", "1_", "/a-1_"));
        assert!(is_renamed("/a", "1_", "/a-1__"));
        assert!(!is_renamed("/a", "1", "/a"));
        assert!(!is_renamed("/a", "1", "/b-1"));
        assert!(!is_renamed("/a", "1", "/a-2"));
        assert!(!is_renamed("/a-1", "1", "/a-1"));
    }
}
