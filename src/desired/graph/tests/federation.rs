//! APIs, SubGraphs and SuperGraphs together.

use serde_json::{Map, Value, json};

use crate::api::{ApiDefinition, SubGraph, SuperGraph};
use crate::desired::graph::{diagnose, edges, resolve};
use crate::snapshot::{NamespacedName, Snapshot};

const USERS: &str = "type Query { me: User }\ntype User @key(fields: \"id\") { id: ID! }\n";
const POSTS: &str = "extend type User @key(fields: \"id\") { id: ID! @external posts: Int }\n";

fn object(name: &str, spec: Value) -> Value {
    json!({"metadata": {"namespace": "shop", "name": name}, "spec": spec})
}

struct World(Snapshot);

impl World {
    /// Two SubGraphs, the APIs that serve them, a SuperGraph of both and its API.
    fn new() -> Self {
        let mut world = Self(Snapshot::default());
        world.sub_graph("users", USERS);
        world.sub_graph("posts", POSTS);
        world.api(
            "users-api",
            "2024-01-01T00:00:00Z",
            "subgraph",
            Some("users"),
            json!({}),
        );
        world.api(
            "posts-api",
            "2024-01-01T00:00:00Z",
            "subgraph",
            Some("posts"),
            json!({}),
        );
        world.super_graph(json!({"subgraph_refs": [{"name": "users"}, {"name": "posts", "namespace": "shop"}]}));
        world.api("all", "2024-01-01T00:00:00Z", "supergraph", Some("all"), json!({}));
        world
    }

    fn sub_graph(&mut self, name: &str, sdl: &str) {
        let spec = json!({"sdl": sdl, "schema": "type Query { me: Int }"});
        self.0
            .insert::<SubGraph>(serde_json::from_value(object(name, spec)).unwrap());
    }

    fn super_graph(&mut self, spec: Value) {
        self.0
            .insert::<SuperGraph>(serde_json::from_value(object("all", spec)).unwrap());
    }

    fn api(&mut self, name: &str, created: &str, mode: &str, graph: Option<&str>, more: Value) {
        let mut graphql = json!({"enabled": true, "execution_mode": mode, "graph_ref": graph});
        graphql
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let mut api = object(name, json!({"name": name, "graphql": graphql}));
        api["metadata"]["creationTimestamp"] = json!(created);
        self.0.insert::<ApiDefinition>(serde_json::from_value(api).unwrap());
    }

    /// `graphql` as the gateway gets it, or `code field: message` of each problem.
    fn graphql(&self, name: &str) -> Result<Value, Vec<String>> {
        let name = NamespacedName::new("shop", name);
        let mut definition: Map<String, Value> = self.0.api_definitions[&name].spec().definition.fields();
        let problems = resolve(&mut definition, &name, &self.0, &edges(&self.0));
        if problems.is_empty() {
            return Ok(definition["graphql"].clone());
        }
        Err(problems
            .into_iter()
            .map(|(code, field, message)| format!("{code} {field}: {message}"))
            .collect())
    }

    fn told(&self) -> Vec<String> {
        diagnose(&self.0, &edges(&self.0))
            .into_iter()
            .map(|one| format!("{} {} {}: {}", one.code, one.object, one.field, one.message))
            .collect()
    }
}

