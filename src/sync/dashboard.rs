//! What a Dashboard holds in the form in which rounds compare, and what rounds write in the form that a Dashboard takes.
//!
//! A Dashboard changes what it is sent and nothing else, and its records hold more than definitions. So the owner mark
//! also names the fields that were written: the next write takes away those that are not wanted any more, and leaves
//! alone what others have put beside them. What the mark says of owners and categories is what the resource asks for.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};

use super::form;
use crate::desired::{Api, Desired, oas, owner};
use crate::tyk::certs::Stored;
use crate::tyk::dashboard::{self as wire, ApiRecord, DocumentKind, Owners, PolicyRecord, Record, managed};
use crate::tyk::{Error, Kind};

/// Documents that are read at the same time.
const READS: usize = 4;

/// A Dashboard as rounds see it.
pub(super) struct Dashboard<'a>(pub(super) &'a wire::Dashboard);

impl Dashboard<'_> {
    /// All APIs by id in classic form, with what else is known of those that are wanted.
    pub(super) async fn list_apis(&self, desired: &Desired) -> Result<BTreeMap<String, Value>, Error> {
        let records = self.0.list_apis().await?;
        let mut apis: BTreeMap<String, Value> = records
            .iter()
            .map(|(id, record)| (id.clone(), observed(record)))
            .collect();
        if !desired.removals.is_empty() || !desired.mcps.is_empty() {
            apis.extend(self.list_mcps().await?);
        }
        // A list that changes while its pages are read can leave one out.
        for id in desired.removals.iter().filter(|id| !records.contains_key(*id)) {
            if apis.contains_key(id) {
                continue;
            }
            let found = self.0.api(id).await?.filter(|record| record.api_id() == id);
            apis.extend(found.map(|record| (id.clone(), observed(&record))));
        }
        let wanted = desired.oas.iter().chain(&desired.mcps);
        let wanted = wanted.filter(|(id, _)| apis.get(&***id).is_some_and(|held| held["is_oas"] == true));
        let wanted: Vec<_> = wanted.map(|(id, api)| (id.to_string(), document_kind(api))).collect();
        let documents = stream::iter(wanted.into_iter().map(|(id, kind)| self.document(id, kind)));
        let documents: Vec<_> = documents.buffer_unordered(READS).try_collect().await?;
        for (id, document, categories) in documents {
            if let Some(held) = apis.get_mut(&id).and_then(Value::as_object_mut) {
                form::note(held, "categories", json!(categories));
                form::add_document(held, document);
            }
        }
        Ok(apis)
    }

    /// MCP proxies, which are in no other list; none at a Dashboard that does not know them.
    async fn list_mcps(&self) -> Result<BTreeMap<String, Value>, Error> {
        let documents = match self.0.list_mcps().await {
            Err(error) if error.kind() == Kind::Malformed => return Ok(BTreeMap::new()),
            documents => documents?,
        };
        let classic = |document: Value| {
            let (domain, path) = oas::route(&document);
            let data = document.pointer("/x-tyk-api-gateway/middleware/global/pluginConfig/data/value");
            let mut held = Map::from_iter([
                ("is_oas".to_owned(), json!(true)),
                ("application_protocol".to_owned(), json!("mcp")),
                ("domain".to_owned(), json!(domain)),
                ("proxy".to_owned(), json!({"listen_path": path})),
                ("config_data".to_owned(), data.cloned().unwrap_or_default()),
            ]);
            form::add_document(&mut held, document);
            Value::Object(held)
        };
        Ok(documents.into_iter().map(|(id, one)| (id, classic(one))).collect())
    }

    /// The document of a wanted API, and its categories where it can have any.
    async fn document(&self, id: String, kind: DocumentKind) -> Result<(String, Value, BTreeSet<String>), Error> {
        let document = match self.0.document(kind, &id).await {
            // It is of another kind.
            Err(error) if error.kind() == Kind::Rejected => None,
            document => document?,
        };
        let categories = match kind {
            DocumentKind::Oas if document.is_some() => self.0.categories(&id).await?.unwrap_or_default(),
            _ => BTreeSet::new(),
        };
        Ok((id, document.unwrap_or_default(), categories))
    }

    /// Makes or changes an API.
    pub(super) async fn write_api(&self, api: &Api, definition: Value, held: Option<&Value>) -> Result<(), Error> {
        let before = held.map(owner::fields).unwrap_or_default();
        let is_document = oas::is_document(&definition);
        if let Some(held) = held.filter(|held| owner::of(held).is_some() && (held["is_oas"] == true) != is_document) {
            // A Dashboard never makes the one form out of the other.
            let id = id_of(&definition);
            self.delete_api(id, Some(held)).await?;
        }
        let owners = owners_of(&definition);
        if !is_document {
            let definition = with_fields(Record::Classic, definition);
            self.0.write_api(&definition, &owners, &before).await?;
            return Ok(());
        }
        let kind = document_kind(api);
        let definition = with_fields(Record::Document, definition);
        self.0.write_document(kind, &definition, &owners, &before).await?;
        let wanted = owner::categories(&definition);
        let ours = held.map(owner::categories).unwrap_or_default();
        if kind == DocumentKind::Oas && !(wanted.is_empty() && ours.is_empty()) {
            let id = id_of(&definition);
            let held = self.0.categories(id).await?.unwrap_or_default();
            let others = held.difference(&ours).cloned();
            let all: BTreeSet<_> = others.chain(wanted).collect();
            if all != held {
                self.0.set_categories(id, &all).await?;
            }
        }
        Ok(())
    }

    /// Removes an API of any kind.
    pub(super) async fn delete_api(&self, id: &str, held: Option<&Value>) -> Result<(), Error> {
        match held.is_some_and(form::is_mcp) {
            true => self.0.delete_document(DocumentKind::Mcp, id).await.map(drop),
            false => self.0.delete_api(id).await.map(drop),
        }
    }

    /// All policies by the id by which resources know them. That of the database stands for one only where a resource
    /// names it, as those do that take over a policy.
    pub(super) async fn list_policies(&self, desired: &Desired) -> Result<BTreeMap<String, Value>, Error> {
        let mut policies = BTreeMap::new();
        let known = |id: &str| {
            desired.policies.contains_key(id)
                || desired.held_policies.contains(id)
                || desired.policy_removals.contains(id)
        };
        for record in self.0.list_policies().await? {
            let (id, database_id) = (record.id().to_owned(), record.database_id());
            let key = if !known(&id) && known(database_id) {
                database_id.to_owned()
            } else {
                id
            };
            let policy = observed_policy(&record, &key);
            // Of two with one id the one that is marked counts.
            if owner::policy_mark(&policy).is_some() || !policies.contains_key(&key) {
                policies.insert(key, policy);
            }
        }
        Ok(policies)
    }

    /// Makes or changes a policy.
    pub(super) async fn write_policy(&self, policy: Value, held: Option<&Value>) -> Result<(), Error> {
        let mut policy = policy;
        let Some((held, database_id)) = held.and_then(|held| Some((held, held["_id"].as_str()?))) else {
            return self.0.create_policy(&with_policy_fields(policy)).await.map(drop);
        };
        if let Some(fields) = policy.as_object_mut() {
            owner::keep_others(fields, held);
            match form::noted(held, "id") {
                // It is known by the id of the database, and may have another one that keys name.
                Value::Null => drop(fields.remove("id")),
                own => drop(fields.insert("id".to_owned(), own.clone())),
            }
        }
        let before = owner::fields(held);
        self.0
            .update_policy(database_id, &with_policy_fields(policy), &before)
            .await
    }

    /// Removes a policy.
    pub(super) async fn delete_policy(&self, held: Option<&Value>) -> Result<(), Error> {
        let Some(database_id) = held.and_then(|held| held["_id"].as_str()) else {
            return Ok(());
        };
        match self.0.policy(database_id).await? {
            Some(record) => self.0.delete_policy(&record).await.map(drop),
            None => Ok(()),
        }
    }

    /// What the Dashboard tells of these certificates. What it does not tell is taken to be as it was sent.
    pub(super) async fn certificates(&self, ids: &[&str]) -> Result<BTreeMap<String, Stored>, Error> {
        let mut found = BTreeMap::new();
        for id in ids {
            if let Some(told) = self.0.certificate(id).await? {
                let last = told["fingerprint"].as_str().unwrap_or_default().to_owned();
                let has_key = told["has_private"].as_bool().unwrap_or(true);
                found.insert((*id).to_owned(), Stored { last, has_key });
            }
        }
        Ok(found)
    }
}

