//! Paths as ingress-nginx matches them: with `use-regex` or `rewrite-target` every path of a host is an expression that
//! ignores letter case and is open at its end; without, an ImplementationSpecific path is a string prefix.
//!
//! ingress-nginx tries the expressions of a host by the length of the path as written, longest first. The gateway tries
//! listen paths by the length of their text, so each is filled up to a length that grows with the path's.

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{self, Ast, visit};

use crate::expression;

/// Length of a listen path besides four characters for each one of the path: every rewriting below fits into it.
const BASE: usize = 48;

/// Longer than the listen path of any expression of less than 230 characters.
const FIRST: usize = 1000;

/// The listen path of an ImplementationSpecific path that is a string prefix. Its suffix matches nothing more and is as
/// long as that of a Prefix path, so that the two are tried by the length of their paths.
pub fn string_prefix(path: &str) -> Result<String, String> {
    let listen_path = match path {
        "" | "/" => "/".to_owned(),
        path => format!("{path}{{tykn:|/^}}"),
    };
    expression::check_listen_path(&listen_path).map(|()| listen_path)
}

/// The listen path of a path that is an expression.
///
/// # Errors
/// When Go's expressions cannot say it.
pub fn expression(path: &str) -> Result<String, String> {
    let pattern = Pattern::parse(path)?;
    let rest = pattern.edited(|edit| edit.within_listen_path());
    let rest = rest
        .strip_prefix('/')
        .ok_or_else(|| format!("{path:?} does not start with a plain `/`"))?;
    // `/^` matches nothing: it keeps the segment from being wholly in braces, which the gateway would not count.
    let mut listen_path = format!("/{{tykrx:(?i){rest}|/^");
    let length = BASE + 4 * path.len();
    while listen_path.len() + 1 < length {
        listen_path.push('^');
    }
    listen_path.push('}');
    expression::check_listen_path(&listen_path).map(|()| listen_path)
}

/// The listen path of one path alone that goes before every expression of its host.
///
/// # Errors
/// When the gateway's router cannot take it.
pub fn exact(path: &str) -> Result<String, String> {
    let rest = regex_syntax::escape(path.strip_prefix('/').unwrap_or(path)).replace(' ', "\\x20");
    let listen_path = format!("/{{tykre:{rest}$|/{}}}", "^".repeat(FIRST));
    expression::check_listen_path(&listen_path).map(|()| listen_path)
}

/// A path as an expression, parsed.
#[derive(Debug)]
pub struct Pattern<'a> {
    text: &'a str,
    nodes: Nodes,
}

/// What of an expression is written otherwise, by its place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// `(` of the capture group with this number.
    Open(u32),
    /// `.`.
    Dot,
    /// `[^`.
    NegatedClass,
    /// A blank.
    Blank,
}

/// One place where the text is edited.
#[derive(Clone, Copy, Debug)]
pub struct Edit {
    /// What stands there.
    pub node: Node,
}

impl Edit {
    fn within_listen_path(self) -> Option<&'static str> {
        match self.node {
            Node::Open(_) => Some("(?:"),
            Node::Blank => Some("\\x20"),
            Node::Dot | Node::NegatedClass => None,
        }
    }
}

/// `$` as one of the alternatives of a group, as in `(/|$)`.
#[derive(Clone, Debug)]
pub struct EndBranch {
    /// The whole group.
    pub group: std::ops::Range<usize>,
    /// The alternative with the bar that parts it from the others.
    pub branch: std::ops::Range<usize>,
}

#[derive(Debug, Default)]
struct Nodes {
    places: Vec<(usize, usize, Node)>,
    ends: Vec<usize>,
    end_branches: Vec<EndBranch>,
    top_alternation: bool,
}

