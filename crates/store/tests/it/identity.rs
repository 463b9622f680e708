//! Sessions, service accounts, login tries, leases and stored values.

use crate::rig::{Kind, NOW, Rig, contract};
use doorman_store::{
    LoginEnd, LoginTry, LoginVerdict, SecretRow, ServiceAccountRow, SessionFilter, SessionKind, SessionRow,
    StoreError, ThrottleRule,
};

contract! {
    a_session_reads_back_as_it_was_written
    sessions_are_listed_in_pages_by_principal_and_kind
    revoking_marks_a_session_and_expiry_deletes_it
    a_session_ends_with_its_parents
    service_accounts_are_made_changed_and_deleted
    rotating_keeps_the_newest_other_secret_for_a_while
    tries_in_parallel_never_exceed_the_limit
    a_trusted_address_may_go_on_when_others_may_not
    a_withdrawn_try_and_an_old_one_count_for_nothing
    a_lease_has_one_holder
    stored_values_are_replaced_and_numbers_only_rise
    names_that_differ_only_in_case_or_blanks_are_different
}

fn session(tag: u8) -> SessionRow {
    SessionRow {
        id: [tag; 16],
        kind: SessionKind::Login,
        principal: "user:alice".into(),
        directory_id: Some("0199d0c2".into()),
        display_name: Some("Älice 🔑".into()),
        email: Some("alice@example.org".into()),
        groups: vec!["developers".into(), "on \"call\"".into()],
        name: Some("laptop".into()),
        scopes: Some("{\"regions\":[\"eu\"]}".into()),
        created_ms: NOW,
        expires_ms: NOW + 1000,
        revoked_ms: None,
        last_used_ms: None,
        client_ip: Some("::1".into()),
        user_agent: Some("curl/8".into()),
        parent: None,
    }
}

async fn a_session_reads_back_as_it_was_written(kind: Kind) {
    let rig = Rig::new(kind).await;
    let database = &rig.database;
    let bare = SessionRow {
        id: [2; 16],
        directory_id: None,
        display_name: None,
        email: None,
        groups: vec![],
        name: None,
        scopes: None,
        client_ip: None,
        user_agent: None,
        ..session(2)
    };
    for row in [session(1), bare] {
        database.insert_session(&row).await.unwrap();
        assert_eq!(database.session(&row.id).await.unwrap(), Some(row.clone()));
        assert!(matches!(database.insert_session(&row).await, Err(StoreError::Conflict)));
    }
    assert_eq!(database.session(&[9; 16]).await.unwrap(), None);
    database.update_session_groups(&[1; 16], &["other".into()]).await.unwrap();
    database.touch_sessions(&[([1; 16], NOW + 7), ([2; 16], NOW + 9), ([1; 16], NOW + 3)]).await.unwrap();
    let changed = database.session(&[1; 16]).await.unwrap().unwrap();
    assert_eq!(
        changed,
        SessionRow { groups: vec!["other".into()], last_used_ms: Some(NOW + 7), ..session(1) }
    );
}

async fn sessions_are_listed_in_pages_by_principal_and_kind(kind: Kind) {
    let rig = Rig::new(kind).await;
    for tag in 0..25u8 {
        let row = SessionRow {
            kind: if tag % 5 == 0 { SessionKind::Personal } else { SessionKind::Login },
            principal: if tag % 2 == 0 { "user:alice" } else { "user:bob" }.into(),
            created_ms: NOW + u64::from(tag / 3),
            revoked_ms: (tag == 4).then_some(NOW),
            ..session(tag)
        };
        rig.database.insert_session(&row).await.unwrap();
    }
    let list = async |filter: SessionFilter<'_>| {
        let mut tags = Vec::new();
        let mut cursor = None;
        loop {
            let (page, next) = rig.database.sessions_page(&filter, cursor.as_deref(), 3).await.unwrap();
            assert!(page.len() <= 3);
            tags.extend(page.iter().map(|row| row.id[0]));
            cursor = next;
            if cursor.is_none() {
                return tags;
            }
        }
    };
    let newest_first = |keep: fn(u8) -> bool| (0..25u8).rev().filter(|tag| keep(*tag)).collect::<Vec<_>>();
    assert_eq!(list(SessionFilter::default()).await, newest_first(|_| true));
    let alice = SessionFilter { principal: Some("user:alice"), ..Default::default() };
    assert_eq!(list(alice).await, newest_first(|tag| tag % 2 == 0));
    let live = SessionFilter { live_at_ms: Some(NOW), ..alice };
    assert_eq!(list(live).await, newest_first(|tag| tag % 2 == 0 && tag != 4));
    let tokens = SessionFilter { kind: Some(SessionKind::Personal), ..Default::default() };
    assert_eq!(list(tokens).await, newest_first(|tag| tag % 5 == 0));
    assert!(matches!(rig.database.sessions_page(&alice, Some("zz"), 3).await, Err(StoreError::Cursor)));
}

