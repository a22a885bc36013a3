//! The envelope `{"Status", "Message", "Meta", "ID"}` of the Dashboard's answers, and what its statuses mean.
//!
//! They are not always what HTTP means by them: a missing API is 400, a certificate that exists is 404, a document that
//! does not fit the schema is 500, an address in use is 403.

use reqwest::RequestBuilder;
use serde_json::Value;

use crate::tyk::error::CHECK_SECRET;
use crate::tyk::wire::{ANSWER_LIMIT, Answer, LIST_LIMIT, Wire};
use crate::tyk::{Error, Kind};

use super::Deleted;

/// One call on its way.
pub(super) struct Call<'a> {
    pub name: String,
    pub request: RequestBuilder,
    pub wire: &'a Wire,
}

/// The success of a write.
pub(super) struct Done {
    /// `Message`: words, or the database id of a new policy, catalogue or documentation.
    pub message: String,
    /// `Meta`: the database id of a new API.
    pub meta: Option<String>,
    /// `ID`: the id of a new API; older Dashboards do not tell it.
    pub id: Option<String>,
}

impl Call<'_> {
    /// Sends JSON along.
    pub fn body(mut self, body: &Value) -> Self {
        self.request = self.request.json(body);
        self
    }

    /// The envelope of a write.
    pub async fn done(self) -> Result<Done, Error> {
        let (name, wire) = (self.name.clone(), self.wire);
        let answer = self.json(ANSWER_LIMIT).await?;
        let text = |keys: [&str; 2]| {
            let found = keys.iter().find_map(|key| answer[*key].as_str());
            found.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let message = text(["Message", "message"]).unwrap_or_default();
        match text(["Status", "status"]) {
            Some(status) if status.eq_ignore_ascii_case("ok") => Ok(Done {
                message,
                meta: text(["Meta", "meta"]),
                id: text(["ID", "id"]),
            }),
            Some(_) => Err(Error::new(Kind::Rejected, name, wire.said(&message))),
            None => {
                let detail = format!("the answer does not say OK; {}", wire.check_url());
                Err(Error::new(Kind::Malformed, name, detail))
            }
        }
    }

    /// The answer to a deletion.
    pub async fn deleted(self) -> Result<Deleted, Error> {
        match self.done().await {
            Ok(_) => Ok(Deleted::Now),
            Err(error) if error.kind() == Kind::NotFound => Ok(Deleted::Before),
            Err(error) => Err(error),
        }
    }

    /// The JSON of an object; `None` if the Dashboard says that there is none. A document can be as long as a list.
    pub async fn found(self) -> Result<Option<Value>, Error> {
        match self.json(LIST_LIMIT).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The JSON of a successful answer.
    pub async fn json(self, limit: usize) -> Result<Value, Error> {
        let Self { name, request, wire } = self;
        let answer = wire.send(&name, request, limit).await?;
        if !answer.status.is_success() {
            return Err(refusal(wire, &name, &answer));
        }
        serde_json::from_slice(&answer.body).map_err(|_| {
            let detail = format!("the answer is not JSON; {}", wire.check_url());
            Error::new(Kind::Malformed, name, detail)
        })
    }
}

fn refusal(wire: &Wire, call: &str, answer: &Answer) -> Error {
    let status = answer.status.as_u16();
    let message = message(&answer.body);
    let kind = kind(status, message.as_deref());
    let said = match &message {
        Some(message) => wire.said(message),
        None => wire.said(&String::from_utf8_lossy(&answer.body)),
    };
    let said = match said.as_str() {
        "" => answer.status.to_string(),
        said => format!("{}: {said}", answer.status),
    };
    let way_out = match kind {
        Kind::Unauthorized => CHECK_SECRET.to_owned(),
        Kind::Forbidden => "; give the user of TYK_AUTH this permission in the Dashboard".to_owned(),
        Kind::Unlicensed => "; the licence of the Dashboard has to cover it".to_owned(),
        Kind::Malformed => format!("; {}, and that its version knows this call", wire.check_url()),
        _ => String::new(),
    };
    Error::new(kind, call, format!("{said}{way_out}")).answered(status, answer.wait)
}

/// What an envelope says; `None` for an answer that is none, as one of a proxy in front of the Dashboard.
fn message(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let text = |keys: [&str; 2]| keys.iter().find_map(|key| answer[*key].as_str());
    text(["Status", "status"])?;
    text(["Message", "message"]).map(str::to_owned)
}

/// What a status means together with the message of its envelope. Only an envelope proves that something is absent.
fn kind(status: u16, message: Option<&str>) -> Kind {
    let has = |text: &str| message.is_some_and(|message| message.to_ascii_lowercase().contains(text));
    match status {
        401 => Kind::Unauthorized,
        403 if has("license") || has("licence") => Kind::Unlicensed,
        400 | 403 | 409 if has("found api with") || has("already been used") || status == 409 => Kind::Conflict,
        403 if message.is_none() || has("access denied") || has("permission") => Kind::Forbidden,
        400 if has("could not retrieve api detail") => Kind::NotFound,
        404 if has("could not create certificate") => Kind::Rejected,
        404 if message.is_some() => Kind::NotFound,
        404 => Kind::Malformed,
        500 if has("validating schema") => Kind::Rejected,
        429 | 500.. => Kind::Unavailable,
        400..=499 => Kind::Rejected,
        _ => Kind::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_kind() {
        for (status, message, expected) in [
            (401, Some("Not authorised"), Kind::Unauthorized),
            (401, None, Kind::Unauthorized),
            (
                403,
                Some("access denied: You do not have permission to access  /api/apis"),
                Kind::Forbidden,
            ),
            (
                403,
                Some("Not authorised - You do not have permission, please contact your administrator"),
                Kind::Forbidden,
            ),
            (403, None, Kind::Forbidden),
            (
                403,
                Some("Your license does not support adding/ modifying streams API configuration."),
                Kind::Unlicensed,
            ),
            (403, Some("Found API with same url."), Kind::Conflict),
            (409, Some("Found API with the same ID"), Kind::Conflict),
            (
                400,
                Some("This policy name has already been used. Enter a unique policy name."),
                Kind::Conflict,
            ),
            (403, Some("Request body malformed."), Kind::Rejected),
            (400, Some("Could not retrieve API detail"), Kind::NotFound),
            (400, Some("Could not retrieve API detail."), Kind::NotFound),
            (400, Some("Could not retrieve APIs."), Kind::Rejected),
            (400, Some("Could not delete the API"), Kind::Rejected),
            (400, Some("Invalid policy ID."), Kind::Rejected),
            (400, None, Kind::Rejected),
            (404, Some("Could not retrieve API detail"), Kind::NotFound),
            (404, Some("API definition does not exist"), Kind::NotFound),
            (404, Some("Could not retrieve portal object."), Kind::NotFound),
            (404, None, Kind::Malformed),
            (
                404,
                Some("Could not create certificate.Certificate with x ID already exists."),
                Kind::Rejected,
            ),
            (500, Some("Error while validating schema."), Kind::Rejected),
            (500, Some("Error while creating API."), Kind::Unavailable),
            (429, None, Kind::Unavailable),
            (503, None, Kind::Unavailable),
            (302, None, Kind::Malformed),
        ] {
            assert_eq!(kind(status, message), expected, "{status} {message:?}");
        }
    }

    #[test]
    fn only_an_envelope_has_a_message() {
        assert_eq!(
            message(br#"{"Status":"Error","Message":"no","Meta":null}"#).as_deref(),
            Some("no")
        );
        assert_eq!(message(br#"{"status":"error","message":"no"}"#).as_deref(), Some("no"));
        assert_eq!(message(br#"{"Message":"of a proxy"}"#), None);
        assert_eq!(message(b"404 page not found"), None);
    }
}
