//! Spec of the kinds that are a definition of Tyk's as it stands, with a reference to their context beside it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Target;
use crate::packed::Packed;

/// Field beside `target_url` that names another API as the target.
pub const TARGET_INTERNAL: &str = "target_internal";
/// Field beside `rewrite_to` that names another API as the target.
pub const REWRITE_INTERNAL: &str = "rewrite_to_internal";

/// A definition under Tyk's own field names, and what only Kubernetes needs to know.
///
/// The definition is not modelled: a field that this program has never heard of reaches Tyk as it was written, and a
/// value of an odd type costs its own object, not the list that it is watched in.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DefinitionSpec {
    /// The `OperatorContext` that names the Tyk to configure; the controller's own Tyk when absent.
    #[serde(rename = "contextRef", default, skip_serializing_if = "Option::is_none")]
    pub context_ref: Option<Target>,
    /// Everything else.
    #[serde(flatten)]
    pub definition: Packed,
}

impl DefinitionSpec {
    /// Whether it may name other APIs or graphs: where this is false, it names none.
    pub fn may_name_others(&self) -> bool {
        self.definition
            .mentions(&["graphql", TARGET_INTERNAL, REWRITE_INTERNAL])
    }
}

/// Names the fields and leaves the values out: a definition can hold HMAC secrets, JWT keys and tokens.
impl fmt::Debug for DefinitionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DefinitionSpec")
            .field("context_ref", &self.context_ref)
            .field("definition", &self.definition)
            .finish()
    }
}
