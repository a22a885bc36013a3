//! The custom resources of `tyk.tyk.io/v1alpha1`, and the names, labels and ids that Tyk Operator gave them.

mod api_definition;
mod conditions;
mod crd;
mod generated;
pub mod names;
mod oas_definition;
mod oas_spec;
mod operator_context;
mod resource;
mod target;

pub use api_definition::{ApiDefinition, ApiDefinitionSpec, ApiDefinitionStatus, Transaction};
pub use conditions::{ConditionStatus, ConditionType, set_condition};
pub use crd::{all_crds, crds_yaml, to_yaml};
pub use generated::Generated;
pub use oas_definition::{
    DomainStatus, PinnedStatus, TykOasApiDefinition, TykOasApiDefinitionStatus, VersioningStatus,
};
pub use oas_spec::{
    CertificatePinning, ClientCertificate, CustomDomain, DomainCertificate, JwtAuth, KeyRef, MutualTls, PinnedKeys,
    ScopePolicy, Scopes, TykOas, TykOasApiDefinitionSpec, UpstreamRequestSigning, Version, Versioning,
};
pub use operator_context::{
    IngressPorts, Mode, OperatorContext, OperatorContextEnv, OperatorContextSpec, OperatorContextStatus,
};
pub use target::Target;
