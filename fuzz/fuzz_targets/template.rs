//! A row's value can never change the shape of a request: no segment, parameter, header or key comes of it.

#![no_main]
#![allow(dead_code)]

#[path = "../../crates/jobs/src/template/mod.rs"]
mod template;

use doorman_core::rollout::{RequestSpec, Row};
use template::{Destination, Template};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|input: (&str, &str, &str)| {
    let (template, value, other) = input;

    // Whatever is written as a template is refused or rendered.
    let free = request(json!({"path": format!("/{template}"), "query": {"q": template}, "body": {"b": template}}));
    if let Ok(free) = Template::compile(&free) {
        let row: Row = free.columns().map(|column| (column.to_owned(), value.into())).collect();
        let _ = free.render(&row, Destination::default());
    }

    let fixed = request(json!({
        "path": "/a/{{v}}/x{{w}}", "query": {"q": "{{v}}", "r": "{{w}}"}, "headers": {"x-v": "v{{v}}v"},
        "body": {"k": "{{v}}", "l": ["-{{w}}-"]}
    }));
    let fixed = Template::compile(&fixed).expect("the template is good");
    let row: Row = [("v".to_owned(), value.into()), ("w".to_owned(), other.into())].into_iter().collect();
    let Ok(rendered) = fixed.render(&row, Destination::default()) else { return };
    let segments: Vec<String> = rendered.target.path().split('/').skip(1).map(decode).collect();
    assert_eq!(segments, ["a".to_owned(), value.to_owned(), format!("x{other}")]);
    let query = rendered.target.query().expect("it has a query");
    let pairs: Vec<(&str, String)> = query.split('&').map(|pair| pair.split_once('=').expect("a pair")).map(|(n, v)| (n, decode(v))).collect();
    assert_eq!(pairs, [("q", value.to_owned()), ("r", other.to_owned())]);
    assert_eq!(rendered.headers.len(), 2);
    let body: Value = serde_json::from_slice(&rendered.body).expect("the body is JSON");
    assert_eq!(body, json!({"k": value, "l": [format!("-{other}-")]}));
});

fn request(more: Value) -> RequestSpec {
    let mut whole = json!({"region": "eu", "service": "echo", "method": "POST"});
    if let (Value::Object(whole), Value::Object(more)) = (&mut whole, more) {
        whole.extend(more);
    }
    serde_json::from_value(whole).expect("it is a request")
}

/// Decodes every percent-encoding.
fn decode(text: &str) -> String {
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
    String::from_utf8(out).expect("it is UTF-8")
}
