//! `doorman audit`.

use crate::fake::{AUDIT_ID, Fake};
use crate::shell::Shell;

#[test]
fn every_filter_reaches_the_server() {
    let fake = Fake::start();
    let filters = [
        ("actor", "user:alice"),
        ("subject", "bob"),
        ("region", "eu"),
        ("service", "echo"),
        ("instance", "echo-1"),
        ("method", "POST"),
        ("path", "/a b"),
        ("status", "5xx"),
        ("outcome", "done"),
        ("kind", "request"),
        ("run", "r1"),
        ("from", "2026-01-01T00:00:00Z"),
        ("to", "2026-02-01T00:00:00Z"),
        ("q", "x&y"),
        ("limit", "5"),
        ("cursor", "c"),
    ];
    let mut args = vec!["audit".to_owned(), "list".to_owned()];
    for (name, value) in filters {
        args.extend([format!("--{name}"), value.to_owned()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Shell::logged_in(&fake.url).run(&args).ok();
    let uri = url::Url::parse(&format!("http://d{}", fake.last().uri)).unwrap();
    let mut sent: Vec<_> = uri.query_pairs().into_owned().collect();
    let mut wanted: Vec<_> = filters.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    sent.sort();
    wanted.sort();
    assert_eq!(sent, wanted);
}

#[test]
fn entries_are_one_line_each_and_say_how_to_go_on() {
    let fake = Fake::start();
    let ended = Shell::logged_in(&fake.url).run(&["audit", "list"]);
    assert!(ended.stderr.contains("--cursor n3xt"), "{ended:?}");
    insta::assert_snapshot!("audit_list", ended.ok());
}

#[test]
fn an_entry_is_shown_whole_and_moves_no_cursor() {
    let fake = Fake::start();
    let told = Shell::logged_in(&fake.url).run(&["audit", "show", AUDIT_ID]).ok();
    assert!(!told.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{told:?}");
    assert_eq!(fake.last().uri, format!("/api/v1/audit/{AUDIT_ID}"));
    insta::assert_snapshot!("audit_show", told);
}
