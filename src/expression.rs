//! What the gateway's router (gorilla/mux 1.8) accepts as a listen path and as a domain.
//!
//! Both are templates: literal text with variables `{name}` or `{name:expression}`. A capture group in a listen path is
//! taken by the API and ends the gateway's process at the next reload, and again at each start (seen on a gateway), so
//! expressions are read here with a parser, and what Go's RE2 and this one do not share is refused.

pub mod pattern;

use std::collections::BTreeSet;

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{self, Ast, visit};

/// Largest repetition that Go's parser takes.
const MAX_REPEAT: u32 = 1000;

/// Checks `proxy.listen_path`.
///
/// # Errors
/// What is wrong with it.
pub fn check_listen_path(listen_path: &str) -> Result<(), String> {
    if listen_path.is_empty() {
        return Err("the listen path is empty".into());
    }
    if !listen_path.starts_with('/') {
        return Err(format!("{listen_path:?} does not start with `/`"));
    }
    if listen_path.contains(' ') {
        return Err(format!(
            "{listen_path:?} contains a space, so the gateway would skip the API; write `{{space:\\x20}}`"
        ));
    }
    check_template(listen_path)
}

/// Checks `domain`; an empty one stands for every host.
///
/// # Errors
/// What is wrong with it.
pub fn check_domain(domain: &str) -> Result<(), String> {
    if domain.contains([' ', '/']) {
        return Err(format!("{domain:?} contains a space or a slash"));
    }
    check_template(domain)
}

/// Names and expressions (empty for none) of the variables of a template that passed its check.
pub(super) fn variables_of(template: &str) -> impl Iterator<Item = (&str, &str)> {
    let variables = variables(template).unwrap_or_default().into_iter();
    variables.map(|variable| variable.split_once(':').unwrap_or((variable, "")))
}

fn check_template(template: &str) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for variable in variables(template)? {
        let (name, expression) = match variable.split_once(':') {
            Some((_, "")) => return Err(format!("variable {{{variable}}} has an empty expression")),
            Some((name, expression)) => (name, Some(expression)),
            None => (variable, None),
        };
        if name.is_empty() {
            return Err(format!("variable {{{variable}}} has no name"));
        }
        if !names.insert(name) {
            return Err(format!("variable {name:?} is named twice"));
        }
        if let Some(expression) = expression {
            check_expression(expression)?;
        }
    }
    Ok(())
}

/// The inner texts of the outermost braces.
fn variables(template: &str) -> Result<Vec<&str>, String> {
    let (mut depth, mut start, mut found) = (0_u32, 0, Vec::new());
    for (index, c) in template.char_indices() {
        match c {
            '{' => {
                depth += 1;
                if depth == 1 {
                    start = index + 1;
                }
            }
            '}' if depth == 0 => return Err(format!("{template:?} has an unbalanced brace")),
            '}' => {
                depth -= 1;
                if depth == 0 {
                    found.push(&template[start..index]);
                }
            }
            _ => {}
        }
    }
    if depth == 0 {
        Ok(found)
    } else {
        Err(format!("{template:?} has an unbalanced brace"))
    }
}

fn check_expression(expression: &str) -> Result<(), String> {
    let ast = Parser::new()
        .parse(expression)
        .map_err(|e| format!("expression {expression:?} is not valid: {}", e.kind()))?;
    visit(&ast, Shared).map_err(|problem| format!("expression {expression:?} {problem}"))
}

/// Refuses what the gateway must not get, and what only one of the two regular expression languages knows.
struct Shared;

impl ast::Visitor for Shared {
    type Output = ();
    type Err = &'static str;

