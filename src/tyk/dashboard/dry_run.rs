//! What the Dashboard would make of a document.

use reqwest::Method;
use serde_json::Value;

use crate::tyk::Error;
use crate::tyk::wire::LIST_LIMIT;

use super::Dashboard;

impl Dashboard {
    /// `POST /api/apis/oas/dry-run`: the document as the Dashboard would store it; nothing is stored.
    ///
    /// # Errors
    /// [`crate::tyk::Kind::Rejected`] with the Dashboard's reason when it would not take the document,
    /// [`crate::tyk::Kind::Malformed`] when it has no dry run, else as for every call.
    pub async fn dry_run(&self, document: &Value) -> Result<Value, Error> {
        let call = self.call(Method::POST, &["apis", "oas", "dry-run"])?.body(document);
        call.json(LIST_LIMIT).await
    }
}
