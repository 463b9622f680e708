//! Listeners: one runtime thread per core, TLS, limits, slow clients cut off, graceful drain.
//!
//! A connection lives on one thread from accept to close, so that handlers need no locks and may hold `Rc`s.

pub mod body;
pub mod conn;
pub mod exec;
pub mod limits;
pub mod server;
pub mod stream;
pub mod tls;

pub use body::OpenBody;
pub use conn::Conn;
pub use exec::LocalExec;
pub use limits::Limits;
pub use server::{Handler, Listener, Server, ServerError};
