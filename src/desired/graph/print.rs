//! A schema as text: the same definitions give the same bytes.

use std::fmt::Write as _;

use super::sdl::{Definition, Directive, DirectiveDefinition, Kind, Member, Type};

/// The text of the definitions in their order, with a blank line between them.
pub fn print(definitions: &[Definition]) -> String {
    let printed: Vec<String> = definitions.iter().map(definition).collect();
    printed.join("\n")
}

fn definition(definition: &Definition) -> String {
    match definition {
        Definition::Type(ty) => type_definition(ty),
        Definition::Directive(directive) => directive_definition(directive),
    }
}

fn type_definition(ty: &Type) -> String {
    let mut out = described(ty.description.as_deref(), "");
    if ty.extension {
        out.push_str("extend ");
    }
    let _ = write!(out, "{} {}", ty.kind.keyword(), ty.name);
    if !ty.implements.is_empty() {
        let _ = write!(out, " implements {}", ty.implements.join(" & "));
    }
    out.push_str(&directives(&ty.directives));
    match ty.kind {
        _ if ty.members.is_empty() => {}
        Kind::Union => {
            let members: Vec<&str> = ty.members.iter().map(|member| member.name.as_str()).collect();
            let _ = write!(out, " = {}", members.join(" | "));
        }
        _ => {
            out.push_str(" {\n");
            for member in &ty.members {
                let _ = writeln!(
                    out,
                    "{}  {}",
                    described(member.description.as_deref(), "  "),
                    field(member)
                );
            }
            out.push('}');
        }
    }
    out.push('\n');
    out
}

fn directive_definition(directive: &DirectiveDefinition) -> String {
    let mut out = described(directive.description.as_deref(), "");
    let _ = write!(out, "directive @{}{}", directive.name, arguments(&directive.arguments));
    if directive.repeatable {
        out.push_str(" repeatable");
    }
    let _ = writeln!(out, " on {}", directive.locations.join(" | "));
    out
}

fn field(member: &Member) -> String {
    let mut out = format!("{}{}", member.name, arguments(&member.arguments));
    if !member.ty.is_empty() {
        let _ = write!(out, ": {}", member.ty);
    }
    if let Some(default) = &member.default {
        let _ = write!(out, " = {default}");
    }
    out.push_str(&directives(&member.directives));
    out
}

fn arguments(arguments: &[Member]) -> String {
    if arguments.is_empty() {
        return String::new();
    }
    let printed: Vec<String> = arguments
        .iter()
        .map(|argument| match &argument.description {
            Some(text) => format!("{text} {}", field(argument)),
            None => field(argument),
        })
        .collect();
    format!("({})", printed.join(", "))
}

fn directives(directives: &[Directive]) -> String {
    directives
        .iter()
        .map(|directive| format!(" {}", directive.text))
        .collect()
}

/// A description on lines of its own. The lines of a block string keep their text: what they are indented by more than
/// the others is part of it, and the first line does not count.
fn described(description: Option<&str>, indent: &str) -> String {
    description.map(|text| format!("{indent}{text}\n")).unwrap_or_default()
}
