//! The people and groups of the tests, in one domain that all of them share.

use std::io::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use doorman_auth::directory::{DirectoryKind, LdapConfig};
use doorman_testkit::samba::{BASE, SERVICE, SERVICE_PASSWORD, Samba, password};

use crate::directory::secret;
use crate::directory::world::{SUFFIX, escape, ldif};

/// More members, and more groups of one user, than Windows puts into one answer.
pub const MANY: usize = 1_600;

/// Accounts that their owners cannot use, with what makes them so.
pub const CLOSED: [(&str, &str, &str); 5] = [
    ("dora", "userAccountControl", "514"),
    ("emil", "accountExpires", "116444736000000000"),
    ("mona", "pwdLastSet", "0"),
    ("hugo", "logonHours", NEVER),
    ("wanda", "userWorkstations", "ELSEWHERE"),
];
/// A bit for each hour of the week.
const NEVER: &str = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// People with nothing special about them. Each test that changes one has one of its own.
const OPEN: [&str; 13] = [
    "alice",
    "Åsa",
    "carol",
    "fiona",
    "petra",
    "lola",
    "fred",
    "greta",
    "rosa",
    "nils",
    "vera",
    "o'brien (ext)",
    "maria-with-a-name",
];

const GLOBAL_SECURITY: &str = "-2147483646";
const DISTRIBUTION: &str = "2";

/// Group, people in it, groups in it.
const GROUPS: [(&str, &[&str], &[&str]); 8] = [
    ("developers", &["alice", "bob"], &[]),
    ("staff", &[], &["developers"]),
    ("Ops, Region (*)", &[], &["staff"]),
    ("loop-a", &["alice"], &["loop-b"]),
    ("loop-b", &[], &["loop-a"]),
    ("oncall", &["bob"], &[]),
    ("finance", &["fiona"], &[]),
    ("accounting", &[], &["finance"]),
];

/// What everybody is in: the usual primary group, and the group that holds it.
const EVERYBODY: [&str; 2] = ["Domain Users", "Users"];

/// Group names as a login reads them.
pub fn groups(names: &[&str]) -> Vec<String> {
    let mut names: Vec<_> = names.iter().chain(&EVERYBODY).map(|&name| name.to_owned()).collect();
    names.sort();
    names
}

/// The domain that most tests share, with its controller running. `None`, said aloud, without the root's rights that it
/// needs.
pub fn samba() -> Option<&'static Samba> {
    static SHARED: LazyLock<Option<Samba>> = LazyLock::new(|| {
        let samba = start(&entries())?;
        samba.modify(&afterwards(&samba)).expect("what can only be done afterwards");
        samba.age_password(&user_dn("petra")).expect("an old password");
        Some(samba)
    });
    SHARED.as_ref()
}

/// A domain of its own: Samba's searches for groups slow down with every group there is.
pub fn crowded_samba() -> Option<Samba> {
    start(&crowd())
}

fn start(entries: &str) -> Option<Samba> {
    if Samba::is_permitted().unwrap() {
        return Some(Samba::start(entries).expect("Samba as a domain controller"));
    }
    let why = "Samba can be a domain controller for root only";
    assert!(std::env::var_os("CI").is_none(), "{why}, and CI leaves nothing out");
    // Not by a macro: the test harness would keep it to itself.
    writeln!(std::io::stderr(), "\nSKIPPED: Active Directory: {why}").unwrap();
    None
}

/// As an operator would write it, but for time: a login may be slow while others build.
pub fn config(samba: &Samba) -> LdapConfig {
    LdapConfig {
        ca_file: Some(samba.ca_file()),
        bind_dn: Some(SERVICE.to_owned()),
        bind_password: Some(secret(SERVICE_PASSWORD)),
        deadline: Duration::from_secs(30),
        refusal_floor: Duration::from_millis(1),
        ..LdapConfig::new(DirectoryKind::ActiveDirectory, vec![samba.tls_url()], BASE)
    }
}

pub fn user_dn(name: &str) -> String {
    format!("CN={},OU=people,{BASE}", escape(name))
}

fn group_dn(name: &str) -> String {
    format!("CN={},OU=groups,{BASE}", escape(name))
}

