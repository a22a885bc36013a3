//! The CustomResourceDefinitions: names from the Rust types, columns and schemas from `schema/*.yaml`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Resource;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    APIDescription, ApiDefinition, OperatorContext, PortalAPICatalogue, PortalConfig, SecurityPolicy, SubGraph,
    SuperGraph, TykMcpProxyDefinition, TykOasApiDefinition, TykStreamsApiDefinition,
    names::{CATEGORY, GROUP, VERSION},
};

/// The text of a kind's schema: what all share, what some share, and its own.
macro_rules! schema {
    ($($file:literal)+) => {
        concat!(include_str!("schema/common.yaml"), $(include_str!(concat!("schema/", $file))),+)
    };
}

/// What a schema file holds. Further keys, such as `common` and `shared`, are only homes for YAML anchors.
#[derive(Deserialize)]
struct SchemaFile {
    /// What the kind is for.
    description: String,
    /// Short names for kubectl.
    short_names: Option<Vec<String>>,
    /// Columns of `kubectl get`, in the form of the CustomResourceDefinition.
    columns: Value,
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
        crd::<APIDescription>(schema!("portal.yaml" "apidescription.yaml")),
        crd::<ApiDefinition>(schema!("apidefinition.yaml")),
        crd::<OperatorContext>(schema!("operatorcontext.yaml")),
        crd::<PortalAPICatalogue>(schema!("portal.yaml" "portalapicatalogue.yaml")),
        crd::<PortalConfig>(schema!("portal.yaml" "portalconfig.yaml")),
        crd::<SecurityPolicy>(schema!("securitypolicy.yaml")),
        crd::<SubGraph>(schema!("subgraph.yaml")),
        crd::<SuperGraph>(schema!("supergraph.yaml")),
        crd::<TykMcpProxyDefinition>(schema!("tykmcpproxydefinition.yaml")),
        crd::<TykOasApiDefinition>(schema!("tykoasapidefinition.yaml")),
        crd::<TykStreamsApiDefinition>(schema!("tykstreamsapidefinition.yaml")),
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

fn crd<K: Resource<DynamicType = ()>>(yaml: &str) -> CustomResourceDefinition {
    let mut file: SchemaFile = serde_saphyr::from_str(yaml).expect("the embedded schema is YAML");
    if file.open {
        open(&mut file.spec);
    }
    let (kind, plural) = (K::kind(&()), K::plural(&()));
    let names = json!({
        "kind": kind,
        "listKind": format!("{kind}List"),
        "plural": plural,
        "singular": kind.to_ascii_lowercase(),
        "shortNames": file.short_names,
        "categories": [CATEGORY],
    });
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{GROUP}")},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version(&file)]},
    });
    serde_json::from_value(crd).expect("the embedded schema is a JSON schema")
}

fn version(file: &SchemaFile) -> Value {
    let schema = json!({
        "type": "object",
        "description": file.description,
        "properties": {
            "apiVersion": {"type": "string", "description": "Group and version of this object."},
            "kind": {"type": "string", "description": "Kind of this object."},
            "metadata": {"type": "object"},
            "spec": file.spec,
            "status": file.status,
        },
    });
    json!({
        "name": VERSION,
        "served": true,
        "storage": true,
        "subresources": {"status": {}},
        "additionalPrinterColumns": file.columns,
        "schema": {"openAPIV3Schema": schema},
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
    if schema.get("type") == Some(&json!("object")) && !schema.contains_key("additionalProperties") {
        schema.insert("x-kubernetes-preserve-unknown-fields".into(), json!(true));
    }
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    properties.into_iter().flat_map(Map::values_mut).for_each(open_child);
    schema.get_mut("items").into_iter().for_each(open_child);
    schema.get_mut("additionalProperties").into_iter().for_each(open_child);
}

fn open_child(schema: &mut Value) {
    open(schema);
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    if schema.get("type").is_some_and(|of| of == "object" || of == "array") {
        schema.entry("nullable").or_insert(json!(true));
    }
}
