//! How to reach a directory and how to read it: every setting, the defaults for each kind of directory, and what is
//! refused before the first connection.

use std::path::PathBuf;
use std::time::Duration;

use doorman_core::secret::Secret;
use ldap3_proto::proto::LdapFilter;
use serde::{Deserialize, Deserializer};

use super::dn::Dn;
use super::filter::{FilterError, FilterTemplate, Values};

/// AD's "member of, through any number of groups" rule. OpenLDAP answers it with success and nothing.
pub(super) const IN_CHAIN_RULE: &str = "1.2.840.113556.1.4.1941";
/// The groups that Active Directory itself judges by (bit 31 of `groupType`). Distribution groups are for mail, and often
/// everybody may join them.
const SECURITY_GROUPS: &str = "(&(objectClass=group)(groupType:1.2.840.113556.1.4.803:=2147483648))";

/// Settings of the directory.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LdapConfig {
    /// What the directory is. Decides the defaults below and a few habits (primary group, account control bits).
    pub kind: DirectoryKind,
    /// `ldaps://host[:636]` or `ldap://host[:389]`, in the order of preference. The next is tried when one does not
    /// answer or says that it is busy or unavailable; never because it refused a password.
    pub urls: Vec<String>,
    /// Whether to secure `ldap://` by StartTLS. Without it only loopback addresses are accepted. A server that refuses
    /// StartTLS gets no password.
    #[serde(default = "yes")]
    pub start_tls: bool,
    /// Certificate authorities (PEM) that alone may vouch for the servers. Default: those of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Where users are searched, whole subtrees.
    pub base_dns: Vec<String>,
    /// How a password is checked. Default: `search`.
    #[serde(default)]
    pub bind_mode: BindMode,
    /// The service account that searches. Without it searches are anonymous, and with `bind_mode = "direct"` they are
    /// made as the user who logs in; users can then not be looked up between logins.
    #[serde(default)]
    pub bind_dn: Option<String>,
    /// The service account's password. Prefer `bind_password_file`.
    #[serde(default, deserialize_with = "secret")]
    pub bind_password: Option<Secret>,
    /// A file that holds the service account's password; read at every new connection, so it can be changed any time.
    #[serde(default)]
    pub bind_password_file: Option<PathBuf>,
    /// For `direct`: the DN to bind with, such as `uid={username},ou=people,dc=corp,dc=example`.
    #[serde(default)]
    pub user_dn_template: Option<String>,
    /// For `direct` on Active Directory: the principal name to bind with, such as `{username}@corp.example`.
    #[serde(default)]
    pub user_principal_template: Option<String>,
    /// Finds the entry of `{username}`. Must match at most one. Default: `(uid={username})`, on Active Directory persons
    /// by `sAMAccountName` or `userPrincipalName`.
    #[serde(default)]
    pub user_filter: Option<String>,
    /// The attribute that holds the canonical login name. Default: `uid` / `sAMAccountName`.
    #[serde(default)]
    pub user_name_attribute: Option<String>,
    /// The attribute that never changes. Default: `entryUUID` / `objectGUID`.
    #[serde(default)]
    pub id_attribute: Option<String>,
    /// The name to show. Default: `displayName`, else `cn`.
    #[serde(default)]
    pub display_name_attribute: Option<String>,
    /// The mail address. Default: `mail`.
    #[serde(default)]
    pub email_attribute: Option<String>,
    /// Where groups are searched; groups elsewhere do not count. Default: `base_dns`.
    #[serde(default)]
    pub group_base_dns: Option<Vec<String>>,
    /// Finds the groups of `{dn}`, a user's or a nested group's, and of `{username}`, the canonical login name. Default:
    /// groups of names, unique names and POSIX groups; on Active Directory security groups.
    #[serde(default)]
    pub group_filter: Option<String>,
    /// The attribute that names a group. Default: `cn`; on Active Directory `sAMAccountName`, because there a `cn` is free
    /// for whoever may make a group somewhere.
    #[serde(default)]
    pub group_name_attribute: Option<String>,
    /// How groups within groups are found. Default: `walk`, on Active Directory `in_chain`.
    #[serde(default)]
    pub nesting: Option<Nesting>,
    /// For the whole of one login or look-up, over all servers. Default: `5s`.
    #[serde(default = "five_seconds", deserialize_with = "duration")]
    pub deadline: Duration,
    /// No refusal is answered sooner, so that it takes the same time whether the name or the password was wrong.
    /// Default: `100ms`.
    #[serde(default = "refusal_floor", deserialize_with = "duration")]
    pub refusal_floor: Duration,
    /// Service connections to each server at a time, and as many for binds of users. Default: 8.
    #[serde(default = "pool_size")]
    pub pool_size: usize,
    /// Entries asked for at a time. Default: 500; a directory may refuse more than 1000.
    #[serde(default = "page_size")]
    pub page_size: u32,
}

