//! A loaded policy as a `SecurityPolicy`.

use serde_json::{Map, Value, json};

use super::links::{Link, Links};
use super::manifest::Manifest;
use super::values::without_zeros;
use crate::desired::policy::UNLIMITED;

/// What Tyk writes itself, or what the operator makes anew.
const LEFT_OUT: [&str; 7] = [
    "_id",
    "org_id",
    "last_updated",
    "date_created",
    "access_rights",
    "config_data",
    "state",
];
/// Beginning of a key that is the mark of an operator.
const MARK: &str = "tyk-ingress=";
/// The API that the operator gives access to where there is none.
const NO_API: &str = "tyk-ingress.none";

/// The manifest of a policy.
pub fn manifest(id: &str, policy: &Value, link: &Link, (links, dashboard): (&Links, bool)) -> Manifest {
    let mut notes = Vec::new();
    let mut spec = policy.as_object().cloned().unwrap_or_default();
    if let Some(rights) = spec.get_mut("graphql_access_rights").and_then(Value::as_object_mut) {
        rights.retain(|key, _| !key.starts_with(MARK));
    }
    let limits: Vec<_> = UNLIMITED
        .iter()
        .filter_map(|field| Some((*field, spec.get(*field)?.clone())))
        .collect();
    LEFT_OUT.iter().for_each(|field| drop(spec.remove(*field)));
    without_zeros(&mut spec);
    spec.extend(limits.into_iter().map(|(field, value)| (field.to_owned(), value)));
    let active = policy["active"] == true || !dashboard;
    if !dashboard && policy["active"] != true && policy["is_inactive"] != true {
        notes.push("active was false, which a gateway does not look at: keys of the policy are let in".to_owned());
    }
    spec.insert("id".into(), json!(id));
    spec.entry("name").or_insert_with(|| json!(link.name));
    spec.insert("active".into(), json!(active));
    spec.insert("state".into(), json!(if active { "active" } else { "deny" }));
    let mut rights = Vec::new();
    for (api, right) in policy["access_rights"].as_object().into_iter().flatten() {
        match links.apis.get(api) {
            Some(target) => rights.push(entry(right, target)),
            None if api == NO_API => {}
            None => notes.push(format!(
                "a right to API {api} is left out: the gateway does not have it"
            )),
        }
    }
    if !rights.is_empty() {
        spec.insert("access_rights_array".into(), json!(rights));
    }
    if id.contains('/') {
        notes.push("the id holds a /, which Kubernetes refuses: give the policy another id".to_owned());
    }
    Manifest {
        link: link.clone(),
        body: ("spec", Value::Object(spec)),
        notes,
    }
}

fn entry(right: &Value, target: &Link) -> Value {
    let mut entry: Map<String, Value> = right.as_object().cloned().unwrap_or_default();
    entry.remove("api_id");
    entry.remove("api_name");
    without_zeros(&mut entry);
    entry.insert("kind".into(), json!(target.kind));
    entry.insert("name".into(), json!(target.name));
    entry.insert("namespace".into(), json!(target.namespace));
    Value::Object(entry)
}
