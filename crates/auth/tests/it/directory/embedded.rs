//! The embedded directory itself, and what must hold for every name there could be.

use std::sync::LazyLock;

use doorman_auth::directory::{Directory, LdapDirectory, demo_ldap_config};
use doorman_testkit::ldap::{DirectoryFile, EmbeddedLdap, demo_directory_toml, hash_password};
use proptest::prelude::*;

use super::world::{LOOPBACK, embedded_config, start};
use super::{directory, secret};

#[tokio::test]
async fn the_demo_world_is_as_promised() {
    let server = start(&demo_directory_toml().unwrap()).await;
    let directory = directory(demo_ldap_config(server.addr()));
    for (name, groups) in [
        ("alice", &["developers"][..]),
        ("bob", &["developers", "oncall"]),
        ("carol", &["security"]),
        ("dave", &["operators"]),
        ("erin", &["admins"]),
        ("mallory", &[]),
    ] {
        let user = directory.authenticate(name, &secret(&format!("{name}-demo"))).await.unwrap();
        assert_eq!(
            (user.name.as_str(), user.groups),
            (name, groups.iter().map(|&group| group.to_owned()).collect())
        );
        assert_eq!(user.email, Some(format!("{name}@demo.example")));
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_changed_file_is_in_force_at_the_next_request_and_a_broken_one_never() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = demo_directory_toml().unwrap();
    std::fs::write(file.path(), &text).unwrap();
    let server = EmbeddedLdap::start(LOOPBACK, DirectoryFile::open(file.path()).unwrap()).await.unwrap();
    let directory = directory(demo_ldap_config(server.addr()));
    let before = directory.lookup("alice").await.unwrap().unwrap();
    std::fs::write(file.path(), text.replace("\"oncall\"", "\"night-shift\"")).unwrap();
    assert_eq!(directory.lookup("bob").await.unwrap().unwrap().groups, ["developers", "night-shift"]);
    assert_eq!(directory.lookup("alice").await.unwrap().unwrap().id, before.id, "identifiers are stable");
    std::fs::write(file.path(), "nonsense").unwrap();
    assert_eq!(directory.lookup("bob").await.unwrap().unwrap().groups, ["developers", "night-shift"]);
    std::fs::write(file.path(), text.replace("name = \"bob\"", "name = \"bobby\"")).unwrap();
    assert_eq!(directory.lookup("bob").await, Ok(None));
}

#[tokio::test]
async fn an_anonymous_client_reads_nothing() {
    let server = start(&demo_directory_toml().unwrap()).await;
    let mut config = demo_ldap_config(server.addr());
    (config.bind_dn, config.bind_password) = (None, None);
    assert!(directory(config).lookup("alice").await.is_err());
}

#[test]
fn a_file_that_is_wrong_says_where() {
    for text in [
        "base_dn = 'dc=x'",
        "base_dn = 'dc=x'\n[service]\nname = 'x'\npassword_hash = 'plain'",
        "base_dn = 'dc=x'\nbase_nd = 'y'\n[service]\nname = 'x'\npassword_hash = 'plain'",
    ] {
        assert!(DirectoryFile::parse(text).is_err(), "{text}");
    }
}

/// One hash for all: what it is the hash of does not matter to searches.
static HASH: LazyLock<String> = LazyLock::new(|| hash_password("service-secret").unwrap());

/// Text made of what filters and names use as syntax.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        r#"[a-b*()\\,+"<>;= #{}&|!:]{1,8}"#,
        "\\PC{1,12}",
        Just(r"a\2a".to_owned()),
        Just("*)(uid=*".to_owned()),
    ]
    .prop_filter("names have something in them", |name| !name.trim().is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_name_finds_itself_and_nothing_else(owner in name(), other in name()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let quoted = toml::Value::String(owner.clone());
            let text = format!(
                "base_dn = 'dc=corp'\n[service]\nname = 'doorman'\npassword_hash = '{0}'\n\
                 [[users]]\nname = {quoted}\npassword_hash = '{0}'\ngroups = ['all']\n",
                *HASH,
            );
            let server = start(&text).await;
            let directory = directory(embedded_config(&[&server]));
            let own = directory.account_key(&owner).await.unwrap();
            // A name with blanks around it cannot be a canonical one, so it is nobody's.
            prop_assert_eq!(own.starts_with("id:"), owner.trim() == owner, "{:?}", &owner);
            let found = directory.account_key(&other).await.unwrap();
            prop_assert_eq!(found == own, fold(&other) == fold(&owner), "{:?} {:?}", &owner, &other);
            if owner.trim() == owner {
                let user = directory.lookup(&owner.to_lowercase()).await.unwrap();
                prop_assert!(user.is_none_or(|user| user.groups == ["all"]));
            }
            Ok(())
        })?;
    }
}

/// What a directory takes for one name.
fn fold(name: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    let lower = name.nfkc().collect::<String>().to_lowercase();
    lower.nfkc().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_settings_in_the_documentation_are_right() {
    let text = include_str!("../../../../../docs/directory.md");
    let blocks: Vec<_> = text
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block)
        .collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        LdapDirectory::new(toml::from_str(block).unwrap()).unwrap();
    }
}
