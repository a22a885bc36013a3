//! The fault harness: a stream of random changes of manifests, with faults of gateways and operators at random points of
//! it. Afterwards every gateway must hold exactly what the manifests say, and nothing else may have been touched.
//!
//! `FAULT_SEEDS=2000 cargo test --test faults -- --nocapture` runs longer, `FAULT_FIRST=77 FAULT_SEEDS=1` one seed
//! again. The same seed makes the same changes and faults; at what point of a call they strike is up to the machine.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod manifests;
mod operator;
mod run;

use std::collections::BTreeMap;
use std::time::Instant;

use futures::stream::{self, StreamExt};

/// Seeds that run at the same time; they wait most of the time.
const CONCURRENCY: usize = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_gateway_ends_with_exactly_what_the_manifests_say() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let number = |name, default| std::env::var(name).map_or(default, |text: String| text.parse().unwrap());
    let (first, seeds): (u64, u64) = (number("FAULT_FIRST", 0), number("FAULT_SEEDS", 200));
    let start = Instant::now();
    let results: Vec<_> = stream::iter(first..first + seeds)
        .map(|seed| async move { (seed, run::run(seed).await) })
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut changes, mut divergences) = (0, Vec::new());
    for (seed, run) in results {
        changes += run.changes;
        for (kind, count) in run.faults {
            *faults.entry(kind).or_default() += count;
        }
        divergences.extend(run.divergence.map(|found| format!("seed {seed}: {found}")));
    }
    let total: u64 = faults.values().sum();
    println!(
        "{seeds} seeds in {:.0} s, {changes} changes, {total} faults:",
        start.elapsed().as_secs_f64()
    );
    for (kind, count) in faults {
        println!("  {count:6} {kind}");
    }
    println!("{} divergences", divergences.len());
    assert!(divergences.is_empty(), "\n{}", divergences.join("\n"));
}
