use super::*;
use proptest::prelude::*;

fn path_of(path: &str) -> Result<String, TargetError> {
    Target::parse(&format!("/r/eu/echo{path}"), None).map(|target| target.policy_path().to_owned())
}

#[test]
fn a_target_is_read_in_its_parts() {
    let target = Target::parse("/r/eu/echo@echo-1/a/b%20c", Some("x=1&y=%2F")).unwrap();
    assert_eq!((target.region(), target.service()), ("eu", "echo"));
    assert_eq!(target.selector(), &Selector::Instance("echo-1".into()));
    assert_eq!(target.path_and_query(), "/a/b%20c?x=1&y=%2F");
    assert_eq!(target.door_path_and_query(), "/r/eu/echo@echo-1/a/b%20c?x=1&y=%2F");
    assert_eq!(Target::parse("/r/eu/echo", None).unwrap().path(), "/");
}

#[test]
fn ambiguous_paths_are_refused() {
    for (path, why) in [
        ("/a/../b", Ambiguity::DotSegment),
        ("/a/.", Ambiguity::DotSegment),
        ("/a/%2e%2E/b", Ambiguity::DotSegment),
        ("/a/.%2e", Ambiguity::DotSegment),
        ("/a/..;x=1/b", Ambiguity::DotSegment),
        ("/a//b", Ambiguity::EmptySegment),
        ("//", Ambiguity::EmptySegment),
        ("/a%2fb", Ambiguity::Slash),
        ("/a%5Cb", Ambiguity::Slash),
        ("/a\\b", Ambiguity::Slash),
        ("/a%00", Ambiguity::Control),
        ("/a%0a", Ambiguity::Control),
        ("/a b", Ambiguity::Control),
        ("/a\u{7f}", Ambiguity::Control),
        ("/a%", Ambiguity::Percent),
        ("/a%2", Ambiguity::Percent),
        ("/a%zz", Ambiguity::Percent),
        ("/a%+1", Ambiguity::Percent),
        ("/%c0%af", Ambiguity::Encoding),
        ("/%ff", Ambiguity::Encoding),
        ("/é", Ambiguity::Encoding),
        ("/a#b", Ambiguity::Fragment),
    ] {
        assert_eq!(path_of(path), Err(TargetError::Path(why)), "{path}");
    }
}

#[test]
fn policy_sees_unreserved_characters_decoded_and_nothing_else() {
    for (path, seen) in [
        ("/%61dmin", "/admin"),
        ("/%252e%252e%252fadmin", "/%252e%252e%252fadmin"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a%20b", "/a%20b"),
        ("/a;x=1", "/a;x=1"),
        ("/ADMIN", "/ADMIN"),
        ("/...", "/..."),
        ("/a/", "/a/"),
    ] {
        assert_eq!(path_of(path).as_deref(), Ok(seen), "{path}");
    }
}

#[test]
fn a_service_can_opt_in_to_encoded_slashes_and_to_nothing_more() {
    let parse =
        |path: &str| Target::parse_with(&format!("/r/eu/files{path}"), None, |_, service| service == "files");
    assert_eq!(parse("/a%2fb").unwrap().policy_path(), "/a%2Fb");
    assert_eq!(parse("/a%2fb").unwrap().path(), "/a%2fb");
    for (path, why) in [
        ("/a%2f..%2fb", Ambiguity::DotSegment),
        ("/%2e%2e%2fb", Ambiguity::DotSegment),
        ("/a%2F%2fb", Ambiguity::EmptySegment),
        ("/a/%2fb", Ambiguity::EmptySegment),
        ("/a%5cb", Ambiguity::Slash),
    ] {
        assert_eq!(parse(path), Err(TargetError::Path(why)), "{path}");
    }
    assert_eq!(Target::parse("/r/eu/files/a%2fb", None), Err(TargetError::Path(Ambiguity::Slash)));
}

#[test]
fn names_that_only_look_alike_are_refused() {
    for (path, why) in [
        ("/r/EU/echo/", TargetError::Region),
        ("/r/еu/echo/", TargetError::Region),
        ("/r/eu./echo/", TargetError::Region),
        ("/r//echo/", TargetError::Region),
        ("/r/eu/Echo/", TargetError::Service),
        ("/r/eu/echo./", TargetError::Service),
        ("/r/eu/ech%6f/", TargetError::Service),
        ("/r/eu//", TargetError::Service),
        ("/r/eu/echo@/", TargetError::Instance),
        ("/r/eu/echo@a@b/", TargetError::Instance),
        ("/r/eu", TargetError::NotTheDoor),
        ("/x/eu/echo/", TargetError::NotTheDoor),
    ] {
        assert_eq!(Target::parse(path, None), Err(why), "{path}");
    }
    for query in ["a b", "a\u{1}", "é", "a#b"] {
        assert_eq!(Target::parse("/r/eu/echo/", Some(query)), Err(TargetError::Query), "{query}");
    }
}

/// Decodes everything once, as a lenient service might.
fn lenient(path: &str) -> Vec<u8> {
    let bytes = path.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match (bytes[at], pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

proptest! {
    #[test]
    fn what_policy_saw_is_what_is_forwarded(path in "(/([a-zA-Z0-9.;%~_\\-]|%[0-9a-fA-F]{2}){0,6}){1,5}", query in proptest::option::of("[ -~]{0,12}")) {
        let line = format!("/r/eu/echo{path}");
        if let Ok(target) = Target::parse(&line, query.as_deref()) {
            // Forwarded to the byte, and read back by the proxy as the same value.
            prop_assert_eq!(target.path(), path.as_str());
            let door = target.door_path_and_query();
            let (back_path, back_query) = match door.split_once('?') { Some((p, q)) => (p, Some(q)), None => (door.as_str(), None) };
            prop_assert_eq!(Target::parse(back_path, back_query), Ok(target.clone()));
            // A service that decodes everything sees what policy saw, decoded; and nowhere a way upwards.
            prop_assert_eq!(lenient(target.policy_path()), lenient(&path));
            let decoded = lenient(&path);
            let segments: Vec<Vec<u8>> = decoded.split(|b| *b == b'/').map(<[u8]>::to_vec).collect();
            prop_assert!(!segments.iter().any(|s| s == b"." || s == b".."));
            prop_assert_eq!(segments.len(), path.split('/').count());
        }
    }

    #[test]
    fn no_input_panics(path in ".{0,64}", query in proptest::option::of(".{0,32}")) {
        let _ = Target::parse(&path, query.as_deref());
        let _ = Target::parse(&format!("/r/eu/echo/{path}"), query.as_deref());
    }
}
