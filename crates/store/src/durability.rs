//! Refuses a database that acknowledges commits before they are safe.

use crate::driver::{Pool, args};
use crate::{Database, StoreError};
use std::collections::HashMap;

impl Database {
    /// Refuses with [`StoreError::Unsafe`] a server set so that an acknowledged commit can be lost by a crash, or, with
    /// synchronous replication, by a failover. Worth repeating: a server's settings can change while it runs.
    pub async fn check_durability(&self) -> Result<(), StoreError> {
        match &self.pool {
            Pool::Sqlite(_) => self.check_sqlite().await,
            Pool::MySql(_) => self.check_mysql().await,
            Pool::Postgres(_) => self.check_postgres().await,
        }
    }

    /// We set these ourselves; a file system without shared memory would refuse WAL silently.
    async fn check_sqlite(&self) -> Result<(), StoreError> {
        let one = async |pragma| self.pool.row(pragma, &[]).await;
        let mode = one("PRAGMA journal_mode").await?.map(|row| row.text(0)).transpose()?.unwrap_or_default();
        require("journal_mode", mode, "wal", |value| value == "wal")?;
        let synchronous =
            one("PRAGMA synchronous").await?.map(|row| row.int(0)).transpose()?.unwrap_or_default();
        require("synchronous", synchronous.to_string(), "2", |value| value == "2" || value == "3")
    }

    async fn check_mysql(&self) -> Result<(), StoreError> {
        let variables = self
            .named(
                "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('innodb_flush_log_at_trx_commit', \
             'innodb_flush_method', 'log_bin', 'sync_binlog', \
             'rpl_semi_sync_master_enabled', 'rpl_semi_sync_master_wait_point', \
             'rpl_semi_sync_source_enabled', 'rpl_semi_sync_source_wait_point')",
            )
            .await?;
        let status = self
            .named(
                "SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_redo_log_enabled', \
             'Rpl_semi_sync_master_status', 'Rpl_semi_sync_source_status')",
            )
            .await?;
        let check = |from: &HashMap<String, String>, setting: &'static str, wanted: &'static str| {
            let key = setting.to_ascii_lowercase();
            from.get(&key).map_or(Ok(()), |value| {
                require(setting, value.clone(), wanted, |v| v.eq_ignore_ascii_case(wanted))
            })
        };
        let is_on =
            |setting| variables.get(setting).is_some_and(|value: &String| value == "ON" || value == "1");
        check(&variables, "innodb_flush_log_at_trx_commit", "1")?;
        if let Some(method) = variables.get("innodb_flush_method") {
            require("innodb_flush_method", method.clone(), "one that flushes", |value| {
                !value.eq_ignore_ascii_case("nosync")
            })?;
        }
        check(&status, "Innodb_redo_log_enabled", "ON")?;
        if is_on("log_bin") {
            check(&variables, "sync_binlog", "1")?;
        }
        if is_on("rpl_semi_sync_master_enabled") {
            check(&variables, "rpl_semi_sync_master_wait_point", "AFTER_SYNC")?;
            check(&status, "Rpl_semi_sync_master_status", "ON")?;
        }
        if is_on("rpl_semi_sync_source_enabled") {
            check(&variables, "rpl_semi_sync_source_wait_point", "AFTER_SYNC")?;
            check(&status, "Rpl_semi_sync_source_status", "ON")?;
        }
        Ok(())
    }

    async fn check_postgres(&self) -> Result<(), StoreError> {
        let settings = self
            .named(
                "SELECT name, setting FROM pg_settings WHERE name IN \
             ('fsync', 'synchronous_commit', 'full_page_writes', 'synchronous_standby_names')",
            )
            .await?;
        let of = |setting| settings.get(setting).cloned().unwrap_or_default();
        require("fsync", of("fsync"), "on", |value| value == "on")?;
        require("full_page_writes", of("full_page_writes"), "on", |value| value == "on")?;
        if of("synchronous_standby_names").is_empty() {
            // Without standbys every other level waits for the local flush.
            require("synchronous_commit", of("synchronous_commit"), "on", |value| value != "off")
        } else {
            let is_flushed_there = |value: &str| matches!(value, "on" | "remote_apply");
            require("synchronous_commit", of("synchronous_commit"), "on or remote_apply", is_flushed_there)
        }
    }

    /// Settings by lower-case name.
    async fn named(&self, sql: &'static str) -> Result<HashMap<String, String>, StoreError> {
        let rows = self.pool.rows(sql, args![]).await?;
        rows.iter().map(|row| Ok((row.text(0)?.to_ascii_lowercase(), row.text(1)?))).collect()
    }
}

fn require(
    setting: &'static str,
    value: String,
    wanted: &'static str,
    is_safe: impl FnOnce(&str) -> bool,
) -> Result<(), StoreError> {
    if is_safe(&value) { Ok(()) } else { Err(StoreError::Unsafe { setting, value, wanted }) }
}
