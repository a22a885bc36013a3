//! `rewrite-target` as one rewrite of the gateway.
//!
//! nginx matches the decoded path alone; the gateway matches the path with its query, and Go's expressions cannot look
//! ahead. So `.` and negated classes leave out `?`, a `$` is said by what may follow it, and the query is a group of
//! its own at the end. One expression serves all paths of the Ingress, longest first, as nginx tries them.

use std::collections::BTreeMap;
use std::ops::Range;

use regex::Regex;

use crate::ingress::pattern::{Edit, Node, Pattern};

/// Most groups that a target can name: the gateway would replace `$1` within `$10`.
const MOST_GROUPS: usize = 9;

/// A rewrite of the gateway.
#[derive(Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// `match_pattern`.
    pub pattern: String,
    /// `rewrite_to`.
    pub to: String,
}

/// The rewrite of these paths to a target.
///
/// # Errors
/// When it cannot be said so.
pub fn rewrite(paths: &[&str], target: &str) -> Result<Rewrite, String> {
    if target.contains("://") {
        return Err("nginx answers such a target with a redirect".into());
    }
    if target.contains('?') {
        return Err("a target with a query cannot be joined with that of the request".into());
    }
    let pieces = pieces(target)?;
    let used = |group: u32| pieces.contains(&Piece::Group(group));
    let mut paths = paths.to_vec();
    paths.sort_by_key(|path| (std::cmp::Reverse(path.len()), *path));
    paths.dedup();
    let mut places: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    let (mut variants, mut groups) = (Vec::new(), 0);
    for path in paths {
        let pattern = Pattern::parse(path)?;
        for variant in variants_of(&pattern)? {
            let kept = kept(&pattern, &variant, &used);
            for group in kept {
                groups += 1;
                places.entry(group).or_default().push(groups);
            }
            variants.push(variant.text(&pattern, &used));
        }
    }
    let query = groups + 1;
    if query > MOST_GROUPS {
        return Err(format!(
            "the paths have {groups} groups together, and the gateway takes 8"
        ));
    }
    let mut to: String = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Group(group) => {
                let places = places.get(group).map(Vec::as_slice).unwrap_or_default();
                places.iter().map(|place| format!("${place}")).collect()
            }
        })
        .collect();
    if !to.starts_with('/') && !matches!(pieces.first(), Some(Piece::Group(_))) {
        to.insert(0, '/');
    }
    to.push_str(&format!("${query}"));
    Ok(Rewrite {
        pattern: format!("(?i)^(?:{})(\\?.*)?$", variants.join("|")),
        to,
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(u32),
}

fn pieces(target: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = target;
    while let Some((text, after)) = rest.split_once('$') {
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        let (digits, tail) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(found) => found,
            None => after.split_at(
                after
                    .chars()
                    .next()
                    .filter(char::is_ascii_digit)
                    .map_or(0, char::len_utf8),
            ),
        };
        let group = digits
            .parse()
            .map_err(|_| format!("target {target:?} holds a variable of nginx"))?;
        if tail.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("target {target:?} has a digit right after a group"));
        }
        pieces.push(Piece::Group(group));
        rest = tail;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// One way in which a path matches: a part of its expression, and whether more may follow.
struct Variant {
    part: Range<usize>,
    without: Vec<Range<usize>>,
    open: bool,
}

impl Variant {
    fn text(&self, pattern: &Pattern<'_>, used: &impl Fn(u32) -> bool) -> String {
        let edit = |edit: Edit| match edit.node {
            Node::Open(group) => (!used(group)).then_some("(?:"),
            Node::Dot => Some("[^?]"),
            Node::NegatedClass => Some("[^?"),
            Node::Blank => Some("(?:%20|\\x20)"),
        };
        let text = pattern.edited_part(self.part.clone(), &self.without, edit);
        if self.open { text + "[^?]*" } else { text }
    }
}

