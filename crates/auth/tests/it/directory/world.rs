//! The people and groups of the contract, once for the embedded directory and once for OpenLDAP.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorman_auth::directory::{DirectoryKind, LdapConfig};
use doorman_testkit::ldap::{DirectoryFile, EmbeddedLdap, hash_password};
use doorman_testkit::slapd::{self, Slapd};

use super::secret;

pub const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Everybody's password is their name and this.
pub const SUFFIX: &str = "-pw";

/// Names that mean something in a filter, in a distinguished name, or in both.
pub const ODD: [&str; 14] = [
    "star*user",
    "starxuser",
    "paren(user)",
    r"back\slash",
    "comma, user",
    "plus+user",
    "#hash",
    "quote\"user",
    "equals=user",
    "semi;colon",
    "<angle>",
    "o'brien",
    "a{username}",
    "two words",
];

const PEOPLE: [&str; 4] = ["alice", "bob", "dora", "lola"];

/// Group, people in it, groups in it.
const GROUPS: [(&str, &[&str], &[&str]); 6] = [
    ("developers", &["alice", "bob"], &[]),
    ("staff", &[], &["developers"]),
    ("Ops, Region", &[], &["staff"]),
    ("loop-a", &["alice"], &["loop-b"]),
    ("loop-b", &[], &["loop-a"]),
    ("oncall", &["bob"], &[]),
];

pub fn groups_of_alice() -> Vec<String> {
    ["Ops, Region", "developers", "loop-a", "loop-b", "staff"].map(str::to_owned).to_vec()
}

/// A directory under test.
pub struct Backend {
    kind: Kind,
}

enum Kind {
    Embedded(EmbeddedLdap),
    OpenLdap(&'static Slapd),
}

impl Backend {
    pub fn config(&self) -> LdapConfig {
        match &self.kind {
            Kind::Embedded(server) => embedded_config(&[server]),
            Kind::OpenLdap(slapd) => slapd_config(slapd),
        }
    }

    pub fn base(&self) -> &'static str {
        match &self.kind {
            Kind::Embedded(_) => "dc=corp",
            Kind::OpenLdap(_) => slapd::BASE,
        }
    }
}

pub async fn embedded() -> Backend {
    Backend { kind: Kind::Embedded(embedded_server().await) }
}

pub async fn openldap() -> Backend {
    Backend { kind: Kind::OpenLdap(slapd()) }
}

pub async fn embedded_server() -> EmbeddedLdap {
    start(&WORLD_TOML).await
}

pub async fn start(toml: &str) -> EmbeddedLdap {
    EmbeddedLdap::start(LOOPBACK, DirectoryFile::parse(toml).unwrap()).await.unwrap()
}

pub fn embedded_config(servers: &[&EmbeddedLdap]) -> LdapConfig {
    let urls = servers.iter().map(|server| format!("ldap://{}", server.addr())).collect();
    LdapConfig {
        start_tls: false,
        bind_dn: Some("cn=doorman,dc=corp".to_owned()),
        bind_password: Some(secret("service-secret")),
        refusal_floor: Duration::from_millis(1),
        ..LdapConfig::new(DirectoryKind::OpenLdap, urls, "dc=corp")
    }
}

pub fn slapd_config(slapd: &Slapd) -> LdapConfig {
    LdapConfig {
        start_tls: false,
        bind_dn: Some(slapd::SERVICE.to_owned()),
        bind_password: Some(secret(slapd::SERVICE_PASSWORD)),
        refusal_floor: Duration::from_millis(1),
        ..LdapConfig::new(DirectoryKind::OpenLdap, vec![slapd.url()], slapd::BASE)
    }
}

