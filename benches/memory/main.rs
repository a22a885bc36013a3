//! How much memory a path takes: `cargo bench --bench memory`.

#![allow(clippy::print_stdout, missing_docs)]

use peak_alloc::PeakAlloc;
use tyk_ingress::desired::{Context, Operator};
use tyk_ingress::ingress::Options;
use tyk_ingress::stages::{self, Memo};

#[allow(dead_code)]
#[path = "../world.rs"]
mod world;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const SIZES: [usize; 3] = [1_000, 5_000, 20_000];

/// Prints bytes by path: of the snapshot, of what is made of it and remembered, and the most while one change is taken in
/// and what was made before is still there.
fn main() {
    println!(
        "{:>9} {:>7} {:>10} {:>10} {:>10}",
        "ingresses", "paths", "snapshot", "made", "highest"
    );
    let (options, operator) = (Options::default(), Operator::new(Context::default()));
    for size in SIZES {
        let start = MEMORY.current_usage();
        let mut snapshot = world::world(size);
        world::put_children(&mut snapshot);
        let with_snapshot = MEMORY.current_usage();
        let mut memo = Memo::default();
        let before = stages::run_again(&snapshot, &options, &operator, (&mut memo, || ()));
        let paths = before.translation.children.len();
        let with_made = MEMORY.current_usage();
        world::change(&mut snapshot, size / 2, "/changed");
        MEMORY.reset_peak_usage();
        let after = stages::run_again(&snapshot, &options, &operator, (&mut memo, || ()));
        let highest = MEMORY.peak_usage();
        let by_path = |from: usize, to: usize| to.saturating_sub(from) / paths;
        println!(
            "{size:>9} {paths:>7} {:>10} {:>10} {:>10}",
            by_path(start, with_snapshot),
            by_path(with_snapshot, with_made),
            by_path(with_snapshot, highest)
        );
        drop((before, after));
    }
}
