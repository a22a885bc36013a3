//! Resources at a simulated Dashboard: from manifests to records, and from there to status and finalizers.
#![allow(clippy::unwrap_used, dead_code)]

mod beside;
mod kinds;
mod portal;
mod world;
