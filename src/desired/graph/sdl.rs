//! GraphQL's schema definition language, read with its specification's grammar into types that can be merged and printed.

use std::fmt;

use apollo_parser::cst::CstNode;
use apollo_parser::{Parser, SyntaxKind, SyntaxNode};

/// Deepest nesting of lists and values that is read. The gateway's schemas are flat; the limit keeps the stack small.
const DEEPEST: usize = 100;

/// Most faults that are told of one text: a text that is no schema at all can have one at each character.
const MOST_FAULTS: usize = 20;

/// Where something stands in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: Position,
    /// What.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

/// The definitions of a text in its order.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// Types, their extensions, and directives.
    pub definitions: Vec<Definition>,
    /// Names of root types that differ from `Query`, `Mutation` and `Subscription`, as `schema { … }` sets them.
    pub renamed_roots: Vec<(Position, String)>,
}

/// One definition.
#[derive(Clone, Debug)]
pub enum Definition {
    /// A type or an extension of one.
    Type(Type),
    /// A directive.
    Directive(DirectiveDefinition),
}

/// Kinds of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `scalar`
    Scalar,
    /// `type`
    Object,
    /// `interface`
    Interface,
    /// `union`
    Union,
    /// `enum`
    Enum,
    /// `input`
    Input,
}

impl Kind {
    /// The word that a definition starts with.
    pub fn keyword(self) -> &'static str {
        match self {
            Kind::Scalar => "scalar",
            Kind::Object => "type",
            Kind::Interface => "interface",
            Kind::Union => "union",
            Kind::Enum => "enum",
            Kind::Input => "input",
        }
    }
}

/// A type, or what an extension adds to it.
#[derive(Clone, Debug)]
pub struct Type {
    /// Its kind.
    pub kind: Kind,
    /// Whether it adds to a type that is defined elsewhere.
    pub extension: bool,
    /// Its name.
    pub name: String,
    /// Where it starts.
    pub at: Position,
    /// The description as it is written, quotes included.
    pub description: Option<String>,
    /// Interfaces that it implements.
    pub implements: Vec<String>,
    /// Directives on it.
    pub directives: Vec<Directive>,
    /// Fields, values of an enum, or members of a union.
    pub members: Vec<Member>,
}

impl Type {
    /// Whether it has a directive of this name.
    pub fn has(&self, directive: &str) -> bool {
        has(&self.directives, directive)
    }
}

/// A field, an argument, a value of an enum or a member of a union.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Where it starts.
    pub at: Position,
    /// The description as it is written, quotes included.
    pub description: Option<String>,
    /// Arguments of a field.
    pub arguments: Vec<Member>,
    /// Its type, such as `[Int!]!`; empty for a value of an enum and a member of a union.
    pub ty: String,
    /// Default value.
    pub default: Option<String>,
    /// Directives on it.
    pub directives: Vec<Directive>,
}

impl Member {
    /// The type below lists and `!`.
    pub fn named_type(&self) -> &str {
        self.ty.trim_matches(['[', ']', '!'])
    }

    /// Whether it has a directive of this name.
    pub fn has(&self, directive: &str) -> bool {
        has(&self.directives, directive)
    }
}

/// A directive where it is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Its name, without `@`.
    pub name: String,
    /// The whole of it, such as `@key(fields: "id")`.
    pub text: String,
}

/// The definition of a directive.
#[derive(Clone, Debug)]
pub struct DirectiveDefinition {
    /// Its name, without `@`.
    pub name: String,
    /// The description as it is written, quotes included.
    pub description: Option<String>,
    /// Its arguments.
    pub arguments: Vec<Member>,
    /// Whether it may stand more than once in one place.
    pub repeatable: bool,
    /// Where it may stand.
    pub locations: Vec<String>,
}

fn has(directives: &[Directive], name: &str) -> bool {
    directives.iter().any(|directive| directive.name == name)
}