/// The two families of directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryKind {
    /// OpenLDAP, and others that keep to the standards: 389 Directory Server, FreeIPA, the embedded directory.
    #[serde(rename = "openldap")]
    OpenLdap,
    /// Active Directory, Windows' or Samba's.
    ActiveDirectory,
}

/// How a password is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindMode {
    /// The service account searches the user's entry; then a bind as that entry.
    #[default]
    Search,
    /// A bind with a name made from what was typed; then the entry is read.
    Direct,
}

/// How groups within groups are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nesting {
    /// By Active Directory's matching rule 1.2.840.113556.1.4.1941, in one search.
    InChain,
    /// Groups of the user, groups of those groups, and so on, each once. Works everywhere.
    Walk,
    /// By the `memberOf` attribute of the user and of each group.
    MemberOf,
}

/// Why settings are refused.
#[derive(Debug, thiserror::Error)]
pub enum LdapConfigError {
    /// A setting is missing, or does not go with another.
    #[error("directory.{key}: {problem}")]
    Invalid {
        /// The setting's name.
        key: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A filter cannot be parsed.
    #[error("directory.{key}: {source}")]
    Filter {
        /// The setting's name.
        key: &'static str,
        /// Where.
        source: FilterError,
    },
    /// The certificate authorities cannot be loaded.
    #[error("directory.ca_file: {0}")]
    Authorities(String),
}

impl LdapConfigError {
    pub(super) fn invalid(key: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { key, problem: problem.into() }
    }
}

impl LdapConfig {
    /// Settings with defaults for everything that has one.
    pub fn new(kind: DirectoryKind, urls: Vec<String>, base_dn: &str) -> Self {
        Self {
            kind,
            urls,
            start_tls: yes(),
            ca_file: None,
            base_dns: vec![base_dn.to_owned()],
            bind_mode: BindMode::Search,
            bind_dn: None,
            bind_password: None,
            bind_password_file: None,
            user_dn_template: None,
            user_principal_template: None,
            user_filter: None,
            user_name_attribute: None,
            id_attribute: None,
            display_name_attribute: None,
            email_attribute: None,
            group_base_dns: None,
            group_filter: None,
            group_name_attribute: None,
            nesting: None,
            deadline: five_seconds(),
            refusal_floor: refusal_floor(),
            pool_size: pool_size(),
            page_size: page_size(),
        }
    }
}

/// What a user's name and password are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BindPlan {
    Search,
    DirectDn(String),
    DirectPrincipal(String),
}

/// The settings of reading a directory, checked and complete.
pub(super) struct Plan {
    pub(super) kind: DirectoryKind,
    pub(super) bind: BindPlan,
    pub(super) has_service_account: bool,
    pub(super) bases: Vec<String>,
    pub(super) user_filter: FilterTemplate,
    pub(super) user_name: String,
    pub(super) id: String,
    pub(super) display_names: Vec<String>,
    pub(super) email: String,
    pub(super) group_bases: Vec<String>,
    pub(super) group_filter: FilterTemplate,
    /// What makes an entry a group that counts, however it was found.
    pub(super) group_kind: LdapFilter,
    pub(super) group_name: String,
    pub(super) nesting: Nesting,
    pub(super) deadline: Duration,
    pub(super) refusal_floor: Duration,
}

