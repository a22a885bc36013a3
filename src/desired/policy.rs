//! A `SecurityPolicy` to the policy that the gateway reads.
//!
//! Access rights are made anew from `access_rights_array` each time. What `access_rights` of a spec holds is what Tyk
//! Operator derived from it once and never took out again, so it counts nothing: an entry that goes is revoked.

mod rights;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::ResourceExt;
use serde_json::{Map, Value, json};

pub use rights::api_refs;

use super::{Builder, Context, Desired, Installation, Place, Policy, owner};
use crate::api::SecurityPolicy;
use crate::diagnostic::Code;
use crate::snapshot::document::Problem;
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind};

/// Fields that only Kubernetes or the Dashboard knows. A gateway refuses an `_id` that it has not made.
const NOT_SENT: [&str; 4] = ["_id", "access_rights", "access_rights_array", "state"];

/// `-1` is no limit; the gateway's own zero value is none as well for some of them only. As Tyk Operator documents it.
pub const UNLIMITED: [&str; 6] = [
    "rate",
    "per",
    "quota_max",
    "quota_renewal_rate",
    "throttle_interval",
    "throttle_retry_limit",
];

/// Longest id: it is the name of a file on the gateway.
const ID_MAX: usize = 250;

/// Adds the policies of the snapshot to states whose APIs are settled.
pub(super) fn add_all(builder: &mut Builder<'_>, tyks: &mut BTreeMap<Arc<Installation>, Desired>) {
    let mut policies: Vec<_> = builder.snapshot.security_policies.values().collect();
    policies.sort_by_key(|policy| {
        let created = policy.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created.is_none(), created, NamespacedName::of(&policy.metadata))
    });
    for resource in policies {
        add(builder, tyks, resource);
    }
    for desired in tyks.values_mut() {
        let Desired {
            policies,
            held_policies,
            policy_removals,
            ..
        } = desired;
        held_policies.retain(|id| !policies.contains_key(id));
        policy_removals.retain(|id| !policies.contains_key(id) && !held_policies.contains(id));
    }
}

fn add(builder: &mut Builder<'_>, tyks: &mut BTreeMap<Arc<Installation>, Desired>, resource: &SecurityPolicy) {
    let id = resource.policy_id();
    let source = SnapshotKind::object_ref(resource);
    let reference = resource.spec.context_ref.as_ref();
    if builder.is_leaving(&source, &resource.metadata) {
        let context = builder.contexts.of_leaving(reference, &source.namespace);
        if let Some(tyk) = context.map(|context| context.tyk.clone()) {
            let desired = tyks.entry(tyk.clone()).or_insert_with(|| Desired::of(BTreeSet::new()));
            desired.policy_removals.insert(id.clone());
            builder.places.push((source, Place { tyk, id: id.into() }));
            return;
        }
    }
    let Some(context) = builder.context(&source, reference) else {
        // Nobody knows where it is held.
        for desired in tyks.values_mut() {
            desired.held_policies.insert(id.clone());
        }
        return;
    };
    let tyk = context.tyk.clone();
    let place = Place {
        tyk: tyk.clone(),
        id: id.as_str().into(),
    };
    builder.places.push((source.clone(), place));
    let desired = tyks.entry(tyk).or_default();
    if let Some(winner) = desired.policies.get(&id) {
        let message = format!("policy id {id:?} belongs to {}", winner.source);
        builder.report(&source, vec![(Code::PolicyIdConflict, "spec.id".into(), message)]);
        return;
    }
    match policy(resource, &id, (desired, builder.snapshot, &context)) {
        Ok((policy, waits)) => {
            builder.report(&source, waits);
            desired.policies.insert(id, policy);
        }
        Err(problems) => {
            builder.report(&source, problems);
            desired.held_policies.insert(id);
        }
    }
}

