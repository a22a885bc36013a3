//! References from one resource to another.

use serde::{Deserialize, Serialize};

/// The name of another object, and its namespace when that is not the referrer's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Name of the object.
    pub name: String,
    /// Namespace of the object; the namespace of the object that holds the reference when absent or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl Target {
    /// The namespace that is meant when the reference stands in an object of namespace `own`.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        self.namespace
            .as_deref()
            .filter(|namespace| !namespace.is_empty())
            .unwrap_or(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_or_empty_namespace_is_the_referrers_own() {
        let mut target = Target {
            name: "a".into(),
            namespace: None,
        };
        assert_eq!(target.namespace_or("own"), "own");
        target.namespace = Some(String::new());
        assert_eq!(target.namespace_or("own"), "own");
        target.namespace = Some("other".into());
        assert_eq!(target.namespace_or("own"), "other");
    }
}
