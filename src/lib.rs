//! `tyk-ingress`: an Ingress controller for the Tyk API gateway, and the operator for Tyk's custom resources.
//!
//! `docs/architecture.md` shows the way of the data and what each module may know.

pub mod admission;
pub mod api;
pub mod cli;
pub mod cluster;
pub mod desired;
pub mod diagnostic;
pub mod expression;
pub mod http;
pub mod ingress;
pub mod inspect;
pub mod log;
pub mod metrics;
pub mod nginx;
pub mod packed;
pub mod parallel;
pub mod permit;
pub mod report;
pub mod secret;
pub mod settings;
pub mod sim;
pub mod snapshot;
pub mod stages;
pub mod sync;
pub mod tyk;
