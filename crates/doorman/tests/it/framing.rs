//! Messages whose end two parsers could see in different places: refused, or framed afresh before they go on.

use crate::world::{DEADLINE, World, get, post};
use doorman_testkit::recorder::{Recorded, Reply};
use std::time::Duration;

const AUTH: &str = "Host: localhost\r\nAuthorization: Basic ZGF2ZTpkYXZlLWRlbW8=\r\n";
const SMUGGLED: &str = "GET /r/eu/target/smuggled HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic ZGF2ZTpkYXZlLWRlbW8=\r\n\r\n";

fn head(fields: &str) -> String {
    format!("POST /r/eu/target/a HTTP/1.1\r\n{AUTH}{fields}\r\n")
}

/// Whatever was forwarded is framed in one way, and is what was written down.
async fn assert_framed_afresh(world: &World, what: &str) {
    for hit in world.recorder().requests() {
        let framing = hit.head.all("content-length").count() + hit.head.all("transfer-encoding").count();
        assert!(framing <= 1, "{what}: {}", String::from_utf8_lossy(&hit.bytes));
        assert!(!String::from_utf8_lossy(&hit.body).contains("smuggled") || hit.complete, "{what}");
    }
    world.assert_every_hit_was_written_down().await;
    world.recorder().clear();
}

