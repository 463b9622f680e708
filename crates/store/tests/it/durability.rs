//! Servers that would lose acknowledged commits are refused by name.

use doorman_store::{Database, DatabaseConfig, StoreError};
use doorman_testkit::{mariadb, postgres};

async fn refused(url: &str) -> Option<&'static str> {
    let database = Database::connect(&DatabaseConfig::new(url)).await.unwrap();
    match database.check_durability().await {
        Ok(()) => None,
        Err(StoreError::Unsafe { setting, .. }) => Some(setting),
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn mariadb_must_flush_its_log_and_its_binlog() {
    let server = mariadb::Server::options()
        .with_setting("log-bin", "binlog")
        .with_setting("server-id", "1")
        .start()
        .unwrap();
    let url = server.database().unwrap();
    assert_eq!(refused(&url).await, None);
    for (setting, unsafe_value, safe_value) in [
        ("innodb_flush_log_at_trx_commit", "2", "1"),
        ("innodb_flush_log_at_trx_commit", "0", "1"),
        ("sync_binlog", "0", "1"),
    ] {
        server.execute(&format!("SET GLOBAL {setting} = {unsafe_value}")).unwrap();
        assert_eq!(refused(&url).await, Some(setting));
        server.execute(&format!("SET GLOBAL {setting} = {safe_value}")).unwrap();
    }
    server.execute("SET GLOBAL rpl_semi_sync_master_enabled = ON").unwrap();
    server.execute("SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_COMMIT").unwrap();
    assert_eq!(refused(&url).await, Some("rpl_semi_sync_master_wait_point"));
    server.execute("SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC").unwrap();
    assert_eq!(refused(&url).await, None);
}

#[tokio::test]
async fn without_a_binlog_its_flushing_does_not_matter() {
    let server = mariadb::Server::options().with_setting("sync-binlog", "0").start().unwrap();
    assert_eq!(refused(&server.database().unwrap()).await, None);
}

#[tokio::test]
async fn postgres_must_flush_and_write_full_pages() {
    for setting in ["fsync", "full_page_writes"] {
        let server = postgres::Server::options().with_setting(setting, "off").start().unwrap();
        assert_eq!(refused(&server.database().unwrap()).await, Some(setting));
    }
}

#[tokio::test]
async fn postgres_must_wait_for_its_log_in_this_database() {
    let server = postgres::shared().unwrap();
    let url = server.database().unwrap();
    assert_eq!(refused(&url).await, None);
    let name = url.rsplit('/').next().unwrap();
    for (level, answer) in
        [("off", Some("synchronous_commit")), ("local", None), ("remote_write", None), ("on", None)]
    {
        server.execute(&format!("ALTER DATABASE {name} SET synchronous_commit = {level}")).unwrap();
        assert_eq!(refused(&url).await, answer, "{level}");
    }
}

#[tokio::test]
async fn postgres_with_a_standby_must_wait_for_it() {
    let options = postgres::Server::options().with_setting("synchronous_standby_names", "standby");
    let server = options.with_setting("synchronous_commit", "local").start().unwrap();
    assert_eq!(refused(&server.database().unwrap()).await, Some("synchronous_commit"));
}

#[tokio::test]
async fn sqlite_is_set_as_it_must_be() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(refused(&format!("sqlite:{}", dir.path().join("doorman.db").display())).await, None);
}
