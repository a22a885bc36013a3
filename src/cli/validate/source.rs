//! Where a field of an object stands in its file.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::cli::input::Text;
use crate::diagnostic::{Diagnostic, ObjectRef};
use crate::snapshot::Location;

/// Files with the positions in them.
pub struct Sources<'a> {
    files: BTreeMap<&'a str, (&'a str, Vec<Spanned<Node>>)>,
    locations: &'a BTreeMap<ObjectRef, Location>,
}

/// A place in a file.
pub struct Place<'a> {
    /// Path as the user gave it.
    pub file: &'a str,
    /// Line, from 1.
    pub line: u64,
    /// Column of the field, from 1; `None` when only the object was found.
    pub column: Option<u64>,
    /// What is shown of the line: all of it where the object can hold no secret, else only the field's name.
    pub text: String,
}

/// A document without its values.
enum Node {
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
    List(Vec<Spanned<Node>>),
    Leaf,
}

impl<'a> Sources<'a> {
    /// Reads the positions of all texts. A text that cannot be read in this way has none.
    pub fn of(texts: &'a [Text], locations: &'a BTreeMap<ObjectRef, Location>) -> Self {
        let documents = |text: &str| {
            let options = serde_saphyr::options! { budget: None, with_snippet: false };
            serde_saphyr::from_multiple_with_options(text, options).unwrap_or_default()
        };
        let file = |text: &'a Text| (text.file.as_str(), (text.text.as_str(), documents(&text.text)));
        Self {
            files: texts.iter().map(file).collect(),
            locations,
        }
    }

    /// Where a finding is.
    pub fn place(&self, diagnostic: &Diagnostic) -> Option<Place<'a>> {
        let location = self.locations.get(&diagnostic.object)?;
        let (file, (text, documents)) = self.files.get_key_value(location.file.as_str())?;
        let whole = matches!(diagnostic.object.kind, "Ingress" | "IngressClass" | "Service");
        let at_line = |line: u64, column: Option<u64>| {
            let index = usize::try_from(line).unwrap_or(1).saturating_sub(1);
            let text = text.lines().nth(index).unwrap_or_default();
            Place {
                file,
                line,
                column,
                text: match whole {
                    true => text.to_owned(),
                    false => without_values(text, column),
                },
            }
        };
        // The objects of a list share one document, whose fields are not theirs.
        let own = |node: &&Spanned<Node>| node.referenced.line() == location.line && !is_list(&node.value);
        let found = documents
            .iter()
            .find(own)
            .and_then(|node| nearest(&node.value, &diagnostic.field));
        Some(match found {
            Some((line, column)) => at_line(line, Some(column)),
            None => at_line(location.line, None),
        })
    }
}

/// The field at this column, or at the first one, without its value and without the fields beside it: any field of a
/// custom resource can hold a secret.
fn without_values(text: &str, column: Option<u64>) -> String {
    let start = match column {
        Some(column) => usize::try_from(column).unwrap_or(1).saturating_sub(1),
        None => text.chars().take_while(|c| matches!(c, ' ' | '-')).count(),
    };
    let mut shown: String = text
        .chars()
        .take(start)
        .map(|c| if matches!(c, ' ' | '-') { c } else { ' ' })
        .collect();
    let rest: String = text.chars().skip(start).collect();
    match rest.split_once(':') {
        // A value may have a colon, too, but a name has neither spaces nor brackets.
        Some((name, value)) if !name.contains([' ', '{', '[', ',']) && value.starts_with(' ') => {
            shown += name;
            shown += ": …";
        }
        Some((name, "")) if !name.contains([' ', '{', '[', ',']) => {
            shown += name;
            shown += ":";
        }
        _ => shown += "…",
    }
    shown
}

fn is_list(node: &Node) -> bool {
    matches!(node, Node::Map(fields) if fields.iter().any(|(key, _)| key.value == "items"))
}

/// Line and column of the deepest part of a path that is there; `None` when nothing of it is.
fn nearest(node: &Node, path: &str) -> Option<(u64, u64)> {
    match node {
        Node::Map(fields) => fields.iter().find_map(|(key, value)| {
            let rest = step(path, &key.value)?;
            let here = (key.referenced.line(), key.referenced.column());
            Some(nearest(&value.value, rest).unwrap_or(here))
        }),
        Node::List(items) => {
            let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
            let item = items.get(index.parse::<usize>().ok()?)?;
            Some(nearest(&item.value, rest).unwrap_or((item.referenced.line(), item.referenced.column())))
        }
        Node::Leaf => None,
    }
}

/// What is left of a path behind a key, which may stand behind a dot or in brackets.
fn step<'a>(path: &'a str, key: &str) -> Option<&'a str> {
    if let Some(inner) = path.strip_prefix('[') {
        return inner.strip_prefix(key)?.strip_prefix(']');
    }
    let rest = path.strip_prefix('.').unwrap_or(path).strip_prefix(key)?;
    (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

macro_rules! leaves {
    ($($visit:ident $of:ty;)*) => { $(fn $visit<E>(self, _: $of) -> Result<Node, E> { Ok(Node::Leaf) })* };
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    leaves! { visit_bool bool; visit_i64 i64; visit_i128 i128; visit_u64 u64; visit_u128 u128; visit_f64 f64; visit_str &str; visit_bytes &[u8]; }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Map(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn no_value_is_shown() {
        for (text, column, shown) in [
            ("  use_keyless: secret", Some(3), "  use_keyless: …"),
            ("  - {auth: secret, mode: x}", Some(20), "  -                mode: …"),
            ("  - {auth: secret, mode: x}", Some(5), "  - …"),
            ("    - secret", Some(7), "    - …"),
            ("kind: ApiDefinition", None, "kind: …"),
            ("spec:", Some(1), "spec:"),
            ("  \"a:b\": secret", Some(3), "  …"),
            ("", Some(9), "…"),
        ] {
            assert_eq!(without_values(text, column), shown, "{text}");
        }
    }

    #[test]
    fn a_field_is_found_by_its_path_or_by_what_is_around_it() {
        let text = "kind: A\nmetadata:\n  annotations:\n    tyk.io/x: 1\nspec:\n  list:\n    - {name: a, b.c: 1}\n    - name: b\n";
        let node: Spanned<Node> = serde_saphyr::from_str(text).unwrap();
        for (path, place) in [
            ("spec.list[1].name", (8, 7)),
            ("spec.list[0].b.c", (7, 17)),
            ("spec.list[0].missing", (7, 7)),
            ("metadata.annotations[tyk.io/x]", (4, 5)),
            ("spec.other", (5, 1)),
        ] {
            assert_eq!(nearest(&node.value, path), Some(place), "{path}");
        }
        assert_eq!(nearest(&node.value, "status.x"), None);
    }
}
