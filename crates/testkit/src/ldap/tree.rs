//! The entries of the embedded directory, and which of them a search finds.

use std::collections::BTreeMap;

use argon2::PasswordHash;
use ldap3_proto::proto::{
    LdapFilter, LdapPartialAttribute, LdapSearchRequest, LdapSearchResultEntry, LdapSearchScope,
    LdapSubstringFilter,
};
use sha2::{Digest, Sha256};

use super::dn::{escape, fold, normalize};
use super::file::{Content, DirectoryFileError, User, hash_password};

/// Attributes that are sent only when asked for by name or by `+`.
const OPERATIONAL: [&str; 3] = ["entryUUID", "memberOf", "pwdAccountLockedTime"];
/// Attributes whose values are names and compare as such.
const NAMES: [&str; 2] = ["member", "memberOf"];

/// Everything there is. It never changes; a new file makes a new tree.
pub(super) struct Tree {
    entries: Vec<Entry>,
    /// Checked in place of a hash that does not exist, so that an unknown name costs as much.
    decoy: String,
}

/// One entry.
pub(super) struct Entry {
    pub(super) dn: String,
    key: Vec<String>,
    attributes: Vec<(&'static str, Vec<String>)>,
    credential: Option<Credential>,
}

/// What a bind as an entry takes.
#[derive(Clone)]
pub(super) struct Credential {
    pub(super) hash: String,
    pub(super) state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Active,
    Disabled,
    Locked,
    /// Stands for nobody.
    Decoy,
}

impl Tree {
    pub(super) fn new(content: &Content) -> Result<Self, DirectoryFileError> {
        let base = &content.base_dn;
        let user_dn = |name: &str| format!("uid={},ou=people,{base}", escape(name));
        let group_dn = |name: &str| format!("cn={},ou=groups,{base}", escape(name));
        // Group name to members; group or user name to groups.
        let mut members: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut member_of: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for group in &content.groups {
            members.entry(&group.name).or_default();
            for inner in &group.groups {
                members.entry(&group.name).or_default().push(group_dn(inner));
                member_of.entry(group_dn(inner)).or_default().push(group_dn(&group.name));
                members.entry(inner).or_default();
            }
        }
        for user in &content.users {
            for group in &user.groups {
                members.entry(group).or_default().push(user_dn(&user.name));
                member_of.entry(user_dn(&user.name)).or_default().push(group_dn(group));
            }
        }
        let mut entries = vec![
            Entry::new(base.clone(), vec![("objectClass", texts(&["top", "organization"]))]),
            Entry::new(format!("ou=people,{base}"), unit("people")),
            Entry::new(format!("ou=groups,{base}"), unit("groups")),
        ];
        let service = format!("cn={},{base}", escape(&content.service.name));
        entries.push(
            Entry::new(
                service,
                vec![
                    ("objectClass", texts(&["top", "applicationProcess"])),
                    ("cn", vec![content.service.name.clone()]),
                ],
            )
            .with_credential(&content.service.password_hash, State::Active)?,
        );
        for user in &content.users {
            let dn = user_dn(&user.name);
            let groups = member_of.remove(&dn).unwrap_or_default();
            let state = match user {
                User { disabled: true, .. } => State::Disabled,
                User { locked: true, .. } => State::Locked,
                _ => State::Active,
            };
            entries.push(user_entry(dn, user, groups, state).with_credential(&user.password_hash, state)?);
        }
        for (name, members) in members {
            let dn = group_dn(name);
            let member_of = member_of.remove(&dn).unwrap_or_default();
            entries.push(Entry::new(
                dn,
                vec![
                    ("objectClass", texts(&["top", "groupOfNames"])),
                    ("cn", vec![name.to_owned()]),
                    ("member", members),
                    ("memberOf", member_of),
                ],
            ));
        }
        Ok(Self { entries, decoy: hash_password("nobody's")? })
    }

    /// What a bind as `dn` takes; nobody's for a name that does not exist.
    pub(super) fn credential(&self, dn: &str) -> Credential {
        let key = normalize(dn);
        let entry = self.entries.iter().find(|entry| entry.key == key);
        entry
            .and_then(|entry| entry.credential.clone())
            .unwrap_or_else(|| Credential { hash: self.decoy.clone(), state: State::Decoy })
    }

