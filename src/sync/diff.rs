//! What has to change on a gateway. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::form::{self, differences};
use super::mark;
use super::route::{self, Held};
use super::{Loaded, Observed};
use crate::desired::{Api, Desired, Wanted};

/// How a gateway reads what it was sent, where that differs from what was sent.
pub(super) type Readings = BTreeMap<String, Reading>;

/// Of one API: learned from the list after a write, because a gateway drops fields that it does not know and writes
/// some values in its own way. Such a difference is no drift as long as it stays the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// Hash of the wanted definition.
    pub(super) hash: String,
    /// Hash of what the gateway holds, by field.
    pub(super) fields: BTreeMap<String, String>,
}

/// What would bring a gateway in step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// APIs to write, and why.
    pub writes: BTreeMap<String, WriteReason>,
    /// Our own APIs that nobody wants any more.
    pub deletes: BTreeSet<String>,
    /// Number of APIs that are as wanted.
    pub unchanged: usize,
    /// Wanted APIs whose id is held by an API with another owner's mark, and that owner. Never touched.
    pub foreign: BTreeMap<String, String>,
    /// Wanted APIs that are not written because an API that stays on the gateway has their domain and listen path, and
    /// the id of that one. The gateway would rename one of them, and both at its next start.
    pub rivals: BTreeMap<String, String>,
}

/// Why an API has to be written.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteReason {
    /// The gateway does not have it.
    Missing,
    /// The gateway has it otherwise.
    Changed {
        /// Paths of the fields with another value; empty when fields were only taken out. Values can be secrets.
        fields: Vec<String>,
        /// Who changed it.
        cause: Cause,
    },
    /// The gateway renamed it because another API had the same domain and listen path.
    Renamed {
        /// The listen path on the gateway.
        listen_path: String,
    },
}

/// Who changed a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its resource: the wanted definition is another one than was sent last.
    Wanted,
    /// Nobody: the API was there before its resource and is taken over.
    Adopted,
    /// Somebody on the gateway: what was sent last is still wanted.
    Edited,
}

impl WriteReason {
    /// Whether nobody asked for the difference.
    pub fn is_drift(&self) -> bool {
        match self {
            WriteReason::Missing => false,
            WriteReason::Changed { cause, .. } => *cause == Cause::Edited,
            WriteReason::Renamed { .. } => true,
        }
    }
}

impl fmt::Display for WriteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteReason::Missing => f.write_str("missing"),
            WriteReason::Renamed { listen_path } => write!(f, "renamed to {listen_path}"),
            WriteReason::Changed { cause, fields } => {
                f.write_str(match cause {
                    Cause::Wanted => "changed",
                    Cause::Adopted => "adopted",
                    Cause::Edited => "edited on the gateway",
                })?;
                match fields.as_slice() {
                    [] => Ok(()),
                    fields => write!(f, " ({})", fields.join(", ")),
                }
            }
        }
    }
}

impl Plan {
    /// Whether the gateway is in step, as far as it can be.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.deletes.is_empty()
    }

    /// Whether there is anything to say of a wanted API.
    pub(super) fn names(&self, id: &str) -> bool {
        self.writes.contains_key(id) || self.foreign.contains_key(id) || self.rivals.contains_key(id)
    }

    /// Takes out what `sent` has, which the gateway was told already: what came of that is to be seen, not tried again.
    pub(super) fn take_out(&mut self, sent: &Plan) {
        for id in sent.writes.keys() {
            if self.writes.remove(id).is_none() && !self.names(id) {
                self.unchanged -= 1;
            }
        }
        self.deletes.retain(|id| !sent.deletes.contains(id));
    }

    /// Adds the writes of wanted APIs that lack something beside their definition.
    pub(super) fn complete(
        &mut self,
        desired: &Desired,
        observed: &Observed,
        lacks: impl Fn(&Api, &Value) -> Vec<String>,
    ) {
        for (id, api) in desired.wanted() {
            if self.names(id) {
                continue;
            }
            let fields = observed
                .get(id.as_ref())
                .map(|held| lacks(api, held.value()))
                .unwrap_or_default();
            if !fields.is_empty() {
                let cause = Cause::Edited;
                self.writes
                    .insert(id.to_string(), WriteReason::Changed { fields, cause });
                self.unchanged -= 1;
            }
        }
    }

    /// Takes out the writes that would make the gateway rename an API that stays as it is. Each write that is taken out
    /// leaves one more API as it is.
    pub(super) fn stop_collisions(&mut self, desired: &Desired, observed: &Observed) {
        let routes = |id: &String| {
            let payload = desired.api(id)?.payload.value();
            Some((id.clone(), (form::is_active(&payload), route::of(&payload))))
        };
        let routes: BTreeMap<_, _> = self.writes.keys().filter_map(routes).collect();
        let mut before = 0;
        while self.writes.len() != before {
            before = self.writes.len();
            let stays = |id: &str| !self.deletes.contains(id) && !self.writes.contains_key(id);
            let held = Held::new(observed, stays);
            let rivals = &mut self.rivals;
            self.writes.retain(|id, reason| {
                let Some((is_active, route)) = routes.get(id) else {
                    return false;
                };
                let rival = match reason {
                    _ if !is_active => None,
                    WriteReason::Renamed { .. } => held.rival_of_renamed(route),
                    _ => held.rival(route),
                };
                rivals.extend(rival.map(|rival| (id.clone(), rival.to_owned())));
                rival.is_none()
            });
        }
    }
}

