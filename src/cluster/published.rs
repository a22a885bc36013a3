//! What the kinds that become APIs on Tyk have in common for the cluster.

use kube::core::NamespaceResourceScope;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::{ApiDefinition, Generated, TykOasApiDefinition, names};
use crate::snapshot::{Objects, Snapshot, SnapshotKind};

/// A kind whose objects are published to Tyk and can be children of Ingresses.
pub trait Published:
    kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + SnapshotKind
    + Generated
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

    /// Whether it is a template of Ingresses.
    fn is_template(&self) -> bool;
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
