//! What the pure parts cost: `cargo bench --bench pure`.

#![allow(missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group};
use mimalloc::MiMalloc;
use serde_json::json;
use tyk_ingress::desired::{Api, Context, Desired, Operator};
use tyk_ingress::ingress::{self, Options, PathMatch, PathType};
use tyk_ingress::snapshot::Snapshot;
use tyk_ingress::stages::{self, Made};
use tyk_ingress::sync::{self, Observed};

#[path = "../world.rs"]
mod world;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const SIZES: [usize; 3] = [1_000, 5_000, 20_000];
const OWNER: &str = "tyk-ingress";

fn made(snapshot: &Snapshot) -> Made {
    stages::run(snapshot, &Options::default(), &Operator::new(Context::default()))
}

/// What the operator's own gateway should hold.
fn desired(made: &Made) -> &Desired {
    made.fleet.tyks.values().next().expect("the operator's own Tyk")
}

/// A gateway that holds what is wanted, as an earlier version of this program wrote it.
fn held(desired: &Desired) -> Observed {
    let held = |(id, api): (&Arc<str>, &Api)| {
        let mut held = api.payload.value();
        held["config_data"]["tyk-ingress"]["hash"] = json!("another");
        held["config_data"]["tyk-ingress"]["write"] = json!(1);
        (id.to_string(), held.into())
    };
    desired.wanted().map(held).collect()
}

/// To throw a result away does not count, nor what is remembered of it: the controller does it when there is the next one.
fn render(c: &mut Criterion) {
    let mut group = c.benchmark_group("render");
    let (options, operator) = (Options::default(), Operator::new(Context::default()));
    for size in SIZES {
        let snapshot = world::world(size);
        group.bench_function(BenchmarkId::new("ingress stage", size), |b| {
            let render = |mut memo| {
                let made = ingress::render_again(black_box(&snapshot), &options, &mut memo);
                (made, memo)
            };
            b.iter_batched(ingress::Memo::default, render, BatchSize::PerIteration);
        });
        group.bench_function(BenchmarkId::new("all stages", size), |b| {
            let run = |mut memo| {
                let made = stages::run_again(black_box(&snapshot), &options, &operator, (&mut memo, || ()));
                (made, memo)
            };
            b.iter_batched(stages::Memo::default, run, BatchSize::PerIteration);
        });
    }
}

fn one_change(c: &mut Criterion) {
    let mut group = c.benchmark_group("one change");
    for size in SIZES {
        let mut snapshot = world::world(size);
        world::put_children(&mut snapshot);
        let mut turn = 0;
        let mut next = || {
            turn += 1;
            world::change(&mut snapshot, size / 2, &format!("/turn-{turn}"));
            snapshot.clone()
        };
        let (options, operator) = (Options::default(), Operator::new(Context::default()));
        let mut memo = ingress::Memo::default();
        // The last result is let go only when there is the next one, as the controller does it.
        let mut last = ingress::render_again(&next(), &options, &mut memo);
        group.bench_function(BenchmarkId::new("ingress stage", size), |b| {
            let again = |snapshot: Snapshot| last = ingress::render_again(&snapshot, &options, &mut memo);
            b.iter_batched(&mut next, again, BatchSize::PerIteration);
        });
        let mut memo = stages::Memo::default();
        let mut last = stages::run_again(&next(), &options, &operator, (&mut memo, || ()));
        group.bench_function(BenchmarkId::new("all stages", size), |b| {
            let again =
                |snapshot: Snapshot| last = stages::run_again(&snapshot, &options, &operator, (&mut memo, || ()));
            b.iter_batched(&mut next, again, BatchSize::PerIteration);
        });
        drop(last);
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
    for (name, path) in [
        ("plain", "/shop/v1/items"),
        ("escaped", "/shop%20one/{id}/caf%C3%A9/../x//y"),
    ] {
        c.bench_function(&format!("path encoder/{name}"), |b| b.iter(|| encode(black_box(path))));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    targets = render, one_change, diff, paths
}

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
}
