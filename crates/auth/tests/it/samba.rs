//! Active Directory: what a domain controller answers, and who is let in by it.

mod forest;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use doorman_auth::Clock;
use doorman_auth::directory::{
    BindMode, Directory, DirectoryError, DirectoryUser, LdapConfig, LdapDirectory, Nesting, RefusedReason,
};
use doorman_core::code::Code;
use doorman_testkit::samba::{BASE, LOCKOUT, Samba};
use doorman_testkit::tls::Ca;

use self::forest::{CLOSED, MANY, account, config, groups, samba, user_dn};
use crate::directory::world::SUFFIX;
use crate::directory::{directory, outage, refusal, secret};
use crate::rig::{Refused as _, ip, open_database, replica, wall_ms};

const NESTINGS: [Nesting; 3] = [Nesting::InChain, Nesting::Walk, Nesting::MemberOf];

async fn log_in(directory: &LdapDirectory, typed: &str, owner: &str) -> DirectoryUser {
    match directory.authenticate(typed, &secret(&format!("{owner}{SUFFIX}"))).await {
        Ok(user) => user,
        Err(error) => panic!("{typed:?}: {error:?}"),
    }
}

fn nested_by(samba: &Samba, nesting: Nesting) -> LdapDirectory {
    directory(LdapConfig { nesting: Some(nesting), ..config(samba) })
}

/// A bind and a search by another client than ours, to see what the server itself says.
fn other_client(samba: &Samba, password_file: &Path, filter: &str) -> Output {
    let mut search = Command::new("ldapsearch");
    search.env("LDAPTLS_CACERT", samba.ca_file()).args(["-LLL", "-x", "-H", &samba.tls_url(), "-b", BASE]);
    search.args(["-D", &user_dn("rosa"), "-y"]).arg(password_file).args([filter, "1.1"]);
    search.output().unwrap()
}

