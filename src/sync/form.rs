//! The forms of a definition. The list of all APIs has OAS APIs and MCP proxies in classic form, owner mark and route
//! included; their documents come from lists of their own and are kept beside it, for the comparison alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Observed;
use super::compare::{self, Difference};
use super::loaded::{AsWanted, Loaded};
use crate::desired::{Api, oas};
use crate::tyk::list::Keep;

/// Key of the document in an observed classic form; no gateway writes it.
const DOCUMENT: &str = "x-tyk-ingress-document";

/// Key of what a Dashboard tells beside a definition; no Dashboard writes it.
const RECORD: &str = "x-tyk-ingress-record";

/// Key of the hash of the definition that an observed classic form holds; no gateway writes it.
pub(super) const AS_WANTED: &str = "x-tyk-ingress-as-wanted";

/// Makes an observed classic form short: of one that holds all that is wanted, what rounds look at and the hash of what is
/// wanted are all that is needed.
pub(super) fn shorten(id: &str, wanted: Option<&Api>, looked_at: &Keep, observed: Value) -> Loaded {
    let Some(api) = wanted else {
        return observed.into();
    };
    let definition = api.payload.value();
    let renamed = super::route::is_renamed(route(&definition).1, id, route(&observed).1);
    if renamed || !compare::differences(&definition, &observed).is_empty() {
        return observed.into();
    }
    let mut short = looked_at.cut(observed);
    if let Some(fields) = short.as_object_mut() {
        fields.retain(|_, value| !compare::is_zero(value));
        fields.insert(AS_WANTED.to_owned(), json!(api.payload.hash()));
    }
    match AsWanted::of(&short, api) {
        Some(one) => Loaded::AsWanted(Arc::new(one)),
        None => short.into(),
    }
}

/// Whether an observed classic form was found to hold all of the definition with this hash.
pub(super) fn is_as_wanted(observed: &Value, hash: &str) -> bool {
    observed.get(AS_WANTED).is_some_and(|found| found == hash)
}

/// Whether an observed classic form stands for an OAS API.
pub(super) fn is_oas(observed: &Value) -> bool {
    observed["is_oas"] == true && !is_mcp(observed)
}

/// Whether an observed classic form stands for an MCP proxy.
pub(super) fn is_mcp(observed: &Value) -> bool {
    observed["application_protocol"] == "mcp"
}

/// Whether the documents are needed to compare the APIs `wanted` in a form with `observed`.
pub(super) fn needs_documents(
    wanted: &BTreeMap<Arc<str>, Api>,
    observed: &Observed,
    is_form: fn(&Value) -> bool,
) -> bool {
    wanted
        .keys()
        .any(|id| observed.get(id.as_ref()).is_some_and(|held| is_form(held.value())))
}

/// Puts the documents of the APIs `wanted` in a form, by API id, beside the classic forms. An API that is there in another
/// form is left without, and so differs in every part.
pub(super) fn add_documents(
    observed: &mut Observed,
    wanted: &BTreeMap<Arc<str>, Api>,
    documents: BTreeMap<String, Value>,
) {
    for (id, document) in documents {
        if wanted.contains_key(id.as_str())
            && let Some(Value::Object(held)) = observed.get_mut(&id).and_then(Loaded::value_mut)
        {
            add_document(held, document);
        }
    }
}

/// Puts a document beside its classic form.
pub(super) fn add_document(held: &mut Map<String, Value>, document: Value) {
    held.insert(DOCUMENT.to_owned(), document);
}

/// Puts what a Dashboard tells beside a definition next to it.
pub(super) fn note(held: &mut Map<String, Value>, name: &str, value: Value) {
    let record = held.entry(RECORD).or_insert_with(|| json!({}));
    record[name] = value;
}

/// What a Dashboard told beside a definition; null if it did not.
pub(super) fn noted<'a>(held: &'a Value, name: &str) -> &'a Value {
    &held[RECORD][name]
}

/// Whether what is held comes from a Dashboard.
fn is_record(held: &Value) -> bool {
    held.get(RECORD).is_some()
}

/// Whether what is held is served: a Dashboard keeps inactive APIs from its gateways, a gateway serves all that it holds.
pub(super) fn is_served(held: &Value) -> bool {
    !is_record(held) || held["active"] != false
}

/// Whether a wanted definition is to be served.
pub(super) fn is_active(definition: &Value) -> bool {
    match oas::is_document(definition) {
        true => definition["x-tyk-api-gateway"]["info"]["state"]["active"] != false,
        false => definition["active"] != false,
    }
}

