//! How a snapshot keeps an Ingress. There are thousands, each of which is read as a whole when it changes, and otherwise
//! only for its class, its hosts, its annotations and its age.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{Ingress, IngressSpec, IngressStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::{NamespacedName, SnapshotKind, Stored, same_metadata};
use crate::diagnostic::ObjectRef;
use crate::packed::PackedAs;

/// An Ingress in a snapshot.
#[derive(Clone, PartialEq)]
pub struct StoredIngress(Arc<Kept>);

/// Names and values, in the order of names.
type Texts = Box<[(Box<str>, Box<str>)]>;

#[derive(PartialEq)]
struct Kept {
    name: NamespacedName,
    uid: Option<Box<str>>,
    created: Option<Time>,
    is_leaving: bool,
    class: Option<Box<str>>,
    hosts: Box<[Box<str>]>,
    annotations: Option<Texts>,
    /// Who has a hand in the status, one by line.
    status_managers: Box<str>,
    /// The rest of the metadata.
    metadata: PackedAs<ObjectMeta>,
    spec: Option<PackedAs<IngressSpec>>,
    status: Option<PackedAs<IngressStatus>>,
}

impl Kept {
    fn of(ingress: &Ingress, name: &NamespacedName) -> Self {
        let Ingress { metadata, spec, status } = ingress;
        let annotations = metadata.annotations.as_ref().map(|annotations| {
            let all = annotations.iter();
            all.map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                .collect()
        });
        Self {
            name: name.clone(),
            uid: metadata.uid.as_deref().map(Into::into),
            created: metadata.creation_timestamp.clone(),
            is_leaving: metadata.deletion_timestamp.is_some(),
            class: spec
                .iter()
                .find_map(|spec| spec.ingress_class_name.as_deref())
                .map(Into::into),
            hosts: spec.iter().flat_map(hosts).map(Into::into).collect(),
            annotations,
            status_managers: status_managers(metadata).into(),
            metadata: PackedAs::of(&ObjectMeta {
                name: None,
                namespace: None,
                uid: None,
                creation_timestamp: None,
                annotations: None,
                ..metadata.clone()
            }),
            spec: spec.as_ref().map(PackedAs::of),
            status: status.as_ref().map(PackedAs::of),
        }
    }

    fn metadata(&self) -> ObjectMeta {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let annotations = self.annotations.as_ref().map(|annotations| {
            let all = annotations.iter();
            all.map(|(name, value)| (name.to_string(), value.to_string())).collect()
        });
        ObjectMeta {
            name: text(&self.name.name),
            namespace: text(&self.name.namespace),
            uid: self.uid.as_deref().map(str::to_owned),
            creation_timestamp: self.created.clone(),
            annotations,
            ..self.metadata.read()
        }
    }
}

fn hosts(spec: &IngressSpec) -> impl Iterator<Item = &str> {
    let rules = spec.rules.iter().flatten();
    let of_rules = rules.map(|rule| rule.host.as_deref().unwrap_or_default());
    of_rules.chain(spec.default_backend.as_ref().map(|_| ""))
}

fn status_managers(metadata: &ObjectMeta) -> String {
    let entries = metadata.managed_fields.iter().flatten();
    let managers = entries.filter_map(|entry| entry.manager.as_deref());
    managers.collect::<Vec<_>>().join("\n")
}

impl StoredIngress {
    /// Namespace and name.
    pub fn name(&self) -> &NamespacedName {
        &self.0.name
    }

    /// Reference for diagnostics.
    pub fn object_ref(&self) -> ObjectRef {
        self.0.name.object(Ingress::KIND)
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> Option<&str> {
        self.0.uid.as_deref()
    }

    /// `metadata.creationTimestamp`.
    pub fn created(&self) -> Option<Timestamp> {
        self.0.created.as_ref().map(|time| time.0)
    }

    /// `spec.ingressClassName`.
    pub fn class(&self) -> Option<&str> {
        self.0.class.as_deref()
    }

    /// Hosts of the rules, and the empty text for all hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.0.hosts.iter().map(AsRef::as_ref)
    }

    /// All annotations, by name.
    pub fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.annotations.iter().flatten();
        all.map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// The annotation of this name.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// What is asked for.
    pub fn spec(&self) -> Option<IngressSpec> {
        self.0.spec.as_ref().map(PackedAs::read)
    }

    /// Field managers that have a hand in the status.
    pub fn status_managers(&self) -> impl Iterator<Item = &str> {
        self.0.status_managers.lines()
    }

    /// What was written to it.
    pub fn status(&self) -> Option<&PackedAs<IngressStatus>> {
        self.0.status.as_ref()
    }

    /// Whether two objects of an Ingress differ in nothing but their status.
    pub fn asks_the_same(&self, other: &Self) -> bool {
        self.0.spec == other.0.spec && same_metadata(&self.0.metadata(), &other.0.metadata())
    }
}

impl fmt::Debug for StoredIngress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.object_ref())
    }
}

