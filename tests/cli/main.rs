//! The built program as its users see it: arguments, files and environment in; exit code, output and messages out.
#![allow(clippy::print_stdout)]
#![allow(clippy::unwrap_used)]

mod commands;
mod dashboard;
mod dev;
mod diff;
mod environment;
mod explain;
mod export;
mod gateway;
#[path = "../support/ports.rs"]
mod ports;
mod program;
mod secrets;
