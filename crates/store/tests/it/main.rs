//! The contract of the store, run on every database: SQLite, MariaDB and Postgres.

mod durability;
mod identity;
mod journal;
mod revocation;
mod rig;
