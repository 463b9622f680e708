//! The forwarder: pooled connections to known peers, streaming, upgrades.
//!
//! Redirects are not followed, environment proxies not read, nothing is decompressed, and a request is written at
//! most once: whoever sends through here has already written down that it does. Only `door` and `proxy` may depend
//! on this crate.

mod dial;
mod gate;
mod link;
mod links;
mod pool;
mod response;
mod trailers;
mod tunnel;

pub use dial::{Peer, PeerError, Protocol};
pub use gate::Gate;
pub use link::{LINK_PATH, LINK_PROTOCOL, serve_link};
pub use links::LinkToken;
pub use pool::{Pool, SendError, Upload};
pub use response::ResponseBody;
pub use trailers::{end_to_end, end_to_end_trailers};
pub use tunnel::carry;
