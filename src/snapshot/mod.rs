//! An immutable view of the world: every object that a translation may look at, in ordered maps.

mod context;
pub mod document;
mod in_order;
mod load;
mod named_secret;
mod stored;
mod stored_definition;
mod stored_ingress;
mod template;
mod tls_secret;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use crate::api::{
    APIDescription, ApiDefinition, OperatorContext, PortalAPICatalogue, PortalConfig, SecurityPolicy, SubGraph,
    SuperGraph, TykMcpProxyDefinition, TykOasApiDefinition, TykStreamsApiDefinition,
};
use crate::diagnostic::{ObjectRef, compare};

pub use context::{ContextProblem, ContextSettings, Place};
pub use in_order::InOrder;
pub use named_secret::NamedSecret;
pub use stored::Stored;
pub use stored_definition::{StoredChild, StoredDefinition};
pub use stored_ingress::StoredIngress;
pub use tls_secret::TlsSecret;

pub use load::{LoadError, Loaded, Loader, Location, manifest_files};

/// Namespace and name of an object; the namespace of a cluster-scoped object is empty. A copy shares its texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamespacedName {
    /// Namespace, empty for a cluster-scoped object.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl NamespacedName {
    /// From its two parts.
    pub fn new(namespace: impl AsRef<str>, name: impl AsRef<str>) -> Self {
        Self {
            namespace: namespace.as_ref().into(),
            name: name.as_ref().into(),
        }
    }

    /// Of an object's metadata, with the texts of these names as far as they have them: then they are compared at once.
    pub fn among<T>(names: &BTreeMap<Self, T>, meta: &ObjectMeta) -> Self {
        let name = Self::of(meta);
        let upto = (Bound::Unbounded, Bound::Included(&name));
        match names.range::<Self, _>(upto).next_back() {
            Some((same, _)) if *same == name => same.clone(),
            Some((before, _)) if before.namespace == name.namespace => Self {
                namespace: Arc::clone(&before.namespace),
                ..name
            },
            _ => name,
        }
    }

    /// Of an object's metadata.
    pub fn of(meta: &ObjectMeta) -> Self {
        Self::new(
            meta.namespace.as_deref().unwrap_or_default(),
            meta.name.as_deref().unwrap_or_default(),
        )
    }

    /// The object of this kind with this name.
    pub fn object(&self, kind: &'static str) -> ObjectRef {
        ObjectRef {
            kind,
            namespace: Arc::clone(&self.namespace),
            name: Arc::clone(&self.name),
        }
    }
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_ref() {
            "" => f.write_str(&self.name),
            namespace => write!(f, "{namespace}/{}", self.name),
        }
    }
}

impl Ord for NamespacedName {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.namespace, &other.namespace).then_with(|| compare(&self.name, &other.name))
    }
}

impl PartialOrd for NamespacedName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Objects of one kind, by name.
pub type Objects<K> = BTreeMap<NamespacedName, <K as SnapshotKind>::Form>;

/// The world at one moment. A copy shares all kinds, until one of the two changes them.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Ingresses of every class.
    pub ingresses: Arc<Objects<Ingress>>,
    /// IngressClasses.
    pub ingress_classes: Arc<Objects<IngressClass>>,
    /// Namespaces; none when only some are watched.
    pub namespaces: Arc<Objects<Namespace>>,
    /// Services.
    pub services: Arc<Objects<Service>>,
    /// EndpointSlices.
    pub endpoint_slices: Arc<Objects<EndpointSlice>>,
    /// Secrets of type `kubernetes.io/tls`.
    pub tls_secrets: Arc<Objects<TlsSecret>>,
    /// Secrets that other objects name. From files there are more of them, but for those of type `kubernetes.io/tls`.
    pub secrets: Arc<Objects<NamedSecret>>,
    /// ApiDefinitions: hand-written ones, templates, and the children of Ingresses as they now stand in the cluster.
    pub api_definitions: Arc<Objects<ApiDefinition>>,
    /// OperatorContexts.
    pub operator_contexts: Arc<Objects<OperatorContext>>,
    /// TykOasApiDefinitions: hand-written ones, templates, and the children of Ingresses.
    pub tyk_oas_api_definitions: Arc<Objects<TykOasApiDefinition>>,
    /// SecurityPolicies.
    pub security_policies: Arc<Objects<SecurityPolicy>>,
    /// TykStreamsApiDefinitions.
    pub tyk_streams_api_definitions: Arc<Objects<TykStreamsApiDefinition>>,
    /// TykMcpProxyDefinitions.
    pub tyk_mcp_proxy_definitions: Arc<Objects<TykMcpProxyDefinition>>,
    /// SubGraphs.
    pub sub_graphs: Arc<Objects<SubGraph>>,
    /// SuperGraphs.
    pub super_graphs: Arc<Objects<SuperGraph>>,
    /// APIDescriptions.
    pub api_descriptions: Arc<Objects<APIDescription>>,
    /// PortalAPICatalogues.
    pub portal_api_catalogues: Arc<Objects<PortalAPICatalogue>>,
    /// PortalConfigs.
    pub portal_configs: Arc<Objects<PortalConfig>>,
    /// ConfigMaps that hold documents of definitions. From files there are more of them.
    pub config_maps: Arc<Objects<ConfigMap>>,
}

/// Whether the metadata says the same, whatever was written or recorded in between.
pub fn same_metadata(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    let compared = |meta: &ObjectMeta| ObjectMeta {
        resource_version: None,
        managed_fields: None,
        ..meta.clone()
    };
    compared(one) == compared(other)
}

