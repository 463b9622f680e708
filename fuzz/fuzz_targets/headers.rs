//! No spelling of a header's name gets past its class, and no two sets of headers have one digest.

#![no_main]

use doorman_core::header::{Class, HOP_BY_HOP, classify, digest, is_own};
use libfuzzer_sys::fuzz_target;

fn fold(name: &str) -> String {
    name.chars().map(|c| if matches!(c, '_' | '.') { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// As the HTTP library has them: a token in lower case, a value without line breaks.
fn clean(headers: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    let name = |name: &str| http::HeaderName::try_from(name).ok().map(|name| name.as_str().to_owned());
    let value = |value: &[u8]| http::HeaderValue::from_bytes(value).ok().map(|value| value.as_bytes().to_vec());
    headers.iter().filter_map(|(n, v)| Some((name(n)?, value(v)?))).collect()
}

fn hash(headers: &[(String, Vec<u8>)]) -> doorman_core::Digest {
    digest(headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())))
}

fuzz_target!(|input: (Vec<(&str, &[u8])>, Vec<(&str, &[u8])>)| {
    let (mut one, mut two) = (clean(&input.0), clean(&input.1));
    for (name, _) in one.iter().chain(&two) {
        let class = classify(name);
        assert_eq!(classify(&fold(name)), class, "{name}");
        assert_eq!(classify(&name.to_ascii_uppercase()), class, "{name}");
        assert!(!is_own(name) || class == Class::Reserved, "{name}");
        assert!(!HOP_BY_HOP.contains(&name.as_str()) || class == Class::HopByHop, "{name}");
    }
    let (first, second) = (hash(&one), hash(&two));
    one.sort_by(|a, b| a.0.cmp(&b.0));
    two.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(first == second, one == two);
});
