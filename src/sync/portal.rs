//! The portal of a Dashboard: a catalogue and a configuration, and documentation that is uploaded once for each content.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::backoff::ObjectBackoff;
use super::tyk::Tyk;
use super::{ApiOutcome, Cause, Observed, Outcome, Plan, WriteReason, compare, mark};
use crate::desired::Desired;
use crate::desired::portal::{CATALOGUE, PortalObject, PortalRemoval};
use crate::tyk::Error;
use crate::tyk::dashboard::{Dashboard, Documentation, Record, managed};

/// What is remembered between rounds; ids of documentation also stand in the status of the catalogue's resource.
#[derive(Debug, Default)]
pub(super) struct Portal {
    /// Ids of uploaded documentation by the hash of the content.
    documentation: BTreeMap<String, String>,
    /// By object: the hash of what was wanted, its fields, and the hash of what the Dashboard made of it.
    written: BTreeMap<String, (String, BTreeSet<String>, String)>,
    backoff: ObjectBackoff,
}

impl Portal {
    /// When something that failed may be tried again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.backoff.next()
    }

    /// Brings the portal in step. An object whose policies are not in `policies` waits.
    ///
    /// # Errors
    /// The Dashboard does not answer.
    pub(super) async fn round(
        &mut self,
        tyk: &Tyk,
        desired: &Desired,
        policies: &Observed,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let Tyk::Dashboard(client) = tyk else {
            // A gateway has none, so that nothing is there to go.
            let gone = desired
                .portal_removals
                .keys()
                .map(|name| (name.as_str().into(), ApiOutcome::Gone));
            outcome.portal.extend(gone);
            return Ok(());
        };
        self.backoff
            .keep(|name| desired.portal.contains_key(name) || desired.portal_removals.contains_key(name));
        for (name, object) in &desired.portal {
            let hash = mark::hash(&object.payload);
            let done = match self.backoff.waits(name, &hash, Instant::now()) {
                Some(message) => ApiOutcome::Failed(message.to_owned()),
                None => {
                    let answer = self
                        .ensure(client, (name, object, &hash), (desired, policies), outcome)
                        .await;
                    self.judge(tyk, (name, &hash), answer.map(|()| ApiOutcome::Synced))?
                }
            };
            outcome.portal.insert(name.as_str().into(), done);
        }
        for (name, removal) in &desired.portal_removals {
            let answer = self.remove(client, name, removal).await;
            let done = self.judge(tyk, (name, ""), answer.map(|()| ApiOutcome::Gone))?;
            outcome.portal.insert(name.as_str().into(), done);
        }
        Ok(())
    }

    fn judge(
        &mut self,
        tyk: &Tyk,
        (name, hash): (&str, &str),
        answer: Result<ApiOutcome, Failure>,
    ) -> Result<ApiOutcome, Error> {
        let message = match answer {
            Ok(done) => return Ok(done),
            // Not its own fault: it comes in the round in which its policies do.
            Err(Failure::Waits(message)) => return Ok(ApiOutcome::Failed(message)),
            Err(Failure::Call(error)) if tyk.blames_object(&error) => error.to_string(),
            Err(Failure::Call(error)) => return Err(error),
        };
        self.backoff
            .failed(name, hash, &message, Instant::now(), rand::random());
        Ok(ApiOutcome::Failed(message))
    }

    async fn ensure(
        &mut self,
        client: &Dashboard,
        (name, object, hash): (&str, &PortalObject, &str),
        (desired, policies): (&Desired, &Observed),
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let named = object.payload["apis"].as_array().into_iter().flatten();
        let mut named = named.filter_map(|api| api["policy_id"].as_str());
        if let Some(id) = named.find(|id| desired.policies.contains_key(*id) && !policies.contains_key(*id)) {
            return Err(Failure::Waits(format!(
                "waits for the policy {id}, which the Dashboard does not hold"
            )));
        }
        let held = read(client, name).await?;
        for (hash, id) in &object.documentation {
            self.documentation.entry(hash.clone()).or_insert_with(|| id.clone());
        }
        let mut wanted = object.payload.clone();
        let used = self.upload(client, &mut wanted, object).await?;
        let before = self.written.get(name).cloned();
        let known = held
            .as_ref()
            .is_some_and(|held| in_step(&wanted, hash, before.as_ref(), held));
        let mut now = held.clone();
        if !known {
            let fields = before.as_ref().map(|(_, fields, _)| fields.clone()).unwrap_or_default();
            outcome.calls.writes += 1;
            if before.as_ref().is_some_and(|(before, ..)| before == hash) && held.is_some() {
                outcome.drift.edited += 1;
            }
            match name {
                CATALOGUE => client.write_catalogue(&wanted, &fields).await?,
                _ => client.write_portal_configuration(&wanted, &fields).await?,
            };
            now = read(client, name).await?;
            let made = mark::hash(&json!(unlike(&wanted, now.as_ref().unwrap_or(&Value::Null))));
            let fields = managed(Record::Flat, &wanted);
            self.written.insert(name.to_owned(), (hash.to_owned(), fields, made));
        }
        if let Some(id) = now.as_ref().and_then(|now| now["id"].as_str()) {
            outcome.portal_ids.insert(name.to_owned(), id.to_owned());
        }
        if name == CATALOGUE {
            self.collect(client, &used).await?;
            outcome.documentation = self.documentation.clone();
        }
        Ok(())
    }

    /// Puts ids in the place of documentation, uploads what was not uploaded yet, and gives back the hashes in use.
    async fn upload(
        &mut self,
        client: &Dashboard,
        wanted: &mut Value,
        object: &PortalObject,
    ) -> Result<BTreeSet<String>, Failure> {
        let mut used = BTreeSet::new();
        for entry in wanted["apis"].as_array_mut().into_iter().flatten() {
            let docs = entry
                .as_object_mut()
                .and_then(|entry| entry.remove("docs"))
                .unwrap_or_default();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let documentation = Documentation {
                policy_id: text(&entry["policy_id"]),
                doc_type: text(&docs["doc_type"]),
                documentation: text(&docs["documentation"]),
            };
            if documentation.doc_type.is_empty() {
                continue;
            }
            let hash = mark::hash(&json!([
                documentation.policy_id,
                documentation.doc_type,
                documentation.documentation
            ]));
            let id = match self.documentation.get(&hash) {
                Some(id) => id.clone(),
                None => {
                    let id = client.add_documentation(&documentation).await?;
                    tracing::info!(source = %object.source, %id, "documentation uploaded");
                    self.documentation.insert(hash.clone(), id.clone());
                    id
                }
            };
            entry["documentation"] = json!(id);
            used.insert(hash);
        }
        Ok(used)
    }

    /// Deletes documentation that was uploaded from here and that the catalogue does not show any more.
    async fn collect(&mut self, client: &Dashboard, used: &BTreeSet<String>) -> Result<(), Failure> {
        let unused: Vec<_> = self
            .documentation
            .keys()
            .filter(|hash| !used.contains(*hash))
            .cloned()
            .collect();
        for hash in unused {
            if let Some(id) = self.documentation.get(&hash) {
                client.delete_documentation(id).await?;
                self.documentation.remove(&hash);
            }
        }
        Ok(())
    }

    /// Empties the catalogue. The configuration stays: a portal cannot be without one.
    async fn remove(&mut self, client: &Dashboard, name: &str, removal: &PortalRemoval) -> Result<(), Failure> {
        let memory = self.written.remove(name);
        if name != CATALOGUE || !(removal.written || memory.is_some()) {
            return Ok(());
        }
        for (hash, id) in &removal.documentation {
            self.documentation.entry(hash.clone()).or_insert_with(|| id.clone());
        }
        if let Some(held) = client.catalogue().await?
            && held["apis"].as_array().is_some_and(|apis| !apis.is_empty())
        {
            client.write_catalogue(&json!({"apis": []}), &BTreeSet::new()).await?;
        }
        self.collect(client, &BTreeSet::new()).await
    }
}

