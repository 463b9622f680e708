//! `doorman request`: what arrives at the door, and what comes back.

use crate::fake::{AUDIT_ID, Fake, TOKEN};
use crate::shell::Shell;

#[test]
fn a_request_arrives_as_it_was_written() {
    let fake = Fake::start();
    let shell = Shell::logged_in(&fake.url);
    let args = [
        "request",
        "POST",
        "eu/echo@echo-1/a%20b;c?x=%2F&y=a+b",
        "-H",
        "X-One: 1",
        "-H",
        "x-one:2",
        "-d",
        "{\"a\":1}",
        "--reason",
        "ticket 4711",
    ];
    let ended = shell.run(&args);
    let seen = fake.last();
    assert_eq!((seen.method.as_str(), seen.uri.as_str()), ("POST", "/r/eu/echo@echo-1/a%20b;c?x=%2F&y=a+b"));
    assert_eq!(seen.headers.get_all("x-one").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("doorman-reason"), Some("ticket 4711"));
    assert!(seen.header("user-agent").unwrap().starts_with("doorman-cli/"));
    assert_eq!(seen.body, "{\"a\":1}");
    // To a pipe goes what came, to the byte; the rest is beside it.
    assert!(
        ended.stderr.contains("200 OK") && ended.stderr.contains(AUDIT_ID) && ended.stderr.contains("echo-1")
    );
    assert_eq!(ended.ok(), "hel\u{1b}[31mlo\n");
}

#[test]
fn a_body_comes_from_a_file_or_from_standard_input() {
    let fake = Fake::start();
    let shell = Shell::logged_in(&fake.url);
    shell.write("body.txt", "from a file");
    shell.run(&["request", "PUT", "eu/echo/", "-d", "@body.txt"]).ok();
    assert_eq!((fake.last().body.as_str(), fake.last().header("content-type")), ("from a file", None));
    shell.run_with_input(&["request", "PUT", "eu/echo/", "-d", "@-"], "from a pipe").ok();
    assert_eq!(fake.last().body, "from a pipe");
    shell.run(&["request", "PUT", "eu/echo/", "-d", "@none"]).failed(1);
}

#[test]
fn what_a_url_library_would_repair_is_refused_before_anything_is_sent() {
    let fake = Fake::start();
    let shell = Shell::logged_in(&fake.url);
    for target in ["eu/echo/../x", "eu/echo/a\\b", "eu/echo/a b", "eu", "http://evil.example/", "eu/echo/#x"]
    {
        let told = shell.run(&["request", "GET", target]).failed(1);
        assert!(told.contains("cannot be sent as it stands"), "{told}");
    }
    assert_eq!(fake.count(), 0);
}

#[test]
fn a_refusal_says_what_to_do_next_and_where_it_is_on_record() {
    let fake = Fake::start();
    let told = Shell::logged_in(&fake.url).run(&["request", "GET", "eu/echo/forbidden"]).failed(4);
    assert!(told.contains("(reason_required)") && told.contains("next: give --reason TEXT"), "{told}");
    assert!(told.contains(&format!("doorman audit show {AUDIT_ID}")) && !told.contains('\u{1b}'), "{told}");
}

#[test]
fn an_error_of_the_service_is_an_answer_unless_fail_is_asked_for() {
    let fake = Fake::start();
    let shell = Shell::logged_in(&fake.url);
    assert_eq!(shell.run(&["request", "GET", "eu/echo/teapot"]).ok(), "short and stout");
    let ended = shell.run(&["request", "GET", "eu/echo/teapot", "--fail", "--quiet"]);
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (22, "short and stout", ""));
}

#[test]
fn redirects_are_shown_and_nothing_is_unpacked() {
    let fake = Fake::start();
    let shell = Shell::logged_in(&fake.url);
    let told = shell.run(&["request", "GET", "eu/echo/elsewhere", "--include"]).ok();
    assert!(told.starts_with("HTTP/1.1 302 Found\n") && told.contains("location: /r/eu/echo/\n"), "{told}");
    assert_eq!(shell.run(&["request", "GET", "eu/echo/gzip"]).ok(), "not unpacked");
    assert_eq!(fake.count(), 2);
}

#[test]
fn json_tells_all_of_an_answer() {
    let fake = Fake::start();
    let told = Shell::logged_in(&fake.url).run(&["request", "GET", "eu/echo/", "--json"]).ok();
    let value: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&value["status"], &value["audit_id"]), (&200.into(), &AUDIT_ID.into()));
    assert_eq!((&value["body"], &value["instance"]), (&"hel\u{1b}[31mlo\n".into(), &"echo-1".into()));
}
