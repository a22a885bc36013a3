//! What a Dashboard stores, by organisation.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::User;
use crate::sim::certs::Certs;
use crate::sim::definition::text;

/// When everything was made; the simulated Dashboard has no clock.
const CREATED: &str = "2026-01-01T00:00:00Z";

/// The database.
#[derive(Debug, Default)]
pub(super) struct State {
    pub orgs: BTreeMap<String, Org>,
    pub serial: Serial,
}

/// Counts objects, for ids in the order in which they are made.
#[derive(Debug, Default)]
pub(super) struct Serial(u64);

impl Serial {
    /// An id of the database: 24 hexadecimal digits.
    pub fn database_id(&mut self) -> String {
        self.0 += 1;
        format!("66{:022x}", self.0)
    }

    /// An id that the Dashboard gives to an API.
    pub fn api_id(&mut self) -> String {
        self.0 += 1;
        format!("ab{:030x}", self.0)
    }
}

/// The objects of one organisation.
#[derive(Debug, Default)]
pub(super) struct Org {
    /// By their id in the database, which is the order in which they were made.
    pub apis: BTreeMap<String, Api>,
    /// By their id in the database.
    pub policies: BTreeMap<String, Value>,
    pub certs: Certs,
    /// `catalogue` and `configuration`.
    pub portal: BTreeMap<String, Value>,
    pub documentation: BTreeMap<String, Value>,
}

/// What an API is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Classic,
    Oas,
    Streams,
    Mcp,
}

/// One API.
#[derive(Debug)]
pub(super) struct Api {
    pub source: Source,
    /// The classic definition.
    pub definition: Value,
    /// The other fields of the record.
    pub wrapper: Map<String, Value>,
    pub document: Option<Value>,
    pub categories: Value,
}

impl Org {
    /// An API by either of its ids.
    pub fn find(&self, id: &str) -> Option<&Api> {
        self.apis.values().find(|api| api.is(id))
    }

    /// An API by either of its ids.
    pub fn find_mut(&mut self, id: &str) -> Option<&mut Api> {
        self.apis.values_mut().find(|api| api.is(id))
    }

    /// Another API than that of `database_id` that has the address of `definition`.
    pub fn rival(&self, definition: &Value, database_id: &str) -> bool {
        let address = |definition: &Value| {
            let domain = text(definition, "/domain").to_owned();
            (domain, text(definition, "/proxy/listen_path").to_owned())
        };
        let others = self.apis.values().filter(|api| api.database_id() != database_id);
        others
            .into_iter()
            .any(|api| address(&api.definition) == address(definition))
    }
}

impl Api {
    pub fn api_id(&self) -> &str {
        text(&self.definition, "/api_id")
    }

    pub fn database_id(&self) -> &str {
        text(&self.definition, "/id")
    }

    fn is(&self, id: &str) -> bool {
        self.api_id() == id || self.database_id() == id
    }

    /// The record as it is answered.
    pub fn record(&self) -> Value {
        let mut record = self.wrapper.clone();
        record.insert("api_definition".to_owned(), self.definition.clone());
        Value::Object(record)
    }

    /// Owners of an API hide it from everybody else but administrators.
    pub fn is_visible_to(&self, user: &User) -> bool {
        let names = |field: &str, id: &str| {
            let ids = self.wrapper.get(field).and_then(Value::as_array);
            ids.map(|ids| (!ids.is_empty(), ids.iter().any(|held| held == id)))
                .unwrap_or_default()
        };
        let (users, is_user) = names("user_owners", &user.id);
        let (groups, in_group) = names("user_group_owners", &user.group);
        user.permissions.is_none() || !(users || groups) || is_user || in_group
    }
}

/// The fields of a record beside the definition: those that were sent, and this version's own for those that were not.
pub(super) fn wrapper(sent: &Map<String, Value>) -> Map<String, Value> {
    let own = json!({"created_at": CREATED, "api_model": {}, "hook_references": [], "is_site": false, "sort_by": 0,
        "user_group_owners": [], "user_owners": []});
    let mut wrapper = own.as_object().cloned().unwrap_or_default();
    let sent = sent
        .iter()
        .filter(|(name, value)| *name != "api_definition" && !value.is_null());
    wrapper.extend(sent.map(|(name, value)| (name.clone(), value.clone())));
    wrapper.insert("created_at".to_owned(), Value::from(CREATED));
    wrapper
}
