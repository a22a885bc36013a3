//! Access rights: from entries that name definitions to rights to APIs by their ids on Tyk.

use std::collections::BTreeMap;

use kube::ResourceExt;
use serde_json::{Map, Value, json};

use crate::api::SecurityPolicy;
use crate::desired::{Desired, Payload, oas};
use crate::diagnostic::{Code, ObjectRef};
use crate::snapshot::document::{EXTENSION, Problem};
use crate::snapshot::{NamespacedName, Snapshot, Stored};

/// An id that no API has. A right to it keeps the rights of a policy from being empty.
pub(super) const NO_API: &str = "tyk-ingress.none";

/// Kinds that an entry can name; the first one when it names none.
const KINDS: [&str; 4] = [
    "ApiDefinition",
    "TykOasApiDefinition",
    "TykStreamsApiDefinition",
    "TykMcpProxyDefinition",
];

/// Fields of an entry that only Kubernetes knows.
const NOT_SENT: [&str; 3] = ["kind", "name", "namespace"];

/// Numbers that Tyk Operator's resource has as texts; a gateway refuses the whole policy for such a field.
const NUMBERS: [&str; 3] = ["rate", "per", "trigger"];

/// The right to no API at all.
pub(super) fn nothing() -> Value {
    json!({"api_id": NO_API, "api_name": "", "versions": []})
}

/// The definitions that a policy gives access to: kind and name, in the order of their entries.
pub fn api_refs(policy: &SecurityPolicy) -> Vec<(&'static str, NamespacedName)> {
    let entries = entries(policy).into_iter().flatten();
    entries.filter_map(|entry| reference(policy, &entry).ok()).collect()
}

/// What the entries of a policy stand for.
#[derive(Debug, Default)]
pub(super) struct Rights {
    /// Rights by API id.
    pub(super) by_api: Map<String, Value>,
    /// Entries whose API cannot be used now.
    pub(super) waits: Vec<Problem>,
    /// Entries that nobody can understand.
    pub(super) wrong: Vec<Problem>,
}

/// Resolves the entries of a policy among the APIs of `desired`.
pub(super) fn resolve(policy: &SecurityPolicy, desired: &Desired, snapshot: &Snapshot) -> Rights {
    let mut rights = Rights::default();
    let Some(entries) = entries(policy) else {
        let message = "it is not a list".to_owned();
        let field = "spec.access_rights_array".to_owned();
        rights.wrong.push((Code::InvalidDefinition, field, message));
        return rights;
    };
    let apis: BTreeMap<&ObjectRef, &str> = match entries.is_empty() {
        true => BTreeMap::new(),
        false => desired.wanted().map(|(id, api)| (&api.source, id.as_ref())).collect(),
    };
    for (index, entry) in entries.iter().enumerate() {
        let field = format!("spec.access_rights_array[{index}]");
        let (kind, name) = match reference(policy, entry) {
            Ok(found) => found,
            Err(message) => {
                rights.wrong.push((Code::InvalidDefinition, field, message));
                continue;
            }
        };
        let source = ObjectRef::new(kind, &name.namespace, &name.name);
        let id = match apis.get(&source) {
            Some(id) => Some((*id).to_owned()),
            None => {
                let (id, message) = unwanted(&source, &name, (desired, snapshot));
                let field = field.clone();
                rights
                    .waits
                    .extend(message.map(|message| (Code::PolicyWaits, field, message)));
                id
            }
        };
        let Some(id) = id else { continue };
        let api_name = desired
            .api(&id)
            .and_then(|api| api_name(&api.payload))
            .unwrap_or_else(|| name.name.to_string());
        match right(entry, &id, &api_name) {
            Ok(right) => drop(rights.by_api.insert(id, right)),
            Err(message) => rights.wrong.push((Code::InvalidDefinition, field, message)),
        }
    }
    rights
}

/// The entries; none that is no list.
fn entries(policy: &SecurityPolicy) -> Option<Vec<Value>> {
    match policy.spec.definition.get("access_rights_array") {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(entries)) => Some(entries),
        Some(_) => None,
    }
}

