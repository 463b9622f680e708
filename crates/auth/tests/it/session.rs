//! Sessions: revoked everywhere at once, bound to what their tokens say, never revived.

use crate::rig::{HOME, Refused as _, Rig, ip, secret};
use doorman_auth::{Scopes, SessionKind};
use doorman_core::code::Code;
use doorman_core::principal::Principal;

const HOUR: u64 = 3_600_000;

#[tokio::test]
async fn logout_ends_the_session_on_every_replica_and_for_every_token_of_it() {
    let rig = Rig::new().await;
    let other = rig.replica().await;
    let (token, session) = rig.login("alice").await;
    let (short, _) = rig.auth.session_token(&session).unwrap();
    let (kept, _) = rig.login("alice").await;
    for token in [&token, &short] {
        assert_eq!(other.verify_bearer(token.expose()).await.unwrap().session.id, session.id);
    }
    let held = other.verify_bearer(token.expose()).await.unwrap().session;
    let epoch = other.store().revocations().epoch();
    rig.auth.store().logout(session.id).await.unwrap();
    rig.auth.store().logout(session.id).await.unwrap();
    other.tick().await;
    assert!(other.store().revocations().epoch() > epoch && other.store().revocations().contains(&held.id));
    for auth in [&rig.auth, &other, &rig.replica().await] {
        for token in [&token, &short] {
            assert_eq!(auth.verify_bearer(token.expose()).await.refusal().code, Code::TokenRevoked);
        }
        auth.verify_bearer(kept.expose()).await.unwrap();
    }
}

#[tokio::test]
async fn a_revocation_elsewhere_is_not_missed_by_one_of_our_own() {
    let rig = Rig::new().await;
    let other = rig.replica().await;
    let (_, first) = rig.login("alice").await;
    let (_, second) = rig.login("alice").await;
    other.store().revoke(&[first.id]).await.unwrap();
    rig.auth.store().revoke(&[second.id]).await.unwrap();
    assert!(rig.auth.store().revocations().contains(&first.id));
}

#[tokio::test]
async fn a_five_minute_token_ends_before_its_session() {
    let rig = Rig::new().await;
    let (token, session) = rig.login("alice").await;
    let (short, expires_ms) = rig.auth.session_token(&session).unwrap();
    assert_eq!(expires_ms - rig.clock.now_ms(), 5 * 60_000);
    rig.auth.verify_bearer(short.expose()).await.unwrap();
    rig.clock.advance(5 * 60_000 + 4_000);
    assert_eq!(rig.auth.verify_bearer(short.expose()).await.refusal().code, Code::TokenExpired);
    rig.auth.verify_bearer(token.expose()).await.unwrap();
    rig.clock.advance(24 * HOUR);
    assert_eq!(rig.auth.verify_bearer(token.expose()).await.refusal().code, Code::TokenExpired);
}

#[tokio::test]
async fn personal_tokens_are_narrowed_listed_and_ended_and_beget_no_others() {
    let rig = Rig::new().await;
    let (_, owner) = rig.login("alice").await;
    let scopes =
        Scopes { regions: Some(vec!["eu".into()]), services: None, methods: Some(vec!["GET".into()]) };
    let expires_ms = rig.clock.now_ms() + 90 * 24 * HOUR;
    let issue = |scopes: Option<Scopes>, expires_ms| {
        let (auth, owner) = (rig.auth.clone(), owner.clone());
        async move { auth.issue_personal(&owner, "nightly", scopes, expires_ms, ip(HOME)).await }
    };
    let (token, session) = issue(Some(scopes), expires_ms).await.unwrap();
    rig.auth.store().logout(owner.id).await.unwrap();
    rig.clock.advance(89 * 24 * HOUR);
    let verified = rig.replica().await.verify_bearer(token.expose()).await.unwrap().session;
    assert_eq!((verified.id, verified.kind), (session.id, SessionKind::Personal));
    let scopes = verified.scopes.as_ref().unwrap();
    assert!(scopes.contain("eu", "echo", "GET"));
    assert!(!scopes.contain("us", "echo", "GET") && !scopes.contain("eu", "echo", "POST"));
    assert!(!verified.is_own_login());

    let alice = Principal::User("alice".into());
    let (tokens, _) = rig.auth.store().list_tokens(Some(&alice), None, 10).await.unwrap();
    assert_eq!(tokens.iter().map(|info| info.name.as_deref()).collect::<Vec<_>>(), [Some("nightly")]);
    assert!(
        rig.auth
            .store()
            .list_tokens(Some(&Principal::User("bob".into())), None, 10)
            .await
            .unwrap()
            .0
            .is_empty()
    );
    let error = rig.auth.issue_personal(&verified, "more", None, expires_ms, ip(HOME)).await.refusal();
    assert_eq!(error.code, Code::Forbidden);
    rig.auth.store().revoke(&[session.id]).await.unwrap();
    assert_eq!(rig.auth.verify_bearer(token.expose()).await.refusal().code, Code::TokenRevoked);

    let empty = Scopes { services: Some(vec![]), ..Scopes::default() };
    let now = rig.clock.now_ms();
    for (scopes, expires_ms) in [(Some(empty), now + HOUR), (None, now), (None, now + 367 * 24 * HOUR)] {
        assert_eq!(issue(scopes, expires_ms).await.refusal().code, Code::Invalid);
    }
}

