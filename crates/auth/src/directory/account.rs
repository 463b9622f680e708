//! A user's entry: which one it is, who that makes the user, and whether the account is still in use.

use std::time::{Duration, SystemTime};

use ldap3_proto::proto::{LdapFilter, LdapResultCode, LdapSearchScope};
use unicode_normalization::UnicodeNormalization;

use super::config::{DirectoryKind, Nesting, Plan};
use super::connection::{Fault, Search, describe};
use super::dn::Dn;
use super::entry::{Entry, guid};
use super::names::{Qualified, domains_called};
use super::server::Lease;
use super::{DirectoryUser, RefusedReason};

/// Seconds from 1601, where Windows' clock begins, to 1970.
const WINDOWS_EPOCH: u64 = 11_644_473_600;
/// `userAccountControl`: the account is disabled.
const ACCOUNT_DISABLED: u64 = 2;

/// Who an entry is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// See [`DirectoryUser::id`].
    pub(super) id: String,
    /// The login name exactly as the directory spells it.
    pub(super) login: String,
    /// See [`DirectoryUser::name`].
    pub(super) name: String,
}

/// The attributes read of a user.
pub(super) fn attributes(plan: &Plan) -> Vec<String> {
    let mut attributes = vec![plan.user_name.clone(), plan.id.clone(), plan.email.clone()];
    attributes.extend(plan.display_names.iter().cloned());
    if plan.nesting == Nesting::MemberOf {
        attributes.push(member_of(plan).to_owned());
    }
    let state: &[&str] = match plan.kind {
        DirectoryKind::OpenLdap => &["pwdAccountLockedTime", "nsAccountLock"],
        DirectoryKind::ActiveDirectory => {
            &["objectSid", "primaryGroupID", "userAccountControl", "accountExpires"]
        }
    };
    attributes.extend(state.iter().map(|name| (*name).to_owned()));
    attributes
}

/// How to ask for `memberOf`. Windows answers with at most 1,500 values at a time, asked or not.
pub(super) fn member_of(plan: &Plan) -> &'static str {
    match plan.kind {
        DirectoryKind::OpenLdap => "memberOf",
        DirectoryKind::ActiveDirectory => "memberOf;range=0-1499",
    }
}

/// The one entry that a typed name means. In Active Directory it may name the domain as well; then the entry is one
/// with this principal name, or one in this domain with this account name. An unknown name is as many searches.
pub(super) async fn find_typed(plan: &Plan, lease: &mut Lease, typed: &str) -> Result<Entry, Fault> {
    let mut found = find_all(plan, lease, &user_filter(plan, typed, None)).await?;
    if plan.kind == DirectoryKind::ActiveDirectory
        && let Some(name) = Qualified::parse(typed)
    {
        let domains = domains_called(lease, name.domain).await?;
        for entry in find_all(plan, lease, &user_filter(plan, name.account, None)).await? {
            if Dn::parse(&entry.dn).is_some_and(|dn| domains.contains(&dn.domain())) {
                add_new(&mut found, entry);
            }
        }
    }
    only(found)
}

/// The one entry that `filter` matches under the bases.
pub(super) async fn find_one(plan: &Plan, lease: &mut Lease, filter: &LdapFilter) -> Result<Entry, Fault> {
    only(find_all(plan, lease, filter).await?)
}

async fn find_all(plan: &Plan, lease: &mut Lease, filter: &LdapFilter) -> Result<Vec<Entry>, Fault> {
    let mut found: Vec<Entry> = Vec::new();
    for base in &plan.bases {
        let search = Search {
            base,
            scope: LdapSearchScope::Subtree,
            filter: filter.clone(),
            attributes: attributes(plan),
            limit: 2,
            page_size: 0,
        };
        let answer = lease.search(&search).await?;
        match answer.result.code {
            LdapResultCode::Success => {}
            LdapResultCode::SizeLimitExceeded => return Err(Fault::Refused(RefusedReason::Ambiguous)),
            LdapResultCode::Referral => return Err(Fault::Refused(RefusedReason::Referral)),
            _ => return Err(Fault::Unusable(format!("cannot search users: {}", describe(&answer.result)))),
        }
        for entry in answer.entries {
            // Bases may overlap.
            add_new(&mut found, entry);
        }
    }
    Ok(found)
}

