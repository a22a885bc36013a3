//! GraphQL: an engine that the gateway cannot set up answers every query with an error. What a SubGraph or SuperGraph
//! fills in is not there yet.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Findings;
use crate::desired::classic::fields::{is_true, object, objects, text};

const MODES: [&str; 5] = ["", "proxyOnly", "executionEngine", "supergraph", "subgraph"];
const VERSIONS: [&str; 4] = ["", "1", "2", "3-preview"];
const SOURCES_OF_1: [&str; 3] = ["GraphQLDataSource", "HTTPJSONDataSource", "HTTPJsonDataSource"];
const SOURCES_OF_2: [&str; 3] = ["REST", "GraphQL", "Kafka"];

pub(super) fn check(definition: &Map<String, Value>, found: &mut Findings) {
    let Some(graphql) = object(definition, "graphql").filter(|graphql| is_true(graphql, "enabled")) else {
        return;
    };
    let (mode, version) = (text(graphql, "execution_mode"), text(graphql, "version"));
    found.one_of("graphql.execution_mode", mode, &MODES);
    found.one_of("graphql.version", version, &VERSIONS);
    let federated = matches!(mode, "supergraph" | "subgraph");
    if !federated && text(graphql, "schema").trim().is_empty() {
        found.error("graphql.schema", "GraphQL needs a schema");
    }
    if mode == "executionEngine" {
        match version {
            "" | "1" => first(graphql, found),
            _ => second(graphql, found),
        }
    }
}

fn first(graphql: &Map<String, Value>, found: &mut Findings) {
    for (index, field) in objects(graphql, "type_field_configurations") {
        let empty = Map::new();
        let source = object(field, "data_source").unwrap_or(&empty);
        let config = object(source, "data_source_config").unwrap_or(&empty);
        let field = format!("graphql.type_field_configurations[{index}].data_source");
        found.one_of(format_args!("{field}.kind"), text(source, "kind"), &SOURCES_OF_1);
        for name in ["url", "method"] {
            if text(config, name).is_empty() {
                found.error(format_args!("{field}.data_source_config.{name}"), "it is empty");
            }
        }
    }
}

fn second(graphql: &Map<String, Value>, found: &mut Findings) {
    let mut names = BTreeSet::new();
    let engine = object(graphql, "engine");
    for (index, source) in engine.into_iter().flat_map(|engine| objects(engine, "data_sources")) {
        let field = format!("graphql.engine.data_sources[{index}]");
        found.one_of(format_args!("{field}.kind"), text(source, "kind"), &SOURCES_OF_2);
        let name = text(source, "name").trim().to_lowercase();
        if !names.insert(name.clone()) {
            let message = format!("another data source is named {name:?}");
            found.error(format_args!("{field}.name"), message);
        }
    }
}
