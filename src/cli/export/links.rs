//! Which resource each id on Tyk becomes, and places that name others by their ids.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Held, names};

/// A resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The resources by their ids on Tyk.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// APIs.
    pub apis: BTreeMap<String, Link>,
    /// Policies.
    pub policies: BTreeMap<String, Link>,
}

const KINDS: [&str; 5] = [
    "ApiDefinition",
    "TykOasApiDefinition",
    "TykStreamsApiDefinition",
    "TykMcpProxyDefinition",
    "SecurityPolicy",
];

impl Links {
    /// Of all that a gateway holds; what has a mark keeps the resource that it was made from.
    pub fn of(namespace: &str, held: &Held, policies: &BTreeMap<String, Value>) -> Links {
        let mcp = |id: &str| held.apis.get(id).is_some_and(super::is_mcp);
        let kind = |id: &str| match held.documents.get(id) {
            None => "ApiDefinition",
            Some(_) if mcp(id) => "TykMcpProxyDefinition",
            Some(document) if document.get("x-tyk-streaming").is_some() => "TykStreamsApiDefinition",
            Some(_) => "TykOasApiDefinition",
        };
        Links {
            apis: links(namespace, &held.apis, kind),
            policies: links(namespace, policies, |_| "SecurityPolicy"),
        }
    }

    /// A `tyk://` URL as the reference to a resource; `None` when it is none, or would not come back as it was.
    pub fn internal(&self, url: &str) -> Option<Value> {
        let rest = url.strip_prefix("tyk://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (id, path) = rest.split_once('/').unwrap_or((rest, ""));
        let Link { kind, namespace, name } = self.apis.get(id)?;
        let mut internal = json!({"target": {"kind": kind, "name": name, "namespace": namespace}});
        let mut again = format!("tyk://{id}");
        for (separator, field, part) in [('/', "path", path), ('?', "query", query)] {
            if !part.is_empty() {
                internal[field] = json!(part);
                again.push(separator);
                again.push_str(part);
            }
        }
        let plain = !path.starts_with('/')
            && !query.starts_with('?')
            && matches!(*kind, "ApiDefinition" | "TykOasApiDefinition");
        (plain && again == url).then_some(internal)
    }

    /// Writes policies that a classic definition names by their ids as `namespace/name`.
    pub fn name_policies(&self, definition: &mut Map<String, Value>) {
        let name = |value: &mut Value| {
            if let Some(link) = value.as_str().and_then(|id| self.policies.get(id)) {
                *value = json!(format!("{}/{}", link.namespace, link.name));
            }
        };
        let defaults = definition.get_mut("jwt_default_policies").and_then(Value::as_array_mut);
        defaults.into_iter().flatten().for_each(name);
        let mut whole = Value::Object(std::mem::take(definition));
        for pointer in [
            "/jwt_scope_to_policy_mapping",
            "/scopes/jwt/scope_to_policy",
            "/scopes/oidc/scope_to_policy",
        ] {
            let mapping = whole.pointer_mut(pointer).and_then(Value::as_object_mut);
            mapping.into_iter().flat_map(Map::values_mut).for_each(name);
        }
        let providers = whole
            .pointer_mut("/openid_options/providers")
            .and_then(Value::as_array_mut);
        for provider in providers.into_iter().flatten() {
            let clients = provider.get_mut("client_ids").and_then(Value::as_object_mut);
            clients.into_iter().flat_map(Map::values_mut).for_each(name);
        }
        if let Value::Object(fields) = whole {
            *definition = fields;
        }
    }
}

fn links(
    namespace: &str,
    held: &BTreeMap<String, Value>,
    kind: impl Fn(&str) -> &'static str,
) -> BTreeMap<String, Link> {
    let (marked, unmarked): (Vec<_>, Vec<_>) = held.iter().partition(|(_, object)| source(object).is_some());
    let taken: BTreeSet<_> = marked
        .iter()
        .filter_map(|(_, object)| source(object))
        .filter(|link| link.namespace == namespace)
        .map(|link| link.name)
        .collect();
    let unmarked = unmarked
        .iter()
        .map(|(id, object)| (id.as_str(), object["name"].as_str().unwrap_or_default()));
    let names = names::of(unmarked, |name| taken.contains(name));
    let link = |(id, object): (&String, &Value)| {
        let link = source(object).unwrap_or_else(|| Link {
            kind: kind(id),
            namespace: namespace.to_owned(),
            name: names.get(id.as_str()).cloned().unwrap_or_default(),
        });
        (id.clone(), link)
    };
    held.iter().map(link).collect()
}

/// The resource in the mark of an object, which reads `ApiDefinition default/web`.
fn source(object: &Value) -> Option<Link> {
    let source = object.pointer("/config_data/tyk-ingress/source")?.as_str()?;
    let (kind, name) = source.split_once(' ')?;
    let (namespace, name) = name.split_once('/')?;
    Some(Link {
        kind: KINDS.into_iter().find(|known| *known == kind)?,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}
