//! Who uses whom among ApiDefinitions, SubGraphs and SuperGraphs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::api::ApiDefinition;
use crate::snapshot::{NamespacedName, Snapshot, Stored};

/// Value of `graphql.execution_mode` for an API that serves a SubGraph.
pub const SUBGRAPH: &str = "subgraph";
/// Value of `graphql.execution_mode` for an API that serves a SuperGraph.
pub const SUPERGRAPH: &str = "supergraph";

/// The references of a snapshot, whether or not what they name exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    /// ApiDefinitions by the SubGraph that they name, the oldest first: it serves the SubGraph, the others may not.
    pub apis_of_sub_graphs: BTreeMap<NamespacedName, Vec<NamespacedName>>,
    /// ApiDefinitions by the SuperGraph that they name, in the order of their names. Each of them serves it.
    pub apis_of_super_graphs: BTreeMap<NamespacedName, Vec<NamespacedName>>,
    /// SuperGraphs by the SubGraphs that they name, in the order of their names.
    pub super_graphs: BTreeMap<NamespacedName, Vec<NamespacedName>>,
}

impl Edges {
    /// The ApiDefinition that serves a SubGraph: what its `status.linked_by_api` is about.
    pub fn server(&self, sub_graph: &NamespacedName) -> Option<&NamespacedName> {
        self.apis_of_sub_graphs.get(sub_graph)?.first()
    }

    /// The SubGraph that an ApiDefinition serves: its `status.linked_to_subgraph`.
    pub fn served_by(&self, api: &NamespacedName) -> Option<&NamespacedName> {
        let mut sub_graphs = self.apis_of_sub_graphs.iter();
        sub_graphs.find_map(|(sub_graph, apis)| (apis.first() == Some(api)).then_some(sub_graph))
    }

    /// Why a SubGraph cannot be deleted, in the words of Tyk Operator.
    pub fn keeps_sub_graph(&self, sub_graph: &NamespacedName) -> Option<String> {
        let first = |users: &BTreeMap<NamespacedName, Vec<NamespacedName>>| users.get(sub_graph)?.first().cloned();
        match (first(&self.super_graphs), first(&self.apis_of_sub_graphs)) {
            (Some(name), _) => Some(format!("subgraph is referenced in SuperGraph {name}")),
            (None, Some(name)) => Some(format!("subgraph is referenced in ApiDefinition {name}")),
            (None, None) => None,
        }
    }

    /// Why a SuperGraph cannot be deleted; it begins with the words of Tyk Operator.
    pub fn keeps_super_graph(&self, super_graph: &NamespacedName) -> Option<String> {
        let api = self.apis_of_super_graphs.get(super_graph)?.first()?;
        Some(format!("SuperGraph is referenced in ApiDefinition {api}"))
    }
}

/// The references between the objects of a snapshot. Templates serve nothing, nor does what is inactive or being deleted.
pub fn edges(snapshot: &Snapshot) -> Edges {
    let mut edges = Edges::default();
    let mut apis: Vec<(&NamespacedName, Arc<ApiDefinition>)> = snapshot
        .api_definitions
        .iter()
        .filter(|(_, api)| api.may_name_others())
        .map(|(name, api)| (name, api.whole()))
        .filter(|(_, api)| !api.is_template() && !api.is_inactive() && api.metadata.deletion_timestamp.is_none())
        .collect();
    apis.sort_by_key(|(name, api)| {
        let created = api.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created.is_none(), created, *name)
    });
    for (name, api) in apis {
        let definition = api.spec.definition.fields();
        let Some(graphql) = enabled(&definition) else {
            continue;
        };
        let users = match mode(graphql) {
            SUBGRAPH => &mut edges.apis_of_sub_graphs,
            SUPERGRAPH => &mut edges.apis_of_super_graphs,
            _ => continue,
        };
        if let Some(graph) = graph_ref(graphql) {
            let graph = NamespacedName::new(&name.namespace, graph);
            users.entry(graph).or_default().push(name.clone());
        }
    }
    edges.apis_of_super_graphs.values_mut().for_each(|apis| apis.sort());
    for (name, super_graph) in snapshot.super_graphs.iter() {
        for target in &super_graph.spec.subgraph_refs {
            let sub_graph = NamespacedName::new(target.namespace_or(&name.namespace), &target.name);
            let users = edges.super_graphs.entry(sub_graph).or_default();
            if !users.contains(name) {
                users.push(name.clone());
            }
        }
    }
    edges
}

/// `graphql` of a definition, when it is switched on.
pub(super) fn enabled(definition: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let graphql = definition.get("graphql")?.as_object()?;
    (graphql.get("enabled") == Some(&Value::Bool(true))).then_some(graphql)
}

pub(super) fn mode(graphql: &Map<String, Value>) -> &str {
    text(graphql, "execution_mode")
}

pub(super) fn graph_ref(graphql: &Map<String, Value>) -> Option<&str> {
    Some(text(graphql, "graph_ref")).filter(|name| !name.is_empty())
}

pub(super) fn text<'a>(object: &'a Map<String, Value>, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}
