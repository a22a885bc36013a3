//! Which fields of a record are ours, and how they are put over those that are not.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What a record is of; it says inside which of its objects single fields have different owners. Every other field is
/// replaced as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A classic definition.
    Classic,
    /// An OAS document with its `x-tyk-api-gateway`.
    Document,
    /// Policies, and objects of the portal.
    Flat,
}

impl Record {
    /// JSON pointers of the objects whose fields are told apart.
    fn shared(self) -> &'static [&'static str] {
        match self {
            Record::Classic => &["", "/config_data"],
            Record::Document => &[
                "",
                "/x-tyk-api-gateway",
                "/x-tyk-api-gateway/info",
                "/x-tyk-api-gateway/middleware",
                "/x-tyk-api-gateway/middleware/global",
                "/x-tyk-api-gateway/middleware/global/pluginConfig",
                "/x-tyk-api-gateway/middleware/global/pluginConfig/data",
                "/x-tyk-api-gateway/middleware/global/pluginConfig/data/value",
            ],
            Record::Flat => &[""],
        }
    }
}

/// JSON pointers of the fields that `wanted` names, and so manages. A later write that is given them as `before` takes
/// away those of them that are not wanted any more.
pub fn managed(kind: Record, wanted: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(kind, "", wanted, &mut found);
    found
}

fn collect(kind: Record, at: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if kind.shared().contains(&at) => {
            for (name, value) in fields {
                collect(kind, &below(at, name), value, found);
            }
        }
        _ => drop(found.insert(at.to_owned())),
    }
}

/// `held` with the fields of `wanted`, and without those of `before` that are not in `wanted`.
pub(super) fn over(kind: Record, held: &Value, wanted: &Value, before: &BTreeSet<String>) -> Value {
    merge(kind, "", held, wanted, before)
}

fn merge(kind: Record, at: &str, held: &Value, wanted: &Value, before: &BTreeSet<String>) -> Value {
    let (Value::Object(held), Value::Object(wanted), true) = (held, wanted, kind.shared().contains(&at)) else {
        return wanted.clone();
    };
    let mut merged = Map::new();
    for (name, held) in held {
        let at = below(at, name);
        if let Some(wanted) = wanted.get(name) {
            merged.insert(name.clone(), merge(kind, &at, held, wanted, before));
        } else if held.is_object() && kind.shared().contains(&at.as_str()) {
            merged.insert(name.clone(), merge(kind, &at, held, &Value::Object(Map::new()), before));
        } else if !before.contains(&at) {
            merged.insert(name.clone(), held.clone());
        }
    }
    for (name, wanted) in wanted {
        merged.entry(name.clone()).or_insert_with(|| wanted.clone());
    }
    Value::Object(merged)
}

fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_that_nobody_named_stay() {
        let held = json!({"id": "db", "slug": "s", "name": "old", "proxy": {"listen_path": "/old", "x": 1}, "config_data": {"theirs": 1, "ours": 1}});
        let wanted = json!({"name": "new", "proxy": {"listen_path": "/new"}, "config_data": {"ours": 2}});
        let expected = json!({"id": "db", "slug": "s", "name": "new", "proxy": {"listen_path": "/new"}, "config_data": {"theirs": 1, "ours": 2}});
        assert_eq!(over(Record::Classic, &held, &wanted, &BTreeSet::new()), expected);
    }

    #[test]
    fn fields_that_were_ours_go_when_they_are_not_wanted() {
        let first = json!({"name": "n", "tags": ["a"], "config_data": {"ours": 1}});
        let before = managed(Record::Classic, &first);
        assert_eq!(
            before.iter().collect::<Vec<_>>(),
            ["/config_data/ours", "/name", "/tags"]
        );
        let held = json!({"name": "n", "tags": ["a"], "domain": "d", "config_data": {"ours": 1, "theirs": 1}});
        let merged = over(Record::Classic, &held, &json!({"name": "n"}), &before);
        assert_eq!(
            merged,
            json!({"name": "n", "domain": "d", "config_data": {"theirs": 1}})
        );
    }

    #[test]
    fn a_document_keeps_the_ids_of_the_database() {
        let held = json!({"x-tyk-api-gateway": {"info": {"id": "a", "dbId": "db", "orgId": "o"}, "server": {"x": 1}}});
        let wanted = json!({"x-tyk-api-gateway": {"info": {"id": "a"}, "server": {"y": 1}}});
        let merged = over(Record::Document, &held, &wanted, &BTreeSet::new());
        let expected =
            json!({"x-tyk-api-gateway": {"info": {"id": "a", "dbId": "db", "orgId": "o"}, "server": {"y": 1}}});
        assert_eq!(merged, expected);
    }
}
