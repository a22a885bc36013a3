//! The capitalised envelope of the Dashboard's answers.

use hyper::Response;
use serde_json::{Value, json};

use crate::sim::reply::{self, Body};

/// The success of a write.
pub(super) fn ok(message: &str) -> Response<Body> {
    reply::json(200, &json!({"Status": "OK", "Message": message, "Meta": null}))
}

/// A new API: its id in the database, and its own unless this version does not tell it.
pub(super) fn created(message: &str, meta: Option<&str>, id: Option<&str>) -> Response<Body> {
    let mut answer = json!({"Status": "OK", "Message": message});
    if let Some(meta) = meta {
        answer["Meta"] = Value::from(meta);
    }
    if let Some(id) = id {
        answer["ID"] = Value::from(id);
    }
    reply::json(200, &answer)
}

/// A refusal.
pub(super) fn error(status: u16, message: &str) -> Response<Body> {
    reply::json(status, &json!({"Status": "Error", "Message": message, "Meta": null}))
}
