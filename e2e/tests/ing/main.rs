//! Defects of Tyk Operator's Ingress controller, `ING-1` to `ING-22`, each held against this one: what needs an API
//! server is here, the rest in `tests/ing`, which counts them. A test's first sentence tells what Tyk Operator does.

mod children;
mod lifecycle;
mod observed;
mod templates;
mod world;
