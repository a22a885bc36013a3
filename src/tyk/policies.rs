//! Policies of a gateway that keeps them as files.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;

use super::Error;
use super::gateway::Gateway;
use super::list::Keep;

/// What a gateway needs to keep policies.
const SETTINGS: &str = "; set `policies.policy_source` of the gateway to `file`, and `policies.policy_path` to a folder \
                        that exists and that the gateway can write to";

impl Gateway {
    /// `GET /tyk/policies`: all loaded policies by id.
    ///
    /// # Errors
    /// As for every list; [`NotFound`](super::Kind::NotFound) when the gateway has no policies API.
    pub async fn list_policies(&self) -> Result<BTreeMap<String, Value>, Error> {
        self.call(Method::GET, &["tyk", "policies"])?
            .list("/id", &Keep::all())
            .await
    }

    /// `POST /tyk/policies`: makes or replaces a policy's file; keys feel it from the next reload on.
    ///
    /// # Errors
    /// [`Rejected`](super::Kind::Rejected) when the gateway does not want this policy or cannot keep any, which says nothing about its
    /// APIs; else as for every call.
    pub async fn put_policy(&self, policy: &Value) -> Result<(), Error> {
        let mut call = self.call(Method::POST, &["tyk", "policies"])?;
        call.request = call.request.json(policy);
        call.status().await.map_err(|error| match error.status() {
            Some(404 | 500) => error.rejected().with_way_out(SETTINGS),
            _ => error,
        })
    }

    /// `DELETE /tyk/policies/{id}`: removes a policy's file; keys feel it from the next reload on. 500 is also said of a
    /// file that is not there.
    ///
    /// # Errors
    /// As for every call.
    pub async fn delete_policy(&self, id: &str) -> Result<(), Error> {
        self.call(Method::DELETE, &["tyk", "policies", id])?.status().await
    }
}
