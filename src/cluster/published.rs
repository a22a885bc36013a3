//! What the kinds that a finalizer of ours keeps have in common for the cluster.

use kube::core::NamespaceResourceScope;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::{
    APIDescription, ApiDefinition, Generated, OperatorContext, PortalAPICatalogue, PortalConfig, SecurityPolicy,
    SubGraph, SuperGraph, TykMcpProxyDefinition, TykOasApiDefinition, TykStreamsApiDefinition, names,
};
use crate::snapshot::{Objects, Snapshot, SnapshotKind};

/// A kind whose objects Tyk may hold something of, so that a finalizer keeps them.
pub trait Published:
    kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + SnapshotKind<Form: Generated>
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

    /// All of them.
    fn all(snapshot: &Snapshot) -> &Objects<Self>;

    /// What is asked for.
    fn spec(&self) -> impl Serialize + PartialEq + '_;

    /// Drops the status.
    fn clear_status(&mut self);

    /// Whether it is a template of Ingresses.
    fn is_template(&self) -> bool;
}

/// Expands `$with!` with the kinds, each with the field of a snapshot, its finalizer and whether it is a template.
macro_rules! with_published {
    ($with:ident) => {
        $with! {
            ApiDefinition api_definitions FINALIZER_API_DEFINITION ApiDefinition::is_template;
            TykOasApiDefinition tyk_oas_api_definitions FINALIZER_OAS_API_DEFINITION TykOasApiDefinition::is_template;
            TykStreamsApiDefinition tyk_streams_api_definitions FINALIZER_STREAMS_API_DEFINITION never;
            TykMcpProxyDefinition tyk_mcp_proxy_definitions FINALIZER_MCP_PROXY_DEFINITION never;
            SecurityPolicy security_policies FINALIZER_SECURITY_POLICY never;
            SubGraph sub_graphs FINALIZER_SUB_GRAPH never;
            SuperGraph super_graphs FINALIZER_SUPER_GRAPH never;
            OperatorContext operator_contexts FINALIZER_OPERATOR_CONTEXT never;
            APIDescription api_descriptions FINALIZER_API_DESCRIPTION never;
            PortalAPICatalogue portal_api_catalogues FINALIZER_PORTAL_CATALOGUE never;
            PortalConfig portal_configs FINALIZER_PORTAL_CONFIG never;
        }
    };
}
pub(super) use with_published;

macro_rules! published {
    ($($kind:ident $field:ident $finalizer:ident $is_template:expr;)*) => {
        $(impl Published for $kind {
            const FINALIZER: &'static str = names::$finalizer;

            fn all(snapshot: &Snapshot) -> &Objects<Self> {
                &snapshot.$field
            }

            fn spec(&self) -> impl Serialize + PartialEq + '_ {
                &self.spec
            }

            fn clear_status(&mut self) {
                self.status = None;
            }

            fn is_template(&self) -> bool {
                $is_template(self)
            }
        })*
    };
}

fn never<K>(_: &K) -> bool {
    false
}

with_published!(published);
