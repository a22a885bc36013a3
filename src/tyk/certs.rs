//! The certificate store of a gateway.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::Value;

use super::gateway::{ANSWER_LIMIT, Gateway, LIST_LIMIT};
use super::{Error, Kind, Secret};

/// What the gateway says to a call with a wrong secret; it refuses certificates with the same status.
const WRONG_SECRET: &str = "administrative access";

/// What a gateway tells of a certificate that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Hex SHA-256 of the last certificate of its chain, empty for a public key.
    pub last: String,
    /// Whether its private key is there.
    pub has_key: bool,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is stored under this id.
    Stored(String),
    /// The gateway had it already.
    Existed,
}

impl Gateway {
    /// `GET /tyk/certs?org_id=ORG`: ids of the organisation's certificates.
    ///
    /// Only for an organisation that is not empty: without one a gateway answers once, and never again.
    ///
    /// # Errors
    /// As for every call.
    pub async fn list_certificates(&self, org: &str) -> Result<BTreeSet<String>, Error> {
        let call = self.call_with(Method::GET, &["tyk", "certs"], organisation(org).as_deref())?;
        let answer = call.json(LIST_LIMIT).await?;
        let ids = answer["certs"].as_array().into_iter().flatten();
        Ok(ids.filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// `GET /tyk/certs/{id}`: whether the gateway can read this certificate. It remembers one that it has read for up
    /// to five minutes.
    ///
    /// # Errors
    /// As for every call.
    pub async fn certificate_exists(&self, id: &str) -> Result<bool, Error> {
        Ok(self.certificates(&[id]).await?.contains_key(id))
    }

    /// `GET /tyk/certs/{id},{id}`: those of these certificates that the gateway can read. It remembers one that it has
    /// read for up to five minutes.
    ///
    /// # Errors
    /// As for every call.
    pub async fn certificates(&self, ids: &[&str]) -> Result<BTreeMap<String, Stored>, Error> {
        let call = self.call(Method::GET, &["tyk", "certs", &ids.join(",")])?;
        let answer = match call.json(ANSWER_LIMIT).await {
            Err(error) if error.kind() == Kind::NotFound => return Ok(BTreeMap::new()),
            answer => answer?,
        };
        let found = match &answer {
            Value::Array(found) => found.as_slice(),
            found => std::slice::from_ref(found),
        };
        let stored = |found: &Value| {
            let last = found["fingerprint"].as_str().unwrap_or_default().to_owned();
            let has_key = found["has_private"].as_bool().unwrap_or_default();
            Some((found["id"].as_str()?.to_owned(), Stored { last, has_key }))
        };
        Ok(found.iter().filter_map(stored).collect())
    }

    /// `POST /tyk/certs?org_id=ORG`: stores a key and a chain, or a public key, under an id made of the organisation
    /// and the content.
    ///
    /// # Errors
    /// [`Kind::Rejected`] when the gateway does not want this certificate, else as for every call.
    pub async fn add_certificate(&self, org: &str, pem: &Secret) -> Result<Added, Error> {
        let mut call = self.call_with(Method::POST, &["tyk", "certs"], organisation(org).as_deref())?;
        call.request = call.request.body(pem.expose().to_owned());
        let name = call.name.clone();
        match call.json(ANSWER_LIMIT).await {
            Ok(answer) => match answer["id"].as_str() {
                Some(id) => Ok(Added::Stored(id.to_owned())),
                None => Err(Error::new(
                    Kind::Malformed,
                    name,
                    "the answer names no id; check that TYK_URL is a gateway",
                )),
            },
            Err(error) if error.status() == Some(403) && !error.detail().contains(WRONG_SECRET) => {
                if error.detail().contains("id already exists") {
                    return Ok(Added::Existed);
                }
                Err(error.rejected())
            }
            Err(error) => Err(error),
        }
    }

    /// `DELETE /tyk/certs/{id}?org_id=ORG`: removes a certificate, also one that is in use. The answer is the same
    /// when there is none.
    ///
    /// # Errors
    /// As for every call.
    pub async fn delete_certificate(&self, org: &str, id: &str) -> Result<(), Error> {
        let call = self.call_with(Method::DELETE, &["tyk", "certs", id], organisation(org).as_deref())?;
        call.status().await
    }
}

fn organisation(org: &str) -> Option<String> {
    (!org.is_empty()).then(|| format!("org_id={}", utf8_percent_encode(org, NON_ALPHANUMERIC)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_is_one_value_of_the_query() {
        assert_eq!(organisation(""), None);
        assert_eq!(organisation("a&b=c").as_deref(), Some("org_id=a%26b%3Dc"));
    }
}
