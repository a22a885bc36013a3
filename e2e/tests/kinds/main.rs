//! Every kind goes through the same life: made, changed, changed behind our back, in use, adopted, deleted.

mod api_definition;
mod bad_input;
mod examples;
mod life;
mod oas;
mod operator_context;
mod security_policy;
mod sub_graph;
mod super_graph;
mod tyks;
