//! What the pure parts cost, and how much memory a path takes: `cargo bench --bench pure`.

#![allow(clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group};
use peak_alloc::PeakAlloc;
use serde_json::json;
use tyk_ingress::desired::{Api, Context, Desired, Operator};
use tyk_ingress::ingress::{self, Options, PathMatch, PathType};
use tyk_ingress::snapshot::Snapshot;
use tyk_ingress::stages::{self, Made};
use tyk_ingress::sync::{self, Observed};

mod world;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const SIZES: [usize; 3] = [1_000, 5_000, 20_000];
const OWNER: &str = "tyk-ingress";

fn made(snapshot: &Snapshot) -> Made {
    stages::run(snapshot, &Options::default(), &Operator::new(Context::default()), || ())
}

/// What the operator's own gateway should hold.
fn desired(made: &Made) -> &Desired {
    made.fleet.tyks.values().next().expect("the operator's own Tyk")
}

/// A gateway that holds what is wanted, as an earlier version of this program wrote it.
fn held(desired: &Desired) -> Observed {
    let held = |(id, api): (&String, &Api)| {
        let mut held = api.payload.clone();
        held["config_data"]["tyk-ingress"]["hash"] = json!("another");
        held["config_data"]["tyk-ingress"]["write"] = json!(1);
        (id.clone(), held)
    };
    desired.wanted().map(held).collect()
}

fn render(c: &mut Criterion) {
    let mut group = c.benchmark_group("render");
    for size in SIZES {
        let snapshot = world::world(size);
        group.bench_function(BenchmarkId::new("ingress stage", size), |b| {
            b.iter(|| ingress::render(black_box(&snapshot), &Options::default()));
        });
        group.bench_function(BenchmarkId::new("all stages", size), |b| {
            b.iter(|| made(black_box(&snapshot)));
        });
    }
}

fn one_change(c: &mut Criterion) {
    let mut group = c.benchmark_group("one change");
    for size in SIZES {
        let mut snapshot = world::world(size);
        let mut turn = 0;
        group.bench_function(BenchmarkId::new("all stages", size), |b| {
            let next = || {
                turn += 1;
                world::change(&mut snapshot, size / 2, &format!("/turn-{turn}"));
                snapshot.clone()
            };
            b.iter_batched(next, |snapshot| made(&snapshot), BatchSize::PerIteration);
        });
    }
}

fn diff(c: &mut Criterion) {
    let mut group = c.benchmark_group("diff");
    for size in SIZES {
        let made = made(&world::world(size));
        let (desired, observed) = (desired(&made), held(desired(&made)));
        group.bench_function(BenchmarkId::new("every API", size), |b| {
            b.iter(|| sync::diff(black_box(desired), black_box(&observed), OWNER));
        });
    }
}

fn paths(c: &mut Criterion) {
    let encode = |path: &str| PathMatch::parse(PathType::Prefix, path).map(|(path, _)| path.listen_path());
    for (name, path) in [("plain", "/shop/v1/items"), ("escaped", "/shop%20one/{id}/caf%C3%A9/../x//y")] {
        c.bench_function(&format!("path encoder/{name}"), |b| b.iter(|| encode(black_box(path))));
    }
}

/// Bytes of what is made, and what making it takes for a moment, by path.
fn memory() {
    println!("memory\n{:>10} {:>8} {:>22} {:>22} {:>22}", "ingresses", "paths", "snapshot, B/path", "kept, B/path", "highest, B/path");
    for size in SIZES {
        let before = PeakAlloc.current_usage();
        let snapshot = world::world(size);
        let with_snapshot = PeakAlloc.current_usage();
        PeakAlloc.reset_peak_usage();
        let made = made(&snapshot);
        let paths = made.translation.children.len();
        let per_path = |from: usize, to: usize| to.saturating_sub(from) / paths;
        let (kept, highest) = (PeakAlloc.current_usage(), PeakAlloc.peak_usage());
        println!(
            "{size:>10} {paths:>8} {:>22} {:>22} {:>22}",
            per_path(before, with_snapshot),
            per_path(with_snapshot, kept),
            per_path(with_snapshot, highest)
        );
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    targets = render, one_change, diff, paths
}

fn main() {
    memory();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
