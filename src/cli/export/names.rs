//! Names of resources: made of the names on Tyk, so that the same gateway gives the same names.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Longest name; it fits into a label as well.
const NAME_MAX: usize = 63;
/// Characters of the hash that tells two objects of one name apart.
const HASH_LENGTH: usize = 8;

/// The nearest DNS label; empty when there is none.
pub fn label(text: &str) -> String {
    let mut label = String::new();
    for c in text.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => label.push(c),
            _ if label.ends_with('-') => {}
            _ => label.push('-'),
        }
    }
    cut(label.trim_matches('-'), NAME_MAX).to_owned()
}

fn cut(text: &str, length: usize) -> &str {
    text[..text.len().min(length)].trim_end_matches('-')
}

/// A name for each id. Objects that share a name all get a part of the hash of their id, so that none of them depends on
/// the order of the others; so does one whose name is `taken`.
pub fn of<'a>(
    objects: impl Iterator<Item = (&'a str, &'a str)>,
    taken: impl Fn(&str) -> bool,
) -> BTreeMap<&'a str, String> {
    let plain: BTreeMap<&str, String> = objects.map(|(id, name)| (id, plain(id, name))).collect();
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for name in plain.values() {
        *uses.entry(name).or_default() += 1;
    }
    let unique = |id: &str, name: &str| match uses.get(name) {
        Some(1) if !taken(name) => name.to_owned(),
        _ => format!("{}-{}", cut(name, NAME_MAX - HASH_LENGTH - 1), hash(id)),
    };
    plain.iter().map(|(id, name)| (*id, unique(id, name))).collect()
}

fn plain(id: &str, name: &str) -> String {
    [label(name), label(id)]
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| hash(id))
}

fn hash(id: &str) -> String {
    let mut text = HEXLOWER.encode(&Sha256::digest(id.as_bytes()));
    text.truncate(HASH_LENGTH);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_and_no_two_are_the_same() {
        let names = of(
            [
                ("1", "My API (v2)"),
                ("2", "web"),
                ("3", "WEB"),
                ("4", ""),
                ("5", "日本"),
                ("ä", ""),
            ]
            .into_iter(),
            |_| false,
        );
        assert_eq!(names["1"], "my-api-v2");
        assert!(names["2"].starts_with("web-") && names["3"].starts_with("web-") && names["2"] != names["3"]);
        assert_eq!((names["4"].as_str(), names["5"].as_str()), ("4", "5"));
        assert_eq!(names["ä"].len(), HASH_LENGTH);
        let long = "x".repeat(200);
        let names = of([("1", long.as_str()), ("2", long.as_str())].into_iter(), |_| false);
        assert!(names.values().all(|name| name.len() == NAME_MAX), "{names:?}");
    }

    #[test]
    fn a_name_does_not_depend_on_its_neighbours_unless_they_share_it() {
        let alone = of([("2", "web")].into_iter(), |_| false);
        let beside = of([("1", "other"), ("2", "web")].into_iter(), |_| false);
        assert_eq!(alone["2"], beside["2"]);
        assert!(of([("2", "web")].into_iter(), |name| name == "web")["2"].starts_with("web-"));
    }
}
