//! Status of one resource.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::subject::{Role, Subject};
use super::{ReportInput, fields};
use crate::api::{ConditionStatus, ConditionType, Transaction, set_condition};
use crate::diagnostic::{Code, Diagnostic, ObjectRef, Severity};

/// Longest message of a condition, in bytes; Kubernetes takes 32768.
const MESSAGE_MAX: usize = 1000;

const OURS: [ConditionType; 3] = [ConditionType::Accepted, ConditionType::Synced, ConditionType::Ready];

/// The findings that keep a resource from being used, by object.
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

    pub(super) fn has(&self, object: &ObjectRef) -> bool {
        self.0.contains_key(object)
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
/// `Synced` is only ever true by an answer of the Tyk. While that cannot be asked, or was not yet since the start, an
/// object that it has confirmed in its present generation keeps what was confirmed; any other one is `Unreachable`. The time of a condition or
/// transaction moves only with its result, so that the same report twice makes one write.
pub(super) fn changed(
    input: &ReportInput<'_>,
    errors: &Errors<'_>,
    subject: &Subject<'_>,
    (answer, refusal): (Answer<'_>, Option<&str>),
) -> Option<Map<String, Value>> {
    let before = ours(subject);
    let mut writer = Writer {
        generation: subject.generation,
        now: whole_seconds(&input.now),
        conditions: conditions(&before),
        status: before.clone(),
        fields: fields::of_kind(subject.object.kind),
    };
    let role = subject.role;
    if subject.is_leaving() && role != Role::Template {
        writer.leaving(answer, refusal)?;
    } else {
        match role {
            Role::Template => writer.template(accepted(errors, subject, "Template"), refusal),
            Role::Part => writer.part(accepted(errors, subject, "Valid")),
            Role::Context => writer.context(accepted(errors, subject, "Valid"), input, subject),
            Role::Api | Role::Policy | Role::Portal if !known(input, errors, subject) => return None,
            Role::Api | Role::Policy | Role::Portal => {
                let accepted = accepted(errors, subject, "Valid");
                // Of a child that is just made there is nothing to tell until a gateway has been asked about it.
                let unheard = accepted.status == ConditionStatus::True && matches!(answer, Answer::None);
                if unheard && subject.ingress.is_some() && subject.status().is_empty() {
                    return None;
                }
                // Nobody has been asked since the start.
                let unasked = answer::looked_at(input, subject).is_none();
                writer.sent(subject, accepted, answer, unasked);
                fields::confirmed(input, subject, answer, &mut writer.status);
            }
        }
        fields::links(input, subject, &mut writer.status);
    }
    let after = writer.finish();
    (without_empty(&after) != without_empty(&before)).then_some(after)
}

/// Whether anything is known about the object as it now is. Of one that is newer than the round, or a child that is
/// about to be deleted, there is nothing.
fn known(input: &ReportInput<'_>, errors: &Errors<'_>, subject: &Subject<'_>) -> bool {
    errors.has(&subject.object) || answer::is_wanted(input, subject) || answer::is_held(input, subject)
}

fn accepted<'a>(errors: &Errors<'a>, subject: &Subject<'_>, good: &'a str) -> Verdict<'a> {
    let Some(found) = errors.0.get(&subject.object) else {
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
    conditions: Vec<Condition>,
    status: Map<String, Value>,
    /// The fields that the kind has; a deletion that waits is told of every kind, and not each has a transaction.
    fields: Vec<&'static str>,
}

impl Writer {
    /// A deletion that is refused is told where Tyk Operator tells it, and in `Ready`.
    fn template(&mut self, accepted: Verdict<'_>, refusal: Option<&str>) {
        self.status.insert("ingressTemplate".into(), json!(true));
        let kept = |type_: &str| {
            type_ == ConditionType::Accepted.as_str() || (type_ == ConditionType::Ready.as_str() && refusal.is_some())
        };
        self.conditions.retain(|condition| kept(&condition.type_));
        self.set(ConditionType::Accepted, accepted);
        if let Some(refusal) = refusal {
            self.transaction(Some(refusal));
            self.set(ConditionType::Ready, Verdict::new(false, "TemplateInUse", refusal));
        }
    }

    /// What is never sent itself is in effect as soon as it makes sense.
    fn part(&mut self, accepted: Verdict<'_>) {
        let ready = match accepted.status {
            ConditionStatus::True => Verdict::new(true, "Ready", ""),
            status => Verdict::new(status, "NotAccepted", accepted.message.clone()),
        };
        self.set(ConditionType::Accepted, accepted);
        self.set(ConditionType::Ready, ready);
    }

    /// A context is in step while its Tyk answers.
    fn context(&mut self, accepted: Verdict<'_>, input: &ReportInput<'_>, subject: &Subject<'_>) {
        let tyk = input.fleet.contexts.get(&subject.name()).map(|context| &context.tyk);
        let outcome = tyk.and_then(|tyk| input.outcomes.get(tyk));
        if outcome.is_none() && accepted.status == ConditionStatus::True && self.is_confirmed() {
            return;
        }
        let synced = match outcome.map(|outcome| outcome.endpoint_error.as_deref()) {
            _ if accepted.status != ConditionStatus::True => {
                Verdict::new(false, "NotAccepted", "its settings cannot be used")
            }
            None => Verdict::new(ConditionStatus::Unknown, "Pending", "waits for its Tyk"),
            Some(None) => Verdict::new(true, "Reachable", ""),
            Some(Some(error)) => Verdict::new(false, "Unreachable", error),
        };
        self.both(accepted, synced);
    }

    /// Of an object in deletion only the trouble is told; it ends with the object.
    fn leaving(&mut self, answer: Answer<'_>, refusal: Option<&str>) -> Option<()> {
        if let Some(refusal) = refusal {
            self.transaction(Some(refusal));
            self.set(ConditionType::Ready, Verdict::new(false, "InUse", refusal));
            return Some(());
        }
        let (reason, error) = match answer {
            Answer::Failed(error) => ("SyncFailed", error),
            Answer::Unreachable(error) => ("Unreachable", error),
            _ => return None,
        };
        self.transaction(Some(error));
        self.set(ConditionType::Synced, Verdict::new(false, reason, error));
        self.set(ConditionType::Ready, Verdict::new(false, "Deleting", error));
        Some(())
    }

    fn sent(&mut self, subject: &Subject<'_>, accepted: Verdict<'_>, answer: Answer<'_>, unasked: bool) {
        let silent = unasked || matches!(answer, Answer::Unreachable(_));
        if silent && accepted.status == ConditionStatus::True && self.is_confirmed() {
            return;
        }
        if self.status.contains_key("ingressTemplate") {
            self.status.insert("ingressTemplate".into(), json!(false));
        }
        let synced = synced(&accepted, subject, answer);
        match answer {
            _ if accepted.status != ConditionStatus::True => self.transaction(Some(&accepted.message)),
            Answer::Synced | Answer::Gone => self.transaction(None),
            Answer::Failed(error) | Answer::Unreachable(error) => self.transaction(Some(error)),
            Answer::None => {}
        }
        self.both(accepted, synced);
    }

    /// Sets all three; `Ready` says the same as the first of the others that does not hold.
    fn both(&mut self, accepted: Verdict<'_>, synced: Verdict<'_>) {
        let ready = match (accepted.status, synced.status) {
            (ConditionStatus::True, ConditionStatus::True) => Verdict::new(true, "Ready", ""),
            (ConditionStatus::True, status) => Verdict::new(status, synced.reason, synced.message.clone()),
            (status, _) => Verdict::new(status, "NotAccepted", accepted.message.clone()),
        };
        self.set(ConditionType::Accepted, accepted);
        self.set(ConditionType::Synced, synced);
        self.set(ConditionType::Ready, ready);
    }

    /// Whether the Tyk had confirmed the object as it now is.
    fn is_confirmed(&self) -> bool {
        self.generation.is_some()
            && self.conditions.iter().any(|condition| {
                condition.type_ == ConditionType::Synced.as_str()
                    && condition.status == ConditionStatus::True.as_str()
                    && condition.observed_generation == self.generation
            })
    }

    fn transaction(&mut self, error: Option<&str>) {
        let status = if error.is_none() { "Successful" } else { "Failed" };
        let error = error.map(cut);
        let before = self.status.get("latestTransaction").cloned();
        let before = before.and_then(|before| serde_json::from_value::<Transaction>(before).ok());
        let same = |before: &Transaction| before.status.as_deref() == Some(status) && before.error == error;
        if !before.as_ref().is_some_and(same) {
            let transaction = Transaction {
                status: Some(status.to_owned()),
                time: Some(self.now.clone()),
                error,
            };
            self.status.insert("latestTransaction".into(), json!(transaction));
        }
    }

    fn set(&mut self, type_: ConditionType, verdict: Verdict<'_>) {
        set_condition(
            &mut self.conditions,
            type_,
            verdict.status,
            verdict.reason,
            &cut(&verdict.message),
            self.generation,
            self.now.clone(),
        );
        self.status.insert("observedGeneration".into(), json!(self.generation));
    }

    fn finish(mut self) -> Map<String, Value> {
        self.status.insert("conditions".into(), json!(self.conditions));
        let known = |key: &str| self.fields.contains(&key);
        self.status.retain(|key, value| known(key) && !value.is_null());
        self.status
    }
}

/// Whether a status says that the Tyk serves what the object asks for.
pub(super) fn is_synced(status: &Map<String, Value>) -> bool {
    conditions(status).iter().any(|condition| {
        condition.type_ == ConditionType::Synced.as_str()
            && condition.status == ConditionStatus::True.as_str()
            && condition.reason == "Synced"
    })
}

fn synced(accepted: &Verdict<'_>, subject: &Subject<'_>, answer: Answer<'_>) -> Verdict<'static> {
    if accepted.status != ConditionStatus::True {
        return Verdict::new(
            false,
            "NotAccepted",
            "not sent; what the gateway served before is still served",
        );
    }
    match answer {
        Answer::Synced => Verdict::new(true, "Synced", ""),
        Answer::Gone if !subject.is_leaving() => Verdict::new(true, "Inactive", "not served, as `active` asks"),
        Answer::Failed(error) => Verdict::new(false, "SyncFailed", error),
        Answer::Unreachable(error) => Verdict::new(false, "Unreachable", error),
        Answer::Gone | Answer::None => Verdict::new(ConditionStatus::Unknown, "Pending", "waits for the gateway"),
    }
}

fn conditions(status: &Map<String, Value>) -> Vec<Condition> {
    let found = status.get("conditions").cloned().unwrap_or_default();
    serde_json::from_value(found).unwrap_or_default()
}

/// The part of a status that this program writes. The rest is Tyk Operator's and stays as it is.
fn ours(subject: &Subject<'_>) -> Map<String, Value> {
    let kept = fields::of_kind(subject.object.kind);
    let all = subject.status().iter().filter(|(key, _)| kept.contains(&key.as_str()));
    let mut ours: Map<_, _> = all.map(|(key, value)| (key.clone(), value.clone())).collect();
    let is_ours = |condition: &Condition| OURS.iter().any(|type_| type_.as_str() == condition.type_);
    let mut found = conditions(&ours);
    found.retain(is_ours);
    ours.insert("conditions".into(), json!(found));
    ours
}

/// Lists that are empty say the same as absent ones.
fn without_empty(status: &Map<String, Value>) -> Map<String, Value> {
    let mut status = status.clone();
    status.retain(|_, value| !value.as_array().is_some_and(Vec::is_empty));
    status
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
