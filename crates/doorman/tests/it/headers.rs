//! What crosses the door in headers: nothing of the client's that speaks for Doorman, nothing of a service's that acts
//! on Doorman's origin.

use crate::world::{DEADLINE, Entry, World, code_of, get, post, request};
use doorman_testkit::recorder::Reply;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_set_what_doorman_says() {
    let world = World::start().await;
    let reserved = [
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Anything",
        "X_Forwarded_For",
        "x.forwarded.for",
        "X-Forwarded_For",
        "Forwarded",
        "X-Real-IP",
        "X_Real_IP",
        "X-Request-Id",
        "x_request_id",
        "traceparent",
        "Doorman-Identity",
        "Doorman_Identity",
        "Doorman.Identity",
        "DOORMAN-IDENTITY",
        "Doorman-Pass",
        "Doorman_Pass",
        "Doorman-Audit-Id",
        "Doorman-Instance",
        "Doorman-Refusal",
        "Doorman-Error",
        "Doorman-Sent",
        "Doorman-Anything",
        "Doorman",
        "X-Original-Host",
        "X-Original-Method",
    ];
    let forged =
        reserved.iter().fold(post("/r/eu/target/a", "x").as_user("dave"), |r, name| r.header(name, "forged"));
    let answer = world.send(forged).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let hit = world.recorder().requests().remove(0);
    let text = String::from_utf8_lossy(&hit.bytes).to_lowercase();
    assert!(!text.contains("forged"), "{text}");
    // Doorman's own, each once.
    for name in [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-request-id",
        "traceparent",
        "doorman-identity",
    ] {
        assert_eq!(hit.head.all(name).count(), 1, "{name}: {text}");
    }
    assert_eq!(hit.head.field("x-forwarded-for"), Some("127.0.0.1"));
    assert!(hit.head.field("doorman-pass").is_none() && hit.head.field("authorization").is_none(), "{text}");
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hop_by_hop_and_connection_named_headers_end_here_and_doormans_own_cannot_be_named_away() {
    let world = World::start().await;
    let answer = world
        .send(
            post("/r/eu/target/a", "x")
                .as_user("dave")
                .header(
                    "Connection",
                    "X-Private, x-forwarded-for, Doorman-Identity, X-Request-Id, traceparent, keep-alive",
                )
                .header("Connection", "X-Also, Doorman-Pass, Authorization")
                .header("X-Private", "1")
                .header("X-Also", "1")
                .header("Keep-Alive", "timeout=5")
                .header("Proxy-Connection", "keep-alive")
                .header("Proxy-Authorization", "Basic x")
                .header("TE", "gzip")
                .header("Upgrade", "h2c")
                .header("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")
                .header("X-Kept", "one")
                .header("X-Kept", "two")
                .header("Cookie", "a=b; __Host-doorman=secret; doorman=secret"),
        )
        .await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let hit = world.recorder().requests().remove(0);
    for gone in [
        "x-private",
        "x-also",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "upgrade",
        "http2-settings",
        "connection",
        "authorization",
    ] {
        assert_eq!(hit.head.field(gone), None, "{gone}: {}", String::from_utf8_lossy(&hit.bytes));
    }
    for own in ["x-forwarded-for", "doorman-identity", "x-request-id", "traceparent"] {
        assert!(hit.head.field(own).is_some(), "{own}");
    }
    assert_eq!(hit.head.all("x-kept").collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(hit.head.field("cookie"), Some("a=b"));
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn authorization_goes_to_the_service_when_doorman_has_a_token_of_its_own() {
    let world = World::start().await;
    let token = world.login("dave").await;
    let both = get("/r/eu/target/a")
        .header("Doorman-Token", &token)
        .header("Authorization", "Bearer the-services-own");
    assert_eq!(world.send(both).await.status(), 200);
    let hit = world.recorder().requests().remove(0);
    assert_eq!(hit.head.field("authorization"), Some("Bearer the-services-own"));
    assert!(!String::from_utf8_lossy(&hit.bytes).contains(&token));
    for entry in world.journal().await {
        let text = entry.record.to_string();
        assert!(!text.contains(&token) && !text.contains("the-services-own"), "{text}");
    }
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_cannot_act_on_doormans_origin() {
    let world = World::start().await;
    let masked = [
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "__Host-doorman=stolen"),
        ("Clear-Site-Data", "\"*\""),
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Content-Security-Policy", "default-src *"),
        ("Content-Security-Policy-Report-Only", "default-src *"),
        ("Strict-Transport-Security", "max-age=0"),
        ("Service-Worker-Allowed", "/"),
        ("NEL", "{}"),
        ("Report-To", "{}"),
        ("Reporting-Endpoints", "x"),
        ("Alt-Svc", "h3=\":443\""),
    ];
    let dropped = [
        ("Doorman-Audit-Id", "forged"),
        ("Doorman-Error", "forged"),
        ("Doorman-Instance", "forged"),
        ("Doorman-Refusal", "forged"),
        ("Doorman-Service-X", "forged"),
        ("Doorman_Audit_Id", "forged"),
        ("Connection", "X-Private"),
        ("X-Private", "forged"),
        ("Keep-Alive", "forged"),
        ("Proxy-Authenticate", "forged"),
    ];
    let fields: String =
        masked.iter().chain(&dropped).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let hardly = "X-Content-Type-Options: none\r\nContent-Type: text/html\r\nX-Own: yes\r\nWWW-Authenticate: Basic\r\n";
    world
        .recorder()
        .next(Reply::raw(format!("HTTP/1.1 200 OK\r\n{fields}{hardly}Content-Length: 2\r\n\r\nok")));
    let answer = world.send(get("/r/eu/target/a").as_user("dave")).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    for (name, value) in masked {
        let name = name.to_ascii_lowercase();
        assert!(
            name == "content-security-policy" || answer.head.field(&name).is_none(),
            "{name}: {answer:?}"
        );
        assert!(
            answer.head.all(&format!("doorman-service-{name}")).any(|v| v == value),
            "{name}: {answer:?}"
        );
    }
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("forged"), "{answer:?}");
    assert_eq!(answer.head.all("content-security-policy").collect::<Vec<_>>(), ["sandbox"]);
    assert_eq!(answer.head.all("x-content-type-options").collect::<Vec<_>>(), ["nosniff"]);
    assert_eq!(answer.head.field("doorman-instance"), Some("rec-1"));
    assert_eq!(answer.head.field("x-own"), Some("yes"));
    // A challenge would make browsers ask for a password on Doorman's own origin.
    assert_eq!(answer.head.field("www-authenticate"), None, "{answer:?}");
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doormans_own_answers_are_inert_in_a_browser() {
    let world = World::start().await;
    let answers = [
        world.send(get("/r/eu/target/admin").as_user("alice")).await,
        world.send(get("/r/eu/target/admin")).await,
        world.send(get("/r/nowhere/target/admin").as_user("alice")).await,
        world.send(get("/nothing-here")).await,
        world.send(get("/auth/v1/me")).await,
        world.send(post("/auth/v1/login", "{")).await,
        world.send(get("/api/v1/regions").as_user("alice")).await,
        world.send(get("/r/eu/echo@all/x").as_user("alice")).await,
    ];
    for answer in answers {
        let policy = answer.head.field("content-security-policy").unwrap_or_default();
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-inline"), "{answer:?}");
        assert_eq!(answer.head.field("x-content-type-options"), Some("nosniff"), "{answer:?}");
        assert_eq!(answer.head.field("cache-control"), Some("no-store"), "{answer:?}");
        assert_eq!(answer.head.field("www-authenticate"), None, "{answer:?}");
        let kind = answer.head.field("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/"), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_end_with_their_head() {
    let world = World::start().await;
    let mut client = world.connect_to(0).await.unwrap();
    world.recorder().next(Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nETag: \"x\"\r\n\r\n"));
    client.send(&request("HEAD", "/r/eu/target/a").as_user("dave").to_bytes()).await.unwrap();
    let answer = client.read_answer_to_head(DEADLINE).await;
    assert_eq!((answer.status(), answer.head.field("content-length")), (200, Some("1234")), "{answer:?}");
    for (bytes, status) in [
        ("HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", 204),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"x\"\r\n\r\n", 304),
        ("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", 205),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
    ] {
        world.recorder().next(Reply::raw(bytes));
        client.send(&get("/r/eu/target/a").as_user("dave").to_bytes()).await.unwrap();
        let answer = client.read_answer(DEADLINE).await;
        assert!(answer.status() == status && answer.complete && answer.body.is_empty(), "{answer:?}");
        let id = answer.head.field("doorman-audit-id").unwrap();
        let outcome = world.outcome(id).await;
        assert_eq!((outcome.text("state"), outcome.record["status"].as_u64()), ("done", Some(status.into())));
    }
    // The connection still serves.
    client.send(&get("/r/eu/target/a").as_user("dave").to_bytes()).await.unwrap();
    assert_eq!(client.read_answer(DEADLINE).await.text(), "recorded");
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_handed_back_and_never_followed() {
    let world = World::plan().recorders(2).start().await;
    let elsewhere = format!("http://{}/stolen", world.recorder_of("eu", "rec-2").addr());
    for status in
        ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let reply = format!("HTTP/1.1 {status}\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n");
        world.recorder_of("eu", "rec-1").next(Reply::raw(reply));
        let answer = world.send(post("/r/eu/target@rec-1/a", "secret").as_user("dave")).await;
        assert_eq!(answer.head.field("location"), Some(elsewhere.as_str()), "{answer:?}");
    }
    assert!(world.recorder_of("eu", "rec-2").is_untouched());
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_100_continue_gets_it_and_who_is_refused_does_not() {
    let world = World::start().await;
    let expecting = |user: &str| {
        post("/r/eu/target/a", "")
            .as_user(user)
            .header("Expect", "100-continue")
            .header("Content-Length", "5")
            .to_bytes()
    };
    let mut client = world.connect_to(0).await.unwrap();
    client.send(&expecting("dave")).await.unwrap();
    let interim = client.read_some(DEADLINE).await;
    assert!(interim.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&interim));
    client.send(b"hello").await.unwrap();
    assert_eq!(client.read_answer(DEADLINE).await.status(), 200);
    assert_eq!(world.recorder().requests()[0].body, b"hello");
    let mut client = world.connect_to(0).await.unwrap();
    client.send(&expecting("alice")).await.unwrap();
    let refusal = client.read_some(DEADLINE).await;
    assert!(refusal.starts_with(b"HTTP/1.1 403"), "{}", String::from_utf8_lossy(&refusal));
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_of_a_service_do_not_confuse_the_final_one() {
    let world = World::start().await;
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    world.recorder().next(Reply::ok("final").at_head(interim));
    let answer = world.send(post("/r/eu/target/a", "x").as_user("dave")).await;
    assert_eq!((answer.status(), answer.text().as_str()), (200, "final"), "{answer:?}");
    // An answer before the body is read.
    let early = "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly";
    world.recorder().next(Reply::default().at_head(early).close_at_head());
    let answer = world.send(post("/r/eu/target/a", "x".repeat(1 << 20)).as_user("dave")).await;
    assert!([413, 502].contains(&answer.status()), "{answer:?}");
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_credentials_are_not_taken_from_a_browser() {
    let world = World::start().await;
    for (name, value) in
        [("Origin", "http://localhost"), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "navigate")]
    {
        let answer = world.assert_rejected(get("/r/eu/target/a").as_user("dave").header(name, value)).await;
        assert_eq!((answer.status(), code_of(&answer).as_str()), (401, "unauthenticated"), "{answer:?}");
    }
    let cookie =
        get("/r/eu/target/a").header("Cookie", &format!("__Host-doorman={}", world.login("dave").await));
    assert_eq!(world.assert_rejected(cookie).await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_attempt_is_in_the_journal_while_the_service_still_thinks() {
    let world = World::start().await;
    world.recorder().next(
        Reply::default().pause(Duration::from_secs(2)).then("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    );
    let mut client = world.connect_to(0).await.unwrap();
    client.send(&post("/r/eu/target/a", "x").as_user("dave").to_bytes()).await.unwrap();
    let hit = world.recorder().wait_for(1, DEADLINE).await.unwrap().remove(0);
    let attempt: Entry = world.entry(hit.head.field("x-request-id").unwrap()).await;
    assert_eq!((attempt.text("decision"), attempt.text("method")), ("permit", "POST"));
    let outcomes = world.entries(|entry| entry.text("kind") == "outcome").await;
    assert!(outcomes.is_empty(), "{outcomes:?}");
    assert_eq!(client.read_answer(DEADLINE).await.status(), 200);
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_instances_answer_in_one_array_and_each_has_an_entry() {
    let world = World::plan().recorders(3).start().await;
    world
        .recorder_of("eu", "rec-2")
        .next(Reply::raw("HTTP/1.1 500 No\r\nContent-Length: 0\r\nX-Y: z\r\n\r\n"));
    let answer = world.send(post("/r/eu/target@all/a?b=c", "body").as_user("dave")).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let all: Vec<serde_json::Value> = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(all.len(), 3);
    for (element, expected) in all.iter().zip([("rec-1", 200), ("rec-2", 500), ("rec-3", 200)]) {
        assert_eq!((element["instance"].as_str().unwrap(), element["status"].as_u64().unwrap()), expected);
        let attempt = world.entry(element["audit_id"].as_str().unwrap()).await;
        assert_eq!(attempt.text("instance"), expected.0);
        assert!(element["duration_ms"].is_u64() && element["headers"].is_object(), "{element}");
    }
    assert_eq!(all[1]["headers"]["x-y"], "z");
    assert_eq!(all[0]["body"], "recorded");
    world.assert_rejected_more(3, post("/r/eu/target@all/a", "x").as_user("alice")).await;
    world.assert_rejected_more(3, post("/r/eu/target@all/a", "x".repeat(100 << 10)).as_user("dave")).await;
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_is_asked_for_where_policy_wants_one_and_is_written_down() {
    let policy = r#"@id("with-reason") permit (principal in Group::"oncall", action == Action::"request", resource in ServiceName::"target")
        when { context has reason };"#;
    let world = World::plan().policy("reason.cedar", policy).start().await;
    let answer = world.assert_rejected(post("/r/eu/target/a", "x").as_user("bob")).await;
    assert_eq!((answer.status(), code_of(&answer).as_str()), (403, "reason_required"), "{answer:?}");
    for empty in ["", "   "] {
        let answer = world
            .assert_rejected(post("/r/eu/target/a", "x").as_user("bob").header("Doorman-Reason", empty))
            .await;
        assert_eq!(code_of(&answer), "reason_required", "{answer:?}");
    }
    let twice = post("/r/eu/target/a", "x")
        .as_user("bob")
        .header("Doorman-Reason", "a")
        .header("Doorman-Reason", "b");
    assert_eq!(world.assert_rejected(twice).await.status(), 400);
    let answer = world
        .send(post("/r/eu/target/a", "x").as_user("bob").header("Doorman-Reason", "ticket é 4711"))
        .await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let attempt = world.entry(answer.head.field("doorman-audit-id").unwrap()).await;
    assert_eq!(attempt.text("reason"), "ticket é 4711");
    assert!(world.recorder().requests()[0].head.field("doorman-reason").is_none());
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_is_told_where_the_time_went() {
    let world = World::start().await;
    let forged = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDoorman-Timing: log;dur=99999\r\n\r\n";
    world.recorder().always(Reply::raw(forged));
    let asked = get("/r/eu/target/a").as_user("dave").header("Doorman-Timing", "1");
    let answer = world.send(asked).await;
    let told = answer.head.field("doorman-timing").unwrap().to_owned();
    let names: Vec<_> = told.split(", ").map(|part| part.split(";dur=").next().unwrap()).collect();
    assert_eq!(names, ["door", "log", "region"], "{told}");
    let times = told.split(", ").map(|part| part.split(";dur=").nth(1).unwrap().parse::<f64>().unwrap());
    assert!(times.into_iter().all(|ms| (0.0..60_000.0).contains(&ms)), "{told}");
    assert_eq!(world.recorder().requests().remove(0).head.field("doorman-timing"), None);
    let answer = world.send(get("/r/eu/target/a").as_user("dave")).await;
    assert_eq!(answer.head.field("doorman-timing"), None);
}
