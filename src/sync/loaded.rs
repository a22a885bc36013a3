//! What a Tyk holds of one API or policy.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::form;
use super::mark::{self, Stamp};
use crate::desired::{Api, Payload, owner};

/// A loaded definition, or what is kept of one: 5,000 whole ones would be most of what the process holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Loaded {
    /// What was read of it.
    Whole(Value),
    /// It has all that is wanted, and nothing beside that rounds look at but the stamp.
    AsWanted(Arc<AsWanted>),
}

/// All that has to be known of it beside what is wanted.
#[derive(Debug, PartialEq)]
pub struct AsWanted {
    wanted: Payload,
    /// Length of the domain, with which the route begins that the payload claims.
    domain: usize,
    owner: Box<str>,
    context: Box<str>,
    /// Number of the write.
    write: u64,
}

impl From<Value> for Loaded {
    fn from(value: Value) -> Self {
        Self::Whole(value)
    }
}

impl Loaded {
    /// What was read of it; null for one that is as wanted and has nothing else that is of interest: no form but the
    /// classic one, no certificates, no versions.
    pub fn value(&self) -> &Value {
        match self {
            Self::Whole(value) => value,
            Self::AsWanted(_) => &Value::Null,
        }
    }

    /// The same to be changed, if anything is known of it.
    pub(super) fn value_mut(&mut self) -> Option<&mut Value> {
        match self {
            Self::Whole(value) => Some(value),
            Self::AsWanted(_) => None,
        }
    }

    /// Domain and listen path.
    pub(super) fn route(&self) -> (&str, &str) {
        match self {
            Self::Whole(value) => form::route(value),
            Self::AsWanted(one) => {
                let route = one.wanted.claims().route.as_deref().unwrap_or_default();
                route.split_at_checked(one.domain).unwrap_or_default()
            }
        }
    }

    /// Who made it, `None` when no operator of this kind did.
    pub(super) fn owner(&self) -> Option<&str> {
        match self {
            Self::Whole(value) => owner::of(value),
            Self::AsWanted(one) => Some(&one.owner),
        }
    }

    /// Whether it was made by `owner` under one of these contexts.
    pub(super) fn is_ours(&self, owner: &str, contexts: &BTreeSet<String>) -> bool {
        match self {
            Self::Whole(value) => owner::is_ours(value, owner, contexts),
            Self::AsWanted(one) => &*one.owner == owner && contexts.contains(&*one.context),
        }
    }

    /// Its stamp, `None` when no worker wrote it.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::Whole(value) => mark::read(value),
            Self::AsWanted(one) => Some(Stamp {
                hash: one.wanted.hash().to_owned(),
                write: one.write,
            }),
        }
    }

    /// Whether it was found to hold all of the definition with this hash.
    pub(super) fn is_as_wanted(&self, hash: &str) -> bool {
        match self {
            Self::Whole(value) => form::is_as_wanted(value, hash),
            Self::AsWanted(one) => one.wanted.hash() == hash,
        }
    }
}

impl AsWanted {
    /// Of what is left of a classic definition that is as wanted; `None` when there is more to it.
    pub(super) fn of(left: &Value, api: &Api) -> Option<Self> {
        let (domain, path) = form::route(left);
        let route = api.payload.claims().route.as_deref()?;
        let stamp = mark::read(left)?;
        let one = Self {
            domain: domain.len(),
            owner: owner::of(left)?.into(),
            context: owner::context(left).into(),
            write: stamp.write,
            wanted: api.payload.clone(),
        };
        let data = &left["config_data"];
        let is_all = stamp.hash == api.payload.hash()
            && route.strip_prefix(domain) == Some(path)
            && has_only(left, &FIELDS)
            && has_only(&left["proxy"], &["listen_path"])
            && has_only(data, &[owner::KEY])
            && has_only(&data[owner::KEY], &MARK);
        is_all.then_some(one)
    }
}

/// Fields that are known of what is as wanted, or of no interest then.
const FIELDS: [&str; 6] = ["active", "api_id", "config_data", "domain", "proxy", form::AS_WANTED];

/// The same of the owner mark. Not among them are the certificates, and what a Dashboard keeps.
const MARK: [&str; 5] = ["context", "hash", "owner", "source", "write"];

fn has_only(value: &Value, names: &[&str]) -> bool {
    let fields = value.as_object();
    fields.is_some_and(|fields| fields.keys().all(|name| names.contains(&name.as_str())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diagnostic::ObjectRef;

    fn api() -> Api {
        let mark = json!({"owner": "east", "source": "ApiDefinition default/a", "context": "default/c"});
        let payload = json!({"api_id": "1", "active": true, "domain": "a.example", "proxy": {"listen_path": "/a"},
            "config_data": {"tyk-ingress": mark}});
        Api {
            source: ObjectRef::new("ApiDefinition", "default", "a"),
            generation: 1,
            payload: payload.into(),
        }
    }

    /// What is left of what was written.
    fn left(change: impl FnOnce(&mut Value)) -> Value {
        let payload = api().payload;
        let mut left = payload.value();
        left["config_data"]["tyk-ingress"]["hash"] = json!(payload.hash());
        left["config_data"]["tyk-ingress"]["write"] = json!(7);
        change(&mut left);
        left
    }

    #[test]
    fn what_has_nothing_else_says_the_same_without_its_value() {
        let whole = Loaded::Whole(left(|_| ()));
        let short = Loaded::AsWanted(
            AsWanted::of(whole.value(), &api())
                .map(Arc::new)
                .unwrap_or_else(|| panic!()),
        );
        assert_eq!(short.value(), &Value::Null);
        let facts = |loaded: &Loaded| {
            let contexts = BTreeSet::from(["default/c".to_owned()]);
            let is_ours = [
                loaded.is_ours("east", &contexts),
                loaded.is_ours("west", &contexts),
                loaded.is_ours("east", &BTreeSet::new()),
            ];
            let (domain, path) = loaded.route();
            let texts = [domain, path, loaded.owner().unwrap_or_default()].map(str::to_owned);
            (texts, loaded.stamp(), is_ours)
        };
        assert_eq!(facts(&short), facts(&whole));
        assert_eq!(facts(&short).2, [true, false, false]);
        assert!(short.is_as_wanted(api().payload.hash()) && !short.is_as_wanted("other"));
    }

    #[test]
    fn what_has_anything_else_is_kept_whole() {
        let is_short = |change: fn(&mut Value)| AsWanted::of(&left(change), &api()).is_some();
        assert!(is_short(|_| ()));
        for (what, change) in [
            ("another form", (|left| left["is_oas"] = json!(true)) as fn(&mut Value)),
            ("versions", |left| left["definition"] = json!({"versions": {"v2": "2"}})),
            ("certificates", |left| {
                left["config_data"]["tyk-ingress"]["certificates"] = json!(["1"]);
            }),
            ("texts beside the mark", |left| {
                left["config_data"]["other"] = json!("1")
            }),
            ("texts beside the path", |left| left["proxy"]["target_url"] = json!("1")),
            ("no stamp", |left| {
                left["config_data"]["tyk-ingress"]["write"] = Value::Null
            }),
            ("another stamp", |left| {
                left["config_data"]["tyk-ingress"]["hash"] = json!("1")
            }),
            ("no owner", |left| {
                left["config_data"]["tyk-ingress"]["owner"] = Value::Null
            }),
            ("another route", |left| left["domain"] = json!("b.example")),
        ] {
            assert!(!is_short(change), "{what}");
        }
    }
}
