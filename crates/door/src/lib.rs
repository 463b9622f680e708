//! The send path: authenticate → authorize → commit → pass → forward.
//!
//! Its steps are types. [`Permit`] proves that policy allowed an action, [`Receipt`] that its attempt is durable; both
//! come only from here, neither can be copied, and forwarding consumes the receipt. There is no other way to send.

pub mod body;
pub mod caller;
pub mod catalog;
pub mod collect;
pub mod config;
pub mod journal;
pub mod poll;
pub mod problem;
pub mod redact;
pub mod refusals;

mod arrival;
mod attempt;
pub mod courier;
mod door;
mod fanout;
mod forward;
mod headers;
mod item;
mod outcome;
mod permit;
pub mod rate;
mod receipt;
mod streams;
mod thread;
mod tunnel;

pub use arrival::channel_of;
pub use attempt::{ItemRef, Origin};
pub use body::AnswerBody;
pub use caller::Caller;
pub use config::{DoorConfig, Rate};
pub use courier::{Courier, Delivery, Order};
pub use door::{Door, DoorShared};
pub use doorman_egress::{Peer, PeerError};
pub use item::{ItemAnswer, ItemJudge, ItemVerdict};
pub use permit::{Denial, Facts, Permit};
pub use problem::Problem;
pub use receipt::{Intent, NotCommitted, Receipt};
