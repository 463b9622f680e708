//! The traps that a real OpenLDAP server sets.

use doorman_auth::directory::{Directory, LdapConfig, RefusedReason};
use doorman_testkit::slapd::{self, Options, Slapd};
use doorman_testkit::tls::Ca;

use super::world::{SUFFIX, group, group_dn, ldif, person, slapd, slapd_config, user_dn};
use super::{directory, outage, refusal, secret};

/// Adds people of one test's own to the shared server.
fn add(people: &[String]) {
    slapd().add(&people.concat()).unwrap();
}

fn unit(name: &str) -> String {
    ldif(&format!("ou={name},{}", slapd::BASE), &[("objectClass", "organizationalUnit"), ("ou", name)])
}

fn below(unit: &str, rdn: &str) -> String {
    format!("{rdn},ou={unit},{}", slapd::BASE)
}

fn set(dn: &str, attribute: &str, value: &str) -> String {
    format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n\n")
}

#[tokio::test]
async fn the_server_is_one_that_takes_an_empty_password_for_anonymous_success() {
    // Otherwise the contract's test of empty passwords would prove nothing.
    let bound = std::process::Command::new("ldapwhoami")
        .args(["-x", "-H", &slapd().url(), "-D", &user_dn("alice"), "-w", ""])
        .output()
        .unwrap();
    assert!(bound.status.success());
    assert_eq!(String::from_utf8_lossy(&bound.stdout).trim(), "anonymous");
}

#[tokio::test]
async fn the_identity_is_the_entry_uuid() {
    let alice = directory(slapd_config(slapd())).authenticate("alice", &secret("alice-pw")).await.unwrap();
    let entry = slapd().read(&user_dn("alice"), "entryUUID").unwrap();
    assert!(entry.contains(&format!("entryUUID: {}", alice.id)), "{entry} {}", alice.id);
}

#[tokio::test]
async fn composed_and_decomposed_names_are_one_and_passwords_are_bytes() {
    let (composed, decomposed) = ("zo\u{eb}", "zoe\u{308}");
    // The password is the decomposed form; nobody may normalise it on the way.
    add(&[ldif(
        &user_dn("zoe"),
        &[
            ("objectClass", "inetOrgPerson"),
            ("uid", "zoe"),
            ("uid", composed),
            ("cn", "zoe"),
            ("sn", "zoe"),
            ("userPassword", decomposed),
        ],
    )]);
    let directory = directory(slapd_config(slapd()));
    for name in ["zoe", composed, decomposed, "ZO\u{cb}"] {
        let user = directory.authenticate(name, &secret(decomposed)).await.unwrap();
        assert_eq!(user.name, "zoe", "{name:?}");
        assert_eq!(refusal(&directory, name, composed).await, RefusedReason::WrongPassword);
    }
}

#[tokio::test]
async fn two_entries_for_one_name_are_nobody() {
    add(&[
        unit("left"),
        unit("right"),
        person(&below("left", "uid=dup"), "dup", &[]),
        person(&below("right", "uid=dup"), "dup", &[]),
    ]);
    let directory = directory(slapd_config(slapd()));
    assert_eq!(refusal(&directory, "dup", "dup-pw").await, RefusedReason::Ambiguous);
    assert!(directory.lookup("dup").await.is_err());
}

#[tokio::test]
async fn one_mail_address_of_two_people_is_nobodys() {
    add(&[
        person(&user_dn("mia"), "mia", &[("mail", "shared@corp.example")]),
        person(&user_dn("max"), "max", &[("mail", "shared@corp.example")]),
    ]);
    let by_mail = Some("(|(uid={username})(mail={username}))".to_owned());
    let directory = directory(LdapConfig { user_filter: by_mail, ..slapd_config(slapd()) });
    assert_eq!(refusal(&directory, "shared@corp.example", "mia-pw").await, RefusedReason::Ambiguous);
    assert_eq!(directory.authenticate("mia", &secret("mia-pw")).await.unwrap().name, "mia");
}

