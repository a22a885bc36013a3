//! What a schema needs to have before it can be served or merged.

use std::collections::BTreeSet;

use super::merge::{MACHINERY, ROOTS};
use super::sdl::{Definition, Document, Fault, Kind, Type};

/// Scalars that every schema has.
const SCALARS: [&str; 5] = ["Boolean", "Float", "ID", "Int", "String"];

/// Faults of a subgraph's schema for the merge: it has to stand on its own, as far as its types are concerned.
pub fn subgraph(document: &Document) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (at, name) in &document.renamed_roots {
        faults.push(Fault {
            at: *at,
            message: format!("root type {name}: subgraphs name their root types Query, Mutation and Subscription"),
        });
    }
    let types: Vec<&Type> = types(document).collect();
    for ty in &types {
        let root = ROOTS.contains(&ty.name.as_str());
        if ty.members.is_empty() && ty.kind != Kind::Scalar && ty.kind != Kind::Union && !root {
            faults.push(Fault {
                at: ty.at,
                message: format!("{} {} has nothing in it", ty.kind.keyword(), ty.name),
            });
        }
    }
    let known: BTreeSet<&str> = types.iter().map(|ty| ty.name.as_str()).collect();
    for ty in &types {
        for (place, at, name) in references(ty) {
            if !is_known(name, &known) {
                faults.push(Fault {
                    at,
                    message: format!("{place} names the type {name}, which is not defined"),
                });
            }
        }
    }
    faults
}

/// References to types that are not among `types`, by the place of the reference.
pub fn unknown_types(types: &[Type]) -> Vec<(String, String)> {
    let known: BTreeSet<&str> = types.iter().map(|ty| ty.name.as_str()).collect();
    let fields = types
        .iter()
        .flat_map(|ty| references(ty).into_iter().map(|(place, _, name)| (place, name)));
    let interfaces = types.iter().flat_map(|ty| {
        let names = ty.implements.iter();
        names.map(|name| (format!("type {}", ty.name), name.as_str()))
    });
    fields
        .chain(interfaces)
        .filter(|(_, name)| !is_known(name, &known))
        .map(|(place, name)| (place, name.to_owned()))
        .collect()
}

fn types(document: &Document) -> impl Iterator<Item = &Type> {
    document.definitions.iter().filter_map(|definition| match definition {
        Definition::Type(ty) => Some(ty),
        Definition::Directive(_) => None,
    })
}

fn is_known(name: &str, known: &BTreeSet<&str>) -> bool {
    name.is_empty() || known.contains(name) || SCALARS.contains(&name) || MACHINERY.contains(&name)
}

/// Types that the fields of a type, their arguments and the members of a union name: the place, its position, the type.
fn references(ty: &Type) -> Vec<(String, super::sdl::Position, &str)> {
    let mut found = Vec::new();
    for member in &ty.members {
        let place = format!("{}.{}", ty.name, member.name);
        if ty.kind == Kind::Union {
            found.push((format!("union {}", ty.name), member.at, member.name.as_str()));
        }
        found.push((place.clone(), member.at, member.named_type()));
        for argument in &member.arguments {
            let place = format!("argument {} of {place}", argument.name);
            found.push((place, argument.at, argument.named_type()));
        }
    }
    found
}
