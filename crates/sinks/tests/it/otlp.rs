//! A collector that decodes what it gets. No real one is in Debian; the messages follow opentelemetry-proto 1.x.

use crate::lines;
use doorman_sinks::{OtlpSink, Sink as _, otlp_proto as proto};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers one request with this status and body, and gives its head and body.
async fn answer(listener: &TcpListener, status: &str, body: Vec<u8>) -> (String, Vec<u8>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    let (head, length) = loop {
        let mut buffer = [0; 64 << 10];
        let read = stream.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        break (head.clone(), end + 4 + length.parse::<usize>().unwrap());
    };
    while bytes.len() < length {
        let mut buffer = [0; 64 << 10];
        let read = stream.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..read]);
    }
    let mut out = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len())
        .into_bytes();
    out.extend_from_slice(&body);
    stream.write_all(&out).await.unwrap();
    let start = head.len() + 4;
    (head, bytes[start..].to_vec())
}

#[tokio::test]
async fn a_collector_gets_records_and_what_it_rejects_is_sent_again() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/logs", listener.local_addr().unwrap());
    let headers = vec![("authorization".to_owned(), "Bearer t".to_owned())];
    let mut sink = OtlpSink::new(url, headers, reqwest::Client::builder().no_proxy().build().unwrap());
    let lines = lines(30);

    let (sent, (head, body)) = tokio::join!(sink.send(&lines), answer(&listener, "200 OK", Vec::new()));
    sent.unwrap();
    assert!(head.starts_with("post /v1/logs ") && head.contains("authorization: bearer t"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    let got = proto::ExportRequest::decode(&*body).unwrap();
    let records = &got.resource_logs[0].scope_logs[0].log_records;
    assert_eq!(records.len(), 30);
    for (line, record) in lines.iter().zip(records) {
        assert_eq!(record.body.as_ref().unwrap().text.as_ref(), Some(&line.json));
        assert_eq!(record.time_unix_nano, line.time_ms * 1_000_000);
    }

    let partial = proto::PartialSuccess { rejected_log_records: 3, error_message: "quota".into() };
    let partial = proto::ExportResponse { partial_success: Some(partial) }.encode_to_vec();
    let (sent, _) = tokio::join!(sink.send(&lines), answer(&listener, "200 OK", partial));
    assert!(sent.unwrap_err().to_string().contains("rejected 3: quota"));
    let (sent, _) = tokio::join!(sink.send(&lines), answer(&listener, "503 Busy", Vec::new()));
    assert!(sent.unwrap_err().to_string().contains("503"));
    drop(listener);
    assert!(sink.send(&lines).await.is_err());
}
