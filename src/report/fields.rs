//! The fields of a status beside conditions and transaction, by kind. Their names are Tyk Operator's.

use serde_json::{Map, Value, json};

use super::ReportInput;
use super::answer::{Answer, looked_at};
use super::subject::{Role, Subject};
use crate::desired::Api;
use crate::snapshot::document::EXTENSION;

/// What is written of every kind.
const COMMON: [&str; 2] = ["observedGeneration", "conditions"];

/// Further fields that are written of a kind: those of them that its schema has. The API server refuses a whole status
/// for one that it does not know.
const OF_KIND: [(&str, &[&str]); 11] = [
    (
        "ApiDefinition",
        &[
            "latestTransaction",
            "ingressTemplate",
            "api_id",
            "orgId",
            "linked_by_apis",
            "linked_by_policies",
            "linked_to_apis",
            "linked_to_subgraph",
        ],
    ),
    (
        "TykOasApiDefinition",
        &[
            "latestTransaction",
            "ingressTemplate",
            "id",
            "name",
            "enabled",
            "listenPath",
            "targetURL",
            "domain",
            "certificatePinning",
            "linkedByPolicies",
            "versioningStatus",
        ],
    ),
    ("TykStreamsApiDefinition", &STREAMS_OR_MCP),
    ("TykMcpProxyDefinition", &STREAMS_OR_MCP),
    ("SecurityPolicy", &["latestTransaction", "pol_id", "linked_apis"]),
    ("APIDescription", &["latestTransaction"]),
    ("PortalAPICatalogue", &["latestTransaction", "id", "documentation"]),
    ("PortalConfig", &["latestTransaction", "id"]),
    ("SubGraph", &["linked_by_api"]),
    ("SuperGraph", &[]),
    (
        "OperatorContext",
        &[
            "linked_api_definitions",
            "linked_api_descriptions",
            "linked_portal_catalogues",
            "linked_portal_configs",
            "linked_security_policies",
            "linked_tyk_mcp_proxy_definition",
            "linked_tyk_oas_api_definition",
            "linked_tyk_streams_api_definition",
        ],
    ),
];

const STREAMS_OR_MCP: [&str; 7] = [
    "latestTransaction",
    "id",
    "name",
    "enabled",
    "listenPath",
    "domain",
    "linkedByPolicies",
];

/// The fields that are written of a kind.
pub(super) fn of_kind(kind: &str) -> Vec<&'static str> {
    let more = OF_KIND.iter().find(|(name, _)| *name == kind);
    let more = more.map(|(_, fields)| *fields).unwrap_or_default();
    COMMON.iter().chain(more).copied().collect()
}

/// Writes what a Tyk has confirmed. What it confirmed last stays until it does again.
pub(super) fn confirmed(
    input: &ReportInput<'_>,
    subject: &Subject<'_>,
    answer: Answer<'_>,
    status: &mut Map<String, Value>,
) {
    let Some((place, outcome)) = looked_at(input, subject) else {
        return;
    };
    let kind = subject.object.kind;
    if answer == Answer::Gone && of_kind(kind).contains(&"enabled") {
        status.insert("enabled".into(), json!(false));
    }
    if answer != Answer::Synced {
        return;
    }
    if subject.role == Role::Policy {
        // Tyk Operator tells the id by which the other side knows the policy.
        let given = outcome.database_ids.get(&*place.id);
        let id = given.map_or(&*place.id, String::as_str);
        status.insert("pol_id".into(), json!(id));
        return;
    }
    if subject.role == Role::Portal {
        let id = outcome.portal_ids.get(&*place.id);
        status.extend(id.map(|id| ("id".to_owned(), json!(id))));
        if kind == "PortalAPICatalogue" {
            status.insert("documentation".into(), json!(outcome.documentation));
        }
        return;
    }
    let Some(api) = outcome.desired.api(&place.id) else {
        return;
    };
    if kind == "ApiDefinition" {
        status.insert("api_id".into(), json!(place.id));
        status.insert("orgId".into(), json!(api.payload.organisation().unwrap_or(input.org)));
    } else {
        status.insert("id".into(), json!(place.id));
        document(subject, api, status);
    }
}

fn document(subject: &Subject<'_>, api: &Api, status: &mut Map<String, Value>) {
    let extension = api.payload.get(EXTENSION).unwrap_or_default();
    let domain = &extension["server"]["customDomain"];
    let is_streams_or_mcp = subject.object.kind != "TykOasApiDefinition";
    let fields = [
        ("name", extension["info"]["name"].clone()),
        ("enabled", extension["info"]["state"]["active"].clone()),
        ("listenPath", extension["server"]["listenPath"]["value"].clone()),
        ("targetURL", extension["upstream"]["url"].clone()),
        // Tyk Operator has a text there for the other kinds.
        (
            "domain",
            if is_streams_or_mcp {
                domain["name"].clone()
            } else {
                only(domain, &["name", "enabled", "certificates"])
            },
        ),
        (
            "certificatePinning",
            pinned(&extension["upstream"]["certificatePinning"]["domainToPublicKeysMapping"]),
        ),
    ];
    for (key, value) in fields {
        status.insert(key.into(), value);
    }
}

fn pinned(mapping: &Value) -> Value {
    let entries = mapping
        .as_array()
        .map(|entries| entries.iter().map(|entry| only(entry, &["domain", "publicKeys"])));
    entries.map_or(Value::Null, |entries| entries.collect())
}

/// The object with only these fields; null when it is none.
fn only(object: &Value, fields: &[&str]) -> Value {
    match object {
        Value::Object(object) => {
            let kept = object.iter().filter(|(key, _)| fields.contains(&key.as_str()));
            Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
        }
        _ => Value::Null,
    }
}

/// Writes who uses the resource and whom it uses. A list that somebody else has written is emptied when there is none.
pub(super) fn links(input: &ReportInput<'_>, subject: &Subject<'_>, status: &mut Map<String, Value>) {
    let links = input.fleet.links.get(&subject.object);
    for key in of_kind(subject.object.kind) {
        if !key.starts_with("linked") && key != "versioningStatus" {
            continue;
        }
        match (links.and_then(|links| links.get(key)), subject.status().get(key)) {
            (Some(found), _) => drop(status.insert(key.into(), found.clone())),
            (None, Some(Value::Array(_))) => drop(status.insert(key.into(), json!([]))),
            (None, _) => drop(status.remove(key)),
        }
    }
}

#[cfg(test)]
mod tests;
