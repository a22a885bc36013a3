//! The inner reconciler: one worker per Tyk endpoint compares what should be there with what is, applies the
//! difference, and reads back what the gateway then really holds. It knows nothing of Kubernetes.

mod ahead;
mod backoff;
mod batch;
mod certificates;
mod compare;
mod dashboard;
mod diff;
mod fleet;
mod form;
mod guard;
mod late;
mod loaded;
mod mark;
mod merge;
mod part;
mod policies;
mod portal;
pub mod preview;
mod probe;
mod resolve;
mod round;
mod route;
mod seen;
mod settled;
mod tyk;
mod verify;
mod worker;
mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::desired::{Desired, Installation};
use crate::diagnostic::ObjectRef;

pub use compare::is_zero;
pub use diff::{Cause, Plan, WriteReason, diff};
pub use fleet::{Finder, Found};
pub use loaded::Loaded;
pub use tyk::Tyk;
pub use worker::{Trigger, Worker};
pub use workers::{Workers, client, endpoint};

/// Loaded definitions of a gateway by API id, or its policies by policy id.
pub type Observed = BTreeMap<String, Loaded>;

/// What became of APIs, policies or other objects, by id.
pub type Results = BTreeMap<Arc<str>, ApiOutcome>;

/// What one round against one Tyk endpoint ended with. Status is made from this and from nothing else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The Tyk.
    pub tyk: Arc<Installation>,
    /// Host and port of the gateway; empty when this is about all gateways of the Tyk.
    pub gateway: String,
    /// Number of the desired state that this round worked on, as given to the worker.
    pub revision: u64,
    /// The desired state that this round worked on.
    pub desired: Arc<Desired>,
    /// Result per API id, for every desired API and every API that was to be removed. An id that is both wanted and to
    /// be removed counts as wanted.
    pub apis: Arc<Results>,
    /// Result per policy id, in the same way. A policy that waits for an API is named only if the gateway has it.
    pub policies: Results,
    /// Result for the catalogue and the configuration of the portal, in the same way.
    pub portal: Results,
    /// Ids of these on the Dashboard.
    pub portal_ids: BTreeMap<String, String>,
    /// Ids of the catalogue's documentation by the hash of the content.
    pub documentation: BTreeMap<String, String>,
    /// Ids that a Dashboard's database has given to wanted policies, by policy id.
    pub database_ids: BTreeMap<String, String>,
    /// Result per certificate id, for every desired certificate: `Synced` or `Failed`.
    pub certificates: Results,
    /// Why the endpoint as a whole could not be brought in step; `None` when it answered.
    pub endpoint_error: Option<String>,
    /// Differences that nobody asked for (an API or a policy edited, renamed or removed on the gateway) and that were repaired.
    pub drift: Drift,
    /// Fields per API id that the gateway left out or changed when it loaded the definition, although what it loaded
    /// is what was sent: it does not know them, or writes them in another way.
    pub altered: BTreeMap<String, BTreeSet<String>>,
    /// The same per policy id.
    pub altered_policies: BTreeMap<String, BTreeSet<String>>,
    /// Calls that the round made.
    pub calls: Calls,
    /// What the round found to do about APIs.
    pub plan: Arc<Plan>,
    /// The same about policies.
    pub policy_plan: Arc<Plan>,
    /// How long the round took.
    pub took: Duration,
}

impl Outcome {
    /// Resources whose API or policy was repaired, and what had happened to it. What is not wanted any more is left out.
    pub fn repaired(&self) -> impl Iterator<Item = (&ObjectRef, &WriteReason)> {
        let apis = self.drift.apis.iter();
        let apis = apis.filter_map(|(id, reason)| Some((&self.desired.api(id)?.source, reason)));
        let policies = self.drift.policies.iter();
        let policies = policies.filter_map(|(id, reason)| Some((&self.desired.policies.get(id)?.source, reason)));
        apis.chain(policies)
    }
}

/// Repaired differences by what had happened, for metrics and Events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drift {
    /// Objects that were gone.
    pub lost: u64,
    /// Objects that somebody had edited.
    pub edited: u64,
    /// APIs that the gateway had renamed, because another one had their domain and listen path.
    pub renamed: u64,
    /// Certificates that were gone.
    pub certificates: u64,
    /// What had happened last, by API id.
    pub apis: BTreeMap<String, WriteReason>,
    /// The same by policy id.
    pub policies: BTreeMap<String, WriteReason>,
}

impl Drift {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.lost + self.edited + self.renamed + self.certificates
    }

    fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.edited += other.edited;
        self.renamed += other.renamed;
        self.certificates += other.certificates;
        self.apis.extend(other.apis);
        self.policies.extend(other.policies);
    }

    fn count(&mut self, sort: batch::Sort, id: &str, reason: &WriteReason) {
        let objects = match sort {
            batch::Sort::Api => &mut self.apis,
            batch::Sort::Policy => &mut self.policies,
        };
        objects.insert(id.to_owned(), reason.clone());
        match reason {
            WriteReason::Missing => self.lost += 1,
            WriteReason::Changed { .. } => self.edited += 1,
            WriteReason::Renamed { .. } => self.renamed += 1,
        }
    }
}

/// Calls of one round, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Lists of all APIs, or of all policies.
    pub lists: u64,
    /// APIs read one by one, because few are to be changed.
    pub reads: u64,
    /// Definitions and policies written.
    pub writes: u64,
    /// Definitions and policies deleted.
    pub deletes: u64,
    /// Blocking reloads.
    pub reloads: u64,
}

impl Calls {
    fn add(&mut self, other: Self) {
        self.lists += other.lists;
        self.reads += other.reads;
        self.writes += other.writes;
        self.deletes += other.deletes;
        self.reloads += other.reloads;
    }
}

/// State of one API or policy after a round.
#[derive(Clone, Debug, PartialEq)]
pub enum ApiOutcome {
    /// Read back from the gateway after the last reload, as wanted.
    Synced,
    /// Proven to be gone from the gateway; what others may hold there under the same id does not count.
    Gone,
    /// Not as wanted; the message is for the user and holds no secret.
    Failed(String),
}
