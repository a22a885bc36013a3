//! What is kept of the kinds of which only a part is read, and which of their changes count.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::ResourceExt;

use super::store::Watched;
use crate::snapshot::{NamedSecret, Snapshot, TlsSecret, same_metadata};

/// Annotation of Ingresses whose requests go to endpoints, and its value.
const UPSTREAM_ENDPOINTS: (&str, &str) = ("tyk.io/upstream", "endpoints");

impl Watched for Ingress {
    fn same(&self, other: &Self) -> bool {
        self.spec == other.spec && same_metadata(&self.metadata, &other.metadata)
    }

    /// Who has a hand in the status stays: it says whether an address there is ours to take away.
    fn slim(&mut self) {
        let Some(fields) = &mut self.metadata.managed_fields else {
            return;
        };
        fields.retain(|entry| entry.subresource.as_deref() == Some("status"));
        for entry in fields {
            *entry = ManagedFieldsEntry {
                manager: entry.manager.take(),
                ..ManagedFieldsEntry::default()
            };
        }
    }
}

impl Watched for TlsSecret {
    fn same(&self, other: &Self) -> bool {
        self.certificate() == other.certificate()
            && self.private_key() == other.private_key()
            && same_metadata(&self.metadata, &other.metadata)
    }
}

impl Watched for NamedSecret {
    fn same(&self, other: &Self) -> bool {
        self.same_data(other)
    }

    fn slim(&mut self) {
        self.metadata = bare(&self.metadata);
    }
}

impl Watched for Namespace {
    fn same(&self, other: &Self) -> bool {
        let compared = |meta: &ObjectMeta| (meta.uid.clone(), meta.deletion_timestamp.clone(), meta.labels.clone());
        compared(&self.metadata) == compared(&other.metadata)
    }

    /// Contexts choose namespaces by their labels.
    fn slim(&mut self) {
        let labels = self.metadata.labels.take();
        self.metadata = bare(&self.metadata);
        self.metadata.labels = labels;
        self.spec = None;
        self.status = None;
    }
}

impl Watched for EndpointSlice {
    fn same(&self, other: &Self) -> bool {
        self.address_type == other.address_type
            && self.endpoints == other.endpoints
            && self.ports == other.ports
            && self.metadata.labels == other.metadata.labels
    }

    fn slim(&mut self) {
        let labels = self.metadata.labels.take();
        self.metadata = bare(&self.metadata);
        self.metadata.labels = labels.map(|mut labels| {
            labels.retain(|name, _| name == SERVICE_NAME);
            labels
        });
        for endpoint in &mut self.endpoints {
            endpoint.deprecated_topology = None;
            endpoint.hints = None;
            endpoint.node_name = None;
            endpoint.target_ref = None;
            endpoint.zone = None;
        }
    }

    /// Pods come and go all the time; most Ingresses name the Service's own address and do not mind.
    fn is_used(&self, world: &Snapshot) -> bool {
        let (annotation, value) = UPSTREAM_ENDPOINTS;
        let namespace = self.namespace().unwrap_or_default();
        world
            .ingresses
            .iter()
            .any(|(name, ingress)| *name.namespace == *namespace && ingress.annotation(annotation) == Some(value))
    }
}

/// Label of an EndpointSlice: the Service that it belongs to.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// What every object is known by.
fn bare(meta: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        deletion_timestamp: meta.deletion_timestamp.clone(),
        ..ObjectMeta::default()
    }
}
