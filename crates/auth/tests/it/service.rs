//! Service accounts and their secrets.

use crate::rig::{HOME, Refused as _, Rig, ip, secret};
use doorman_auth::ServiceChange;
use doorman_core::code::Code;
use doorman_core::principal::Principal;
use std::time::Duration;

const MINUTE: u64 = 60_000;

fn networks(list: &[&str]) -> ServiceChange {
    ServiceChange { networks: Some(list.iter().map(|&text| text.to_owned()).collect()), ..Default::default() }
}

#[tokio::test]
async fn a_secret_is_hashed_once_and_then_known() {
    let rig = Rig::new().await;
    let (account, made) =
        rig.authority().create_service("reports-ui", ServiceChange::default(), None).await.unwrap();
    assert_eq!((account.secrets, account.disabled), (1, false));
    let first = rig.basic("reports-ui", made.expose()).await.unwrap();
    assert_eq!(first.principal, Principal::Service("reports-ui".into()));
    // A day: argon2id at every call would take minutes here.
    for _ in 0..20_000 {
        assert_eq!(rig.basic("reports-ui", made.expose()).await.unwrap().id, first.id);
    }
    for wrong in ["", "wrong", "reports-ui-demo"] {
        assert_eq!(rig.basic("reports-ui", wrong).await.refusal().code, Code::BadCredentials);
    }
    assert_eq!(rig.directory.binds(), 0);
    let stored = rig.database.service_account("reports-ui").await.unwrap().unwrap();
    assert!(stored.secrets.iter().all(|secret| !secret.hash.contains(made.expose())));
}

#[tokio::test]
async fn two_secrets_are_good_during_a_rotation_and_the_old_one_ends() {
    let rig = Rig::new().await;
    let (_, old) = rig.authority().create_service("svc", ServiceChange::default(), None).await.unwrap();
    rig.basic("svc", old.expose()).await.unwrap();
    let new = rig.auth.store().rotate_service("svc", Duration::from_secs(600)).await.unwrap();
    assert_eq!(rig.auth.store().service("svc").await.unwrap().secrets, 2);
    for secret in [&old, &new] {
        rig.basic("svc", secret.expose()).await.unwrap();
    }
    rig.clock.advance(11 * MINUTE);
    assert!(rig.basic("svc", old.expose()).await.is_err());
    rig.basic("svc", new.expose()).await.unwrap();
    assert_eq!(rig.auth.store().service("svc").await.unwrap().secrets, 1);

    let newest = rig.auth.store().rotate_service("svc", Duration::ZERO).await.unwrap();
    assert!(rig.basic("svc", new.expose()).await.is_err());
    rig.basic("svc", newest.expose()).await.unwrap();
    assert_eq!(rig.auth.store().rotate_service("none", Duration::ZERO).await.refusal().code, Code::NotFound);
}

#[tokio::test]
async fn disabling_or_deleting_ends_sessions_and_tokens_at_once_and_on_other_replicas() {
    let rig = Rig::new().await;
    let other = rig.replica().await;
    let (_, made) = rig.authority().create_service("svc", ServiceChange::default(), None).await.unwrap();
    let session = other.verify_basic("svc", &made, ip(HOME)).await.unwrap();
    let (token, _) = other.issue_service(&session, ip(HOME)).await.unwrap();
    other.verify_bearer(token.expose()).await.unwrap();
    let disabled = ServiceChange { disabled: Some(true), ..Default::default() };
    assert!(rig.auth.store().update_service("svc", disabled).await.unwrap().disabled);
    other.tick().await;
    assert_eq!(other.verify_basic("svc", &made, ip(HOME)).await.refusal().code, Code::BadCredentials);
    assert_eq!(other.verify_bearer(token.expose()).await.refusal().code, Code::TokenRevoked);

    let enabled = ServiceChange { disabled: Some(false), ..Default::default() };
    rig.auth.store().update_service("svc", enabled).await.unwrap();
    other.verify_basic("svc", &made, ip(HOME)).await.unwrap();
    rig.auth.store().delete_service("svc").await.unwrap();
    other.tick().await;
    assert_eq!(other.verify_basic("svc", &made, ip(HOME)).await.refusal().code, Code::BadCredentials);
    assert_eq!(rig.auth.store().delete_service("svc").await.refusal().code, Code::NotFound);
}

