//! What tells the definitions that were generated from Ingresses from those that were written by hand.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;

use super::{
    APIDescription, ApiDefinition, OperatorContext, PortalAPICatalogue, PortalConfig, SecurityPolicy, SubGraph,
    SuperGraph, TykMcpProxyDefinition, TykOasApiDefinition, TykStreamsApiDefinition, names,
};

/// A kind whose objects can be children of Ingresses.
pub trait Generated: ResourceExt {
    /// Whether it was generated from an Ingress. The labels alone do not say so: a user may set them.
    fn is_child(&self) -> bool {
        self.ingress().is_some()
    }

    /// Name of the Ingress that it was generated from, which is of the same namespace; `None` when it is no child.
    fn ingress(&self) -> Option<&str> {
        let is_ingress = |owner: &&OwnerReference| owner.kind == "Ingress" && owner.controller == Some(true);
        let owner = self.owner_references().iter().find(is_ingress)?;
        let labelled = self.labels().contains_key(names::LABEL_INGRESS);
        labelled.then_some(owner.name.as_str())
    }

    /// Whether it is a child that another operator than `owner` has made, and which is that one's to change.
    fn is_of_another(&self, owner: &str) -> bool {
        let operator = self.labels().get(names::LABEL_OPERATOR);
        self.is_child() && operator.is_some_and(|operator| *operator != names::label_value(owner))
    }
}

macro_rules! generated {
    ($($kind:ident)*) => {
        $(impl Generated for $kind {})*
    };
}

generated! {
    ApiDefinition TykOasApiDefinition TykStreamsApiDefinition TykMcpProxyDefinition SecurityPolicy SubGraph SuperGraph
    OperatorContext APIDescription PortalAPICatalogue PortalConfig
}
