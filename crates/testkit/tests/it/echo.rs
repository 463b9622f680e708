//! The sample service `echo`.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use doorman_testkit::echo::Echo;
use doorman_testkit::raw::{Answer, RawClient};
use doorman_testkit::serve::Service;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::{ANY, DEADLINE};

async fn start() -> Service {
    Echo::new("echo-1").start(ANY).await.unwrap()
}

async fn exchange(request: &[u8]) -> Answer {
    let echo = start().await;
    RawClient::exchange(echo.addr(), request, DEADLINE).await.unwrap()
}

fn parsed(answer: &Answer) -> Value {
    assert_eq!(answer.status(), 200, "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn it_answers_with_what_it_received() {
    let request = "PATCH /a%2Fb/%7e;x=1?q=%20&q=+ HTTP/1.1\r\nHost: e\r\nX-One: 1\r\nX-Two: a\r\nX-Two: b\r\nContent-Length: 5\r\n\r\nhällo"
        .replace("5\r\n", "6\r\n");
    let answer = parsed(&exchange(request.as_bytes()).await);
    assert_eq!(answer["instance"], "echo-1");
    assert_eq!(answer["method"], "PATCH");
    assert_eq!(answer["path"], "/a%2Fb/%7e;x=1");
    assert_eq!(answer["query"], "q=%20&q=+");
    assert_eq!(answer["headers"]["x-one"], "1");
    assert_eq!(answer["headers"]["x-two"], json!(["a", "b"]));
    assert_eq!((&answer["body"], &answer["body_encoding"]), (&json!("hällo"), &json!("text")));
    assert_eq!(answer["body_sha256"], hex::encode(digest(&SHA256, "hällo".as_bytes())));
}

#[tokio::test]
async fn a_missing_query_and_an_empty_one_differ() {
    assert_eq!(parsed(&exchange(b"GET /x HTTP/1.1\r\nHost: e\r\n\r\n").await)["query"], Value::Null);
    assert_eq!(parsed(&exchange(b"GET /x? HTTP/1.1\r\nHost: e\r\n\r\n").await)["query"], "");
}

#[tokio::test]
async fn bytes_that_are_no_text_come_back_as_base64() {
    let answer = parsed(&exchange(b"POST / HTTP/1.1\r\nHost: e\r\nContent-Length: 2\r\n\r\n\xff\x00").await);
    assert_eq!(answer["body_encoding"], "base64");
    let body = base64::engine::general_purpose::STANDARD.decode(answer["body"].as_str().unwrap());
    assert_eq!(body.unwrap(), b"\xff\x00");
}

#[tokio::test]
async fn trailers_are_shown() {
    let request = b"POST / HTTP/1.1\r\nHost: e\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: sum\r\n\r\n1\r\na\r\n0\r\nsum: 7\r\n\r\n";
    assert_eq!(parsed(&exchange(request).await)["trailers"]["sum"], "7");
}

#[tokio::test]
async fn a_long_body_over_http2_is_counted_whole_and_shown_in_part() {
    let echo = start().await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let piece = bytes::Bytes::from(vec![b'x'; 1 << 16]);
    let pieces =
        futures_util::stream::iter((0..160).map(move |_| Ok::<_, Error>(Frame::data(piece.clone()))));
    let request =
        http::Request::post(format!("http://{}/up", echo.addr())).body(StreamBody::new(pieces)).unwrap();
    let response = client.request(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["version"], "HTTP/2.0");
    assert_eq!(answer["body_size"], 160 << 16);
    assert_eq!(answer["body_truncated"], true);
    assert_eq!(answer["body"].as_str().unwrap().len(), 1 << 20);
    assert_eq!(answer["body_sha256"], hex::encode(digest(&SHA256, &vec![b'x'; 160 << 16])));
}

#[tokio::test]
async fn a_wanted_status_comes_back() {
    assert_eq!(exchange(b"GET /status/418 HTTP/1.1\r\nHost: e\r\n\r\n").await.status(), 418);
    assert_eq!(exchange(b"GET /status/204 HTTP/1.1\r\nHost: e\r\n\r\n").await.status(), 204);
    assert_eq!(exchange(b"GET /status/101 HTTP/1.1\r\nHost: e\r\n\r\n").await.status(), 400);
}

#[tokio::test]
async fn sleeping_answers_like_the_rest() {
    let answer = parsed(&exchange(b"GET /sleep/5?a HTTP/1.1\r\nHost: e\r\n\r\n").await);
    assert_eq!((&answer["path"], &answer["query"]), (&json!("/sleep/5"), &json!("a")));
}

#[tokio::test]
async fn wanted_bytes_follow_the_pattern() {
    let answer = exchange(b"GET /bytes/100001 HTTP/1.1\r\nHost: e\r\n\r\n").await;
    assert_eq!(answer.head.field("content-length"), Some("100001"));
    let pattern: Vec<u8> = (0..100_001_u32).map(|i| (i % 251) as u8).collect();
    assert!(answer.body == pattern);
}

#[tokio::test]
async fn events_stop_after_the_wanted_number() {
    let answer = exchange(b"GET /events?n=3&interval_ms=1 HTTP/1.1\r\nHost: e\r\n\r\n").await;
    assert_eq!(answer.head.field("content-type"), Some("text/event-stream"));
    assert_eq!(answer.text().matches("event: tick\n").count(), 3);
    assert!(answer.text().contains(r#"data: {"instance":"echo-1","n":2}"#));
}

#[tokio::test]
async fn websocket_messages_come_back() {
    let echo = start().await;
    let url = format!("ws://{}/ws", echo.addr());
    let (mut socket, response) = tokio_tungstenite::connect_async(&url).await.unwrap();
    assert!(response.headers().get("sec-websocket-protocol").is_none());
    for message in [Message::text("hi"), Message::binary(vec![1, 2])] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
}

#[tokio::test]
async fn only_the_subprotocol_echo_is_selected() {
    let echo = start().await;
    for (offer, selects) in [("doorman, echo", true), ("doorman, other", false)] {
        let mut request = format!("ws://{}/ws", echo.addr()).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", offer.parse().unwrap());
        // The client library refuses a server that selects none of those offered.
        let selected = tokio_tungstenite::connect_async(request).await;
        assert_eq!(selected.is_ok(), selects, "{offer}");
    }
}

#[tokio::test]
async fn dropping_it_closes_its_connections() {
    let echo = start().await;
    let mut client = RawClient::connect(echo.addr()).await.unwrap();
    client.send(b"GET /events HTTP/1.1\r\nHost: e\r\n\r\n").await.unwrap();
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{}/ws", echo.addr())).await.unwrap();
    let addr = echo.addr();
    drop(echo);
    assert!(client.read_answer(DEADLINE).await.closed);
    assert!(!matches!(socket.next().await, Some(Ok(message)) if !message.is_close()));
    assert!(RawClient::connect(addr).await.is_err());
}

#[tokio::test]
async fn an_empty_body_is_text() {
    let echo = start().await;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request =
        http::Request::put(format!("http://{}/", echo.addr())).body(Full::<bytes::Bytes>::default());
    let response = client.request(request.unwrap()).await.unwrap();
    let answer: Value =
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!((&answer["body"], &answer["body_encoding"]), (&json!(""), &json!("text")));
    assert_eq!(answer["body_sha256"], hex::encode(digest(&SHA256, "".as_bytes())));
}
