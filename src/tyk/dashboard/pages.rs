//! Lists, which come in pages.

use reqwest::Method;
use serde_json::Value;

use crate::tyk::wire::LIST_LIMIT;
use crate::tyk::{Error, Kind};

use super::Dashboard;

/// More pages than any Dashboard has; an answer that names more is nonsense.
const PAGES: u64 = 100_000;

/// One list of the Dashboard.
pub(super) struct List<'a> {
    pub path: &'a [&'a str],
    /// Field of the answer that holds the objects; the case of its letters differs between versions.
    pub field: &'a str,
    /// Number of the first page.
    pub first: u64,
    /// What else the query says, without `p`; oldest first where it can be asked for, so that what is added meanwhile
    /// comes last.
    pub query: &'a str,
}

impl Dashboard {
    /// All objects of a list. `p=-2` asks for all at once; pages are followed where the answer names more than one. An
    /// object can come twice.
    pub(super) async fn all(&self, list: &List<'_>) -> Result<Vec<Value>, Error> {
        let (found, pages) = self.page(list, "-2").await?;
        if pages <= 1 {
            return Ok(found);
        }
        let (mut found, mut pages, mut at) = (found, pages, 0);
        while at < pages {
            let (more, now) = self.page(list, &(list.first + at).to_string()).await?;
            found.extend(more);
            pages = now;
            at += 1;
        }
        Ok(found)
    }

    async fn page(&self, list: &List<'_>, page: &str) -> Result<(Vec<Value>, u64), Error> {
        let query = match list.query {
            "" => format!("p={page}"),
            query => format!("{query}&p={page}"),
        };
        let call = self.call_with(Method::GET, list.path, Some(&query))?;
        let name = call.name.clone();
        // A list that is not there is no empty list.
        let answer = call.json(LIST_LIMIT).await.map_err(|error| match error.kind() {
            Kind::NotFound => error.unavailable(),
            _ => error,
        })?;
        let field = |name: &str| {
            let fields = answer.as_object().into_iter().flatten();
            fields
                .into_iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        };
        let pages = field("pages").and_then(Value::as_u64).unwrap_or(1);
        match field(list.field) {
            Some(Value::Array(found)) if pages <= PAGES => Ok((found.clone(), pages)),
            // Go's way to write a list that was never made.
            Some(Value::Null) if pages <= 1 => Ok((Vec::new(), pages)),
            _ => {
                let detail = format!("the answer is not a list; {}", self.wire.check_url());
                Err(Error::new(Kind::Malformed, name, detail))
            }
        }
    }
}
