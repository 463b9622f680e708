//! To be written.

pub mod directory;