async fn revoking_marks_a_session_and_expiry_deletes_it(kind: Kind) {
    let rig = Rig::new(kind).await;
    rig.database.insert_session(&session(1)).await.unwrap();
    rig.database.insert_session(&SessionRow { expires_ms: NOW + 5000, ..session(2) }).await.unwrap();
    rig.database.revoke_sessions(&[[1; 16]], NOW + 1).await.unwrap();
    rig.database.revoke_sessions(&[[1; 16]], NOW + 2).await.unwrap();
    assert_eq!(rig.database.session(&[1; 16]).await.unwrap().unwrap().revoked_ms, Some(NOW + 1));
    assert_eq!(rig.database.session(&[2; 16]).await.unwrap().unwrap().revoked_ms, None);
    assert_eq!(rig.database.delete_expired_sessions(NOW + 2000).await.unwrap(), 1);
    assert_eq!(rig.database.session(&[1; 16]).await.unwrap(), None);
}

async fn a_session_ends_with_its_parents(kind: Kind) {
    let rig = Rig::new(kind).await;
    for (tag, parent) in [(1, None), (2, Some(1)), (3, Some(2)), (4, None), (5, Some(1))] {
        let row = SessionRow { parent: parent.map(|tag: u8| [tag; 16]), ..session(tag) };
        rig.database.insert_session(&row).await.unwrap();
    }
    rig.database.revoke_sessions(&[[5; 16]], NOW).await.unwrap();
    let mut children = rig.database.session_children(&[1; 16]).await.unwrap();
    children.sort_unstable();
    assert_eq!(children, [[2; 16], [3; 16]]);
}

fn account(name: &str) -> ServiceAccountRow {
    ServiceAccountRow {
        name: name.into(),
        description: "for tests".into(),
        owner: "user:erin".into(),
        networks: vec!["10.0.0.0/8".into()],
        disabled: false,
        secrets: vec![secret(1)],
        last_used_ms: None,
        created_ms: NOW,
    }
}

fn secret(tag: u8) -> SecretRow {
    SecretRow {
        id: [tag; 16],
        hash: format!("$argon2id${tag}"),
        created_ms: NOW + u64::from(tag),
        expires_ms: None,
    }
}

