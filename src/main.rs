//! Command line of `tyk-ingress`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Measured against the allocators of glibc and musl, see `docs/performance.md`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    tyk_ingress::cli::main()
}
