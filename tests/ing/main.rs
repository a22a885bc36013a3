//! Defects of Tyk Operator's Ingress controller, `ING-1` to `ING-22`, each held against this one: what can be seen
//! without a cluster is here, the rest in `e2e/tests/ing`. A test's first sentence tells what Tyk Operator does.

#![allow(clippy::unwrap_used)]

mod backends;
mod listeners;
mod names;
mod rules;
mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Every defect has one test, here or in the end-to-end tests.
#[test]
fn each_defect_has_one_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for folder in ["tests/ing", "e2e/tests/ing"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            for (number, name) in tests_in(&text) {
                found.entry(number).or_default().push(name);
            }
        }
    }
    let twice: Vec<_> = found.values().filter(|names| names.len() != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(found.into_keys().collect::<Vec<_>>(), (1..=22).collect::<Vec<_>>());
}

/// Functions of the form `ing_07_…` that a test attribute stands before.
fn tests_in(text: &str) -> impl Iterator<Item = (u32, String)> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let tests: Vec<_> = lines
        .windows(2)
        .filter(|lines| lines[0] == "#[test]" || lines[0].starts_with("#[tokio::test"))
        .filter_map(|lines| {
            let (_, name) = lines[1].split_once("fn ")?;
            let (name, _) = name.split_once('(')?;
            let (number, _) = name.strip_prefix("ing_")?.split_once('_')?;
            Some((number.parse().ok()?, name.to_owned()))
        })
        .collect();
    tests.into_iter()
}
