//! From resources to what one Tyk context should hold. Pure: no I/O, no clock, no randomness.

pub mod owner;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::diagnostic::ObjectRef;

/// All that one Tyk context should hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// Classic API definitions by API id.
    pub apis: BTreeMap<String, Api>,
    /// Ids of APIs whose resource is being deleted: each is reported as gone once it is.
    pub removals: BTreeSet<String>,
}

/// One classic API definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// The resource that it is made from.
    pub source: ObjectRef,
    /// `metadata.generation` of that resource, 0 when unknown.
    pub generation: i64,
    /// The JSON to send, with `api_id`, `org_id` and the owner mark in it.
    pub payload: Value,
}
