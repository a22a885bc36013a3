//! How a snapshot keeps an ApiDefinition. There are thousands of children, of whose metadata most is known beforehand: as
//! Kubernetes' types it takes four times as much as what is left of it.

use std::any::Any;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::{NamespacedName, Stored};
use crate::api::{self, ApiDefinition, ApiDefinitionSpec, Generated, names};
use crate::packed::Packed;

/// An ApiDefinition in a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredDefinition {
    /// As it is, and [`ApiDefinitionSpec::may_name_others`] of it, for which nothing has to be unpacked each time.
    Whole(Arc<ApiDefinition>, bool),
    /// A child with nothing in its metadata but what this program and the API server write: no template, with our finalizer,
    /// not being deleted.
    Child(Arc<StoredChild>),
}

/// What differs from child to child.
#[derive(Debug, PartialEq)]
pub struct StoredChild {
    name: NamespacedName,
    uid: Box<str>,
    resource_version: Box<str>,
    generation: i64,
    created: Time,
    ingress: Box<str>,
    ingress_uid: Box<str>,
    operator: Box<str>,
    spec: ApiDefinitionSpec,
    may_name_others: bool,
    status: Option<Packed>,
}

impl StoredChild {
    /// `None` for an object that could not be made anew from it.
    fn of(object: &ApiDefinition, name: &NamespacedName) -> Option<Self> {
        let meta = &object.metadata;
        let owner = meta.owner_references.as_ref()?.first()?;
        let child = Self {
            name: name.clone(),
            uid: meta.uid.as_deref()?.into(),
            resource_version: meta.resource_version.as_deref()?.into(),
            generation: meta.generation?,
            created: meta.creation_timestamp.clone()?,
            ingress: owner.name.as_str().into(),
            ingress_uid: owner.uid.as_str().into(),
            operator: meta.labels.as_ref()?.get(names::LABEL_OPERATOR)?.as_str().into(),
            spec: object.spec.clone(),
            may_name_others: object.spec.may_name_others(),
            status: object.status.clone(),
        };
        (child.metadata() == *meta).then_some(child)
    }

    fn metadata(&self) -> ObjectMeta {
        let Self {
            ingress, ingress_uid, ..
        } = self;
        let owner = (&*self.name.namespace, &**ingress, Some(&**ingress_uid));
        ObjectMeta {
            uid: Some(self.uid.to_string()),
            resource_version: Some(self.resource_version.to_string()),
            generation: Some(self.generation),
            creation_timestamp: Some(self.created.clone()),
            finalizers: Some(vec![names::FINALIZER_API_DEFINITION.to_owned()]),
            ..api::child_metadata(owner, self.hash(), &self.operator)
        }
    }

    /// Whether it is what this Ingress, by name and uid, and this operator would have under its name now.
    pub fn is_made_of(&self, ingress: (&str, Option<&str>), operator: &str, spec: &ApiDefinitionSpec) -> bool {
        (&*self.ingress, Some(&*self.ingress_uid)) == ingress && *self.operator == *operator && self.spec == *spec
    }

    /// Hash with which its name ends.
    fn hash(&self) -> &str {
        self.name.name.rsplit('-').next().unwrap_or_default()
    }
}

impl StoredDefinition {
    /// What is asked for.
    pub fn spec(&self) -> &ApiDefinitionSpec {
        match self {
            Self::Whole(object, _) => &object.spec,
            Self::Child(child) => &child.spec,
        }
    }

    /// [`ApiDefinitionSpec::may_name_others`].
    pub fn may_name_others(&self) -> bool {
        match self {
            Self::Whole(_, may_name_others) => *may_name_others,
            Self::Child(child) => child.may_name_others,
        }
    }

    /// What was found.
    pub fn status(&self) -> &Option<Packed> {
        match self {
            Self::Whole(object, _) => &object.status,
            Self::Child(child) => &child.status,
        }
    }