/// Reads a schema.
///
/// # Errors
/// Faults of the syntax in the order of the text, at most 20 of them.
pub fn parse(text: &str) -> Result<Document, Vec<Fault>> {
    let tree = Parser::new(text).recursion_limit(DEEPEST).parse();
    let lines = Lines::of(text);
    let mut faults: Vec<Fault> = tree
        .errors()
        .take(MOST_FAULTS)
        .map(|error| Fault {
            at: lines.position(error.index()),
            message: match error.data() {
                "" => error.message().to_owned(),
                found => format!("{}, found {:?}", error.message(), shortened(found)),
            },
        })
        .collect();
    let mut document = Document::default();
    if faults.is_empty() {
        let nodes = tree.document().syntax().children();
        let wrong = nodes.filter_map(|node| lines.definition(&node, &mut document).err());
        faults.extend(wrong.take(MOST_FAULTS));
    }
    if faults.is_empty() {
        return Ok(document);
    }
    faults.sort_by_key(|fault| fault.at);
    Err(faults)
}

/// At most 40 characters, for a message.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// A text, to tell where a byte of it is.
struct Lines<'a> {
    text: &'a str,
    /// The byte that each line starts with.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let after = text.match_indices('\n').map(|(newline, _)| newline + 1);
        let starts = std::iter::once(0).chain(after).collect();
        Self { text, starts }
    }

    fn position(&self, byte: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..byte).unwrap_or_default();
        Position {
            line,
            column: before.chars().count() + 1,
        }
    }

    fn at(&self, node: &SyntaxNode) -> Position {
        self.position(node.text_range().start().into())
    }

    fn definition(&self, node: &SyntaxNode, document: &mut Document) -> Result<(), Fault> {
        use SyntaxKind as S;
        let (kind, extension) = match node.kind() {
            S::SCALAR_TYPE_DEFINITION => (Kind::Scalar, false),
            S::SCALAR_TYPE_EXTENSION => (Kind::Scalar, true),
            S::OBJECT_TYPE_DEFINITION => (Kind::Object, false),
            S::OBJECT_TYPE_EXTENSION => (Kind::Object, true),
            S::INTERFACE_TYPE_DEFINITION => (Kind::Interface, false),
            S::INTERFACE_TYPE_EXTENSION => (Kind::Interface, true),
            S::UNION_TYPE_DEFINITION => (Kind::Union, false),
            S::UNION_TYPE_EXTENSION => (Kind::Union, true),
            S::ENUM_TYPE_DEFINITION => (Kind::Enum, false),
            S::ENUM_TYPE_EXTENSION => (Kind::Enum, true),
            S::INPUT_OBJECT_TYPE_DEFINITION => (Kind::Input, false),
            S::INPUT_OBJECT_TYPE_EXTENSION => (Kind::Input, true),
            S::DIRECTIVE_DEFINITION => {
                let definition = self.directive_definition(node);
                document.definitions.push(Definition::Directive(definition));
                return Ok(());
            }
            S::SCHEMA_DEFINITION | S::SCHEMA_EXTENSION => {
                self.roots(node, document);
                return Ok(());
            }
            _ => {
                return Err(Fault {
                    at: self.at(node),
                    message: "an operation or fragment is not part of a schema".into(),
                });
            }
        };
        document.definitions.push(Definition::Type(Type {
            kind,
            extension,
            name: name(node),
            at: self.at(node),
            description: description(node),
            implements: named_types(node, S::IMPLEMENTS_INTERFACES)
                .map(|(_, name)| name)
                .collect(),
            directives: directives(node),
            members: self.members(node),
        }));
        Ok(())
    }

    fn roots(&self, node: &SyntaxNode, document: &mut Document) {
        for root in children(node, SyntaxKind::ROOT_OPERATION_TYPE_DEFINITION) {
            let operation = text_of(&root, SyntaxKind::OPERATION_TYPE);
            let name = text_of(&root, SyntaxKind::NAMED_TYPE);
            let usual = matches!(
                (operation.as_str(), name.as_str()),
                ("query", "Query") | ("mutation", "Mutation") | ("subscription", "Subscription")
            );
            if !usual {
                document.renamed_roots.push((self.at(&root), name));
            }
        }
    }

    fn directive_definition(&self, node: &SyntaxNode) -> DirectiveDefinition {
        let locations = child(node, SyntaxKind::DIRECTIVE_LOCATIONS);
        DirectiveDefinition {
            name: name(node),
            description: description(node),
            arguments: self.arguments(node),
            repeatable: node
                .children_with_tokens()
                .any(|part| part.kind() == SyntaxKind::repeatable_KW),
            locations: locations
                .iter()
                .flat_map(|locations| children(locations, SyntaxKind::DIRECTIVE_LOCATION))
                .map(|location| compact(&location))
                .collect(),
        }
    }

    fn members(&self, node: &SyntaxNode) -> Vec<Member> {
        use SyntaxKind as S;
        let lists = [
            (S::FIELDS_DEFINITION, S::FIELD_DEFINITION),
            (S::INPUT_FIELDS_DEFINITION, S::INPUT_VALUE_DEFINITION),
            (S::ENUM_VALUES_DEFINITION, S::ENUM_VALUE_DEFINITION),
        ];
        let listed = lists.iter().flat_map(|(list, member)| {
            let list = child(node, *list);
            list.into_iter()
                .flat_map(|list| children(&list, *member).collect::<Vec<_>>())
        });
        let members = listed.map(|member| self.member(&member));
        let of_union = named_types(node, S::UNION_MEMBER_TYPES).map(|(node, name)| Member {
            name,
            ..self.member(&node)
        });
        members.chain(of_union).collect()
    }

    fn arguments(&self, node: &SyntaxNode) -> Vec<Member> {
        let list = child(node, SyntaxKind::ARGUMENTS_DEFINITION);
        list.iter()
            .flat_map(|list| children(list, SyntaxKind::INPUT_VALUE_DEFINITION))
            .map(|argument| self.member(&argument))
            .collect()
    }

    fn member(&self, node: &SyntaxNode) -> Member {
        use SyntaxKind as S;
        let types = [S::NAMED_TYPE, S::LIST_TYPE, S::NON_NULL_TYPE];
        Member {
            name: match child(node, S::ENUM_VALUE) {
                Some(value) => compact(&value),
                None => name(node),
            },
            at: self.at(node),
            description: description(node),
            arguments: self.arguments(node),
            ty: node
                .children()
                .find(|part| types.contains(&part.kind()))
                .map(|ty| compact(&ty))
                .unwrap_or_default(),
            default: child(node, S::DEFAULT_VALUE)
                .map(|default| compact(&default).trim_start_matches(['=', ' ']).to_owned()),
            directives: directives(node),
        }
    }
}

