//! The private database servers.

use doorman_testkit::database::{Engine, Server};
use doorman_testkit::{mariadb, postgres};

fn assert_databases_are_separate<E: Engine>(server: &Server<E>) {
    let (one, two) = (server.database().unwrap(), server.database().unwrap());
    assert_ne!(one, two);
}

fn assert_survives_a_crash<E: Engine>(server: &Server<E>, prefix: &str) {
    server.execute(&format!("CREATE TABLE {prefix}kept (id INT)")).unwrap();
    server.execute(&format!("INSERT INTO {prefix}kept VALUES (42)")).unwrap();
    let before = server.daemon().pid();
    server.daemon().kill();
    assert!(server.execute("SELECT 1").is_err());
    server.restart().unwrap();
    assert_ne!(server.daemon().pid(), before);
    assert_eq!(server.execute(&format!("SELECT id FROM {prefix}kept")).unwrap().trim(), "42");
}

fn assert_freezes_and_goes_on<E: Engine>(server: &Server<E>) {
    server.daemon().pause();
    assert!(!E::answers(server.port()));
    server.daemon().resume();
    assert_eq!(server.execute("SELECT 7").unwrap().trim(), "7");
}

#[test]
fn mariadb_gives_each_test_a_database_of_its_own() {
    assert_databases_are_separate(mariadb::shared().unwrap());
}

#[test]
fn postgres_gives_each_test_a_database_of_its_own() {
    assert_databases_are_separate(postgres::shared().unwrap());
}

#[test]
fn mariadb_flushes_each_commit_unless_told_otherwise() {
    let shown = "SELECT @@innodb_flush_log_at_trx_commit, @@sync_binlog";
    assert_eq!(mariadb::shared().unwrap().execute(shown).unwrap().trim(), "1\t1");
    let unsafe_server = mariadb::Server::options()
        .with_setting("innodb_flush_log_at_trx_commit", "2")
        .with_setting("sync_binlog", "0")
        .start()
        .unwrap();
    assert_eq!(unsafe_server.execute(shown).unwrap().trim(), "2\t0");
}

#[test]
fn postgres_flushes_each_commit_unless_told_otherwise() {
    assert_eq!(postgres::shared().unwrap().execute("SHOW fsync").unwrap().trim(), "on");
    let unsafe_server = postgres::Server::options().with_setting("fsync", "off").start().unwrap();
    assert_eq!(unsafe_server.execute("SHOW fsync").unwrap().trim(), "off");
}

#[test]
fn mariadb_can_be_killed_and_frozen() {
    let server = mariadb::Server::start().unwrap();
    server.database().unwrap();
    assert_survives_a_crash(&server, "test_0.");
    assert_freezes_and_goes_on(&server);
}

#[test]
fn postgres_can_be_killed_and_frozen() {
    let server = postgres::Server::start().unwrap();
    assert_survives_a_crash(&server, "");
    assert_freezes_and_goes_on(&server);
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let refused = mariadb::Server::options().with_setting("no-such-setting", "1").start();
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("no-such-setting"), "{error}");
}
