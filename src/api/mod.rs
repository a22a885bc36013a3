//! The custom resources of `tyk.tyk.io/v1alpha1`, and the names, labels and ids that Tyk Operator gave them.

mod api_definition;
mod conditions;
mod crd;
mod definition_spec;
mod document_api;
mod document_source;
mod generated;
mod graph;
pub mod names;
mod oas_definition;
mod oas_spec;
mod operator_context;
mod portal;
mod resource;
mod security_policy;
mod target;

pub use api_definition::{ApiDefinition, ApiDefinitionSpec, ApiDefinitionStatus, Transaction};
pub use conditions::{ConditionStatus, ConditionType, set_condition};
pub use crd::{all_crds, crds_yaml, to_yaml};
pub use definition_spec::{DefinitionSpec, REWRITE_INTERNAL, TARGET_INTERNAL};
pub use document_api::{
    DocumentApiStatus, TykMcpProxyDefinition, TykMcpProxyDefinitionSpec, TykStreamsApiDefinition,
    TykStreamsApiDefinitionSpec,
};
pub use document_source::{DocumentRef, DocumentSource, HasDocument};
pub use generated::{Generated, child_metadata};
pub use graph::{SubGraph, SubGraphSpec, SubGraphStatus, SuperGraph, SuperGraphSpec, SuperGraphStatus};
pub use oas_definition::{
    DomainStatus, PinnedStatus, TykOasApiDefinition, TykOasApiDefinitionStatus, VersioningStatus,
};
pub use oas_spec::{
    CertificatePinning, ClientCertificate, CustomDomain, DomainCertificate, JwtAuth, KeyRef, MutualTls, PinnedKeys,
    ScopePolicy, Scopes, TykOasApiDefinitionSpec, UpstreamRequestSigning, Version, Versioning,
};
pub use operator_context::{
    AllowedNamespaces, IngressPorts, Mode, OperatorContext, OperatorContextEnv, OperatorContextSpec,
    OperatorContextStatus,
};
pub use portal::{APIDescription, PortalAPICatalogue, PortalConfig, PortalStatus};
pub use security_policy::{LinkedApi, SecurityPolicy, SecurityPolicyStatus};
pub use target::Target;
