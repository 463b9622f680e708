//! What policy judged is what is forwarded: the target parser against a plain decoder and against the HTTP library.

#![no_main]

use doorman_core::target::Target;
use libfuzzer_sys::fuzz_target;

/// Decodes every percent-encoding, as a careless service might.
fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let value = tail.get(..2).and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        match (byte, value) {
            (b'%', Some(value)) => {
                out.push(value);
                rest = &tail[2..];
            }
            _ => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    out
}

fuzz_target!(|input: (bool, &str)| {
    let (is_bare, text) = input;
    let text = if is_bare { format!("/r/eu/echo/{text}") } else { text.to_owned() };
    let (path, query) = text.split_once('?').map_or((text.as_str(), None), |(path, query)| (path, Some(query)));
    let Ok(target) = Target::parse(path, query) else { return };

    // The bytes that are forwarded are those that came.
    assert!(path.ends_with(target.path()) || target.path() == "/");
    assert_eq!(target.query(), query);

    // The proxy parses what `api` sends, and gets the same.
    let line = target.door_path_and_query();
    let (path, query) = line.split_once('?').map_or((line.as_str(), None), |(path, query)| (path, Some(query)));
    assert_eq!(Target::parse(path, query).as_ref(), Ok(&target));
    if let Ok(uri) = line.parse::<http::Uri>() {
        assert_eq!((uri.path(), uri.query()), (path, query), "the HTTP library changes the target");
    }
    if let Ok(uri) = target.path_and_query().parse::<http::Uri>() {
        assert_eq!((uri.path(), uri.query()), (target.path(), target.query()));
    }

    // Policy's form means the same, whoever decodes it.
    let meant = decoded(target.path());
    assert_eq!(decoded(target.policy_path()), meant);
    let meant = String::from_utf8(meant).expect("a path is UTF-8 when decoded");
    for segment in meant.split('/').skip(1) {
        let name = segment.split(';').next().unwrap_or_default();
        assert!(name != "." && name != "..", "{meant}");
    }
    assert!(!meant.contains("//") && !meant.contains('\\') && !meant.chars().any(|c| c.is_ascii_control()));

    // Policy's form of policy's form is itself.
    let again = Target::parse(&format!("/r/eu/echo{}", target.policy_path()), None).expect("policy's form is a path");
    assert_eq!(again.policy_path(), target.policy_path());
});
