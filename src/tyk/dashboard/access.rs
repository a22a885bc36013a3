//! Who owns an API: users and groups of users. The same endpoint serves every kind of API.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::tyk::{Error, Kind};

use super::Dashboard;

/// Ids of users and of groups of users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// `user_owners`.
    pub users: BTreeSet<String>,
    /// `user_group_owners`.
    pub groups: BTreeSet<String>,
}

impl Owners {
    /// Owners by their ids.
    pub fn new<'a>(users: impl IntoIterator<Item = &'a str>, groups: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            users: users.into_iter().map(str::to_owned).collect(),
            groups: groups.into_iter().map(str::to_owned).collect(),
        }
    }

    /// Whether nobody is named: anybody of the organisation may see the API.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    /// Whether all of `other` are among these.
    pub fn contains(&self, other: &Owners) -> bool {
        self.users.is_superset(&other.users) && self.groups.is_superset(&other.groups)
    }

    /// These and `other`.
    fn with(mut self, other: &Owners) -> Self {
        self.users.extend(other.users.iter().cloned());
        self.groups.extend(other.groups.iter().cloned());
        self
    }

    /// Reads two lists of ids; `null` is an empty one.
    pub(super) fn read(users: &Value, groups: &Value) -> Self {
        let ids = |list: &Value| {
            let ids = list.as_array().into_iter().flatten();
            ids.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            users: ids(users),
            groups: ids(groups),
        }
    }
}

impl Dashboard {
    /// `GET /api/apis/{id}/access`: the owners of an API of any kind; `None` if there is no such API.
    ///
    /// # Errors
    /// As for every call.
    pub async fn owners(&self, id: &str) -> Result<Option<Owners>, Error> {
        let found = self.call(Method::GET, &["apis", id, "access"])?.found().await?;
        Ok(found.map(|found| Owners::read(&found["userIds"], &found["userGroupIds"])))
    }

    /// `PUT /api/apis/{id}/access`: replaces the owners of an API of any kind.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such API, else as for every call.
    pub async fn set_owners(&self, id: &str, owners: &Owners) -> Result<(), Error> {
        let body = json!({"userIds": owners.users, "userGroupIds": owners.groups});
        let call = self.call(Method::PUT, &["apis", id, "access"])?.body(&body);
        call.done().await.map(drop)
    }

    /// Adds those of `owners` that an API lacks. Nobody is ever taken off, and nothing is sent if all are there.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] when they hide the API from us, else as for [`Dashboard::set_owners`].
    pub async fn add_owners(&self, id: &str, owners: &Owners) -> Result<(), Error> {
        if owners.is_empty() {
            return Ok(());
        }
        let Some(held) = self.owners(id).await? else {
            let call = format!("PUT /api/apis/{id}/access");
            return Err(Error::new(Kind::NotFound, call, "there is no such API"));
        };
        if held.contains(owners) {
            return Ok(());
        }
        self.set_owners(id, &held.with(owners)).await?;
        self.still_sees(id).await
    }

    /// Owners hide an API from everybody else but administrators. Hidden from us, it would look as if it were gone.
    pub(super) async fn still_sees(&self, id: &str) -> Result<(), Error> {
        match self.owners(id).await? {
            Some(_) => Ok(()),
            None => Err(Error::new(
                Kind::Forbidden,
                format!("GET /api/apis/{id}/access"),
                "its owners hide the API from the user of TYK_AUTH; make that user one of them, or an administrator",
            )),
        }
    }
}
