//! The recorder and the raw client, each tested with the other.

use std::time::Duration;

use doorman_testkit::raw::RawClient;
use doorman_testkit::recorder::{Recorder, Reply};

use crate::{ANY, DEADLINE};

const GET: &[u8] = b"GET /a?b HTTP/1.1\r\nHost: r\r\n\r\n";
/// Enough to see that nothing comes.
const A_MOMENT: Duration = Duration::from_millis(100);

async fn start() -> (Recorder, RawClient) {
    let recorder = Recorder::start(ANY).await.unwrap();
    let client = RawClient::connect(recorder.addr()).await.unwrap();
    (recorder, client)
}

#[tokio::test]
async fn every_byte_of_pipelined_requests_is_recorded_apart() {
    let (recorder, mut client) = start().await;
    let post = b"POST /p HTTP/1.1\r\nhOST:  r\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert!(recorder.is_untouched());
    client.send(&[GET, post, GET].concat()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(client.read_answer(DEADLINE).await.text(), "recorded");
    }
    let requests = recorder.wait_for(3, DEADLINE).await.unwrap();
    assert_eq!(requests.iter().map(|request| request.bytes.as_slice()).collect::<Vec<_>>(), [GET, post, GET]);
    assert_eq!((requests[0].method(), requests[0].target()), ("GET", "/a?b"));
    assert_eq!(requests[1].body, b"abc");
    assert_eq!(requests[1].head.field("host"), Some("r"));
    recorder.clear();
    assert!(recorder.is_untouched());
}

#[tokio::test]
async fn an_unfinished_request_is_recorded_as_such() {
    let (recorder, mut client) = start().await;
    client.send(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc").await.unwrap();
    while !recorder.requests().first().is_some_and(|request| request.bytes.ends_with(b"abc")) {
        tokio::task::yield_now().await;
    }
    assert!(recorder.wait_for(1, A_MOMENT).await.is_none());
    assert!(!recorder.requests()[0].complete);
    client.send(b"defghij").await.unwrap();
    assert_eq!(recorder.wait_for(1, DEADLINE).await.unwrap()[0].body, b"abcdefghij");
}

#[tokio::test]
async fn replies_come_as_scripted() {
    let (recorder, mut client) = start().await;
    recorder.next(Reply::chunked("data", &[("sum", "1")]));
    recorder.next(Reply::ok("short").then("HTTP/1.1 200 OK\r\n\r\nsmuggled").close());
    client.send(GET).await.unwrap();
    let answer = client.read_answer(DEADLINE).await;
    assert_eq!((answer.text().as_str(), answer.complete), ("data", true));
    assert!(answer.bytes.ends_with(b"sum: 1\r\n\r\n"));
    client.send(GET).await.unwrap();
    assert_eq!(client.read_answer(DEADLINE).await.text(), "short");
    let (extra, closed) = client.read_rest(DEADLINE).await;
    assert_eq!((extra.ends_with(b"smuggled"), closed), (true, true));
}

#[tokio::test]
async fn a_reply_can_come_before_the_body() {
    let (recorder, mut client) = start().await;
    recorder.next(Reply::ok("late").at_head("HTTP/1.1 100 Continue\r\n\r\n"));
    client.send(b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n").await.unwrap();
    assert_eq!(client.read_some(DEADLINE).await, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send(b"x").await.unwrap();
    assert_eq!(client.read_answer(DEADLINE).await.text(), "late");
}

#[tokio::test]
async fn an_upstream_can_hang_end_early_and_never_end() {
    let (recorder, mut client) = start().await;
    recorder.next(Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nonly").close());
    recorder.next(Reply::default().hang());
    recorder.next(Reply::raw("HTTP/1.1 200 OK\r\n\r\n").pause(A_MOMENT).endless("more"));
    client.send(GET).await.unwrap();
    let cut = client.read_answer(DEADLINE).await;
    assert_eq!((cut.text().as_str(), cut.complete, cut.closed), ("only", false, true));
    let hung = RawClient::exchange(recorder.addr(), GET, A_MOMENT).await.unwrap();
    assert_eq!((hung.status(), hung.closed), (0, false));
    let mut client = RawClient::connect(recorder.addr()).await.unwrap();
    client.send(GET).await.unwrap();
    for _ in 0..100 {
        assert!(!client.read_some(DEADLINE).await.is_empty());
    }
}

#[tokio::test]
async fn bytes_after_an_upgrade_are_recorded() {
    let (recorder, mut client) = start().await;
    recorder.next(Reply::raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n").tunnel());
    client.send(&[GET, b"early"].concat()).await.unwrap();
    assert_eq!(client.read_answer(DEADLINE).await.status(), 101);
    client.send(b" late").await.unwrap();
    client.finish().await.unwrap();
    assert!(client.read_rest(DEADLINE).await.1);
    assert!(recorder.requests()[0].bytes.ends_with(b"\r\n\r\nearly late"));
}
