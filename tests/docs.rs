//! The pages that speak of code are held to it: `docs/diagnostics.md` is generated, and the tables of metrics, of
//! settings and of commands name everything that there is. `UPDATE=1 cargo test --test docs` writes the generated page.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use regex::Regex;
use tyk_ingress::cli::Cli;
use tyk_ingress::diagnostic::Code;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The page of the catalogue.
fn diagnostics() -> String {
    let mut page = String::from(
        "# Diagnostics\n\n\
         <!-- Written by `UPDATE=1 cargo test --test docs` from `src/diagnostic.rs`. -->\n\n\
         What is wrong with an object, and how to put it right. The same code is printed by `render`, `validate` and \
         `dev`, is the\nreason of an Event and of a condition, and the label `code` of the metric \
         `tyk_ingress_diagnostics`. An *error* keeps\nsomething from being served as the object asks; a *warning* does \
         not. Neither costs another object anything, unless\nthe two ask for the same thing.\n",
    );
    for code in Code::ALL {
        let (severity, summary, fix) = (code.severity().as_str(), code.summary(), code.fix());
        page.push_str(&format!("\n## {code}\n\n**{severity}.** {summary}\n\nFix: {fix}\n"));
    }
    page
}

#[test]
fn the_page_of_diagnostics_is_the_catalogue() {
    let (name, expected) = ("docs/diagnostics.md", diagnostics());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(root().join(name), &expected).unwrap();
    }
    assert!(
        page(name) == expected,
        "{name} is out of date; run UPDATE=1 cargo test --test docs"
    );
}

#[test]
fn the_page_of_metrics_names_each_metric_and_no_other() {
    let name = Regex::new("tyk_ingress_[a-z_]+").unwrap();
    let names =
        |text: &str| -> BTreeSet<String> { name.find_iter(text).map(|found| found.as_str().to_owned()).collect() };
    let (code, mut written) = (names(&page("src/metrics.rs")), names(&page("docs/metrics.md")));
    // In the examples histograms have their buckets.
    written.retain(|name| !name.ends_with("_bucket"));
    assert!(code.len() >= 9, "{code:?}");
    assert_eq!(code, written);
}

#[test]
fn the_readme_names_each_command_flag_and_variable() {
    let readme = page("README.md");
    let mut missing = Vec::new();
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        if !readme.contains(&format!("| `{name}")) {
            missing.push(name.to_owned());
        }
        for argument in command.get_arguments() {
            let flag = argument.get_long().map(|long| format!("`--{long}"));
            let variable = argument
                .get_env()
                .map(|variable| format!("`{}`", variable.to_str().unwrap()));
            missing.extend(flag.into_iter().chain(variable).filter(|text| !readme.contains(text)));
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn links_lead_to_files() {
    let link = Regex::new(r"\]\(([^)#]+)(?:#[^)]*)?\)").unwrap();
    let mut pages: Vec<PathBuf> = std::fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let others = [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "examples/README.md",
        "examples/tls/README.md",
        "e2e/README.md",
        "charts/tyk-ingress/README.md",
    ];
    pages.extend(others.map(|name| root().join(name)));
    let mut dead = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let targets = link.captures_iter(&text).map(|found| found[1].to_owned());
        let local = targets.filter(|target| !target.contains("://"));
        dead.extend(local.filter(|target| !page.parent().unwrap().join(target).exists()));
    }
    assert!(dead.is_empty(), "{dead:?}");
}

#[test]
fn every_example_is_listed_and_clean() {
    let list = page("examples/README.md");
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
