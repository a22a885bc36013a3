//! https: which certificate is shown for which host, what http does meanwhile, and what becomes of bad material.

mod bad;
mod hosts;
mod http;
mod secrets;
mod world;
