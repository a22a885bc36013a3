//! Which Tyk an OperatorContext means.

use super::Context;
use crate::api::{Mode, Target};
use crate::snapshot::{NamespacedName, Snapshot};

/// The context of a resource that names one: the operator's own, with the organisation that the OperatorContext sets.
///
/// # Errors
/// Why it cannot be used. A resource is never sent to another Tyk than the one that its context means.
pub fn resolve(target: &Target, namespace: &str, snapshot: &Snapshot, own: &Context) -> Result<Context, String> {
    let name = NamespacedName::new(target.namespace_or(namespace), &target.name);
    let Some(found) = snapshot.operator_contexts.get(&name) else {
        return Err(format!("OperatorContext {name} does not exist"));
    };
    if found.spec.secret_ref.is_some() {
        return Err(format!(
            "OperatorContext {name} takes its settings from a Secret, which this operator does not read"
        ));
    }
    let env = found.spec.env.clone().unwrap_or_default();
    if env.mode == Some(Mode::Pro) {
        return Err(format!(
            "OperatorContext {name} means a Tyk Dashboard; this operator configures gateways"
        ));
    }
    let url = env
        .url
        .as_deref()
        .map(|url| url.trim().trim_end_matches('/'))
        .filter(|url| !url.is_empty());
    if let Some(url) = url.filter(|url| *url != own.url) {
        let own = if own.url.is_empty() {
            "no other than its own"
        } else {
            own.url.as_str()
        };
        return Err(format!(
            "OperatorContext {name} means the Tyk at {url}; this operator configures {own}"
        ));
    }
    let org = env.org.filter(|org| !org.is_empty()).unwrap_or_else(|| own.org.clone());
    Ok(Context { org, ..own.clone() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;
    use crate::api::OperatorContext;

    fn resolved(spec: Value) -> Result<Context, String> {
        let mut snapshot = Snapshot::default();
        let object = json!({"metadata": {"name": "east", "namespace": "tyk"}, "spec": spec});
        snapshot.insert::<OperatorContext>(serde_json::from_value(object).unwrap());
        let own = Context {
            org: "own".into(),
            owner: "me".into(),
            url: "http://gateway".into(),
            now: None,
        };
        resolve(
            &Target {
                name: "east".into(),
                namespace: None,
            },
            "tyk",
            &snapshot,
            &own,
        )
    }

    #[test]
    fn only_the_tyk_of_this_operator_is_configured() {
        assert_eq!(resolved(json!({})).unwrap().org, "own");
        assert_eq!(
            resolved(json!({"env": {"url": "http://gateway/", "org": "theirs"}}))
                .unwrap()
                .org,
            "theirs"
        );
        for other in [
            json!({"env": {"url": "http://elsewhere"}}),
            json!({"env": {"mode": "pro"}}),
            json!({"secretRef": {"name": "tyk"}}),
        ] {
            assert!(resolved(other).unwrap_err().contains("OperatorContext tyk/east"));
        }
        let missing = resolve(
            &Target {
                name: "x".into(),
                namespace: None,
            },
            "n",
            &Snapshot::default(),
            &Context::default(),
        );
        assert_eq!(missing.unwrap_err(), "OperatorContext n/x does not exist");
    }
}
