//! The product's custom resource `ApiDefinition`, seen from outside: as untyped objects.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

/// Label of the children of an Ingress.
pub const INGRESS_LABEL: &str = "tyk.io/ingress";

/// The API of a namespace's ApiDefinitions.
#[must_use]
pub fn api(client: Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("tyk.tyk.io", "v1alpha1", "ApiDefinition");
    Api::namespaced_with(
        client,
        namespace,
        &ApiResource::from_gvk_with_plural(&kind, "apidefinitions"),
    )
}

/// The id that a resource gets on the gateway.
#[must_use]
pub fn api_id(namespace: &str, name: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{namespace}/{name}"))
}

/// A hand-written classic, keyless ApiDefinition that serves `listen_path` of every host.
#[must_use]
pub fn keyless(namespace: &str, name: &str, listen_path: &str, target_url: &str) -> Value {
    json!({
        "apiVersion": "tyk.tyk.io/v1alpha1",
        "kind": "ApiDefinition",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "name": format!("{namespace}-{name}"),
            "protocol": "http",
            "active": true,
            "use_keyless": true,
            "proxy": {"target_url": target_url, "listen_path": listen_path, "strip_listen_path": true},
        },
    })
}

/// `status.conditions` by type.
#[must_use]
pub fn condition(object: &DynamicObject, kind: &str) -> Value {
    let conditions = object.data["status"]["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == kind));
    found.cloned().unwrap_or_default()
}
