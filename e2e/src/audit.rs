//! What the product asked of the API server, by the API server's own audit log.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::{Value, json};

use crate::control_plane::{ControlPlane, SERVICE_ACCOUNT, SYSTEM_NAMESPACE};

/// The log below [`ControlPlane::dir`].
pub const LOG: &str = "audit.log";

/// A verb for a resource, as a role grants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// API group, empty for the core.
    pub group: String,
    /// Resource, with `/` and the subresource if there is one.
    pub resource: String,
    /// Verb.
    pub verb: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, resource, verb } = self;
        match group.as_str() {
            "" => write!(f, "{verb} {resource}"),
            group => write!(f, "{verb} {resource}.{group}"),
        }
    }
}

/// The policy: everything that the product's service account asks, without any body.
pub(crate) fn policy() -> Value {
    let user = format!("system:serviceaccount:{SYSTEM_NAMESPACE}:{SERVICE_ACCOUNT}");
    json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [
        {"level": "Metadata", "users": [user], "omitStages": ["RequestReceived"]},
        {"level": "None"},
    ]})
}

/// The rights that were used so far.
///
/// # Errors
/// When one was refused, or the log cannot be read.
pub fn used(cluster: &ControlPlane) -> Result<BTreeSet<Right>> {
    read(&cluster.dir().join(LOG))
}

fn read(log: &Path) -> Result<BTreeSet<Right>> {
    let text = fs::read_to_string(log).with_context(|| log.display().to_string())?;
    let mut used = BTreeSet::new();
    for line in text.lines() {
        // The last line may be half written.
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let Some(resource) = event["objectRef"]["resource"].as_str() else {
            continue;
        };
        let field = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let right = Right {
            group: field(&event["objectRef"]["apiGroup"]),
            resource: match event["objectRef"]["subresource"].as_str() {
                Some(sub) => format!("{resource}/{sub}"),
                None => resource.to_owned(),
            },
            verb: field(&event["verb"]),
        };
        if event["annotations"]["authorization.k8s.io/decision"] == "forbid" {
            bail!("the role does not grant: {right}");
        }
        used.insert(right);
    }
    Ok(used)
}

/// What rules grant.
#[must_use]
pub fn granted(rules: &[PolicyRule]) -> BTreeSet<Right> {
    let mut granted = BTreeSet::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                granted.extend(rule.verbs.iter().map(|verb| Right {
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                }));
            }
        }
    }
    granted
}