/// What has to be changed of a wanted API although its definition is as wanted.
pub(super) fn lacks(api: &Api, held: &Value) -> Vec<String> {
    let mut lacks = Vec::new();
    let names = |field: &str| -> BTreeSet<String> {
        let names = form::noted(held, field).as_array().into_iter().flatten();
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let payload = api.payload.value();
    let owners = owners_of(&payload);
    // The list of MCP proxies does not name owners.
    if !form::is_mcp(held) {
        for (field, wanted) in [("user_owners", &owners.users), ("user_group_owners", &owners.groups)] {
            if !wanted.is_subset(&names(field)) {
                lacks.push(field.to_owned());
            }
        }
    }
    if document_kind(api) == DocumentKind::Oas && oas::is_document(&payload) {
        let (wanted, there) = (owner::categories(&payload), names("categories"));
        let unwanted = owner::categories(held);
        let mut unwanted = unwanted.difference(&wanted);
        if !wanted.is_subset(&there) || unwanted.any(|one| there.contains(one)) {
            lacks.push("categories".to_owned());
        }
    }
    lacks
}

fn observed(record: &ApiRecord) -> Value {
    let mut held = record.definition().as_object().cloned().unwrap_or_default();
    let owners = record.owners();
    form::note(&mut held, "user_owners", json!(owners.users));
    form::note(&mut held, "user_group_owners", json!(owners.groups));
    Value::Object(held)
}

fn observed_policy(record: &PolicyRecord, key: &str) -> Value {
    let mut held = record.fields().clone();
    let own = held.get("id").filter(|id| id.as_str().is_some_and(|id| !id.is_empty()));
    let own = own.cloned().unwrap_or_default();
    held.insert("id".to_owned(), json!(key));
    form::note(&mut held, "id", own);
    Value::Object(held)
}

/// Of which kind a document is: its resource says it.
pub(super) fn document_kind(api: &Api) -> DocumentKind {
    match api.source.kind {
        "TykStreamsApiDefinition" => DocumentKind::Streams,
        "TykMcpProxyDefinition" => DocumentKind::Mcp,
        _ => DocumentKind::Oas,
    }
}

fn owners_of(definition: &Value) -> Owners {
    let [users, groups] = owner::owners(definition);
    Owners { users, groups }
}

fn id_of(definition: &Value) -> &str {
    let id = match oas::is_document(definition) {
        true => &definition["x-tyk-api-gateway"]["info"]["id"],
        false => &definition["api_id"],
    };
    id.as_str().unwrap_or_default()
}

/// The definition with the fields that it manages in its mark.
fn with_fields(kind: Record, mut definition: Value) -> Value {
    let fields = managed(kind, &definition);
    if let Some(mark) = definition.as_object_mut().and_then(owner::slot) {
        mark.insert("fields".to_owned(), json!(fields));
    }
    definition
}

/// The same for a policy.
fn with_policy_fields(mut policy: Value) -> Value {
    let fields = managed(Record::Flat, &policy);
    let mark = owner::policy_mark(&policy);
    if let (Some(mut mark), Some(policy)) = (mark, policy.as_object_mut()) {
        mark.insert("fields".to_owned(), json!(fields));
        owner::put_policy_mark(policy, mark);
    }
    policy
}
