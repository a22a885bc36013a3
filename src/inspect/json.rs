//! The answers of `/debug/…`, without secrets.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::World;
use super::redact::{redacted, url};
use crate::desired::{Api, Desired, Installation};
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind, Stored};
use crate::sync::{ApiOutcome, Outcome, Plan};

/// Which objects of the snapshot are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Kind, in any letter case; empty for all.
    pub kind: String,
    /// Part of `namespace/name`; empty for all.
    pub name: String,
}

/// The objects that the last translation looked at, by kind and name. Of Secrets and ConfigMaps only the names.
pub fn snapshot(world: &World, filter: &Filter) -> Value {
    let Snapshot {
        ingresses,
        ingress_classes,
        namespaces,
        services,
        endpoint_slices,
        tls_secrets,
        secrets,
        api_definitions,
        operator_contexts,
        tyk_oas_api_definitions,
        security_policies,
        tyk_streams_api_definitions,
        tyk_mcp_proxy_definitions,
        sub_graphs,
        super_graphs,
        api_descriptions,
        portal_api_catalogues,
        portal_configs,
        config_maps,
    } = world.snapshot.as_ref();
    let mut all = Listing {
        filter,
        kinds: Map::new(),
    };
    all.add(ingresses);
    all.add(ingress_classes);
    all.add(namespaces);
    all.add(services);
    all.add(endpoint_slices);
    all.add(api_definitions);
    all.add(operator_contexts);
    all.add(tyk_oas_api_definitions);
    all.add(security_policies);
    all.add(tyk_streams_api_definitions);
    all.add(tyk_mcp_proxy_definitions);
    all.add(sub_graphs);
    all.add(super_graphs);
    all.add(api_descriptions);
    all.add(portal_api_catalogues);
    all.add(portal_configs);
    all.add_names("Secret (kubernetes.io/tls)", tls_secrets);
    all.add_names("Secret", secrets);
    all.add_names("ConfigMap", config_maps);
    Value::Object(all.kinds)
}

struct Listing<'a> {
    filter: &'a Filter,
    kinds: Map<String, Value>,
}

impl Listing<'_> {
    fn add<S: Stored<Object: SnapshotKind + Serialize>>(&mut self, objects: &BTreeMap<NamespacedName, S>) {
        self.list(S::Object::KIND, objects, |object| {
            let mut shown = match serde_json::to_value(object) {
                Ok(Value::Object(fields)) => fields,
                _ => Map::new(),
            };
            // Statuses are the words of controllers.
            let status = shown.remove("status");
            shown.retain(|key, _| !matches!(key.as_str(), "metadata" | "kind" | "apiVersion"));
            let Value::Object(mut shown) = redacted(&Value::Object(shown)) else {
                return Value::Null;
            };
            shown.insert("metadata".into(), metadata(object.meta()));
            if S::Object::API_VERSION.starts_with("tyk.tyk.io/") {
                shown.extend(status.map(|status| ("status".to_owned(), status)));
            }
            Value::Object(shown)
        });
    }

    fn add_names<S>(&mut self, kind: &str, objects: &BTreeMap<NamespacedName, S>)
    where
        S: Stored<Object: SnapshotKind>,
    {
        self.list(kind, objects, |object| json!({"metadata": metadata(object.meta())}));
    }

    fn list<S: Stored>(
        &mut self,
        kind: &str,
        objects: &BTreeMap<NamespacedName, S>,
        show: impl Fn(&S::Object) -> Value,
    ) {
        let Filter { kind: wanted, name } = self.filter;
        let of_kind = kind.split(' ').next().unwrap_or_default();
        if !wanted.is_empty() && !of_kind.eq_ignore_ascii_case(wanted) {
            return;
        }
        let objects = objects.iter().map(|(at, object)| (at.to_string(), object));
        let objects = objects.filter(|(at, _)| at.contains(name.as_str()));
        let shown: Map<String, Value> = objects.map(|(at, object)| (at, show(&object.whole()))).collect();
        if !shown.is_empty() {
            self.kinds.insert(kind.to_owned(), Value::Object(shown));
        }
    }
}

/// What tells one version of an object from another. Values of labels and annotations are anybody's.
fn metadata(meta: &ObjectMeta) -> Value {
    let annotations: Vec<_> = meta.annotations.iter().flat_map(BTreeMap::keys).collect();
    json!({
        "uid": meta.uid, "resourceVersion": meta.resource_version, "generation": meta.generation,
        "creationTimestamp": meta.creation_timestamp, "deletionTimestamp": meta.deletion_timestamp,
        "finalizers": meta.finalizers, "annotations": annotations,
    })
}

