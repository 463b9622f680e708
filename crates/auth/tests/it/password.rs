//! Passwords: what the directory is asked, how seldom, and what the caller is told.

use crate::rig::{HOME, Refused as _, Rig, ip, secret};
use doorman_core::code::Code;
use doorman_core::principal::Principal;

const MINUTE: u64 = 60_000;

#[tokio::test]
async fn a_login_is_the_directorys_user_in_whatever_form_the_name_was_typed() {
    let rig = Rig::new().await;
    for typed in ["alice", "ALICE ", "Alice@example.test"] {
        let (token, session) = rig.try_login(typed, "alice-demo", HOME).await.unwrap();
        assert_eq!(session.principal, Principal::User("alice".into()));
        assert_eq!(*session.groups, ["developers".to_owned()]);
        let verified = rig.auth.verify_bearer(token.expose()).await.unwrap();
        assert_eq!(verified.session.id, session.id);
        assert_eq!(verified.token_expires_ms / 1000, session.expires_ms / 1000);
    }
}

#[tokio::test]
async fn unknown_user_and_wrong_password_say_the_same_at_every_step() {
    let rig = Rig::new().await;
    let mut answers = Vec::new();
    for name in ["alice", "nobody"] {
        let mut told = Vec::new();
        for password in ["one", "one", "two", "three", "four", ""] {
            let error = rig.try_login(name, password, HOME).await.refusal();
            assert_eq!(error.principal_hint.as_deref(), Some(name));
            told.push((error.code, error.retry_after));
        }
        answers.push((told, rig.directory.failed_binds(name)));
    }
    assert_eq!(answers[0], answers[1]);
    let codes: Vec<_> = answers[0].0.iter().map(|(code, _)| *code).collect();
    use Code::{BadCredentials as Bad, Throttled};
    assert_eq!(codes, [Bad, Bad, Bad, Bad, Throttled, Bad]);
}

#[tokio::test]
async fn the_directory_never_sees_more_failures_than_the_limit_and_a_known_address_still_gets_in() {
    let rig = Rig::new().await;
    rig.login("alice").await;
    let names = ["alice", "ALICE", "alice@example.test", " alice"];
    let tries = (0..40).map(|n| {
        let (auth, name) = (rig.auth.clone(), names[n % names.len()]);
        tokio::spawn(async move {
            let from = ip(&format!("198.51.100.{n}"));
            auth.login(name, &secret(&format!("guess {n}")), from, "test", None).await.refusal()
        })
    });
    let mut throttled = 0;
    for attempt in tries.collect::<Vec<_>>() {
        let error = attempt.await.unwrap();
        match error.code {
            Code::Throttled => {
                throttled += 1;
                assert!(error.retry_after.is_some());
            }
            code => assert_eq!(code, Code::BadCredentials),
        }
    }
    assert_eq!((throttled, rig.directory.failed_binds("alice")), (37, 3));
    // A stranger is refused even with the right password; the known address is not, and may fail once itself.
    let stranger = rig.try_login("alice", "alice-demo", "203.0.113.9").await.refusal();
    assert_eq!(stranger.code, Code::Throttled);
    rig.try_login("alice", "alice-demo", HOME).await.unwrap();
    assert_eq!(rig.try_login("alice", "typo", HOME).await.refusal().code, Code::BadCredentials);
    assert_eq!(rig.try_login("alice", "another typo", HOME).await.refusal().code, Code::Throttled);
    assert_eq!(rig.directory.failed_binds("alice"), 4);
    rig.clock.advance(16 * MINUTE);
    rig.try_login("alice", "alice-demo", "203.0.113.9").await.unwrap();
}

#[tokio::test]
async fn replicas_share_one_limit() {
    let rig = Rig::new().await;
    let other = rig.replica().await;
    for n in 0..10 {
        let auth = if n % 2 == 0 { &rig.auth } else { &other };
        let _ = auth.login("alice", &secret(&format!("guess {n}")), ip(HOME), "test", None).await;
    }
    assert_eq!(rig.directory.failed_binds("alice"), 3);
}

