//! Client of a gateway's control API: the calls that the inner reconciler needs, one method each.

use std::collections::BTreeMap;

use reqwest::header::HeaderName;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use super::error::CHECK_SECRET;
use super::list::{Elements, End, Keep};
pub(super) use super::wire::{ANSWER_LIMIT, LIST_LIMIT};
use super::wire::{Answer, Wire};
use super::{Endpoint, Error, Kind};

const AUTHORIZATION: HeaderName = HeaderName::from_static("x-tyk-authorization");

/// One gateway's control API.
#[derive(Clone, Debug)]
pub struct Gateway {
    wire: Wire,
}

impl Gateway {
    /// A client; it calls nothing yet. The process needs a rustls crypto provider.
    ///
    /// # Errors
    /// The URL is no http or https URL, or the secret cannot be sent in a header.
    pub fn new(endpoint: Endpoint) -> Result<Self, Error> {
        let wire = Wire::new(endpoint, AUTHORIZATION, "gateway")?;
        Ok(Self { wire })
    }

    /// Host and port of the control API, for logs and metrics.
    pub fn authority(&self) -> String {
        self.wire.authority()
    }

    /// `GET /hello`: the gateway's own view of its health. Answers 200 even when it is not well.
    ///
    /// # Errors
    /// The gateway does not answer as one.
    pub async fn hello(&self) -> Result<Value, Error> {
        let call = self.call(Method::GET, &["hello"])?;
        call.json(ANSWER_LIMIT).await
    }

    /// `GET /tyk/apis/{id}`: whether the gateway has loaded this API, classic or OAS.
    ///
    /// # Errors
    /// As for every call.
    pub async fn has_api(&self, id: &str) -> Result<bool, Error> {
        self.api(id).await.map(|held| held.is_some())
    }