fn failures(samba: &Samba, name: &str) -> usize {
    let entry = samba.read(&user_dn(name), "badPwdCount").unwrap();
    entry
        .lines()
        .find_map(|line| line.strip_prefix("badPwdCount: "))
        .map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_name_with_or_without_a_domain_is_one_identity() {
    let Some(samba) = samba() else { return };
    let directory = directory(config(samba));
    for (owner, forms) in [
        (
            "alice",
            &[
                "ALICE",
                "alice ",
                " alice",
                "alice@corp.example",
                "Alice@CORP.Example",
                "alice@CORP",
                r"CORP\alice",
                r"corp\ALICE",
                r"corp.example\alice",
            ][..],
        ),
        ("bob", &["Bob", "robert@other.example", "Robert@OTHER.example", "bob@corp.example", r"CORP\bob"]),
        ("Åsa", &["åsa", "ÅSA", "åsa@corp.example", r"CORP\åSA"]),
    ] {
        let user = log_in(&directory, owner, owner).await;
        let key = directory.account_key(owner).await.unwrap();
        assert_eq!((user.name.clone(), user.id.len()), (owner.to_lowercase(), 36));
        assert_eq!(key, format!("id:{}", user.id));
        for form in forms {
            assert_eq!(log_in(&directory, form, owner).await, user, "{form:?}");
            assert_eq!(directory.account_key(form).await.unwrap(), key, "{form:?}");
        }
    }
}

#[tokio::test]
async fn a_name_in_another_domain_or_in_none_is_nobodys() {
    let Some(samba) = samba() else { return };
    let directory = directory(config(samba));
    for name in [
        r"OTHER\alice",
        "alice@other.example",
        r"\alice",
        "@corp.example",
        "alice@",
        r"CORP\",
        r"*\alice",
        "alice@*",
        r"CORP\*",
        "robert",
        "alice)(cn=*",
        r"alic\65",
        // Neither partitions nor containers are domains.
        "alice@DomainDnsZones.corp.example",
        r"corp.example/people/alice",
    ] {
        assert_eq!(refusal(&directory, name, "alice-pw").await, RefusedReason::UnknownUser, "{name:?}");
        assert!(directory.account_key(name).await.unwrap().starts_with("name:"), "{name:?}");
    }
    assert_eq!(log_in(&directory, "o'brien (ext)", "o'brien (ext)").await.name, "o'brien (ext)");
}

#[tokio::test]
async fn a_name_that_could_mean_two_lets_neither_in() {
    let Some(samba) = samba() else { return };
    // One's account name with the domain is the other's principal name.
    for owner in ["vera", "vera-2"] {
        let reason = refusal(&directory(config(samba)), "vera@corp", &format!("{owner}{SUFFIX}")).await;
        assert_eq!(reason, RefusedReason::Ambiguous);
    }
    assert_eq!(log_in(&directory(config(samba)), "vera", "vera").await.name, "vera");
    let filter =
        "(&(objectCategory=person)(objectClass=user)(|(sAMAccountName={username})(mail={username})))";
    let by_mail = directory(LdapConfig { user_filter: Some(filter.to_owned()), ..config(samba) });
    assert_eq!(refusal(&by_mail, "m@corp.example", "alice-pw").await, RefusedReason::Ambiguous);
    assert_eq!(log_in(&by_mail, "alice@corp.example", "alice").await.name, "alice");
}

#[tokio::test]
async fn groups_within_groups_count_however_they_are_found() {
    let Some(samba) = samba() else { return };
    let expected = groups(&["Ops Region ()", "developers", "loop-a", "loop-b", "staff"]);
    for nesting in NESTINGS {
        let alice = log_in(&nested_by(samba, nesting), "alice", "alice").await;
        assert_eq!(alice.groups, expected, "{nesting:?}");
        assert_eq!(alice.display_name, "The alice");
        assert_eq!(alice.email.as_deref(), Some("m@corp.example"));
    }
    let directory = directory(config(samba));
    assert_eq!(directory.lookup("alice").await.unwrap().unwrap().groups, expected);
}

#[tokio::test]
async fn the_primary_group_and_the_groups_it_is_in_count() {
    let Some(samba) = samba() else { return };
    for nesting in NESTINGS {
        let fiona = log_in(&nested_by(samba, nesting), "fiona", "fiona").await;
        assert_eq!(fiona.groups, groups(&["accounting", "finance"]), "{nesting:?}");
    }
}

#[tokio::test]
async fn more_members_and_groups_than_fit_into_one_answer_all_count() {
    let Some(samba) = forest::crowded_samba() else { return };
    let teams: Vec<_> = (0..MANY).map(|number| format!("team-{number}")).collect();
    let mut expected: Vec<_> = teams.iter().map(String::as_str).collect();
    expected.push("big");
    for nesting in NESTINGS {
        let directory = nested_by(&samba, nesting);
        // Samba takes seconds to find the parents of so many groups in the plainer way.
        if nesting != Nesting::Walk {
            let carol = log_in(&directory, "carol", "carol").await;
            assert_eq!(carol.groups.len(), MANY + 3, "{nesting:?}");
            assert_eq!(carol.groups, groups(&expected), "{nesting:?}");
        }
        // The last of its members.
        assert_eq!(log_in(&directory, "alice", "alice").await.groups, groups(&["big"]), "{nesting:?}");
    }
}

#[tokio::test]
async fn a_group_is_named_by_what_only_one_can_have_and_mailing_lists_are_none() {
    let Some(samba) = samba() else { return };
    for nesting in NESTINGS {
        let nils = log_in(&nested_by(samba, nesting), "nils", "nils").await;
        assert_eq!(nils.groups, groups(&["branch-admins"]), "{nesting:?}");
    }
    // Active Directory's own rule goes through a mailing list, though it does not find it.
    for (nesting, found) in NESTINGS.into_iter().zip([&["readers"][..], &[], &[]]) {
        let greta = log_in(&nested_by(samba, nesting), "greta", "greta").await;
        assert_eq!(greta.groups, groups(found), "{nesting:?}");
    }
    // Who wants mailing lists says so.
    let all = Some("(&(objectClass=group)(member={dn}))".to_owned());
    for nesting in [Nesting::Walk, Nesting::MemberOf] {
        let config = LdapConfig { group_filter: all.clone(), nesting: Some(nesting), ..config(samba) };
        let greta = log_in(&directory(config), "greta", "greta").await;
        assert_eq!(greta.groups, groups(&["newsletter", "readers"]), "{nesting:?}");
    }
}

#[tokio::test]
async fn an_account_out_of_use_is_refused_with_the_reason_in_the_log_alone() {
    let Some(samba) = samba() else { return };
    let directory = directory(config(samba));
    use RefusedReason::{AccountExpired, Disabled, MustChange, NotAllowed, WrongPassword};
    let reasons = [Disabled, AccountExpired, MustChange, NotAllowed, NotAllowed];
    for ((name, ..), expected) in CLOSED.into_iter().zip(reasons) {
        let right = directory.authenticate(name, &secret(&format!("{name}{SUFFIX}"))).await.unwrap_err();
        let wrong = directory.authenticate(name, &secret("nonsense")).await.unwrap_err();
        assert_eq!(right, DirectoryError::BadCredentials { reason: expected }, "{name}");
        assert_eq!(wrong, DirectoryError::BadCredentials { reason: WrongPassword }, "{name}");
        assert_eq!(right.to_string(), wrong.to_string());
    }
    for (name, is_known) in [("dora", false), ("emil", false), ("mona", true), ("nobody-at-all", false)] {
        assert_eq!(directory.lookup(name).await.unwrap().is_some(), is_known, "{name}");
    }
}

#[tokio::test]
async fn an_expired_password_is_refused_with_the_reason_in_the_log() {
    let Some(samba) = samba() else { return };
    let directory = directory(config(samba));
    assert_eq!(refusal(&directory, "petra", "petra-pw").await, RefusedReason::PasswordExpired);
    assert_eq!(refusal(&directory, "petra", "nonsense").await, RefusedReason::WrongPassword);
}

#[tokio::test]
async fn a_locked_account_is_refused_and_each_login_was_one_failure() {
    let Some(samba) = samba() else { return };
    // The same server twice: a refusal carried to the next would count twice.
    let urls = vec![samba.tls_url(), samba.tls_url()];
    let directory = directory(LdapConfig { urls, ..config(samba) });
    let forms = ["lola", r"CORP\lola", "lola@corp.example", "LOLA", "lola@CORP"];
    for (made, form) in forms.iter().cycle().take(LOCKOUT).enumerate() {
        assert_eq!(failures(samba, "lola"), made);
        assert_eq!(refusal(&directory, form, "nonsense").await, RefusedReason::WrongPassword);
    }
    assert_eq!(refusal(&directory, "lola", "lola-pw").await, RefusedReason::Locked);
    assert_eq!(refusal(&directory, "lola", "nonsense").await, RefusedReason::Locked);
    assert!(directory.lookup("lola").await.unwrap().is_some(), "anybody can lock an account by guessing");
}

#[tokio::test]
async fn guessing_through_doorman_locks_nobody_out() {
    let Some(samba) = samba() else { return };
    let dir = tempfile::tempdir().unwrap();
    let database = open_database(dir.path()).await;
    let directory = Arc::new(directory(config(samba)));
    let auth = replica(dir.path(), &Clock::manual(wall_ms()), directory.clone(), &database).await;
    let forms = ["fred", r"CORP\fred", "fred@corp.example", "FRED", "fred@corp", " fred"];
    let mut throttled = 0;
    for (number, form) in forms.iter().cycle().take(4 * LOCKOUT).enumerate() {
        let (from, guess) = (ip(&format!("198.51.100.{number}")), secret(&format!("guess {number}")));
        match auth.login(form, &guess, from, "test", None).await.refusal().code {
            Code::Throttled => throttled += 1,
            code => assert_eq!(code, Code::BadCredentials),
        }
    }
    let (made, limit) = (failures(samba, "fred"), auth.settings().throttle_limit as usize);
    assert_eq!((made, throttled), (limit, 4 * LOCKOUT - limit));
    assert_eq!(log_in(&directory, "fred", "fred").await.name, "fred");
}

#[tokio::test]
async fn passwords_that_make_the_controller_say_yes_never_reach_it() {
    let Some(samba) = samba() else { return };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "rosa-pw\0junk").unwrap();
    let trap = other_client(samba, file.path(), "(cn=rosa)");
    assert!(trap.status.success(), "the server ends a password at its NUL: {trap:?}");
    for config in [config(samba), direct(samba)] {
        let directory = directory(config);
        for password in ["", "\0", "rosa-pw\0", "rosa-pw\0junk"] {
            let reason = refusal(&directory, "rosa", password).await;
            assert_eq!(reason, RefusedReason::EmptyPassword, "{password:?}");
        }
        assert_eq!(log_in(&directory, "rosa", "rosa").await.name, "rosa");
    }
    assert_eq!(failures(samba, "rosa"), 0);
}

