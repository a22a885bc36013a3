//! Client of a Tyk Dashboard ("pro" mode). No call asks for a reload: the Dashboard tells its gateways itself.
//!
//! The Dashboard's records hold more than we manage: owners, database ids, hooks, fields of other versions. Every update
//! reads the record first and sends it back with nothing changed but the fields that are ours ([`managed`]).

mod access;
mod apis;
mod categories;
mod certs;
mod dry_run;
mod envelope;
mod fields;
mod oas;
mod pages;
mod policies;
mod portal;

pub use access::Owners;
pub use apis::ApiRecord;
pub use categories::{categories_of, name_with_categories};
pub use fields::{Record, managed};
pub use oas::DocumentKind;
pub use policies::PolicyRecord;
pub use portal::Documentation;

use reqwest::Method;
use reqwest::header::AUTHORIZATION;

use self::envelope::Call;
use super::wire::Wire;
use super::{Endpoint, Error};

/// One Dashboard, as a user of one organisation sees it.
#[derive(Clone, Debug)]
pub struct Dashboard {
    wire: Wire,
}

/// How an object came to be as it was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was not there.
    Created,
    /// It was there, and is changed.
    Updated,
}

/// How an object came to be gone. Any doubt is an error instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It was there.
    Now,
    /// The Dashboard says that there is none.
    Before,
}

impl Dashboard {
    /// A client; it calls nothing yet. The process needs a rustls crypto provider.
    ///
    /// # Errors
    /// The URL is no http or https URL, or the key cannot be sent in a header.
    pub fn new(endpoint: Endpoint) -> Result<Self, Error> {
        let wire = Wire::new(endpoint, AUTHORIZATION, "Dashboard")?;
        Ok(Self { wire })
    }

    /// Host and port of the Dashboard, for logs and metrics.
    pub fn authority(&self) -> String {
        self.wire.authority()
    }

    fn call(&self, method: Method, path: &[&str]) -> Result<Call<'_>, Error> {
        self.call_with(method, path, None)
    }

    fn call_with(&self, method: Method, path: &[&str], query: Option<&str>) -> Result<Call<'_>, Error> {
        let path: Vec<&str> = ["api"].into_iter().chain(path.iter().copied()).collect();
        let (name, request) = self.wire.request(method, &path, query)?;
        Ok(Call {
            name,
            request,
            wire: &self.wire,
        })
    }
}
