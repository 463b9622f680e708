//! OpenTelemetry logs: OTLP over HTTP, protobuf. An export is answered, so what is acknowledged was taken.

use crate::{Line, Sink, SinkError};
use async_trait::async_trait;
use prost::Message as _;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(15);
/// `SEVERITY_NUMBER_INFO`
const INFO: i32 = 9;

/// The messages of `opentelemetry/proto/collector/logs/v1` and `logs/v1`, as far as they are used. Public, so that a
/// receiver can be faked.
pub mod proto {
    /// `ExportLogsServiceRequest`
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ExportRequest {
        #[prost(message, repeated, tag = "1")]
        pub resource_logs: Vec<ResourceLogs>,
    }

    /// `ResourceLogs`
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ResourceLogs {
        #[prost(message, optional, tag = "1")]
        pub resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        pub scope_logs: Vec<ScopeLogs>,
    }

    /// `Resource`
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Resource {
        #[prost(message, repeated, tag = "1")]
        pub attributes: Vec<KeyValue>,
    }

    /// `ScopeLogs`
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ScopeLogs {
        #[prost(message, repeated, tag = "2")]
        pub log_records: Vec<LogRecord>,
    }

    /// `LogRecord`
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct LogRecord {
        #[prost(fixed64, tag = "1")]
        pub time_unix_nano: u64,
        #[prost(int32, tag = "2")]
        pub severity_number: i32,
        #[prost(string, tag = "3")]
        pub severity_text: String,
        #[prost(message, optional, tag = "5")]
        pub body: Option<AnyValue>,
        #[prost(message, repeated, tag = "6")]
        pub attributes: Vec<KeyValue>,
    }

    /// `KeyValue`
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct KeyValue {
        #[prost(string, tag = "1")]
        pub key: String,
        #[prost(message, optional, tag = "2")]
        pub value: Option<AnyValue>,
    }

    /// `AnyValue`, of which only text is used.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct AnyValue {
        #[prost(string, optional, tag = "1")]
        pub text: Option<String>,
    }

    /// `ExportLogsServiceResponse`
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ExportResponse {
        #[prost(message, optional, tag = "1")]
        pub partial_success: Option<PartialSuccess>,
    }

    /// `ExportLogsPartialSuccess`
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct PartialSuccess {
        #[prost(int64, tag = "1")]
        pub rejected_log_records: i64,
        #[prost(string, tag = "2")]
        pub error_message: String,
    }
}

/// Sends to a collector.
pub struct OtlpSink {
    url: String,
    headers: Vec<(String, String)>,
    client: reqwest::Client,
}

impl OtlpSink {
    /// `url` is the whole address, as in `http://collector:4318/v1/logs`.
    pub fn new(url: String, headers: Vec<(String, String)>, client: reqwest::Client) -> Self {
        Self { url, headers, client }
    }
}

fn pair(key: &str, text: &str) -> proto::KeyValue {
    proto::KeyValue { key: key.into(), value: Some(proto::AnyValue { text: Some(text.into()) }) }
}

fn request(lines: &[Line]) -> proto::ExportRequest {
    let record = |line: &Line| proto::LogRecord {
        time_unix_nano: line.time_ms.saturating_mul(1_000_000),
        severity_number: INFO,
        severity_text: "INFO".into(),
        body: Some(proto::AnyValue { text: Some(line.json.clone()) }),
        attributes: vec![
            pair("event.name", &format!("doorman.{}", line.what)),
            pair("doorman.key", &line.key),
        ],
    };
    proto::ExportRequest {
        resource_logs: vec![proto::ResourceLogs {
            resource: Some(proto::Resource { attributes: vec![pair("service.name", "doorman")] }),
            scope_logs: vec![proto::ScopeLogs { log_records: lines.iter().map(record).collect() }],
        }],
    }
}

#[async_trait]
impl Sink for OtlpSink {
    async fn send(&mut self, lines: &[Line]) -> Result<(), SinkError> {
        let refused = |error: reqwest::Error| SinkError::Refused(error.without_url().to_string());
        let mut post = self.client.post(&self.url).timeout(TIMEOUT);
        for (name, value) in &self.headers {
            post = post.header(name, value);
        }
        let post = post.header("content-type", "application/x-protobuf").body(request(lines).encode_to_vec());
        let answer = post.send().await.map_err(refused)?;
        if !answer.status().is_success() {
            return Err(SinkError::Refused(format!("the collector answered {}", answer.status())));
        }
        let body = answer.bytes().await.map_err(refused)?;
        let rejected = proto::ExportResponse::decode(body).ok().and_then(|answer| answer.partial_success);
        match rejected {
            Some(partial) if partial.rejected_log_records > 0 => Err(SinkError::Refused(format!(
                "the collector rejected {}: {}",
                partial.rejected_log_records, partial.error_message
            ))),
            _ => Ok(()),
        }
    }
}
