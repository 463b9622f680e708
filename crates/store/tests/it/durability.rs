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
    let server = postgres::Server::start().unwrap();
    let url = server.database().unwrap();
    assert_eq!(refused(&url).await, None);
    for (setting, unsafe_value) in
        [("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off")]
    {
        server.execute(&format!("ALTER SYSTEM SET {setting} = {unsafe_value}")).unwrap();
        server.execute("SELECT pg_reload_conf()").unwrap();
        assert!(eventually(&url, Some(setting)).await, "{setting}");
        server.execute(&format!("ALTER SYSTEM RESET {setting}")).unwrap();
        server.execute("SELECT pg_reload_conf()").unwrap();
        assert!(eventually(&url, None).await, "{setting}");
    }
    server.execute("ALTER SYSTEM SET synchronous_commit = local").unwrap();
    server.execute("SELECT pg_reload_conf()").unwrap();
    assert!(eventually(&url, None).await);
    server.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'").unwrap();
    server.execute("SELECT pg_reload_conf()").unwrap();
    assert!(eventually(&url, Some("synchronous_commit")).await);
}

/// A reload reaches new connections a little later.
async fn eventually(url: &str, wanted: Option<&str>) -> bool {
    for _ in 0..100 {
        if refused(url).await == wanted {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    false
}