fn reference(policy: &SecurityPolicy, entry: &Value) -> Result<(&'static str, NamespacedName), String> {
    let text = |field: &str| entry[field].as_str().filter(|text| !text.is_empty());
    let kind = match text("kind") {
        None => KINDS[0],
        Some(given) => KINDS
            .into_iter()
            .find(|kind| *kind == given)
            .ok_or_else(|| format!("kind {given:?} is none of {}", KINDS.join(", ")))?,
    };
    let name = text("name").ok_or("it names no API; set `name`")?;
    let own = policy.namespace().unwrap_or_default();
    Ok((kind, NamespacedName::new(text("namespace").unwrap_or(&own), name)))
}

/// The right that an entry gives to the API of this id.
fn right(entry: &Value, id: &str, api_name: &str) -> Result<Value, String> {
    let mut right = entry.as_object().cloned().unwrap_or_default();
    for field in NOT_SENT {
        right.remove(field);
    }
    right.insert("api_id".into(), json!(id));
    right.insert("api_name".into(), json!(api_name));
    let versions = right.entry("versions").or_insert(Value::Null);
    if versions.as_array().is_none_or(Vec::is_empty) {
        *versions = json!(["Default"]);
    }
    let mut right = Value::Object(right);
    numbers(&mut right)?;
    Ok(right)
}

/// Makes numbers of the limits that are texts, at every depth.
///
/// # Errors
/// A text is no number; the message names the field.
pub(super) fn numbers(value: &mut Value) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(numbers),
        Value::Object(fields) => fields.iter_mut().try_for_each(|(field, value)| match value.as_str() {
            Some(text) if NUMBERS.contains(&field.as_str()) => {
                *value = number(text).ok_or_else(|| format!("`{field}` {text:?} is not a number"))?;
                Ok(())
            }
            _ => numbers(value),
        }),
        _ => Ok(()),
    }
}

fn number(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(whole) = text.parse::<i64>() {
        return Some(json!(whole));
    }
    text.parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
        .map(|number| json!(number))
}

fn api_name(payload: &Payload) -> Option<String> {
    let name = match payload.is_document() {
        true => payload.get(EXTENSION)?.pointer("/info/name")?.clone(),
        false => payload.get("name")?,
    };
    name.as_str().map(str::to_owned)
}

/// Of a definition that is not among the wanted APIs: the id that its API has all the same, and why the policy waits.
///
/// What the gateway still holds of an API stays usable: a definition that turned bad does not lock out the keys. One
/// that is switched off or on its way out is no reason to wait; nobody reaches its API.
fn unwanted(
    source: &ObjectRef,
    name: &NamespacedName,
    (desired, snapshot): (&Desired, &Snapshot),
) -> (Option<String>, Option<String>) {
    match found(source.kind, name, snapshot) {
        Found::Missing => (None, Some(format!("{source} does not exist"))),
        Found::Template => (
            None,
            Some(format!("{source} is a template of Ingresses, which is no API itself")),
        ),
        Found::Definition(id) if desired.api(&id).is_some() => {
            (None, Some(format!("the API of {source} belongs to another resource")))
        }
        Found::Definition(id) if desired.removals.contains(&id) => (Some(id), None),
        Found::Definition(id) => {
            let message = Some(format!("{source} is not accepted, or belongs to another Tyk"));
            (desired.held.contains(&id).then_some(id), message)
        }
    }
}

enum Found {
    Missing,
    Template,
    /// With the id of its API.
    Definition(String),
}

fn found(kind: &str, name: &NamespacedName, snapshot: &Snapshot) -> Found {
    let known = |id: Option<String>| id.map_or(Found::Missing, Found::Definition);
    match kind {
        "TykOasApiDefinition" => match snapshot.tyk_oas_api_definitions.get(name) {
            Some(definition) if definition.is_template() => Found::Template,
            definition => known(definition.map(|definition| oas::identity(snapshot, definition.as_ref()).id)),
        },
        "TykStreamsApiDefinition" => {
            let definition = snapshot.tyk_streams_api_definitions.get(name);
            known(definition.map(|definition| oas::identity(snapshot, definition.as_ref()).id))
        }
        "TykMcpProxyDefinition" => {
            let definition = snapshot.tyk_mcp_proxy_definitions.get(name);
            known(definition.map(|definition| oas::identity(snapshot, definition.as_ref()).id))
        }
        _ => match snapshot.api_definitions.get(name) {
            Some(definition) if definition.is_template() => Found::Template,
            definition => known(definition.map(|definition| definition.whole().api_id())),
        },
    }
}