/// The groups of a variant that the target uses, in their order.
fn kept(pattern: &Pattern<'_>, variant: &Variant, used: &impl Fn(u32) -> bool) -> Vec<u32> {
    let inside = |at: usize| variant.part.contains(&at) && !variant.without.iter().any(|cut| cut.contains(&at));
    let groups = pattern.groups().filter(|(at, group)| inside(*at) && used(*group));
    groups.map(|(_, group)| group).collect()
}

fn variants_of(pattern: &Pattern<'_>) -> Result<Vec<Variant>, String> {
    let text = pattern.text();
    let (ends, branches) = (pattern.ends(), pattern.end_branches());
    let last = text.len().saturating_sub(1);
    let at_end = ends.last() == Some(&last);
    let cut: Vec<_> = at_end.then_some(last..text.len()).into_iter().collect();
    let rest = |mut without: Vec<Range<usize>>| {
        without.extend(cut.clone());
        Variant {
            part: 0..text.len(),
            without,
            open: !at_end,
        }
    };
    match (ends.len() - usize::from(at_end), branches) {
        (0, []) => Ok(vec![rest(Vec::new())]),
        (1, [branch]) => {
            let tail = &text[branch.group.end..];
            let empty = Regex::new(&format!("^(?:{tail})$")).is_ok_and(|tail| tail.is_match(""));
            if !empty {
                return Err(format!("expression {text:?} asks for more after its end"));
            }
            let taken = Variant {
                part: 0..branch.group.start,
                without: Vec::new(),
                open: false,
            };
            Ok(vec![rest(vec![branch.branch.clone()]), taken])
        }
        _ => Err(format!(
            "expression {text:?} has a `$` where the gateway cannot have one"
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// What the gateway makes of a request.
    fn answer(rewrite: &Rewrite, request: &str) -> Option<String> {
        let found = Regex::new(&rewrite.pattern).unwrap().captures(request)?;
        let mut to = rewrite.to.clone();
        for index in 1..=MOST_GROUPS {
            let value = found.get(index).map_or("", |group| group.as_str());
            to = to.replace(&format!("${index}"), value);
        }
        Some(to)
    }

    #[test]
    fn groups_and_queries_are_kept() {
        for (paths, target, request, expected) in [
            (&["/foo(/|$)(.*)"][..], "/$2", "/foo", "/"),
            (&["/foo(/|$)(.*)"], "/$2", "/foo?a=1", "/?a=1"),
            (&["/foo(/|$)(.*)"], "/$2", "/foo/", "/"),
            (&["/foo(/|$)(.*)"], "/$2", "/FOO/bar/?x=/y?z", "/bar/?x=/y?z"),
            (&["/foo($|/)(.*)"], "/$2", "/foo/bar", "/bar"),
            (
                &["/a/(.*)/b(/|$)(.*)", "/foo(/|$)(.*)"],
                "/x/$1/$3",
                "/a/1/b/2?q",
                "/x/1/2?q",
            ),
            (&["/v(\\d+)/(.*)$"], "/$2/$1", "/v12/x%20y", "/x%20y/12"),
            (&["/old"], "/new", "/old/deep?q=1", "/new?q=1"),
            (&["/api/(.*)"], "/api/v2/$1", "/api/a/b", "/api/v2/a/b"),
            (&["/()(.*)"], "/$2", "/a", "/a"),
            (&["/foo(/|$)(.*)"], "/b/${2}", "/foo/c", "/b/c"),
        ] {
            let rewrite = rewrite(paths, target).unwrap();
            assert_eq!(
                answer(&rewrite, request).as_deref(),
                Some(expected),
                "{rewrite:?} {request}"
            );
        }
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for (path, target) in [
            ("/a(?!b)(.*)", "/$1"),
            ("/a", "https://else.example/"),
            ("/a", "/x?y=1"),
            ("/a/(.*)", "/$host/$1"),
            ("/a$/(b|$)c", "/"),
        ] {
            assert!(rewrite(&[path], target).is_err(), "{path} {target}");
        }
    }
}
