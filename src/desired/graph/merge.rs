//! Several subgraphs to one schema, by the rules of GraphQL federation version 1 as the gateway's own library has them.
//!
//! What is more than the library does: every problem is told and not the first alone; what an engine needs for itself
//! (`_service`, `_entities` and their types, the definitions of the federation's directives) is left out; a field, an
//! enum value, a union member or an interface that is named twice is kept once in every kind of type.

use std::collections::{BTreeMap, BTreeSet};

use super::check;
use super::print::print;
use super::sdl::{self, Definition, Kind, Member, Position, Type};

/// Root types, in the order in which they are printed.
pub(super) const ROOTS: [&str; 3] = ["Query", "Mutation", "Subscription"];
/// Types that each engine of a subgraph makes for itself.
pub(super) const MACHINERY: [&str; 4] = ["_Any", "_Entity", "_FieldSet", "_Service"];
/// Fields of `Query` that each engine of a subgraph makes for itself.
const MACHINERY_FIELDS: [&str; 2] = ["_entities", "_service"];
/// Directives that speak to whoever merges.
const DIRECTIVES: [&str; 5] = ["extends", "external", "key", "provides", "requires"];

/// Why subgraphs cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Index of the subgraph that it is about; none when it is about how several fit together.
    pub subgraph: Option<usize>,
    /// What is wrong, with line and column where it is about one text.
    pub message: String,
}

impl Problem {
    fn between(message: String) -> Self {
        Self {
            subgraph: None,
            message,
        }
    }
}

/// One schema of the schemas of subgraphs, given as name and text. The order of the subgraphs decides the order of types
/// and fields, and nothing else.
///
/// # Errors
/// Every problem found at the first stage that finds any: reading, what each subgraph needs to have, how they fit.
pub fn merge(subgraphs: &[(&str, &str)]) -> Result<String, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut parts = Vec::new();
    for (index, (_, text)) in subgraphs.iter().enumerate() {
        let faults = match sdl::parse(text) {
            Ok(document) => {
                let faults = check::subgraph(&document);
                parts.push((index, document.definitions));
                faults
            }
            Err(faults) => faults,
        };
        problems.extend(faults.into_iter().map(|fault| Problem {
            subgraph: Some(index),
            message: fault.to_string(),
        }));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let names: Vec<&str> = subgraphs.iter().map(|(name, _)| *name).collect();
    let mut merger = Merger::new(names);
    for (index, definitions) in parts {
        merger.take(index, definitions);
    }
    merger.finish()
}

/// A type or an extension, and the subgraph that it is from.
struct Part {
    from: usize,
    ty: Type,
}

/// What the subgraphs hold, in their order.
struct Merger<'a> {
    names: Vec<&'a str>,
    bases: Vec<Part>,
    extensions: Vec<Part>,
    directives: Vec<(usize, sdl::DirectiveDefinition)>,
    problems: BTreeSet<Problem>,
}

impl<'a> Merger<'a> {
    fn new(names: Vec<&'a str>) -> Self {
        let root = |name: &&str| Part {
            from: usize::MAX,
            ty: Type {
                kind: Kind::Object,
                extension: false,
                name: (*name).to_owned(),
                at: Position::default(),
                description: None,
                implements: Vec::new(),
                directives: Vec::new(),
                members: Vec::new(),
            },
        };
        Self {
            names,
            bases: ROOTS.iter().map(root).collect(),
            extensions: Vec::new(),
            directives: Vec::new(),
            problems: BTreeSet::new(),
        }
    }

    fn problem(&mut self, message: String) {
        self.problems.insert(Problem::between(message));
    }

