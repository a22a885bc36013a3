//! The CustomResourceDefinitions: names and columns from the Rust types, schemas from `schema/*.yaml`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceValidation, JSONSchemaProps,
};
use kube::CustomResourceExt;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{ApiDefinition, OperatorContext};

/// What a schema file holds. A further key, `shared`, is only a home for YAML anchors.
#[derive(Deserialize)]
struct SchemaFile {
    /// What the kind is for.
    description: String,
    /// Whether `spec` is a definition of Tyk's, see [`open`].
    #[serde(default)]
    open: bool,
    /// Schema of `spec`.
    spec: Value,
    /// Schema of `status`.
    status: Value,
}

/// Every CustomResourceDefinition of this program, in the order of their kinds.
///
/// # Panics
/// When a schema that is compiled in is broken, which the tests exclude.
pub fn all_crds() -> Vec<CustomResourceDefinition> {
    vec![
        with_schema(
            ApiDefinition::crd(),
            include_str!("schema/apidefinition.yaml"),
        ),
        with_schema(
            OperatorContext::crd(),
            include_str!("schema/operatorcontext.yaml"),
        ),
    ]
}

/// [`all_crds`] as one text of several YAML documents; the same bytes on every run.
///
/// # Panics
/// As [`all_crds`].
pub fn crds_yaml() -> String {
    all_crds().iter().map(to_yaml).collect()
}

/// One CustomResourceDefinition as a YAML document, with the separator before it.
///
/// # Panics
/// As [`all_crds`].
pub fn to_yaml(crd: &CustomResourceDefinition) -> String {
    let text = serde_saphyr::to_string(crd).expect("a CustomResourceDefinition is plain data");
    format!("---\n{text}")
}

fn with_schema(mut crd: CustomResourceDefinition, yaml: &str) -> CustomResourceDefinition {
    let file: SchemaFile = serde_saphyr::from_str(yaml).expect("the embedded schema is YAML");
    let schema: JSONSchemaProps =
        serde_json::from_value(root(file)).expect("the embedded schema is a JSON schema");
    for version in &mut crd.spec.versions {
        version.schema = Some(CustomResourceValidation {
            open_api_v3_schema: Some(schema.clone()),
        });
    }
    crd
}

/// `spec` is required, which Tyk Operator forgot: an object without one cannot be decoded, and one such object would stop
/// the watch of its whole kind.
fn root(mut file: SchemaFile) -> Value {
    if file.open {
        open(&mut file.spec);
    }
    json!({
        "type": "object",
        "description": file.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Group and version of this object."},
            "kind": {"type": "string", "description": "Kind of this object."},
            "metadata": {"type": "object"},
            "spec": file.spec,
            "status": file.status,
        },
    })
}

/// Opens an object to fields that the schema does not know, and everything in it too.
///
/// The objects, lists and maps in it may be null, unless the schema says otherwise: Tyk writes null for an empty one,
/// and a definition that Tyk exported must be accepted as it is.
fn open(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    if schema.get("type") == Some(&json!("object")) && !schema.contains_key("additionalProperties")
    {
        schema.insert("x-kubernetes-preserve-unknown-fields".into(), json!(true));
    }
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    properties
        .into_iter()
        .flat_map(Map::values_mut)
        .for_each(open_child);
    schema.get_mut("items").into_iter().for_each(open_child);
    schema
        .get_mut("additionalProperties")
        .into_iter()
        .for_each(open_child);
}

fn open_child(schema: &mut Value) {
    open(schema);
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    if schema
        .get("type")
        .is_some_and(|of| of == "object" || of == "array")
    {
        schema.entry("nullable").or_insert(json!(true));
    }
}
