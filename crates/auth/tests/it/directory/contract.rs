//! What holds with every directory.

use doorman_auth::directory::{
    BindMode, Directory, DirectoryError, LdapConfig, LdapDirectory, Nesting, RefusedReason,
};

use super::world::{Backend, ODD, SUFFIX, groups_of_alice};
use super::{directory, refusal, secret};

/// Makes each function a test of the embedded directory and of OpenLDAP.
macro_rules! contract {
    ($($name:ident,)*) => {
        mod embedded { $(#[tokio::test] async fn $name() { super::$name(super::super::world::embedded().await).await })* }
        mod openldap { $(#[tokio::test] async fn $name() { super::$name(super::super::world::openldap().await).await })* }
    };
}

contract! {
    the_right_password_tells_who_it_is,
    a_name_in_any_form_is_one_identity,
    a_wrong_password_and_an_unknown_name_look_alike,
    names_that_are_syntax_elsewhere_log_in_as_themselves_only,
    a_pattern_matches_nobody,
    passwords_that_make_directories_say_yes_never_reach_them,
    names_that_cannot_be_are_refused,
    disabled_and_locked_accounts_are_refused_with_the_right_password,
    a_look_up_reads_the_user_anew,
    a_look_up_finds_by_the_canonical_name_only,
    failures_count_for_one_account_however_its_name_is_typed,
    a_direct_bind_escapes_for_the_distinguished_name,
    a_direct_bind_without_a_service_account_reads_as_the_user,
    member_of_finds_the_same_groups,
    small_pages_make_whole_answers,
    groups_outside_their_base_do_not_count,
    the_service_password_can_be_in_a_file,
    a_ping_tells_whether_the_service_account_works,
    identities_never_swap_among_concurrent_logins,
}

async fn log_in(directory: &LdapDirectory, name: &str) -> doorman_auth::directory::DirectoryUser {
    let owner = name.trim().to_lowercase();
    match directory.authenticate(name, &secret(&format!("{owner}{SUFFIX}"))).await {
        Ok(user) => user,
        Err(error) => panic!("{name:?}: {error:?}"),
    }
}

async fn the_right_password_tells_who_it_is(backend: Backend) {
    let alice = log_in(&directory(backend.config()), "alice").await;
    assert_eq!(alice.name, "alice");
    assert_eq!(alice.display_name, "The alice");
    assert_eq!(alice.email.as_deref(), Some("alice@corp.example"));
    assert_eq!(alice.groups, groups_of_alice());
    assert_eq!(alice.id.len(), 36, "{}", alice.id);
}

async fn a_name_in_any_form_is_one_identity(backend: Backend) {
    let directory = directory(backend.config());
    let alice = log_in(&directory, "alice").await;
    for form in ["ALICE", "Alice", "alice ", " alice", "\u{ff41}lice"] {
        let again = directory.authenticate(form, &secret("alice-pw")).await.unwrap();
        assert_eq!(again, alice, "{form:?}");
    }
    for form in ["two words", "two   words", "TWO  Words"] {
        assert_eq!(directory.authenticate(form, &secret("two words-pw")).await.unwrap().name, "two words");
    }
}

async fn a_wrong_password_and_an_unknown_name_look_alike(backend: Backend) {
    let directory = directory(backend.config());
    let wrong = directory.authenticate("bob", &secret("nonsense")).await.unwrap_err();
    let unknown = directory.authenticate("nobody-at-all", &secret("nonsense")).await.unwrap_err();
    assert_eq!(wrong.to_string(), unknown.to_string());
    assert_eq!(wrong, DirectoryError::BadCredentials { reason: RefusedReason::WrongPassword });
    assert_eq!(unknown, DirectoryError::BadCredentials { reason: RefusedReason::UnknownUser });
}

async fn names_that_are_syntax_elsewhere_log_in_as_themselves_only(backend: Backend) {
    let directory = directory(backend.config());
    for name in ODD {
        assert_eq!(log_in(&directory, name).await.name, name);
    }
}

async fn a_pattern_matches_nobody(backend: Backend) {
    let directory = directory(backend.config());
    for name in
        ["*", "al*", "*)(uid=*", "alice)(uid=*", r"\2a", r"alic\65", "alice)(|(uid=*", "star*", "(uid=alice)"]
    {
        assert_eq!(refusal(&directory, name, "alice-pw").await, RefusedReason::UnknownUser, "{name:?}");
    }
}

async fn passwords_that_make_directories_say_yes_never_reach_them(backend: Backend) {
    let directory = directory(backend.config());
    for password in ["", "\0", "alice-pw\0", "alice-pw\0junk", "\0alice-pw"] {
        assert_eq!(
            refusal(&directory, "alice", password).await,
            RefusedReason::EmptyPassword,
            "{password:?}"
        );
    }
    // And these are passwords like any other.
    for password in [" ", "alice-pw ", " alice-pw", "ALICE-PW"] {
        assert_eq!(refusal(&directory, "bob", password).await, RefusedReason::WrongPassword, "{password:?}");
        log_in(&directory, "bob").await;
    }
}

async fn names_that_cannot_be_are_refused(backend: Backend) {
    let directory = directory(backend.config());
    for name in ["", " ", "ali\0ce", "alice\r\nX: y", &"a".repeat(300)] {
        assert_eq!(refusal(&directory, name, "alice-pw").await, RefusedReason::InvalidName, "{name:?}");
    }
}

async fn disabled_and_locked_accounts_are_refused_with_the_right_password(backend: Backend) {
    let directory = directory(backend.config());
    let reason = refusal(&directory, "dora", "dora-pw").await;
    assert!(matches!(reason, RefusedReason::Disabled | RefusedReason::Locked), "{reason}");
    assert_eq!(refusal(&directory, "lola", "lola-pw").await, RefusedReason::Locked);
}

async fn a_look_up_reads_the_user_anew(backend: Backend) {
    let directory = directory(backend.config());
    let alice = log_in(&directory, "alice").await;
    assert_eq!(directory.lookup("alice").await, Ok(Some(alice)));
    assert_eq!(directory.lookup("nobody-at-all").await, Ok(None));
    assert_eq!(directory.lookup("dora").await, Ok(None), "disabled is as good as gone");
    assert!(directory.lookup("lola").await.unwrap().is_some(), "anybody can lock an account by guessing");
}

async fn a_look_up_finds_by_the_canonical_name_only(backend: Backend) {
    let config = LdapConfig {
        user_filter: Some("(|(uid={username})(mail={username}))".to_owned()),
        ..backend.config()
    };
    let directory = directory(config);
    assert_eq!(
        directory.authenticate("alice@corp.example", &secret("alice-pw")).await.unwrap().name,
        "alice"
    );
    assert_eq!(directory.lookup("alice@corp.example").await, Ok(None));
    assert!(directory.lookup("alice").await.unwrap().is_some());
}

async fn failures_count_for_one_account_however_its_name_is_typed(backend: Backend) {
    let directory = directory(backend.config());
    let key = directory.account_key("alice").await.unwrap();
    for form in ["ALICE", "alice ", "\u{ff41}lice"] {
        assert_eq!(directory.account_key(form).await.unwrap(), key, "{form:?}");
    }
    assert_ne!(directory.account_key("bob").await.unwrap(), key);
    let nobody = directory.account_key("nobody-at-all").await.unwrap();
    assert_ne!(nobody, key);
    assert_eq!(directory.account_key("NOBODY-at-all ").await.unwrap(), nobody);
    assert_eq!(directory.account_key("").await.unwrap(), directory.account_key(" ").await.unwrap());
}

fn direct(backend: &Backend) -> LdapConfig {
    LdapConfig {
        bind_mode: BindMode::Direct,
        user_dn_template: Some(format!("uid={{username}},ou=people,{}", backend.base())),
        ..backend.config()
    }
}

async fn a_direct_bind_escapes_for_the_distinguished_name(backend: Backend) {
    let directory = directory(direct(&backend));
    assert_eq!(log_in(&directory, "alice").await.groups, groups_of_alice());
    for name in ODD {
        assert_eq!(log_in(&directory, name).await.name, name);
    }
    for name in ["alice,ou=people", "alice+cn=alice", "*", r"alic\65", "alice,"] {
        let reason = refusal(&directory, name, "alice-pw").await;
        assert!(
            matches!(reason, RefusedReason::WrongPassword | RefusedReason::UnknownUser),
            "{name:?}: {reason}"
        );
    }
    assert_eq!(refusal(&directory, "alice", "").await, RefusedReason::EmptyPassword);
}

async fn a_direct_bind_without_a_service_account_reads_as_the_user(backend: Backend) {
    let directory = directory(LdapConfig { bind_dn: None, bind_password: None, ..direct(&backend) });
    let alice = log_in(&directory, "Alice").await;
    assert_eq!((alice.name.as_str(), alice.groups), ("alice", groups_of_alice()));
    assert!(matches!(directory.lookup("alice").await, Err(DirectoryError::Unavailable { .. })));
}

async fn member_of_finds_the_same_groups(backend: Backend) {
    let config = LdapConfig { nesting: Some(Nesting::MemberOf), ..backend.config() };
    assert_eq!(log_in(&directory(config), "alice").await.groups, groups_of_alice());
}

async fn small_pages_make_whole_answers(backend: Backend) {
    let config = LdapConfig { page_size: 1, ..backend.config() };
    assert_eq!(log_in(&directory(config), "alice").await.groups, groups_of_alice());
}

async fn groups_outside_their_base_do_not_count(backend: Backend) {
    for nesting in [Nesting::Walk, Nesting::MemberOf] {
        let elsewhere = Some(vec![format!("ou=people,{}", backend.base())]);
        let config = LdapConfig { group_base_dns: elsewhere, nesting: Some(nesting), ..backend.config() };
        assert!(log_in(&directory(config), "alice").await.groups.is_empty());
    }
}

async fn the_service_password_can_be_in_a_file(backend: Backend) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "service-secret\n").unwrap();
    let in_file = Some(file.path().to_owned());
    let directory =
        directory(LdapConfig { bind_password: None, bind_password_file: in_file, ..backend.config() });
    assert_eq!(directory.ping().await, Ok(()));
}

async fn a_ping_tells_whether_the_service_account_works(backend: Backend) {
    assert_eq!(directory(backend.config()).ping().await, Ok(()));
    let nobody = Some(format!("cn=nobody,{}", backend.base()));
    let wrong = directory(LdapConfig { bind_dn: nobody, ..backend.config() });
    assert!(matches!(wrong.ping().await, Err(DirectoryError::Unavailable { .. })));
}

async fn identities_never_swap_among_concurrent_logins(backend: Backend) {
    let directory = std::sync::Arc::new(directory(LdapConfig { pool_size: 2, ..backend.config() }));
    let mut logins = tokio::task::JoinSet::new();
    for round in 0..6 {
        for name in ["alice", "bob", "two words", "star*user"] {
            let directory = std::sync::Arc::clone(&directory);
            logins.spawn(async move {
                if round == 5 {
                    let refused = directory.authenticate(name, &secret("somebody else's")).await;
                    assert!(matches!(refused, Err(DirectoryError::BadCredentials { .. })), "{refused:?}");
                } else {
                    assert_eq!(log_in(&directory, name).await.name, name);
                }
            });
        }
    }
    while let Some(done) = logins.join_next().await {
        done.unwrap();
    }
}