    /// `GET /tyk/apis/{id}`: a loaded definition, an OAS one in classic form, as it stands in the list of all; `None` if
    /// there is none.
    ///
    /// # Errors
    /// As for every call.
    pub async fn api(&self, id: &str) -> Result<Option<Value>, Error> {
        match self.call(Method::GET, &["tyk", "apis", id])?.json(LIST_LIMIT).await {
            Ok(held) => Ok(Some(held)),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `GET /tyk/apis?include_types=mcp`: all loaded definitions by id, OAS ones and MCP proxies in classic form. A
    /// gateway before 5.12 does not look at the parameter, and one from then on leaves MCP proxies out
    /// without it (source).
    ///
    /// # Errors
    /// The gateway does not answer, does not let us in, or answers something else than a list.
    pub async fn list_apis(&self) -> Result<BTreeMap<String, Value>, Error> {
        self.list_apis_by(|element| Self::read_api(element, &Keep::all())).await
    }

    /// The same as `read` reads each element, as it comes. One without an id is left out.
    ///
    /// # Errors
    /// As [`Gateway::list_apis`].
    pub async fn list_apis_by<T>(
        &self,
        read: impl FnMut(&[u8]) -> serde_json::Result<Option<(String, T)>>,
    ) -> Result<BTreeMap<String, T>, Error> {
        let call = self.call_with(Method::GET, &["tyk", "apis"], Some("include_types=mcp"))?;
        call.list_by(read).await
    }

    /// What `keep` asks for of an element of that list, with its id.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn read_api(element: &[u8], keep: &Keep) -> serde_json::Result<Option<(String, Value)>> {
        with_id(keep.read(element)?, "/api_id")
    }

    /// `GET /tyk/apis/oas`: the documents of all loaded OAS APIs by id, with `servers` that the gateway adds.
    ///
    /// # Errors
    /// As for every list.
    pub async fn list_oas(&self) -> Result<BTreeMap<String, Value>, Error> {
        let call = self.call(Method::GET, &["tyk", "apis", "oas"])?;
        call.list("/x-tyk-api-gateway/info/id", &Keep::all()).await
    }

    /// `POST /tyk/apis/oas`: makes or replaces the files of an OAS API, also those of a classic one with the same id; it
    /// is served from the next reload on (seen on 5.11).
    ///
    /// # Errors
    /// As for [`Gateway::put_api`].
    pub async fn put_oas(&self, document: &Value) -> Result<(), Error> {
        let mut call = self.call(Method::POST, &["tyk", "apis", "oas"])?;
        call.request = call.request.json(document);
        call.status().await
    }

    /// `GET /tyk/mcps`: the documents of all loaded MCP proxies by id, which [`Gateway::list_oas`] leaves out.
    ///
    /// # Errors
    /// As for every list.
    pub async fn list_mcps(&self) -> Result<BTreeMap<String, Value>, Error> {
        let call = self.call(Method::GET, &["tyk", "mcps"])?;
        call.list("/x-tyk-api-gateway/info/id", &Keep::all()).await
    }

    /// `POST /tyk/mcps`: makes or replaces the files of an MCP proxy; it is served from the next reload on.
    ///
    /// # Errors
    /// As for [`Gateway::put_api`]; [`Kind::Rejected`] as well when the gateway is older than 5.12 and has no such path.
    pub async fn put_mcp(&self, document: &Value) -> Result<(), Error> {
        let mut call = self.call(Method::POST, &["tyk", "mcps"])?;
        let name = call.name.clone();
        call.request = call.request.json(document);
        match call.status().await {
            Err(error) if error.kind() == Kind::NotFound => Err(Error::new(
                Kind::Rejected,
                name,
                "this gateway has no MCP proxies; they need a gateway 5.12 or newer",
            )),
            answer => answer,
        }
    }

    /// `DELETE /tyk/mcps/{id}`: as [`Gateway::delete_api`], which fails for MCP proxies, because they have other files.
    ///
    /// # Errors
    /// As for every call.
    pub async fn delete_mcp(&self, id: &str) -> Result<(), Error> {
        self.call(Method::DELETE, &["tyk", "mcps", id])?.status().await
    }

    /// `POST /tyk/apis`: makes or replaces a definition's file; it is served from the next reload on.
    ///
    /// # Errors
    /// [`Kind::Rejected`] when the gateway does not want this definition, else as for every call.
    pub async fn put_api(&self, definition: &Value) -> Result<(), Error> {
        let mut call = self.call(Method::POST, &["tyk", "apis"])?;
        call.request = call.request.json(definition);
        call.status().await
    }

    /// `DELETE /tyk/apis/{id}`: removes a definition's file; it is served until the next reload. What the answer says
    /// about existence is not reliable: 404 for a file that is not loaded, 500 for a loaded one without a file.
    ///
    /// # Errors
    /// As for every call.
    pub async fn delete_api(&self, id: &str) -> Result<(), Error> {
        self.call(Method::DELETE, &["tyk", "apis", id])?.status().await
    }

    /// `GET /tyk/reload/?block=true`: answers when this gateway has gone through a reload, successful or not.
    ///
    /// # Errors
    /// As for every call; after [`Kind::Timeout`] the reload may still be running.
    pub async fn reload(&self) -> Result<(), Error> {
        let mut call = self.call_with(Method::GET, &["tyk", "reload", ""], Some("block=true"))?;
        call.request = call.request.timeout(self.wire.endpoint.timeouts.reload);
        call.status().await
    }

    fn refused(&self, call: &str, answer: &Answer) -> Error {
        let message = self.wire.said(&message(&answer.body));
        refusal(call, answer.status, &message).answered(answer.status.as_u16(), answer.wait)
    }

    pub(super) fn call(&self, method: Method, path: &[&str]) -> Result<Call<'_>, Error> {
        self.call_with(method, path, None)
    }

    pub(super) fn call_with(&self, method: Method, path: &[&str], query: Option<&str>) -> Result<Call<'_>, Error> {
        let (name, request) = self.wire.request(method, path, query)?;
        Ok(Call {
            name,
            request,
            gateway: self,
        })
    }
}

/// One call on its way.
pub(super) struct Call<'a> {
    pub(super) name: String,
    pub(super) request: RequestBuilder,
    gateway: &'a Gateway,
}

