//! Command line of `tyk-ingress`.

fn main() {}
