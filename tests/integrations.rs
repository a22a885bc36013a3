//! The pre-commit hook and the GitHub Action name commands and flags that there are.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use clap::CommandFactory;
use clap::Parser;
use serde_json::Value;
use tyk_ingress::cli::Cli;

fn yaml(name: &str) -> Value {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

#[test]
fn the_hook_takes_several_files() {
    let hooks = yaml(".pre-commit-hooks.yaml");
    let hook = &hooks.as_array().unwrap()[0];
    for field in ["id", "name", "entry", "language"] {
        assert!(hook[field].is_string(), "{field}");
    }
    // pre-commit adds the names of the files.
    let entry = hook["entry"].as_str().unwrap().split(' ').chain(["a.yaml", "b.yaml"]);
    Cli::try_parse_from(entry).unwrap();
}

#[test]
fn the_action_runs_the_program_with_flags_that_there_are() {
    let action = yaml("action.yml");
    assert_eq!(action["runs"]["using"], "composite");
    let steps = action["runs"]["steps"].as_array().unwrap();
    let validate = steps.last().unwrap();
    let script = validate["run"].as_str().unwrap();
    let command = script
        .lines()
        .find(|line| line.contains("/bin/tyk-ingress\" "))
        .unwrap();
    let (_, arguments) = command.split_once("/bin/tyk-ingress\" ").unwrap();
    let arguments = arguments.split_whitespace().map(|word| match word.trim_matches('"') {
        "${options[@]}" => "--strict",
        "$MANIFESTS" => ".",
        other => other,
    });
    Cli::try_parse_from(["tyk-ingress"].into_iter().chain(arguments)).unwrap();
    assert!(script.contains("options+=(--strict)"), "{script}");
    let inputs = action["inputs"].as_object().unwrap();
    let env = validate["env"].as_object().unwrap();
    for value in env.values().map(|value| value.as_str().unwrap()) {
        let input = value.trim_start_matches("${{ inputs.").trim_end_matches(" }}");
        assert!(inputs.contains_key(input), "{value}");
    }
    let install = steps[0]["run"].as_str().unwrap();
    assert!(install.contains("cargo install --locked --path"), "{install}");
    assert_eq!(Cli::command().get_name(), "tyk-ingress");
}
