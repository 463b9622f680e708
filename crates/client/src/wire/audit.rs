//! The audit log as it is read (`/api/v1/audit`).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// One value or several of one header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum HeaderValue {
    /// The usual case.
    One(String),
    /// A header that was sent more than once.
    Many(Vec<String>),
}

/// Headers by lower-case name; secrets are masked. A value that is not UTF-8 is `base64:` and its bytes.
pub type Headers = BTreeMap<String, HeaderValue>;

/// What policy said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It may be done.
    Permit,
    /// It may not.
    Deny,
}

/// How `body` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyEncoding {
    /// As text.
    Text,
    /// As standard base64.
    Base64,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeState {
    /// The service's answer was handed on.
    Done,
    /// Refused; nothing was sent.
    Denied,
    /// Committed, and provably not sent.
    Unsent,
    /// It may have been sent; nobody knows how it ended.
    Unknown,
    /// Committed too late and never sent.
    Abandoned,
}

impl OutcomeState {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Unsent => "unsent",
            Self::Unknown => "unknown",
            Self::Abandoned => "abandoned",
        }
    }
}

/// How an attempt ended, with what is known about the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// How it ended.
    pub state: OutcomeState,
    /// The HTTP status of the answer, or of the refusal.
    pub status: Option<u16>,
    /// The answer's headers.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, HeaderValue>)]
    pub headers: Headers,
    /// Bytes of the answer's body.
    pub body_size: Option<u64>,
    /// SHA-256 of the answer's body.
    pub body_sha256: Option<String>,
    /// Bytes of the request's body, as sent to its end.
    pub request_size: Option<u64>,
    /// SHA-256 of the request's body, as sent to its end.
    pub request_sha256: Option<String>,
    /// Milliseconds from arrival to the end of the answer.
    pub duration_ms: Option<u64>,
    /// The instance that answered.
    pub instance: Option<String>,
    /// The stable error code, where it failed or was refused.
    pub error: Option<String>,
}

/// One audit entry. What does not belong to its `kind` is `null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// UUIDv7.
    pub id: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub time: String,
    /// `request`, `login`, `token`, `refused`, `audit`, `policy`, `key`, …
    pub kind: String,
    /// Whose credential opened the connection: `user:alice`.
    pub actor: Option<String>,
    /// On whose behalf: `user:alice`.
    pub subject: Option<String>,
    /// `http`, `ui`, `cli`, `bulk`, `retry`.
    pub channel: Option<String>,
    /// The session of the credential.
    pub session: Option<String>,
    /// The client's address.
    pub client_ip: Option<String>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
    /// The region asked for.
    pub region: Option<String>,
    /// The service asked for.
    pub service: Option<String>,
    /// The instance asked for: `any`, or an id.
    pub instance: Option<String>,
    /// The HTTP method.
    pub method: Option<String>,
    /// The path as received.
    pub path: Option<String>,
    /// The query as received, secrets masked.
    pub query: Option<String>,
    /// The headers as forwarded, secrets masked.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, HeaderValue>)]
    pub headers: Headers,
    /// The body or its prefix, secrets masked.
    pub body: Option<String>,
    /// How `body` is written.
    pub body_encoding: Option<BodyEncoding>,
    /// Bytes of the whole body.
    pub body_size: Option<u64>,
    /// SHA-256 of the whole body as sent.
    pub body_sha256: Option<String>,
    /// Whether `body` is only a prefix.
    pub body_truncated: Option<bool>,
    /// The caller's reason.
    pub reason: Option<String>,
    /// What policy said.
    pub decision: Option<Decision>,
    /// The policies that decided, by name.
    #[serde(default)]
    pub policies: Vec<String>,
    /// The job it belongs to.
    pub job: Option<String>,
    /// The run it belongs to.
    pub run: Option<String>,
    /// The index of the item within its run.
    pub item: Option<u64>,
    /// The entry that this one repeats.
    pub retry_of: Option<String>,
    /// The entries that repeat this one.
    #[serde(default)]
    pub retries: Vec<String>,
    /// What was masked: `header:<name>`, `query:<key>`, `body`.
    #[serde(default)]
    pub redacted: Vec<String>,
    /// How many refusals a `refused` entry stands for.
    #[serde(default)]
    pub count: Option<u64>,
    /// What else is to be known, by kind.
    #[serde(default)]
    pub detail: BTreeMap<String, String>,
    /// How it ended; `null` while nobody knows.
    pub outcome: Option<Outcome>,
}

/// A value with the filters of another, field by field, and what else is given. The list of filters stands here alone.
#[macro_export]
macro_rules! with_audit_filters {
    ($from:expr => $to:ident { $($rest:tt)* }) => {{
        let from = $from;
        $to {
            actor: from.actor,
            subject: from.subject,
            region: from.region,
            service: from.service,
            instance: from.instance,
            method: from.method,
            path: from.path,
            status: from.status,
            outcome: from.outcome,
            kind: from.kind,
            run: from.run,
            from: from.from,
            to: from.to,
            q: from.q,
            $($rest)*
        }
    }};
}

/// A query with the filters of the log, which are the same wherever it is read, and what else `$name` has.
macro_rules! audit_query {
    ($(#[$meta:meta])* $name:ident { $($(#[$more:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
        #[serde(default, deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub struct $name {
            /// `user:alice`, or a bare user name.
            pub actor: Option<String>,
            /// `user:alice`, or a bare user name.
            pub subject: Option<String>,
            /// The region asked for.
            pub region: Option<String>,
            /// The service asked for.
            pub service: Option<String>,
            /// The instance that answered; while none has, the one asked for.
            pub instance: Option<String>,
            /// The HTTP method.
            pub method: Option<String>,
            /// How the path begins.
            pub path: Option<String>,
            /// `404`, or a class such as `5xx`.
            pub status: Option<String>,
            /// `done`, `denied`, `unsent`, `unknown`, `abandoned`.
            pub outcome: Option<String>,
            /// `request`, `login`, `token`, …
            pub kind: Option<String>,
            /// The run.
            pub run: Option<String>,
            /// Not before; RFC 3339.
            pub from: Option<String>,
            /// Before; RFC 3339.
            pub to: Option<String>,
            /// Part of the path, the reason or a name, in any case.
            pub q: Option<String>,
            $($(#[$more])* pub $field: $kind,)*
        }

        impl $name {
            /// The filters of `query`.
            pub fn of(query: AuditQuery) -> Self {
                $crate::with_audit_filters!(query => Self { $($field: Default::default(),)* })
            }

            /// The filters alone.
            pub fn filters(self) -> AuditQuery {
                $crate::with_audit_filters!(self => AuditQuery { limit: None, cursor: None })
            }
        }
    };
}

audit_query! {
    /// What to list; every filter narrows. Newest entries come first.
    AuditQuery {
        /// Entries in a page.
        limit: Option<u32>,
        /// Where the page before ended.
        cursor: Option<String>,
    }
}

audit_query! {
    /// What to export; every filter narrows. Without a filter, JSON lines are a complete log that can be verified.
    AuditExportQuery {
        /// `jsonl` or `csv`.
        #[param(inline)]
        format: ExportFormat,
    }
}

audit_query! {
    /// What to follow; every filter narrows.
    AuditStreamQuery {}
}

/// How an export is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// JSON lines, for programs.
    #[default]
    Jsonl,
    /// Comma-separated values (RFC 4180), safe to open in a spreadsheet.
    Csv,
}
