//! Why the gateway could not serve a definition, and what of it the gateway would leave out.
//!
//! One bad definition can end the gateway's process, hide behind a successful answer (both seen on a gateway), or be
//! served with less protection than it asks for, so everything is checked before it is sent. Each rule was read in the
//! source of gateway 5.11.

mod auth;
mod endpoints;
mod events;
mod graphql;
mod listener;
mod plugins;
#[cfg(test)]
mod tests;
mod versions;

use std::fmt::Display;

use serde_json::{Map, Value};

use super::Problem;
use crate::diagnostic::Code;
use crate::expression::pattern;

/// All findings about a definition, in which names of other resources still stand.
pub fn check(definition: &Map<String, Value>) -> Vec<Problem> {
    let mut found = Findings::default();
    listener::check(definition, &mut found);
    auth::check(definition, &mut found);
    versions::check(definition, &mut found);
    endpoints::check(definition, &mut found);
    graphql::check(definition, &mut found);
    plugins::check(definition, &mut found);
    events::check(definition, &mut found);
    found.problems
}

/// What was found so far. Fields are named without `spec.`.
#[derive(Debug, Default)]
struct Findings {
    problems: Vec<Problem>,
}

impl Findings {
    /// The definition must not be sent.
    fn error(&mut self, field: impl Display, message: impl Into<String>) {
        self.add(Code::InvalidDefinition, field, message);
    }

    /// The gateway does without a part of it.
    fn ignored(&mut self, field: impl Display, message: impl Into<String>) {
        self.add(Code::SettingWithoutEffect, field, message);
    }

    /// An expression that the gateway compiles.
    fn expression(&mut self, field: impl Display, expression: &str) {
        if let Err(message) = pattern::check(expression) {
            self.error(field, message);
        }
    }

    /// A text that has to be one of `known`.
    fn one_of(&mut self, field: impl Display, text: &str, known: &[&str]) {
        if !known.contains(&text) {
            self.error(field, unknown(text, known));
        }
    }

    fn add(&mut self, code: Code, field: impl Display, message: impl Into<String>) {
        self.problems.push((code, format!("spec.{field}"), message.into()));
    }
}

fn unknown(text: &str, known: &[&str]) -> String {
    let known: Vec<_> = known.iter().copied().filter(|known| !known.is_empty()).collect();
    format!("{text:?} is none of {}", known.join(", "))
}
