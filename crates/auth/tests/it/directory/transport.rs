//! Servers that fail in the middle of things, and what must never be done about it.

use std::time::Duration;

use doorman_auth::directory::{Directory, LdapConfig, RefusedReason};
use doorman_testkit::ldap::{DirectoryFile, EmbeddedLdap, Fault, Request};
use ldap3_proto::proto::LdapFilter;

use super::world::{embedded_config, embedded_server, groups_of_alice, start};
use super::{directory, outage, refusal, secret};

/// Binds as somebody else than the service account.
fn user_binds(server: &EmbeddedLdap) -> Vec<String> {
    server
        .take_requests()
        .into_iter()
        .filter_map(|request| match request {
            Request::Bind { dn } if !dn.starts_with("cn=doorman,") => Some(dn),
            _ => None,
        })
        .collect()
}

fn failures() -> Vec<Fault> {
    vec![
        Fault::Hang,
        Fault::Close,
        Fault::CloseAmidEntries,
        Fault::Disconnect,
        Fault::WrongId,
        Fault::Huge,
        Fault::Busy,
    ]
}

fn quick(servers: &[&EmbeddedLdap]) -> LdapConfig {
    LdapConfig { deadline: Duration::from_secs(4), ..embedded_config(servers) }
}

#[tokio::test]
async fn a_server_that_fails_a_search_leaves_the_login_to_the_next() {
    let (bad, good) = (embedded_server().await, embedded_server().await);
    for fault in failures() {
        bad.faults().on_searches(Some(fault.clone()));
        let directory = directory(quick(&[&bad, &good]));
        let alice = directory.authenticate("alice", &secret("alice-pw")).await;
        assert_eq!(alice.unwrap().groups, groups_of_alice(), "{fault:?}");
        assert!(user_binds(&bad).is_empty(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_server_that_fails_amid_the_groups_leaves_the_login_to_the_next() {
    let (bad, good) = (embedded_server().await, embedded_server().await);
    for fault in failures() {
        bad.faults().on_group_searches(Some(fault.clone()));
        let directory = directory(quick(&[&bad, &good]));
        let alice = directory.authenticate("alice", &secret("alice-pw")).await;
        assert_eq!(alice.unwrap().groups, groups_of_alice(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_server_that_fails_a_bind_leaves_the_login_to_the_next() {
    let (bad, good) = (embedded_server().await, embedded_server().await);
    for fault in [Fault::Hang, Fault::Close, Fault::Disconnect, Fault::WrongId, Fault::Huge, Fault::Busy] {
        let directory = directory(quick(&[&bad, &good]));
        // The service account's connection exists already.
        assert_eq!(directory.ping().await, Ok(()));
        bad.faults().on_binds(Some(fault.clone()));
        let alice = directory.authenticate("alice", &secret("alice-pw")).await;
        assert_eq!(alice.unwrap().name, "alice", "{fault:?}");
        bad.faults().on_binds(None);
    }
}

#[tokio::test]
async fn nobody_is_confirmed_while_no_server_answers() {
    let only = embedded_server().await;
    for fault in failures() {
        let directory = directory(LdapConfig { deadline: Duration::from_millis(400), ..quick(&[&only]) });
        only.faults().on_searches(Some(fault.clone()));
        outage(&directory, "alice", "alice-pw").await;
        assert!(directory.lookup("alice").await.is_err(), "an outage does not mean that somebody is gone");
        assert!(directory.ping().await.is_err() || fault == Fault::CloseAmidEntries, "{fault:?}");
    }
    drop(only);
}

#[tokio::test]
async fn a_refused_password_is_tried_once_and_nowhere_else() {
    let (first, second) = (embedded_server().await, embedded_server().await);
    let directory = directory(embedded_config(&[&first, &second]));
    assert_eq!(refusal(&directory, "alice", "nonsense").await, RefusedReason::WrongPassword);
    assert_eq!(user_binds(&first), ["uid=alice,ou=people,dc=corp"]);
    assert!(second.take_requests().is_empty());
}

#[tokio::test]
async fn binds_that_get_no_answer_are_not_repeated_without_end() {
    let servers =
        [embedded_server().await, embedded_server().await, embedded_server().await, embedded_server().await];
    let directory = directory(quick(&servers.iter().collect::<Vec<_>>()));
    for server in &servers {
        server.faults().on_binds(None);
    }
    // Service connections first: the fault would break those too.
    for (at, server) in servers.iter().enumerate() {
        servers.iter().take(at).for_each(|earlier| earlier.faults().on_searches(Some(Fault::Close)));
        assert_eq!(directory.ping().await, Ok(()), "{}", server.addr());
        server.take_requests();
    }
    for server in &servers {
        server.faults().on_searches(None);
        server.faults().on_binds(Some(Fault::Close));
    }
    outage(&directory, "alice", "alice-pw").await;
    let binds: usize = servers.iter().map(|server| user_binds(server).len()).sum();
    assert!(binds <= 2, "{binds}");
}

#[tokio::test]
async fn an_unknown_name_is_as_much_work_as_a_wrong_password() {
    let server = embedded_server().await;
    let directory = directory(embedded_config(&[&server]));
    let kinds = |requests: Vec<Request>| {
        requests
            .into_iter()
            .map(|request| match request {
                Request::Bind { .. } => "bind",
                Request::Search { .. } => "search",
                Request::Other(name) => name,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(directory.ping().await, Ok(()));
    server.take_requests();
    refusal(&directory, "alice", "nonsense").await;
    let wrong = kinds(server.take_requests());
    refusal(&directory, "nobody-at-all", "nonsense").await;
    let unknown = kinds(server.take_requests());
    assert_eq!(wrong, ["search", "bind"]);
    assert_eq!(unknown, wrong);
}

#[tokio::test]
async fn empty_passwords_and_impossible_names_make_no_request() {
    let server = embedded_server().await;
    let directory = directory(embedded_config(&[&server]));
    refusal(&directory, "alice", "").await;
    refusal(&directory, "alice", "alice-pw\0").await;
    refusal(&directory, "ali\0ce", "alice-pw").await;
    assert!(server.take_requests().is_empty());
}

#[tokio::test]
async fn what_was_typed_arrives_as_one_value() {
    let server = embedded_server().await;
    let directory = directory(embedded_config(&[&server]));
    for name in ["*", "*)(uid=*", r"\2a", "alice)(|(uid=*)", "{dn}"] {
        refusal(&directory, name, "x").await;
        let searched = server.take_requests().into_iter().find_map(|request| match request {
            Request::Search { filter, .. } => Some(filter),
            _ => None,
        });
        assert_eq!(searched, Some(LdapFilter::Equality("uid".to_owned(), name.to_owned())));
    }
}

#[tokio::test]
async fn start_tls_refused_is_the_end_of_it() {
    let server = embedded_server().await;
    let directory = directory(LdapConfig { start_tls: true, ..embedded_config(&[&server]) });
    outage(&directory, "alice", "alice-pw").await;
    assert_eq!(server.take_requests(), [Request::Other("extended")]);
}

#[tokio::test]
async fn referrals_and_limits_refuse_and_references_beside_an_entry_do_not() {
    let server = embedded_server().await;
    let directory = directory(embedded_config(&[&server]));
    server.faults().on_searches(Some(Fault::Reference));
    assert_eq!(directory.authenticate("alice", &secret("alice-pw")).await.unwrap().groups, groups_of_alice());
    assert_eq!(refusal(&directory, "nobody-at-all", "x").await, RefusedReason::UnknownUser);
    server.faults().on_searches(Some(Fault::Referral));
    assert_eq!(refusal(&directory, "alice", "alice-pw").await, RefusedReason::Referral);
    server.faults().on_searches(Some(Fault::SizeLimit));
    assert_eq!(refusal(&directory, "alice", "alice-pw").await, RefusedReason::Ambiguous);
    server.faults().on_searches(None);
    server.faults().on_group_searches(Some(Fault::SizeLimit));
    assert_eq!(refusal(&directory, "alice", "alice-pw").await, RefusedReason::PartialGroups);
    server.faults().on_group_searches(Some(Fault::Referral));
    assert_eq!(refusal(&directory, "alice", "alice-pw").await, RefusedReason::Referral);
}

#[tokio::test]
async fn a_dead_idle_connection_is_replaced_without_a_failed_login() {
    let toml = doorman_testkit::ldap::demo_directory_toml().unwrap();
    let first = start(&toml).await;
    let address = first.addr();
    let directory = directory(doorman_auth::directory::demo_ldap_config(address));
    directory.authenticate("bob", &secret("bob-demo")).await.unwrap();
    first.shutdown().await;
    let second = EmbeddedLdap::start(address, DirectoryFile::parse(&toml).unwrap()).await.unwrap();
    let bob = directory.authenticate("bob", &secret("bob-demo")).await.unwrap();
    assert_eq!(bob.groups, ["developers", "oncall"]);
    drop(second);
}

#[tokio::test]
async fn a_refused_service_account_is_not_tried_at_every_login() {
    let server = embedded_server().await;
    let directory =
        directory(LdapConfig { bind_password: Some(secret("wrong")), ..embedded_config(&[&server]) });
    for _ in 0..4 {
        outage(&directory, "alice", "alice-pw").await;
    }
    assert_eq!(server.take_requests(), [Request::Bind { dn: "cn=doorman,dc=corp".to_owned() }]);
}

#[tokio::test]
async fn connections_of_users_are_not_used_again() {
    let server = embedded_server().await;
    let directory = directory(embedded_config(&[&server]));
    directory.authenticate("alice", &secret("alice-pw")).await.unwrap();
    server.take_requests();
    // Binding anew on the service connection would make the search anonymous or the user's.
    directory.authenticate("alice", &secret("alice-pw")).await.unwrap();
    assert_eq!(directory.lookup("alice").await.unwrap().unwrap().name, "alice");
    let service_binds = server
        .take_requests()
        .into_iter()
        .filter(|request| matches!(request, Request::Bind { dn } if dn.starts_with("cn=doorman")));
    assert_eq!(service_binds.count(), 0, "one service connection serves all");
}
