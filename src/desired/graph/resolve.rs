//! Fills the definition of a GraphQL API with what it refers to.

use serde_json::{Map, Value, json};

use super::edges::{Edges, SUBGRAPH, SUPERGRAPH, enabled, graph_ref, mode, text};
use super::objects::{faults, merged, sentence};
use super::{sdl, sources};
use crate::diagnostic::Code;
use crate::snapshot::{NamespacedName, Snapshot};

/// A finding: its code, the field, the message.
pub type Problem = (Code, String, String);

/// What stands in an entry of `graphql.supergraph.subgraphs` and only its user knows.
const SETTINGS_OF_SUBGRAPHS: [&str; 3] = ["headers", "sse_use_post", "subscription_type"];

/// Makes `graphql` of the ApiDefinition `name` what the gateway reads: takes schemas out of the SubGraph or SuperGraph
/// that `graph_ref` names, and checks the sources of an API that the gateway answers itself. Nothing is changed by
/// a definition without GraphQL. With any problem, the definition cannot be served as it stands.
pub fn resolve(
    definition: &mut Map<String, Value>,
    name: &NamespacedName,
    snapshot: &Snapshot,
    edges: &Edges,
) -> Vec<Problem> {
    let result = match enabled(definition) {
        Some(graphql) => filled(graphql, name, snapshot, edges),
        None => Ok(Map::new()),
    };
    let Some(graphql) = definition.get_mut("graphql").and_then(Value::as_object_mut) else {
        return Vec::new();
    };
    graphql.remove("graph_ref");
    sources::normalize(graphql);
    match result {
        Ok(fields) => {
            graphql.extend(fields);
            Vec::new()
        }
        Err(problems) => problems,
    }
}

/// Fields of `graphql` that take the place of those of the definition.
fn filled(
    graphql: &Map<String, Value>,
    name: &NamespacedName,
    snapshot: &Snapshot,
    edges: &Edges,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let graph = graph_ref(graphql).map(|graph| NamespacedName::new(&name.namespace, graph));
    match (mode(graphql), graph) {
        (SUBGRAPH, Some(graph)) => sub_graph(graphql, &graph, name, snapshot, edges),
        (SUBGRAPH, None) => inline_sub_graph(graphql),
        (SUPERGRAPH, Some(graph)) => super_graph(graphql, &graph, snapshot, edges),
        (SUPERGRAPH, None) => Err(vec![invalid(
            "graph_ref",
            "GraphRef is not set: name the SuperGraph that the API serves".into(),
        )]),
        (mode, Some(graph)) => Err(vec![invalid(
            "graph_ref",
            format!("{graph} has no effect with execution_mode {mode:?}; use subgraph or supergraph, or remove it"),
        )]),
        ("executionEngine", None) => {
            let mut problems: Vec<Problem> = schema(graphql, "schema").into_iter().collect();
            let found = sources::check(graphql).into_iter();
            problems.extend(found.map(|(field, message)| invalid(&field, message)));
            if problems.is_empty() {
                Ok(Map::new())
            } else {
                Err(problems)
            }
        }
        (_, None) => Ok(Map::new()),
    }
}

fn invalid(field: &str, message: String) -> Problem {
    (Code::InvalidDefinition, format!("spec.graphql.{field}"), message)
}

/// What is wrong with a schema of the definition itself.
fn schema(graphql: &Map<String, Value>, field: &str) -> Option<Problem> {
    let faults = match text(graphql, field) {
        "" => return Some(invalid(field, "the API needs a schema".into())),
        text => sdl::parse(text).err()?,
    };
    Some((Code::InvalidGraph, format!("spec.graphql.{field}"), sentence(&faults)))
}

fn inline_sub_graph(graphql: &Map<String, Value>) -> Result<Map<String, Value>, Vec<Problem>> {
    if text(graphql, "schema").is_empty() {
        let message = "name a SubGraph, or write its schema into graphql.schema".to_owned();
        return Err(vec![invalid("graph_ref", message)]);
    }
    let of_sdl = graphql
        .get("subgraph")
        .and_then(Value::as_object)
        .filter(|subgraph| !text(subgraph, "sdl").is_empty())
        .and_then(|subgraph| schema(subgraph, "sdl"))
        .map(|(code, _, message)| (code, "spec.graphql.subgraph.sdl".to_owned(), message));
    let problems: Vec<Problem> = schema(graphql, "schema").into_iter().chain(of_sdl).collect();
    if problems.is_empty() {
        Ok(Map::new())
    } else {
        Err(problems)
    }
}