#[tokio::test]
async fn references_at_the_end_of_a_search_from_the_root_are_passed_over() {
    let Some(samba) = samba() else { return };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "rosa-pw").unwrap();
    let found = other_client(samba, file.path(), "(sAMAccountName=nobody-at-all)");
    let found = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found.matches("# refldaps://corp.example/").count(), 3, "{found}");
    let directory = directory(config(samba));
    assert_eq!(refusal(&directory, "nobody-at-all", "x").await, RefusedReason::UnknownUser);
    assert_eq!(directory.lookup("nobody-at-all").await, Ok(None));
}

#[tokio::test]
async fn a_computer_is_nobody() {
    let Some(samba) = samba() else { return };
    for config in [config(samba), direct(samba)] {
        let directory = directory(config);
        for name in ["PC1$", "pc1$"] {
            assert_eq!(refusal(&directory, name, "PC1$-pw").await, RefusedReason::UnknownUser, "{name}");
        }
    }
    let directory = directory(config(samba));
    assert_eq!(refusal(&directory, r"CORP\PC1$", "PC1$-pw").await, RefusedReason::UnknownUser);
    assert_eq!(directory.lookup("pc1$").await, Ok(None));
}

/// Binds with the principal name, and reads as the user.
fn direct(samba: &Samba) -> LdapConfig {
    LdapConfig {
        bind_mode: BindMode::Direct,
        user_principal_template: Some("{username}@corp.example".to_owned()),
        bind_dn: None,
        bind_password: None,
        ..config(samba)
    }
}

