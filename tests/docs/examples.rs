//! The list of examples.

use std::path::Path;

use crate::pages::{root, text};

#[test]
fn every_example_is_listed_and_clean() {
    let list = text("examples/README.md");
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            assert!(
                list.contains(&format!("[`{name}`]({name})")),
                "{name} is not in examples/README.md"
            );
            assert_clean(&path);
        }
    }
}

#[test]
fn the_examples_can_be_served_together() {
    assert_clean(&root().join("examples"));
}

fn assert_clean(path: &Path) {
    let mut validate = std::process::Command::new(env!("CARGO_BIN_EXE_tyk-ingress"));
    let ended = validate.args(["validate", "-f"]).arg(path).output().unwrap();
    let out = String::from_utf8(ended.stdout).unwrap();
    assert!(
        ended.status.success() && out.ends_with("0 errors, 0 warnings\n"),
        "{}: {out}",
        path.display()
    );
}