fn sub_graph(
    graphql: &Map<String, Value>,
    graph: &NamespacedName,
    name: &NamespacedName,
    snapshot: &Snapshot,
    edges: &Edges,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let field = || "spec.graphql.graph_ref".to_owned();
    let Some(found) = snapshot.sub_graphs.get(graph) else {
        let hint = match snapshot.super_graphs.contains_key(graph) {
            true => format!("; SuperGraph {graph} does, for which execution_mode is supergraph"),
            false => String::new(),
        };
        let message = format!("SubGraph {graph} does not exist{hint}");
        return Err(vec![(Code::GraphNotFound, field(), message)]);
    };
    if let Some(server) = edges.server(graph).filter(|server| *server != name) {
        let message = format!(
            "linking one SubGraph to multiple ApiDefinition is forbidden: ApiDefinition {server} already serves {graph}"
        );
        return Err(vec![(Code::GraphInUse, field(), message)]);
    }
    if let Some((code, of, message)) = faults(found).into_iter().next() {
        let message = format!("SubGraph {graph} cannot be used: {of}, {message}");
        return Err(vec![(code, field(), message)]);
    }
    let mut subgraph = object(graphql, "subgraph");
    subgraph.insert("sdl".into(), json!(found.spec.sdl));
    Ok(Map::from_iter([
        ("schema".into(), json!(found.spec.schema)),
        ("subgraph".into(), subgraph.into()),
    ]))
}

fn super_graph(
    graphql: &Map<String, Value>,
    graph: &NamespacedName,
    snapshot: &Snapshot,
    edges: &Edges,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let field = || "spec.graphql.graph_ref".to_owned();
    if text(graphql, "version") == "1" {
        let message = "the gateway serves supergraphs with version \"2\" only".to_owned();
        return Err(vec![invalid("version", message)]);
    }
    let Some(found) = snapshot.super_graphs.get(graph) else {
        let hint = match snapshot.sub_graphs.contains_key(graph) {
            true => format!("; SubGraph {graph} does, for which execution_mode is subgraph"),
            false => String::new(),
        };
        let message = format!("SuperGraph {graph} does not exist{hint}");
        return Err(vec![(Code::GraphNotFound, field(), message)]);
    };
    let merged = merged(found, snapshot, edges).map_err(|problems| {
        let code = problems.first().map_or(Code::InvalidGraph, |(code, ..)| *code);
        let texts: Vec<&str> = problems.iter().map(|(_, _, message)| message.as_str()).collect();
        let message = format!("SuperGraph {graph} cannot be used: {}", sentence(&texts));
        vec![(code, field(), message)]
    })?;
    let mut supergraph = object(graphql, "supergraph");
    let written = supergraph.remove("subgraphs").unwrap_or_default();
    let subgraphs: Vec<Value> = merged
        .subgraphs
        .into_iter()
        .map(|subgraph| with_settings(subgraph, &written))
        .collect();
    supergraph.insert("subgraphs".into(), subgraphs.into());
    supergraph.insert("merged_sdl".into(), json!(merged.sdl));
    Ok(Map::from_iter([
        ("schema".into(), json!(merged.sdl)),
        ("supergraph".into(), supergraph.into()),
        // Without a version the gateway takes 1, with which it refuses every request to a supergraph.
        (
            "version".into(),
            match text(graphql, "version") {
                "" => json!("2"),
                version => json!(version),
            },
        ),
    ]))
}

/// An entry with the headers and the subscription settings that the definition has for a subgraph of this name or id.
fn with_settings(mut subgraph: Value, written: &Value) -> Value {
    let same = |entry: &&Value| {
        let equal = |field: &str| entry.get(field).is_some_and(|value| subgraph.get(field) == Some(value));
        equal("api_id") || equal("name")
    };
    let Some(entry) = written.as_array().and_then(|entries| entries.iter().find(same)) else {
        return subgraph;
    };
    for field in SETTINGS_OF_SUBGRAPHS {
        if let (Some(value), Some(object)) = (entry.get(field), subgraph.as_object_mut()) {
            object.insert(field.into(), value.clone());
        }
    }
    subgraph
}

fn object(graphql: &Map<String, Value>, field: &str) -> Map<String, Value> {
    graphql
        .get(field)
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}
