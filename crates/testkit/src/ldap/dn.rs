//! Distinguished names: written in one way and compared in one form.

use unicode_normalization::UnicodeNormalization;

/// Escapes a value for its place in a distinguished name (RFC 4514 §2.4), as OpenLDAP writes it: a backslash before
/// characters with a meaning, numbers for the others.
pub(super) fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len() + 4);
    for (at, c) in value.char_indices() {
        let edge_space = c == ' ' && (at == 0 || at + 1 == value.len());
        if c.is_ascii_control() {
            escaped.push_str(&format!("\\{:02X}", u32::from(c)));
            continue;
        }
        if edge_space || (c == '#' && at == 0) || "\"+,;<=>\\".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// The form in which equal names are equal text: relative names from the entry up.
pub(super) fn normalize(dn: &str) -> Vec<String> {
    split(dn, ',')
        .into_iter()
        .filter(|rdn| !rdn.trim().is_empty())
        .map(|rdn| {
            let mut parts: Vec<String> = split(rdn, '+')
                .into_iter()
                .map(|part| {
                    let (name, value) = part.split_once('=').unwrap_or((part, ""));
                    format!("{}={}", name.trim().to_ascii_lowercase(), fold(&unescape(value)))
                })
                .collect();
            parts.sort();
            parts.join("+")
        })
        .collect()
}

/// What the usual matching rules make equal: compatibility forms, case, and runs of spaces (RFC 4518).
pub(super) fn fold(value: &str) -> String {
    let lower = value.nfkc().collect::<String>().to_lowercase();
    lower.nfkc().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Splits at `separator` where it is not escaped.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut escaped = false;
    let mut at = 0;
    while let Some(c) = rest.get(at..).and_then(|rest| rest.chars().next()) {
        if c == separator && !escaped {
            parts.push(rest.get(..at).unwrap_or_default());
            rest = rest.get(at + c.len_utf8()..).unwrap_or_default();
            at = 0;
            continue;
        }
        escaped = c == '\\' && !escaped;
        at += c.len_utf8();
    }
    parts.push(rest);
    parts
}

fn unescape(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let Some(first) = rest.next() else { break };
        match (
            char::from(first).to_digit(16),
            rest.clone().next().and_then(|second| char::from(second).to_digit(16)),
        ) {
            (Some(high), Some(low)) => {
                rest.next();
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
            }
            _ => bytes.push(first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_have_one_form() {
        assert_eq!(normalize(r"CN=Ops\2C  Region , OU=x"), normalize(r"cn=ops\, region,ou=X"));
        assert_ne!(normalize(r"cn=a\,ou\=x"), normalize("cn=a,ou=x"));
        let odd = r#" #a,b+c"d\e<f>g;h=i "#;
        assert_eq!(
            normalize(&format!("uid={},ou=x", escape(odd))),
            [format!("uid={}", fold(odd)), "ou=x".to_owned()]
        );
    }
}