/// A kind that a snapshot holds.
pub trait SnapshotKind: ResourceExt + Clone {
    /// `kind` of its manifests.
    const KIND: &'static str;
    /// `apiVersion` that is read.
    const API_VERSION: &'static str;
    /// Whether its objects live in a namespace.
    const NAMESPACED: bool;
    /// How a snapshot keeps its objects.
    type Form: Stored<Object = Self>;

    /// Where a snapshot keeps it.
    fn objects(snapshot: &mut Snapshot) -> &mut Objects<Self>;

    /// Reference for diagnostics.
    fn object_ref(&self) -> ObjectRef {
        ObjectRef::new(Self::KIND, self.namespace().unwrap_or_default(), self.name_any())
    }
}

/// `kind` in manifests of a type of ours.
const fn kind_name(type_name: &'static str) -> &'static str {
    match type_name.as_bytes() {
        b"TlsSecret" | b"NamedSecret" => "Secret",
        _ => type_name,
    }
}

macro_rules! form {
    ($kind:ident) => { Arc<$kind> };
    ($kind:ident $form:ident) => { $form };
}

macro_rules! snapshot_kinds {
    ($($kind:ident $api_version:literal $namespaced:literal $field:ident $($form:ident)?;)*) => {
        $(impl SnapshotKind for $kind {
            const KIND: &'static str = kind_name(stringify!($kind));
            const API_VERSION: &'static str = $api_version;
            const NAMESPACED: bool = $namespaced;
            type Form = form!($kind $($form)?);

            fn objects(snapshot: &mut Snapshot) -> &mut Objects<Self> {
                Arc::make_mut(&mut snapshot.$field)
            }
        })*
    };
}

snapshot_kinds! {
    Ingress "networking.k8s.io/v1" true ingresses StoredIngress;
    IngressClass "networking.k8s.io/v1" false ingress_classes;
    Namespace "v1" false namespaces;
    Service "v1" true services;
    EndpointSlice "discovery.k8s.io/v1" true endpoint_slices;
    TlsSecret "v1" true tls_secrets;
    NamedSecret "v1" true secrets;
    ApiDefinition "tyk.tyk.io/v1alpha1" true api_definitions StoredDefinition;
    OperatorContext "tyk.tyk.io/v1alpha1" true operator_contexts;
    TykOasApiDefinition "tyk.tyk.io/v1alpha1" true tyk_oas_api_definitions;
    SecurityPolicy "tyk.tyk.io/v1alpha1" true security_policies;
    TykStreamsApiDefinition "tyk.tyk.io/v1alpha1" true tyk_streams_api_definitions;
    TykMcpProxyDefinition "tyk.tyk.io/v1alpha1" true tyk_mcp_proxy_definitions;
    SubGraph "tyk.tyk.io/v1alpha1" true sub_graphs;
    SuperGraph "tyk.tyk.io/v1alpha1" true super_graphs;
    APIDescription "tyk.tyk.io/v1alpha1" true api_descriptions;
    PortalAPICatalogue "tyk.tyk.io/v1alpha1" true portal_api_catalogues;
    PortalConfig "tyk.tyk.io/v1alpha1" true portal_configs;
    ConfigMap "v1" true config_maps;
}

impl Snapshot {
    /// Puts an object in, and gives back the one that it replaces.
    pub fn insert<K: SnapshotKind>(&mut self, object: K) -> Option<K::Form> {
        self.keep(Arc::new(object))
    }

    /// The same with an object that may be shared.
    pub fn keep<K: SnapshotKind>(&mut self, object: Arc<K>) -> Option<K::Form> {
        let objects = K::objects(self);
        let name = NamespacedName::among(objects, object.meta());
        let stored = K::Form::of(object, &name);
        objects.insert(name, stored)
    }

    /// Takes an object out.
    pub fn remove<K: SnapshotKind>(&mut self, name: &NamespacedName) -> Option<K::Form> {
        K::objects(self).remove(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(namespace: &str, name: &str) -> ObjectMeta {
        ObjectMeta {
            namespace: Some(namespace.into()),
            name: Some(name.into()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn names_are_in_the_order_of_their_texts_whether_shared_or_not() {
        let [a, b, far] =
            [("ns", "a"), ("ns", "b"), ("z", "a")].map(|(namespace, name)| NamespacedName::new(namespace, name));
        let shared = NamespacedName {
            namespace: Arc::clone(&a.namespace),
            name: "b".into(),
        };
        assert!(a < b && a < shared && b < far && shared < far);
        assert_eq!(b.cmp(&shared), Ordering::Equal);
        assert_eq!(a.cmp(&a.clone()), Ordering::Equal);
        let [one, same] = [&b, &shared].map(|name| name.object("Ingress"));
        assert_eq!(one.cmp(&same), Ordering::Equal);
        assert!(a.object("Ingress") < one && one < a.object("Service") && one < far.object("Ingress"));
    }

    #[test]
    fn a_name_shares_the_texts_of_the_names_that_it_is_among() {
        let known = NamespacedName::new("ns", "b");
        let names = BTreeMap::from([(known.clone(), ())]);
        let among = |namespace, name| NamespacedName::among(&names, &meta(namespace, name));
        let shares = |name: &NamespacedName| {
            let namespace = Arc::ptr_eq(&name.namespace, &known.namespace);
            (namespace, Arc::ptr_eq(&name.name, &known.name))
        };
        assert_eq!(shares(&among("ns", "b")), (true, true));
        assert_eq!(shares(&among("ns", "c")), (true, false));
        for (namespace, name) in [("ns", "b"), ("ns", "c"), ("ns", "a"), ("other", "b"), ("zz", "b")] {
            assert_eq!(among(namespace, name), NamespacedName::new(namespace, name));
        }
    }
}
