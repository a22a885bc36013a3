//! Measures the whole way from Ingresses to answers of the gateway, beside what the gateway alone needs.
//!
//! `cargo build --release && cargo run --release --package e2e --bin e2e-load -- --paths 5000 --json FILE`. Against a
//! simulator, or against the gateway that `TYK_GATEWAY_URL`, `TYK_GATEWAY_SECRET` and `TYK_GATEWAY_INGRESS_URL` name.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use e2e::load::{Settings, run, write_json};

/// Loads the cluster, the product and the gateway, and prints how long things take.
#[derive(Debug, Parser)]
struct Args {
    /// Paths, each of an Ingress of its own
    #[arg(long, default_value_t = 1000)]
    paths: usize,
    /// Single changes to measure
    #[arg(long, default_value_t = 30)]
    samples: usize,
    /// Edits in bursts
    #[arg(long, default_value_t = 1000)]
    edits: usize,
    /// Edits of one burst
    #[arg(long, default_value_t = 100)]
    burst: usize,
    /// Changes of endpoints
    #[arg(long, default_value_t = 100)]
    churn: usize,
    /// Seconds for which an operator without work is looked at
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// Longest time of each part, in seconds
    #[arg(long, default_value_t = 600)]
    deadline: u64,
    /// File for the results as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let settings = Settings {
        paths: args.paths.max(1),
        samples: args.samples,
        edits: args.edits,
        burst: args.burst.max(1),
        churn: args.churn,
        idle: Duration::from_secs(args.idle),
        deadline: Duration::from_secs(args.deadline),
    };
    let results = run(&settings).await?;
    write!(stdout(), "{results}")?;
    if let Some(file) = &args.json {
        write_json(&results, file)?;
    }
    Ok(())
}