    /// Takes the definitions of one subgraph, with its own extensions already part of its own types.
    fn take(&mut self, from: usize, definitions: Vec<Definition>) {
        let mut types = Vec::new();
        let mut extensions = Vec::new();
        for definition in definitions {
            match definition {
                Definition::Directive(directive) if DIRECTIVES.contains(&directive.name.as_str()) => {}
                Definition::Directive(directive) => self.directives.push((from, directive)),
                Definition::Type(ty) if MACHINERY.contains(&ty.name.as_str()) => {}
                Definition::Type(ty) if ty.extension => extensions.push(ty),
                Definition::Type(ty) => types.push(ty),
            }
        }
        for extension in extensions {
            let base = types
                .iter_mut()
                .find(|base| base.kind == extension.kind && base.name == extension.name);
            match base {
                Some(base) => extend(base, extension),
                None => self.extensions.push(Part { from, ty: extension }),
            }
        }
        for ty in types {
            let extends = matches!(ty.kind, Kind::Object | Kind::Interface) && ty.has("extends");
            match extends || ROOTS.contains(&ty.name.as_str()) && ty.kind == Kind::Object {
                true => self.extensions.push(Part { from, ty }),
                false => self.bases.push(Part { from, ty }),
            }
        }
    }

    fn finish(mut self) -> Result<String, Vec<Problem>> {
        let entities = self.entities();
        for extension in std::mem::take(&mut self.extensions) {
            self.extend(extension, &entities);
        }
        let mut types = self.share();
        for ty in &mut types {
            self.clean(ty);
        }
        types.retain(|ty| ty.kind != Kind::Object || !ty.members.is_empty());
        if !types.iter().any(|ty| ty.name == "Query") {
            self.problem("no subgraph has a field of type Query".into());
        }
        let unknown = check::unknown_types(&types);
        for (place, name) in unknown {
            self.problem(format!("{place} names the type {name}, which no subgraph defines"));
        }
        let mut definitions: Vec<Definition> = types.into_iter().map(Definition::Type).collect();
        definitions.extend(self.share_directives());
        match self.problems.is_empty() {
            true => Ok(print(&definitions)),
            false => Err(self.problems.into_iter().collect()),
        }
    }

    /// Names of the types with a key. Only one subgraph may define such a type; the others extend it.
    fn entities(&mut self) -> BTreeSet<String> {
        let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
        let mut found = Vec::new();
        for Part { from, ty } in &self.bases {
            if !matches!(ty.kind, Kind::Object | Kind::Interface) {
                continue;
            }
            match owners.get(ty.name.as_str()) {
                Some(owner) => found.push(format!(
                    "type {} has a key and is defined in {}; let all but one of them extend it",
                    ty.name,
                    self.both(*owner, *from)
                )),
                None if ty.has("key") => {
                    owners.insert(&ty.name, *from);
                }
                None => {}
            }
        }
        let entities = owners.into_keys().map(str::to_owned).collect();
        found.into_iter().for_each(|message| self.problem(message));
        entities
    }

    fn both(&self, one: usize, other: usize) -> String {
        match one == other {
            true => format!("subgraph {} twice", self.name(one)),
            false => format!("subgraphs {} and {}", self.name(one), self.name(other)),
        }
    }

