//! The pure stages in their order: Ingresses to children, resources to what every Tyk should hold.

use crate::desired::{self, Fleet, Operator};
use crate::diagnostic::Diagnostic;
use crate::ingress::{self, Options, Translation};
use crate::nginx;
use crate::snapshot::Snapshot;

/// What the controller makes of a snapshot.
#[derive(Debug)]
pub struct Made {
    /// Children of the Ingresses.
    pub translation: Translation,
    /// What every Tyk should hold.
    pub fleet: Fleet,
    /// Findings of all stages, one stage after the other.
    pub diagnostics: Vec<Diagnostic>,
}

/// What is remembered from one run for the next. It changes how long a run takes and nothing else.
#[derive(Debug, Default)]
pub struct Memo {
    ingress: ingress::Memo,
    desired: desired::Memo,
}

/// Runs the stages.
pub fn run(snapshot: &Snapshot, options: &Options, operator: &Operator) -> Made {
    run_again(snapshot, options, operator, (&mut Memo::default(), || ()))
}

/// The same, and sooner, with what is remembered of the last run; `rendered` is told when the Ingresses have become
/// children.
pub fn run_again(
    snapshot: &Snapshot,
    options: &Options,
    operator: &Operator,
    (memo, rendered): (&mut Memo, impl FnOnce()),
) -> Made {
    let (prepared, mut diagnostics) = nginx::prepared(snapshot, options);
    let translation = ingress::render_again(&prepared, options, &mut memo.ingress);
    rendered();
    let (fleet, found) = desired::build_again(&prepared, &translation, operator, &mut memo.desired);
    diagnostics.extend(translation.diagnostics.iter().cloned());
    diagnostics.extend(found);
    Made {
        translation,
        fleet,
        diagnostics,
    }
}
