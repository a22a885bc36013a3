//! SubGraphs and SuperGraphs: what is wrong with them, and what the APIs that serve them are made of.

use serde_json::{Value, json};

use super::edges::Edges;
use super::merge::merge;
use super::sdl;
use crate::api::{SubGraph, SuperGraph};
use crate::diagnostic::{Code, Diagnostic};
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind, Stored};

/// A finding: its code, the field, the message.
type Problem = (Code, String, String);

/// What an API that serves a SuperGraph is made of.
pub struct Merged {
    /// The merged schema.
    pub sdl: String,
    /// Entries of `graphql.supergraph.subgraphs`, in the order of `spec.subgraph_refs`.
    pub subgraphs: Vec<Value>,
}

/// What there is to tell about every SubGraph and SuperGraph of a snapshot.
pub fn diagnose(snapshot: &Snapshot, edges: &Edges) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut tell = |object: &dyn Fn() -> crate::diagnostic::ObjectRef, problems: Vec<Problem>| {
        let found = problems.into_iter();
        diagnostics.extend(found.map(|(code, field, message)| Diagnostic::new(code, object(), field, message)));
    };
    for sub_graph in snapshot.sub_graphs.values() {
        tell(&|| sub_graph.object_ref(), faults(sub_graph));
    }
    for super_graph in snapshot.super_graphs.values() {
        if let Err(problems) = merged(super_graph, snapshot, edges) {
            tell(&|| super_graph.object_ref(), problems);
        }
    }
    diagnostics
}

/// What is wrong with the texts of a SubGraph.
pub fn faults(sub_graph: &SubGraph) -> Vec<Problem> {
    let texts = [
        ("spec.schema", &sub_graph.spec.schema),
        ("spec.sdl", &sub_graph.spec.sdl),
    ];
    texts
        .into_iter()
        .filter_map(|(field, text)| {
            let faults = sdl::parse(text).err()?;
            Some((Code::InvalidGraph, field.to_owned(), sentence(&faults)))
        })
        .collect()
}

/// Faults in one message; the first says what to correct, since the others often follow from it.
pub(super) fn sentence<T: ToString>(faults: &[T]) -> String {
    let first = faults.first().map(T::to_string).unwrap_or_default();
    match faults.len() {
        0 | 1 => first,
        more => format!("{first}; and {} more", more - 1),
    }
}

/// The merged schema of a SuperGraph and where each of its parts is served.
///
/// `spec.merged_sdl` and `spec.schema` are not read: Tyk Operator writes what it made of the SubGraphs there, so they
/// can be older than the SubGraphs.
///
/// # Errors
/// Every reason why there is none, by field of the SuperGraph.
pub fn merged(super_graph: &SuperGraph, snapshot: &Snapshot, edges: &Edges) -> Result<Merged, Vec<Problem>> {
    let namespace = super_graph.metadata.namespace.as_deref().unwrap_or_default();
    let mut problems = Vec::new();
    let mut parts = Vec::new();
    for (index, target) in super_graph.spec.subgraph_refs.iter().enumerate() {
        let field = format!("spec.subgraph_refs[{index}]");
        let name = NamespacedName::new(target.namespace_or(namespace), &target.name);
        match part(&name, snapshot, edges) {
            Ok(part)
                if parts
                    .iter()
                    .any(|(_, other, _): &(_, NamespacedName, _)| *other == name) =>
            {
                drop(part);
                problems.push((Code::InvalidGraph, field, format!("SubGraph {name} is listed twice")));
            }
            Ok((sub_graph, api_id)) => parts.push((sub_graph, name, api_id)),
            Err((code, message)) => problems.push((code, field, message)),
        }
    }
    if super_graph.spec.subgraph_refs.is_empty() {
        let message = "a SuperGraph needs at least one SubGraph".to_owned();
        problems.push((Code::InvalidGraph, "spec.subgraph_refs".into(), message));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let names: Vec<String> = parts.iter().map(|(_, name, _)| name.to_string()).collect();
    let texts: Vec<(&str, &str)> = parts
        .iter()
        .zip(&names)
        .map(|((sub_graph, _, _), name)| (name.as_str(), sub_graph.spec.sdl.as_str()))
        .collect();
    let sdl = merge(&texts).map_err(|problems| {
        let about = |problem: super::merge::Problem| match problem.subgraph {
            Some(index) => (
                Code::InvalidGraph,
                format!("spec.subgraph_refs[{index}]"),
                format!("SubGraph {}, spec.sdl: {}", names[index], problem.message),
            ),
            None => (Code::InvalidGraph, "spec.subgraph_refs".to_owned(), problem.message),
        };
        problems.into_iter().map(about).collect::<Vec<_>>()
    })?;
    let entry = |(sub_graph, name, id): &(&SubGraph, NamespacedName, String)| {
        json!({
            "api_id": id, "name": name.name, "url": format!("tyk://{id}"), "sdl": sub_graph.spec.sdl, "headers": {},
        })
    };
    Ok(Merged {
        sdl,
        subgraphs: parts.iter().map(entry).collect(),
    })
}

/// A SubGraph and the id of the API that serves it.
fn part<'a>(
    name: &NamespacedName,
    snapshot: &'a Snapshot,
    edges: &Edges,
) -> Result<(&'a SubGraph, String), (Code, String)> {
    let Some(sub_graph) = snapshot.sub_graphs.get(name) else {
        return Err((Code::GraphNotFound, format!("SubGraph {name} does not exist")));
    };
    let server = edges.server(name).and_then(|api| snapshot.api_definitions.get(api));
    match server {
        Some(api) => Ok((sub_graph, api.whole().api_id())),
        None => Err((
            Code::GraphNotFound,
            format!(
                "no ApiDefinition serves SubGraph {name}; one in namespace {} needs `graphql.graph_ref: {}` and \
                 `execution_mode: subgraph`",
                name.namespace, name.name
            ),
        )),
    }
}
