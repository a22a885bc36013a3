//! Status of TykOasApiDefinitions, by the rules for ApiDefinitions: each is looked at in the form of one.

use std::sync::Arc;

use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt;
use serde_json::{Map, Value, json};

use super::{Report, ReportInput, classic};
use crate::api::{
    ApiDefinition, ApiDefinitionSpec, ApiDefinitionStatus, DomainStatus, PinnedStatus, TykOasApiDefinition,
    TykOasApiDefinitionStatus, VersioningStatus, names,
};
use crate::desired::{Api, Desired, oas};
use crate::diagnostic::{Diagnostic, ObjectRef};
use crate::snapshot::document::EXTENSION;
use crate::snapshot::{Snapshot, SnapshotKind};
use crate::sync::ApiOutcome;

/// Adds what is to be written of TykOasApiDefinitions, and what is found about them.
pub(super) fn add(input: &ReportInput<'_>, report: &mut Report) {
    if input.snapshot.tyk_oas_api_definitions.is_empty() {
        return;
    }
    let mut snapshot = Snapshot {
        ingresses: input
            .snapshot
            .ingresses
            .iter()
            .map(|(name, ingress)| (name.clone(), user_of(ingress)))
            .collect(),
        namespaces: input.snapshot.namespaces.clone(),
        ..Snapshot::default()
    };
    for (name, definition) in &input.snapshot.tyk_oas_api_definitions {
        let form = Arc::new(classic_form(input.snapshot, definition));
        snapshot.api_definitions.insert(name.clone(), form);
    }
    let diagnostics: Vec<_> = input
        .diagnostics
        .iter()
        .filter_map(|one| renamed(one, TykOasApiDefinition::KIND, ApiDefinition::KIND))
        .collect();
    let found = classic(&ReportInput {
        snapshot: &snapshot,
        desired: &classic_desired(input.desired),
        diagnostics: &diagnostics,
        ..input.clone()
    });
    report.oas_release = found.release;
    let synced = found.synced.into_iter();
    report.synced.extend(synced.map(|(object, note)| {
        let kind = TykOasApiDefinition::KIND;
        (ObjectRef::new(kind, object.namespace, object.name), note)
    }));
    for (name, definition) in &input.snapshot.tyk_oas_api_definitions {
        let before = definition
            .status
            .clone()
            .map(|status| ours(&status))
            .unwrap_or_default();
        let status = match found.statuses.get(name) {
            Some(status) => own_form(input, definition, &before, status.clone()),
            // A document changes without its resource.
            None => with_document(input, definition, &before),
        };
        if status != before {
            report.oas_statuses.insert(name.clone(), status);
        }
    }
    for one in found.diagnostics {
        let own = renamed(&one, ApiDefinition::KIND, TykOasApiDefinition::KIND);
        report.diagnostics.push(own.unwrap_or(one));
    }
}

/// An Ingress that uses a template of this kind as if it used a classic one; one that uses a classic one as if none.
fn user_of(ingress: &Arc<Ingress>) -> Arc<Ingress> {
    let annotations = ingress.annotations();
    if !annotations.contains_key(names::ANNOTATION_TEMPLATE) {
        return ingress.clone();
    }
    let kind = annotations.get(names::ANNOTATION_TEMPLATE_KIND).map(String::as_str);
    let hidden = match kind == Some(TykOasApiDefinition::KIND) {
        true => names::ANNOTATION_TEMPLATE_KIND,
        false => names::ANNOTATION_TEMPLATE,
    };
    let mut user = Ingress::clone(ingress);
    user.annotations_mut().remove(hidden);
    Arc::new(user)
}

fn classic_form(snapshot: &Snapshot, definition: &TykOasApiDefinition) -> ApiDefinition {
    let identity = oas::identity(snapshot, definition);
    let mut metadata = definition.metadata.clone();
    if definition.is_template() {
        let labels = metadata.labels.get_or_insert_default();
        labels.insert(names::LABEL_TEMPLATE.to_owned(), names::LABEL_TRUE.to_owned());
    } else if let Some(labels) = &mut metadata.labels {
        labels.remove(names::LABEL_TEMPLATE);
    }
    for finalizer in metadata.finalizers.iter_mut().flatten() {
        if finalizer == names::FINALIZER_OAS_API_DEFINITION {
            *finalizer = names::FINALIZER_API_DEFINITION.to_owned();
        }
    }
    let active = ("active".to_owned(), json!(!identity.inactive));
    ApiDefinition {
        metadata,
        spec: ApiDefinitionSpec {
            context_ref: None,
            definition: Map::from_iter([("api_id".to_owned(), json!(identity.id)), active]),
        },
        status: definition.status.as_ref().map(|status| ApiDefinitionStatus {
            api_id: status.id.clone(),
            ingress_template: status.ingress_template,
            latest_transaction: status.latest_transaction.clone(),
            observed_generation: status.observed_generation,
            conditions: status.conditions.clone(),
            ..ApiDefinitionStatus::default()
        }),
    }
}

