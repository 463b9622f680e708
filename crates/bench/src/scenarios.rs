//! Measurements beside throughput: each starts chains of its own, so that nothing earlier colours it.

pub mod bodies;
pub mod delegated;
pub mod memory;
pub mod run;
