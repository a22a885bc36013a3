//! What tells the definitions that were generated from Ingresses from those that were written by hand.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::{
    APIDescription, ApiDefinition, OperatorContext, PortalAPICatalogue, PortalConfig, SecurityPolicy, SubGraph,
    SuperGraph, TykMcpProxyDefinition, TykOasApiDefinition, TykStreamsApiDefinition, names,
};

/// What can be a child of an Ingress.
pub trait Generated {
    /// Name of the Ingress that it was generated from, which is of the same namespace; `None` when it is no child.
    fn ingress(&self) -> Option<&str>;

    /// Its label `tyk.io/operator`.
    fn operator(&self) -> Option<&str>;

    /// Whether it was generated from an Ingress. The labels alone do not say so: a user may set them.
    fn is_child(&self) -> bool {
        self.ingress().is_some()
    }

    /// Whether it is a child that another operator than `owner` has made, and which is that one's to change.
    fn is_of_another(&self, owner: &str) -> bool {
        let operator = self.operator();
        self.is_child() && operator.is_some_and(|operator| *operator != names::label_value(owner))
    }
}

impl Generated for ObjectMeta {
    fn ingress(&self) -> Option<&str> {
        let is_ingress = |owner: &&OwnerReference| owner.kind == "Ingress" && owner.controller == Some(true);
        let owner = self.owner_references.iter().flatten().find(is_ingress)?;
        label(self, names::LABEL_INGRESS).map(|_| owner.name.as_str())
    }

    fn operator(&self) -> Option<&str> {
        label(self, names::LABEL_OPERATOR)
    }
}

fn label<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    meta.labels.as_ref()?.get(name).map(String::as_str)
}

impl<T: Generated> Generated for Arc<T> {
    fn ingress(&self) -> Option<&str> {
        self.as_ref().ingress()
    }

    fn operator(&self) -> Option<&str> {
        self.as_ref().operator()
    }
}

/// Metadata of a child of the Ingress with this namespace, name and uid: name, labels and owner, if the Ingress ever was in
/// a cluster.
pub fn child_metadata(ingress: (&str, &str, Option<&str>), hash: &str, operator: &str) -> ObjectMeta {
    let (namespace, name, uid) = ingress;
    let labels = [
        (names::LABEL_INGRESS, names::label_value(name)),
        (names::LABEL_APIDEFINITION, hash.to_owned()),
        (names::LABEL_OPERATOR, operator.to_owned()),
    ];
    let owner = uid.map(|uid| OwnerReference {
        api_version: "networking.k8s.io/v1".into(),
        kind: "Ingress".into(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    });
    ObjectMeta {
        name: Some(names::child_name(namespace, name, hash)),
        namespace: Some(namespace.to_owned()),
        labels: Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        owner_references: owner.map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

macro_rules! generated {
    ($($kind:ident)*) => {
        $(impl Generated for $kind {
            fn ingress(&self) -> Option<&str> {
                self.metadata.ingress()
            }

            fn operator(&self) -> Option<&str> {
                self.metadata.operator()
            }
        })*
    };
}

generated! {
    ApiDefinition TykOasApiDefinition TykStreamsApiDefinition TykMcpProxyDefinition SecurityPolicy SubGraph SuperGraph
    OperatorContext APIDescription PortalAPICatalogue PortalConfig
}