#[tokio::test]
async fn a_secret_is_taken_only_from_the_accounts_networks() {
    let rig = Rig::new().await;
    let set = networks(&["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"]);
    let (_, made) = rig.authority().create_service("svc", set, None).await.unwrap();
    for from in ["10.1.2.3", "2001:db8::1", "192.0.2.1", "::ffff:10.1.2.3"] {
        rig.auth.verify_basic("svc", &made, ip(from)).await.unwrap();
    }
    for from in ["11.1.2.3", "192.0.2.2", "::1"] {
        let error = rig.auth.verify_basic("svc", &made, ip(from)).await.refusal();
        assert_eq!(error.code, Code::BadCredentials);
        assert!(error.audit_reason.contains(from), "{}", error.audit_reason);
    }
    let error = rig.auth.store().update_service("svc", networks(&["10.0.0.0/33"])).await.refusal();
    assert_eq!(error.code, Code::Invalid);
}

#[tokio::test]
async fn a_name_is_either_a_users_or_a_services() {
    let rig = Rig::new().await;
    let create = |name: &'static str| rig.authority().create_service(name, ServiceChange::default(), None);
    create("svc").await.unwrap();
    for (name, code) in [
        ("alice", Code::Conflict),
        ("svc", Code::Conflict),
        ("SVC", Code::Invalid),
        ("svc ", Code::Invalid),
        ("", Code::Invalid),
        ("user:x", Code::Invalid),
        ("-x", Code::Invalid),
    ] {
        assert_eq!(create(name).await.refusal().code, code, "{name:?}");
    }
    // A directory user who gets the account's name later cannot be confused with it.
    rig.directory.set("svc", &["admins"]);
    assert!(rig.basic("svc", "svc-demo").await.is_err());
    assert_eq!(rig.login("svc").await.1.principal, Principal::User("svc".into()));
    rig.directory.set_down(true);
    assert_eq!(create("other").await.refusal().code, Code::DirectoryUnavailable);
}

#[tokio::test]
async fn an_account_of_the_directory_is_not_inherited_by_its_namesake() {
    let rig = Rig::new().await;
    rig.directory.set("batch", &["robots"]);
    rig.authority().adopt_service("batch", ServiceChange::default()).await.unwrap();
    let session = rig.basic("batch", "batch-demo").await.unwrap();
    assert_eq!(session.principal, Principal::Service("batch".into()));
    let (token, _) = rig.auth.issue_service(&session, ip(HOME)).await.unwrap();
    rig.auth.verify_bearer(token.expose()).await.unwrap();

    rig.directory.replace_by_namesake("batch");
    rig.clock.advance(2 * MINUTE);
    // The password is right, and somebody else's.
    let refused = rig.basic("batch", "batch-demo").await.refusal();
    assert_eq!(refused.code, Code::BadCredentials);
    assert!(refused.audit_reason.contains("another directory entry"), "{}", refused.audit_reason);
    assert_eq!(rig.auth.verify_bearer(token.expose()).await.refusal().code, Code::TokenRevoked);
    // Nor is the namesake a user by that name where the service account still stands.
    assert_eq!(rig.basic("batch", "batch-demo").await.refusal().code, Code::BadCredentials);
    rig.auth.store().delete_service("batch").await.unwrap();
    assert_eq!(rig.basic("batch", "batch-demo").await.unwrap().principal, Principal::User("batch".into()));
}

#[tokio::test]
async fn use_is_noted_and_accounts_are_listed_by_name() {
    let rig = Rig::new().await;
    for name in ["b", "a", "c"] {
        let set = ServiceChange {
            owner: Some("user:erin".into()),
            description: Some("d".into()),
            ..Default::default()
        };
        rig.authority().create_service(name, set, Some(secret("a-long-secret"))).await.unwrap();
    }
    rig.basic("b", "a-long-secret").await.unwrap();
    rig.auth.tidy().await;
    let (page, next) = rig.auth.store().list_services(None, 2).await.unwrap();
    assert_eq!(page.iter().map(|account| &*account.name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((page[0].last_used_ms, page[1].last_used_ms), (None, Some(rig.clock.now_ms())));
    let (page, next) = rig.auth.store().list_services(next.as_deref(), 2).await.unwrap();
    assert_eq!((page.len(), &*page[0].name, next), (1, "c", None));
    let short = rig.authority().create_service("d", ServiceChange::default(), Some(secret("short"))).await;
    assert_eq!(short.refusal().code, Code::Invalid);
}
