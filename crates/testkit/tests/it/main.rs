//! Tests of the test kit itself: what everybody else's tests stand on.

// Named a test module, so that lints know its plain functions for test code too.
#[cfg(test)]
mod databases;
