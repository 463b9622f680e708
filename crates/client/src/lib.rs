//! What travels between Doorman and its clients: the wire types of the public contract, and a typed client.
//!
//! The server builds its answers and its OpenAPI document from the same types, so the two cannot drift apart. JSON is
//! `snake_case`; times are RFC 3339 in UTC with milliseconds; digests are lower-case hex; what is not known is `null`.

mod audit;
mod client;
mod door;
mod error;
mod jobs;
pub mod wire;

pub use audit::{Event, Events};
pub use client::{Client, ClientBuilder};
pub use door::{Answer, DoorRequest};
pub use error::{ClientError, Unreachable};
pub use jobs::{InputFormat, RunEvents, etag};
pub use wire::*;
