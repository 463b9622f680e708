//! An entry as a search returns it. Values are bytes; attribute names are compared without regard to case.

use ldap3_proto::proto::LdapSearchResultEntry;

use super::dn::Dn;

/// One entry.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) dn: String,
    attributes: Vec<(String, Vec<Vec<u8>>)>,
}

/// The values of an attribute, of which a server may return a part (`member;range=0-1499`).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) values: Vec<Vec<u8>>,
    /// The index to go on from, if there is more.
    pub(super) next: Option<usize>,
}

impl From<LdapSearchResultEntry> for Entry {
    fn from(entry: LdapSearchResultEntry) -> Self {
        let attributes =
            entry.attributes.into_iter().map(|attribute| (attribute.atype, attribute.vals)).collect();
        Self { dn: entry.dn, attributes }
    }
}

impl Entry {
    /// The values of `attribute`, empty if it has none.
    pub(super) fn values(&self, attribute: &str) -> &[Vec<u8>] {
        self.attributes
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(attribute))
            .map(|(_, values)| values.as_slice())
            .unwrap_or_default()
    }

    /// The values that are text.
    pub(super) fn texts(&self, attribute: &str) -> impl Iterator<Item = &str> {
        self.values(attribute).iter().filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// The first value that is a number.
    pub(super) fn number(&self, attribute: &str) -> Option<u64> {
        self.texts(attribute).find_map(|text| text.parse().ok())
    }

    /// The one value that names the entry: the one in its own relative name, else the only one there is. An attribute
    /// with more values could be given somebody else's name as one of them.
    pub(super) fn naming_value(&self, attribute: &str) -> Option<String> {
        let dn = Dn::parse(&self.dn)?;
        let mut texts = self.texts(attribute);
        match (dn.own_value(attribute), texts.next(), texts.next()) {
            (Some(own), Some(_), _) => Some(own.to_owned()),
            (None, Some(only), None) => Some(only.to_owned()),
            _ => None,
        }
    }

    /// The values of an attribute that may come in ranges.
    pub(super) fn ranged(&self, attribute: &str) -> Values {
        let whole = self.values(attribute);
        if !whole.is_empty() {
            return Values { values: whole.to_vec(), next: None };
        }
        let part = self.attributes.iter().find_map(|(name, values)| {
            let (name, range) = name.split_once(";range=")?;
            let (_, last) = range.split_once('-')?;
            // `*` marks the last part.
            name.eq_ignore_ascii_case(attribute)
                .then(|| (values, last.parse::<usize>().ok().map(|last| last + 1)))
        });
        match part {
            Some((values, next)) => Values { values: values.clone(), next },
            None => Values { values: Vec::new(), next: None },
        }
    }
}

/// `objectGUID` as text: Windows writes the first three fields least significant byte first.
pub(super) fn guid(bytes: &[u8]) -> Option<String> {
    Some(uuid::Uuid::from_bytes_le(bytes.try_into().ok()?).to_string())
}

/// `objectSid` as text, with its last number replaced: how a primary group is written in its member's entry.
pub(super) fn sibling_sid(sid: &[u8], last: u64) -> Option<String> {
    let [1, count, authority @ .., _, _, _, _] = sid else { return None };
    let (authority, subs) = authority.split_at_checked(6)?;
    if subs.len() + 4 != usize::from(*count) * 4 {
        return None;
    }
    let authority = authority.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    let mut text = format!("S-1-{authority}");
    for sub in subs.chunks_exact(4) {
        text.push_str(&format!("-{}", u32::from_le_bytes(sub.try_into().ok()?)));
    }
    Some(format!("{text}-{last}"))
}

#[cfg(test)]
mod tests {
    use ldap3_proto::proto::LdapPartialAttribute;

    use super::*;

    fn entry(dn: &str, attributes: &[(&str, &[&str])]) -> Entry {
        let attributes = attributes
            .iter()
            .map(|(name, values)| LdapPartialAttribute {
                atype: (*name).to_owned(),
                vals: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
            })
            .collect();
        Entry::from(LdapSearchResultEntry { dn: dn.to_owned(), attributes })
    }

    #[test]
    fn an_entry_is_named_by_its_own_relative_name_or_its_only_value() {
        let named = |dn: &str, values: &[&str]| entry(dn, &[("UID", values)]).naming_value("uid");
        assert_eq!(named("uid=Alice,dc=x", &["bob", "Alice"]).as_deref(), Some("Alice"));
        assert_eq!(named("cn=A,dc=x", &["alice"]).as_deref(), Some("alice"));
        assert_eq!(named("cn=A,dc=x", &["alice", "bob"]), None);
        assert_eq!(named("cn=A,dc=x", &[]), None);
    }

    #[test]
    fn a_range_tells_where_to_go_on() {
        let part = entry("cn=x", &[("member", &[]), ("member;range=0-1499", &["a"])]).ranged("Member");
        assert_eq!(part, Values { values: vec![b"a".to_vec()], next: Some(1500) });
        assert_eq!(entry("cn=x", &[("member;range=1500-*", &["b"])]).ranged("member").next, None);
        assert_eq!(entry("cn=x", &[("member", &["c"])]).ranged("member").values, [b"c"]);
    }

    #[test]
    fn windows_identifiers_are_written_as_windows_writes_them() {
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(guid(&bytes).as_deref(), Some("03020100-0504-0706-0809-0a0b0c0d0e0f"));
        assert_eq!(guid(&[1, 2]), None);
        let sid = [1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 80, 4, 0, 0];
        assert_eq!(sibling_sid(&sid, 513).as_deref(), Some("S-1-5-21-1-2-3-513"));
        assert_eq!(sibling_sid(&sid[..20], 513), None);
        assert_eq!(sibling_sid(&[], 513), None);
    }
}
