//! A Tyk gateway that behaves like the real one, for `dev` and for tests. It knows nothing of the rest of the crate.
