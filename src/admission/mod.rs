//! Whether an object may come into the cluster: what the controller would say of it, before it is there. Pure.
//!
//! An object that only waits for another one is let in, since manifests are applied in any order.

mod kinds;
mod neighbours;
mod verdict;

use std::sync::Arc;

use kube::api::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, Operation};

use crate::desired::{self, Fleet};
use crate::ingress::{Options, Translation};
use crate::snapshot::Snapshot;
use crate::stages::{self, Made};

pub use kinds::Subject;
pub use neighbours::Neighbours;
pub use verdict::Verdict;

/// What is there, and what the controller made of it last.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The objects.
    pub snapshot: Arc<Snapshot>,
    /// Children of the Ingresses. It may be of an older snapshot.
    pub translation: Arc<Translation>,
    /// What every Tyk should hold. It may be of an older snapshot.
    pub fleet: Arc<Fleet>,
}

/// The controller's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How Ingresses are chosen and rendered.
    pub options: Options,
    /// The operator's own Tyk, at this moment.
    pub operator: desired::Operator,
    /// Namespaces that are watched, `None` for all. What is elsewhere is nobody's business here.
    pub namespaces: Option<Vec<String>>,
}

impl Settings {
    /// Runs the stages of the controller.
    pub fn make(&self, snapshot: &Snapshot) -> Made {
        stages::run(snapshot, &self.options, &self.operator)
    }
}

/// Answers a review. Without a world, everything is let in.
pub fn answer(review: AdmissionReview<DynamicObject>, world: Option<&World>, settings: &Settings) -> AdmissionResponse {
    let request: AdmissionRequest<DynamicObject> = match review.try_into() {
        Ok(request) => request,
        Err(_) => return AdmissionResponse::invalid("the review has no request"),
    };
    let verdict = match (world, subject(&request, settings)) {
        (Some(world), Some(object)) => judge(object, &request, world, settings),
        _ => Verdict::default(),
    };
    let mut response = AdmissionResponse::from(&request);
    response.warnings = Some(verdict.warnings()).filter(|warnings| !warnings.is_empty());
    if let Some(reason) = verdict.refusal() {
        response = response.deny(reason);
        // As other webhooks answer; without a code the API server makes it a bad request.
        response.result.code = 403;
        response.result.reason = "Forbidden".into();
    }
    response
}

/// The object, if anything can be wrong with it: what goes, what is generated, and what nobody watches is let in.
fn subject<'a>(request: &'a AdmissionRequest<DynamicObject>, settings: &Settings) -> Option<&'a DynamicObject> {
    let changes = matches!(request.operation, Operation::Create | Operation::Update);
    let object = request.object.as_ref().filter(|_| changes)?;
    let namespace = request.namespace.as_deref().unwrap_or_default();
    let watched = settings
        .namespaces
        .as_ref()
        .is_none_or(|names| names.iter().any(|name| name == namespace));
    let leaves = object.metadata.deletion_timestamp.is_some();
    (watched && !leaves && !kinds::is_generated(object)).then_some(object)
}

fn judge(
    object: &DynamicObject,
    request: &AdmissionRequest<DynamicObject>,
    world: &World,
    settings: &Settings,
) -> Verdict {
    let namespace = request.namespace.as_deref().unwrap_or_default();
    let subject = match kinds::read(object, namespace) {
        Ok(Some(subject)) => subject,
        Ok(None) => return Verdict::default(),
        Err(unreadable) => return Verdict::unreadable(unreadable),
    };
    let near = Neighbours::of(world, &subject, settings);
    Verdict::between(&subject.reference, &near.before, &near.after)
}