impl Plan {
    pub(super) fn new(config: &LdapConfig) -> Result<Self, LdapConfigError> {
        let active = config.kind == DirectoryKind::ActiveDirectory;
        let either = |given: &Option<String>, ad: &str, ldap: &str| {
            given.clone().unwrap_or_else(|| if active { ad } else { ldap }.to_owned())
        };
        let nesting = config.nesting.unwrap_or(if active { Nesting::InChain } else { Nesting::Walk });
        if nesting == Nesting::InChain && !active {
            return Err(LdapConfigError::invalid(
                "nesting",
                "`in_chain` is Active Directory's; others answer it with no groups at all. Use `walk`",
            ));
        }
        let group_bases = config.group_base_dns.as_ref().unwrap_or(&config.base_dns);
        for (key, bases) in [("base_dns", &config.base_dns), ("group_base_dns", group_bases)] {
            if bases.is_empty() || bases.iter().any(|base| base.is_empty() || Dn::parse(base).is_none()) {
                return Err(LdapConfigError::invalid(key, "needs at least one distinguished name"));
            }
        }
        if config.pool_size == 0 || config.page_size == 0 || config.deadline.is_zero() {
            return Err(LdapConfigError::invalid(
                "pool_size",
                "pool_size, page_size and deadline must be above 0",
            ));
        }
        let ad_groups = match nesting {
            Nesting::InChain => format!("(member:{IN_CHAIN_RULE}:={{dn}})"),
            Nesting::Walk | Nesting::MemberOf => "(member={dn})".to_owned(),
        };
        let group_kind =
            if active && config.group_filter.is_none() { SECURITY_GROUPS } else { "(objectClass=*)" };
        let user_filter = either(
            &config.user_filter,
            "(&(objectCategory=person)(objectClass=user)(|(sAMAccountName={username})(userPrincipalName={username})))",
            "(uid={username})",
        );
        let group_filter = either(
            &config.group_filter,
            &ad_groups,
            "(|(member={dn})(uniqueMember={dn})(memberUid={username}))",
        );
        Ok(Self {
            kind: config.kind,
            bind: bind_plan(config)?,
            has_service_account: config.bind_dn.is_some(),
            bases: config.base_dns.clone(),
            user_filter: template("user_filter", &user_filter, &["{username}"])?,
            user_name: either(&config.user_name_attribute, "sAMAccountName", "uid"),
            id: either(&config.id_attribute, "objectGUID", "entryUUID"),
            display_names: match &config.display_name_attribute {
                Some(given) => vec![given.clone()],
                None => vec!["displayName".to_owned(), "cn".to_owned()],
            },
            email: config.email_attribute.clone().unwrap_or_else(|| "mail".to_owned()),
            group_bases: group_bases.clone(),
            group_filter: template("group_filter", &group_filter, &["{dn}", "{username}"])?,
            group_kind: template("group_filter", group_kind, &[""])?.fill(Values::default()),
            group_name: either(&config.group_name_attribute, "sAMAccountName", "cn"),
            nesting,
            deadline: config.deadline,
            refusal_floor: config.refusal_floor,
        })
    }
}

fn bind_plan(config: &LdapConfig) -> Result<BindPlan, LdapConfigError> {
    if config.bind_dn.as_deref() == Some("") {
        return Err(LdapConfigError::invalid("bind_dn", "is empty; leave it out for anonymous searches"));
    }
    let passwords =
        usize::from(config.bind_password.is_some()) + usize::from(config.bind_password_file.is_some());
    if passwords != usize::from(config.bind_dn.is_some()) {
        return Err(LdapConfigError::invalid(
            "bind_dn",
            "goes with one of bind_password_file and bind_password",
        ));
    }
    let templates = (&config.user_dn_template, &config.user_principal_template);
    for template in [templates.0, templates.1].into_iter().flatten() {
        if !template.contains("{username}") {
            return Err(LdapConfigError::invalid("user_dn_template", "must contain {username}"));
        }
    }
    match (config.bind_mode, templates) {
        (BindMode::Search, (None, None)) => Ok(BindPlan::Search),
        (BindMode::Search, _) => {
            Err(LdapConfigError::invalid("user_dn_template", "is only for bind_mode = \"direct\""))
        }
        (BindMode::Direct, (Some(dn), None)) => Ok(BindPlan::DirectDn(dn.clone())),
        (BindMode::Direct, (None, Some(principal))) => Ok(BindPlan::DirectPrincipal(principal.clone())),
        (BindMode::Direct, _) => Err(LdapConfigError::invalid(
            "bind_mode",
            "`direct` needs one of user_dn_template and user_principal_template",
        )),
    }
}