#[tokio::test]
async fn a_second_name_leads_to_the_first_and_never_to_somebody_elses() {
    add(&[
        unit("second"),
        person(&user_dn("nina"), "nina", &[("uid", "nini")]),
        // Two values and neither in the entry's own name: which one is the name?
        person(&below("second", "cn=oleg"), "oleg", &[("uid", "olli")]),
        // A second value that is somebody's first.
        person(&user_dn("pia"), "pia", &[]),
        person(&below("second", "uid=quin"), "quin", &[("uid", "pia")]),
        // A second value of an entry whose first is also somebody else's.
        person(&user_dn("rosa"), "rosa", &[]),
        person(&below("second", "uid=rosa"), "rosa", &[("uid", "rosie")]),
    ]);
    let directory = directory(slapd_config(slapd()));
    let nina = directory.authenticate("nina", &secret("nina-pw")).await.unwrap();
    assert_eq!(directory.authenticate("nini", &secret("nina-pw")).await.unwrap(), nina);
    assert_eq!(refusal(&directory, "oleg", "oleg-pw").await, RefusedReason::Ambiguous);
    assert_eq!(refusal(&directory, "pia", "pia-pw").await, RefusedReason::Ambiguous);
    assert_eq!(refusal(&directory, "pia", "quin-pw").await, RefusedReason::Ambiguous);
    assert_eq!(directory.authenticate("quin", &secret("quin-pw")).await.unwrap().name, "quin");
    assert_eq!(refusal(&directory, "rosie", "rosa-pw").await, RefusedReason::Ambiguous);
}

#[tokio::test]
async fn who_the_service_account_does_not_see_cannot_log_in() {
    add(&[person(&user_dn("hidden"), "hidden", &[])]);
    let bound = std::process::Command::new("ldapwhoami")
        .args(["-x", "-H", &slapd().url(), "-D", &user_dn("hidden"), "-w", "hidden-pw"])
        .status()
        .unwrap();
    assert!(bound.success(), "the account itself works");
    assert_eq!(
        refusal(&directory(slapd_config(slapd())), "hidden", "hidden-pw").await,
        RefusedReason::UnknownUser
    );
}

