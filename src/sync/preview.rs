//! What a round would do to a Tyk, without doing it: the same reading and the same comparison.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::certificates::Certificates;
use super::diff::{Readings, diff_read};
use super::form::{self, differences};
use super::policies::{self, Policies};
pub use super::portal::without_documentation;
use super::seen::Seen;
use super::tyk::Tyk;
use super::{Calls, Cause, Observed, Plan, WriteReason, compare, portal};
use crate::desired::{Desired, oas};
use crate::tyk::list::Keep;
use crate::tyk::{Error, Kind};

/// The difference between a desired state and a Tyk. It holds secrets.
#[derive(Default)]
pub struct Preview {
    /// What would be done to its APIs.
    pub apis: Plan,
    /// What would be done to its policies.
    pub policies: Plan,
    /// Wanted certificates that it does not hold.
    pub certificates: BTreeSet<String>,
    /// Its APIs by id, OAS ones in classic form.
    pub held_apis: Observed,
    /// Its policies by id.
    pub held_policies: Observed,
    /// Why its policies cannot be read or written, although it answers.
    pub policies_failure: Option<String>,
    /// What would be done to the portal of a Dashboard. Documentation is told by its entries alone.
    pub portal: Plan,
    /// The portal, by the names of its objects.
    pub held_portal: Observed,
    /// By id: why a Dashboard would not take a document.
    pub refused: BTreeMap<String, String>,
}

/// One field that a write would change. Values can be secrets.
#[derive(Debug, PartialEq)]
pub struct FieldChange<'a> {
    /// Path of the field, for example `proxy.target_url`.
    pub field: String,
    /// What the gateway holds there; null for nothing.
    pub held: &'a Value,
    /// What it would hold; null for nothing.
    pub wanted: &'a Value,
}

/// Reads the Tyk and compares. Nothing is written and nothing reloaded; a Dashboard tries the documents.
///
/// # Errors
/// The Tyk does not answer as one.
pub async fn preview(tyk: &Tyk, desired: &Desired, owner: &str) -> Result<Preview, Error> {
    let mut calls = Calls::default();
    let held_apis = tyk
        .list_apis(desired, (&Keep::all().into(), &mut Seen::default()), &mut calls)
        .await?;
    let listed = Policies::new(owner.to_owned()).read(tyk, desired, &mut calls).await?;
    let apis = diff_read(desired, &held_apis, owner, &Readings::new());
    let (portal, held_portal) = portal::difference(tyk, desired).await?;
    Ok(Preview {
        refused: refused(tyk, desired, apis.writes.keys().map(String::as_str)).await?,
        portal,
        held_portal,
        apis,
        policies: policies::difference(desired, &listed.held, owner, &Readings::new()),
        certificates: Certificates::missing(tyk, desired).await?,
        held_apis,
        held_policies: listed.held,
        policies_failure: listed.failure,
    })
}

/// What a Dashboard says of these documents when it only tries them; nothing where it has no such call.
///
/// # Errors
/// The Dashboard does not answer.
pub async fn refused(
    tyk: &Tyk,
    desired: &Desired,
    ids: impl IntoIterator<Item = &str>,
) -> Result<BTreeMap<String, String>, Error> {
    let Tyk::Dashboard(dashboard) = tyk else {
        return Ok(BTreeMap::new());
    };
    let mut refused = BTreeMap::new();
    for (id, api) in ids.into_iter().filter_map(|id| desired.oas.get_key_value(id)) {
        match dashboard.dry_run(&api.payload.value()).await {
            Ok(_) => {}
            Err(error) if error.kind() == Kind::Rejected => drop(refused.insert(id.to_string(), error.to_string())),
            // It is older than the call.
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Malformed) => return Ok(BTreeMap::new()),
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

/// The fields that a write of `payload` would change on a gateway that holds `held`. What is only on the gateway goes
/// with the write when its object is another one than was sent before; but a gateway adds parts of its own to a
/// document, so that of documents only what is taken over tells them apart.
pub fn field_changes<'a>(payload: &'a Value, held: &'a Value, reason: &WriteReason) -> Vec<FieldChange<'a>> {
    let mut found: Vec<_> = differences(payload, held)
        .into_iter()
        .map(|one| FieldChange {
            wanted: at(payload, &one.field).unwrap_or(&Value::Null),
            field: one.field,
            held: one.observed,
        })
        .collect();
    let taken_out = match reason {
        WriteReason::Changed { cause, .. } => *cause != Cause::Edited,
        _ => false,
    };
    if taken_out && !oas::is_document(payload) {
        let mut additions = Vec::new();
        compare::additions("", payload, held, &mut additions);
        let named: BTreeSet<_> = found.iter().map(|one| one.field.clone()).collect();
        let new = additions
            .into_iter()
            .filter(|one| !named.contains(&one.field) && !form::is_written_by_gateway(&one.field));
        found.extend(new.map(|one| FieldChange {
            field: one.field,
            held: one.observed,
            wanted: &Value::Null,
        }));
    }
    found
}

/// The value at a path as [`differences`] writes it. A key may hold dots and brackets itself.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(value);
    }
    match value {
        Value::Object(fields) => {
            let path = path.strip_prefix('.').unwrap_or(path);
            let mut keys = fields
                .iter()
                .filter_map(|(key, value)| Some((path.strip_prefix(key.as_str())?, value)));
            keys.find_map(|(rest, value)| match rest.chars().next() {
                None | Some('.' | '[') => at(value, rest),
                Some(_) => None,
            })
        }
        Value::Array(items) => {
            let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
            at(items.get(index.parse::<usize>().ok()?)?, rest)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_to_its_value_whatever_its_keys_hold() {
        let value = json!({"a": {"b.c": [1, {"d": 2}], "b": {"x": 3}}, "h[0]": 4});
        for (path, expected) in [
            ("a.b.c[1].d", json!(2)),
            ("a.b.x", json!(3)),
            ("h[0]", json!(4)),
            ("a.b.c[0]", json!(1)),
        ] {
            assert_eq!(at(&value, path), Some(&expected), "{path}");
        }
        assert_eq!(at(&value, "a.b.y"), None);
    }

    #[test]
    fn what_a_write_takes_away_is_a_change_unless_the_gateway_made_it() {
        let (payload, held) = (
            json!({"name": "b", "tags": []}),
            json!({"name": "a", "tags": ["x"], "id": "65", "slug": ""}),
        );
        let fields = |cause| {
            let reason = WriteReason::Changed {
                fields: Vec::new(),
                cause,
            };
            let changes = field_changes(&payload, &held, &reason);
            changes
                .into_iter()
                .map(|one| (one.field, one.held.clone(), one.wanted.clone()))
                .collect::<Vec<_>>()
        };
        let both = vec![
            ("name".to_owned(), json!("a"), json!("b")),
            ("tags".to_owned(), json!(["x"]), json!([])),
        ];
        assert_eq!(fields(Cause::Edited), both);
        assert_eq!(fields(Cause::Adopted), both);
        let held = json!({"name": "b", "custom": 1, "id": "65", "slug": ""});
        let reason = WriteReason::Changed {
            fields: Vec::new(),
            cause: Cause::Wanted,
        };
        let payload = json!({"name": "b"});
        let changes = field_changes(&payload, &held, &reason);
        assert_eq!(
            changes.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(),
            ["custom"]
        );
    }
}
