//! The children of Ingresses as the cluster is told of them.

use std::sync::Arc;

use crate::api::{ApiDefinition, TykOasApiDefinition, TykOasApiDefinitionSpec};
use crate::cluster::children::Rendered;
use crate::ingress::Child;
use crate::snapshot::StoredDefinition;

impl Rendered<ApiDefinition> for Arc<Child> {
    fn definition(&self) -> ApiDefinition {
        Child::definition(self)
    }

    fn is_plainly(&self, stored: &StoredDefinition) -> bool {
        let StoredDefinition::Child(stored) = stored else {
            return false;
        };
        let owner = (self.ingress.name.as_ref(), self.uid.as_deref());
        stored.is_made_of(owner, &self.operator, &self.spec)
    }
}

impl Rendered<TykOasApiDefinition> for Arc<Child<TykOasApiDefinitionSpec>> {
    fn definition(&self) -> TykOasApiDefinition {
        Child::definition(self)
    }

    fn is_plainly(&self, _stored: &Arc<TykOasApiDefinition>) -> bool {
        false
    }
}
