//! GraphQL of classic APIs: what SubGraphs and SuperGraphs give them, and what the gateway needs of data sources.
//!
//! A supergraph's schema is merged here, each time anew: the gateway takes it as it is sent, in
//! `graphql.supergraph.merged_sdl`, and asks each subgraph through the API that serves it, at `tyk://<api id>`.

mod check;
mod edges;
mod merge;
mod objects;
mod print;
mod resolve;
mod sdl;
mod sources;

#[cfg(test)]
mod tests;

pub use edges::{Edges, edges};
pub use merge::{Problem, merge};
pub use objects::diagnose;
pub use resolve::resolve;