/// Why an object is not in step.
enum Failure {
    /// A policy that it names is not there.
    Waits(String),
    /// A call failed.
    Call(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

async fn read(client: &Dashboard, name: &str) -> Result<Option<Value>, Error> {
    match name {
        CATALOGUE => client.catalogue().await,
        _ => client.portal_configuration().await,
    }
}

/// Whether nothing has to be written: the Dashboard has all that is wanted, or what it made of it before.
fn in_step(wanted: &Value, hash: &str, before: Option<&(String, BTreeSet<String>, String)>, held: &Value) -> bool {
    let unlike = unlike(wanted, held);
    match before {
        Some((before, _, made)) => before == hash && mark::hash(&json!(unlike)) == *made,
        None => unlike.is_empty(),
    }
}

/// The values of the Dashboard that are not as wanted, by field.
fn unlike(wanted: &Value, held: &Value) -> BTreeMap<String, Value> {
    let found = compare::differences(wanted, held).into_iter();
    found.map(|one| (one.field, one.observed.clone())).collect()
}

/// What would be written to the portal, and what is there. Ids of documentation are not known before it is uploaded.
pub(super) async fn difference(tyk: &Tyk, desired: &Desired) -> Result<(Plan, Observed), Error> {
    let (mut plan, mut all) = (Plan::default(), Observed::new());
    let Tyk::Dashboard(client) = tyk else {
        return Ok((plan, all));
    };
    for (name, object) in &desired.portal {
        let Some(held) = read(client, name).await? else {
            plan.writes.insert(name.clone(), WriteReason::Missing);
            continue;
        };
        let fields: Vec<_> = unlike(&without_documentation(&object.payload), &held)
            .into_keys()
            .collect();
        if fields.is_empty() {
            plan.unchanged += 1;
        } else {
            let cause = Cause::Wanted;
            plan.writes.insert(name.clone(), WriteReason::Changed { fields, cause });
        }
        all.insert(name.clone(), held.into());
    }
    Ok((plan, all))
}

/// A portal object without the texts that are uploaded on their own.
pub fn without_documentation(payload: &Value) -> Value {
    let mut payload = payload.clone();
    for entry in payload["apis"].as_array_mut().into_iter().flatten() {
        if let Some(entry) = entry.as_object_mut() {
            entry.remove("docs");
        }
    }
    payload
}

/// Names what nothing is known of as failed.
pub(super) fn fail_unproven(desired: &Desired, message: &str, outcome: &mut Outcome) {
    for name in desired.portal.keys().chain(desired.portal_removals.keys()) {
        let unproven = || ApiOutcome::Failed(message.to_owned());
        let of_it = outcome.portal.entry(name.as_str().into());
        of_it.or_insert_with(unproven);
    }
}