/// All wanted values that `observed` does not hold.
pub(super) fn differences<'a>(desired: &Value, observed: &'a Value) -> Vec<Difference<'a>> {
    if is_policy(desired) {
        return policy_differences(desired, observed);
    }
    if !oas::is_document(desired) {
        return compare::differences(desired, observed);
    }
    let held = &observed[DOCUMENT];
    let mut found = Vec::new();
    for (part, value) in desired.as_object().into_iter().flatten() {
        // The gateway puts servers of its own before those of the document.
        if part == "servers" {
            found.extend(missing_server(value, &held[part]));
        } else {
            compare::compare(part.clone(), value, &held[part], &mut found);
        }
    }
    found
}

fn is_policy(definition: &Value) -> bool {
    definition["access_rights"].is_object()
}

/// Of a policy, what somebody added counts as well: each addition may be a right. Where the mark is, and what the gateway
/// writes itself, does not; nor does, in the record of a Dashboard, a field that is not ours.
fn policy_differences<'a>(desired: &Value, observed: &'a Value) -> Vec<Difference<'a>> {
    let mut found = compare::differences(desired, observed);
    let held = observed;
    for (part, observed) in held.as_object().into_iter().flatten() {
        if is_written_by_gateway(part) {
            continue;
        }
        if is_record(held) && desired.get(part).is_none() {
            continue;
        }
        compare::additions(part, &desired[part], observed, &mut found);
    }
    found
}

fn missing_server<'a>(wanted: &Value, held: &'a Value) -> Option<Difference<'a>> {
    let has = |server: &Value| {
        let mut servers = held.as_array().into_iter().flatten();
        servers.any(|other| compare::differences(server, other).is_empty())
    };
    let mut wanted = wanted.as_array().into_iter().flatten();
    let missing = wanted.any(|server| !has(server));
    missing.then(|| Difference {
        field: "servers".to_owned(),
        observed: held,
    })
}

/// Whether a field of a loaded object that nobody sent is one that only a gateway makes.
pub(super) fn is_written_by_gateway(field: &str) -> bool {
    let part = field.split(['.', '[']).next().unwrap_or_default();
    [
        "_id",
        "id",
        "last_updated",
        "config_data",
        "graphql_access_rights",
        DOCUMENT,
    ]
    .contains(&part)
}

/// Domain and listen path of a definition in either form.
pub(super) fn route(definition: &Value) -> (&str, &str) {
    if oas::is_document(definition) {
        return oas::route(definition);
    }
    let domain = definition["domain"].as_str().unwrap_or_default();
    (domain, definition["proxy"]["listen_path"].as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diagnostic::ObjectRef;

    fn document() -> Value {
        json!({"openapi": "3.0.3", "servers": [{"url": "https://mine"}],
            "x-tyk-api-gateway": {"info": {"id": "1", "orgId": ""}, "server": {"listenPath": {"value": "/a"}}}})
    }

    fn observed(change: impl FnOnce(&mut Value)) -> Observed {
        let mut held = document();
        held["servers"] = json!([{"url": "http://gateway/a"}, {"url": "https://mine", "description": ""}]);
        held["x-tyk-api-gateway"]["info"] = json!({"id": "1"});
        change(&mut held);
        let mut observed = Observed::from([("1".to_owned(), json!({"api_id": "1", "is_oas": true}).into())]);
        let api = Api {
            source: ObjectRef::new("TykOasApiDefinition", "default", "a"),
            generation: 1,
            payload: document().into(),
        };
        let wanted = BTreeMap::from([("1".into(), api)]);
        add_documents(&mut observed, &wanted, BTreeMap::from([("1".to_owned(), held)]));
        observed
    }

    #[test]
    fn servers_of_the_gateway_and_left_out_zero_values_are_no_difference() {
        assert_eq!(differences(&document(), observed(|_| {})["1"].value()), []);
    }

    #[test]
    fn a_changed_or_lost_part_is_one() {
        let fields = |change: fn(&mut Value)| -> Vec<String> {
            let observed = observed(change);
            differences(&document(), observed["1"].value())
                .into_iter()
                .map(|one| one.field)
                .collect()
        };
        let path = |held: &mut Value| held["x-tyk-api-gateway"]["server"]["listenPath"]["value"] = json!("/b");
        assert_eq!(fields(path), ["x-tyk-api-gateway.server.listenPath.value"]);
        assert_eq!(
            fields(|held| held["servers"] = json!([{"url": "http://gateway/a"}])),
            ["servers"]
        );
    }
}