#[tokio::test(flavor = "multi_thread")]
async fn doubtful_framing_is_refused() {
    let world = World::start().await;
    let cases = [
        head("Content-Length: +5\r\n") + "hello",
        head("Content-Length: 5,5\r\n") + "hello",
        head("Content-Length: 5, 6\r\n") + "hello",
        head("Content-Length: 0x5\r\n") + "hello",
        head("Content-Length: -5\r\n") + "hello",
        head("Content-Length: 5 5\r\n") + "hello",
        head("Content-Length: \r\n") + "hello",
        head("Content-Length: 99999999999999999999999\r\n") + "hello",
        head("Content-Length: 18446744073709551616\r\n") + "hello",
        head("Content-Length: 5\r\nContent-Length: 6\r\n") + "hello",
        head("Content-Length: 6\r\nContent-Length: 5\r\n") + "hello!",
        head("Transfer-Encoding: xchunked\r\n") + "5\r\nhello\r\n0\r\n\r\n",
        head("Transfer-Encoding: chunked, identity\r\n") + "5\r\nhello\r\n0\r\n\r\n",
        head("Transfer-Encoding: identity\r\n") + "5\r\nhello\r\n0\r\n\r\n",
        head("Transfer-Encoding: gzip\r\n") + "5\r\nhello\r\n0\r\n\r\n",
        head("Transfer-Encoding : chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n",
        head("Transfer-Encoding\t: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n",
        head(" Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n",
        head("X: y\r\n Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n",
        head("X: a\rb\r\n"),
        head("X: a\0b\r\n"),
        head("X\0Y: b\r\n"),
        head("X Y: b\r\n"),
        head(": b\r\n"),
        head("X\r\n"),
        head("Transfer-Encoding: chunked\r\n") + "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        head("Transfer-Encoding: chunked\r\n") + "-5\r\nhello\r\n0\r\n\r\n",
        head("Transfer-Encoding: chunked\r\n") + "0x5\r\nhello\r\n0\r\n\r\n",
        head("Transfer-Encoding: chunked\r\n") + "5\r\nhelloXX0\r\n\r\n",
        head("Transfer-Encoding: chunked\r\n") + "5\r\nhello\n0\r\n\r\n",
        format!(
            "POST /r/eu/target/a HTTP/1.0\r\n{AUTH}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        ),
        format!("POST /r/eu/target/a HTTP/2.0\r\n{AUTH}\r\n"),
        format!("POST /r/eu/target/a HTTP/1.2\r\n{AUTH}\r\n"),
        format!("POST /r/eu/target/a\r\n{AUTH}\r\n"),
        format!("POST /r/eu/target/a HTTP/1.1\r{AUTH}\r\n"),
    ];
    for case in cases {
        let mut client = world.connect_to(0).await.unwrap();
        client.send((case.clone() + SMUGGLED).as_bytes()).await.unwrap();
        let answer = client.read_answer(DEADLINE).await;
        assert!((400..500).contains(&answer.status()), "{case}: {answer:?}");
        let (rest, closed) = client.read_rest(DEADLINE).await;
        assert!(closed && rest.is_empty(), "{case}: {}", String::from_utf8_lossy(&rest));
        assert!(world.recorder().is_untouched(), "{case}");
    }
    assert_framed_afresh(&world, "all").await;
}

/// hyper takes these; what counts is that they go on with one framing, and nothing hides behind them.
#[tokio::test(flavor = "multi_thread")]
async fn tolerated_framing_is_made_plain_and_hides_nothing() {
    let world = World::start().await;
    let cases = [
        head("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
        head("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n") + "0\r\n\r\n",
        head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
        head("Transfer-Encoding: chunked, chunked\r\n") + "0\r\n\r\n",
        head("Transfer-Encoding: gzip, chunked\r\n") + "0\r\n\r\n",
        head("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n") + "0\r\n\r\n",
        head("Content-Length: 5\r\nContent-Length: 5\r\n") + "hello",
        head("Content-Length: 0\r\nContent-Length: 0\r\n"),
        head("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n") + "hello",
        head("Content_Length: 50\r\nContent-Length: 5\r\n") + "hello",
        head("Transfer-Encoding: CHUNKED\r\n") + "0\r\n\r\n",
        head("Transfer-Encoding: chunked\r\n") + "5;ext=\"a\"\r\nhello\r\n0\r\n\r\n",
        head("Transfer-Encoding: chunked\r\n") + "000000000000005\r\nhello\r\n0\r\n\r\n",
        head("Connection: content-length\r\nContent-Length: 5\r\n") + "hello",
        head("Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
        format!("POST /r/eu/target/a HTTP/1.1\n{}\n", AUTH.replace("\r\n", "\n")),
    ];
    for case in cases {
        let mut client = world.connect_to(0).await.unwrap();
        client.send((case.clone() + SMUGGLED).as_bytes()).await.unwrap();
        let first = client.read_answer(DEADLINE).await;
        // With more behind a message that ends the connection, it is hung up.
        assert!([0, 200, 400, 501].contains(&first.status()), "{case}: {first:?}");
        let second = client.read_answer(Duration::from_millis(300)).await;
        assert!([0, 200].contains(&second.status()), "{case}: {second:?}");
        assert_framed_afresh(&world, &case).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_cannot_speak_for_the_caller() {
    let world = World::start().await;
    let body = "5\r\nhello\r\n0\r\nDoorman-Identity: forged\r\nX-Forwarded-For: 6.6.6.6\r\nDoorman_Pass: x\r\nForwarded: for=x\r\n\
                Authorization: Bearer x\r\nCookie: a=b\r\nHost: evil\r\nContent-Length: 3\r\nX-Sum: ok\r\n\r\n";
    let fields = "Transfer-Encoding: chunked\r\nTrailer: Doorman-Identity, X-Forwarded-For, X-Sum, Authorization\r\nTE: trailers\r\n";
    let answer = world.send_raw((head(fields) + body).as_bytes()).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let hit: Recorded = world.recorder().requests().remove(0);
    let text = String::from_utf8_lossy(&hit.bytes).to_lowercase();
    for forged in ["forged", "6.6.6.6", "doorman_pass", "for=x", "bearer x", "a=b", "evil"] {
        assert!(!text.contains(forged), "{forged}: {text}");
    }
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_large_get_431_and_cost_nothing() {
    let world = World::start().await;
    world.send(get("/r/eu/echo/warm").as_user("alice")).await;
    let (_, before) = world.api(0).memory();
    let many: String = (0..1000).map(|n| format!("X-{n}: y\r\n")).collect();
    let large = format!("X-Large: {}\r\n", "y".repeat(64 << 10));
    let huge = format!("X-Huge: {}\r\n", "y".repeat(5 << 20));
    for fields in [many, large, huge] {
        let answer = world.assert_raw_rejected(head(&fields).as_bytes()).await;
        assert_eq!(answer.status(), 431, "{answer:?}");
    }
    let long = format!("/r/eu/target/public/{}", "y".repeat(70 << 10));
    let answer = world.assert_raw_rejected(&get(&long).as_user("dave").to_bytes()).await;
    assert!([0, 414, 431].contains(&answer.status()), "{answer:?}");
    let (_, after) = world.api(0).memory();
    assert!(after - before < 16 << 20, "{before} → {after}");
    world.assert_every_hit_was_written_down().await;
}

/// Doorman adds headers of its own. A head that just fits `api` must fit the proxy too, or be refused before it is sent.
#[tokio::test(flavor = "multi_thread")]
async fn heads_just_below_the_limits_arrive_whole_or_are_refused_by_doorman() {
    let world = World::start().await;
    for count in [60, 80, 85, 86, 87, 88, 90, 95, 97] {
        let request =
            (0..count).fold(get("/r/eu/target/a").as_user("dave"), |r, n| r.header(&format!("X-{n}"), "y"));
        check_near_limit(&world, request, &format!("{count} headers")).await;
    }
    for size in [40 << 10, 56 << 10, 60 << 10, 62 << 10, 63 << 10] {
        let request = get("/r/eu/target/a").as_user("dave").header("X-Large", &"y".repeat(size));
        check_near_limit(&world, request, &format!("{size} bytes")).await;
    }
    world.assert_every_hit_was_written_down().await;
}

async fn check_near_limit(world: &World, request: crate::world::Request, what: &str) {
    let before = world.recorder().requests().len();
    let answer = world.send(request).await;
    let hits = world.recorder().requests().len() - before;
    let is_own = answer.head.field("doorman-instance").is_none();
    match answer.status() {
        200 => assert!(hits == 1 && !is_own, "{what}: {answer:?}"),
        // Refused by the listener: nobody was asked, and no service is named.
        431 if answer.head.field("doorman-audit-id").is_none() => assert_eq!(hits, 0, "{what}"),
        413 | 431 => assert!(hits == 0 && answer.head.field("doorman-error").is_some(), "{what}: {answer:?}"),
        _ => panic!("{what}: {answer:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_behind_an_answer_never_reach_the_next_user() {
    let world = World::start().await;
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Evil: 1\r\n\r\nevil";
    for _ in 0..5 {
        world.recorder().next(Reply::raw(format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood{evil}")));
        let answer = world.send(get("/r/eu/target/public/a").as_user("alice")).await;
        assert!(answer.status() == 200 && answer.text() == "good", "{answer:?}");
        let answer = world.send(get("/r/eu/target/b").as_user("dave")).await;
        assert!(answer.status() == 200 && answer.text() == "recorded", "{answer:?}");
        // The same with the second answer a moment later, when the connection is idle.
        let reply = Reply::ok("good").pause(Duration::from_millis(20)).then(evil);
        world.recorder().next(reply);
        let answer = world.send(get("/r/eu/target/public/a").as_user("alice")).await;
        assert!(answer.status() == 200 && answer.text() == "good", "{answer:?}");
        tokio::time::sleep(Duration::from_millis(60)).await;
        let answer = world.send(get("/r/eu/target/b").as_user("dave")).await;
        assert!(answer.status() == 200 && answer.text() == "recorded", "{answer:?}");
    }
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_broken_end_broken_and_are_told_so() {
    let world = World::start().await;
    let broken = [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[200, 502][..],
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", &[502]),
        ("HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\nhello", &[502]),
        ("HTTP/1.1 20 OK\r\n\r\n", &[502]),
        ("nonsense\r\n\r\n", &[502]),
        ("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", &[502]),
        ("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", &[200, 502]),
    ];
    for (bytes, expected) in broken {
        world.recorder().next(Reply::raw(bytes).close());
        let answer = world.send(post("/r/eu/target/a", "x").as_user("dave")).await;
        assert!(expected.contains(&answer.status()), "{bytes}: {answer:?}");
        let outcome = world.outcome(answer.head.field("doorman-audit-id").unwrap()).await;
        assert!(["done", "unknown"].contains(&outcome.text("state")), "{outcome:?}");
        assert!(answer.status() != 502 || outcome.text("state") == "unknown", "{outcome:?}");
    }
    world.recorder().next(Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort").close());
    let answer = world.send(get("/r/eu/target/a").as_user("dave")).await;
    assert!(!answer.complete && answer.text() == "short", "{answer:?}");
    let outcome = world.outcome(answer.head.field("doorman-audit-id").unwrap()).await;
    assert_eq!((outcome.text("state"), outcome.text("error")), ("unknown", "response_broken"), "{outcome:?}");
    world.assert_every_hit_was_written_down().await;
}