fn child(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxNode> {
    node.children().find(|child| child.kind() == kind)
}

fn children(node: &SyntaxNode, kind: SyntaxKind) -> impl Iterator<Item = SyntaxNode> {
    node.children().filter(move |child| child.kind() == kind)
}

fn name(node: &SyntaxNode) -> String {
    text_of(node, SyntaxKind::NAME)
}

fn text_of(node: &SyntaxNode, kind: SyntaxKind) -> String {
    child(node, kind).map(|child| compact(&child)).unwrap_or_default()
}

fn description(node: &SyntaxNode) -> Option<String> {
    child(node, SyntaxKind::DESCRIPTION).map(|description| compact(&description))
}

fn directives(node: &SyntaxNode) -> Vec<Directive> {
    let list = child(node, SyntaxKind::DIRECTIVES);
    list.iter()
        .flat_map(|list| children(list, SyntaxKind::DIRECTIVE))
        .map(|directive| Directive {
            name: name(&directive),
            text: compact(&directive),
        })
        .collect()
}

fn named_types(node: &SyntaxNode, list: SyntaxKind) -> impl Iterator<Item = (SyntaxNode, String)> {
    let list = child(node, list);
    let names = list
        .into_iter()
        .flat_map(|list| children(&list, SyntaxKind::NAMED_TYPE).collect::<Vec<_>>());
    names.map(|node| {
        let name = compact(&node);
        (node, name)
    })
}

/// The text of a node on one line: whitespace, comments and commas as the printer of every GraphQL library sets them.
fn compact(node: &SyntaxNode) -> String {
    let mut text = String::new();
    let tokens = node.descendants_with_tokens().filter_map(|part| part.into_token());
    for token in tokens {
        use SyntaxKind as S;
        if matches!(token.kind(), S::WHITESPACE | S::COMMENT | S::COMMA) {
            continue;
        }
        let joined = text.is_empty()
            || text.ends_with(['(', '[', '{', '@', '$'])
            || matches!(
                token.kind(),
                S::R_PAREN | S::R_BRACK | S::R_CURLY | S::L_PAREN | S::COLON | S::BANG
            );
        if !joined {
            text.push_str(if text.ends_with([':', '=']) { " " } else { ", " });
        }
        text.push_str(token.text());
    }
    text
}
