//! What the gateway really holds after a batch. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Observed;
use super::batch::Sort;
use super::diff::{Reading, Readings, WriteReason, reason};
use super::form::differences;
use super::mark::{self, Stamp};
use super::route;
use crate::desired::Wanted;

/// Checks a wanted object that was not written in this round.
pub(super) fn kept(id: &str, payload: Wanted<'_>, observed: &Observed, readings: &Readings) -> Result<(), String> {
    match reason(id, payload, observed.get(id), readings.get(id)) {
        None => Ok(()),
        Some(WriteReason::Missing) => {
            Err("the gateway lost it at the last reload; it will be written again".to_owned())
        }
        Some(WriteReason::Renamed { listen_path }) => Err(renamed(id, &payload.value(), observed, &listen_path)),
        Some(WriteReason::Changed { .. }) => {
            Err("it was changed on the gateway meanwhile; it will be written again".to_owned())
        }
    }
}

/// Checks an object that was written with `stamp`, and returns how the gateway reads it.
pub(super) fn written(
    sort: Sort,
    id: &str,
    wanted: Wanted<'_>,
    stamp: &Stamp,
    observed: &Observed,
) -> Result<Reading, String> {
    let Some(held) = observed.get(id) else {
        return Err(not_loaded(sort).to_owned());
    };
    if held.stamp().as_ref() != Some(stamp) {
        return Err("the gateway accepted the definition but still holds an earlier one; its log says why".to_owned());
    }
    if held.is_as_wanted(&wanted.hash()) {
        return Ok(Reading {
            hash: stamp.hash.clone(),
            fields: BTreeMap::new(),
        });
    }
    let payload = wanted.value();
    let (_, listen_path) = held.route();
    if route::is_renamed(route::listen_path(&payload), id, listen_path) {
        return Err(renamed(id, &payload, observed, listen_path));
    }
    Ok(reading(&payload, stamp, held.value()))
}

fn not_loaded(sort: Sort) -> &'static str {
    match sort {
        Sort::Api => {
            "the gateway accepted the definition but did not load it; its log says why (often the listen path, a plugin \
             bundle or an invalid OAS document)"
        }
        Sort::Policy => {
            "the gateway accepted the policy but did not load it; set its `policies.policy_source` to `file`, and its \
             `policies.policy_path` to a folder"
        }
    }
}

fn reading(payload: &Value, stamp: &Stamp, held: &Value) -> Reading {
    let fields = differences(payload, held);
    Reading {
        hash: stamp.hash.clone(),
        fields: fields
            .into_iter()
            .map(|found| (found.field, mark::hash(found.observed)))
            .collect(),
    }
}

fn renamed(id: &str, payload: &Value, observed: &Observed, listen_path: &str) -> String {
    match route::rival_in(observed, id, payload) {
        Some(rival) => format!(
            "the gateway renamed the listen path to {listen_path}, because API {rival} has the same domain and listen \
             path; change one of the two"
        ),
        None => format!(
            "the gateway renamed the listen path to {listen_path}, because another API had the same domain and listen path"
        ),
    }
}

/// Says that the id is held by another operator.
pub(super) fn foreign(sort: Sort, other: &str) -> String {
    let (field, object) = match sort {
        Sort::Api => ("api_id", "API"),
        Sort::Policy => ("id", "policy"),
    };
    let what = sort.indefinite();
    format!("{what} with this id belongs to the operator {other:?}; choose another `{field}`, or delete that {object}")
}

/// Says that the route is held by an API that stays as it is.
pub(super) fn rival(rival: &str) -> String {
    format!(
        "API {rival} on the gateway has the same domain and listen path, so the gateway would rename them; change the \
         listen path or the domain, or delete that API"
    )
}
