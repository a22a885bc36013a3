//! APIs whose source is an OAS document: OAS, streams, MCP proxies. The Dashboard is sent the plain document.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::Value;

use crate::tyk::{Error, Kind};

use super::envelope::Call;
use super::fields::{self, Record};
use super::pages::List;
use super::{Dashboard, Deleted, Owners, Written};

const INFO: &str = "/x-tyk-api-gateway/info";

/// What a document describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// `TykOasApiDefinition`.
    Oas,
    /// `TykStreamsApiDefinition`; needs a licence that covers it.
    Streams,
    /// `TykMcpProxyDefinition`; needs a Dashboard 5.13.
    Mcp,
}

impl DocumentKind {
    fn path(self) -> &'static [&'static str] {
        match self {
            Self::Oas => &["apis", "oas"],
            Self::Streams => &["apis", "streams"],
            Self::Mcp => &["mcps"],
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Streams => "application/vnd.tyk.streams.oas",
            Self::Oas | Self::Mcp => "application/json",
        }
    }
}

impl Dashboard {
    /// `GET /api/apis/oas/{id}`, or that of the kind: the document; `None` if there is no such API.
    ///
    /// # Errors
    /// [`Kind::Rejected`] when the API is of another kind, else as for every call.
    pub async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Value>, Error> {
        self.document_call(kind, Method::GET, Some(id))?.found().await
    }

    /// `GET /api/mcps`: the documents of all MCP proxies by their id.
    ///
    /// # Errors
    /// As for every list.
    pub async fn list_mcps(&self) -> Result<BTreeMap<String, Value>, Error> {
        let list = List {
            path: DocumentKind::Mcp.path(),
            field: "mcps",
            first: 0,
            query: "",
        };
        let id = |document: &Value| Some(document.pointer(INFO)?["id"].as_str()?.to_owned());
        let documents = self.all(&list).await?.into_iter();
        Ok(documents
            .filter_map(|document| Some((id(&document)?, document)))
            .collect())
    }

    /// Makes the API of this document's `info.id` as wanted, or takes over the one that is there: `before` names the
    /// fields that an earlier write of ours has set. `owners` are added to those it has.
    ///
    /// # Errors
    /// As for [`Dashboard::write_api`]; [`Kind::Unlicensed`] when the licence does not cover the kind.
    pub async fn write_document(
        &self,
        kind: DocumentKind,
        document: &Value,
        owners: &Owners,
        before: &BTreeSet<String>,
    ) -> Result<Written, Error> {
        let id = document.pointer(INFO).and_then(|info| info["id"].as_str());
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            let detail = "the document has no x-tyk-api-gateway.info.id";
            return Err(Error::new(Kind::Rejected, "PUT of a document", detail));
        };
        let written = match self.document(kind, id).await? {
            Some(held) => {
                let body = over(&held, document, before);
                self.send(kind, Method::PUT, Some(id), &body)?.done().await?;
                Written::Updated
            }
            None => {
                self.create_document(kind, id, document).await?;
                Written::Created
            }
        };
        self.add_owners(id, owners).await?;
        Ok(written)
    }

    /// `DELETE /api/apis/oas/{id}`, or that of the kind.
    ///
    /// # Errors
    /// As for [`Dashboard::delete_api`].
    pub async fn delete_document(&self, kind: DocumentKind, id: &str) -> Result<Deleted, Error> {
        self.document_call(kind, Method::DELETE, Some(id))?.deleted().await
    }

    async fn create_document(&self, kind: DocumentKind, id: &str, document: &Value) -> Result<(), Error> {
        let mut document = document.clone();
        if let Some(info) = document.pointer_mut(INFO).and_then(Value::as_object_mut) {
            info.remove("dbId");
        }
        let call = self.send(kind, Method::POST, None, &document)?;
        let name = call.name.clone();
        match call.done().await?.id {
            Some(given) if given != id => {
                // Nobody would find it under this id again.
                self.delete_document(kind, &given).await?;
                let detail = "the Dashboard gives the API another id; update the Dashboard";
                Err(Error::new(Kind::Rejected, name, detail))
            }
            _ => Ok(()),
        }
    }

    fn send(&self, kind: DocumentKind, method: Method, id: Option<&str>, body: &Value) -> Result<Call<'_>, Error> {
        let mut call = self.document_call(kind, method, id)?;
        let header = (CONTENT_TYPE, kind.content_type());
        call.request = call.request.header(header.0, header.1).body(body.to_string());
        Ok(call)
    }

    fn document_call(&self, kind: DocumentKind, method: Method, id: Option<&str>) -> Result<Call<'_>, Error> {
        let path: Vec<&str> = kind.path().iter().copied().chain(id).collect();
        let mut call = self.call(method, &path)?;
        // An error is plain JSON for every kind.
        if kind == DocumentKind::Streams {
            call.request = call.request.header(ACCEPT, kind.content_type());
        }
        Ok(call)
    }
}

/// The document with our fields as wanted; the id in the database is none of ours.
fn over(held: &Value, wanted: &Value, before: &BTreeSet<String>) -> Value {
    let mut document = fields::over(Record::Document, held, wanted, before);
    let own = held.pointer(INFO).and_then(Value::as_object);
    if let (Some(own), Some(info)) = (own, document.pointer_mut(INFO).and_then(Value::as_object_mut)) {
        match own.get("dbId") {
            Some(id) => drop(info.insert("dbId".into(), id.clone())),
            None => drop(info.remove("dbId")),
        }
    }
    document
}