async fn service_accounts_are_made_changed_and_deleted(kind: Kind) {
    let rig = Rig::new(kind).await;
    let database = &rig.database;
    for (tag, name) in (10..).zip(["c", "a", "b"]) {
        database
            .insert_service_account(&ServiceAccountRow { secrets: vec![secret(tag)], ..account(name) })
            .await
            .unwrap();
    }
    let again = ServiceAccountRow { secrets: vec![secret(20)], ..account("a") };
    assert!(matches!(database.insert_service_account(&again).await, Err(StoreError::Conflict)));
    let (page, next) = database.service_accounts_page(None, 2).await.unwrap();
    assert_eq!(page.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(page[0].secrets == [secret(11)]);
    let (page, next) = database.service_accounts_page(next.as_deref(), 2).await.unwrap();
    assert_eq!((page.len(), page[0].name.as_str(), next), (1, "c", None));

    let changed = ServiceAccountRow { disabled: true, networks: vec![], ..page[0].clone() };
    assert!(database.update_service_account(&changed).await.unwrap());
    database.touch_service_account("c", NOW + 5).await.unwrap();
    let stored = database.service_account("c").await.unwrap().unwrap();
    assert!(stored == ServiceAccountRow { last_used_ms: Some(NOW + 5), ..changed });
    assert!(!database.update_service_account(&account("nobody")).await.unwrap());
    assert!(database.delete_service_account("c").await.unwrap());
    assert!(!database.delete_service_account("c").await.unwrap());
    assert!(database.service_account("c").await.unwrap().is_none());
}

async fn rotating_keeps_the_newest_other_secret_for_a_while(kind: Kind) {
    let rig = Rig::new(kind).await;
    let database = &rig.database;
    database.insert_service_account(&account("a")).await.unwrap();
    assert!(database.rotate_service_secret("a", &secret(2), NOW + 500).await.unwrap());
    assert!(database.rotate_service_secret("a", &secret(3), NOW + 900).await.unwrap());
    let stored = database.service_account("a").await.unwrap().unwrap();
    assert!(stored.secrets == [SecretRow { expires_ms: Some(NOW + 900), ..secret(2) }, secret(3)]);
    assert!(!database.rotate_service_secret("b", &secret(4), NOW).await.unwrap());
}

const RULE: ThrottleRule = ThrottleRule { window_ms: 1000, limit: 3, trusted_ms: 100_000, trusted_limit: 5 };

fn login(tag: u8, address: &'static str, now_ms: u64) -> LoginTry<'static> {
    LoginTry { id: [tag; 16], account: "alice", address, now_ms }
}

async fn tries_in_parallel_never_exceed_the_limit(kind: Kind) {
    let rig = Rig::new(kind).await;
    let tries: Vec<_> = (0..12u8)
        .map(|tag| {
            let database = rig.database.clone();
            tokio::spawn(async move { database.reserve_login(&login(tag, "::1", NOW), &RULE).await.unwrap() })
        })
        .collect();
    let mut reserved = 0;
    for verdict in tries {
        match verdict.await.unwrap() {
            LoginVerdict::Reserved => reserved += 1,
            LoginVerdict::Refused { until_ms } => assert_eq!(until_ms, NOW + 1000),
        }
    }
    assert_eq!(reserved, 3);
    let other = LoginTry { account: "bob", ..login(20, "::1", NOW) };
    assert_eq!(rig.database.reserve_login(&other, &RULE).await.unwrap(), LoginVerdict::Reserved);
}

async fn a_trusted_address_may_go_on_when_others_may_not(kind: Kind) {
    let rig = Rig::new(kind).await;
    let database = &rig.database;
    let reserve =
        async |tag, address, now| database.reserve_login(&login(tag, address, now), &RULE).await.unwrap();
    reserve(1, "home", NOW).await;
    database.settle_login(&[1; 16], LoginEnd::Succeeded).await.unwrap();
    for tag in 2..5 {
        assert_eq!(reserve(tag, "away", NOW + 5000 + u64::from(tag)).await, LoginVerdict::Reserved);
        database.settle_login(&[tag; 16], LoginEnd::Failed).await.unwrap();
    }
    assert_eq!(reserve(5, "away", NOW + 5010).await, LoginVerdict::Refused { until_ms: NOW + 6002 });
    assert_eq!(reserve(6, "home", NOW + 5010).await, LoginVerdict::Reserved);
    assert_eq!(reserve(7, "home", NOW + 5010).await, LoginVerdict::Reserved);
    assert!(matches!(reserve(8, "home", NOW + 5010).await, LoginVerdict::Refused { .. }));
}

async fn a_withdrawn_try_and_an_old_one_count_for_nothing(kind: Kind) {
    let rig = Rig::new(kind).await;
    let database = &rig.database;
    let reserve = async |tag, now| database.reserve_login(&login(tag, "::1", now), &RULE).await.unwrap();
    for tag in 1..4 {
        reserve(tag, NOW).await;
    }
    assert!(matches!(reserve(4, NOW + 500).await, LoginVerdict::Refused { .. }));
    database.settle_login(&[1; 16], LoginEnd::Withdrawn).await.unwrap();
    assert_eq!(reserve(5, NOW + 500).await, LoginVerdict::Reserved);
    assert!(matches!(reserve(6, NOW + 500).await, LoginVerdict::Refused { .. }));
    assert_eq!(reserve(7, NOW + 1001).await, LoginVerdict::Reserved);
    database.settle_login(&[7; 16], LoginEnd::Succeeded).await.unwrap();
    assert_eq!(database.prune_logins(NOW + 1500, &RULE).await.unwrap(), 3);
    assert_eq!(rig.count("login_account").await, 1);
    assert_eq!(database.prune_logins(NOW + 101_001, &RULE).await.unwrap(), 1);
    assert_eq!(rig.count("login_account").await, 0);
}

async fn a_lease_has_one_holder(kind: Kind) {
    let rig = Rig::new(kind).await;
    let database = &rig.database;
    assert!(database.try_lease("sweeper", "a", NOW, 100).await.unwrap());
    assert!(!database.try_lease("sweeper", "b", NOW + 99, 100).await.unwrap());
    assert!(database.try_lease("sweeper", "a", NOW + 50, 100).await.unwrap());
    assert!(database.try_lease("indexer", "b", NOW, 100).await.unwrap());
    assert!(database.try_lease("sweeper", "b", NOW + 150, 100).await.unwrap());
    database.release_lease("sweeper", "a").await.unwrap();
    assert!(!database.try_lease("sweeper", "a", NOW + 160, 100).await.unwrap());
    database.release_lease("sweeper", "b").await.unwrap();
    assert!(database.try_lease("sweeper", "a", NOW + 160, 100).await.unwrap());
}

async fn stored_values_are_replaced_and_numbers_only_rise(kind: Kind) {
    let rig = Rig::new(kind).await;
    let database = &rig.database;
    assert_eq!(database.stored_value("cursor").await.unwrap(), None);
    for value in [b"one".as_slice(), b"two", b"two", b""] {
        database.store_value("cursor", value).await.unwrap();
        assert_eq!(database.stored_value("cursor").await.unwrap().as_deref(), Some(value));
    }
    for (to, now) in [(300, 300), (5, 300), (70_000, 70_000), (69_999, 70_000)] {
        assert_eq!(database.raise_stored_number("clock", to).await.unwrap(), now);
    }
}

async fn names_that_differ_only_in_case_or_blanks_are_different(kind: Kind) {
    let rig = Rig::new(kind).await;
    for name in ["svc", "SVC", "svc ", "svc\u{a0}", "sv\u{107}", "svc\u{301}"] {
        let row = ServiceAccountRow { secrets: vec![], ..account(name) };
        rig.database.insert_service_account(&row).await.unwrap();
    }
    for name in ["svc", "SVC", "svc ", "sv\u{107}"] {
        assert_eq!(rig.database.service_account(name).await.unwrap().unwrap().name, name);
    }
    assert!(rig.database.service_account("Svc").await.unwrap().is_none());
}
