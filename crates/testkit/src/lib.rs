//! What tests and the demo world are made of: sample services, upstreams that record or misbehave, raw
//! clients, private database and directory servers, and a private certificate authority.

pub mod daemon;
pub mod database;
pub mod mariadb;
pub mod postgres;
