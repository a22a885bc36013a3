//! What the worker adds to the owner mark of a definition: the hash of the definition as it was wanted, and a counter.
//!
//! The hash tells a definition that was changed here from one that was changed on the gateway, and shows fields that
//! were taken out. The counter makes every write differ from what is loaded: a gateway keeps what it made of a file
//! (a renamed listen path, for one) as long as the file's bytes stay the same.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Loaded;
pub(super) use crate::desired::hash;
use crate::desired::owner;

/// The key of [`crate::desired::owner`].
const KEY: &str = "tyk-ingress";

/// The worker's part of the owner mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Of the wanted definition.
    pub(super) hash: String,
    /// Number of the write.
    pub(super) write: u64,
}

impl Stamp {
    /// For the next write of a definition whose loaded form is `observed`.
    pub(super) fn next(payload: &Value, observed: Option<&Loaded>) -> Self {
        let write = observed.and_then(Loaded::stamp).map_or(0, |stamp| stamp.write);
        Self {
            hash: hash(payload),
            write: write.wrapping_add(1),
        }
    }

    /// `payload` with this stamp, `owner` and the ids of uploaded certificates in its mark.
    pub(super) fn put(&self, payload: &Value, owner: &str, certificates: &BTreeSet<&str>) -> Value {
        let mut definition = payload.clone();
        if let Some(mark) = definition.as_object_mut().and_then(owner::slot) {
            mark.insert("owner".into(), json!(owner));
            mark.insert("hash".into(), json!(self.hash));
            mark.insert("write".into(), json!(self.write));
            if !certificates.is_empty() {
                mark.insert("certificates".into(), json!(certificates));
            }
        }
        definition
    }

    /// `payload` of a policy with this stamp and `owner` in its mark.
    pub(super) fn put_into_policy(&self, payload: &Value, owner: &str) -> Value {
        let mut policy = payload.clone();
        let mut mark = owner::policy_mark(payload).unwrap_or_default();
        mark.insert("owner".into(), json!(owner));
        mark.insert("hash".into(), json!(self.hash));
        mark.insert("write".into(), json!(self.write));
        if let Some(fields) = policy.as_object_mut() {
            owner::put_policy_mark(fields, mark);
        }
        policy
    }
}

/// The stamp of a loaded definition, `None` when no worker wrote it.
pub(super) fn read(definition: &Value) -> Option<Stamp> {
    let mark = definition.get("config_data")?.get(KEY)?;
    let write = mark.get("write")?;
    Some(Stamp {
        hash: mark.get("hash")?.as_str()?.to_owned(),
        // The gateway's JSON has only floating-point numbers in free-form objects.
        write: write.as_u64().or_else(|| write.as_f64().map(|number| number as u64))?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_stamp_goes_into_the_owner_mark() {
        let mut payload = json!({"api_id": "a", "config_data": {"mine": 1}});
        owner::mark(payload.as_object_mut().unwrap(), "east", "ApiDefinition default/a");
        let stamp = Stamp::next(&payload, None);
        let sent = stamp.put(&payload, "east", &BTreeSet::from(["1"]));
        assert_eq!(owner::certificates(&sent).collect::<Vec<_>>(), ["1"]);
        assert_eq!(owner::of(&sent), Some("east"));
        assert_eq!(sent["config_data"]["mine"], 1);
        assert_eq!(sent["config_data"][KEY]["source"], "ApiDefinition default/a");
        assert_eq!(read(&sent), Some(stamp));
    }

    #[test]
    fn a_payload_without_a_mark_gets_one() {
        let payload = json!({"config_data": null});
        let sent = Stamp::next(&payload, None).put(&payload, "east", &BTreeSet::new());
        assert_eq!(owner::of(&sent), Some("east"));
    }

    #[test]
    fn every_write_differs_from_what_is_loaded() {
        let payload = json!({"api_id": "a"});
        let first = Stamp::next(&payload, None).put(&payload, "east", &BTreeSet::new());
        let mut loaded = first.clone();
        loaded["config_data"][KEY]["write"] = json!(1.0);
        assert_eq!(Stamp::next(&payload, Some(&loaded.into())).write, 2);
    }

    #[test]
    fn the_hash_is_of_the_meaning() {
        assert_eq!(hash(&json!({"a": 1, "b": [2.0]})), hash(&json!({"b": [2], "a": 1.0})));
        for (one, other) in [
            (json!({"a": ""}), json!({"a": null})),
            (json!(["a", "b"]), json!(["b", "a"])),
            (json!(["1:a"]), json!(["a"])),
            (json!([[], 1]), json!([[1]])),
            (json!(0.1), json!(0.2)),
            (json!(u64::MAX), json!(-1)),
            (json!("1"), json!(1)),
        ] {
            assert_ne!(hash(&one), hash(&other), "{one} {other}");
        }
    }
}
