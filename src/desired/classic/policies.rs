//! Policies that a definition names by the resource: `namespace/name` of a SecurityPolicy becomes the policy's id.

use serde_json::{Map, Value};

use super::Problem;
use crate::api::names;
use crate::diagnostic::Code;
use crate::snapshot::{NamespacedName, Snapshot};

/// The id of a policy. Without its SecurityPolicy it is the one that it would have, and there is something to tell.
pub fn policy_id(snapshot: &Snapshot, name: &NamespacedName) -> (String, Option<String>) {
    match snapshot.security_policies.get(name) {
        Some(policy) => (policy.policy_id(), None),
        None => {
            let message = format!("SecurityPolicy {name} does not exist");
            (names::api_id(&name.namespace, &name.name), Some(message))
        }
    }
}

/// Replaces references by ids. What is no reference is an id already and stays.
///
/// One without its SecurityPolicy gets the id that the policy will have: the gateway refuses tokens that need a policy
/// which it does not know, so nobody is let in meanwhile, and nothing has to wait.
pub(super) fn resolve(
    definition: &mut Map<String, Value>,
    find: impl Fn(&NamespacedName) -> (String, Option<String>),
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut replace = |value: &mut Value, field: String| {
        let Some(name) = value.as_str().and_then(reference) else {
            return;
        };
        let (id, missing) = find(&name);
        problems.extend(missing.map(|message| (Code::PolicyNotFound, format!("spec.{field}"), message)));
        *value = Value::String(id);
    };
    let defaults = definition.get_mut("jwt_default_policies").and_then(Value::as_array_mut);
    for (index, value) in defaults.into_iter().flatten().enumerate() {
        replace(value, format!("jwt_default_policies[{index}]"));
    }
    for path in [
        &["jwt_scope_to_policy_mapping"] as &[&str],
        &["scopes", "jwt", "scope_to_policy"],
        &["scopes", "oidc", "scope_to_policy"],
    ] {
        for (scope, value) in at(definition, path).into_iter().flatten() {
            replace(value, format!("{}.{scope}", path.join(".")));
        }
    }
    let providers = definition
        .get_mut("openid_options")
        .and_then(|options| options.get_mut("providers")?.as_array_mut());
    for (index, provider) in providers.into_iter().flatten().enumerate() {
        let clients = provider.get_mut("client_ids").and_then(Value::as_object_mut);
        for (client, value) in clients.into_iter().flatten() {
            replace(value, format!("openid_options.providers[{index}].client_ids.{client}"));
        }
    }
    problems
}

fn at<'a>(definition: &'a mut Map<String, Value>, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    let (last, way) = path.split_last()?;
    let mut object = definition;
    for part in way {
        object = object.get_mut(*part)?.as_object_mut()?;
    }
    object.get_mut(*last)?.as_object_mut()
}

/// An id holds no slash: it is a file name for the gateway.
fn reference(text: &str) -> Option<NamespacedName> {
    let (namespace, name) = text.split_once('/')?;
    let whole = !namespace.is_empty() && !name.is_empty() && !name.contains('/');
    whole.then(|| NamespacedName::new(namespace, name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn references_become_ids_wherever_they_stand() {
        let definition = json!({
            "jwt_default_policies": ["default/gold", "ZGVmYXVsdC9nb2xk", "gold.tier"],
            "jwt_scope_to_policy_mapping": {"read": "default/gold", "write": "id"},
            "scopes": {"jwt": {"scope_to_policy": {"a": "default/gold"}}, "oidc": {"scope_to_policy": {"b": "default/none"}}},
            "openid_options": {"providers": [{"client_ids": {"YQ==": "default/gold"}}, null]},
        });
        let mut definition = definition.as_object().unwrap().clone();
        let find = |name: &NamespacedName| match name.name.as_ref() {
            "gold" => ("own-id".to_owned(), None),
            _ => (
                "made".to_owned(),
                Some("SecurityPolicy default/none does not exist".to_owned()),
            ),
        };
        let problems = resolve(&mut definition, find);
        assert_eq!(
            json!(definition),
            json!({
                "jwt_default_policies": ["own-id", "ZGVmYXVsdC9nb2xk", "gold.tier"],
                "jwt_scope_to_policy_mapping": {"read": "own-id", "write": "id"},
                "scopes": {"jwt": {"scope_to_policy": {"a": "own-id"}}, "oidc": {"scope_to_policy": {"b": "made"}}},
                "openid_options": {"providers": [{"client_ids": {"YQ==": "own-id"}}, null]},
            })
        );
        assert_eq!(
            problems,
            [(
                Code::PolicyNotFound,
                "spec.scopes.oidc.scope_to_policy.b".to_owned(),
                "SecurityPolicy default/none does not exist".to_owned()
            )]
        );
    }
}