    fn name(&self, subgraph: usize) -> &'a str {
        self.names.get(subgraph).copied().unwrap_or_default()
    }

    /// Adds an extension to the type that it is about.
    fn extend(&mut self, Part { from, ty }: Part, entities: &BTreeSet<String>) {
        let here = |bases: &[Part]| -> Vec<usize> {
            let same = |part: &&(usize, &Part)| part.1.ty.kind == ty.kind && part.1.ty.name == ty.name;
            bases
                .iter()
                .enumerate()
                .filter(|part| same(&part))
                .map(|(at, _)| at)
                .collect()
        };
        let bases = here(&self.bases);
        let (name, subgraph) = (&ty.name, self.name(from));
        let [base] = bases[..] else {
            let message = match bases.is_empty() {
                true => format!("subgraph {subgraph} extends type {name}, which no subgraph defines"),
                false => format!("subgraph {subgraph} extends type {name}, which more than one subgraph defines"),
            };
            return self.problem(message);
        };
        if matches!(ty.kind, Kind::Object | Kind::Interface) {
            match (entities.contains(name), ty.has("key")) {
                (true, false) => {
                    return self.problem(format!(
                        "type {name} has a key, so its extension in subgraph {subgraph} needs @key as well"
                    ));
                }
                (false, true) => {
                    return self.problem(format!(
                        "the extension of type {name} in subgraph {subgraph} has @key, its definition in subgraph {} \
                         has none",
                        self.name(self.bases[base].from)
                    ));
                }
                _ => {}
            }
        }
        extend(&mut self.bases[base].ty, ty);
    }

    /// Keeps one of the types that several subgraphs define alike.
    fn share(&mut self) -> Vec<Type> {
        let mut kept: Vec<Part> = Vec::new();
        for part in std::mem::take(&mut self.bases) {
            let Some(first) = kept.iter().find(|first| first.ty.name == part.ty.name) else {
                kept.push(part);
                continue;
            };
            if let Some(difference) = difference(&first.ty, &part.ty) {
                let where_ = self.both(first.from, part.from);
                self.problem(format!(
                    "type {} is defined in {where_}, which is possible only when both are the same: {difference}",
                    part.ty.name
                ));
            }
        }
        kept.into_iter().map(|part| part.ty).collect()
    }

    /// Takes away what speaks to whoever merges, and what is there twice.
    fn clean(&mut self, ty: &mut Type) {
        if ty.name == "Query" {
            ty.members
                .retain(|field| !MACHINERY_FIELDS.contains(&field.name.as_str()));
        }
        ty.members.retain(|field| !field.has("external"));
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        let mut members = Vec::new();
        for member in std::mem::take(&mut ty.members) {
            match seen.get(&member.name) {
                None => {
                    seen.insert(member.name.clone(), member.ty.clone());
                    members.push(member);
                }
                Some(first) if *first == member.ty => {}
                Some(first) => self.problem(format!(
                    "field {} of type {} is {first} at one place and {} at another",
                    member.name, ty.name, member.ty
                )),
            }
        }
        ty.members = members;
        let mut implemented = BTreeSet::new();
        ty.implements.retain(|name| implemented.insert(name.clone()));
        ty.directives.retain(|one| !DIRECTIVES.contains(&one.name.as_str()));
        for member in &mut ty.members {
            member.directives.retain(|one| !DIRECTIVES.contains(&one.name.as_str()));
        }
    }

    fn share_directives(&mut self) -> Vec<Definition> {
        let mut kept: BTreeMap<String, (usize, String)> = BTreeMap::new();
        let mut definitions = Vec::new();
        for (from, mut directive) in std::mem::take(&mut self.directives) {
            let description = directive.description.take();
            let text = print(&[Definition::Directive(directive.clone())]);
            match kept.get(&directive.name) {
                None => {
                    kept.insert(directive.name.clone(), (from, text));
                    directive.description = description;
                    definitions.push(Definition::Directive(directive));
                }
                Some((_, first)) if *first == text => {}
                Some((first, _)) => {
                    let message = format!(
                        "directive @{} is defined differently in {}",
                        directive.name,
                        self.both(*first, from)
                    );
                    self.problem(message);
                }
            }
        }
        definitions
    }
}

fn extend(base: &mut Type, extension: Type) {
    base.implements.extend(extension.implements);
    base.directives.extend(extension.directives);
    base.members.extend(extension.members);
    if base.description.is_none() {
        base.description = extension.description;
    }
}

/// What sets two definitions of one type apart; order and descriptions do not.
fn difference(one: &Type, other: &Type) -> Option<String> {
    if one.kind != other.kind {
        return Some(format!(
            "it is `{}` at one place and `{}` at another",
            one.kind.keyword(),
            other.kind.keyword()
        ));
    }
    let find = |ty: &Type, name: &str| ty.members.iter().find(|member| member.name == name).cloned();
    for (ty, rival) in [(one, other), (other, one)] {
        if let Some(member) = ty.members.iter().find(|member| find(rival, &member.name).is_none()) {
            return Some(format!("only one of them has {}", member.name));
        }
    }
    one.members.iter().find_map(|member| {
        let rival = find(other, &member.name)?;
        let (one, other) = (signature(member), signature(&rival));
        (one != other).then(|| format!("{one} is not {other}"))
    })
}

/// Name, arguments and type of a field, the arguments in the order of their names.
fn signature(member: &Member) -> String {
    let mut arguments: Vec<String> = member
        .arguments
        .iter()
        .map(|argument| format!("{}: {}", argument.name, argument.ty))
        .collect();
    arguments.sort();
    let arguments = match arguments.is_empty() {
        true => String::new(),
        false => format!("({})", arguments.join(", ")),
    };
    match member.ty.as_str() {
        "" => member.name.clone(),
        ty => format!("{}{arguments}: {ty}", member.name),
    }
}