/// Compares what should be there with what is. `owner` is our own name in the owner marks.
pub fn diff(desired: &Desired, observed: &Observed, owner: &str) -> Plan {
    diff_read(desired, observed, owner, &Readings::new())
}

/// [`diff`] that knows how the gateway reads some of the definitions.
pub(super) fn diff_read(desired: &Desired, observed: &Observed, owner: &str, readings: &Readings) -> Plan {
    let wanted = desired.payloads().collect();
    let keeps = |id: &str| keeps(desired, id);
    let mut plan = diff_payloads(&wanted, keeps, observed, (owner, &desired.contexts), readings);
    plan.stop_collisions(desired, observed);
    plan
}

/// Whether an API that is there stays, be it as it is.
pub(super) fn keeps(desired: &Desired, id: &str) -> bool {
    desired.api(id).is_some() || desired.held.contains(id)
}

/// Compares wanted payloads by id with what is. What is ours, and that `keeps` does not name, is to be deleted.
pub(super) fn diff_payloads(
    wanted: &BTreeMap<&str, Wanted<'_>>,
    keeps: impl Fn(&str) -> bool,
    observed: &Observed,
    (owner, contexts): (&str, &BTreeSet<String>),
    readings: &Readings,
) -> Plan {
    let mut plan = Plan::default();
    for (&id, &payload) in wanted {
        let found = observed.get(id);
        match found.and_then(Loaded::owner).filter(|name| *name != owner) {
            Some(other) => {
                plan.foreign.insert(id.to_owned(), other.to_owned());
            }
            None => match reason(id, payload, found, readings.get(id)) {
                Some(reason) => {
                    plan.writes.insert(id.to_owned(), reason);
                }
                None => plan.unchanged += 1,
            },
        }
    }
    plan.deletes = observed
        .iter()
        .filter(|(id, held)| !keeps(id) && held.is_ours(owner, contexts))
        .map(|(id, _)| id.clone())
        .collect();
    plan
}

/// Why a wanted payload that `observed` is the loaded form of has to be written; `None` when it is as wanted.
pub(super) fn reason(
    id: &str,
    wanted: Wanted<'_>,
    observed: Option<&Loaded>,
    reading: Option<&Reading>,
) -> Option<WriteReason> {
    let Some(observed) = observed else {
        return Some(WriteReason::Missing);
    };
    let hash = wanted.hash();
    let cause = match observed.stamp() {
        _ if observed.owner().is_none() => Cause::Adopted,
        Some(stamp) if stamp.hash == hash => Cause::Edited,
        _ => Cause::Wanted,
    };
    if observed.is_as_wanted(&hash) {
        let fields = Vec::new();
        return (cause != Cause::Edited).then_some(WriteReason::Changed { fields, cause });
    }
    let payload = wanted.value();
    let known = reading
        .filter(|reading| reading.hash == hash)
        .map(|reading| &reading.fields);
    let fields: Vec<_> = differences(&payload, observed.value())
        .into_iter()
        .filter(|difference| {
            let known = known.and_then(|known| known.get(&difference.field));
            known.is_none_or(|known| *known != mark::hash(difference.observed))
        })
        .map(|difference| difference.field)
        .collect();
    let (_, listen_path) = observed.route();
    if cause != Cause::Edited {
        Some(WriteReason::Changed { fields, cause })
    } else if route::is_renamed(route::listen_path(&payload), id, listen_path) {
        Some(WriteReason::Renamed {
            listen_path: listen_path.to_owned(),
        })
    } else if fields.is_empty() {
        None
    } else {
        Some(WriteReason::Changed { fields, cause })
    }
}

#[cfg(test)]
mod tests;