impl<'a> Pattern<'a> {
    /// Reads a path as an expression.
    ///
    /// # Errors
    /// When it is none, or uses what Go's expressions lack: look-around, back references, possessive repetition.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let ast = Parser::new()
            .parse(text)
            .map_err(|error| format!("expression {text:?} is not one of Go's: {}", error.kind()))?;
        let mut nodes = Nodes {
            top_alternation: matches!(ast, Ast::Alternation(_)),
            ..Nodes::default()
        };
        if nodes.top_alternation {
            return Err(format!(
                "expression {text:?} has a `|` outside of a group, so only its first part begins at the path's start"
            ));
        }
        visit(&ast, Collector(&mut nodes)).unwrap_or_default();
        nodes.places.sort_by_key(|(start, ..)| *start);
        Ok(Self { text, nodes })
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        self.text
    }

    /// Places and numbers of the capture groups, in their order.
    pub fn groups(&self) -> impl Iterator<Item = (usize, u32)> {
        self.nodes.places.iter().filter_map(|(start, _, node)| match node {
            Node::Open(group) => Some((*start, *group)),
            _ => None,
        })
    }

    /// Places of `$`.
    pub fn ends(&self) -> &[usize] {
        &self.nodes.ends
    }

    /// The `$` that are alternatives of groups.
    pub fn end_branches(&self) -> &[EndBranch] {
        &self.nodes.end_branches
    }

    /// The text with edits made: `None` leaves a place as it is.
    pub fn edited(&self, edit: impl Fn(Edit) -> Option<&'static str>) -> String {
        self.edited_part(0..self.text.len(), &[], edit)
    }

    /// As [`Pattern::edited`], of a part of the text without some others.
    pub fn edited_part(
        &self,
        part: std::ops::Range<usize>,
        without: &[std::ops::Range<usize>],
        edit: impl Fn(Edit) -> Option<&'static str>,
    ) -> String {
        let mut cuts: Vec<(usize, usize, &str)> = without.iter().map(|cut| (cut.start, cut.end, "")).collect();
        let inside = |at: usize| without.iter().any(|cut| cut.contains(&at));
        for (start, end, node) in &self.nodes.places {
            if let Some(new) = edit(Edit { node: *node }).filter(|_| !inside(*start)) {
                cuts.push((*start, *end, new));
            }
        }
        cuts.sort_unstable();
        let (mut out, mut at) = (String::new(), part.start);
        for (start, end, new) in cuts {
            if start < at || end > part.end {
                continue;
            }
            out.push_str(&self.text[at..start]);
            out.push_str(new);
            at = end;
        }
        out.push_str(&self.text[at..part.end]);
        out
    }
}

struct Collector<'n>(&'n mut Nodes);

impl ast::Visitor for Collector<'_> {
    type Output = ();
    type Err = ();

    fn finish(self) -> Result<(), ()> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), ()> {
        let places = &mut self.0.places;
        match ast {
            Ast::Group(group) => {
                let start = group.span.start.offset;
                if let ast::GroupKind::CaptureIndex(index) = &group.kind {
                    places.push((start, start + 1, Node::Open(*index)));
                } else if let ast::GroupKind::CaptureName { name, .. } = &group.kind {
                    places.push((start, name.span.end.offset + 1, Node::Open(name.index)));
                }
                if let Ast::Alternation(alternation) = &*group.ast {
                    self.0.end_branches.extend(end_branch(group, alternation));
                }
            }
            Ast::Dot(span) => places.push((span.start.offset, span.end.offset, Node::Dot)),
            Ast::ClassBracketed(class) if class.negated => {
                let start = class.span.start.offset;
                places.push((start, start + 2, Node::NegatedClass));
            }
            Ast::Literal(literal) if literal.c == ' ' && literal.kind == ast::LiteralKind::Verbatim => {
                places.push((literal.span.start.offset, literal.span.end.offset, Node::Blank));
            }
            Ast::Assertion(assertion) if assertion.kind == ast::AssertionKind::EndLine => {
                self.0.ends.push(assertion.span.start.offset);
            }
            _ => {}
        }
        Ok(())
    }
}

fn end_branch(group: &ast::Group, alternation: &ast::Alternation) -> Option<EndBranch> {
    let place = alternation.asts.iter().position(
        |branch| matches!(branch, Ast::Assertion(assertion) if assertion.kind == ast::AssertionKind::EndLine),
    )?;
    let span = alternation.asts.get(place)?.span();
    let (start, end) = (span.start.offset, span.end.offset);
    Some(EndBranch {
        group: group.span.start.offset..group.span.end.offset,
        branch: if place == 0 { start..end + 1 } else { start - 1..end },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_expression_has_no_group_and_a_length_by_its_path() {
        let short = expression("/api(/|$)(.*)").unwrap();
        assert!(short.starts_with("/{tykrx:(?i)api(?:/|$)(?:.*)|/^"), "{short}");
        let long = expression("/api/v[0-9]{1,3} x/").unwrap();
        assert!(long.contains("{1,3}\\x20x/"), "{long}");
        assert_eq!((short.len(), long.len()), (BASE + 4 * 13, BASE + 4 * 19));
        assert_eq!(expression("/").unwrap().len(), BASE + 4);
    }

    #[test]
    fn what_go_lacks_is_refused() {
        for bad in ["/a(?!b)", "/(a)\\1", "/a|/b", "/a(", "/a++"] {
            assert!(expression(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_string_prefix_is_as_long_as_a_prefix() {
        assert_eq!(string_prefix("/foo").unwrap().len(), "/foo{tykp:/|$}".len());
        assert_eq!(string_prefix("/").unwrap(), "/");
    }
}
