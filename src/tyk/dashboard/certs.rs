//! The certificate store of a Dashboard, one for each organisation.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::secret::Secret;
use crate::tyk::certs::Added;
use crate::tyk::{Error, Kind};

use super::pages::List;
use super::{Dashboard, Deleted};

impl Dashboard {
    /// `GET /api/certs`: ids of the organisation's certificates.
    ///
    /// # Errors
    /// As for every list.
    pub async fn list_certificates(&self) -> Result<BTreeSet<String>, Error> {
        let list = List {
            path: &["certs"],
            field: "certs",
            first: 1,
            query: "",
        };
        let ids = self.all(&list).await?;
        Ok(ids.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// `GET /api/certs/{id}`: what the Dashboard tells of a certificate, never its key; `None` if there is none.
    ///
    /// # Errors
    /// As for every call.
    pub async fn certificate(&self, id: &str) -> Result<Option<Value>, Error> {
        self.call(Method::GET, &["certs", id])?.found().await
    }

    /// `GET /api/certs/{id}/apis`: ids of the APIs that use a certificate; none if there is no such certificate.
    ///
    /// # Errors
    /// As for every list.
    pub async fn certificate_users(&self, id: &str) -> Result<BTreeSet<String>, Error> {
        let list = List {
            path: &["certs", id, "apis"],
            field: "apis",
            first: 1,
            query: "",
        };
        match self.all(&list).await {
            Ok(apis) => Ok(apis
                .iter()
                .filter_map(|api| api["api_id"].as_str())
                .map(str::to_owned)
                .collect()),
            Err(error) if error.status() == Some(404) && self.certificate(id).await?.is_none() => Ok(BTreeSet::new()),
            Err(error) => Err(error),
        }
    }

    /// `POST /api/certs`: stores a key and a chain, or a public key. The Dashboard answers 404 when it has it already.
    ///
    /// # Errors
    /// [`Kind::Rejected`] when the Dashboard does not want this certificate, else as for every call.
    pub async fn add_certificate(&self, pem: &Secret) -> Result<Added, Error> {
        let boundary = boundary(pem);
        let mut call = self.call(Method::POST, &["certs"])?;
        let content_type = format!("multipart/form-data; boundary={boundary}");
        call.request = call
            .request
            .header(CONTENT_TYPE, content_type)
            .body(form(&boundary, pem));
        let name = call.name.clone();
        match call.done().await {
            Ok(done) => match done.id {
                Some(id) => Ok(Added::Stored(id)),
                None => {
                    let detail = format!("the answer names no id; {}", self.wire.check_url());
                    Err(Error::new(Kind::Malformed, name, detail))
                }
            },
            Err(error) if error.status() == Some(404) && error.detail().contains("already exists") => {
                Ok(Added::Existed)
            }
            Err(error) => Err(error),
        }
    }

    /// `DELETE /api/certs/{id}`.
    ///
    /// # Errors
    /// As for every call. The refusal of a deletion does not say whether there is such a certificate, so the Dashboard
    /// is asked for it.
    pub async fn delete_certificate(&self, id: &str) -> Result<Deleted, Error> {
        match self.call(Method::DELETE, &["certs", id])?.done().await {
            Ok(_) => Ok(Deleted::Now),
            Err(error) if error.status() == Some(404) => match self.certificate(id).await? {
                None => Ok(Deleted::Before),
                Some(_) => Err(error.rejected()),
            },
            Err(error) => Err(error),
        }
    }
}

/// A text that the content does not hold, and that is the same for the same content.
fn boundary(pem: &Secret) -> String {
    let digest = Sha256::digest(pem.expose().as_bytes());
    format!("tyk-ingress-{}", HEXLOWER.encode(&digest[..16]))
}

/// One file in the field `cert`.
fn form(boundary: &str, pem: &Secret) -> String {
    format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"cert\"; filename=\"cert.pem\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n{}\r\n--{boundary}--\r\n",
        pem.expose()
    )
}
