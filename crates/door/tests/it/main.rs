//! What the send path promises, tested from outside the crate.

#[cfg(test)]
mod types;
