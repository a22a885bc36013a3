//! Command line of `tyk-ingress`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tyk_ingress::cli::main()
}
