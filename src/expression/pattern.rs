//! Expressions that the gateway compiles by itself, beside those of its router: paths of endpoints, rewrites, triggers.
//!
//! One that it cannot compile becomes no expression at all: a request that meets it ends in a panic, or the part that
//! needs it is left out. Only what Go's RE2 surely refuses is refused here: the two languages differ in details, and a
//! definition that works must not be held back.

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{self, Ast, ErrorKind, visit};

use super::shared_repetition;

/// Checks an expression.
///
/// # Errors
/// Why Go refuses it.
pub fn check(expression: &str) -> Result<(), String> {
    let problem = match Parser::new().parse(expression) {
        Ok(ast) => visit(&ast, Compiles).err().map(str::to_owned),
        Err(error) if refused_by_go(&error) => Some(format!("is not valid: {}", error.kind())),
        Err(_) => None,
    };
    problem.map_or(Ok(()), |problem| Err(format!("expression {expression:?} {problem}")))
}

/// Checks the path of an endpoint, in which the gateway replaces `{name}` and `/*` before it compiles it.
///
/// # Errors
/// Why Go refuses it.
pub fn check_path(path: &str) -> Result<(), String> {
    let compiled = compiled_path(path);
    check(&compiled).map_err(|problem| match compiled == path {
        true => problem,
        false => format!("{path:?} becomes the {problem}"),
    })
}

/// What the gateway makes of the path of an endpoint (its `PreparePathRegexp`).
fn compiled_path(path: &str) -> String {
    let braces = path.matches('{').count();
    let mut compiled = String::new();
    let mut rest = path;
    if braces > 0 && braces == path.matches('}').count() {
        while let Some((before, after)) = rest.split_once('{') {
            // `{}` is no parameter.
            let Some((_, after)) = after.split_once('}').filter(|(name, _)| !name.is_empty()) else {
                break;
            };
            compiled.push_str(before);
            compiled.push_str("([^/]+)");
            rest = after;
        }
    }
    compiled.push_str(rest);
    compiled.replace("/*/", "/[^/]+/").replace("/*", "/.*")
}

fn refused_by_go(error: &ast::Error) -> bool {
    match error.kind() {
        // Go takes a brace that does not count anything as itself.
        ErrorKind::RepetitionMissing => {
            let at = error.span().start.offset;
            !error.pattern()[at..].starts_with('{')
        }
        ErrorKind::ClassUnclosed
        | ErrorKind::ClassRangeInvalid
        | ErrorKind::EscapeUnexpectedEof
        | ErrorKind::GroupUnclosed
        | ErrorKind::GroupUnopened
        | ErrorKind::GroupNameDuplicate { .. }
        | ErrorKind::UnsupportedBackreference
        | ErrorKind::UnsupportedLookAround => true,
        _ => false,
    }
}

/// Finds what this parser takes and Go's does not.
struct Compiles;

impl ast::Visitor for Compiles {
    type Output = ();
    type Err = &'static str;

    fn finish(self) -> Result<(), Self::Err> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Self::Err> {
        match ast {
            Ast::Repetition(repetition) if matches!(*repetition.ast, Ast::Repetition(_)) => {
                Err("repeats a repetition, which Go refuses")
            }
            Ast::Repetition(repetition) => shared_repetition(&repetition.op.kind),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_refuses_is_refused() {
        for bad in [
            "[a", "(a", "a)", "*a", "a**", "a{1001}", "a(?=b)", r"(a)\1", "a\\", "[z-a]",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_go_takes_is_taken() {
        for good in [
            "",
            "(a)(b)",
            "(?P<n>a)",
            "/a/{id}/b",
            "{id}",
            "a{",
            r"\Qa\E",
            "[[:alpha:]]+",
            r"\d+?",
            "}",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn paths_are_read_as_the_gateway_does() {
        for (path, compiled) in [
            ("/a/{id}/{x:[0-9]+}", "/a/([^/]+)/([^/]+)"),
            ("/a/*/b/*", "/a/[^/]+/b/.*"),
            ("/a/{}", "/a/{}"),
            ("/a{b", "/a{b"),
        ] {
            assert_eq!(compiled_path(path), compiled);
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        assert!(check_path("/a/**").is_err());
        assert!(check_path("/a(/b").is_err());
    }
}
