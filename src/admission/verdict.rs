//! What is new in the findings, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Code, Diagnostic, ObjectRef, Severity};
use crate::snapshot::NamespacedName;
use crate::stages::Made;

/// Characters of a warning that an API server passes on whole.
const WARNING_MAX: usize = 256;

/// Findings that an object brings with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The object.
    object: Option<ObjectRef>,
    /// Why it is refused.
    errors: Vec<Diagnostic>,
    /// What its author should know all the same.
    warnings: Vec<Diagnostic>,
}

impl Verdict {
    /// Whether the object is refused.
    pub fn is_refusal(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Of an object that is not of the shape of its kind.
    pub(super) fn unreadable(finding: Diagnostic) -> Self {
        Self {
            object: Some(finding.object.clone()),
            errors: vec![finding],
            warnings: Vec::new(),
        }
    }

    /// Of the findings about an object that were not there without it, and of the conflicts that others lose to it.
    pub fn between(object: &ObjectRef, before: &Made, after: &Made) -> Self {
        let mut verdict = Self {
            object: Some(object.clone()),
            ..Self::default()
        };
        let own = own(object, after);
        let mut known: BTreeMap<(Code, &str), usize> = BTreeMap::new();
        for finding in about(&self::own(object, before), before) {
            *known.entry((finding.code, &finding.message)).or_default() += 1;
        }
        // A rule that moves takes its findings along to another field.
        for finding in about(&own, after) {
            match known.get_mut(&(finding.code, finding.message.as_str())) {
                Some(left) if *left > 0 => *left -= 1,
                _ => verdict.add(finding),
            }
        }
        let place = |finding: &Diagnostic| (finding.object.clone(), finding.field.clone(), finding.code);
        let known: BTreeSet<_> = before.diagnostics.iter().map(place).collect();
        let lost = after.diagnostics.iter().filter(|finding| {
            finding.code.is_conflict()
                && !own.contains(&finding.object)
                && !known.contains(&place(finding))
                && own.iter().any(|winner| is_named(&finding.message, winner))
        });
        lost.for_each(|finding| verdict.add(finding));
        verdict
    }

    fn add(&mut self, finding: &Diagnostic) {
        let refuses = finding.severity() == Severity::Error && !finding.code.may_come_later();
        let found = match refuses {
            true => &mut self.errors,
            false => &mut self.warnings,
        };
        // Children tell the same as their Ingress.
        let same = |one: &Diagnostic| one.code == finding.code && one.message == finding.message;
        if !found.iter().any(same) {
            found.push(finding.clone());
        }
    }

    /// Why the object is refused, one line for each reason; `None` when it is not.
    pub fn refusal(&self) -> Option<String> {
        let lines: Vec<_> = self.errors.iter().map(|finding| self.line(finding)).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// Each in one line, and cut to the length that an API server passes on.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.iter().map(|finding| cut(&self.line(finding))).collect()
    }

    fn line(&self, finding: &Diagnostic) -> String {
        let Diagnostic {
            object,
            field,
            code,
            message,
        } = finding;
        let of = match self.object.as_ref() == Some(object) {
            true => String::new(),
            false => format!(" of {object}"),
        };
        let place = match field.as_str() {
            "" => of,
            field => format!(" at {field}{of}"),
        };
        let line = format!("{code}{place}: {message}. {}", code.fix());
        line.replace(char::is_control, " ")
    }
}

fn cut(line: &str) -> String {
    match line.chars().count() <= WARNING_MAX {
        true => line.to_owned(),
        false => line.chars().take(WARNING_MAX - 1).chain(['…']).collect(),
    }
}

/// The object, and the children that are made of it.
fn own(object: &ObjectRef, made: &Made) -> BTreeSet<ObjectRef> {
    let mut own = BTreeSet::from([object.clone()]);
    if object.kind != "Ingress" {
        return own;
    }
    let is_its = |ingress: &NamespacedName| ingress.namespace == object.namespace && ingress.name == object.name;
    let reference = |kind, name: &NamespacedName| ObjectRef::new(kind, &name.namespace, &name.name);
    let children = made.translation.children.iter();
    let children = children.filter(|(_, child)| is_its(&child.ingress));
    own.extend(children.map(|(name, _)| reference("ApiDefinition", name)));
    let children = made.translation.oas_children.iter();
    let children = children.filter(|(_, child)| is_its(&child.ingress));
    own.extend(children.map(|(name, _)| reference("TykOasApiDefinition", name)));
    own
}

/// The findings about one of these.
fn about<'a>(own: &BTreeSet<ObjectRef>, made: &'a Made) -> Vec<&'a Diagnostic> {
    let findings = made.diagnostics.iter();
    let mut findings: Vec<_> = findings.filter(|finding| own.contains(&finding.object)).collect();
    // The object itself before its children.
    findings.sort_by_key(|finding| (finding.object.kind != "Ingress", *finding));
    findings.dedup();
    findings
}

/// Whether a message names an object, and not just one whose name begins alike.
fn is_named(message: &str, object: &ObjectRef) -> bool {
    let name = object.to_string();
    let mut found = message.match_indices(&name);
    found.any(|(at, _)| {
        let next = message[at + name.len()..].chars().next();
        !next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
    })
}
