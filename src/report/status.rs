//! Status of one ApiDefinition.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::Value;

use super::{Answer, ReportInput, template};
use crate::api::{ApiDefinition, ApiDefinitionStatus, ConditionStatus, ConditionType, Transaction, set_condition};
use crate::diagnostic::{Code, Diagnostic, ObjectRef, Severity};
use crate::snapshot::SnapshotKind;

/// Longest message of a condition, in bytes; Kubernetes takes 32768.
const MESSAGE_MAX: usize = 1000;

const OURS: [ConditionType; 3] = [ConditionType::Accepted, ConditionType::Synced, ConditionType::Ready];

/// The findings that keep a definition from being used, by object.
pub(super) struct Errors<'a>(BTreeMap<&'a ObjectRef, Vec<&'a Diagnostic>>);

impl<'a> Errors<'a> {
    pub(super) fn of(diagnostics: &'a [Diagnostic]) -> Self {
        let mut errors: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let kept = diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity() == Severity::Error && diagnostic.code != Code::SyncFailed);
        for diagnostic in kept {
            errors.entry(&diagnostic.object).or_default().push(diagnostic);
        }
        Self(errors)
    }
}

/// One condition before it has a time.
struct Verdict<'a> {
    status: ConditionStatus,
    reason: &'a str,
    message: String,
}

impl<'a> Verdict<'a> {
    fn new(status: impl Into<ConditionStatus>, reason: &'a str, message: impl Into<String>) -> Self {
        Self {
            status: status.into(),
            reason,
            message: message.into(),
        }
    }
}

/// The status, when it differs from the one that the object has.
///
/// `Synced` is only ever true by an answer of the gateway. While the gateway cannot be asked, an object that it has
/// confirmed in its present generation keeps what was confirmed; any other one is `Unreachable`. The time of a
/// condition or transaction moves only with its result, so that the same report twice makes one write.
pub(super) fn changed(
    input: &ReportInput<'_>,
    errors: &Errors<'_>,
    definition: &ApiDefinition,
    answer: Answer<'_>,
) -> Option<ApiDefinitionStatus> {
    let before = definition.status.as_ref().map(ours).unwrap_or_default();
    let writer = Writer {
        generation: definition.metadata.generation,
        now: whole_seconds(&input.now),
        status: before.clone(),
    };
    let after = if definition.is_template() {
        let refusal = template::refusal(input.snapshot, definition);
        writer.template(accepted(errors, definition, "Template"), refusal.as_deref())
    } else if definition.metadata.deletion_timestamp.is_some() {
        writer.leaving(answer)?
    } else if !known(input, errors, definition) {
        return None;
    } else {
        writer.api(input, definition, accepted(errors, definition, "Valid"), answer)
    };
    (after != before).then_some(after)
}

/// Whether the round says anything about the object as it now is. Of one that is newer than the round, or a child that
/// is about to be deleted, it does not.
fn known(input: &ReportInput<'_>, errors: &Errors<'_>, definition: &ApiDefinition) -> bool {
    let id = definition.api_id();
    let rejected = errors.0.contains_key(&definition.object_ref());
    let part = super::concerns(input.desired, definition, &id) || input.desired.held.contains(&id);
    rejected || part
}

fn accepted<'a>(errors: &Errors<'a>, definition: &ApiDefinition, good: &'a str) -> Verdict<'a> {
    let Some(found) = errors.0.get(&definition.object_ref()) else {
        return Verdict::new(true, good, "");
    };
    let first = found[0];
    let mut message = match first.field.as_str() {
        "" => first.message.clone(),
        field => format!("{field}: {}", first.message),
    };
    if found.len() > 1 {
        message.push_str(&format!(" (and {} more)", found.len() - 1));
    }
    Verdict::new(false, first.code.as_str(), message)
}

struct Writer {
    generation: Option<i64>,
    now: Time,
    status: ApiDefinitionStatus,
}

impl Writer {
    /// A deletion that is refused is told where Tyk Operator tells it, and in `Ready`.
    fn template(mut self, accepted: Verdict<'_>, refusal: Option<&str>) -> ApiDefinitionStatus {
        self.status.ingress_template = Some(true);
        self.status.observed_generation = self.generation;
        let kept = |type_: &str| {
            type_ == ConditionType::Accepted.as_str() || (type_ == ConditionType::Ready.as_str() && refusal.is_some())
        };
        self.status.conditions.retain(|condition| kept(&condition.type_));
        self.set(ConditionType::Accepted, accepted);
        if let Some(refusal) = refusal {
            self.transaction(Some(refusal));
            self.set(ConditionType::Ready, Verdict::new(false, "TemplateInUse", refusal));
        }
        self.status
    }

    /// Of an object in deletion only the trouble is told; it ends with the object.
    fn leaving(mut self, answer: Answer<'_>) -> Option<ApiDefinitionStatus> {
        let (reason, error) = match answer {
            Answer::Failed(error) => ("SyncFailed", error),
            Answer::Unreachable(error) => ("Unreachable", error),
            _ => return None,
        };
        self.transaction(Some(error));
        self.set(ConditionType::Synced, Verdict::new(false, reason, error));
        self.set(ConditionType::Ready, Verdict::new(false, "Deleting", error));
        self.status.observed_generation = self.generation;
        Some(self.status)
    }

