//! What tests and the demo world are made of: sample services, upstreams that record or misbehave, raw
//! clients, private database and directory servers, and a private certificate authority.

pub mod companies;
pub mod daemon;
pub mod database;
pub mod dns;
pub mod echo;
pub mod hdfs;
mod identity;
pub mod ldap;
pub mod mariadb;
pub mod message;
pub mod postgres;
pub mod raw;
pub mod recorder;
pub mod samba;
pub mod serve;
pub mod slapd;
pub mod tls;
mod websocket;
