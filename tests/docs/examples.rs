//! The list of examples.

use std::path::PathBuf;

use crate::pages::{root, text};

/// Of kinds that need a Dashboard, which `validate` knows nothing of.
const OF_A_DASHBOARD: &str = "portal";

fn folders() -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(root().join("examples")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    paths
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

#[test]
fn every_example_is_listed_and_clean() {
    let list = text("examples/README.md");
    for (name, path) in folders() {
        assert!(
            list.contains(&format!("[`{name}`]({name})")),
            "{name} is not in examples/README.md"
        );
        let out = validate(&[path]);
        match name == OF_A_DASHBOARD {
            true => {
                let errors = out.lines().filter(|line| line.starts_with("error"));
                let others = errors.filter(|line| !line.starts_with("error[NeedsDashboard]"));
                assert!(others.count() == 0 && out.ends_with(", 0 warnings\n"), "{out}");
            }
            false => assert!(out.ends_with(" 0 errors, 0 warnings\n"), "{name}: {out}"),
        }
    }
}

#[test]
fn the_examples_can_be_served_together() {
    let folders = folders().into_iter().filter(|(name, _)| name != OF_A_DASHBOARD);
    let out = validate(&folders.map(|(_, path)| path).collect::<Vec<_>>());
    assert!(out.ends_with(" 0 errors, 0 warnings\n"), "{out}");
}

fn validate(paths: &[PathBuf]) -> String {
    let mut validate = std::process::Command::new(env!("CARGO_BIN_EXE_tyk-ingress"));
    let ended = validate.args(["validate", "-f"]).args(paths).output().unwrap();
    String::from_utf8(ended.stdout).unwrap()
}
