//! Which Ingresses use a template.

use super::{NamespacedName, Snapshot, SnapshotKind, Stored, StoredIngress};
use crate::api::names;

impl Snapshot {
    /// Names of the Ingresses that use `template`, an object of kind `K`: those of its namespace whose annotation
    /// `tyk.io/template` names it, of any class, as Tyk Operator counts them. One that is being deleted does not count,
    /// so that the end of a namespace does not wait for itself.
    pub fn users_of_template<K: SnapshotKind>(&self, template: &K) -> Vec<&str> {
        let namespace = template.namespace().unwrap_or_default();
        if self.is_ending(&namespace) {
            return Vec::new();
        }
        let users = self.ingresses.iter().filter(|(name, ingress)| {
            *name.namespace == *namespace
                && !ingress.is_leaving()
                && template_of(ingress) == Some((K::KIND, template.name_any().as_str()))
        });
        users.map(|(name, _)| name.name.as_ref()).collect()
    }

    fn is_ending(&self, namespace: &str) -> bool {
        let found = self.namespaces.get(&NamespacedName::new("", namespace));
        found.is_some_and(|found| found.metadata.deletion_timestamp.is_some())
    }
}

/// Kind and name of an Ingress's template.
fn template_of(ingress: &StoredIngress) -> Option<(&str, &str)> {
    let kind = ingress.annotation(names::ANNOTATION_TEMPLATE_KIND);
    let name = ingress.annotation(names::ANNOTATION_TEMPLATE)?;
    Some((kind.unwrap_or("ApiDefinition"), name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use k8s_openapi::api::networking::v1::Ingress;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{ApiDefinition, ApiDefinitionSpec};

    fn ingress(name: &str, namespace: &str, annotations: Value, ending: bool) -> Ingress {
        let mut object = json!({"metadata": {"name": name, "namespace": namespace, "annotations": annotations}});
        if ending {
            object["metadata"]["deletionTimestamp"] = json!("2024-05-06T07:08:09Z");
        }
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn live_ingresses_of_the_namespace_that_name_it_are_users() {
        let named = || json!({"tyk.io/template": "t"});
        let mut snapshot = Snapshot::default();
        snapshot.insert(ingress("b", "ns", named(), false));
        let explicit = json!({"tyk.io/template": "t", "tyk.io/template-kind": "ApiDefinition"});
        snapshot.insert(ingress("a", "ns", explicit, false));
        snapshot.insert(ingress("other", "ns", json!({"tyk.io/template": "x"}), false));
        let oas = json!({"tyk.io/template": "t", "tyk.io/template-kind": "TykOasApiDefinition"});
        snapshot.insert(ingress("oas", "ns", oas, false));
        snapshot.insert(ingress("far", "else", named(), false));
        snapshot.insert(ingress("ending", "ns", named(), true));
        let mut template = ApiDefinition::new("t", ApiDefinitionSpec::default());
        template.metadata.namespace = Some("ns".into());
        assert_eq!(snapshot.users_of_template(&template), ["a", "b"]);
        let namespace = json!({"metadata": {"name": "ns", "deletionTimestamp": "2024-05-06T07:08:09Z"}});
        snapshot.insert(serde_json::from_value::<k8s_openapi::api::core::v1::Namespace>(namespace).unwrap());
        assert!(snapshot.users_of_template(&template).is_empty());
    }
}