fn template(key: &'static str, text: &str, any_of: &[&str]) -> Result<FilterTemplate, LdapConfigError> {
    if !any_of.iter().any(|placeholder| text.contains(placeholder)) {
        return Err(LdapConfigError::invalid(key, format!("must contain {}", any_of.join(" or "))));
    }
    FilterTemplate::parse(text).map_err(|source| LdapConfigError::Filter { key, source })
}

fn yes() -> bool {
    true
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn refusal_floor() -> Duration {
    Duration::from_millis(100)
}

fn pool_size() -> usize {
    8
}

fn page_size() -> u32 {
    500
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(Secret::new))
}

/// `"5s"`, `"250ms"`, `"2m"`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let millis = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        _ => None,
    };
    millis
        .zip(number.parse::<u64>().ok())
        .and_then(|(millis, number)| number.checked_mul(millis))
        .map(Duration::from_millis)
        .ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is no duration; write \"5s\" or \"250ms\""))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LdapConfig, toml::de::Error> {
        toml::from_str(text)
    }

    const MINIMAL: &str =
        "kind = \"openldap\"\nurls = [\"ldaps://ldap.corp.example\"]\nbase_dns = [\"dc=corp\"]\n";

    #[test]
    fn the_minimal_settings_have_safe_defaults() {
        let config = parse(MINIMAL).unwrap();
        assert!(config.start_tls);
        assert_eq!(config.deadline, Duration::from_secs(5));
        let plan = Plan::new(&config).unwrap();
        assert_eq!(plan.bind, BindPlan::Search);
        assert_eq!(plan.nesting, Nesting::Walk);
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(parse(&format!("{MINIMAL}starttls = false\n")).is_err());
    }

    #[test]
    fn durations_are_written_with_their_unit() {
        assert_eq!(
            parse(&format!("{MINIMAL}deadline = \"750ms\"")).unwrap().deadline,
            Duration::from_millis(750)
        );
        assert!(parse(&format!("{MINIMAL}deadline = \"5\"")).is_err());
    }

    #[test]
    fn the_chain_rule_is_refused_where_it_silently_finds_nothing() {
        let config = parse(&format!("{MINIMAL}nesting = \"in_chain\"")).unwrap();
        assert!(matches!(Plan::new(&config), Err(LdapConfigError::Invalid { key: "nesting", .. })));
    }

    #[test]
    fn contradictions_name_the_setting() {
        for (more, key) in [
            ("bind_dn = \"cn=x\"", "bind_dn"),
            ("bind_dn = \"\"\nbind_password = \"x\"", "bind_dn"),
            ("bind_mode = \"direct\"", "bind_mode"),
            ("user_dn_template = \"uid={username}\"", "user_dn_template"),
            ("bind_mode = \"direct\"\nuser_dn_template = \"uid=x\"", "user_dn_template"),
            ("group_base_dns = [\"nonsense\"]", "group_base_dns"),
            ("user_filter = \"(uid=alice)\"", "user_filter"),
            ("pool_size = 0", "pool_size"),
        ] {
            let config = parse(&format!("{MINIMAL}{more}")).unwrap();
            match Plan::new(&config).map(|_| ()) {
                Err(LdapConfigError::Invalid { key: named, .. }) => assert_eq!(named, key),
                other => panic!("{more}: {other:?}"),
            }
        }
    }
}
