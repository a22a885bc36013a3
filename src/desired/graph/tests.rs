#![allow(clippy::unwrap_used)]

mod federation;

use serde::Deserialize;

use super::sdl;
use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    subgraphs: Vec<String>,
    merged: Option<String>,
    #[serde(default)]
    problems: Vec<String>,
    #[serde(rename = "gateway")]
    _gateway: Option<String>,
}

const NAMES: [&str; 3] = ["users", "posts", "tags"];

fn cases() -> Vec<Case> {
    serde_saphyr::from_str(include_str!("tests/merge.yaml")).unwrap()
}

fn merged(subgraphs: &[&str]) -> Result<String, Vec<String>> {
    let named: Vec<(&str, &str)> = NAMES.into_iter().zip(subgraphs.iter().copied()).collect();
    merge(&named).map_err(|problems| {
        let told = problems.into_iter().map(|problem| match problem.subgraph {
            Some(index) => format!("{}: {}", NAMES[index], problem.message),
            None => problem.message,
        });
        told.collect()
    })
}

#[test]
fn subgraphs_are_merged_as_the_table_says() {
    for case in cases() {
        let subgraphs: Vec<&str> = case.subgraphs.iter().map(String::as_str).collect();
        let expected = case.merged.ok_or(case.problems);
        assert_eq!(merged(&subgraphs), expected, "{}", case.name);
    }
}

#[test]
fn a_merged_schema_is_a_schema_that_merges_to_itself() {
    for text in cases().into_iter().filter_map(|case| case.merged) {
        assert_eq!(merged(&[&text]).as_ref(), Ok(&text));
    }
}

#[test]
fn faults_are_told_where_they_are() {
    let fault = |text: &str| {
        let faults = sdl::parse(text).map(|_| ()).unwrap_err();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        fault("# größer\ntype Query {\n  \"ä\" a: [Int\n}\n"),
        ["line 4, column 1: expected R_BRACK, got }, found \"}\""]
    );
    assert_eq!(
        fault("type A { b: }\ntype { x: Int }"),
        [
            "line 1, column 13: expected a Type, found \"}\"",
            "line 2, column 6: expected a name, found \"{\""
        ]
    );
    assert_eq!(fault("{ a }").len(), 1);
    assert!(fault("type Ü { a: Int }")[0].starts_with("line 1, column 6: "));
}

#[test]
fn a_text_of_brackets_is_refused_and_nothing_worse() {
    for open in ["type A { b: ", "type A { b(c: Int = ", "type A @b(c: "] {
        for bracket in ["[", "{a:", "{", "("] {
            let text = format!("{open}{}", bracket.repeat(20_000));
            assert!(sdl::parse(&text).is_err(), "{open}{bracket}");
        }
    }
}

#[test]
fn what_is_printed_reads_as_what_was_read() {
    let text = r#""""
Block with "quotes" and \""" three of them
    and an indented line
"""
directive @note(
  "Text."
  text: String! = "a, (b)"
) repeatable on OBJECT | FIELD_DEFINITION

type Query @note(text: "x") @note(text: """y""") {
  a(i: I = {n: -1, f: 1.5e3, l: [[1, 2], []], s: "}", e: E, none: null}): [[Int!]!]
}

input I {
  n: Int
}
"#;
    let printed = super::print::print(&sdl::parse(text).unwrap().definitions);
    assert_eq!(
        printed,
        text.replace("(\n  \"Text.\"\n  text", "(\"Text.\" text")
            .replace("\"a, (b)\"\n)", "\"a, (b)\")")
    );
    assert_eq!(super::print::print(&sdl::parse(&printed).unwrap().definitions), printed);
}
