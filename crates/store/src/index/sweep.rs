//! Attempts that nobody will settle any more: the sweeper writes their `unknown` outcomes.

use crate::driver::args;
use crate::index::row::OPEN;
use crate::{Database, StoreError};
use doorman_core::id::AuditId;
use doorman_core::statement::WriterId;

/// An attempt without an outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenAttempt {
    /// The attempt.
    pub id: AuditId,
    /// Who committed it.
    pub writer: WriterId,
}

/// How many open attempts are looked at in one go.
const LOOK_AT: i64 = 500;

impl Database {
    /// Attempts without outcome, after `after`, of writers whose lease had lapsed by `now_ms` (or that were closed), in
    /// the order of their ids; and where to go on, `None` at the end. Only what is indexed is seen: let
    /// [`Database::index_step`] catch up first.
    pub async fn attempts_to_sweep(
        &self,
        now_ms: u64,
        after: AuditId,
    ) -> Result<(Vec<OpenAttempt>, Option<AuditId>), StoreError> {
        let lapsed = "SELECT id FROM writer WHERE lease_ms < ?";
        let rows = self.pool.rows(lapsed, args![now_ms]).await?;
        let lapsed =
            rows.iter().map(|row| Ok(WriterId(row.array(0)?))).collect::<Result<Vec<_>, StoreError>>()?;

        let sql = "SELECT id FROM audit_index WHERE outcome = ? AND id > ? ORDER BY id LIMIT ?";
        let rows = self.index.rows(sql, args![OPEN, after.0, LOOK_AT]).await?;
        let ids =
            rows.iter().map(|row| Ok(AuditId(row.array(0)?))).collect::<Result<Vec<_>, StoreError>>()?;
        let next = ids.last().copied().filter(|_| ids.len() == LOOK_AT as usize);
        let mut open = self.writers_of(&ids).await?;
        open.retain(|attempt| lapsed.contains(&attempt.writer));
        open.sort_by_key(|attempt| attempt.id);
        Ok((open, next))
    }

    async fn writers_of(&self, ids: &[AuditId]) -> Result<Vec<OpenAttempt>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT id, writer FROM journal WHERE id IN ({})", crate::audit::marks(ids.len()));
        let rows = self.pool.rows(sql, &crate::audit::id_values(ids)).await?;
        rows.iter()
            .map(|row| Ok(OpenAttempt { id: AuditId(row.array(0)?), writer: WriterId(row.array(1)?) }))
            .collect()
    }
}
