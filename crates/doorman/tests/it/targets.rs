//! Where a request goes can be read in one way only, or it goes nowhere.
//!
//! On `target` alice may GET below `/public/`; dave may do everything.

use crate::world::{World, code_of, get, request};

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_could_be_read_in_two_ways_are_refused() {
    let world = World::start().await;
    let mut answers = Vec::new();
    let ambiguous = [
        "/public/../admin",
        "/public/./a",
        "/public/..",
        "/public/.",
        "/admin/.",
        "/public/%2e%2e/admin",
        "/public/%2E./admin",
        "/public/.%2e/admin",
        "/public/..;/admin",
        "/public/..;x=1/admin",
        "/public/%2e%2e;x/admin",
        "/public//admin",
        "//admin",
        "/public/..%2fadmin",
        "/public/%2Fadmin",
        "/public/%5c..%5cadmin",
        "/public/a%5Cb",
        "/public/%00",
        "/public/%0a",
        "/public/%0d%0aX:%20y",
        "/public/%1b",
        "/public/%7f",
        "/public/%c0%af",
        "/public/%ff",
        "/public/%e2%80",
        "/public/%ed%a0%80",
        "/public/%",
        "/public/%2",
        "/public/%zz",
        "/public/%u002e",
    ];
    for path in ambiguous {
        // Dave's policy permits any path: only the parser stands in the way.
        let answer = world.assert_rejected(get(&format!("/r/eu/target{path}")).as_user("dave")).await;
        assert_eq!(
            (answer.status(), code_of(&answer).as_str()),
            (400, "ambiguous_path"),
            "{path}: {answer:?}"
        );
        answers.push(answer);
    }
    world.assert_denied(&answers).await;
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_bytes_and_fragments_in_the_request_line_are_refused() {
    let world = World::start().await;
    let credentials = "Host: localhost\r\nAuthorization: Basic ZGF2ZTpkYXZlLWRlbW8=\r\n\r\n";
    let lines: [&[u8]; 11] = [
        b"GET /r/eu/target/public\\..\\admin HTTP/1.1\r\n",
        b"GET /r/eu/target/public/\xc3\xa9 HTTP/1.1\r\n",
        b"GET /r/eu/target/public/\x80 HTTP/1.1\r\n",
        b"GET /r/eu/target/public/\x00 HTTP/1.1\r\n",
        b"GET /r/eu/target/public/\x7f HTTP/1.1\r\n",
        b"GET /r/eu/target/public/a b HTTP/1.1\r\n",
        b"GET /r/eu/target/public/a#/../admin HTTP/1.1\r\n",
        b"GET /r/eu/target/admin#/public/ HTTP/1.1\r\n",
        b"GET /r/eu/target/public/a?x=1#y HTTP/1.1\r\n",
        b"GET /r/eu/target/public/a?x=\xff HTTP/1.1\r\n",
        b"GET /r/eu/target/public/a?x=\x01 HTTP/1.1\r\n",
    ];
    for line in lines {
        let answer = world.assert_raw_rejected(&[line, credentials.as_bytes()].concat()).await;
        assert_eq!(answer.status(), 400, "{}: {answer:?}", String::from_utf8_lossy(line));
    }
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fragment_is_seen_however_its_request_line_is_cut_up() {
    let world = World::start().await;
    let bytes = get("/r/eu/target/public/a#/../admin").as_user("dave").to_bytes();
    for cut in [5, 22, 24, 25, 26, 30] {
        let mut client = world.connect_to(0).await.unwrap();
        let (first, second) = bytes.split_at(cut);
        client.send(first).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        client.send(second).await.unwrap();
        let answer = client.read_answer(crate::world::DEADLINE).await;
        assert_eq!(answer.status(), 400, "cut at {cut}: {answer:?}");
    }
    // Behind another request on the same connection, in one packet.
    let mut client = world.connect_to(0).await.unwrap();
    client.send(&[get("/r/eu/echo/one").as_user("alice").to_bytes(), bytes].concat()).await.unwrap();
    assert_eq!(client.read_answer(crate::world::DEADLINE).await.status(), 200);
    assert_eq!(client.read_answer(crate::world::DEADLINE).await.status(), 400);
    assert!(world.recorder().is_untouched());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_looks_like_a_permitted_path_is_not_permitted() {
    let world = World::start().await;
    let mut answers = Vec::new();
    let others = [
        "/admin",
        "/ADMIN",
        "/admin;x",
        "/admin%20",
        "/admin?x=/public/",
        "/admin?/public/a",
        "/Public/a",
        "/public",
        "/public;/a",
        "/%252e%252e%252fadmin",
        "/%2570ublic/a",
    ];
    for path in others {
        let answer = world.assert_rejected(get(&format!("/r/eu/target{path}")).as_user("alice")).await;
        assert_eq!((answer.status(), code_of(&answer).as_str()), (403, "forbidden"), "{path}: {answer:?}");
        answers.push(answer);
    }
    world.assert_denied(&answers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn permitted_paths_arrive_to_the_byte() {
    let world = World::start().await;
    let paths = [
        "/public/%252e%252e%252fadmin",
        "/public/%41%2d%7E",
        "/%70ublic/a",
        "/public/%e2%82%ac",
        "/public/a;b=c/d,e=f",
        "/public/a%20b+c",
        "/public/...",
        "/public/a@b:c!$&'()*",
        "/public/a/",
        "/public/a?",
        "/public/a?x=/../&y=%2F%00;z=//&u[]=1&{}|^`\\",
    ];
    for path in paths {
        let answer = world.send(get(&format!("/r/eu/target{path}")).as_user("alice")).await;
        assert_eq!(answer.status(), 200, "{path}: {answer:?}");
    }
    let got: Vec<String> = world.recorder().requests().iter().map(|hit| hit.target().to_owned()).collect();
    assert_eq!(got, paths);
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_ordinary_methods_pass() {
    let world = World::start().await;
    for method in ["get", "Get", "TRACE", "GETX", "PURGE", "PROPFIND", "_", "G3T"] {
        let answer = world.assert_rejected(request(method, "/r/eu/target/public/a").as_user("dave")).await;
        assert_eq!(answer.status(), 405, "{method}: {answer:?}");
    }
    for target in ["localhost:80", "/r/eu/target/public/a", "*"] {
        world.assert_rejected(request("CONNECT", target).as_user("dave")).await;
    }
    world.assert_rejected(request("OPTIONS", "*").as_user("dave")).await;
    world.assert_raw_rejected(&request("GE T", "/r/eu/target/public/a").as_user("dave").to_bytes()).await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let answer = world.send(request(method, "/r/eu/target/any").as_user("dave")).await;
        assert_eq!(answer.status(), 200, "{method}: {answer:?}");
    }
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_names_one_plain_host_and_the_service_sees_its_own() {
    let world = World::start().await;
    let auth = "Authorization: Basic ZGF2ZTpkYXZlLWRlbW8=\r\n";
    let heads = [
        format!("GET http://localhost/r/eu/target/public/a HTTP/1.1\r\nHost: localhost\r\n{auth}\r\n"),
        format!("GET http://evil/r/eu/target/public/a HTTP/1.1\r\nHost: localhost\r\n{auth}\r\n"),
        format!("GET //evil/r/eu/target/public/a HTTP/1.1\r\nHost: localhost\r\n{auth}\r\n"),
        format!("GET /r/eu/target/public/a HTTP/1.1\r\n{auth}\r\n"),
        format!("GET /r/eu/target/public/a HTTP/1.1\r\nHost:\r\n{auth}\r\n"),
        format!("GET /r/eu/target/public/a HTTP/1.1\r\nHost: a\r\nHost: a\r\n{auth}\r\n"),
        format!("GET /r/eu/target/public/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n{auth}\r\n"),
        format!("GET /r/eu/target/public/a HTTP/1.1\r\nHost: a@b\r\n{auth}\r\n"),
        format!("GET /r/eu/target/public/a HTTP/1.1\r\nHost: a/b\r\n{auth}\r\n"),
        format!("GET /r/eu/target/public/a HTTP/1.1\r\nHost: a, b\r\n{auth}\r\n"),
        format!("GET /r/eu/target/public/a HTTP/1.0\r\n{auth}\r\n"),
        format!("GET r/eu/target/public/a HTTP/1.1\r\nHost: localhost\r\n{auth}\r\n"),
    ];
    for head in heads {
        world.assert_raw_rejected(head.as_bytes()).await;
    }
    let answer =
        world.send(get("/r/eu/target/public/a").as_user("dave").header("Host", "evil.example:1")).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let hit = world.recorder().requests().remove(0);
    assert_eq!(hit.head.all("host").collect::<Vec<_>>(), [world.recorder().addr().to_string()]);
    assert_eq!(hit.head.field("x-forwarded-host"), Some("evil.example:1"));
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_rename_path_or_method_have_no_effect_and_end_here() {
    let world = World::start().await;
    let renamed = |request: crate::world::Request| {
        ["X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-Uri", "X-Forwarded-Prefix"]
            .into_iter()
            .fold(request, |request, name| request.header(name, "/public/a"))
            .header("X-Http-Method-Override", "DELETE")
            .header("X-HTTP-Method", "DELETE")
            .header("X-Method-Override", "DELETE")
            .header("X-Forwarded-Method", "GET")
            .header("Forwarded", "for=1.2.3.4;host=public")
    };
    let answer = world.assert_rejected(renamed(get("/r/eu/target/admin").as_user("alice"))).await;
    assert_eq!(code_of(&answer), "forbidden");
    let answer = world.send(renamed(get("/r/eu/target/public/b").as_user("alice"))).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let hit = world.recorder().requests().remove(0);
    assert_eq!((hit.method(), hit.target()), ("GET", "/public/b"));
    for name in [
        "x-original-url",
        "x-rewrite-url",
        "x-original-uri",
        "x-forwarded-uri",
        "x-forwarded-prefix",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-forwarded-method",
        "forwarded",
    ] {
        assert_eq!(hit.head.field(name), None, "{name}");
    }
    let attempt = world.entry(answer.head.field("doorman-audit-id").unwrap()).await;
    assert_eq!(attempt.text("method"), "GET");
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_nobody_gave_are_unknown_and_each_says_what() {
    let world = World::start().await;
    let mut answers = Vec::new();
    for (target, code) in [
        ("/r/EU/target/a", "unknown_region"),
        ("/r/eu./target/a", "unknown_region"),
        ("/r/%65u/target/a", "unknown_region"),
        ("/r/%d0%b5u/target/a", "unknown_region"),
        ("/r/us/target/a", "unknown_region"),
        ("/r//target/a", "unknown_region"),
        ("/r/eu/Target/a", "unknown_service"),
        ("/r/eu/target./a", "unknown_service"),
        ("/r/eu/t%d0%b0rget/a", "unknown_service"),
        ("/r/eu/nothing/a", "unknown_service"),
        ("/r/eu/@rec-1/a", "unknown_service"),
        ("/r/eu/target@REC-1/a", "unknown_instance"),
        ("/r/eu/target@rec-2/a", "unknown_instance"),
        ("/r/eu/target@/a", "unknown_instance"),
        ("/r/eu/target@rec-1@rec-1/a", "unknown_instance"),
        ("/r/eu/target@rec%2d1/a", "unknown_instance"),
        ("/r/eu", "not_found"),
        ("/r/", "not_found"),
    ] {
        let answer = world.assert_rejected(get(target).as_user("operator-of-all")).await;
        // Whoever is not known learns nothing of what there is.
        assert!([401, 404].contains(&answer.status()), "{target}: {answer:?}");
        let answer = world.assert_rejected(get(target).as_user("dave")).await;
        let told = (answer.status(), code_of(&answer));
        // What no policy of the caller speaks of is forbidden before it is missing.
        assert!(
            told == (404, code.to_owned()) || told == (403, "forbidden".to_owned()),
            "{target}: {answer:?}"
        );
        answers.push(answer);
    }
    for target in ["/r/eu/t\u{430}rget/a", "/r/\u{435}u/target/a"] {
        world.assert_rejected(get(target).as_user("dave")).await;
    }
    world.assert_every_hit_was_written_down().await;
}
