//! Pages that are written from code, or name everything that there is of something.

use std::collections::BTreeSet;

use clap::CommandFactory;
use regex::Regex;
use tyk_ingress::cli::Cli;
use tyk_ingress::diagnostic::Code;

use crate::pages::{assert_generated, text as page};

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
    assert_generated("docs/diagnostics.md", &diagnostics());
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

/// The page shows what `kubectl get tykapis` prints, which cannot be run here.
#[test]
fn the_columns_are_those_of_the_definition() {
    let definition = tyk_ingress::api::all_crds()
        .into_iter()
        .find(|crd| crd.spec.names.kind == "ApiDefinition")
        .unwrap();
    let columns = definition.spec.versions[0].additional_printer_columns.clone().unwrap();
    let shown = columns.iter().filter(|column| column.priority.unwrap_or_default() == 0);
    let expected: Vec<_> = ["NAME".to_owned()]
        .into_iter()
        .chain(shown.map(|column| column.name.to_uppercase()))
        .collect();
    let page = page("docs/ingress-status.md");
    let header = page.lines().find(|line| line.starts_with("NAME ")).unwrap();
    assert_eq!(header.split_whitespace().collect::<Vec<_>>(), expected);
}

#[test]
fn the_readme_names_each_command() {
    let readme = page("README.md");
    let commands = Cli::command();
    let names = commands.get_subcommands().map(clap::Command::get_name);
    let missing: Vec<_> = names.filter(|name| !readme.contains(&format!("| `{name}"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
