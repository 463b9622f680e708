//! Clients that are slow on purpose are closed within fifteen seconds; streams that are quiet by nature go on.

use crate::world::{DEADLINE, World, get, post};
use doorman_testkit::raw::RawClient;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;

/// All connections that stall are closed by the fifteenth second; the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(25);
/// Longer than any stall is borne.
const QUIET: Duration = Duration::from_secs(17);

/// Sends `first`, then each of `drips` after a second, and waits to be closed.
async fn stall(what: &'static str, address: SocketAddr, first: Vec<u8>, drips: Vec<u8>) {
    let mut client = RawClient::connect(address).await.unwrap();
    let _ = client.send(&first).await;
    let dripping = drips.len();
    let ended = async {
        for drip in drips {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if client.send(&[drip]).await.is_err() {
                return true;
            }
        }
        dripping == 0 && client.read_rest(PATIENCE).await.1
    };
    assert!(tokio::time::timeout(PATIENCE, ended).await.unwrap_or(false), "{what}: still open");
}

fn head(fields: &str) -> Vec<u8> {
    format!("POST /r/eu/echo/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YWxpY2U6YWxpY2UtZGVtbw==\r\n{fields}").into_bytes()
}

fn with(mut head: Vec<u8>, body: &[u8]) -> Vec<u8> {
    head.extend_from_slice(body);
    head
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_stalls_is_closed_and_who_waits_is_not() {
    let world = World::start().await;
    let (api, proxy) = (world.api(0).address(), world.proxy("eu", 0).address());
    let login = "POST /auth/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let h2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    let drip = vec![b'x'; 22];
    let mut stalls = JoinSet::new();
    for (what, address, first, drips) in [
        ("a silent connection", api, vec![], vec![]),
        ("one byte", api, b"G".to_vec(), vec![]),
        ("half a head", api, head("X-Slow: "), vec![]),
        ("a head byte by byte", api, head("X-Slow: "), drip.clone()),
        ("half a body", api, with(head("Content-Length: 100\r\n\r\n"), b"half"), vec![]),
        ("a body byte by byte", api, with(head("Content-Length: 100\r\n\r\n"), b"half"), drip.clone()),
        ("half a long body", api, with(head("Content-Length: 1000000\r\n\r\n"), &[b'x'; 200_000]), vec![]),
        ("half a login", api, login.as_bytes().to_vec(), vec![]),
        ("half a preface", api, h2[..10].to_vec(), vec![]),
        ("a preface alone", api, h2.clone(), vec![]),
        ("half a frame", api, with(h2, b"\x00\x00\x50\x01\x04\x00\x00\x00\x01half"), vec![]),
        ("a silent connection to a proxy", proxy, vec![], vec![]),
        ("half a head to a proxy", proxy, b"GET /r/eu/echo".to_vec(), vec![]),
        ("a head byte by byte to a proxy", proxy, b"GET /r/eu/echo".to_vec(), drip),
        (
            "an answer that is not read",
            api,
            get("/r/eu/echo/bytes/300000000").as_user("alice").to_bytes(),
            vec![],
        ),
    ] {
        if what == "an answer that is not read" {
            stalls.spawn(leave_unread(address, first));
        } else {
            stalls.spawn(stall(what, address, first, drips));
        }
    }
    let (waits, events, socket) = tokio::join!(
        world.send(get(&format!("/r/eu/echo/sleep/{}", QUIET.as_millis())).as_user("alice")),
        quiet_events(&world),
        quiet_socket(&world),
    );
    assert_eq!(waits.status(), 200, "{waits:?}");
    assert!(events && socket);
    while let Some(ended) = stalls.join_next().await {
        ended.unwrap();
    }
    let (now, highest) = world.api(0).memory();
    assert!(highest < 200 << 20, "{now} {highest}");
    assert_eq!(world.send(get("/r/eu/echo/after").as_user("alice")).await.status(), 200);
}

/// What the other side has buffered can be read; then the connection is closed long before the whole answer came.
async fn leave_unread(address: SocketAddr, request: Vec<u8>) {
    let mut client = RawClient::connect(address).await.unwrap();
    client.send(&request).await.unwrap();
    tokio::time::sleep(QUIET + Duration::from_secs(2)).await;
    let (rest, closed) = client.read_rest(DEADLINE).await;
    assert!(closed && rest.len() < 100_000_000, "an answer that is not read: {} bytes came", rest.len());
}

async fn quiet_events(world: &World) -> bool {
    let mut client = world.connect_to(0).await.unwrap();
    let target = format!("/r/eu/echo/events?n=2&interval_ms={}", QUIET.as_millis());
    client.send(&get(&target).as_user("alice").to_bytes()).await.unwrap();
    let answer = client.read_answer(DEADLINE).await;
    answer.complete && answer.text().matches("event: tick").count() == 2
}

async fn quiet_socket(world: &World) -> bool {
    let mut client = world.connect_to(0).await.unwrap();
    let handshake = get("/r/eu/echo/ws")
        .as_user("alice")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    client.send(&handshake.to_bytes()).await.unwrap();
    assert_eq!(client.read_answer(DEADLINE).await.status(), 101);
    // A masked text frame with an empty mask.
    let frame = b"\x81\x84\x00\x00\x00\x00ping";
    client.send(frame).await.unwrap();
    let first = client.read_some(DEADLINE).await;
    tokio::time::sleep(QUIET).await;
    client.send(frame).await.unwrap();
    first == b"\x81\x04ping" && client.read_some(DEADLINE).await == b"\x81\x04ping"
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_without_end_are_cut_off_and_cost_nothing() {
    let world = World::start().await;
    world.send(get("/r/eu/echo/warm").as_user("alice")).await;
    world.login("alice").await;
    let before = (world.api(0).memory().1, world.proxy("eu", 0).memory().1);
    let endless = "Transfer-Encoding: chunked\r\n\r\n";
    let bearer_less = format!("POST /r/eu/echo/a HTTP/1.1\r\nHost: localhost\r\n{endless}");
    let denied = String::from_utf8(head(endless)).unwrap().replace("/r/eu/echo/a", "/r/eu/target/admin");
    let login = format!(
        "POST /auth/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{endless}"
    );
    for (what, head, status) in
        [("without credentials", bearer_less, 401), ("denied", denied, 403), ("login", login, 413)]
    {
        let mut client = world.connect_to(0).await.unwrap();
        client.send(head.as_bytes()).await.unwrap();
        let chunk = [b"10000\r\n".as_slice(), &[b'x'; 65536], b"\r\n"].concat();
        let mut sent = 0;
        while sent < 2000 && client.send(&chunk).await.is_ok() {
            sent += 1;
        }
        assert!(sent < 2000, "{what}: 128 MiB were taken");
        let answer = client.read_answer(DEADLINE).await;
        assert!([0, status].contains(&answer.status()), "{what}: {answer:?}");
    }
    // One that is told to be too long is refused before it is sent.
    let told = "POST /auth/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n";
    assert_eq!(world.send_raw(told.as_bytes()).await.status(), 413);
    let deep = "[".repeat(100_000);
    for body in [deep.clone(), format!("{{\"username\":{deep}")] {
        let answer =
            world.send(post("/auth/v1/login", body.clone()).header("content-type", "application/json")).await;
        assert!([400, 413, 422].contains(&answer.status()), "{answer:?}");
        // As a body to a service it is a body like any other.
        let answer = world
            .send(post("/r/eu/echo/a", body).header("content-type", "application/json").as_user("alice"))
            .await;
        assert_eq!(answer.status(), 200, "{answer:?}");
    }
    let after = (world.api(0).memory().1, world.proxy("eu", 0).memory().1);
    assert!(after.0 - before.0 < 32 << 20 && after.1 - before.1 < 32 << 20, "{before:?} → {after:?}");
    assert!(world.recorder().is_untouched());
}

/// A gzip bomb is bytes like any other: nobody on the way unpacks it.
#[tokio::test(flavor = "multi_thread")]
async fn compressed_bodies_pass_unopened_both_ways() {
    use doorman_testkit::recorder::Reply;
    let world = World::start().await;
    // A gzip head, and a deflate block that would repeat for long.
    let bomb: Vec<u8> = [
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xec\xc1\x01\x01\x00\x00\x00\x80\x90\xfe\xaf\xee\x08"
            .as_slice(),
        &[0; 20_000],
    ]
    .concat();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len());
    world.recorder().next(Reply::raw([head.as_bytes(), &bomb].concat()));
    let request = post("/r/eu/target/a", bomb.clone())
        .header("Content-Encoding", "gzip")
        .header("Accept-Encoding", "br, gzip");
    let answer = world.send(request.as_user("dave")).await;
    assert_eq!((answer.status(), answer.head.field("content-encoding")), (200, Some("gzip")), "{answer:?}");
    assert!(answer.body == bomb);
    let hit = world.recorder().requests().remove(0);
    assert!(hit.body == bomb && hit.head.field("accept-encoding") == Some("br, gzip"));
    world.assert_every_hit_was_written_down().await;
}

/// Out of file descriptors it takes nobody new, sends nothing unwritten, and recovers by itself.
#[tokio::test(flavor = "multi_thread")]
async fn without_file_descriptors_it_sheds_and_then_recovers() {
    let world = World::start().await;
    let mut kept = world.connect_to(0).await.unwrap();
    let request = post("/r/eu/target/a", "x").as_user("dave").to_bytes();
    kept.send(&request).await.unwrap();
    assert_eq!(kept.read_answer(DEADLINE).await.status(), 200);
    for process in [world.api(0), world.proxy("eu", 0)] {
        let pid = process.pid().unwrap();
        let used = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        let limited = std::process::Command::new("prlimit")
            .args([format!("--pid={pid}"), format!("--nofile={}:4096", used + 24)])
            .status()
            .unwrap();
        assert!(limited.success());
        let mut crowd = Vec::new();
        for _ in 0..60 {
            crowd.extend(RawClient::connect(process.address()).await);
        }
        // Whoever was there before is answered, one way or the other.
        for _ in 0..3 {
            kept.send(&request).await.unwrap();
            let answer = kept.read_answer(DEADLINE).await;
            assert!([200, 502, 503].contains(&answer.status()), "{answer:?}");
        }
        assert!(process.is_running());
        drop(crowd);
        world.settle(0).await;
        let answer = world.send(post("/r/eu/target/b", "x").as_user("dave")).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
    }
    world.assert_every_hit_was_written_down().await;
}
