//! A canary behind a secret's name never survives into the log, however the name is spelt and whatever stands around it.

#![no_main]
#![allow(dead_code)]

#[path = "../../crates/door/src/redact.rs"]
mod redact;

use libfuzzer_sys::fuzz_target;
use redact::{Masked, Redaction};
use serde_json::{Value, json};

const CANARY: &str = "cAnArY7391";
const NAMES: [&str; 6] = ["password", "token", "client_secret", "api_key", "refresh_token", "secret"];

/// The name with each character as it is, in the other case, or escaped.
fn spelt(name: &str, how: &[u8], escape: impl Fn(char) -> String) -> String {
    let how = how.iter().copied().chain(std::iter::repeat(0));
    let spell = |(c, how): (char, u8)| match how % 3 {
        1 => c.to_ascii_uppercase().to_string(),
        2 => escape(c),
        _ => c.to_string(),
    };
    name.chars().zip(how).map(spell).collect()
}

/// A value with the secret somewhere inside, shaped by the input.
fn nested(field: &str, shape: &[u8], around: &str) -> String {
    let own = format!("{{\"{field}\":\"{CANARY}\"}}");
    shape.iter().take(8).fold(own, |inner, shape| match shape % 6 {
        0 => format!("[{inner},1.5]"),
        1 => format!("{{\"a\":{inner}}}"),
        2 => format!("{{\"a\":{inner},\"a\":1}}"),
        3 => json!({ "inner": inner }).to_string(),
        4 => format!(" {{ {}: [ {inner} ] }} ", Value::from(around)),
        _ => format!("[{},{inner}]", Value::from(around)),
    })
}

fn check(redaction: &Redaction, body: &str) {
    let kept = match redaction.body(body) {
        Masked::Clean => body.to_owned(),
        Masked::Text(text) => text,
        Masked::Withheld => return,
    };
    assert!(!kept.contains(CANARY), "{body:?} is kept as {kept:?}");
}

fuzz_target!(|input: (u8, &[u8], &[u8], &str, u16)| {
    let (name, how, shape, around, cut) = input;
    // What stands around must not hold the canary by itself.
    if around.contains(CANARY) || around.contains("cAnA") {
        return;
    }
    let name = NAMES[usize::from(name) % NAMES.len()];
    let redaction = Redaction::default();

    let percent = spelt(name, how, |c| format!("%{:02X}", u32::from(c)));
    let plain: String = around.chars().filter(|c| !"&#".contains(*c) && !c.is_control()).collect();
    for query in [
        format!("{percent}={CANARY}"),
        format!("{plain}&{percent}={CANARY}&{plain}"),
        format!("a={plain}&{percent}[]={CANARY}"),
        format!("user[{percent}]={CANARY}&{plain}=1"),
    ] {
        let (kept, masked) = redaction.query(&query);
        assert!(!kept.contains(CANARY) && !masked.is_empty(), "{query:?} is kept as {kept:?}");
        check(&redaction, &query);
    }

    let field = spelt(name, how, |c| format!("\\u{:04x}", u32::from(c)));
    let json = nested(&field, shape, around);
    check(&redaction, &json);
    for text in [json.as_str(), &format!("{around}{json}"), &format!("{json}{around}")] {
        let end = text.floor_char_boundary(usize::from(cut) % (text.len() + 1));
        let (head, tail) = text.split_at(end);
        check(&redaction, head);
        // A tail may begin behind the name: then nobody can tell, whatever name comes later.
        if tail.split_once(&field).is_some_and(|(before, _)| !before.contains(CANARY)) {
            check(&redaction, tail);
        }
    }
    check(&redaction, &format!("{name}:{CANARY}"));
    check(&redaction, &format!("<{name}>{CANARY}</{name}>{around}"));
    check(&redaction, &format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{CANARY}\r\n{around}"));
});