/// The OAS APIs in the place of the classic ones, and the other way round.
fn classic_desired(desired: &Desired) -> Desired {
    let form = |api: &Api| Api {
        source: ObjectRef {
            kind: ApiDefinition::KIND,
            ..api.source.clone()
        },
        generation: api.generation,
        payload: Value::Null,
    };
    Desired {
        apis: desired.oas.iter().map(|(id, api)| (id.clone(), form(api))).collect(),
        oas: desired.apis.iter().map(|(id, api)| (id.clone(), api.clone())).collect(),
        held: desired.held.clone(),
        removals: desired.removals.clone(),
        ..Desired::default()
    }
}

/// The finding about the same object under another kind; `None` when it is about an object of a third kind.
fn renamed(diagnostic: &Diagnostic, from: &str, to: &'static str) -> Option<Diagnostic> {
    (diagnostic.object.kind == from).then(|| {
        let mut diagnostic = diagnostic.clone();
        diagnostic.object.kind = to;
        diagnostic
    })
}

fn own_form(
    input: &ReportInput<'_>,
    definition: &TykOasApiDefinition,
    before: &TykOasApiDefinitionStatus,
    status: ApiDefinitionStatus,
) -> TykOasApiDefinitionStatus {
    let inactive = status.conditions.iter().any(|condition| condition.reason == "Inactive");
    let status = TykOasApiDefinitionStatus {
        id: status.api_id,
        enabled: if inactive { Some(false) } else { before.enabled },
        ingress_template: status.ingress_template,
        latest_transaction: status.latest_transaction,
        observed_generation: status.observed_generation,
        conditions: status.conditions,
        ..before.clone()
    };
    with_document(input, definition, &status)
}

/// The status with what the gateway has confirmed of the document. What it confirmed last stays until it does again.
fn with_document(
    input: &ReportInput<'_>,
    definition: &TykOasApiDefinition,
    status: &TykOasApiDefinitionStatus,
) -> TykOasApiDefinitionStatus {
    let synced = |id: &&str| input.outcome.apis.get(*id) == Some(&ApiOutcome::Synced);
    let api = status
        .id
        .as_deref()
        .filter(synced)
        .and_then(|id| input.desired.oas.get(id));
    match api.filter(|api| api.source == definition.object_ref()) {
        Some(api) => of_document(&api.payload, status),
        None => status.clone(),
    }
}

fn of_document(document: &Value, before: &TykOasApiDefinitionStatus) -> TykOasApiDefinitionStatus {
    let extension = &document[EXTENSION];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let domain = &extension["server"]["customDomain"];
    let pinned = &extension["upstream"]["certificatePinning"]["domainToPublicKeysMapping"];
    let versioning = &extension["info"]["versioning"];
    TykOasApiDefinitionStatus {
        name: text(&extension["info"]["name"]),
        enabled: extension["info"]["state"]["active"].as_bool(),
        listen_path: text(&extension["server"]["listenPath"]["value"]),
        target_url: text(&extension["upstream"]["url"]),
        domain: serde_json::from_value::<DomainStatus>(domain.clone()).ok(),
        certificate_pinning: serde_json::from_value::<Vec<PinnedStatus>>(pinned.clone()).unwrap_or_default(),
        versioning_status: versioning["enabled"]
            .as_bool()
            .filter(|enabled| *enabled)
            .map(|_| VersioningStatus {
                is_versioned_api: Some(true),
                ..VersioningStatus::default()
            }),
        ..before.clone()
    }
}

/// The part of a status that this program writes. The rest is Tyk Operator's and stays as it is.
fn ours(status: &TykOasApiDefinitionStatus) -> TykOasApiDefinitionStatus {
    TykOasApiDefinitionStatus {
        latest_crd_spec_hash: None,
        latest_config_map_hash: None,
        latest_tyk_spec_hash: None,
        linked_by_policies: Vec::new(),
        ..status.clone()
    }
}

#[cfg(test)]
mod tests;
