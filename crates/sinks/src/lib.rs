//! Sinks: the log, carried on to where an organisation keeps its logs. At least once, in order, from the journal itself,
//! never on the request path.
//!
//! What a sink gets are the lines of an export (`docs/audit-log.md`): each batch's signed statement and its entries. So
//! every sink holds the chain too, outside the database.

mod feed;
mod file;
mod nats;
mod otlp;
mod state;
mod syslog;

pub use feed::{Feed, release, start};
pub use file::FileSink;
pub use nats::NatsSink;
pub use otlp::{OtlpSink, proto as otlp_proto};
pub use state::{SinkState, SinkStates};
pub use syslog::{SyslogLink, SyslogSink};

use async_trait::async_trait;
use doorman_core::id::AuditId;

/// One line on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Names it once and for all: receivers may tell doubles by it.
    pub key: String,
    /// `writer`, `statement` or `entry`.
    pub what: &'static str,
    /// The entry; `None` for what is none.
    pub id: Option<AuditId>,
    /// When it happened, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// JSON, without a line break.
    pub json: String,
}

/// Why a sink did not take lines.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A file, connection or handshake failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The receiver cannot be reached or says no.
    #[error("{0}")]
    Refused(String),
}

/// Where lines go.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Hands lines over, in order. When it returns `Ok`, the receiver has them, as far as its protocol can tell; when it
    /// fails, all of them are handed over again.
    async fn send(&mut self, lines: &[Line]) -> Result<(), SinkError>;
}