#[tokio::test]
async fn sessions_are_listed_to_their_owner_without_tokens_and_all_can_be_ended() {
    let rig = Rig::new().await;
    let (first, _) = rig.login("alice").await;
    rig.login("alice").await;
    rig.login("bob").await;
    rig.basic("alice", "alice-demo").await.unwrap();
    let alice = Principal::User("alice".into());
    let (mine, _) = rig.auth.store().list_sessions(Some(&alice), None, 10).await.unwrap();
    assert_eq!(mine.iter().filter(|info| info.facts.kind == SessionKind::Login).count(), 2);
    assert_eq!(mine.len(), 3);
    assert!(mine.iter().all(|info| info.client_ip.as_deref() == Some(HOME)));
    assert_eq!(rig.auth.store().list_sessions(None, None, 10).await.unwrap().0.len(), 4);
    assert_eq!(rig.auth.store().revoke_all_of(&alice).await.unwrap(), 3);
    assert_eq!(rig.auth.verify_bearer(first.expose()).await.refusal().code, Code::TokenRevoked);
    assert_eq!(rig.auth.store().list_sessions(None, None, 10).await.unwrap().0.len(), 1);
}

#[tokio::test]
async fn a_users_token_is_only_that_users() {
    let rig = Rig::new().await;
    let (token, session) = rig.login("bob").await;
    let verify = |name: &'static str| rig.authority().verify_user_token(name, token.expose());
    assert_eq!(verify("bob").await.unwrap().unwrap().id, session.id);
    assert!(verify(" BOB").await.unwrap().unwrap().is_own_login());
    for name in ["alice", "", "user:bob", "bob\0", "bo"] {
        assert!(verify(name).await.unwrap().is_none(), "{name:?}");
    }
    assert!(rig.authority().verify_user_token("bob", "junk").await.unwrap().is_none());
    rig.auth.store().logout(session.id).await.unwrap();
    assert!(verify("bob").await.unwrap().is_none());
}

#[tokio::test]
async fn an_exchanged_token_names_both_and_ends_with_the_users_session_or_the_service() {
    let rig = Rig::new().await;
    rig.authority()
        .create_service("reports-ui", Default::default(), Some(secret("reports-ui-demo")))
        .await
        .unwrap();
    let service = rig.basic("reports-ui", "reports-ui-demo").await.unwrap();
    let (_, user) = rig.login("alice").await;
    let (token, _) = rig.auth.exchange(&service, &user, ip(HOME)).await.unwrap();
    let verified = rig.replica().await.verify_bearer(token.expose()).await.unwrap().session;
    assert_eq!(verified.principal, user.principal);
    assert_eq!(verified.actor.as_ref(), Some(&service.principal));
    assert_eq!(*verified.groups, ["developers".to_owned()]);
    assert!(!verified.is_own_login());
    for (actor, subject) in [(&service, &verified), (&user, &user), (&service, &service)] {
        let error = rig.auth.exchange(actor, subject, ip(HOME)).await.refusal();
        assert_eq!(error.code, Code::DelegationRefused);
    }
    rig.auth.store().logout(user.id).await.unwrap();
    assert_eq!(rig.auth.verify_bearer(token.expose()).await.refusal().code, Code::TokenRevoked);
    assert_eq!(rig.auth.exchange(&service, &user, ip(HOME)).await.refusal().code, Code::TokenRevoked);

    let (_, user) = rig.login("alice").await;
    let (token, _) = rig.auth.exchange(&service, &user, ip(HOME)).await.unwrap();
    rig.auth.store().delete_service("reports-ui").await.unwrap();
    for auth in [&rig.auth, &rig.replica().await] {
        assert_eq!(auth.verify_bearer(token.expose()).await.refusal().code, Code::TokenRevoked);
    }
}

#[tokio::test]
async fn without_the_database_nobody_is_let_in_anew() {
    let rig = Rig::new().await;
    let (token, _) = rig.login("alice").await;
    rig.database.close().await;
    rig.clock.advance(61_000);
    let codes = [
        rig.auth.verify_bearer(token.expose()).await.refusal().code,
        rig.try_login("alice", "alice-demo", HOME).await.refusal().code,
        rig.basic("alice", "alice-demo").await.refusal().code,
    ];
    assert_eq!(codes, [Code::AuditUnavailable; 3]);
    assert!(rig.auth.store().revoke(&[[1; 16]]).await.is_err());
}

#[tokio::test]
async fn a_token_for_a_session_that_is_gone_or_somebody_elses_is_refused() {
    let rig = Rig::new().await;
    let (token, session) = rig.login("alice").await;
    rig.auth.store().logout(session.id).await.unwrap();
    rig.database.delete_expired_sessions(u64::MAX >> 1).await.unwrap();
    let error = rig.replica().await.verify_bearer(token.expose()).await.refusal();
    assert_eq!(error.code, Code::Unauthenticated);
}
