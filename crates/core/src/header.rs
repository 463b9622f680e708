//! Which headers cross the door, and the digest that binds them to a pass.

use crate::Digest;
use sha2::Digest as _;

/// Headers of one connection or of its framing.
pub const HOP_BY_HOP: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// How a request header of a client is treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Goes to the service as sent.
    EndToEnd,
    /// Belongs to one connection or to its framing (RFC 9110 §7.6.1); never forwarded.
    HopByHop,
    /// Doorman's own, or one that says who called or what was called; built afresh, never taken from a client.
    Reserved,
}

/// Classifies a header name, whatever its case and whether it is spelt with `-`, `_` or `.`: many servers fold these.
pub fn classify(name: &str) -> Class {
    if name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        classify_folded(name)
    } else {
        let folded: String =
            name.chars().map(|c| if matches!(c, '_' | '.') { '-' } else { c.to_ascii_lowercase() }).collect();
        classify_folded(&folded)
    }
}

fn classify_folded(name: &str) -> Class {
    match name {
        _ if HOP_BY_HOP.contains(&name) => Class::HopByHop,
        "forwarded"
        | "traceparent"
        | "x-request-id"
        | "x-real-ip"
        | "x-original-url"
        | "x-rewrite-url"
        | "x-http-method"
        | "x-http-method-override"
        | "x-method-override"
        | "x-original-host"
        | "x-original-method"
        | "x-original-uri" => Class::Reserved,
        _ if name.starts_with("x-forwarded-") || name == "doorman" || name.starts_with("doorman-") => {
            Class::Reserved
        }
        _ => Class::EndToEnd,
    }
}

/// Whether a header speaks in Doorman's name, however it is spelt.
pub fn is_own(name: &str) -> bool {
    let is_doorman = |start: &[u8]| start.eq_ignore_ascii_case(b"doorman");
    match name.as_bytes().split_at_checked(7) {
        Some((start, rest)) => is_doorman(start) && matches!(rest.first(), None | Some(b'-' | b'_' | b'.')),
        None => false,
    }
}

/// Whether a trailer goes on. Besides what no header may say, a trailer carries no credentials: whoever merges trailers into
/// headers (RFC 9110 §6.5.1) would take them for the caller's.
pub fn is_trailer(name: &str) -> bool {
    classify(name) == Class::EndToEnd && !matches!(name, "authorization" | "cookie" | "set-cookie")
}

/// Whether a service's response header is handed to the client as `Doorman-Service-<name>`, because on Doorman's
/// origin it would change what the browser does with Doorman itself.
pub fn is_masked_in_response(name: &str) -> bool {
    matches!(
        name,
        "set-cookie"
            | "clear-site-data"
            | "strict-transport-security"
            | "service-worker-allowed"
            | "nel"
            | "alt-svc"
    ) || name.starts_with("access-control-")
        || name.starts_with("content-security-policy")
        || name.starts_with("report")
}

/// SHA-256 over the forwarded headers: `name:value\n` for each, sorted by name, values of one name in their order.
///
/// Names are lower-case; neither names nor values can hold what separates them, so no two sets digest alike.
pub fn digest<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Digest {
    let mut sorted: Vec<(&str, &[u8])> = headers.collect();
    sorted.sort_by_key(|(name, _)| *name);
    let mut hasher = sha2::Sha256::new();
    for (name, value) in sorted {
        hasher.update(name);
        hasher.update(b":");
        hasher.update(value);
        hasher.update(b"\n");
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reserved_headers_are_known_however_they_are_spelt() {
        for name in
            ["X_Forwarded_For", "x.real.ip", "Doorman-Pass", "DOORMAN_IDENTITY", "doorman.token", "Forwarded"]
        {
            assert_eq!(classify(name), Class::Reserved, "{name}");
        }
        for name in ["doorman", "Doorman-Pass", "DOORMAN_IDENTITY", "doorman.token"] {
            assert!(is_own(name), "{name}");
        }
        assert!(!is_own("doormanly") && !is_own("door"));
        for name in ["Transfer_Encoding", "Connection", "Keep.Alive", "TE"] {
            assert_eq!(classify(name), Class::HopByHop, "{name}");
        }
        for name in ["accept", "X-Tenant", "authorization", "doormanly"] {
            assert_eq!(classify(name), Class::EndToEnd, "{name}");
        }
    }

    proptest! {
        #[test]
        fn spelling_never_changes_the_class(name in "[a-z-]{1,20}", folds in proptest::collection::vec(0..4u8, 20)) {
            let spelt: String = name.chars().zip(folds).map(|(c, fold)| match (c, fold) {
                ('-', 1) => '_', ('-', 2) => '.', (c, 3) => c.to_ascii_uppercase(), (c, _) => c,
            }).collect();
            prop_assert_eq!(classify(&spelt), classify(&name));
        }

        #[test]
        fn the_digest_ignores_the_order_of_names_and_nothing_else(
            headers in proptest::collection::vec(("[a-z]{1,3}", "[a-z:]{0,3}"), 0..6), by in 0..6usize) {
            let bytes = |set: &[(String, String)]| digest(set.iter().map(|(n, v)| (n.as_str(), v.as_bytes())));
            let mut turned = headers.clone();
            turned.sort_by(|a, b| b.0.cmp(&a.0));
            prop_assert_eq!(bytes(&headers), bytes(&turned));
            if let Some((name, value)) = headers.get(by) {
                let mut changed = headers.clone();
                changed[by] = (name.clone(), format!("{value}x"));
                prop_assert_ne!(bytes(&headers), bytes(&changed));
                changed.remove(by);
                prop_assert_ne!(bytes(&headers), bytes(&changed));
            }
        }
    }
}
