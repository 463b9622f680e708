//! Bulk work: what a job sends for each row, its rows, when it runs, and the runner that sends them.

pub mod definition;
pub mod input;
pub mod run;
pub mod schedule;
pub mod template;
pub mod upload;