    fn api(
        mut self,
        input: &ReportInput<'_>,
        definition: &ApiDefinition,
        accepted: Verdict<'_>,
        answer: Answer<'_>,
    ) -> ApiDefinitionStatus {
        if matches!(answer, Answer::Unreachable(_)) && accepted.status == ConditionStatus::True && self.is_confirmed() {
            return self.status;
        }
        if answer == Answer::Synced {
            let id = definition.api_id();
            self.status.org_id = Some(organisation(input, &id));
            self.status.api_id = Some(id);
        }
        self.status.ingress_template = self.status.ingress_template.map(|_| false);
        self.status.observed_generation = self.generation;
        let synced = synced(&accepted, definition, answer);
        match answer {
            _ if accepted.status != ConditionStatus::True => self.transaction(Some(&accepted.message)),
            Answer::Synced | Answer::Gone => self.transaction(None),
            Answer::Failed(error) | Answer::Unreachable(error) => self.transaction(Some(error)),
            Answer::None => {}
        }
        let ready = match (accepted.status, synced.status) {
            (ConditionStatus::True, ConditionStatus::True) => Verdict::new(true, "Ready", ""),
            (ConditionStatus::True, status) => Verdict::new(status, synced.reason, synced.message.clone()),
            (status, _) => Verdict::new(status, "NotAccepted", accepted.message.clone()),
        };
        self.set(ConditionType::Accepted, accepted);
        self.set(ConditionType::Synced, synced);
        self.set(ConditionType::Ready, ready);
        self.status
    }

    /// Whether the gateway had confirmed the object as it now is.
    fn is_confirmed(&self) -> bool {
        self.generation.is_some()
            && self.status.conditions.iter().any(|condition| {
                condition.type_ == ConditionType::Synced.as_str()
                    && condition.status == ConditionStatus::True.as_str()
                    && condition.observed_generation == self.generation
            })
    }

    fn transaction(&mut self, error: Option<&str>) {
        let status = if error.is_none() { "Successful" } else { "Failed" };
        let error = error.map(cut);
        let same = |before: &Transaction| before.status.as_deref() == Some(status) && before.error == error;
        if !self.status.latest_transaction.as_ref().is_some_and(same) {
            self.status.latest_transaction = Some(Transaction {
                status: Some(status.to_owned()),
                time: Some(self.now.clone()),
                error,
            });
        }
    }

    fn set(&mut self, type_: ConditionType, verdict: Verdict<'_>) {
        set_condition(
            &mut self.status.conditions,
            type_,
            verdict.status,
            verdict.reason,
            &cut(&verdict.message),
            self.generation,
            self.now.clone(),
        );
    }
}

/// Whether a status says that the gateway serves what the object asks for.
pub(super) fn is_synced(status: Option<&ApiDefinitionStatus>) -> bool {
    status.is_some_and(|status| {
        status.conditions.iter().any(|condition| {
            condition.type_ == ConditionType::Synced.as_str()
                && condition.status == ConditionStatus::True.as_str()
                && condition.reason == "Synced"
        })
    })
}

fn synced(accepted: &Verdict<'_>, definition: &ApiDefinition, answer: Answer<'_>) -> Verdict<'static> {
    if accepted.status != ConditionStatus::True {
        return Verdict::new(
            false,
            "NotAccepted",
            "not sent; what the gateway served before is still served",
        );
    }
    match answer {
        Answer::Synced => Verdict::new(true, "Synced", ""),
        Answer::Gone if definition.is_inactive() => Verdict::new(true, "Inactive", "not served, as `active` asks"),
        Answer::Failed(error) => Verdict::new(false, "SyncFailed", error),
        Answer::Unreachable(error) => Verdict::new(false, "Unreachable", error),
        Answer::Gone | Answer::None => Verdict::new(ConditionStatus::Unknown, "Pending", "waits for the gateway"),
    }
}

fn organisation(input: &ReportInput<'_>, id: &str) -> String {
    let api = input.desired.apis.get(id);
    let org = api.and_then(|api| api.payload.get("org_id")).and_then(Value::as_str);
    org.unwrap_or(input.org).to_owned()
}

/// The part of a status that this program writes. The rest is Tyk Operator's and stays as it is.
fn ours(status: &ApiDefinitionStatus) -> ApiDefinitionStatus {
    let is_ours = |condition: &&Condition| OURS.iter().any(|type_| type_.as_str() == condition.type_);
    ApiDefinitionStatus {
        api_id: status.api_id.clone(),
        org_id: status.org_id.clone(),
        ingress_template: status.ingress_template,
        latest_transaction: status.latest_transaction.clone(),
        observed_generation: status.observed_generation,
        conditions: status.conditions.iter().filter(is_ours).cloned().collect(),
        ..ApiDefinitionStatus::default()
    }
}

/// Times in Kubernetes have no fraction.
fn whole_seconds(time: &Time) -> Time {
    Time(Timestamp::from_second(time.0.as_second()).unwrap_or(time.0))
}

fn cut(text: &str) -> String {
    let end = (0..=MESSAGE_MAX.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or(0)].to_owned()
}
