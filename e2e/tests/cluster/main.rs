//! `tyk_ingress::cluster` against a real API server, with the rights of `manifests/rbac.yaml` and no others.
#![allow(clippy::unwrap_used)]

mod children;
mod watches;
mod world;
mod writes;
