//! The routes of a gateway without a gateway: for tests of many definitions and requests.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use serde_json::Value;

use super::Error;
use super::reload::{self, Setup};
use super::router::{Found, Table};
use super::state::State;
use super::url::{Path, clean};

/// The routes of definitions, as a gateway has them after a reload.
#[derive(Debug)]
pub struct Routes(Table);

/// Port of all routes here; no listener stands behind it.
const PORT: u16 = 1;

/// What a request gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The API with this id.
    Api(String),
    /// A redirect to the cleaned path.
    Redirect,
    /// Nothing matches.
    NotFound,
    /// The request target is no path.
    BadRequest,
}

impl Routes {
    /// Loads definitions, with custom domains and without strict routes.
    ///
    /// # Errors
    /// When an id is no file name, or a definition would end the gateway's process.
    pub fn load(definitions: impl IntoIterator<Item = impl Borrow<Value>>) -> Result<Routes, Error> {
        let mut state = State::default();
        for definition in definitions {
            state
                .write_api(definition.borrow().clone(), None)
                .map_err(|_| Error::Definition("its id is no file name".into()))?;
        }
        let setup = Setup {
            main_port: PORT,
            control_port: PORT,
            custom_domains: true,
            strict_routes: false,
        };
        let table = reload::load(&mut state, &setup, &BTreeSet::new()).map_err(|crash| Error::Definition(crash.0))?;
        Ok(Routes(table.unwrap_or_default()))
    }

    /// Which API answers a request with this Host header and path.
    pub fn answer(&self, host: &str, path: &str) -> Answer {
        let Some(path) = Path::parse(path) else {
            return Answer::BadRequest;
        };
        if clean(&path.decoded) != path.decoded {
            return Answer::Redirect;
        }
        match self.0.ports.get(&PORT).map(|router| router.find(host, &path.text())) {
            Some(Found::Api(spec)) => Answer::Api(spec.id.clone()),
            _ => Answer::NotFound,
        }
    }
}
