//! The chart: what it renders, what the API server says to that, and the life of a release.
#![allow(clippy::unwrap_used)]

mod helm;
mod pod;
mod release;
mod rendered;
