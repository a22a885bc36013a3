//! What the kinds that become APIs on Tyk have in common for the cluster.

use kube::core::NamespaceResourceScope;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::{ApiDefinition, TykOasApiDefinition, names};
use crate::snapshot::{Objects, Snapshot, SnapshotKind};

/// A kind whose objects are published to Tyk and can be children of Ingresses.
pub trait Published:
    kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + SnapshotKind
    + Serialize
    + DeserializeOwned
    + std::fmt::Debug
    + PartialEq
    + Send
    + Sync
    + 'static
{
    /// The finalizer of an object that Tyk may hold.
    const FINALIZER: &'static str;

    /// Its spec.
    type Spec: Serialize + PartialEq;

    /// All of them.
    fn all(snapshot: &Snapshot) -> &Objects<Self>;

    /// What is asked for.
    fn spec(&self) -> &Self::Spec;

    /// Drops the status.
    fn clear_status(&mut self);

    /// Whether it was generated from an Ingress.
    fn is_child(&self) -> bool;

    /// Whether it is a template of Ingresses.
    fn is_template(&self) -> bool;

    /// Name of the Ingress that it was generated from, which is of the same namespace; `None` when it is no child.
    fn ingress(&self) -> Option<&str> {
        let mut owners = self.owner_references().iter().filter(|_| self.is_child());
        let owner = owners.find(|owner| owner.kind == "Ingress" && owner.controller == Some(true));
        owner.map(|owner| owner.name.as_str())
    }

    /// Whether it is a child that another operator than `owner` has made, and which is that one's to change.
    fn is_of_another(&self, owner: &str) -> bool {
        let operator = self.labels().get(names::LABEL_OPERATOR);
        self.is_child() && operator.is_some_and(|operator| *operator != names::label_value(owner))
    }
}

macro_rules! published {
    ($($kind:ident $spec:ident $field:ident $finalizer:ident;)*) => {
        $(impl Published for $kind {
            const FINALIZER: &'static str = names::$finalizer;

            type Spec = crate::api::$spec;

            fn all(snapshot: &Snapshot) -> &Objects<Self> {
                &snapshot.$field
            }

            fn spec(&self) -> &Self::Spec {
                &self.spec
            }

            fn clear_status(&mut self) {
                self.status = None;
            }

            fn is_child(&self) -> bool {
                $kind::is_child(self)
            }

            fn is_template(&self) -> bool {
                $kind::is_template(self)
            }
        })*
    };
}

published! {
    ApiDefinition ApiDefinitionSpec api_definitions FINALIZER_API_DEFINITION;
    TykOasApiDefinition TykOasApiDefinitionSpec tyk_oas_api_definitions FINALIZER_OAS_API_DEFINITION;
}
