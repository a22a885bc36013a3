//! An `ApiDefinition`'s spec to the classic JSON that the gateway reads.
//!
//! [`check`] says what the gateway could not serve, [`resolve`] puts ids in the place of names of other resources, and
//! [`payload`] makes the JSON. Fields that none of them knows reach the gateway as they were written.

mod check;
mod fields;
mod links;
mod payload;
mod policies;

pub use check::check;
pub use links::{Link, links};
pub use payload::{organisation, payload};
pub use policies::policy_id;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::oas;
use crate::diagnostic::Code;
use crate::ingress::Translation;
use crate::snapshot::{NamespacedName, Snapshot, Stored};

/// A finding: its code, the field, the message.
pub type Problem = (Code, String, String);

/// What names of other resources are looked up in.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The resources.
    pub snapshot: &'a Snapshot,
    /// The children of Ingresses as they are to be.
    pub translation: &'a Translation,
}

/// Puts ids in the place of all names of other APIs and of policies, as seen from `namespace`.
pub fn resolve(definition: &mut Map<String, Value>, namespace: &str, world: World<'_>) -> Vec<Problem> {
    let mut problems = links::resolve(definition, namespace, |link| world.target(link));
    problems.extend(policies::resolve(definition, |name| policy_id(world.snapshot, name)));
    problems
}

impl World<'_> {
    fn target(&self, link: &Link) -> Result<Target, String> {
        let target = match link.kind {
            links::CLASSIC => self.classic(&link.name),
            _ => self.oas(&link.name),
        };
        match target {
            None => Err(format!("{link} does not exist")),
            Some((_, true)) => Err(format!("{link} is a template of Ingresses, which no gateway holds")),
            Some((target, false)) => Ok(target),
        }
    }

    /// The API of this name, and whether it is a template.
    fn classic(&self, name: &NamespacedName) -> Option<(Target, bool)> {
        let child = self
            .translation
            .children
            .get(name)
            .map(|child| Arc::new(child.definition()));
        let written = || Some(self.snapshot.api_definitions.get(name)?.whole());
        let api = child.or_else(written)?;
        let (id, inactive) = (api.api_id(), api.is_inactive());
        Some((Target { id, inactive }, api.is_template()))
    }

    fn oas(&self, name: &NamespacedName) -> Option<(Target, bool)> {
        let child = self
            .translation
            .oas_children
            .get(name)
            .map(|child| Cow::Owned(child.definition()));
        let written = || Some(Cow::Borrowed(self.snapshot.tyk_oas_api_definitions.get(name)?.as_ref()));
        let api = child.or_else(written)?;
        let oas::Identity { id, inactive } = oas::identity(self.snapshot, api.as_ref());
        Some((Target { id, inactive }, api.is_template()))
    }
}

/// The API that a definition leads to.
#[derive(Clone, Debug, PartialEq)]
struct Target {
    id: String,
    inactive: bool,
}
