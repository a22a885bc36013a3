//! The custom resources of `tyk.tyk.io/v1alpha1`, and the names, labels and ids that Tyk Operator gave them.

mod api_definition;
mod conditions;
mod crd;
pub mod names;
mod operator_context;
mod resource;
mod target;

pub use api_definition::{ApiDefinition, ApiDefinitionSpec, ApiDefinitionStatus, Transaction};
pub use conditions::{ConditionStatus, ConditionType, set_condition};
pub use crd::{all_crds, crds_yaml, to_yaml};
pub use operator_context::{
    IngressPorts, Mode, OperatorContext, OperatorContextEnv, OperatorContextSpec, OperatorContextStatus,
};
pub use target::Target;