#[tokio::test]
async fn an_expired_password_is_refused_with_the_reason_in_the_log() {
    let policy = format!("cn=short,{}", slapd::BASE);
    add(&[
        ldif(
            &policy,
            &[
                ("objectClass", "device"),
                ("objectClass", "pwdPolicy"),
                ("cn", "short"),
                ("pwdAttribute", "userPassword"),
                ("pwdMaxAge", "1"),
            ],
        ),
        person(&user_dn("emil"), "emil", &[("pwdPolicySubentry", &policy)]),
    ]);
    // The password is a second old at most when this begins; until it has expired the login succeeds.
    let directory = directory(slapd_config(slapd()));
    for _ in 0..100 {
        if directory.authenticate("emil", &secret("emil-pw")).await.is_err() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(refusal(&directory, "emil", "emil-pw").await, RefusedReason::PasswordExpired);
}

#[tokio::test]
async fn a_bind_that_succeeds_only_to_change_the_password_is_refused() {
    add(&[person(&user_dn("mona"), "mona", &[])]);
    slapd().modify(&set(&user_dn("mona"), "pwdReset", "TRUE")).unwrap();
    assert_eq!(
        refusal(&directory(slapd_config(slapd())), "mona", "mona-pw").await,
        RefusedReason::MustChange
    );
}

#[tokio::test]
async fn too_many_failures_lock_and_each_login_is_one_failure() {
    add(&[person(&user_dn("fred"), "fred", &[])]);
    // The same server twice, so that a refusal carried to the next one would count twice.
    let urls = vec![slapd().url(), slapd().url()];
    let directory = directory(LdapConfig { urls, ..slapd_config(slapd()) });
    for failures in 1..=5 {
        assert_eq!(refusal(&directory, "fred", "nonsense").await, RefusedReason::WrongPassword);
        let entry = slapd().read(&user_dn("fred"), "pwdFailureTime").unwrap();
        assert_eq!(entry.matches("pwdFailureTime:").count(), failures, "{entry}");
    }
    assert_eq!(refusal(&directory, "fred", &format!("fred{SUFFIX}")).await, RefusedReason::Locked);
    assert!(directory.lookup("fred").await.unwrap().is_some());
}

#[tokio::test]
async fn a_part_of_the_groups_is_refused() {
    // The server gives 40 entries at most, pages together.
    let member = user_dn("gina");
    add(&[person(&member, "gina", &[])]);
    let directory = directory(slapd_config(slapd()));
    let groups: Vec<_> =
        (0..40).map(|number| group(&format!("many-{number}"), std::slice::from_ref(&member))).collect();
    add(&groups);
    let gina = directory.authenticate("gina", &secret("gina-pw")).await.unwrap();
    assert_eq!(gina.groups.len(), 40);
    add(&[group("many-40", &[member])]);
    assert_eq!(refusal(&directory, "gina", "gina-pw").await, RefusedReason::PartialGroups);
    assert!(directory.lookup("gina").await.is_err(), "nor is a part looked up");
}

#[tokio::test]
async fn posix_and_unique_name_groups_count_too() {
    add(&[
        person(&user_dn("pavel"), "pavel", &[]),
        ldif(
            &group_dn("posix"),
            &[("objectClass", "posixGroup"), ("cn", "posix"), ("gidNumber", "1000"), ("memberUid", "pavel")],
        ),
        ldif(
            &group_dn("unique"),
            &[("objectClass", "groupOfUniqueNames"), ("cn", "unique"), ("uniqueMember", &user_dn("pavel"))],
        ),
        group("outer", &[group_dn("posix")]),
    ]);
    let pavel = directory(slapd_config(slapd())).authenticate("PAVEL", &secret("pavel-pw")).await.unwrap();
    assert_eq!(pavel.groups, ["outer", "posix", "unique"]);
}

#[tokio::test]
async fn a_referral_is_neither_followed_nor_a_login() {
    let remote = format!("ou=remote,{}", slapd::BASE);
    add(&[ldif(
        &remote,
        &[
            ("objectClass", "referral"),
            ("objectClass", "extensibleObject"),
            ("ou", "remote"),
            ("ref", "ldap://192.0.2.1/ou=remote,dc=corp,dc=example"),
        ],
    )]);
    // A search at the referral answers 10.
    let at = directory(LdapConfig { base_dns: vec![remote], ..slapd_config(slapd()) });
    assert_eq!(refusal(&at, "alice", "alice-pw").await, RefusedReason::Referral);
    assert!(at.lookup("alice").await.is_err());
    // One that merely passes it says so and finds what is here, as every search from a domain's root does in AD.
    let above = directory(slapd_config(slapd()));
    assert_eq!(above.authenticate("alice", &secret("alice-pw")).await.unwrap().name, "alice");
    assert_eq!(refusal(&above, "remote-only", "x").await, RefusedReason::UnknownUser);
    assert_eq!(above.lookup("remote-only").await, Ok(None));
}

#[tokio::test]
async fn a_display_name_cannot_break_a_line() {
    add(&[person(
        &user_dn("carla"),
        "carla",
        &[("displayName", "Carla\r\nX-Admin: yes"), ("mail", "c@corp.example")],
    )]);
    let carla = directory(slapd_config(slapd())).authenticate("carla", &secret("carla-pw")).await.unwrap();
    assert_eq!(carla.display_name, "Carla  X-Admin: yes");
}

#[tokio::test]
async fn who_is_deleted_or_renamed_is_gone() {
    add(&[person(&user_dn("tessa"), "tessa", &[])]);
    let directory = directory(slapd_config(slapd()));
    let before = directory.lookup("tessa").await.unwrap().unwrap();
    slapd()
        .modify(&format!("dn: {}\nchangetype: modrdn\nnewrdn: uid=tess\ndeleteoldrdn: 1\n", user_dn("tessa")))
        .unwrap();
    assert_eq!(directory.lookup("tessa").await, Ok(None));
    let after = directory.lookup("tess").await.unwrap().unwrap();
    assert_eq!(after.id, before.id, "the same person under a new name");
    slapd().modify(&format!("dn: {}\nchangetype: delete\n", user_dn("tess"))).unwrap();
    assert_eq!(directory.lookup("tess").await, Ok(None));
    add(&[person(&user_dn("tess"), "tess", &[])]);
    assert_ne!(
        directory.lookup("tess").await.unwrap().unwrap().id,
        before.id,
        "another person under an old name"
    );
}

fn with_tls(ca: &Ca, pair: doorman_testkit::tls::Pair) -> (Slapd, LdapConfig) {
    let slapd = Slapd::start(&Options { tls: Some(pair), ..Options::default() }).unwrap();
    slapd.add(&person(&user_dn("alice"), "alice", &[])).unwrap();
    let config = LdapConfig { start_tls: true, ca_file: Some(ca.cert()), ..slapd_config(&slapd) };
    (slapd, config)
}

#[tokio::test]
async fn ldaps_and_start_tls_work_with_a_private_authority() {
    let ca = Ca::new().unwrap();
    let (slapd, config) = with_tls(&ca, ca.server(&["127.0.0.1", "localhost"]).unwrap());
    for url in [slapd.tls_url(), slapd.url(), slapd.url().replace("127.0.0.1", "localhost")] {
        let directory = directory(LdapConfig { urls: vec![url.clone()], ..config.clone() });
        assert_eq!(
            directory.authenticate("alice", &secret("alice-pw")).await.unwrap().name,
            "alice",
            "{url}"
        );
    }
    // Another authority does not vouch for it, and neither do the system's.
    let other = Ca::new().unwrap();
    for ca_file in [Some(other.cert()), None] {
        for url in [slapd.tls_url(), slapd.url()] {
            let directory =
                directory(LdapConfig { urls: vec![url], ca_file: ca_file.clone(), ..config.clone() });
            outage(&directory, "alice", "alice-pw").await;
        }
    }
}

#[tokio::test]
async fn a_certificate_of_another_name_or_out_of_date_gets_no_password() {
    let ca = Ca::new().unwrap();
    for pair in [ca.server(&["ldap.evil.example"]).unwrap(), ca.expired_server(&["127.0.0.1"]).unwrap()] {
        let (slapd, config) = with_tls(&ca, pair);
        for url in [slapd.tls_url(), slapd.url()] {
            let directory = directory(LdapConfig { urls: vec![url], ..config.clone() });
            let detail = outage(&directory, "alice", "alice-pw").await;
            assert!(detail.contains("certificate"), "{detail}");
        }
    }
}

#[tokio::test]
async fn a_server_without_start_tls_gets_no_password() {
    let directory = directory(LdapConfig { start_tls: true, ..slapd_config(slapd()) });
    let detail = outage(&directory, "alice", "alice-pw").await;
    assert!(detail.contains("StartTLS"), "{detail}");
}

#[tokio::test]
async fn a_server_that_wants_encryption_makes_an_outage_and_no_refusal() {
    let strict = Options { global: "security simple_bind=128\n".to_owned(), ..Options::default() };
    // The rig's own administrator could not bind either, so the server cannot even be filled.
    assert!(Slapd::start(&strict).is_err());
}

#[tokio::test]
async fn a_restarted_server_costs_no_login() {
    let slapd = Slapd::start(&Options::default()).unwrap();
    slapd.add(&person(&user_dn("alice"), "alice", &[])).unwrap();
    let directory = directory(slapd_config(&slapd));
    directory.authenticate("alice", &secret("alice-pw")).await.unwrap();
    slapd.daemon().kill();
    outage(&directory, "alice", "alice-pw").await;
    slapd.restart().unwrap();
    directory.authenticate("alice", &secret("alice-pw")).await.unwrap();
}

#[tokio::test]
async fn a_frozen_server_leaves_time_for_the_next() {
    let frozen = Slapd::start(&Options::default()).unwrap();
    frozen.daemon().pause();
    let urls = vec![frozen.url(), slapd().url()];
    let directory = directory(LdapConfig { urls, ..slapd_config(slapd()) });
    assert_eq!(directory.authenticate("alice", &secret("alice-pw")).await.unwrap().name, "alice");
}