    /// The entries that a search finds, or `None` if its base does not exist.
    pub(super) fn search(&self, request: &LdapSearchRequest) -> Option<Vec<LdapSearchResultEntry>> {
        let base = normalize(&request.base);
        if !self.entries.iter().any(|entry| entry.key == base) {
            return None;
        }
        let in_scope = |key: &[String]| {
            let below = key.strip_suffix(base.as_slice()).map(<[String]>::len);
            match request.scope {
                LdapSearchScope::Base => below == Some(0),
                LdapSearchScope::OneLevel => below == Some(1),
                LdapSearchScope::Subtree => below.is_some(),
                LdapSearchScope::Children => below.is_some_and(|below| below > 0),
            }
        };
        let found = self
            .entries
            .iter()
            .filter(|entry| in_scope(&entry.key) && entry.matches(&request.filter))
            .map(|entry| entry.select(&request.attrs))
            .collect();
        Some(found)
    }
}

impl Entry {
    fn new(dn: String, mut attributes: Vec<(&'static str, Vec<String>)>) -> Self {
        let key = normalize(&dn);
        attributes.push(("entryUUID", vec![stable_uuid(&key)]));
        attributes.retain(|(_, values)| !values.is_empty());
        Self { dn, key, attributes, credential: None }
    }

    fn with_credential(mut self, hash: &str, state: State) -> Result<Self, DirectoryFileError> {
        PasswordHash::new(hash)
            .map_err(|error| DirectoryFileError::Invalid(format!("{}: password_hash: {error}", self.dn)))?;
        self.credential = Some(Credential { hash: hash.to_owned(), state });
        Ok(self)
    }

    fn values(&self, name: &str) -> &[String] {
        let found = self.attributes.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, values)| values.as_slice()).unwrap_or_default()
    }

    fn matches(&self, filter: &LdapFilter) -> bool {
        match filter {
            LdapFilter::And(filters) => filters.iter().all(|filter| self.matches(filter)),
            LdapFilter::Or(filters) => filters.iter().any(|filter| self.matches(filter)),
            LdapFilter::Not(filter) => !self.matches(filter),
            LdapFilter::Present(name) => !self.values(name).is_empty(),
            LdapFilter::Equality(name, value) | LdapFilter::Approx(name, value) => {
                if NAMES.iter().any(|own| own.eq_ignore_ascii_case(name)) {
                    let wanted = normalize(value);
                    self.values(name).iter().any(|own| normalize(own) == wanted)
                } else {
                    let wanted = fold(value);
                    self.values(name).iter().any(|own| fold(own) == wanted)
                }
            }
            LdapFilter::Substring(name, parts) => {
                self.values(name).iter().any(|own| contains_parts(own, parts))
            }
            // As OpenLDAP answers rules that it does not know: nothing matches.
            LdapFilter::GreaterOrEqual(..) | LdapFilter::LessOrEqual(..) | LdapFilter::Extensible(_) => false,
        }
    }

    fn select(&self, wanted: &[String]) -> LdapSearchResultEntry {
        let asked = |name: &str| wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
        let attributes = self
            .attributes
            .iter()
            .filter(|(name, _)| {
                let every =
                    if OPERATIONAL.contains(name) { asked("+") } else { wanted.is_empty() || asked("*") };
                every || asked(name)
            })
            .map(|(name, values)| LdapPartialAttribute {
                atype: (*name).to_owned(),
                vals: values.iter().map(|value| value.clone().into_bytes()).collect(),
            })
            .collect();
        LdapSearchResultEntry { dn: self.dn.clone(), attributes }
    }
}

fn user_entry(dn: String, user: &User, groups: Vec<String>, state: State) -> Entry {
    let display_name = user.display_name.clone().unwrap_or_else(|| user.name.clone());
    let locked_since = match state {
        // "For ever", as OpenLDAP's password policy writes it.
        State::Disabled => vec!["000001010000Z".to_owned()],
        State::Locked => vec!["20200101000000Z".to_owned()],
        State::Active | State::Decoy => Vec::new(),
    };
    Entry::new(
        dn,
        vec![
            ("objectClass", texts(&["top", "person", "organizationalPerson", "inetOrgPerson"])),
            ("uid", vec![user.name.clone()]),
            ("cn", vec![display_name.clone()]),
            ("sn", vec![display_name.clone()]),
            ("displayName", vec![display_name]),
            ("mail", user.email.clone().into_iter().collect()),
            ("memberOf", groups),
            ("pwdAccountLockedTime", locked_since),
        ],
    )
}

fn unit(name: &str) -> Vec<(&'static str, Vec<String>)> {
    vec![("objectClass", texts(&["top", "organizationalUnit"])), ("ou", vec![name.to_owned()])]
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

/// The same entry has the same identifier in every process.
fn stable_uuid(key: &[String]) -> String {
    let digest = Sha256::digest(key.join(",").as_bytes());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, digest)| *byte = digest);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

fn contains_parts(value: &str, parts: &LdapSubstringFilter) -> bool {
    let value = fold(value);
    let mut rest = value.as_str();
    if let Some(initial) = &parts.initial {
        let Some(after) = rest.strip_prefix(&fold(initial)) else { return false };
        rest = after;
    }
    for part in &parts.any {
        let Some((_, after)) = rest.split_once(&fold(part)) else { return false };
        rest = after;
    }
    parts.final_.as_ref().is_none_or(|last| rest.ends_with(&fold(last)))
}
