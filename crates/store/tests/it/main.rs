//! The contract of the store, run on every database: SQLite, MariaDB and Postgres.

// Named test modules, so that lints know their plain functions for test code too.
#[cfg(test)]
mod audit;
#[cfg(test)]
mod collections;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod rig;