/// The policy, and what it waits for.
fn policy(
    resource: &SecurityPolicy,
    id: &str,
    (desired, snapshot, context): (&Desired, &Snapshot, &Context),
) -> Result<(Policy, Vec<Problem>), Vec<Problem>> {
    let mut problems = Vec::new();
    let spec = &resource.spec.definition.fields();
    problems.extend(check(spec, id));
    let rights = rights::resolve(resource, desired, snapshot);
    problems.extend(rights.wrong);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut payload = spec.clone();
    for field in NOT_SENT {
        payload.remove(field);
    }
    payload.insert("id".into(), json!(id));
    payload.insert("org_id".into(), json!(context.org));
    let given = spec.get("name").and_then(Value::as_str).unwrap_or_default();
    if given.is_empty() {
        payload.insert("name".into(), json!(resource.name_any()));
    }
    for field in UNLIMITED {
        let value = payload.entry(field).or_insert(Value::Null);
        if value.is_null() {
            *value = json!(-1);
        }
    }
    if let Some(smoothing) = payload.get_mut("smoothing") {
        // Looked at by `check`.
        let _ = rights::numbers(smoothing);
    }
    let mut access_rights = rights.by_api;
    if access_rights.is_empty() && grants_access(spec) {
        access_rights.insert(rights::NO_API.into(), rights::nothing());
    }
    if context.tyk.is_dashboard() {
        // Its pages show the list, its gateways read the map.
        let list = access_rights.values().cloned().collect();
        payload.insert("access_rights_array".into(), Value::Array(list));
        let state = spec
            .get("state")
            .filter(|state| state.as_str().is_some_and(|state| !state.is_empty()));
        payload.extend(state.map(|state| ("state".to_owned(), state.clone())));
    }
    payload.insert("access_rights".into(), Value::Object(access_rights));
    payload.insert("active".into(), json!(spec.get("active") != Some(&Value::Bool(false))));
    payload.insert("is_inactive".into(), json!(refuses_keys(spec)));
    let source = SnapshotKind::object_ref(resource);
    owner::mark_policy(&mut payload, &context.owner, &source.to_string());
    owner::mark_policy_context(&mut payload, &context.name);
    let policy = Policy {
        source,
        generation: resource.metadata.generation.unwrap_or_default(),
        payload: Value::Object(payload),
        waits: !rights.waits.is_empty(),
    };
    Ok((policy, rights.waits))
}

/// Whether keys of the policy are refused. The gateway knows `is_inactive` alone: it never looks at `active`, and cannot
/// let old keys pass and refuse new ones, as `state: draft` means it.
fn refuses_keys(spec: &Map<String, Value>) -> bool {
    let is = |field: &str, value: Value| spec.get(field) == Some(&value);
    is("is_inactive", json!(true)) || is("active", json!(false)) || is("state", json!("deny"))
}

/// Whether the policy decides which APIs a key may use, rather than only how often. One that does and names none must
/// not reach a gateway so: up to 5.6 it lets a key without rights of its own through to every API (source).
fn grants_access(spec: &Map<String, Value>) -> bool {
    let part = |name: &str| spec.get("partitions").and_then(|parts| parts.get(name)) == Some(&Value::Bool(true));
    part("acl") || part("per_api") || !["quota", "rate_limit", "complexity"].into_iter().any(part)
}

fn check(spec: &Map<String, Value>, id: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |field: &str, message: String| {
        problems.push((Code::InvalidDefinition, format!("spec.{field}"), message));
    };
    if id.contains(['/', '\\', '\0']) || matches!(id, "." | "..") || id.len() > ID_MAX {
        wrong(
            "id",
            format!(
                "{id:?} cannot be the name of a file on the gateway; leave out `/`, `\\` and all over {ID_MAX} bytes"
            ),
        );
    }
    match spec.get("state") {
        None | Some(Value::Null) => {}
        Some(Value::String(state)) if matches!(state.as_str(), "" | "active" | "draft" | "deny") => {}
        Some(_) => wrong("state", "it is none of active, draft and deny".to_owned()),
    }
    if let Some(Err(message)) = spec.get("smoothing").map(|value| rights::numbers(&mut value.clone())) {
        wrong("smoothing", message);
    }
    problems
}
