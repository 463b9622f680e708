//! The groups of a user, nested ones included. All of them or a refusal: policy can forbid by group, so a group that
//! is missing could permit what is forbidden.

use std::collections::{BTreeSet, HashSet};

use ldap3_proto::proto::{LdapFilter, LdapResultCode, LdapSearchScope};

use super::RefusedReason;
use super::account::member_of;
use super::config::{DirectoryKind, Nesting, Plan};
use super::connection::{Fault, Found, Search, describe};
use super::dn::{Dn, DnKey};
use super::entry::{Entry, sibling_sid};
use super::filter;
use super::server::Lease;

/// More groups than anybody has. Beyond, the login is refused instead of judged by some of them.
const MAX_GROUPS: usize = 5_000;
/// Groups whose parents are asked for in one search.
const BATCH: usize = 50;
const PARTIAL: Fault = Fault::Refused(RefusedReason::PartialGroups);

/// Reads groups over one lease.
pub(super) struct GroupReader<'a> {
    plan: &'a Plan,
    page_size: u32,
    bases: Vec<DnKey>,
    seen: HashSet<DnKey>,
    names: BTreeSet<String>,
}

impl<'a> GroupReader<'a> {
    pub(super) fn new(plan: &'a Plan, page_size: u32) -> Self {
        let bases = plan.group_bases.iter().filter_map(|base| Some(Dn::parse(base)?.key())).collect();
        Self { plan, page_size, bases, seen: HashSet::new(), names: BTreeSet::new() }
    }

    /// The names of all groups of `user`, whose login name is `login`.
    pub(super) async fn read(
        mut self,
        lease: &mut Lease,
        user: &Entry,
        login: &str,
    ) -> Result<Vec<String>, Fault> {
        let mut members = vec![user.dn.clone()];
        if self.plan.kind == DirectoryKind::ActiveDirectory {
            members.extend(self.primary_group(lease, user).await?);
        }
        match self.plan.nesting {
            Nesting::InChain => {
                self.parents(lease, &members, login).await?;
            }
            Nesting::Walk => {
                while !members.is_empty() {
                    members = self.parents(lease, &members, login).await?;
                }
            }
            Nesting::MemberOf => self.follow_member_of(lease, user, &members).await?,
        }
        Ok(self.names.into_iter().collect())
    }

    /// The group that Active Directory notes in the member only: by number, and in no `member` or `memberOf`.
    async fn primary_group(&mut self, lease: &mut Lease, user: &Entry) -> Result<Option<String>, Fault> {
        let sid = user.values("objectSid").first().zip(user.number("primaryGroupID"));
        let Some(sid) = sid.and_then(|(sid, group)| sibling_sid(sid, group)) else { return Ok(None) };
        let filter = LdapFilter::Equality("objectSid".to_owned(), sid);
        let mut groups = self.search_groups(lease, filter).await?;
        Ok(groups.pop())
    }

    /// Notes the groups that have one of `members` as a member; returns those not seen before.
    async fn parents(
        &mut self,
        lease: &mut Lease,
        members: &[String],
        login: &str,
    ) -> Result<Vec<String>, Fault> {
        let mut new = Vec::new();
        for batch in members.chunks(BATCH) {
            let filters = batch
                .iter()
                .map(|dn| self.plan.group_filter.fill(filter::Values { username: login, dn }))
                .collect::<Vec<_>>();
            new.extend(self.search_groups(lease, LdapFilter::Or(filters)).await?);
        }
        Ok(new)
    }

    /// Notes the groups that `filter` finds; returns the names of entries not seen before.
    async fn search_groups(&mut self, lease: &mut Lease, filter: LdapFilter) -> Result<Vec<String>, Fault> {
        // The kind is asked once for all that `filter` may find: servers pay for each time it is mentioned.
        let filter = LdapFilter::And(vec![self.plan.group_kind.clone(), filter]);
        let mut new = Vec::new();
        for base in &self.plan.group_bases {
            let search = Search {
                base,
                scope: LdapSearchScope::Subtree,
                filter: filter.clone(),
                attributes: vec![self.plan.group_name.clone()],
                limit: 0,
                page_size: self.page_size,
            };
            let found = complete(lease.search(&search).await?)?;
            for entry in found.entries {
                if note(&mut self.seen, &mut self.names, &self.plan.group_name, &entry)? {
                    new.push(entry.dn);
                }
            }
        }
        Ok(new)
    }

