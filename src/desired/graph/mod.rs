//! GraphQL of classic APIs: subgraphs, supergraphs and their schemas.

mod check;
mod merge;
mod print;
mod sdl;

pub use merge::{Problem, merge};

#[cfg(test)]
mod tests;
