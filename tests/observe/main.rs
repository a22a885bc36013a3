//! What a running operator tells of itself: metrics, logs, the status page, `/debug`.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::unwrap_used)]

mod browser;
mod debug;
mod logs;
#[path = "../support/ports.rs"]
mod ports;
mod prometheus;
mod world;
