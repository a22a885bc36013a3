//! Admission reviews: what is refused, what is warned of, and that a part of the world decides as the whole.

#![allow(clippy::unwrap_used)]

mod laws;
mod review;
mod speed;
mod world;
