//! The pages: what they say of code is compared with the code, their links lead somewhere, their manifests and commands
//! are run. `UPDATE=1 cargo test --test docs` writes the generated pages.

#![allow(clippy::unwrap_used)]

mod blocks;
mod book;
mod commands;
mod examples;
mod gitops;
mod manifests;
mod pages;
mod reference;
mod settings;
