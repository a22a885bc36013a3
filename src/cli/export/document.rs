//! A loaded document as the resource of its kind, with a ConfigMap on demand.

use serde_json::{Map, Value, json};

use super::links::Link;
use super::manifest::Manifest;
use crate::snapshot::document::EXTENSION;
use crate::sync::is_zero;

/// Key of the document in its ConfigMap.
const KEY: &str = "oas.json";
/// Where the operator puts its mark.
const MARK: [&str; 5] = ["middleware", "global", "pluginConfig", "data", "value"];

/// The manifests of an API.
pub fn manifests(document: &Value, link: &Link, in_config_map: bool) -> Vec<Manifest> {
    let mut notes = Vec::new();
    let mut document = document.clone();
    let state = &mut document[EXTENSION]["info"]["state"]["active"];
    if *state != true {
        notes.push("info.state.active was false, which a gateway does not look at: it serves the API".to_owned());
        *state = json!(true);
    }
    without_mark(&mut document);
    let mut manifests = Vec::new();
    let source = match in_config_map {
        false => json!({"document": document}),
        true => {
            let map = Link {
                kind: "ConfigMap",
                name: format!("{}-oas", link.name),
                ..link.clone()
            };
            let source = json!({"configmapRef": {"name": map.name, "namespace": map.namespace, "keyName": KEY}});
            manifests.push(Manifest {
                link: map,
                // Its own Display writes one line; people edit this text.
                body: ("data", json!({KEY: format!("{document:#}")})),
                notes: Vec::new(),
            });
            source
        }
    };
    let field = match link.kind {
        "TykStreamsApiDefinition" => "tykStreams",
        "TykMcpProxyDefinition" => "tykMCP",
        _ => "tykOAS",
    };
    manifests.push(Manifest {
        link: link.clone(),
        body: ("spec", json!({field: source})),
        notes,
    });
    manifests
}

/// Takes the mark of an operator out, and the places that were made for it.
fn without_mark(document: &mut Value) {
    let Some(extension) = document.get_mut(EXTENSION).and_then(Value::as_object_mut) else {
        return;
    };
    take_out(extension, &MARK);
}

/// Removes the mark below this way, then each object on the way back that is empty.
fn take_out(fields: &mut Map<String, Value>, way: &[&str]) {
    let Some((first, rest)) = way.split_first() else {
        fields.remove("tyk-ingress");
        return;
    };
    let Some(child) = fields.get_mut(*first).and_then(Value::as_object_mut) else {
        return;
    };
    let before = child.clone();
    take_out(child, rest);
    if *child != before && child.values().all(is_zero) {
        fields.remove(*first);
    }
}
