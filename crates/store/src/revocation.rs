//! Revoked sessions, by epoch. No batch that was checked before a revocation commits after it.

use crate::dialect::{Dialect, EPOCH_LOCK};
use crate::driver::{args, retrying};
use crate::{Database, StoreError};

impl Database {
    /// Revokes sessions and returns the new epoch. When it returns, every batch in the journal was checked either
    /// before, and is committed, or knows of it.
    pub async fn revoke_sessions(&self, sessions: &[[u8; 16]], now_ms: u64) -> Result<u64, StoreError> {
        retrying!(self.try_revoke(sessions, now_ms))
    }

    async fn try_revoke(&self, sessions: &[[u8; 16]], now_ms: u64) -> Result<u64, StoreError> {
        let mut tx = self.pool.begin().await?;
        if tx.dialect() == Dialect::Postgres {
            tx.rows(format!("SELECT pg_advisory_xact_lock({EPOCH_LOCK})"), &[]).await?;
        }
        // On MySQL this is the exclusive lock; SQLite has had it since BEGIN IMMEDIATE.
        tx.execute("UPDATE revocation_epoch SET epoch = epoch + 1", &[]).await?;
        let row = tx.row("SELECT epoch FROM revocation_epoch", &[]).await?;
        let epoch = row.ok_or(StoreError::Corrupt("no revocation epoch"))?.uint(0)?;
        let sql = tx.dialect().insert_missing("INTO revocation (epoch, session, at_ms) VALUES (?, ?, ?)");
        for session in sessions {
            tx.execute(sql.clone(), args![epoch, session, now_ms]).await?;
        }
        let sql = "UPDATE session SET revoked_ms = ? WHERE id = ? AND revoked_ms IS NULL";
        for session in sessions {
            tx.execute(sql, args![now_ms, session]).await?;
        }
        tx.commit().await?;
        Ok(epoch)
    }

    /// The epoch now, and the sessions revoked after `epoch`.
    pub async fn revocations_since(&self, epoch: u64) -> Result<(u64, Vec<[u8; 16]>), StoreError> {
        // The epoch first: a revocation that comes in between is then in the list, and seen again the next time.
        let row = self.pool.row("SELECT epoch FROM revocation_epoch", &[]).await?;
        let now = row.ok_or(StoreError::Corrupt("no revocation epoch"))?.uint(0)?;
        let rows = self
            .pool
            .rows("SELECT session FROM revocation WHERE epoch > ? ORDER BY epoch", args![epoch])
            .await?;
        let sessions = rows.iter().map(|row| row.array(0)).collect::<Result<_, _>>()?;
        Ok((now, sessions))
    }

    /// Forgets revocations before `before_ms`: those of sessions that have expired since.
    pub async fn prune_revocations(&self, before_ms: u64) -> Result<u64, StoreError> {
        self.pool.execute("DELETE FROM revocation WHERE at_ms < ?", args![before_ms]).await
    }
}