impl Call<'_> {
    /// The answer to a call that only says whether it worked.
    pub(super) async fn status(self) -> Result<(), Error> {
        let name = self.name.clone();
        let answer = self.json(ANSWER_LIMIT).await?;
        match answer["status"].as_str() {
            Some("ok") => Ok(()),
            _ => Err(Error::new(
                Kind::Malformed,
                name,
                "the answer does not say ok; check that TYK_URL is a gateway",
            )),
        }
    }

    /// What `keep` asks for of the objects of a list, by the text at the pointer `id`.
    pub(super) async fn list(self, id: &str, keep: &Keep) -> Result<BTreeMap<String, Value>, Error> {
        self.list_by(|element| with_id(keep.read(element)?, id)).await
    }

    /// The objects of a list by their id, as `read` reads each as it comes.
    async fn list_by<T>(
        self,
        mut read: impl FnMut(&[u8]) -> serde_json::Result<Option<(String, T)>>,
    ) -> Result<BTreeMap<String, T>, Error> {
        let Self { name, request, gateway } = self;
        let not = |what: &str| {
            let detail = format!("the answer is not {what}; check that TYK_URL is a gateway");
            Error::new(Kind::Malformed, name.clone(), detail)
        };
        let (mut elements, mut found) = (Elements::default(), BTreeMap::new());
        let mut take = |element: &[u8]| {
            found.extend(read(element).map_err(|_| not("JSON"))?);
            Ok(())
        };
        let feed = |chunk: &[u8]| elements.feed(chunk, &mut take);
        let answer = gateway.wire.send_for(&name, request, LIST_LIMIT, feed).await?;
        if !answer.status.is_success() {
            return Err(gateway.refused(&name, &answer));
        }
        match elements.finish() {
            End::Complete | End::Null => Ok(found),
            End::Broken => Err(not("a list")),
        }
    }

    /// The JSON of a successful answer.
    pub(super) async fn json(self, limit: usize) -> Result<Value, Error> {
        let Self { name, request, gateway } = self;
        let answer = gateway.wire.send(&name, request, limit).await?;
        if answer.status.is_success() {
            return serde_json::from_slice(&answer.body).map_err(|_| {
                Error::new(
                    Kind::Malformed,
                    name,
                    "the answer is not JSON; check that TYK_URL is a gateway",
                )
            });
        }
        Err(gateway.refused(&name, &answer))
    }
}

/// An object with the text at the pointer `id`.
fn with_id(object: Value, id: &str) -> serde_json::Result<Option<(String, Value)>> {
    let id = object.pointer(id).and_then(Value::as_str).map(str::to_owned);
    Ok(id.map(|id| (id, object)))
}

fn refusal(call: &str, status: StatusCode, message: &str) -> Error {
    let said = match message {
        "" => status.to_string(),
        message => format!("{status}: {message}"),
    };
    let (kind, way_out) = match status.as_u16() {
        401 | 403 => (Kind::Unauthorized, CHECK_SECRET),
        404 => (Kind::NotFound, ""),
        429 | 500.. => (Kind::Unavailable, ""),
        400..=499 => (Kind::Rejected, ""),
        _ => (Kind::Malformed, "; check that TYK_URL is a gateway"),
    };
    Error::new(kind, call, format!("{said}{way_out}"))
}

/// What the gateway says in `message`, else its plain text.
fn message(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(answer) => answer["message"].as_str().unwrap_or_default().to_owned(),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_status_has_its_kind() {
        let kind = |status| refusal("GET /x", StatusCode::from_u16(status).unwrap(), "").kind();
        assert_eq!([401, 403].map(kind), [Kind::Unauthorized; 2]);
        assert_eq!([400, 405, 409, 422].map(kind), [Kind::Rejected; 4]);
        assert_eq!([429, 500, 503].map(kind), [Kind::Unavailable; 3]);
        assert_eq!(kind(404), Kind::NotFound);
        assert_eq!(kind(302), Kind::Malformed);
    }

    #[test]
    fn a_message_is_a_field_or_plain_text() {
        assert_eq!(message(br#"{"status":"error","message":"no"}"#), "no");
        assert_eq!(message(b"404 page not found\n"), "404 page not found\n");
    }
}
