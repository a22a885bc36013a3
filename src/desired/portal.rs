//! The classic portal of an organisation: one catalogue and one configuration, which only a Dashboard has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use super::{Builder, Context, Desired, Installation, Place};
use crate::api::{PortalAPICatalogue, PortalStatus, Target};
use crate::diagnostic::{Code, ObjectRef};
use crate::snapshot::document::Problem;
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind};

/// Name of the catalogue in a Dashboard's calls, and of the place of its resource.
pub const CATALOGUE: &str = "catalogue";
/// The same for the configuration.
pub const CONFIGURATION: &str = "configuration";

/// Fields of an entry of the catalogue that only Kubernetes knows.
const NOT_SENT: [&str; 3] = ["apiDescriptionRef", "policyRef", "contextRef"];

/// The catalogue or the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct PortalObject {
    /// The resource that it is made from.
    pub source: ObjectRef,
    /// `metadata.generation` of that resource, 0 when unknown.
    pub generation: i64,
    /// The JSON to send, with documentation that is to be uploaded in `docs` of an entry.
    pub payload: Value,
    /// Documentation that was uploaded for it: its id on the Dashboard by the hash of its content.
    pub documentation: BTreeMap<String, String>,
}

/// What of the catalogue is to go with its resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortalRemoval {
    /// Whether the Dashboard was ever seen to hold what the resource asked for.
    pub written: bool,
    /// Documentation that was uploaded for it, as in [`PortalObject`].
    pub documentation: BTreeMap<String, String>,
}

/// A catalogue or configuration before it has its place.
struct Draft<'a> {
    name: &'static str,
    source: ObjectRef,
    metadata: &'a ObjectMeta,
    reference: Option<&'a Target>,
    status: Option<&'a PortalStatus>,
}

/// Adds the portal's objects to states whose policies are settled.
pub(super) fn add_all(builder: &mut Builder<'_>, tyks: &mut BTreeMap<Arc<Installation>, Desired>) {
    let snapshot = builder.snapshot;
    for description in snapshot.api_descriptions.values() {
        let source = SnapshotKind::object_ref(description.as_ref());
        if description.metadata.deletion_timestamp.is_none() {
            let context = builder.context(&source, description.spec.context_ref.as_ref());
            context.map(|context| needs_dashboard(builder, &source, &context));
        }
    }
    let mut catalogues: Vec<_> = snapshot.portal_api_catalogues.values().collect();
    catalogues.sort_by_key(|one| age(&one.metadata));
    for one in catalogues {
        let draft = Draft {
            name: CATALOGUE,
            source: SnapshotKind::object_ref(one.as_ref()),
            metadata: &one.metadata,
            reference: one.spec.context_ref.as_ref(),
            status: one.status.as_ref(),
        };
        add(builder, tyks, draft, |context, desired| {
            catalogue(one, snapshot, (context, desired))
        });
    }
    let mut configurations: Vec<_> = snapshot.portal_configs.values().collect();
    configurations.sort_by_key(|one| age(&one.metadata));
    for one in configurations {
        let draft = Draft {
            name: CONFIGURATION,
            source: SnapshotKind::object_ref(one.as_ref()),
            metadata: &one.metadata,
            reference: one.spec.context_ref.as_ref(),
            status: one.status.as_ref(),
        };
        add(builder, tyks, draft, |context, _| {
            Ok(with_organisation(one.spec.definition.fields(), context))
        });
    }
}

fn age(metadata: &ObjectMeta) -> (bool, Option<jiff::Timestamp>, NamespacedName) {
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
    (created.is_none(), created, NamespacedName::of(metadata))
}

/// Whether the resource is of no use where it is; if so the user is told.
fn needs_dashboard(builder: &mut Builder<'_>, source: &ObjectRef, context: &Context) -> bool {
    if context.tyk.is_dashboard() {
        return false;
    }
    let message = format!("{} means a gateway, which has no portal", context_name(context));
    builder.report(source, vec![(Code::NeedsDashboard, "spec.contextRef".into(), message)]);
    true
}

fn context_name(context: &Context) -> String {
    match context.name.as_str() {
        "" => "the operator's own TYK_URL".to_owned(),
        name => format!("OperatorContext {name}"),
    }
}

