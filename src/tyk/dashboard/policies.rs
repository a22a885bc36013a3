//! Security policies. Resources know one by its `id`, the Dashboard's calls by the `_id` of its database.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Map, Value};

use crate::tyk::{Error, Kind};

use super::fields::{self, Record};
use super::pages::List;
use super::{Dashboard, Deleted};

const PATH: [&str; 2] = ["portal", "policies"];

/// What the Dashboard keeps of a policy, whole.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyRecord {
    fields: Map<String, Value>,
}

impl PolicyRecord {
    fn read(answer: Value) -> Option<Self> {
        match answer {
            Value::Object(fields) if fields.get("_id").is_some_and(Value::is_string) => Some(Self { fields }),
            _ => None,
        }
    }

    /// The policy as the Dashboard tells it.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// The id that resources and keys know; that of the database if it has none of its own.
    pub fn id(&self) -> &str {
        match self.text("id") {
            "" => self.database_id(),
            id => id,
        }
    }

    /// `_id`, the id in the Dashboard's database.
    pub fn database_id(&self) -> &str {
        self.text("_id")
    }

    fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn with(&self, wanted: &Value, before: &BTreeSet<String>) -> Value {
        let mut held = self.fields.clone();
        // Two forms of the same rights: what is left of the other form would still grant what was taken away.
        for (named, other) in [
            ("access_rights", "access_rights_array"),
            ("access_rights_array", "access_rights"),
        ] {
            if wanted.get(named).is_some() && wanted.get(other).is_none() {
                held.remove(other);
            }
        }
        let mut policy = fields::over(Record::Flat, &Value::Object(held), wanted, before);
        policy["_id"] = self.fields["_id"].clone();
        policy
    }
}

impl Dashboard {
    /// `GET /api/portal/policies`: all policies. Two of them can have one `id`.
    ///
    /// # Errors
    /// As for every list.
    pub async fn list_policies(&self) -> Result<Vec<PolicyRecord>, Error> {
        let list = List {
            path: &PATH,
            field: "data",
            first: 1,
            query: "",
        };
        let mut seen = BTreeSet::new();
        let records = self.all(&list).await?.into_iter().filter_map(PolicyRecord::read);
        Ok(records
            .filter(|record| seen.insert(record.database_id().to_owned()))
            .collect())
    }

    /// `GET /api/portal/policies/{_id}`; `None` if there is none.
    ///
    /// # Errors
    /// [`Kind::Rejected`] when this is no id of the database, else as for every call.
    pub async fn policy(&self, database_id: &str) -> Result<Option<PolicyRecord>, Error> {
        let call = self.call(Method::GET, &[PATH[0], PATH[1], database_id])?;
        let name = call.name.clone();
        let Some(answer) = call.found().await? else {
            return Ok(None);
        };
        let read = PolicyRecord::read(answer);
        let malformed = || {
            let detail = format!("the answer is no policy; {}", self.wire.check_url());
            Error::new(Kind::Malformed, name, detail)
        };
        read.map(Some).ok_or_else(malformed)
    }

    /// The policy that a resource's id means, by `id` or by `_id` as a user who takes one over may write it.
    ///
    /// # Errors
    /// As for every list.
    pub async fn find_policy(&self, id: &str) -> Result<Option<PolicyRecord>, Error> {
        let mut held = self.list_policies().await?;
        let at = held.iter().position(|policy| policy.id() == id);
        let at = at.or_else(|| held.iter().position(|policy| policy.database_id() == id));
        Ok(at.map(|at| held.swap_remove(at)))
    }

    /// `POST /api/portal/policies`: makes a policy and gives back its `_id`.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when another policy has the name, [`Kind::Rejected`] when the Dashboard does not keep the `id`,
    /// else as for every call.
    pub async fn create_policy(&self, policy: &Value) -> Result<String, Error> {
        let mut policy = policy.clone();
        if let Some(fields) = policy.as_object_mut() {
            fields.remove("_id");
        }
        let call = self.call(Method::POST, &PATH)?.body(&policy);
        let name = call.name.clone();
        let database_id = call.done().await?.message;
        let wanted = policy["id"].as_str().unwrap_or_default();
        let made = self.policy(&database_id).await?;
        match made {
            Some(made) if wanted.is_empty() || made.id() == wanted => Ok(database_id),
            Some(made) => {
                // Keys and APIs name the id that was wanted; under any other the policy is a stray.
                self.delete_policy_record(&made).await?;
                let detail = "the Dashboard does not keep the id of a policy; set allow_explicit_policy_id in its \
                              configuration and in that of the gateways";
                Err(Error::new(Kind::Rejected, name, detail))
            }
            None => Err(Error::new(
                Kind::Malformed,
                name,
                "the Dashboard says that it made the policy, and does not find it",
            )),
        }
    }

    /// `PUT /api/portal/policies/{_id}`: changes a policy; `before` names the fields that an earlier write of ours has
    /// set.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is gone, [`Kind::Conflict`] when another policy has the name, else as for every call.
    pub async fn update_policy(
        &self,
        database_id: &str,
        policy: &Value,
        before: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let call = self.call(Method::PUT, &[PATH[0], PATH[1], database_id])?;
        let Some(held) = self.policy(database_id).await? else {
            return Err(Error::new(Kind::NotFound, call.name, "there is no such policy"));
        };
        call.body(&held.with(policy, before)).done().await.map(drop)
    }

    /// `DELETE /api/portal/policies/{_id}`, unless the catalogue of the portal offers an API under this policy.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the catalogue does, else as for every call.
    pub async fn delete_policy(&self, policy: &PolicyRecord) -> Result<Deleted, Error> {
        let catalogue = match self.catalogue().await {
            // Whoever may not see the portal, or has none, offers nothing there.
            Err(error) if matches!(error.kind(), Kind::Forbidden | Kind::Unlicensed | Kind::Malformed) => None,
            catalogue => catalogue?,
        };
        if let Some(catalogue) = catalogue {
            let apis = catalogue["apis"].as_array().into_iter().flatten();
            let mut offered = apis.filter_map(|api| api["policy_id"].as_str());
            if offered.any(|id| id == policy.database_id() || id == policy.id()) {
                let id = catalogue["id"].as_str().unwrap_or_default();
                let detail = format!("cannot delete policy due to catalogue \"{id}\" dependency");
                let call = format!("DELETE /api/portal/policies/{}", policy.database_id());
                return Err(Error::new(Kind::Conflict, call, detail));
            }
        }
        self.delete_policy_record(policy).await
    }

    async fn delete_policy_record(&self, policy: &PolicyRecord) -> Result<Deleted, Error> {
        let path = [PATH[0], PATH[1], policy.database_id()];
        self.call(Method::DELETE, &path)?.deleted().await
    }
}