    /// [`ApiDefinition::is_template`].
    pub fn is_template(&self) -> bool {
        self.as_whole().is_some_and(|object| object.is_template())
    }
}

impl Generated for StoredDefinition {
    fn ingress(&self) -> Option<&str> {
        match self {
            Self::Whole(object, _) => object.ingress(),
            Self::Child(child) => Some(&child.ingress),
        }
    }

    fn operator(&self) -> Option<&str> {
        match self {
            Self::Whole(object, _) => object.operator(),
            Self::Child(child) => Some(&child.operator),
        }
    }
}

impl Stored for StoredDefinition {
    type Object = ApiDefinition;

    fn of(object: Arc<ApiDefinition>, name: &NamespacedName) -> Self {
        match StoredChild::of(&object, name) {
            Some(child) => Self::Child(Arc::new(child)),
            None => {
                let may_name_others = object.spec.may_name_others();
                Self::Whole(object, may_name_others)
            }
        }
    }

    fn whole(&self) -> Arc<ApiDefinition> {
        match self {
            Self::Whole(object, _) => Arc::clone(object),
            Self::Child(child) => Arc::new(ApiDefinition {
                metadata: child.metadata(),
                spec: child.spec.clone(),
                status: child.status.clone(),
            }),
        }
    }

    fn as_whole(&self) -> Option<&Arc<ApiDefinition>> {
        match self {
            Self::Whole(object, _) => Some(object),
            Self::Child(_) => None,
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole(one, _), Self::Whole(other, _)) => Arc::ptr_eq(one, other),
            (Self::Child(one), Self::Child(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    fn held(&self) -> Arc<dyn Any + Send + Sync> {
        match self {
            Self::Whole(object, _) => Arc::clone(object) as Arc<dyn Any + Send + Sync>,
            Self::Child(child) => Arc::clone(child) as Arc<dyn Any + Send + Sync>,
        }
    }

    fn generation(&self) -> Option<i64> {
        match self {
            Self::Whole(object, _) => object.generation(),
            Self::Child(child) => Some(child.generation),
        }
    }

    fn has_finalizer(&self, finalizers: &[&str]) -> bool {
        match self {
            Self::Whole(object, _) => object.has_finalizer(finalizers),
            Self::Child(_) => finalizers.contains(&names::FINALIZER_API_DEFINITION),
        }
    }

    fn is_leaving(&self) -> bool {
        self.as_whole().is_some_and(Stored::is_leaving)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;
    use crate::snapshot::SnapshotKind;

    /// A child as the cluster has it.
    fn child(edit: impl FnOnce(&mut Value)) -> Arc<ApiDefinition> {
        let mut object = json!({
            "metadata": {
                "namespace": "ns", "name": "ns-web-123456789", "uid": "uid-a", "resourceVersion": "7", "generation": 2,
                "creationTimestamp": "2024-05-06T07:08:09Z", "finalizers": [names::FINALIZER_API_DEFINITION],
                "labels": {
                    names::LABEL_INGRESS: "web", names::LABEL_OPERATOR: "east", names::LABEL_APIDEFINITION: "123456789",
                },
                "ownerReferences": [{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web", "uid": "u",
                    "controller": true, "blockOwnerDeletion": true}],
            },
            "spec": {"contextRef": {"name": "c"}, "name": "a"},
            "status": {"api_id": "x"},
        });
        edit(&mut object);
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn stored(object: &Arc<ApiDefinition>) -> StoredDefinition {
        StoredDefinition::of(Arc::clone(object), &NamespacedName::of(&object.metadata))
    }

    fn is_short(object: &Arc<ApiDefinition>) -> bool {
        let stored = stored(object);
        assert_eq!(stored.whole(), *object);
        let same = StoredDefinition::Whole(Arc::clone(object), object.spec.may_name_others());
        let facts = |stored: &StoredDefinition| {
            let finalizers = [names::FINALIZER_API_DEFINITION, names::FINALIZER_TEMPLATE];
            let told = (
                stored.spec().clone(),
                stored.status().clone(),
                stored.generation(),
                stored.may_name_others(),
            );
            let family = [stored.ingress(), stored.operator()].map(|text| text.map(str::to_owned));
            let others = ["east", "west"].map(|owner| stored.is_of_another(owner));
            let kept = finalizers.map(|finalizer| stored.has_finalizer(&[finalizer]));
            (
                told,
                family,
                others,
                kept,
                [stored.is_leaving(), stored.is_template(), stored.is_child()],
            )
        };
        assert_eq!(facts(&stored), facts(&same));
        stored.as_whole().is_none()
    }

    #[test]
    fn a_child_kept_short_is_the_same_object() {
        assert!(is_short(&child(|_| ())));
        assert!(is_short(&child(|object| object["status"] = Value::Null)));
    }

    #[test]
    fn what_has_anything_else_is_kept_whole() {
        for (what, path, value) in [
            ("a template", "/metadata/labels/template", json!("true")),
            (
                "in deletion",
                "/metadata/deletionTimestamp",
                json!("2024-05-06T07:08:09Z"),
            ),
            ("another finalizer", "/metadata/finalizers/1", json!("x")),
            ("no finalizer", "/metadata/finalizers", json!([])),
            ("annotations", "/metadata/annotations", json!({"a": "b"})),
            ("another label", "/metadata/labels/a", json!("b")),
            ("another owner", "/metadata/ownerReferences/0/kind", json!("Service")),
            ("no owner", "/metadata/ownerReferences", Value::Null),
            ("another hash", "/metadata/labels/tyk.io~1apidefinition", json!("1")),
            ("no operator", "/metadata/labels/tyk.io~1operator", Value::Null),
            ("another name", "/metadata/name", json!("web-123456789")),
            ("no uid", "/metadata/uid", Value::Null),
        ] {
            let object = child(|object| {
                let (parent, field) = path.rsplit_once('/').unwrap();
                let field = field.replace("~1", "/");
                match object.pointer_mut(parent).unwrap() {
                    Value::Array(items) => items.push(value),
                    fields if value.is_null() => drop(fields.as_object_mut().unwrap().remove(&field)),
                    fields => fields[field] = value,
                }
            });
            assert!(!is_short(&object), "{what}");
        }
    }

    #[test]
    fn a_child_is_made_of_all_that_it_depends_on() {
        let object = child(|_| ());
        let StoredDefinition::Child(child) = stored(&object) else {
            panic!()
        };
        let (spec, other) = (&object.spec, ApiDefinitionSpec::default());
        assert!(child.is_made_of(("web", Some("u")), "east", spec));
        for (ingress, operator, spec) in [
            (("other", Some("u")), "east", spec),
            (("web", Some("v")), "east", spec),
            (("web", None), "east", spec),
            (("web", Some("u")), "west", spec),
            (("web", Some("u")), "east", &other),
        ] {
            assert!(!child.is_made_of(ingress, operator, spec), "{ingress:?} {operator}");
        }
    }

    #[test]
    fn only_the_very_same_is_the_same() {
        let (object, equal) = (child(|_| ()), child(|_| ()));
        let template = child(|object| object["metadata"]["labels"]["template"] = json!("true"));
        let [one, same, other] = [stored(&object), stored(&equal), stored(&template)];
        assert!(one.is(&one.clone()) && other.is(&other.clone()));
        assert!(!one.is(&same) && !one.is(&other));
        let mut snapshot = crate::snapshot::Snapshot::default();
        snapshot.keep(object);
        let name = NamespacedName::new("ns", "ns-web-123456789");
        let kept = ApiDefinition::objects(&mut snapshot)[&name].clone();
        assert!(kept.is(&snapshot.api_definitions[&name]) && kept == one);
    }
}
