//! Names with a domain, as people write them in Active Directory: `CORP\alice`, `alice@corp`, `alice@corp.example`. Only
//! the first of these names an attribute's value, and none does where somebody's principal name is another one.

use ldap3_proto::proto::{LdapFilter, LdapResultCode, LdapSearchScope};

use super::connection::{Fault, Search, describe};
use super::dn::{Dn, DnKey};
use super::server::Lease;

/// A name, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Qualified<'a> {
    pub(super) account: &'a str,
    pub(super) domain: &'a str,
}

impl<'a> Qualified<'a> {
    /// `None` if `typed` names no domain.
    pub(super) fn parse(typed: &'a str) -> Option<Self> {
        let (account, domain) = match typed.split_once('\\') {
            Some((domain, account)) => (account, domain),
            None => typed.rsplit_once('@')?,
        };
        let (account, domain) = (account.trim(), domain.trim());
        (!account.is_empty() && !domain.is_empty()).then_some(Self { account, domain })
    }
}

/// The domains of the forest that are called `name`, by NetBIOS or in DNS: one, or none.
pub(super) async fn domains_called(lease: &mut Lease, name: &str) -> Result<Vec<DnKey>, Fault> {
    let Some(configuration) = configuration(lease).await? else { return Ok(Vec::new()) };
    let equal = |attribute: &str| LdapFilter::Equality(attribute.to_owned(), name.to_owned());
    let search = Search {
        base: &format!("CN=Partitions,{configuration}"),
        scope: LdapSearchScope::OneLevel,
        // Partitions without a NetBIOS name are no domains.
        filter: LdapFilter::And(vec![
            LdapFilter::Present("nETBIOSName".to_owned()),
            LdapFilter::Or(vec![equal("nETBIOSName"), equal("dnsRoot")]),
        ]),
        attributes: vec!["nCName".to_owned()],
        limit: 2,
        page_size: 0,
    };
    let found = lease.search(&search).await?;
    match found.result.code {
        LdapResultCode::Success => {}
        LdapResultCode::NoSuchObject => return Ok(Vec::new()),
        _ => return Err(Fault::Unusable(format!("cannot search domains: {}", describe(&found.result)))),
    }
    let domains = found.entries.iter().flat_map(|entry| entry.texts("nCName"));
    Ok(domains.filter_map(|dn| Some(Dn::parse(dn)?.key())).collect())
}

/// Where the forest keeps its own settings.
async fn configuration(lease: &mut Lease) -> Result<Option<String>, Fault> {
    let search = Search {
        base: "",
        scope: LdapSearchScope::Base,
        filter: LdapFilter::Present("objectClass".to_owned()),
        attributes: vec!["configurationNamingContext".to_owned()],
        limit: 1,
        page_size: 0,
    };
    let found = lease.search(&search).await?;
    Ok(found
        .entries
        .first()
        .and_then(|entry| entry.texts("configurationNamingContext").next())
        .map(str::to_owned))
}

/// `typed` without what `template` puts around a name: `alice@corp.example` is `alice` to `{username}@corp.example`.
pub(super) fn strip_template<'a>(template: &str, typed: &'a str) -> &'a str {
    let strip = || {
        let (before, after) = template.split_once("{username}")?;
        let (head, tail) = typed.split_at_checked(typed.len().checked_sub(after.len())?)?;
        let (head, name) = head.split_at_checked(before.len())?;
        (head.eq_ignore_ascii_case(before) && tail.eq_ignore_ascii_case(after)).then_some(name)
    };
    strip().unwrap_or(typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_apart_at_its_domain() {
        let parts = |typed| Qualified::parse(typed).map(|name| (name.account, name.domain));
        assert_eq!(parts("alice"), None);
        assert_eq!(parts(r"CORP\alice"), Some(("alice", "CORP")));
        assert_eq!(parts("alice@corp.example "), Some(("alice", "corp.example")));
        assert_eq!(parts("a@b@corp"), Some(("a@b", "corp")));
        for nothing in [r"\alice", r"CORP\", "@corp", "alice@", "@", r"\", " @ "] {
            assert_eq!(parts(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn what_a_template_puts_around_a_name_may_be_typed_too() {
        let template = "{username}@corp.example";
        for (typed, name) in [
            ("alice", "alice"),
            ("alice@CORP.example", "alice"),
            ("alice@other.example", "alice@other.example"),
            ("@corp.example", ""),
            ("é", "é"),
            ("ééééééé", "ééééééé"),
        ] {
            assert_eq!(strip_template(template, typed), name);
        }
        assert_eq!(strip_template(r"CORP\{username}", r"corp\alice"), "alice");
    }
}
