//! Why the gateway could not serve a document. What it refuses by itself with a clear message is left to it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::route;
use crate::diagnostic::Code;
use crate::expression;
use crate::snapshot::document::{EXTENSION, Problem, works_by_operation};

/// The parts without which nothing else can be said.
pub(super) fn shape(document: &Map<String, Value>, field: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut missing = |path: &str, what: &str| {
        let message = format!("the document has no {what} `{path}`");
        problems.push((Code::InvalidDocument, field.to_owned(), message));
    };
    if !document.get("openapi").is_some_and(Value::is_string) {
        missing("openapi", "text");
    }
    for part in ["info", "paths", EXTENSION] {
        if !document.get(part).is_some_and(Value::is_object) {
            missing(part, "object");
        }
    }
    if let Some(extension @ Value::Object(_)) = document.get(EXTENSION) {
        if !extension["upstream"].is_object() {
            missing("x-tyk-api-gateway.upstream", "object");
        }
        if !extension["server"]["listenPath"]["value"].is_string() {
            missing("x-tyk-api-gateway.server.listenPath.value", "text");
        }
    }
    problems
}

/// Listen path and domain: those that end the gateway's process or that it refuses, and those that switch parts off.
pub(super) fn routing(document: &Map<String, Value>, field: &str) -> Vec<Problem> {
    let document = Value::Object(document.clone());
    let (domain, path) = route(&document);
    let mut problems = Vec::new();
    let mut report = |what: &str, message: String| {
        let message = format!("{what}: {message}");
        problems.push((Code::InvalidDefinition, field.to_owned(), message));
    };
    if let Err(message) = expression::check_listen_path(path) {
        report("listenPath", message);
    }
    if let Err(message) = expression::check_domain(domain) {
        report("customDomain", message);
    }
    if problems.is_empty()
        && let Err(message) = server_variables(domain, path)
    {
        problems.push((Code::InvalidDefinition, field.to_owned(), message));
    }
    if loses_operations(&document) {
        let message = format!("listen path {path:?} has an expression, with which the gateway skips them");
        problems.push((Code::OperationsSkipped, field.to_owned(), message));
    }
    problems
}

/// The gateway makes `servers` of domain and listen path, and has rules of its own for their variables (seen on 5.11).
fn server_variables(domain: &str, path: &str) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for (name, expression) in expression::variables_of(domain).chain(expression::variables_of(path)) {
        let mut characters = name.chars();
        let identifier = characters.next().is_some_and(|first| first.is_ascii_alphabetic())
            && characters.all(|other| other.is_ascii_alphanumeric() || other == '_');
        if !identifier {
            return Err(format!(
                "variable {name:?} has to be a letter followed by letters, digits and `_`"
            ));
        }
        if !names.insert(name) {
            return Err(format!("variable {name:?} is named twice in domain and listen path"));
        }
        if expression.contains('}') {
            return Err(format!("the expression of variable {name:?} must not contain a brace"));
        }
    }
    Ok(())
}

/// Whether the gateway silently skips such operations, because it cannot find them below this listen path.
fn loses_operations(document: &Value) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._*+-/".contains(c);
    let (_, path) = route(document);
    let expressions = expression::variables_of(path).any(|(_, expression)| !expression.chars().all(plain));
    expressions && works_by_operation(document.get(EXTENSION))
}