/// An account as LDIF, with the usual password. `more` goes before the defaults, which it can replace.
pub fn account(class: &str, name: &str, more: &[(&str, &str)]) -> String {
    let principal = format!("{name}@corp.example");
    let mut attributes = vec![("objectClass", class), ("sAMAccountName", name)];
    attributes.extend(more);
    for (attribute, value) in [("userAccountControl", "512"), ("userPrincipalName", &principal)] {
        // Parentheses, spaces and stars are for account names only.
        let is_given = attributes.iter().any(|(name, _)| *name == attribute);
        if !is_given && (attribute != "userPrincipalName" || !name.contains([' ', '$'])) {
            attributes.push((attribute, value));
        }
    }
    format!(
        "{}{}\n",
        ldif(&user_dn(name), &attributes).trim_end_matches('\n').to_owned() + "\n",
        password(&format!("{name}{SUFFIX}"))
    )
}

fn group(dn: &str, name: &str, kind: &str, members: &[String]) -> String {
    // What names allow and account names do not.
    let account = name.replace([',', '*'], "");
    let mut attributes =
        vec![("objectClass", "group"), ("sAMAccountName", account.as_str()), ("groupType", kind)];
    attributes.extend(members.iter().map(|member| ("member", member.as_str())));
    ldif(dn, &attributes)
}

fn units() -> String {
    let unit = |name| ldif(&format!("OU={name},{BASE}"), &[("objectClass", "organizationalUnit")]);
    ["people", "groups", "branch"].map(unit).concat()
}

fn entries() -> String {
    let mut text = units();
    for name in OPEN {
        text.push_str(&account(
            "user",
            name,
            &[("displayName", &format!("The {name}")), ("mail", "m@corp.example")],
        ));
    }
    for (name, attribute, value) in CLOSED {
        text.push_str(&account("user", name, &[(attribute, value)]));
    }
    // Principal names that are not made of the account name: elsewhere, or in somebody else's place.
    for (name, principal) in
        [("bob", "robert@other.example"), ("vera-2", "vera@corp"), ("zed", "zed@corp.example")]
    {
        text.push_str(&account("user", name, &[("userPrincipalName", principal)]));
    }
    text.push_str(&account("computer", "PC1$", &[("userAccountControl", "4096")]));
    for (name, people, groups) in GROUPS {
        let people = people.iter().map(|name| user_dn(name));
        // A loop cannot be added at once.
        let groups = groups.iter().filter(|name| **name != "loop-b").map(|name| group_dn(name));
        let members: Vec<_> = people.chain(groups).collect();
        text.push_str(&group(&group_dn(name), name, GLOBAL_SECURITY, &members));
    }
    text.push_str(&group(&group_dn("newsletter"), "newsletter", DISTRIBUTION, &[user_dn("greta")]));
    text.push_str(&group(&group_dn("readers"), "readers", GLOBAL_SECURITY, &[group_dn("newsletter")]));
    // Whoever may make groups in one unit can name them after any group of another.
    let namesake = format!("CN=Domain Admins,OU=branch,{BASE}");
    text.push_str(&group(&namesake, "branch-admins", GLOBAL_SECURITY, &[user_dn("nils")]));
    text
}

/// A domain in which `big` has more members than Windows puts into one answer, and `carol` more groups.
fn crowd() -> String {
    let mut text = units();
    text.push_str(&account("user", "alice", &[]));
    text.push_str(&account("user", "carol", &[]));
    let mut members = Vec::new();
    for number in 0..MANY {
        let name = format!("team-{number}");
        text.push_str(&group(&group_dn(&name), &name, GLOBAL_SECURITY, &[user_dn("carol")]));
        members.push(group_dn(&name));
    }
    members.push(user_dn("alice"));
    text.push_str(&group(&group_dn("big"), "big", GLOBAL_SECURITY, &members));
    text
}

/// Closes the loop, and makes `finance` fiona's primary group, which then is in no `member` and no `memberOf`.
fn afterwards(samba: &Samba) -> String {
    let finance = samba.read(&group_dn("finance"), "primaryGroupToken").expect("the group");
    let token =
        finance.lines().find_map(|line| line.strip_prefix("primaryGroupToken: ")).expect("its number");
    format!(
        "dn: {}\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: {token}\n\n\
         dn: {}\nchangetype: modify\nadd: member\nmember: {}\n",
        user_dn("fiona"),
        group_dn("loop-a"),
        group_dn("loop-b"),
    )
}
