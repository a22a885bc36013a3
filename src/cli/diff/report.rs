//! A preview as a list of changes that can be shown.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::shown;
use crate::desired::{Desired, Installation};
use crate::diagnostic::Diagnostic;
use crate::sync::preview::{Preview, field_changes, without_documentation};
use crate::sync::{Cause, Observed, Plan, WriteReason};

/// The differences of one Tyk.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Base URL of its control API.
    pub url: String,
    /// By kind of object, then id.
    pub changes: Vec<Change>,
    /// How many objects are as wanted.
    pub unchanged: usize,
}

/// One object.
#[derive(Debug, Serialize)]
pub struct Change {
    /// `certificate`, `policy`, `api` or `portal`.
    pub sort: &'static str,
    /// What would be done.
    pub action: Action,
    /// Id on Tyk.
    pub id: String,
    /// The resource that it is made from, as far as known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// More about the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
}

/// What would be done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Tyk does not have it.
    Create,
    /// Its resource changed.
    Update,
    /// It was there before its resource, which takes it over.
    Adopt,
    /// Somebody changed it on Tyk.
    Repair,
    /// Its resource is gone.
    Delete,
    /// It is wanted and cannot be written.
    Refuse,
}

/// One field of an object.
#[derive(Debug, Serialize)]
pub struct Field {
    /// Its path.
    pub field: String,
    /// What Tyk holds, null for nothing.
    pub held: Value,
    /// What it would hold, null for nothing.
    pub wanted: Value,
}

/// Where a mark of ours is; that it changes says nothing to the user.
const MARK: &str = "tyk-ingress";

impl Report {
    /// What the preview of a Tyk says.
    pub fn of(tyk: &Installation, desired: &Desired, found: &Preview) -> Report {
        let payloads: Vec<_> = desired.payloads().map(|(_, payload)| payload.value()).collect();
        let apis = desired.wanted().zip(&payloads);
        let apis = apis.map(|((id, api), payload)| (id.as_ref(), (api.source.to_string(), payload.as_ref())));
        let policies = desired.policies.iter();
        let policies = policies.map(|(id, policy)| (id.as_str(), (policy.source.to_string(), &policy.payload)));
        let (apis, policies): (BTreeMap<_, _>, BTreeMap<_, _>) = (apis.collect(), policies.collect());
        let mut changes: Vec<Change> = found
            .certificates
            .iter()
            .filter_map(|id| Some((id, desired.certificates.get(id)?)))
            .map(|(id, certificate)| Change {
                object: Some(certificate.source.to_string()),
                ..Change::new("certificate", Action::Create, id)
            })
            .collect();
        changes.extend(of_plan("policy", &found.policies, &policies, &found.held_policies));
        changes.extend(of_plan("api", &found.apis, &apis, &found.held_apis));
        let portal: Vec<_> = desired
            .portal
            .iter()
            .map(|(name, one)| {
                (
                    name.as_str(),
                    (one.source.to_string(), without_documentation(&one.payload)),
                )
            })
            .collect();
        let portal = portal
            .iter()
            .map(|(name, (source, payload))| (*name, (source.clone(), payload)));
        changes.extend(of_plan("portal", &found.portal, &portal.collect(), &found.held_portal));
        for change in changes.iter_mut().filter(|change| change.sort == "api") {
            if let Some(refusal) = found.refused.get(&change.id) {
                (change.action, change.reason) = (Action::Refuse, Some(refusal.clone()));
            }
        }
        if let Some(failure) = &found.policies_failure {
            for change in changes.iter_mut().filter(|change| change.sort == "policy") {
                (change.action, change.reason) = (Action::Refuse, Some(failure.clone()));
            }
        }
        let certificates = desired.certificates.len() - found.certificates.len();
        Report {
            url: tyk.url.clone(),
            changes,
            unchanged: certificates + found.apis.unchanged + found.policies.unchanged + found.portal.unchanged,
        }
    }

    /// Whether something would be done.
    pub fn differs(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Whether something is wanted that cannot be done.
    pub fn is_refused(&self) -> bool {
        self.changes.iter().any(|change| change.action == Action::Refuse)
    }

    /// How many changes have this action.
    pub fn count(&self, action: Action) -> usize {
        self.changes.iter().filter(|change| change.action == action).count()
    }
}

impl Change {
    fn new(sort: &'static str, action: Action, id: &str) -> Change {
        Change {
            sort,
            action,
            id: id.to_owned(),
            object: None,
            reason: None,
            fields: Vec::new(),
        }
    }
}

fn of_plan(sort: &'static str, plan: &Plan, wanted: &BTreeMap<&str, (String, &Value)>, held: &Observed) -> Vec<Change> {
    let object = |id: &str| wanted.get(id).map(|(source, _)| source.clone());
    let mut changes = Vec::new();
    for (id, reason) in &plan.writes {
        let action = action(reason);
        let fields = match (wanted.get(id.as_str()), held.get(id)) {
            (Some((_, payload)), Some(held)) => fields(payload, held.value(), reason),
            _ => Vec::new(),
        };
        let renamed = match reason {
            WriteReason::Renamed { .. } => Some(reason.to_string()),
            _ => None,
        };
        changes.push(Change {
            object: object(id),
            reason: renamed,
            fields,
            ..Change::new(sort, action, id)
        });
    }
    let refused = |(id, reason): (&String, String)| Change {
        object: object(id),
        reason: Some(reason),
        ..Change::new(sort, Action::Refuse, id)
    };
    let rivals = plan.rivals.iter();
    let rivals = rivals.map(|(id, rival)| (id, format!("API {rival} has the same domain and listen path")));
    let foreign = plan.foreign.iter();
    let foreign = foreign.map(|(id, owner)| (id, format!("it belongs to the operator {owner:?}")));
    changes.extend(rivals.chain(foreign).map(refused));
    changes.extend(plan.deletes.iter().map(|id| Change {
        object: held.get(id).and_then(|held| source(held.value())),
        ..Change::new(sort, Action::Delete, id)
    }));
    changes.sort_by(|one, other| one.id.cmp(&other.id));
    changes
}

fn action(reason: &WriteReason) -> Action {
    match reason {
        WriteReason::Missing => Action::Create,
        WriteReason::Renamed { .. } => Action::Repair,
        WriteReason::Changed { cause, .. } => match cause {
            Cause::Wanted => Action::Update,
            Cause::Adopted => Action::Adopt,
            Cause::Edited => Action::Repair,
        },
    }
}

fn fields(payload: &Value, held: &Value, reason: &WriteReason) -> Vec<Field> {
    let changes = field_changes(payload, held, reason).into_iter();
    let changes = changes.filter(|change| !change.field.contains(MARK));
    changes
        .map(|change| {
            let (held, wanted) = shown::both(&change.field, change.held, change.wanted);
            Field {
                field: change.field,
                held,
                wanted,
            }
        })
        .collect()
}

/// The resource that an object of ours was made from.
fn source(held: &Value) -> Option<String> {
    Some(held.pointer("/config_data/tyk-ingress/source")?.as_str()?.to_owned())
}

/// All of it as one object.
pub fn json(reports: &[Report], diagnostics: &[Diagnostic]) -> Value {
    json!({"tyks": reports, "diagnostics": diagnostics})
}
