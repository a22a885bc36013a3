//! Objects of a review as objects of a snapshot.

use k8s_openapi::api::networking::v1::Ingress;
use kube::api::DynamicObject;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::{
    APIDescription, ApiDefinition, Generated, OperatorContext, PortalAPICatalogue, PortalConfig, SecurityPolicy,
    SubGraph, SuperGraph, TykMcpProxyDefinition, TykOasApiDefinition, TykStreamsApiDefinition, names,
};
use crate::diagnostic::{Code, Diagnostic, ObjectRef};
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind};

/// An object on its way into a snapshot.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Which it is.
    pub reference: ObjectRef,
    /// A snapshot with nothing else in it.
    pub alone: Snapshot,
    put: fn(&Snapshot, &mut Snapshot),
}

impl Subject {
    /// Of an object of a known kind.
    pub fn new<K: SnapshotKind>(object: K) -> Self {
        let reference = SnapshotKind::object_ref(&object);
        let mut alone = Snapshot::default();
        alone.insert(object);
        Self {
            reference,
            alone,
            put: put::<K>,
        }
    }

    /// Name in a snapshot.
    pub fn name(&self) -> NamespacedName {
        NamespacedName::new(&self.reference.namespace, &self.reference.name)
    }

    /// Puts it in, in place of the one that bears its name.
    pub fn put(&self, snapshot: &mut Snapshot) {
        (self.put)(&self.alone, snapshot);
    }
}

fn put<K: SnapshotKind>(alone: &Snapshot, snapshot: &mut Snapshot) {
    let objects = K::objects(&mut alone.clone()).clone();
    K::objects(snapshot).extend(objects);
}

/// What is asked of the kinds that can be generated holds for an object of any.
impl Generated for DynamicObject {
    fn ingress(&self) -> Option<&str> {
        self.metadata.ingress()
    }

    fn operator(&self) -> Option<&str> {
        self.metadata.operator()
    }
}

/// Whether the controller made it out of an Ingress.
pub fn is_generated(object: &DynamicObject) -> bool {
    object.is_child()
}

/// The object with its kind's own type; `None` for a kind that nobody looks at.
///
/// # Errors
/// The finding that it has another shape than its kind; the controller would not see it either.
pub fn read(object: &DynamicObject, namespace: &str) -> Result<Option<Subject>, Diagnostic> {
    let types = object.types.clone().unwrap_or_default();
    let (group, _) = types.api_version.split_once('/').unwrap_or_default();
    macro_rules! kinds {
        ($($kind:ident)*) => {
            match (group, types.kind.as_str()) {
                ("networking.k8s.io", "Ingress") => typed::<Ingress>(object, namespace).map(Some),
                $((names::GROUP, stringify!($kind)) => typed::<$kind>(object, namespace).map(Some),)*
                _ => Ok(None),
            }
        };
    }
    kinds! {
        ApiDefinition OperatorContext TykOasApiDefinition SecurityPolicy TykStreamsApiDefinition TykMcpProxyDefinition
        SubGraph SuperGraph APIDescription PortalAPICatalogue PortalConfig
    }
}

fn typed<K: SnapshotKind + DeserializeOwned>(object: &DynamicObject, namespace: &str) -> Result<Subject, Diagnostic> {
    let name = object.metadata.name.clone().or(object.metadata.generate_name.clone());
    let mut object = object.clone();
    object.metadata.namespace = Some(namespace.to_owned());
    object.metadata.name = name.clone();
    let value = serde_json::to_value(object).unwrap_or(Value::Null);
    match serde_path_to_error::deserialize::<_, K>(value) {
        Ok(object) => Ok(Subject::new(object)),
        Err(error) => {
            // What the error says further holds values, which can be secret.
            let field = error.path().to_string();
            let reference = ObjectRef::new(K::KIND, namespace, name.unwrap_or_default());
            let message = "the value has another type than the field, so the object cannot be read";
            Err(Diagnostic::new(Code::InvalidManifest, reference, field, message))
        }
    }
}
