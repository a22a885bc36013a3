//! The classic portal: one catalogue and one configuration for each organisation, and documentation of its APIs.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::tyk::{Error, Kind};

use super::fields::{self, Record};
use super::{Dashboard, Deleted, Written};

/// Documentation of an API of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documentation {
    /// The policy that the catalogue offers the API under.
    pub policy_id: String,
    /// `swagger`, `swagger_custom_url` or `graphql`.
    pub doc_type: String,
    /// The text as the resource holds it, which is base64 for all types but a URL.
    pub documentation: String,
}

impl Dashboard {
    /// `GET /api/portal/catalogue`; `None` if the organisation has none.
    ///
    /// # Errors
    /// As for every call.
    pub async fn catalogue(&self) -> Result<Option<Value>, Error> {
        self.portal_object("catalogue").await
    }

    /// Makes the catalogue as wanted, with the id and organisation that the Dashboard gave it.
    ///
    /// # Errors
    /// As for every call.
    pub async fn write_catalogue(&self, wanted: &Value, before: &BTreeSet<String>) -> Result<Written, Error> {
        self.write_portal_object("catalogue", wanted, before).await
    }

    /// `GET /api/portal/configuration`; `None` if the organisation has none.
    ///
    /// # Errors
    /// As for every call.
    pub async fn portal_configuration(&self) -> Result<Option<Value>, Error> {
        self.portal_object("configuration").await
    }

    /// Makes the configuration of the portal as wanted, with the id and organisation that the Dashboard gave it.
    ///
    /// # Errors
    /// As for every call.
    pub async fn write_portal_configuration(
        &self,
        wanted: &Value,
        before: &BTreeSet<String>,
    ) -> Result<Written, Error> {
        self.write_portal_object("configuration", wanted, before).await
    }

    /// `POST /api/portal/documentation`: stores documentation and gives back its id, a new one each time.
    ///
    /// # Errors
    /// As for every call.
    pub async fn add_documentation(&self, documentation: &Documentation) -> Result<String, Error> {
        let body = json!({"api_id": documentation.policy_id, "doc_type": documentation.doc_type,
            "documentation": documentation.documentation});
        let call = self.call(Method::POST, &["portal", "documentation"])?;
        Ok(call.body(&body).done().await?.message)
    }

    /// `DELETE /api/portal/documentation/{id}`.
    ///
    /// # Errors
    /// As for every call.
    pub async fn delete_documentation(&self, id: &str) -> Result<Deleted, Error> {
        self.call(Method::DELETE, &["portal", "documentation", id])?
            .deleted()
            .await
    }

    async fn portal_object(&self, name: &str) -> Result<Option<Value>, Error> {
        let found = self.call(Method::GET, &["portal", name])?.found().await?;
        Ok(found.filter(|found| !found.is_null()))
    }

    /// There is one of each for an organisation, so it is taken over if it is there.
    async fn write_portal_object(
        &self,
        name: &str,
        wanted: &Value,
        before: &BTreeSet<String>,
    ) -> Result<Written, Error> {
        let held = self.portal_object(name).await?;
        let written = if held.is_some() {
            Written::Updated
        } else {
            Written::Created
        };
        let held = match held {
            Some(held) => held,
            None => {
                let body = json!({"org_id": wanted["org_id"]});
                self.call(Method::POST, &["portal", name])?.body(&body).done().await?;
                self.portal_object(name).await?.ok_or_else(|| {
                    let detail = "the Dashboard says that it made it, and does not find it";
                    Error::new(Kind::Malformed, format!("POST /api/portal/{name}"), detail)
                })?
            }
        };
        let mut body = fields::over(Record::Flat, &held, wanted, before);
        for own in ["id", "_id", "org_id"] {
            if let Some(value) = held.get(own) {
                body[own] = value.clone();
            }
        }
        self.call(Method::PUT, &["portal", name])?.body(&body).done().await?;
        Ok(written)
    }
}
