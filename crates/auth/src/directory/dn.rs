//! Distinguished names (RFC 4514). They are structures, not strings: one name is `cn=Ops\, Region` in one answer and
//! `cn=Ops\2C Region` in the next, so they are compared by their parsed and folded form.

use unicode_normalization::UnicodeNormalization;

/// A parsed name: relative names from the entry up, each a list of attribute types and values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dn(Vec<Vec<(String, String)>>);

/// What equal names have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct DnKey(Vec<Vec<(String, String)>>);

impl Dn {
    /// `None` if `text` is no distinguished name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let mut rdns = Vec::new();
        let mut rdn = Vec::new();
        let mut rest = text;
        loop {
            let (attribute, after) = rest.split_once('=')?;
            let (value, end, after) = take_value(after)?;
            let attribute = attribute.trim().to_ascii_lowercase();
            if attribute.is_empty()
                || !attribute.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))
            {
                return None;
            }
            rdn.push((attribute, value));
            match end {
                Some('+') => {}
                _ => rdns.push(std::mem::take(&mut rdn)),
            }
            if end.is_none() {
                return Some(Self(rdns));
            }
            rest = after;
        }
    }

    /// The value of `attribute` in the entry's own relative name, as the directory spells it.
    pub(super) fn own_value(&self, attribute: &str) -> Option<&str> {
        let own = self.0.first()?;
        own.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute)).map(|(_, value)| value.as_str())
    }

    /// The domain that an entry of this name is in: its last `dc` parts.
    pub(super) fn domain(&self) -> DnKey {
        let is_dc = |rdn: &Vec<(String, String)>| matches!(rdn.as_slice(), [(name, _)] if name == "dc");
        let above = self.0.iter().rposition(|rdn| !is_dc(rdn)).map_or(0, |at| at + 1);
        Self(self.0.iter().skip(above).cloned().collect()).key()
    }

    /// The form to compare and to remember.
    pub(super) fn key(&self) -> DnKey {
        DnKey(
            self.0
                .iter()
                .map(|rdn| {
                    let mut parts: Vec<_> =
                        rdn.iter().map(|(name, value)| (name.clone(), fold(value))).collect();
                    parts.sort();
                    parts
                })
                .collect(),
        )
    }
}

impl DnKey {
    /// Whether this is `base` or lies below it.
    pub(super) fn is_within(&self, base: &DnKey) -> bool {
        self.0.ends_with(&base.0)
    }
}

/// Escapes a value for its place in a distinguished name (RFC 4514 §2.4).
pub(super) fn escape_value(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len() + 8);
    for (at, c) in value.char_indices() {
        let edge_space = c == ' ' && (at == 0 || at + 1 == value.len());
        if edge_space || (c == '#' && at == 0) || c.is_ascii_control() || "\"+,;<=>\\".contains(c) {
            // All of these are one byte.
            escaped.push_str(&format!("\\{:02x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// What the usual matching rules make equal: compatibility forms, case, and runs of spaces (RFC 4518).
pub(super) fn fold(value: &str) -> String {
    let lower = value.nfkc().collect::<String>().to_lowercase();
    // Lower-casing can leave a form that is not composed.
    let lower: String = lower.nfkc().collect();
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads one value up to an unescaped `,`, `;` or `+`: the value, what ended it, and the rest.
fn take_value(text: &str) -> Option<(String, Option<char>, &str)> {
    let mut value = Vec::new();
    // Up to here nothing may be trimmed, because it was escaped.
    let mut solid = 0;
    let trimmed = text.trim_start_matches(' ');
    let mut chars = trimmed.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ',' | ';' | '+' => {
                return Some((finish(value, solid)?, Some(c), trimmed.get(at + c.len_utf8()..)?));
            }
            '\\' => {
                let (_, first) = chars.next()?;
                match first.to_digit(16) {
                    Some(high) => {
                        let low = chars.next()?.1.to_digit(16)?;
                        value.push(u8::try_from(high * 16 + low).ok()?);
                    }
                    None if "\"+,;<=>\\ #".contains(first) => value.push(u8::try_from(first).ok()?),
                    None => return None,
                }
                solid = value.len();
            }
            '"' => return None,
            c => value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some((finish(value, solid)?, None, ""))
}

fn finish(mut value: Vec<u8>, solid: usize) -> Option<String> {
    while value.len() > solid && value.last() == Some(&b' ') {
        value.pop();
    }
    String::from_utf8(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> DnKey {
        Dn::parse(text).unwrap().key()
    }

    #[test]
    fn one_name_written_two_ways_is_one_name() {
        assert_eq!(key(r"cn=Ops\, Region,ou=Groups,dc=corp"), key(r"CN=ops\2C  region , OU=groups;DC=Corp"));
        assert_eq!(key("cn=a+uid=b,dc=c"), key("uid=B+cn=A,dc=c"));
        assert_ne!(key("cn=a,dc=c"), key("cn=a,dc=d"));
        assert_ne!(key(r"cn=a\,dc\=b,dc=c"), key("cn=a,dc=b,dc=c"));
    }

    #[test]
    fn a_name_lies_within_its_parents_only() {
        let base = key("ou=groups,dc=corp");
        assert!(key("cn=x,OU=Groups,dc=corp").is_within(&base));
        assert!(!key("cn=x,ou=people,dc=corp").is_within(&base));
        assert!(!key(r"cn=x\,ou\=groups,dc=corp").is_within(&base));
    }

    #[test]
    fn the_domain_of_a_name_is_its_last_dc_parts() {
        let domain = |text| Dn::parse(text).unwrap().domain();
        assert_eq!(domain("cn=x,DC=Child,dc=corp"), key("dc=child,dc=corp"));
        assert_eq!(domain("dc=x,ou=y,dc=corp"), key("dc=corp"));
        assert_eq!(domain("dc=corp"), key("dc=corp"));
        assert_eq!(domain("cn=x"), key(""));
    }

    #[test]
    fn text_that_is_no_name_is_refused() {
        for text in ["alice", "=x", "cn=x,", r"cn=x\", r"cn=\zz=", "cn=\"x\""] {
            assert!(Dn::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_escaped_value_reads_back_as_itself_and_stays_one_value(value in "\\PC{1,40}|[ #+,;<=>\\\\\"\\x00a]{1,12}") {
            let dn = Dn::parse(&format!("uid={},ou=people", escape_value(&value))).unwrap();
            prop_assert_eq!(dn.own_value("uid"), Some(value.as_str()));
            prop_assert_eq!(dn.0.len(), 2);
        }

        #[test]
        fn folding_twice_changes_nothing(value in "\\PC{0,20}") {
            prop_assert_eq!(fold(&fold(&value)), fold(&value));
        }
    }
}