fn add(
    builder: &mut Builder<'_>,
    tyks: &mut BTreeMap<Arc<Installation>, Desired>,
    draft: Draft<'_>,
    payload: impl FnOnce(&Context, &Desired) -> Result<Value, Vec<Problem>>,
) {
    let Draft {
        name,
        source,
        metadata,
        reference,
        status,
    } = draft;
    let documentation = status.map(|status| status.documentation.clone()).unwrap_or_default();
    let place = |builder: &mut Builder<'_>, tyk: &Arc<Installation>| {
        let place = Place {
            tyk: tyk.clone(),
            id: name.into(),
        };
        builder.places.push((source.clone(), place));
    };
    if metadata.deletion_timestamp.is_some() {
        let context = builder.contexts.of_leaving(reference, &source.namespace);
        if let Some(tyk) = context.map(|context| context.tyk.clone()) {
            place(builder, &tyk);
            let desired = tyks.entry(tyk).or_insert_with(|| Desired::of(BTreeSet::new()));
            let written = status.is_some_and(|status| status.id.is_some());
            if !desired.portal.contains_key(name) && !desired.held_portal.contains(name) {
                let removal = PortalRemoval { written, documentation };
                desired.portal_removals.insert(name.to_owned(), removal);
            }
        }
        return;
    }
    let Some(context) = builder.context(&source, reference) else {
        return;
    };
    if needs_dashboard(builder, &source, &context) {
        return;
    }
    place(builder, &context.tyk);
    let desired = tyks.entry(context.tyk.clone()).or_default();
    if let Some(winner) = desired.portal.get(name) {
        let message = format!("the {name} of this organisation's portal belongs to {}", winner.source);
        builder.report(&source, vec![(Code::PortalConflict, "spec.contextRef".into(), message)]);
        return;
    }
    desired.portal_removals.remove(name);
    match payload(&context, desired) {
        Ok(payload) => {
            let generation = metadata.generation.unwrap_or_default();
            let object = PortalObject {
                source,
                generation,
                payload,
                documentation,
            };
            desired.portal.insert(name.to_owned(), object);
        }
        Err(problems) => {
            desired.held_portal.insert(name.to_owned());
            builder.report(&source, problems);
        }
    }
}

fn with_organisation(mut payload: Map<String, Value>, context: &Context) -> Value {
    for given in ["id", "_id"] {
        payload.remove(given);
    }
    if payload
        .get("org_id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .is_empty()
    {
        payload.insert("org_id".into(), json!(context.org));
    }
    Value::Object(payload)
}

/// The catalogue with descriptions and policies in place of their names. One that names what is not there is not changed.
fn catalogue(
    resource: &PortalAPICatalogue,
    snapshot: &Snapshot,
    (context, desired): (&Context, &Desired),
) -> Result<Value, Vec<Problem>> {
    let mut payload = with_organisation(resource.spec.definition.fields(), context);
    let own = resource.metadata.namespace.clone().unwrap_or_default();
    let mut problems = Vec::new();
    let mut entries = Vec::new();
    for (index, entry) in payload["apis"].as_array().into_iter().flatten().enumerate() {
        let field = format!("spec.apis[{index}]");
        let mut wrong = |part: &str, message: String| {
            problems.push((Code::PortalReferenceNotFound, format!("{field}.{part}"), message));
        };
        let mut entry = entry.as_object().cloned().unwrap_or_default();
        let mut policy = reference(entry.get("policyRef"), &own);
        if let Some(name) = reference(entry.get("apiDescriptionRef"), &own) {
            match snapshot.api_descriptions.get(&name) {
                Some(description) => {
                    let fields = description.spec.definition.fields();
                    policy = reference(fields.get("policyRef"), &name.namespace).or(policy);
                    entry.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
                }
                None => wrong("apiDescriptionRef", format!("APIDescription {name} does not exist")),
            }
        }
        if let Some(name) = policy {
            let id = snapshot.security_policies.get(&name).map(|policy| policy.policy_id());
            match id.filter(|id| desired.policies.contains_key(id) || desired.held_policies.contains(id)) {
                Some(id) => drop(entry.insert("policy_id".into(), json!(id))),
                None => wrong(
                    "policyRef",
                    format!("SecurityPolicy {name} does not exist, or belongs to another Tyk"),
                ),
            }
        }
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("policy_id").is_empty() && entry.get("is_keyless") != Some(&json!(true)) && problems.is_empty() {
            let message = format!("{:?} missing policy_id; set `policyRef`", text("name"));
            problems.push((Code::PortalReferenceNotFound, field.clone(), message));
        }
        for field in NOT_SENT {
            entry.remove(field);
        }
        entry.entry("version").or_insert(json!("v2"));
        entries.push(Value::Object(entry));
    }
    payload["apis"] = Value::Array(entries);
    if problems.is_empty() {
        Ok(payload)
    } else {
        Err(problems)
    }
}

/// The resource that a reference names.
fn reference(value: Option<&Value>, namespace: &str) -> Option<NamespacedName> {
    let target: Target = serde_json::from_value(value?.clone()).ok()?;
    let named = !target.name.is_empty();
    named.then(|| NamespacedName::new(target.namespace_or(namespace), &target.name))
}

/// The descriptions and policies that a catalogue names: kind and name.
pub(super) fn references(resource: &PortalAPICatalogue, snapshot: &Snapshot) -> Vec<(&'static str, NamespacedName)> {
    let own = resource.metadata.namespace.clone().unwrap_or_default();
    let mut found = Vec::new();
    let entries = resource.spec.definition.get("apis");
    for entry in entries.iter().filter_map(Value::as_array).flatten() {
        let mut policy = reference(entry.get("policyRef"), &own);
        if let Some(name) = reference(entry.get("apiDescriptionRef"), &own) {
            let description = snapshot.api_descriptions.get(&name);
            let named = description.and_then(|description| description.spec.definition.get("policyRef"));
            policy = reference(named.as_ref(), &name.namespace).or(policy);
            found.push(("APIDescription", name));
        }
        found.extend(policy.map(|name| ("SecurityPolicy", name)));
    }
    found
}
