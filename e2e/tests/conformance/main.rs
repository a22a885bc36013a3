//! The thirty executions of the Kubernetes Ingress conformance suite, each a row with a name.
//!
//! The suite applies one Ingress for each of its features, waits until its status tells an address, and sends requests
//! there. So does this: one test for each feature, with one line of output for each row.

mod default_backend;
mod host_rules;
mod ingress_class;
mod load_balancing;
mod path_rules;
mod row;
mod suite;

use std::collections::BTreeSet;

#[test]
fn the_suite_has_thirty_executions_with_names_of_their_own() {
    let rows = default_backend::ROWS
        .iter()
        .chain(&host_rules::ROWS)
        .chain(&path_rules::ROWS)
        .map(|row| row.name);
    let names: BTreeSet<_> = rows.chain([ingress_class::NAME, load_balancing::NAME]).collect();
    assert_eq!(names.len(), 30, "{names:#?}");
}
