//! Long bodies, sockets, events and HTTP/2 through both hops.

use crate::world::{ANY, DEADLINE, World, code_of, get};
use bytes::Bytes;
use doorman_core::sha256;
use doorman_testkit::echo::Echo;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

const ALICE: &str = "Basic YWxpY2U6YWxpY2UtZGVtbw==";
type Frames = StreamBody<futures_util::stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

fn frames(frames: Vec<Frame<Bytes>>) -> Frames {
    StreamBody::new(futures_util::stream::iter(frames.into_iter().map(Ok)).boxed())
}

fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

/// A client of HTTP/2 by prior knowledge.
async fn connect_h2(address: SocketAddr) -> http2::SendRequest<Frames> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn h2(method: &str, target: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("http://doorman.test{target}"))
        .version(Version::HTTP_2)
        .header(header::AUTHORIZATION, ALICE)
}

#[tokio::test(flavor = "multi_thread")]
async fn long_bodies_pass_whole_in_flat_memory() {
    const SIZE: usize = 256 << 20;
    let world = World::start().await;
    world.send(get("/r/eu/echo/bytes/4000000").as_user("alice")).await;
    let before = (world.api(0).memory().1, world.proxy("eu", 0).memory().1);

    let mut client = world.connect_to(0).await.unwrap();
    client.send(&get(&format!("/r/eu/echo/bytes/{SIZE}")).as_user("alice").to_bytes()).await.unwrap();
    let (mut read, mut hash) = (0, aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256));
    let mut head = Vec::new();
    while read < SIZE {
        let mut some = client.read_some(DEADLINE).await;
        assert!(!some.is_empty(), "broke off after {read}");
        if read == 0 && !head.ends_with(b"\r\n\r\n") {
            head.append(&mut some);
            let Some(end) = head.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
            some = head.split_off(end + 4);
        }
        hash.update(&some);
        read += some.len();
    }
    let down = hex::encode(hash.finish());
    let head = doorman_testkit::message::Head::parse(&head).unwrap().0;
    let outcome = world.outcome(head.field("doorman-audit-id").unwrap()).await;
    assert_eq!(
        (outcome.record["body_size"].as_u64(), outcome.text("body_sha256")),
        (Some(SIZE as u64), down.as_str())
    );

    let piece = vec![b'x'; 1 << 20];
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let head = format!(
        "POST /r/eu/echo/up HTTP/1.1\r\nHost: localhost\r\nAuthorization: {ALICE}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    client.send(head.as_bytes()).await.unwrap();
    for _ in 0..SIZE / piece.len() {
        hash.update(&piece);
        client.send(format!("{:x}\r\n", piece.len()).as_bytes()).await.unwrap();
        client.send(&piece).await.unwrap();
        client.send(b"\r\n").await.unwrap();
    }
    client.send(b"0\r\n\r\n").await.unwrap();
    let answer = client.read_answer(DEADLINE).await;
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    let up = hex::encode(hash.finish());
    assert_eq!(
        (told["body_size"].as_u64(), told["body_sha256"].as_str()),
        (Some(SIZE as u64), Some(up.as_str()))
    );
    let outcome = world.outcome(answer.head.field("doorman-audit-id").unwrap()).await;
    assert_eq!(outcome.text("request_sha256"), up);

    let after = (world.api(0).memory().1, world.proxy("eu", 0).memory().1);
    assert!(after.0 - before.0 < 32 << 20 && after.1 - before.1 < 32 << 20, "{before:?} → {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_talk_through_both_hops_and_a_browsers_token_is_consumed() {
    let world = World::start().await;
    let token = world.login("alice").await;
    let offers = [
        (format!("doorman, doorman.token.{token}"), Some("doorman")),
        (format!("echo, doorman, doorman.token.{token}"), Some("echo")),
        (format!("doorman.token.{token}, echo"), Some("echo")),
    ];
    for (offer, selected) in offers {
        let mut request =
            format!("ws://{}/r/eu/echo/ws", world.api(0).address()).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_str(&offer).unwrap());
        request.headers_mut().insert("origin", HeaderValue::from_static("http://doorman.test"));
        let (mut socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
        assert_eq!(
            response.headers().get("sec-websocket-protocol").map(|v| v.to_str().unwrap()),
            selected,
            "{offer}"
        );
        let long = "x".repeat(1 << 20);
        for text in ["one", "two", &long] {
            socket.send(Message::text(text)).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap().to_text().unwrap(), text);
        }
        socket.send(Message::binary(vec![0, 255])).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap().into_data(), vec![0, 255]);
        socket.close(None).await.unwrap();
        while socket.next().await.is_some() {}
        drop(socket);
        let id = response.headers()["doorman-audit-id"].to_str().unwrap();
        let outcome = world.outcome(id).await;
        assert_eq!((outcome.text("state"), outcome.record["status"].as_u64()), ("done", Some(101)));
        let attempt = world.entry(id).await.record.to_string();
        assert!(!attempt.contains(&token), "{attempt}");
    }
    assert!(!world.proxy("eu", 0).log().contains(&token));
    // Refused as any other request is.
    for offer in ["doorman", "doorman, doorman.token.nonsense", "doorman.token."] {
        let mut request =
            format!("ws://{}/r/eu/echo/ws", world.api(0).address()).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_str(offer).unwrap());
        let error = tokio_tungstenite::connect_async(request).await.unwrap_err();
        let tokio_tungstenite::tungstenite::Error::Http(response) = error else { panic!("{error}") };
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{offer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_socket_ends_when_its_session_does() {
    let world = World::start().await;
    let token = world.login("alice").await;
    let mut request = format!("ws://{}/r/eu/echo/ws", world.api(0).address()).into_client_request().unwrap();
    request.headers_mut().insert("doorman-token", HeaderValue::from_str(&token).unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let mut events = world.connect_to(0).await.unwrap();
    events.send(&get("/r/eu/echo/events?interval_ms=100").bearer(&token).to_bytes()).await.unwrap();
    assert!(!events.read_some(DEADLINE).await.is_empty());
    let logout = crate::world::post("/auth/v1/logout", "").bearer(&token);
    assert_eq!(world.send(logout).await.status(), 204);
    let ended = tokio::time::timeout(DEADLINE, socket.next()).await.unwrap();
    assert!(ended.is_none_or(|message| message.is_err()));
    assert!(events.read_rest(DEADLINE).await.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_event_arrives_before_the_last_is_made() {
    let world = World::start().await;
    let mut client = world.connect_to(0).await.unwrap();
    client.send(&get("/r/eu/echo/events?n=2&interval_ms=3000").as_user("alice").to_bytes()).await.unwrap();
    let mut early = Vec::new();
    while !String::from_utf8_lossy(&early).contains("event: tick") {
        let some = client.read_some(DEADLINE).await;
        assert!(!some.is_empty());
        early.extend(some);
    }
    let text = String::from_utf8_lossy(&early);
    assert!(text.contains("text/event-stream") && text.matches("event: tick").count() == 1, "{text}");
    // A client that goes is noted as gone.
    drop(client);
    let id = doorman_testkit::message::Head::parse(&early)
        .unwrap()
        .0
        .field("doorman-audit-id")
        .unwrap()
        .to_owned();
    assert_eq!(world.outcome(&id).await.text("error"), "client_gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_comes_in_with_prior_knowledge_or_by_alpn() {
    let world = World::start().await;
    let mut sender = connect_h2(world.api(0).address()).await;
    let mut answers = Vec::new();
    for number in 0..20 {
        let body = frames(vec![data("hel"), data("lo")]);
        let request = h2("POST", &format!("/r/eu/echo/a?n={number}")).header("x-a", "1").body(body).unwrap();
        answers.push(sender.send_request(request));
    }
    for (number, answer) in answers.into_iter().enumerate() {
        let response = answer.await.unwrap();
        assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
        let told: Value =
            serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
        assert_eq!(
            (told["query"].as_str(), told["body"].as_str()),
            (Some(&*format!("n={number}")), Some("hello"))
        );
        assert_eq!(
            (told["version"].as_str(), told["headers"]["x-forwarded-host"].as_str()),
            (Some("HTTP/1.1"), Some("doorman.test"))
        );
    }
    let world = World::plan().tls().start().await;
    let mut config = (*world.ca().client_config(None).unwrap()).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(world.api(0).address()).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream =
        tokio_rustls::TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (mut sender, connection) =
        http2::handshake::<_, _, Frames>(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let response =
        sender.send_request(h2("GET", "/r/eu/echo/tls").body(frames(vec![])).unwrap()).await.unwrap();
    let told: Value =
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(told["headers"]["x-forwarded-proto"], "https", "{told}");
}

/// A quiet answer over HTTP/2 whose reader sends its own frames meanwhile is no stalled client.
#[tokio::test(flavor = "multi_thread")]
async fn an_http2_stream_outlives_the_time_for_a_head() {
    let world = World::start().await;
    let mut sender = connect_h2(world.api(0).address()).await;
    let request = h2("GET", "/r/eu/echo/events?n=4&interval_ms=4000").body(frames(vec![])).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    let mut events = 0;
    while let Some(frame) = body.frame().await {
        events +=
            frame.unwrap().into_data().map_or(0, |data| data.windows(5).filter(|w| w == b"event").count());
    }
    assert_eq!(events, 4);
}

/// Answers as a gRPC server does: data, then the status in trailers; and says what trailers it got.
async fn grpc_service() -> SocketAddr {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(|request: Request<Incoming>| async move {
                assert_eq!(request.version(), Version::HTTP_2);
                let te = request.headers().get("te").cloned();
                let collected = request.into_body().collect().await.unwrap();
                let got = collected.trailers().cloned().unwrap_or_default();
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                trailers.insert("doorman-audit-id", HeaderValue::from_static("forged"));
                trailers.insert("x-te", te.unwrap_or(HeaderValue::from_static("none")));
                for (name, value) in &got {
                    trailers
                        .insert(http::HeaderName::try_from(format!("got-{name}")).unwrap(), value.clone());
                }
                let body = frames(vec![Frame::data(collected.to_bytes()), Frame::trailers(trailers)]);
                Ok::<_, Infallible>(
                    Response::builder().header("content-type", "application/grpc").body(body).unwrap(),
                )
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_trailers_pass_and_forged_ones_do_not() {
    let policy = r#"@id("grpc") permit (principal in Group::"developers", action == Action::"request", resource in ServiceName::"grpc");"#;
    let service = grpc_service().await;
    let world = World::plan()
        .policy("grpc.cedar", policy)
        .service("grpc", "protocol = \"h2\"", &[("grpc-1", format!("http://{service}"))])
        .start()
        .await;
    let mut sender = connect_h2(world.api(0).address()).await;
    let mut trailers = HeaderMap::new();
    for (name, value) in [
        ("x-sum", "ok"),
        ("doorman-identity", "forged"),
        ("x-forwarded-for", "6.6.6.6"),
        ("authorization", "x"),
    ] {
        trailers.insert(name, HeaderValue::from_static(value));
    }
    let body = frames(vec![data("question"), Frame::trailers(trailers)]);
    let request = h2("POST", "/r/eu/grpc/pkg.Service/Method").header("te", "trailers").body(body).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["doorman-instance"]),
        (StatusCode::OK, &HeaderValue::from_static("grpc-1"))
    );
    let collected = response.into_body().collect().await.unwrap();
    let got = collected.trailers().unwrap();
    assert_eq!(
        ["grpc-status", "x-te", "got-x-sum"].map(|name| got.get(name).map(HeaderValue::as_bytes)),
        [Some(&b"0"[..]), Some(b"trailers"), Some(b"ok")]
    );
    for name in ["doorman-audit-id", "got-doorman-identity", "got-x-forwarded-for", "got-authorization"] {
        assert!(!got.contains_key(name), "{name}: {got:?}");
    }
    assert_eq!(collected.to_bytes(), "question");
    // An HTTP/1.1 client reaches the same service.
    let answer = world.send(get("/r/eu/grpc/pkg.Service/Method").as_user("alice")).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
}

/// HTTP/2 frames by hand: what no library sends.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, u8::from(kind != 4)], payload].concat()
}

fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let text = |bytes: &[u8]| [&[u8::try_from(bytes.len()).unwrap()], bytes].concat();
    [vec![0], text(name), text(value)].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_http2_requests_are_reset_and_reach_nobody() {
    let world = World::start().await;
    type Fields = &'static [(&'static [u8], &'static [u8])];
    const DAVE: (&[u8], &[u8]) = (b"authorization", b"Basic ZGF2ZTpkYXZlLWRlbW8=");
    const USUAL: Fields = &[
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"localhost"),
        (b":path", b"/r/eu/target/public/a"),
        DAVE,
    ];
    let cases: [(&str, Fields); 12] = [
        (
            "CRLF in path",
            &[
                (b":method", b"GET"),
                (b":scheme", b"http"),
                (b":authority", b"a"),
                (b":path", b"/r/eu/target/a\r\nX: y"),
                DAVE,
            ],
        ),
        (
            "space in path",
            &[
                (b":method", b"GET"),
                (b":scheme", b"http"),
                (b":authority", b"a"),
                (b":path", b"/r/eu/target/a b"),
                DAVE,
            ],
        ),
        (
            "doubled path",
            &[
                (b":method", b"GET"),
                (b":scheme", b"http"),
                (b":authority", b"a"),
                (b":path", b"/r/eu/target/a"),
                (b":path", b"/r/eu/target/b"),
                DAVE,
            ],
        ),
        ("no path", &[(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), DAVE]),
        (
            "empty path",
            &[(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b""), DAVE],
        ),
        (
            "doubled method",
            &[
                (b":method", b"GET"),
                (b":method", b"POST"),
                (b":scheme", b"http"),
                (b":authority", b"a"),
                (b":path", b"/r/eu/target/a"),
                DAVE,
            ],
        ),
        (
            "CRLF in a value",
            &[
                (b":method", b"GET"),
                (b":scheme", b"http"),
                (b":authority", b"a"),
                (b":path", b"/r/eu/target/a"),
                DAVE,
                (b"x", b"a\r\nb: c"),
            ],
        ),
        (
            "upper-case name",
            &[
                (b":method", b"GET"),
                (b":scheme", b"http"),
                (b":authority", b"a"),
                (b":path", b"/r/eu/target/a"),
                DAVE,
                (b"X-Upper", b"1"),
            ],
        ),
        (
            "pseudo-header behind",
            &[
                (b":method", b"GET"),
                (b":scheme", b"http"),
                DAVE,
                (b":authority", b"a"),
                (b":path", b"/r/eu/target/a"),
            ],
        ),
        (
            "connection",
            &[
                (b":method", b"GET"),
                (b":scheme", b"http"),
                (b":authority", b"a"),
                (b":path", b"/r/eu/target/a"),
                DAVE,
                (b"connection", b"x"),
            ],
        ),
        (
            "transfer-encoding",
            &[
                (b":method", b"GET"),
                (b":scheme", b"http"),
                (b":authority", b"a"),
                (b":path", b"/r/eu/target/a"),
                DAVE,
                (b"transfer-encoding", b"chunked"),
            ],
        ),
        (
            "te",
            &[
                (b":method", b"GET"),
                (b":scheme", b"http"),
                (b":authority", b"a"),
                (b":path", b"/r/eu/target/a"),
                DAVE,
                (b"te", b"gzip"),
            ],
        ),
    ];
    for (what, fields) in cases.into_iter().chain([("the usual", USUAL)]) {
        let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
        // END_STREAM and END_HEADERS.
        let bytes =
            [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, &[]), frame(1, 5, &block)].concat();
        let mut client = world.connect_to(0).await.unwrap();
        client.send(&bytes).await.unwrap();
        let ended = first_of_stream(&mut client).await;
        let is_usual = what == "the usual";
        // 0x88 is `:status: 200` in the static table.
        let is_ok = ended == Some((1, 0x88));
        assert_eq!(is_ok, is_usual, "{what}: {ended:?}");
        assert_eq!(world.recorder().is_untouched(), !is_usual, "{what}");
    }
    world.assert_every_hit_was_written_down().await;
}

/// Kind and first byte of the first frame that ends the request: HEADERS, RST_STREAM or GOAWAY; none if it is hung up.
async fn first_of_stream(client: &mut doorman_testkit::raw::RawClient) -> Option<(u8, u8)> {
    let mut bytes = Vec::new();
    loop {
        while bytes.len() >= 9 {
            let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
            if bytes.len() < 9 + length {
                break;
            }
            if matches!(bytes[3], 1 | 3 | 7) {
                return Some((bytes[3], bytes.get(9).copied().unwrap_or_default()));
            }
            bytes.drain(..9 + length);
        }
        let some = client.read_some(DEADLINE).await;
        if some.is_empty() {
            return None;
        }
        bytes.extend(some);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_requests_are_judged_as_others_are() {
    let world = World::start().await;
    let mut sender = connect_h2(world.api(0).address()).await;
    for (target, status) in [
        ("/r/eu/target/admin", 403),
        ("/r/eu/target/public/%2e%2e/admin", 400),
        ("/r/eu/target/public//a", 400),
        ("/r/eu/nothing/a", 403),
        ("/r/eu/target/public/a", 200),
    ] {
        let response = sender.send_request(h2("GET", target).body(frames(vec![])).unwrap()).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{target}");
    }
    for host in ["a@b", "u:p@b"] {
        let uri = format!("http://{host}/r/eu/target/public/a");
        let request =
            Request::builder().uri(uri).version(Version::HTTP_2).header(header::AUTHORIZATION, ALICE);
        let response = sender.send_request(request.body(frames(vec![])).unwrap()).await;
        assert!(response.map_or(true, |response| response.status().is_client_error()), "{host}");
    }
    let many = (0..200).fold(h2("GET", "/r/eu/target/public/a"), |r, n| r.header(format!("x-{n}"), "y"));
    assert_eq!(sender.send_request(many.body(frames(vec![])).unwrap()).await.unwrap().status().as_u16(), 431);
    assert_eq!(world.recorder().requests().len(), 1);
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_echo_service_at_http2_gets_bodies_whole() {
    let policy = r#"@id("h2") permit (principal in Group::"developers", action == Action::"request", resource in ServiceName::"echo-h2");"#;
    let echo = Echo::new("h2-1").start(ANY).await.unwrap();
    let world = World::plan()
        .policy("h2.cedar", policy)
        .service("echo-h2", "protocol = \"h2\"", &[("h2-1", format!("http://{}", echo.addr()))])
        .start()
        .await;
    let body = vec![b'x'; 3 << 20];
    let answer = world.send(crate::world::post("/r/eu/echo-h2/a", body.clone()).as_user("alice")).await;
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((told["version"].as_str(), told["body_size"].as_u64()), (Some("HTTP/2.0"), Some(3 << 20)));
    assert_eq!(told["body_sha256"], hex::encode(sha256(&body)));
    let answer = world.send(get("/r/eu/echo-h2/bytes/3000000").as_user("alice")).await;
    assert_eq!((answer.status(), answer.body.len(), code_of(&answer).as_str()), (200, 3_000_000, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_upload_is_not_taken_for_a_slow_answer_and_a_slow_answer_is() {
    let policy = r#"@id("hasty") permit (principal in Group::"developers", action == Action::"request", resource in ServiceName::"hasty");"#;
    let echo = Echo::new("hasty-1").start(ANY).await.unwrap();
    let world = World::plan()
        .policy("hasty.cedar", policy)
        .service(
            "hasty",
            "[services.timeouts]\nresponse = \"1s\"",
            &[("hasty-1", format!("http://{}", echo.addr()))],
        )
        .start()
        .await;
    let mut client = world.connect_to(0).await.unwrap();
    let head = format!(
        "POST /r/eu/hasty/up HTTP/1.1\r\nHost: localhost\r\nAuthorization: {ALICE}\r\nContent-Length: 800000\r\n\r\n"
    );
    client.send(head.as_bytes()).await.unwrap();
    for _ in 0..8 {
        client.send(&[b'x'; 100_000]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let answer = client.read_answer(DEADLINE).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let answer = world.send(get("/r/eu/hasty/sleep/20000").as_user("alice")).await;
    assert_eq!((answer.status(), code_of(&answer).as_str()), (504, "timeout"), "{answer:?}");
    assert_eq!(world.outcome(answer.head.field("doorman-audit-id").unwrap()).await.text("state"), "unknown");
}
