//! What a Tyk is sent of an API, as it is kept: packed, and beside it what is looked at of every API in every run.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Claims, certificates, oas};
use crate::packed::Packed;

/// The JSON to send of one API. A copy shares it.
#[derive(Clone)]
pub struct Payload(Arc<Kept>);

struct Kept {
    json: Packed,
    claims: Claims,
    is_document: bool,
    names_certificates: bool,
    organisation: Option<Box<str>>,
    hash: OnceLock<Box<str>>,
}

impl Payload {
    /// The JSON.
    pub fn value(&self) -> Value {
        self.0.json.value()
    }

    /// One field of it, without a look into the others.
    pub fn get(&self, field: &str) -> Option<Value> {
        self.0.json.get(field)
    }

    /// Its text.
    pub fn text(&self) -> String {
        self.0.json.text()
    }

    /// [`hash`] of it.
    pub fn hash(&self) -> &str {
        self.0.hash.get_or_init(|| hash(&self.value()).into())
    }

    /// What it asks for at its Tyk.
    pub fn claims(&self) -> &Claims {
        &self.0.claims
    }

    /// [`oas::is_document`] of it.
    pub fn is_document(&self) -> bool {
        self.0.is_document
    }

    /// Whether [`certificates::references`] finds any.
    pub fn names_certificates(&self) -> bool {
        self.0.names_certificates
    }

    /// `org_id` of a classic definition.
    pub fn organisation(&self) -> Option<&str> {
        self.0.organisation.as_deref()
    }

    /// Whether one is a copy of the other.
    pub fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        Self(Arc::new(Kept {
            json: Packed::from(&value),
            claims: Claims::of(&value),
            is_document: oas::is_document(&value),
            names_certificates: !certificates::references(&value).is_empty(),
            organisation: value["org_id"].as_str().map(Into::into),
            hash: OnceLock::new(),
        }))
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.is_shared_with(other) || self.0.json == other.0.json
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.json.fmt(f)
    }
}

/// What is to be sent under an id, of whatever sort.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted<'a> {
    /// Of an API.
    Packed(&'a Payload),
    /// Of anything else.
    Whole(&'a Value),
}

impl<'a> Wanted<'a> {
    /// The JSON.
    pub fn value(self) -> Cow<'a, Value> {
        match self {
            Self::Packed(payload) => Cow::Owned(payload.value()),
            Self::Whole(value) => Cow::Borrowed(value),
        }
    }

    /// [`hash`] of it.
    pub fn hash(self) -> Cow<'a, str> {
        match self {
            Self::Packed(payload) => Cow::Borrowed(payload.hash()),
            Self::Whole(value) => Cow::Owned(hash(value)),
        }
    }
}

/// Hash of a JSON value by meaning: the order of keys and the way to write a number do not count.
pub fn hash(value: &Value) -> String {
    let mut hasher = Sha256::new();
    feed(&mut hasher, value);
    HEXLOWER.encode(&hasher.finalize()[..16])
}

fn feed(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<_> = fields.keys().collect();
            keys.sort_unstable();
            hasher.update(format!("{{{}", keys.len()));
            for key in keys {
                hasher.update(format!("{}:{key}", key.len()));
                feed(hasher, &fields[key]);
            }
        }
        Value::Array(items) => {
            hasher.update(format!("[{}", items.len()));
            items.iter().for_each(|item| feed(hasher, item));
        }
        Value::String(text) => hasher.update(format!("\"{}:{text}", text.len())),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), _, _) => hasher.update(format!("#{whole};")),
            (_, Some(whole), _) => hasher.update(format!("#{whole};")),
            (_, _, float) => hasher.update(format!("#{};", float.unwrap_or_default())),
        },
        Value::Bool(_) | Value::Null => hasher.update(value.to_string()),
    }
}
