//! What a person typed stays one value: in a distinguished name, and in a filter.

#![no_main]
#![allow(dead_code)]

#[path = "../../crates/auth/src/directory/dn.rs"]
mod dn;
#[path = "../../crates/auth/src/directory/filter.rs"]
mod filter;

use dn::{Dn, escape_value, fold};
use filter::{FilterTemplate, Values};
use ldap3_proto::proto::LdapFilter;
use libfuzzer_sys::fuzz_target;

/// Attribute and value of every assertion, in order.
fn assertions(filter: &LdapFilter, out: &mut Vec<(String, String)>) {
    match filter {
        LdapFilter::And(all) | LdapFilter::Or(all) => all.iter().for_each(|filter| assertions(filter, out)),
        LdapFilter::Not(inner) => assertions(inner, out),
        LdapFilter::Equality(name, value) => out.push((name.clone(), value.clone())),
        LdapFilter::Present(name) => out.push((name.clone(), "*".to_owned())),
        _ => out.push((String::new(), String::new())),
    }
}

fuzz_target!(|input: (&str, &str)| {
    let (typed, text) = input;
    let name = format!("uid={},ou=people,dc=example", escape_value(typed));
    match Dn::parse(&name) {
        Some(parsed) => {
            assert_eq!(parsed.own_value("uid"), Some(typed));
            let base = Dn::parse("ou=people,dc=example").expect("a name").key();
            assert!(parsed.key().is_within(&base) && parsed.key() != base);
        }
        None => panic!("{name} is no name"),
    }
    assert_eq!(fold(&fold(typed)), fold(typed));
    if let Some(parsed) = Dn::parse(text) {
        assert_eq!(parsed.key(), parsed.key());
    }

    let template = FilterTemplate::parse("(&(objectClass=person)(|(uid={username})(mail={username}))(!(dn={dn})))");
    let filled = template.expect("a filter").fill(Values { username: typed, dn: text });
    let mut found = Vec::new();
    assertions(&filled, &mut found);
    let wanted = [("objectClass", "person"), ("uid", typed), ("mail", typed), ("dn", text)];
    assert_eq!(found, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
    if let Ok(template) = FilterTemplate::parse(text) {
        let _ = template.fill(Values { username: typed, dn: typed });
    }
});