    fn finish(self) -> Result<(), Self::Err> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Self::Err> {
        match ast {
            Ast::Group(group) if group.is_capturing() => Err("has a capture group; write `(?:…)`"),
            Ast::Group(group) => group.flags().map_or(Ok(()), shared_flags),
            Ast::Flags(flags) => shared_flags(&flags.flags),
            Ast::Repetition(repetition) if matches!(*repetition.ast, Ast::Repetition(_)) => {
                Err("repeats a repetition, which Go refuses")
            }
            Ast::Repetition(repetition) => shared_repetition(&repetition.op.kind),
            Ast::Literal(literal) => shared_literal(literal),
            Ast::Assertion(assertion) => match assertion.kind {
                ast::AssertionKind::StartLine
                | ast::AssertionKind::EndLine
                | ast::AssertionKind::StartText
                | ast::AssertionKind::EndText
                | ast::AssertionKind::WordBoundary
                | ast::AssertionKind::NotWordBoundary => Ok(()),
                _ => Err("has a word boundary that Go does not know"),
            },
            _ => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), Self::Err> {
        match item {
            ast::ClassSetItem::Bracketed(_) => Err("has a class within a class, which Go reads otherwise"),
            ast::ClassSetItem::Literal(literal) => shared_literal(literal),
            ast::ClassSetItem::Range(range) => shared_literal(&range.start).and_then(|()| shared_literal(&range.end)),
            _ => Ok(()),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ast::ClassSetBinaryOp) -> Result<(), Self::Err> {
        Err("has a class operator, which Go reads otherwise")
    }
}

fn shared_flags(flags: &ast::Flags) -> Result<(), &'static str> {
    let shared = flags.items.iter().all(|item| match item.kind {
        ast::FlagsItemKind::Negation => true,
        ast::FlagsItemKind::Flag(flag) => matches!(
            flag,
            ast::Flag::CaseInsensitive | ast::Flag::MultiLine | ast::Flag::DotMatchesNewLine | ast::Flag::SwapGreed
        ),
    });
    if shared {
        Ok(())
    } else {
        Err("has a flag that Go does not know")
    }
}

fn shared_repetition(kind: &ast::RepetitionKind) -> Result<(), &'static str> {
    let most = match kind {
        ast::RepetitionKind::Range(
            ast::RepetitionRange::Exactly(n) | ast::RepetitionRange::AtLeast(n) | ast::RepetitionRange::Bounded(_, n),
        ) => *n,
        _ => 0,
    };
    if most <= MAX_REPEAT {
        Ok(())
    } else {
        Err("repeats more than 1000 times, which Go refuses")
    }
}

fn shared_literal(literal: &ast::Literal) -> Result<(), &'static str> {
    match &literal.kind {
        ast::LiteralKind::HexFixed(kind) | ast::LiteralKind::HexBrace(kind) if *kind != ast::HexLiteralKind::X => {
            Err("has an escape that Go does not know; write `\\x{…}`")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_or_misleads_the_gateway_is_refused() {
        for bad in [
            "",
            "foo",
            "/a b",
            "/foo{x",
            "/foo}",
            "/foo{}",
            "/foo{:a}",
            "/foo{x:}",
            "/foo{x:(a|b)}",
            "/foo{x:(?P<n>a)}",
            "/foo{x:[a}",
            "/foo{x:a**}",
            "/{a}/{a}",
            "/foo{x:a{1001}}",
            "/foo{x:\\u0041}",
            "/foo{x:(?x)a}",
            "/foo{x:[a&&b]}",
        ] {
            assert!(check_listen_path(bad).is_err(), "{bad}");
        }
        assert!(check_domain("{x:(a|b)}.com").is_err());
        assert!(check_domain("{?:[^.]+}.foo.com").is_ok(), "Tyk Operator's own wildcard");
    }

    #[test]
    fn what_the_engine_writes_is_accepted() {
        for good in [
            "/",
            "/foo{tykp:/|$}",
            "/{tykexact:$|/^}",
            "/a{tykesc0:\\x20}b{tykexact:$}",
            "/{id}",
            "/{id:[0-9]{1,3}}/x",
            "/a.b",
            "/foo{x:(?:a|b)}",
            "/café",
        ] {
            assert_eq!(check_listen_path(good), Ok(()), "{good}");
        }
        for good in [
            "",
            "a.com",
            r"{tykhost:(?i)a\.com[.]?}",
            r"{tykhost:(?i)[^a\-.][^.]*|a}{tyksuffix:(?i)\.com[.]?}",
        ] {
            assert_eq!(check_domain(good), Ok(()), "{good}");
        }
    }
}