#[tokio::test]
async fn many_good_logins_at_once_do_not_throttle_each_other() {
    let rig = Rig::new().await;
    let logins = (0..20).map(|n| {
        let auth = rig.auth.clone();
        let from = ip(&format!("198.51.100.{n}"));
        tokio::spawn(async move { auth.login("alice", &secret("alice-demo"), from, "test", None).await })
    });
    for login in logins.collect::<Vec<_>>() {
        login.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn empty_passwords_and_those_with_a_nul_never_reach_the_directory() {
    let rig = Rig::new().await;
    for password in ["", "\0", "alice-demo\0", "\0alice-demo"] {
        assert_eq!(rig.try_login("alice", password, HOME).await.refusal().code, Code::BadCredentials);
        assert_eq!(rig.basic("alice", password).await.refusal().code, Code::BadCredentials);
    }
    assert_eq!(rig.directory.binds(), 0);
}

#[tokio::test]
async fn a_basic_password_binds_once_a_minute_however_often_it_is_sent() {
    let rig = Rig::new().await;
    let calls = (0..50).map(|_| {
        let auth = rig.auth.clone();
        tokio::spawn(
            async move { auth.verify_basic("alice", &secret("alice-demo"), ip(HOME)).await.unwrap().id },
        )
    });
    let mut sessions = std::collections::HashSet::new();
    for call in calls.collect::<Vec<_>>() {
        sessions.insert(call.await.unwrap());
    }
    assert_eq!((sessions.len(), rig.directory.binds()), (1, 1));
    assert!(rig.basic("alice", "wrong").await.is_err());
    rig.clock.advance(MINUTE);
    assert!(!sessions.contains(&rig.basic("alice", "alice-demo").await.unwrap().id));
}

#[tokio::test]
async fn an_ended_basic_session_is_not_answered_from_memory() {
    let rig = Rig::new().await;
    let first = rig.basic("alice", "alice-demo").await.unwrap();
    rig.auth.store().revoke(&[first.id]).await.unwrap();
    let second = rig.basic("alice", "alice-demo").await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(rig.directory.binds(), 2);
}

#[tokio::test]
async fn names_and_passwords_that_join_to_the_same_text_never_swap_identities() {
    let rig = Rig::new().await;
    rig.directory.set("a", &[]);
    rig.directory.set("a:b", &[]);
    for _ in 0..20 {
        let calls =
            [("a", "a-demo"), ("a", "b:a-demo"), ("a:b", "a:b-demo"), ("a:b", "demo"), ("a:a", "demo")];
        let calls = calls.map(|(name, password)| {
            let auth = rig.auth.clone();
            tokio::spawn(async move { auth.verify_basic(name, &secret(password), ip(HOME)).await })
        });
        let mut names = Vec::new();
        for call in calls {
            names.push(call.await.unwrap().ok().map(|session| session.principal.name().to_owned()));
        }
        assert_eq!(names, [Some("a".to_owned()), None, Some("a:b".to_owned()), None, None]);
    }
}

#[tokio::test]
async fn a_directory_that_is_down_costs_nobody_a_try() {
    let rig = Rig::new().await;
    rig.directory.set_down(true);
    for _ in 0..5 {
        let error = rig.try_login("alice", "alice-demo", HOME).await.refusal();
        assert_eq!(error.code, Code::DirectoryUnavailable);
    }
    rig.directory.set_down(false);
    rig.login("alice").await;
}

#[tokio::test]
async fn a_check_whose_caller_hung_up_is_settled_all_the_same() {
    let rig = Rig::new().await;
    for _ in 0..6 {
        let login = rig.try_login("alice", "alice-demo", HOME);
        // Dropped after the first step.
        let _ = tokio::time::timeout(std::time::Duration::ZERO, login).await;
    }
    for _ in 0..3 {
        rig.login("alice").await;
    }
}