fn add_new(found: &mut Vec<Entry>, entry: Entry) {
    let key = Dn::parse(&entry.dn).map(|dn| dn.key());
    if key.is_none() || !found.iter().any(|known| Dn::parse(&known.dn).map(|dn| dn.key()) == key) {
        found.push(entry);
    }
}

/// None, or more than one, is a refusal and never "the first".
fn only(mut found: Vec<Entry>) -> Result<Entry, Fault> {
    match (found.len(), found.pop()) {
        (1, Some(entry)) => Ok(entry),
        (0, _) => Err(Fault::Refused(RefusedReason::UnknownUser)),
        _ => Err(Fault::Refused(RefusedReason::Ambiguous)),
    }
}

/// The filter that finds the entry of `username`, or of a `principal` that was bound with: a name that two entries
/// claim, one as its principal name and one as its account name, then matches both and is refused.
pub(super) fn user_filter(plan: &Plan, username: &str, principal: Option<&str>) -> LdapFilter {
    let by_name = plan.user_filter.fill(super::filter::Values { username, dn: "" });
    match principal {
        Some(principal) => LdapFilter::Or(vec![
            LdapFilter::Equality("userPrincipalName".to_owned(), principal.to_owned()),
            by_name,
        ]),
        None => by_name,
    }
}

/// Reads who the entry is.
pub(super) fn identify(plan: &Plan, entry: &Entry) -> Result<Identity, Fault> {
    let id = match (plan.kind, entry.values(&plan.id).first()) {
        (DirectoryKind::ActiveDirectory, Some(bytes)) if plan.id.eq_ignore_ascii_case("objectGUID") => {
            guid(bytes)
        }
        (_, Some(bytes)) => std::str::from_utf8(bytes).ok().map(str::to_lowercase),
        (_, None) => None,
    };
    let Some(id) = id.filter(|id| !id.is_empty() && !id.chars().any(char::is_control)) else {
        return Err(Fault::Unusable(format!("a user's entry has no usable {}", plan.id)));
    };
    let login = entry.naming_value(&plan.user_name).ok_or(Fault::Refused(RefusedReason::Ambiguous))?;
    let name = login.nfc().collect::<String>().to_lowercase();
    if name.trim().is_empty() || name.trim() != name || name.chars().any(char::is_control) {
        return Err(Fault::Refused(RefusedReason::InvalidName));
    }
    Ok(Identity { id, login, name })
}

/// Puts a user together.
pub(super) fn user(plan: &Plan, entry: &Entry, identity: Identity, groups: Vec<String>) -> DirectoryUser {
    let display_name = plan
        .display_names
        .iter()
        .find_map(|name| entry.texts(name).map(printable).find(|text| !text.is_empty()))
        .unwrap_or_else(|| identity.name.clone());
    let email = entry.texts(&plan.email).map(printable).find(|text| !text.is_empty());
    DirectoryUser { id: identity.id, name: identity.name, display_name, email, groups }
}

/// Why the account is not in use, if it is switched off or over. A lock that ends by itself does not count: anybody can
/// cause it.
pub(super) fn closed(plan: &Plan, entry: &Entry, now: SystemTime) -> Option<RefusedReason> {
    match plan.kind {
        DirectoryKind::OpenLdap => {
            let closed = entry
                .texts("pwdAccountLockedTime")
                .any(|time| time.starts_with("00000101000000Z") || time.starts_with("000001010000Z"))
                || entry.texts("nsAccountLock").any(|flag| flag.eq_ignore_ascii_case("true"));
            closed.then_some(RefusedReason::Disabled)
        }
        DirectoryKind::ActiveDirectory => {
            let disabled =
                entry.number("userAccountControl").is_some_and(|bits| bits & ACCOUNT_DISABLED != 0);
            let expires =
                entry.number("accountExpires").filter(|time| !matches!(time, 0 | 0x7fff_ffff_ffff_ffff));
            let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
                + WINDOWS_EPOCH;
            if disabled {
                return Some(RefusedReason::Disabled);
            }
            let expired = expires.is_some_and(|time| time / 10_000_000 <= now);
            expired.then_some(RefusedReason::AccountExpired)
        }
    }
}

/// What is shown to people and put into headers: one line.
fn printable(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.trim().to_owned()
}
