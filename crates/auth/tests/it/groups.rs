//! Groups and accounts that change in the directory while sessions last.

use crate::rig::{Refused as _, Rig};
use doorman_core::code::Code;

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600_000;

#[tokio::test]
async fn leaving_a_group_takes_effect_within_a_minute_without_any_upkeep() {
    let rig = Rig::new().await;
    let (token, before) = rig.login("bob").await;
    rig.directory.set("bob", &["developers"]);
    rig.clock.advance(59 * SECOND);
    assert!(before.is_live(rig.clock.now_ms()));
    rig.clock.advance(SECOND);
    assert!(!before.is_live(rig.clock.now_ms()));
    let after = rig.auth.verify_bearer(token.expose()).await.unwrap().session;
    assert_eq!(*after.groups, ["developers".to_owned()]);
    assert_ne!(after.groups_version(), before.groups_version());
    let row = rig.database.session(&after.id).await.unwrap().unwrap();
    assert_eq!(row.groups, ["developers"]);
}

#[tokio::test]
async fn upkeep_confirms_used_sessions_in_place_and_makes_changed_ones_stale() {
    let rig = Rig::new().await;
    let (token, session) = rig.login("bob").await;
    for _ in 0..12 {
        rig.clock.advance(10 * SECOND);
        rig.auth.refresh_groups().await;
        assert!(session.is_live(rig.clock.now_ms()));
    }
    let verified = rig.auth.verify_bearer(token.expose()).await.unwrap().session;
    assert!(std::sync::Arc::ptr_eq(&session, &verified));
    rig.directory.set("bob", &[]);
    rig.clock.advance(31 * SECOND);
    rig.auth.refresh_groups().await;
    assert!(!session.is_live(rig.clock.now_ms()));
    assert!(rig.auth.verify_bearer(token.expose()).await.unwrap().session.groups.is_empty());
}

#[tokio::test]
async fn idle_sessions_cost_the_directory_nothing() {
    let rig = Rig::new().await;
    rig.login("bob").await;
    rig.auth.refresh_groups().await;
    for _ in 0..60 {
        rig.clock.advance(10 * SECOND);
        rig.auth.refresh_groups().await;
    }
    assert!(rig.directory.lookups() <= 1, "{}", rig.directory.lookups());
}

#[tokio::test]
async fn a_user_who_is_gone_or_whose_name_went_to_another_is_refused() {
    let rig = Rig::new().await;
    let (gone, _) = rig.login("alice").await;
    let (namesake, _) = rig.login("bob").await;
    rig.directory.remove("alice");
    rig.directory.replace_by_namesake("bob");
    rig.clock.advance(61 * SECOND);
    for token in [&gone, &namesake] {
        assert_eq!(rig.auth.verify_bearer(token.expose()).await.refusal().code, Code::TokenRevoked);
    }
    rig.directory.set("alice", &["developers"]);
    rig.clock.advance(4 * SECOND);
    rig.auth.verify_bearer(gone.expose()).await.unwrap();
}

#[tokio::test]
async fn with_the_directory_down_sessions_go_on_for_the_stated_time_and_then_end() {
    let rig = Rig::new().await;
    let (token, session) = rig.login("alice").await;
    rig.directory.set_down(true);
    rig.clock.advance(30 * SECOND);
    session.is_live(rig.clock.now_ms());
    rig.auth.refresh_groups().await;
    for _ in 0..58 {
        rig.clock.advance(60 * SECOND);
        rig.auth.verify_bearer(token.expose()).await.unwrap();
    }
    let state = rig.auth.directory_state();
    assert_eq!(state.sessions_until_ms, state.down_since_ms.map(|since| since + HOUR));
    assert!(state.down_since_ms.is_some());
    // A replica that starts now knows only the session's row.
    let other = rig.replica().await;
    other.verify_bearer(token.expose()).await.unwrap();
    rig.clock.advance(120 * SECOND);
    for auth in [&rig.auth, &other] {
        assert_eq!(auth.verify_bearer(token.expose()).await.refusal().code, Code::DirectoryUnavailable);
    }
    rig.directory.set_down(false);
    rig.clock.advance(6 * SECOND);
    rig.auth.verify_bearer(token.expose()).await.unwrap();
    assert_eq!(rig.auth.directory_state().down_since_ms, None);
}

#[tokio::test]
async fn a_crowd_that_comes_back_asks_the_directory_once() {
    let rig = Rig::new().await;
    let (token, _) = rig.login("alice").await;
    rig.clock.advance(61 * SECOND);
    let calls = (0..200).map(|_| {
        let (auth, token) = (rig.auth.clone(), token.clone());
        tokio::spawn(async move { auth.verify_bearer(token.expose()).await.unwrap() })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert_eq!(rig.directory.lookups(), 1);
}

#[tokio::test]
async fn in_an_outage_the_directory_is_not_asked_for_everybody() {
    let rig = Rig::new().await;
    let mut tokens = Vec::new();
    for n in 0..50 {
        rig.directory.set(&format!("user{n}"), &[]);
        tokens.push(rig.login(&format!("user{n}")).await.0);
    }
    rig.directory.set_down(true);
    rig.clock.advance(61_000);
    for token in &tokens {
        rig.auth.verify_bearer(token.expose()).await.unwrap();
    }
    assert!(rig.directory.refused() <= 3, "{}", rig.directory.refused());
    rig.directory.set_down(false);
    rig.clock.advance(16 * SECOND);
    for token in &tokens {
        rig.auth.verify_bearer(token.expose()).await.unwrap();
    }
    assert_eq!(rig.directory.lookups(), 50);
}