/// What every Tyk should hold.
pub fn desired(world: &World) -> Value {
    let tyks = world.fleet.tyks.iter();
    let refusals = world.fleet.refusals.iter();
    let refusals = refusals.map(|(object, reason)| (object.to_string(), json!(reason)));
    json!({
        "tyks": tyks.map(|(tyk, desired)| of_tyk(tyk, desired)).collect::<Vec<_>>(),
        "waitingDeletions": Value::Object(refusals.collect()),
    })
}

fn of_tyk(tyk: &Installation, desired: &Desired) -> Value {
    let apis = |apis: &BTreeMap<Arc<str>, Api>| -> Map<String, Value> {
        let shown = |api: &Api| json!({"source": api.source, "generation": api.generation, "payload": redacted(&api.payload.value())});
        apis.iter().map(|(id, api)| (id.to_string(), shown(api))).collect()
    };
    let policies = desired.policies.iter().map(|(id, policy)| {
        let shown = json!({
            "source": policy.source, "generation": policy.generation, "waits": policy.waits,
            "payload": redacted(&policy.payload),
        });
        (id.clone(), shown)
    });
    let certificates = desired.certificates.iter();
    let certificates = certificates.map(|(id, one)| (id.clone(), json!({"source": one.source})));
    json!({
        "tyk": url(&tyk.url),
        "contexts": desired.contexts,
        "apis": apis(&desired.apis),
        "oas": apis(&desired.oas),
        "policies": Value::Object(policies.collect()),
        "certificates": Value::Object(certificates.collect()),
        "held": desired.held,
        "heldPolicies": desired.held_policies,
        "removals": desired.removals,
        "policyRemovals": desired.policy_removals,
    })
}

/// What the last round against each Tyk found to do, and what came of it.
pub fn plan(world: &World) -> Value {
    let rounds = world.rounds.iter().map(|(tyk, round)| {
        let outcome = &round.outcome;
        json!({
            "tyk": url(&tyk.url),
            "ended": round.ended,
            "lastSuccess": round.last_success,
            "revision": outcome.revision,
            "error": outcome.endpoint_error,
            "tookSeconds": outcome.took.as_secs_f64(),
            "calls": {
                "list": outcome.calls.lists, "read": outcome.calls.reads, "write": outcome.calls.writes,
                "delete": outcome.calls.deletes, "reload": outcome.calls.reloads,
            },
            "apis": changes(&outcome.plan),
            "policies": changes(&outcome.policy_plan),
            "failed": failures(outcome),
            "alteredByTyk": {"apis": outcome.altered, "policies": outcome.altered_policies},
        })
    });
    rounds.collect()
}

/// Reasons name fields and never their values.
fn changes(plan: &Plan) -> Value {
    let writes = plan
        .writes
        .iter()
        .map(|(id, reason)| (id.clone(), json!(reason.to_string())));
    json!({
        "write": Value::Object(writes.collect()),
        "delete": plan.deletes,
        "unchanged": plan.unchanged,
        "ofAnotherOwner": plan.foreign,
        "behindAnotherApi": plan.rivals,
    })
}

fn failures(outcome: &Outcome) -> Value {
    let all = outcome
        .apis
        .iter()
        .chain(&outcome.policies)
        .chain(&outcome.certificates);
    let failed = all.filter_map(|(id, state)| match state {
        ApiOutcome::Failed(message) => Some((id.to_string(), json!(message))),
        ApiOutcome::Synced | ApiOutcome::Gone => None,
    });
    Value::Object(failed.collect())
}

/// What is wrong, with the way out.
pub fn diagnostics(world: &World) -> Value {
    json!(world.findings())
}

/// The names of the contexts that mean a Tyk; that of the operator's own settings is put in words.
pub(super) fn contexts(world: &World, tyk: &Arc<Installation>) -> Vec<String> {
    let names = world.fleet.tyks.get(tyk).map(|desired| desired.contexts.clone());
    let names = names.unwrap_or_default().into_iter();
    names
        .map(|name| match name.is_empty() {
            true => "the operator's own settings".to_owned(),
            false => name,
        })
        .collect()
}

/// OperatorContexts that cannot be used.
pub(super) fn unusable_contexts(world: &World) -> impl Iterator<Item = &NamespacedName> {
    let all = world.snapshot.operator_contexts.keys();
    all.filter(|name| !world.fleet.contexts.contains_key(*name))
}
