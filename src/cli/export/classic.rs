//! A loaded classic definition as an `ApiDefinition`.

use serde_json::{Map, Value, json};

use super::links::{Link, Links};
use super::manifest::Manifest;
use super::values::{without_nulls, without_zeros};
use crate::sync::is_zero;

/// Lists of ids of certificates.
const CERTIFICATES: [&str; 2] = ["certificates", "client_certificates"];
/// Ids of certificates and of public keys by host.
const CERTIFICATES_BY_HOST: [&str; 2] = ["upstream_certificates", "pinned_public_keys"];

/// The manifest of an API.
pub fn manifest(id: &str, api: &Value, link: &Link, (links, dashboard): (&Links, bool)) -> Manifest {
    let mut notes = Vec::new();
    let mut spec = api.as_object().cloned().unwrap_or_default();
    // Every value counts here: the operator completes a version that says too little.
    let mut versions = spec.remove("version_data").unwrap_or_default();
    without_nulls(&mut versions);
    let token_auth = spec.get("use_standard_auth") == Some(&json!(true));
    let keyless = spec.get("use_keyless") == Some(&json!(true));
    if let Some(data) = spec.get_mut("config_data").and_then(Value::as_object_mut) {
        data.remove("tyk-ingress");
    }
    without_zeros(&mut spec);
    if keyless && token_auth {
        spec.remove("use_standard_auth");
        notes.push("use_keyless and use_standard_auth were both set; only use_keyless has an effect".to_owned());
    } else if token_auth {
        complete_token_auth(&mut spec);
    }
    if !is_zero(&versions) {
        spec.insert("version_data".into(), versions);
    }
    let active = api["active"] == true || !dashboard;
    if api["active"] != true && !dashboard {
        notes.push("active was false, which a gateway does not look at: it serves the API".to_owned());
    }
    spec.insert("active".into(), json!(active));
    spec.insert("api_id".into(), json!(id));
    let name = spec.entry("name").or_insert_with(|| json!(link.name));
    if name.as_str().is_none_or(str::is_empty) {
        *name = json!(link.name);
    }
    links.name_policies(&mut spec);
    loops(&mut spec, links);
    notes.extend(certificates(&spec));
    Manifest {
        link: link.clone(),
        body: ("spec", Value::Object(spec)),
        notes,
    }
}

/// The operator puts in a header where nothing is said of the token; nothing has to stay nothing.
fn complete_token_auth(spec: &mut Map<String, Value>) {
    let configs = spec.entry("auth_configs").or_insert_with(|| json!({}));
    if let Some(configs) = configs.as_object_mut() {
        configs.entry("authToken").or_insert_with(|| json!({}));
    }
}

/// Other APIs of the gateway by the names of their resources.
fn loops(spec: &mut Map<String, Value>, links: &Links) {
    if let Some(proxy) = spec.get_mut("proxy").and_then(Value::as_object_mut) {
        internal(proxy, "target_url", "target_internal", links);
    }
    let versions = spec
        .get_mut("version_data")
        .and_then(|data| data.get_mut("versions")?.as_object_mut());
    for version in versions.into_iter().flat_map(Map::values_mut) {
        let rewrites = version
            .pointer_mut("/extended_paths/url_rewrites")
            .and_then(Value::as_array_mut);
        for rewrite in rewrites.into_iter().flatten().filter_map(Value::as_object_mut) {
            internal(rewrite, "rewrite_to", "rewrite_to_internal", links);
            let triggers = rewrite.get_mut("triggers").and_then(Value::as_array_mut);
            for trigger in triggers.into_iter().flatten().filter_map(Value::as_object_mut) {
                internal(trigger, "rewrite_to", "rewrite_to_internal", links);
            }
        }
    }
}

fn internal(holder: &mut Map<String, Value>, from: &str, to: &str, links: &Links) {
    let found = holder
        .get(from)
        .and_then(Value::as_str)
        .and_then(|url| links.internal(url));
    if let Some(found) = found {
        holder.remove(from);
        holder.insert(to.to_owned(), found);
    }
}

/// Keys cannot be read back, so that ids stay ids.
fn certificates(spec: &Map<String, Value>) -> Vec<String> {
    let lists = CERTIFICATES
        .into_iter()
        .filter_map(|field| Some((field, spec.get(field)?.as_array()?.clone())));
    let maps = CERTIFICATES_BY_HOST.into_iter().filter_map(|field| {
        let by_host = spec.get(field)?.as_object()?;
        Some((field, by_host.values().cloned().collect::<Vec<_>>()))
    });
    let note = |(field, ids): (&str, Vec<Value>)| {
        let ids: Vec<_> = ids.iter().filter_map(Value::as_str).collect();
        format!(
            "{field}: the gateway keeps {} without a way to export the key",
            ids.join(", ")
        )
    };
    lists.chain(maps).filter(|(_, ids)| !ids.is_empty()).map(note).collect()
}