/// The OpenLDAP server that tests share which change nothing in it but what is theirs.
pub fn slapd() -> &'static Slapd {
    static SHARED: LazyLock<Slapd> = LazyLock::new(|| {
        let options = slapd::Options {
            hidden: Some(format!("uid=hidden,ou=people,{}", slapd::BASE)),
            size_limit: 40,
            ..slapd::Options::default()
        };
        let slapd = Slapd::start(&options).expect("slapd, from the packages slapd and ldap-utils");
        slapd.add(&world_ldif()).expect("the world");
        slapd
            .modify(&format!(
                "dn: {}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n\n\
                 dn: {}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 20200101000000Z\n",
                user_dn("dora"),
                user_dn("lola"),
            ))
            .expect("the locks");
        slapd
    });
    &SHARED
}

/// Writes a value for a distinguished name.
pub fn escape(value: &str) -> String {
    value
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("\\{byte:02x}") }
        })
        .collect()
}

pub fn user_dn(name: &str) -> String {
    format!("uid={},ou=people,{}", escape(name), slapd::BASE)
}

pub fn group_dn(name: &str) -> String {
    format!("cn={},ou=groups,{}", escape(name), slapd::BASE)
}

/// An entry as LDIF, with every value encoded.
pub fn ldif(dn: &str, attributes: &[(&str, &str)]) -> String {
    let mut text = format!("dn:: {}\n", STANDARD.encode(dn));
    for (name, value) in attributes {
        text.push_str(&format!("{name}:: {}\n", STANDARD.encode(value)));
    }
    text.push('\n');
    text
}

/// A person as LDIF, with the usual password.
pub fn person(dn: &str, name: &str, more: &[(&str, &str)]) -> String {
    let password = format!("{name}{SUFFIX}");
    let mut attributes = vec![
        ("objectClass", "inetOrgPerson"),
        ("uid", name),
        ("cn", name),
        ("sn", name),
        ("userPassword", password.as_str()),
    ];
    attributes.extend(more);
    ldif(dn, &attributes)
}

pub fn group(name: &str, members: &[String]) -> String {
    let mut attributes = vec![("objectClass", "groupOfNames"), ("cn", name)];
    attributes.extend(members.iter().map(|member| ("member", member.as_str())));
    ldif(&group_dn(name), &attributes)
}

fn world_ldif() -> String {
    let mut text = String::new();
    for name in PEOPLE.iter().chain(&ODD) {
        let mail = format!("{}@corp.example", name.replace(|c: char| !c.is_ascii_alphanumeric(), "."));
        text.push_str(&person(
            &user_dn(name),
            name,
            &[("mail", &mail), ("displayName", &format!("The {name}"))],
        ));
    }
    for (name, people, groups) in GROUPS {
        let people = people.iter().map(|name| user_dn(name));
        let members: Vec<_> = people.chain(groups.iter().map(|name| group_dn(name))).collect();
        text.push_str(&group(name, &members));
    }
    text
}

static WORLD_TOML: LazyLock<String> = LazyLock::new(|| {
    let service = hash_password("service-secret").unwrap();
    let mut text = format!("base_dn = 'dc=corp'\n[service]\nname = 'doorman'\npassword_hash = '{service}'\n");
    for name in PEOPLE.iter().chain(&ODD) {
        let groups: Vec<_> =
            GROUPS.iter().filter(|(_, people, _)| people.contains(name)).map(|(group, ..)| group).collect();
        let mail = format!("{}@corp.example", name.replace(|c: char| !c.is_ascii_alphanumeric(), "."));
        let hash = hash_password(&format!("{name}{SUFFIX}")).unwrap();
        text.push_str(&format!(
            "[[users]]\nname = {name:?}\ndisplay_name = {:?}\nemail = '{mail}'\ngroups = {groups:?}\n\
             password_hash = '{hash}'\ndisabled = {}\nlocked = {}\n",
            format!("The {name}"),
            *name == "dora",
            *name == "lola",
        ));
    }
    for (name, _, groups) in GROUPS {
        text.push_str(&format!("[[groups]]\nname = {name:?}\ngroups = {groups:?}\n"));
    }
    text
});
