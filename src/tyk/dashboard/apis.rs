//! Classic APIs: a definition inside the record that the Dashboard keeps of it.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::tyk::{Error, Kind};

use super::fields::{self, Record};
use super::pages::List;
use super::{Dashboard, Deleted, Owners, Written};

/// What the Dashboard keeps of an API, whole: `api_definition`, owners, hooks and whatever else this version has.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiRecord {
    wrapper: Map<String, Value>,
}

impl ApiRecord {
    fn read(answer: Value) -> Option<Self> {
        match answer {
            Value::Object(wrapper) if wrapper.get("api_definition").is_some_and(Value::is_object) => {
                Some(Self { wrapper })
            }
            _ => None,
        }
    }

    /// The definition; of an OAS API its classic form.
    pub fn definition(&self) -> &Value {
        &self.wrapper["api_definition"]
    }

    /// The id that resources know.
    pub fn api_id(&self) -> &str {
        self.definition()["api_id"].as_str().unwrap_or_default()
    }

    /// The id in the Dashboard's database.
    pub fn database_id(&self) -> &str {
        self.definition()["id"].as_str().unwrap_or_default()
    }

    /// Whether its source is an OAS document.
    pub fn is_oas(&self) -> bool {
        self.definition()["is_oas"].as_bool().unwrap_or_default()
    }

    /// Who owns it.
    pub fn owners(&self) -> Owners {
        let list = |name: &str| self.wrapper.get(name).unwrap_or(&Value::Null);
        Owners::read(list("user_owners"), list("user_group_owners"))
    }

    /// The record with our fields of the definition as wanted, and nothing else changed. The id in the database is none
    /// of ours, whatever `wanted` says.
    fn with(&self, wanted: &Value, before: &BTreeSet<String>) -> Value {
        let held = self.definition();
        let mut definition = fields::over(Record::Classic, held, wanted, before);
        definition["id"] = held["id"].clone();
        if wanted["org_id"].as_str().unwrap_or_default().is_empty() {
            definition["org_id"] = held["org_id"].clone();
        }
        let mut wrapper = self.wrapper.clone();
        wrapper.insert("api_definition".into(), definition);
        Value::Object(wrapper)
    }
}

impl Dashboard {
    /// `GET /api/apis`: the records of all APIs by their id, OAS ones with a classic form of their document.
    ///
    /// # Errors
    /// The Dashboard does not answer, does not let us in, or answers something else than a list.
    pub async fn list_apis(&self) -> Result<BTreeMap<String, ApiRecord>, Error> {
        let list = List {
            path: &["apis"],
            field: "apis",
            first: 1,
            query: "sort=created_at",
        };
        let records = self.all(&list).await?.into_iter().filter_map(ApiRecord::read);
        Ok(records.map(|record| (record.api_id().to_owned(), record)).collect())
    }

    /// `GET /api/apis/{id}`, by the id of the API or that of the database; `None` if there is none.
    ///
    /// # Errors
    /// As for every call.
    pub async fn api(&self, id: &str) -> Result<Option<ApiRecord>, Error> {
        let call = self.call(Method::GET, &["apis", id])?;
        let name = call.name.clone();
        let Some(answer) = call.found().await? else {
            return Ok(None);
        };
        match ApiRecord::read(answer) {
            Some(record) => Ok(Some(record)),
            None => {
                let detail = format!("the answer is no API; {}", self.wire.check_url());
                Err(Error::new(Kind::Malformed, name, detail))
            }
        }
    }

    /// Makes the API of this definition's `api_id` as wanted, or takes over the one that is there: `before` names the
    /// fields that an earlier write of ours has set ([`super::managed`]). `owners` are added to those it has.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when another API has the address, [`Kind::Rejected`] when the Dashboard does not want this
    /// definition, else as for every call.
    pub async fn write_api(
        &self,
        definition: &Value,
        owners: &Owners,
        before: &BTreeSet<String>,
    ) -> Result<Written, Error> {
        let id = definition["api_id"].as_str().unwrap_or_default();
        if id.is_empty() {
            return Err(Error::new(
                Kind::Rejected,
                "PUT /api/apis",
                "the definition has no api_id",
            ));
        }
        let Some(held) = self.api(id).await? else {
            self.create_api(id, definition, owners).await?;
            if !owners.is_empty() {
                self.still_sees(id).await?;
            }
            return Ok(Written::Created);
        };
        if held.is_oas() {
            let detail = "the API of this id has an OAS document; delete it, or choose another id";
            return Err(Error::new(Kind::Conflict, format!("PUT /api/apis/{id}"), detail));
        }
        self.put_api(id, &held.with(definition, before)).await?;
        if !held.owners().contains(owners) {
            self.add_owners(id, owners).await?;
        }
        Ok(Written::Updated)
    }

    /// `DELETE /api/apis/{id}`.
    ///
    /// # Errors
    /// As for every call. Only the Dashboard's own word that there is none counts as gone.
    pub async fn delete_api(&self, id: &str) -> Result<Deleted, Error> {
        self.call(Method::DELETE, &["apis", id])?.deleted().await
    }

    /// Older Dashboards give a new API an id of their own, which a second write then puts right. If we end between the
    /// two, the API with the strange id still carries our mark.
    async fn create_api(&self, id: &str, definition: &Value, owners: &Owners) -> Result<(), Error> {
        let mut definition = definition.clone();
        if let Some(fields) = definition.as_object_mut() {
            fields.remove("id");
        }
        let body =
            json!({"api_definition": definition, "user_owners": owners.users, "user_group_owners": owners.groups});
        let call = self.call(Method::POST, &["apis"])?.body(&body);
        let name = call.name.clone();
        let done = call.done().await?;
        if done.id.as_deref() == Some(id) {
            return Ok(());
        }
        let made = match &done.meta {
            Some(database_id) => self.api(database_id).await?.map(|made| (database_id, made)),
            None => None,
        };
        let Some((database_id, made)) = made else {
            return Err(Error::new(
                Kind::Malformed,
                name,
                "the Dashboard says that it made the API, and does not find it",
            ));
        };
        if made.api_id() == id {
            return Ok(());
        }
        let renamed = self
            .put_api(database_id, &made.with(&definition, &BTreeSet::new()))
            .await;
        if renamed.is_err() {
            // Its error is the one to tell; a leftover carries our mark.
            let _ = self.delete_api(database_id).await;
        }
        renamed
    }

    async fn put_api(&self, id: &str, record: &Value) -> Result<(), Error> {
        let call = self.call(Method::PUT, &["apis", id])?.body(record);
        call.done().await.map(drop)
    }
}