#[test]
fn a_subgraph_api_gets_schema_and_sdl_of_its_subgraph() {
    let world = World::new();
    assert_eq!(
        world.graphql("users-api").unwrap(),
        json!({
            "enabled": true, "execution_mode": "subgraph",
            "schema": "type Query { me: Int }", "subgraph": {"sdl": USERS},
        })
    );
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn a_supergraph_api_gets_the_merged_schema_and_where_its_parts_are() {
    let merged = "type Query {\n  me: User\n}\n\ntype User {\n  id: ID!\n  posts: Int\n}\n";
    assert_eq!(
        World::new().graphql("all").unwrap(),
        json!({
            "enabled": true, "execution_mode": "supergraph", "version": "2", "schema": merged,
            "supergraph": {
                "merged_sdl": merged,
                "subgraphs": [
                    {"api_id": "c2hvcC91c2Vycy1hcGk", "name": "users", "url": "tyk://c2hvcC91c2Vycy1hcGk", "sdl": USERS,
                     "headers": {}},
                    {"api_id": "c2hvcC9wb3N0cy1hcGk", "name": "posts", "url": "tyk://c2hvcC9wb3N0cy1hcGk", "sdl": POSTS,
                     "headers": {}},
                ],
            },
        })
    );
}

#[test]
fn settings_of_a_supergraph_api_stay_and_derived_schemas_are_made_anew() {
    let mut world = World::new();
    let refs = json!([{"name": "users"}, {"name": "posts"}]);
    world.super_graph(json!({"subgraph_refs": refs, "merged_sdl": "old", "schema": "old"}));
    let settings = json!({"version": "3-preview", "schema": "old", "supergraph": {
        "merged_sdl": "old", "global_headers": {"a": "b"}, "disable_query_batching": true,
        "subgraphs": [{"name": "posts", "sdl": "old", "url": "old", "headers": {"c": "d"}, "subscription_type": "sse"}],
    }});
    world.api("all", "2024-01-01T00:00:00Z", "supergraph", Some("all"), settings);
    let graphql = world.graphql("all").unwrap();
    assert!(!graphql.to_string().contains("old"), "{graphql}");
    assert_eq!(graphql["version"], "3-preview");
    assert_eq!(graphql["supergraph"]["global_headers"], json!({"a": "b"}));
    assert_eq!(graphql["supergraph"]["disable_query_batching"], true);
    assert_eq!(graphql["supergraph"]["subgraphs"][0]["headers"], json!({}));
    assert_eq!(graphql["supergraph"]["subgraphs"][1]["headers"], json!({"c": "d"}));
    assert_eq!(graphql["supergraph"]["subgraphs"][1]["subscription_type"], "sse");
}

#[test]
fn a_broken_sdl_is_told_at_each_object_that_needs_it() {
    let mut world = World::new();
    world.sub_graph("posts", "type Query {\n  a: \n}");
    let fault = "line 3, column 1: expected a Type, found \"}\"";
    assert_eq!(
        world.told(),
        [
            format!("InvalidGraph SubGraph shop/posts spec.sdl: {fault}"),
            format!("InvalidGraph SuperGraph shop/all spec.subgraph_refs[1]: SubGraph shop/posts, spec.sdl: {fault}"),
        ]
    );
    assert_eq!(
        world.graphql("posts-api").unwrap_err(),
        [format!(
            "InvalidGraph spec.graphql.graph_ref: SubGraph shop/posts cannot be used: spec.sdl, {fault}"
        )]
    );
    assert_eq!(
        world.graphql("all").unwrap_err(),
        [format!(
            "InvalidGraph spec.graphql.graph_ref: SuperGraph shop/all cannot be used: SubGraph shop/posts, spec.sdl: {fault}"
        )]
    );
    assert!(world.graphql("users-api").is_ok());
}

#[test]
fn subgraphs_that_do_not_fit_are_told_at_the_supergraph() {
    let mut world = World::new();
    world.sub_graph("posts", "type Query { b: Int }\ntype User { id: Int }");
    let message = "type User has a key and is defined in subgraphs shop/users and shop/posts; let all but one of them \
                   extend it";
    let told = world.told();
    assert_eq!(
        told[0],
        format!("InvalidGraph SuperGraph shop/all spec.subgraph_refs: {message}")
    );
    assert!(
        world.graphql("all").unwrap_err()[0].starts_with("InvalidGraph spec.graphql.graph_ref: SuperGraph shop/all")
    );
    assert!(world.graphql("posts-api").is_ok());
}

#[test]
fn the_oldest_api_serves_a_subgraph() {
    let mut world = World::new();
    world.api("again", "2023-01-01T00:00:00Z", "subgraph", Some("users"), json!({}));
    assert!(world.graphql("again").is_ok());
    assert_eq!(
        world.graphql("users-api").unwrap_err(),
        [
            "GraphInUse spec.graphql.graph_ref: linking one SubGraph to multiple ApiDefinition is forbidden: \
             ApiDefinition shop/again already serves shop/users"
        ]
    );
    let subgraphs = world.graphql("all").unwrap()["supergraph"]["subgraphs"].clone();
    assert_eq!(subgraphs[0]["url"], "tyk://c2hvcC9hZ2Fpbg");
}

#[test]
fn references_to_nothing_are_told() {
    let mut world = World::new();
    world.super_graph(json!({"subgraph_refs": [
        {"name": "users"}, {"name": "gone"}, {"name": "users"}, {"name": "lone"},
    ]}));
    world.sub_graph("lone", POSTS);
    assert_eq!(
        world.told(),
        [
            "GraphNotFound SuperGraph shop/all spec.subgraph_refs[1]: SubGraph shop/gone does not exist",
            "InvalidGraph SuperGraph shop/all spec.subgraph_refs[2]: SubGraph shop/users is listed twice",
            "GraphNotFound SuperGraph shop/all spec.subgraph_refs[3]: no ApiDefinition serves SubGraph shop/lone; one in \
             namespace shop needs `graphql.graph_ref: lone` and `execution_mode: subgraph`",
        ]
    );
    assert_eq!(
        world.graphql("all").unwrap_err(),
        [
            "GraphNotFound spec.graphql.graph_ref: SuperGraph shop/all cannot be used: SubGraph shop/gone does not exist; \
          and 2 more"
        ]
    );
    world.super_graph(json!({"subgraph_refs": []}));
    assert_eq!(
        world.told(),
        ["InvalidGraph SuperGraph shop/all spec.subgraph_refs: a SuperGraph needs at least one SubGraph"]
    );
}

#[test]
fn modes_and_references_have_to_go_together() {
    let table = [
        (
            "subgraph",
            Some("nope"),
            "GraphNotFound spec.graphql.graph_ref: SubGraph shop/nope does not exist",
        ),
        (
            "subgraph",
            Some("all"),
            "GraphNotFound spec.graphql.graph_ref: SubGraph shop/all does not exist; SuperGraph shop/all does, for which \
             execution_mode is supergraph",
        ),
        (
            "supergraph",
            Some("users"),
            "GraphNotFound spec.graphql.graph_ref: SuperGraph shop/users does not exist; SubGraph shop/users does, for \
             which execution_mode is subgraph",
        ),
        (
            "proxyOnly",
            Some("users"),
            "InvalidDefinition spec.graphql.graph_ref: shop/users has no effect with execution_mode \"proxyOnly\"; use \
             subgraph or supergraph, or remove it",
        ),
        (
            "supergraph",
            None,
            "InvalidDefinition spec.graphql.graph_ref: GraphRef is not set: name the SuperGraph that the API serves",
        ),
        (
            "subgraph",
            None,
            "InvalidDefinition spec.graphql.graph_ref: name a SubGraph, or write its schema into graphql.schema",
        ),
        (
            "executionEngine",
            None,
            "InvalidDefinition spec.graphql.schema: the API needs a schema",
        ),
    ];
    for (mode, graph, message) in table {
        let mut world = World::new();
        world.api("one", "2024-01-01T00:00:00Z", mode, graph, json!({}));
        assert_eq!(world.graphql("one").unwrap_err(), [message]);
    }
    let mut world = World::new();
    world.api(
        "all",
        "2024-01-01T00:00:00Z",
        "supergraph",
        Some("all"),
        json!({"version": "1"}),
    );
    assert_eq!(
        world.graphql("all").unwrap_err(),
        ["InvalidDefinition spec.graphql.version: the gateway serves supergraphs with version \"2\" only"]
    );
}

#[test]
fn what_is_not_asked_for_is_left_alone() {
    let mut world = World::new();
    world.api(
        "proxy",
        "2024-01-01T00:00:00Z",
        "proxyOnly",
        None,
        json!({"schema": "not read", "next": [1]}),
    );
    let expected = json!({"enabled": true, "execution_mode": "proxyOnly", "schema": "not read", "next": [1]});
    assert_eq!(world.graphql("proxy").unwrap(), expected);
    world.api(
        "off",
        "2024-01-01T00:00:00Z",
        "supergraph",
        Some("nope"),
        json!({"enabled": false}),
    );
    let expected = json!({"enabled": false, "execution_mode": "supergraph"});
    assert_eq!(world.graphql("off").unwrap(), expected);
    let inline = json!({"schema": "type Query { a: Int }", "subgraph": {"sdl": "type Query { a: Int }"}});
    world.api("inline", "2024-01-01T00:00:00Z", "subgraph", None, inline);
    assert!(world.graphql("inline").is_ok());
}

#[test]
fn data_sources_are_checked_as_the_webhook_of_tyk_operator_does() {
    let source = |kind: &str, config: Value| json!({"data_source": {"kind": kind, "data_source_config": config}});
    let good = json!({"url": "http://users/{{.arguments.id}}", "method": "GET"});
    let mut world = World::new();
    world.api(
        "udg",
        "2024-01-01T00:00:00Z",
        "executionEngine",
        None,
        json!({
            "schema": "type Query { a: Int }",
            "type_field_configurations": [
                source("HTTPJsonDataSource", good.clone()),
                source("GraphQLDataSource", json!({})),
                source("SOAP", good.clone()),
                source("HTTPJSONDataSource", json!({"url": "users:hunter2@host", "method": "GET"})),
            ],
            "engine": {"data_sources": [
                {"kind": "REST", "config": good},
                {"kind": "Kafka", "config": {"topics": ["a"]}},
                {"kind": "GraphQL", "config": {"url": "http://a"}},
                {"kind": "", "config": {}},
            ]},
        }),
    );
    let v1 = "InvalidDefinition spec.graphql.type_field_configurations";
    let v2 = "InvalidDefinition spec.graphql.engine.data_sources";
    assert_eq!(
        world.graphql("udg").unwrap_err(),
        [
            format!("{v1}[1].data_source.data_source_config.url: can't be empty"),
            format!("{v1}[1].data_source.data_source_config.method: can't be empty"),
            format!(
                "{v1}[2].data_source.kind: \"SOAP\" is not a kind of data source; write HTTPJSONDataSource or \
                 GraphQLDataSource"
            ),
            format!("{v1}[3].data_source.data_source_config.url: the URL has no scheme such as http://"),
            format!("{v2}[2].config.method: can't be empty"),
            format!("{v2}[3].kind: \"\" is not a kind of data source; write REST, GraphQL or Kafka"),
        ]
    );
    let fine = source("HTTPJsonDataSource", json!({"url": "http://users", "method": "GET"}));
    let config = json!({"schema": "type Query { a: Int }", "type_field_configurations": [fine]});
    world.api("udg", "2024-01-01T00:00:00Z", "executionEngine", None, config);
    let graphql = world.graphql("udg").unwrap();
    let kind = &graphql["type_field_configurations"][0]["data_source"]["kind"];
    assert_eq!(kind, "HTTPJSONDataSource", "the gateway knows no other spelling");
}

#[test]
fn edges_say_who_keeps_whom() {
    let world = World::new();
    let edges = edges(&world.0);
    let name = |name: &str| NamespacedName::new("shop", name);
    assert_eq!(edges.server(&name("users")), Some(&name("users-api")));
    assert_eq!(edges.served_by(&name("posts-api")), Some(&name("posts")));
    assert_eq!(edges.served_by(&name("all")), None);
    let reason = "subgraph is referenced in SuperGraph shop/all";
    assert_eq!(edges.keeps_sub_graph(&name("users")).as_deref(), Some(reason));
    let reason = "SuperGraph is referenced in ApiDefinition shop/all";
    assert_eq!(edges.keeps_super_graph(&name("all")).as_deref(), Some(reason));
    let mut world = World::new();
    world.super_graph(json!({"subgraph_refs": [{"name": "posts"}]}));
    let edges = super::super::edges(&world.0);
    let reason = "subgraph is referenced in ApiDefinition shop/users-api";
    assert_eq!(edges.keeps_sub_graph(&name("users")).as_deref(), Some(reason));
    assert_eq!(edges.keeps_sub_graph(&name("gone")), None);
}
