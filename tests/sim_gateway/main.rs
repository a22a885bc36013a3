//! Scenarios that a simulated gateway and a real one (`TYK_GATEWAY_URL`, `TYK_GATEWAY_SECRET`, and
//! `TYK_GATEWAY_INGRESS_URL` if traffic goes to another address) answer alike.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod control;
mod documents;
mod faults;
mod proxying;
mod routing;
mod support;