#[tokio::test]
async fn a_direct_bind_is_the_same_identity() {
    let Some(samba) = samba() else { return };
    let searching = directory(config(samba));
    let (alice, bob) = (log_in(&searching, "alice", "alice").await, log_in(&searching, "bob", "bob").await);
    let with_service = LdapConfig {
        bind_dn: config(samba).bind_dn,
        bind_password: config(samba).bind_password,
        ..direct(samba)
    };
    for config in [direct(samba), with_service] {
        let directory = directory(config);
        let key = directory.account_key("alice").await.unwrap();
        for form in ["alice", "Alice", "alice@corp.example", "ALICE@Corp.Example"] {
            assert_eq!(log_in(&directory, form, "alice").await, alice, "{form}");
            assert_eq!(directory.account_key(form).await.unwrap(), key, "{form}");
        }
        // His principal name is another one, and this one works all the same.
        assert_eq!(log_in(&directory, "bob", "bob").await, bob);
        for form in [r"CORP\alice", "alice@corp", "alice@other.example", "@corp.example"] {
            assert_eq!(refusal(&directory, form, "alice-pw").await, RefusedReason::InvalidName, "{form}");
        }
        for (name, reason) in [("dora", RefusedReason::Disabled), ("mona", RefusedReason::MustChange)] {
            assert_eq!(refusal(&directory, name, &format!("{name}-pw")).await, reason);
        }
    }
}

#[tokio::test]
async fn a_controller_that_takes_no_password_in_clear_is_an_outage_that_says_what_to_do() {
    let Some(samba) = samba() else { return };
    for config in [config(samba), direct(samba)] {
        let directory = directory(LdapConfig { urls: vec![samba.url()], start_tls: false, ..config });
        // The second time, the service account rests.
        for _ in 0..2 {
            let detail = outage(&directory, "alice", "alice-pw").await;
            assert!(detail.contains("Transport encryption required"), "{detail}");
            assert!(detail.contains("use ldaps:// or start_tls = true"), "{detail}");
        }
    }
}

#[tokio::test]
async fn ldaps_and_start_tls_work_with_the_private_authority_alone() {
    let Some(samba) = samba() else { return };
    let other = Ca::new().unwrap();
    for url in [samba.tls_url(), samba.url()] {
        let secured = LdapConfig { urls: vec![url.clone()], ..config(samba) };
        let directory_of_ours = directory(secured.clone());
        assert_eq!(log_in(&directory_of_ours, "greta", "greta").await.name, "greta", "{url}");
        for ca_file in [Some(other.cert()), None] {
            let detail =
                outage(&directory(LdapConfig { ca_file, ..secured.clone() }), "greta", "greta-pw").await;
            assert!(detail.contains("certificate"), "{detail}");
        }
    }
}

#[tokio::test]
async fn who_is_renamed_stays_who_they_are_and_a_successor_is_somebody_else() {
    let Some(samba) = samba() else { return };
    let directory = directory(config(samba));
    let before = log_in(&directory, "maria-with-a-name", "maria-with-a-name").await;
    let rename = |name: &str| {
        format!(
            "dn: {}\nchangetype: modify\nreplace: sAMAccountName\nsAMAccountName: {name}\n",
            user_dn("maria-with-a-name")
        )
    };
    samba.modify(&rename("maria")).unwrap();
    assert_eq!(directory.lookup("maria-with-a-name").await, Ok(None));
    let after = directory.lookup("maria").await.unwrap().unwrap();
    assert_eq!(after.id, before.id);
    samba.modify(&format!("dn: {}\nchangetype: delete\n", user_dn("maria-with-a-name"))).unwrap();
    samba.add(&account("user", "maria", &[])).unwrap();
    assert_ne!(directory.lookup("maria").await.unwrap().unwrap().id, before.id);
}
