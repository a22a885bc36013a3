//! Command line of `tyk-ingress`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The image is linked with musl, whose own allocator takes one lock for all threads. Figures: `docs/performance.md`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    tyk_ingress::cli::main()
}