impl From<Ingress> for StoredIngress {
    fn from(ingress: Ingress) -> Self {
        let name = NamespacedName::of(&ingress.metadata);
        Self::of(Arc::new(ingress), &name)
    }
}

impl Stored for StoredIngress {
    type Object = Ingress;

    fn of(object: Arc<Ingress>, name: &NamespacedName) -> Self {
        Self(Arc::new(Kept::of(&object, name)))
    }

    fn whole(&self) -> Arc<Ingress> {
        Arc::new(Ingress {
            metadata: self.0.metadata(),
            spec: self.spec(),
            status: self.status().map(PackedAs::read),
        })
    }

    fn as_whole(&self) -> Option<&Arc<Ingress>> {
        None
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn held(&self) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(&self.0) as Arc<dyn Any + Send + Sync>
    }

    fn is_leaving(&self) -> bool {
        self.0.is_leaving
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn ingress(edit: impl FnOnce(&mut Value)) -> Ingress {
        let mut object = json!({
            "metadata": {
                "namespace": "ns", "name": "web", "uid": "u", "resourceVersion": "7", "generation": 2,
                "creationTimestamp": "2024-05-06T07:08:09Z", "annotations": {"b": "2", "a": "1"}, "labels": {"l": "v"},
                "managedFields": [{"manager": "one"}, {"manager": "two"}],
            },
            "spec": {
                "ingressClassName": "tyk", "tls": [{"hosts": ["a.example"], "secretName": "s"}],
                "rules": [{"host": "a.example", "http": {"paths": [{"path": "/a", "pathType": "Prefix",
                    "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}],
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
        });
        edit(&mut object);
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn whatever_it_has_it_is_the_same_object() {
        let none = |field: &'static str| move |object: &mut Value| object[field] = Value::Null;
        for ingress in [
            Ingress::default(),
            ingress(|_| ()),
            ingress(none("metadata")),
            ingress(none("spec")),
            ingress(none("status")),
            ingress(|object| object["metadata"]["annotations"] = json!({})),
            ingress(|object| object["metadata"]["labels"] = json!({})),
            ingress(|object| object["metadata"]["finalizers"] = json!(["x"])),
            ingress(|object| object["metadata"]["deletionTimestamp"] = json!("2024-05-06T07:08:09Z")),
            ingress(|object| object["spec"]["rules"] = json!([])),
        ] {
            assert_eq!(*StoredIngress::from(ingress.clone()).whole(), ingress);
        }
    }

    #[test]
    fn what_is_often_asked_for_is_said_at_once() {
        let stored = StoredIngress::from(ingress(|_| ()));
        assert_eq!(stored.object_ref(), ObjectRef::new("Ingress", "ns", "web"));
        assert_eq!((stored.uid(), stored.class()), (Some("u"), Some("tyk")));
        assert_eq!(stored.hosts().collect::<Vec<_>>(), ["a.example"]);
        assert_eq!(stored.annotations().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!((stored.annotation("b"), stored.annotation("c")), (Some("2"), None));
        assert_eq!(stored.status_managers().collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(stored.created().unwrap().to_string(), "2024-05-06T07:08:09Z");
        assert!(!stored.is_leaving() && !stored.has_finalizer(&["x"]));
        let leaving = StoredIngress::from(ingress(|object| {
            object["metadata"]["deletionTimestamp"] = json!("2024-05-06T07:08:09Z");
            object["metadata"]["finalizers"] = json!(["x"]);
        }));
        assert!(leaving.is_leaving() && leaving.has_finalizer(&["y", "x"]));
        let any = StoredIngress::from(ingress(|object| {
            object["spec"]["rules"] = json!([{}, {"host": "b.example"}]);
            object["spec"]["defaultBackend"] = json!({"service": {"name": "web"}});
        }));
        assert_eq!(any.hosts().collect::<Vec<_>>(), ["", "b.example", ""]);
        let bare = StoredIngress::from(Ingress::default());
        assert_eq!(bare.hosts().count(), 0);
        assert_eq!((bare.uid(), bare.class(), bare.created()), (None, None, None));
        assert_eq!(
            bare.annotations()
                .chain(bare.status_managers().map(|one| (one, "")))
                .count(),
            0
        );
    }

    #[test]
    fn a_status_and_its_traces_ask_for_nothing() {
        let before = StoredIngress::from(ingress(|_| ()));
        let asks_the_same = |path: &str, value: Value| {
            let edited = ingress(|object| *object.pointer_mut(path).unwrap() = value);
            before.asks_the_same(&edited.into())
        };
        assert!(asks_the_same("/status", Value::Null));
        assert!(asks_the_same("/metadata/resourceVersion", json!("8")));
        assert!(asks_the_same("/metadata/managedFields", json!([])));
        for path in [
            "/metadata/uid",
            "/metadata/annotations/a",
            "/metadata/labels/l",
            "/spec/ingressClassName",
        ] {
            assert!(!asks_the_same(path, json!("other")), "{path}");
        }
    }
}
