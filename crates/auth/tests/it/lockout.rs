//! Against a real OpenLDAP server that locks an account for good after five failures.

use crate::directory::world::{SUFFIX, person, slapd, slapd_config, user_dn};
use crate::rig::{HOME, Refused as _, ip, open_database, replica, secret, wall_ms};
use doorman_auth::Clock;
use doorman_auth::directory::LdapDirectory;
use doorman_core::code::Code;
use std::sync::Arc;

#[tokio::test]
async fn no_flood_of_wrong_passwords_in_whatever_form_of_the_name_locks_the_account() {
    slapd().add(&person(&user_dn("victim"), "victim", &[])).unwrap();
    let directory = Arc::new(LdapDirectory::new(slapd_config(slapd())).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(wall_ms());
    let (first, second) = (open_database(dir.path()).await, open_database(dir.path()).await);
    let replicas = [
        replica(dir.path(), &clock, directory.clone(), &first).await,
        replica(dir.path(), &clock, directory.clone(), &second).await,
    ];
    let good = secret(&format!("victim{SUFFIX}"));
    replicas[0].login("victim", &good, ip(HOME), "test", None).await.unwrap();

    let names = ["victim", "VICTIM", " victim ", "ｖictim"];
    let tries = (0..40).map(|n| {
        let auth = replicas[n % 2].clone();
        tokio::spawn(async move {
            let from = ip(&format!("198.51.100.{n}"));
            let password = secret(&format!("guess {n}"));
            auth.login(names[n % names.len()], &password, from, "test", None).await.refusal().code
        })
    });
    let mut codes = Vec::new();
    for attempt in tries.collect::<Vec<_>>() {
        codes.push(attempt.await.unwrap());
    }
    assert_eq!(codes.iter().filter(|code| **code == Code::BadCredentials).count(), 3, "{codes:?}");
    assert!(codes.iter().all(|code| matches!(code, Code::BadCredentials | Code::Throttled)), "{codes:?}");
    for n in 0..5 {
        let _ = replicas[1].login("victim", &secret(&format!("typo {n}")), ip(HOME), "test", None).await;
    }
    let failures = slapd().read(&user_dn("victim"), "pwdFailureTime").unwrap();
    assert_eq!(failures.matches("pwdFailureTime: ").count(), 4, "{failures}");
    let locked = slapd().read(&user_dn("victim"), "pwdAccountLockedTime").unwrap();
    assert!(!locked.contains("pwdAccountLockedTime: "), "{locked}");

    clock.advance(16 * 60_000);
    replicas[1].login("victim", &good, ip("203.0.113.1"), "test", None).await.unwrap();
}