    async fn follow_member_of(
        &mut self,
        lease: &mut Lease,
        user: &Entry,
        members: &[String],
    ) -> Result<(), Fault> {
        let mut open = self.member_of(lease, user).await?;
        for primary in members.iter().skip(1) {
            if let Some(entry) = self.read_group(lease, primary).await? {
                open.extend(self.member_of(lease, &entry).await?);
            }
        }
        while let Some(dn) = open.pop() {
            let Some(key) = Dn::parse(&dn).map(|dn| dn.key()) else { return Err(PARTIAL) };
            if self.seen.contains(&key) || !self.bases.iter().any(|base| key.is_within(base)) {
                continue;
            }
            if let Some(entry) = self.read_group(lease, &dn).await?
                && note(&mut self.seen, &mut self.names, &self.plan.group_name, &entry)?
            {
                open.extend(self.member_of(lease, &entry).await?);
            }
            // Also when the entry is gone, or spells its name in a form with another key.
            self.seen.insert(key);
        }
        Ok(())
    }

    /// All values of `memberOf`, however many answers they take.
    async fn member_of(&self, lease: &mut Lease, entry: &Entry) -> Result<Vec<String>, Fault> {
        let mut part = entry.ranged("memberOf");
        let mut all = part.values;
        while let Some(next) = part.next {
            if all.len() > MAX_GROUPS || next != all.len() {
                return Err(PARTIAL);
            }
            let attribute = format!("memberOf;range={next}-*");
            let any = LdapFilter::Present("objectClass".to_owned());
            let Some(more) = self.read_entry(lease, &entry.dn, any, vec![attribute]).await? else {
                return Err(PARTIAL);
            };
            part = more.ranged("memberOf");
            if part.values.is_empty() {
                return Err(PARTIAL);
            }
            all.append(&mut part.values);
        }
        all.into_iter().map(|dn| String::from_utf8(dn).map_err(|_| PARTIAL)).collect()
    }

    async fn read_group(&self, lease: &mut Lease, dn: &str) -> Result<Option<Entry>, Fault> {
        let attributes = vec![self.plan.group_name.clone(), member_of(self.plan).to_owned()];
        self.read_entry(lease, dn, self.plan.group_kind.clone(), attributes).await
    }

    /// One entry by its name; `None` if `filter` does not match, or if it is gone: a `memberOf` can outlive its group.
    async fn read_entry(
        &self,
        lease: &mut Lease,
        dn: &str,
        filter: LdapFilter,
        attributes: Vec<String>,
    ) -> Result<Option<Entry>, Fault> {
        let search =
            Search { base: dn, scope: LdapSearchScope::Base, filter, attributes, limit: 1, page_size: 0 };
        let found = lease.search(&search).await?;
        if found.result.code == LdapResultCode::NoSuchObject {
            return Ok(None);
        }
        Ok(complete(found)?.entries.pop())
    }
}

/// Notes a group. Whether it is new.
fn note(
    seen: &mut HashSet<DnKey>,
    names: &mut BTreeSet<String>,
    name_attribute: &str,
    entry: &Entry,
) -> Result<bool, Fault> {
    let Some(dn) = Dn::parse(&entry.dn) else { return Err(PARTIAL) };
    if !seen.insert(dn.key()) {
        return Ok(false);
    }
    if seen.len() > MAX_GROUPS {
        return Err(PARTIAL);
    }
    match entry.naming_value(name_attribute) {
        Some(name) if !name.is_empty() && !name.chars().any(char::is_control) => {
            names.insert(name);
        }
        _ => tracing::warn!(group = %entry.dn.escape_debug(), "a group without a usable name does not count"),
    }
    Ok(true)
}

/// Lets only a whole answer pass.
fn complete(found: Found) -> Result<Found, Fault> {
    match found.result.code {
        LdapResultCode::Success => Ok(found),
        LdapResultCode::SizeLimitExceeded
        | LdapResultCode::TimeLimitExceeded
        | LdapResultCode::AdminLimitExceeded => Err(PARTIAL),
        LdapResultCode::Referral => Err(Fault::Refused(RefusedReason::Referral)),
        _ => Err(Fault::Unusable(format!("cannot search groups: {}", describe(&found.result)))),
    }
}
