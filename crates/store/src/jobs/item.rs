//! Items of runs: counted, listed, and settled where nothing was sent.

use crate::driver::{Row, Value, args};
use crate::journal::{ItemEnd, from_stored, stored};
use crate::{Database, StoreError};
use doorman_core::id::AuditId;
use doorman_core::rollout::{Counts, ItemState};

/// One item that was claimed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Its number.
    pub item: u64,
    /// Where it stands.
    pub state: ItemState,
    /// How many attempts were made.
    pub attempts: u64,
    /// The last attempt.
    pub audit: Option<[u8; 16]>,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// What went wrong, in short.
    pub error: Option<String>,
}

/// Which items of a run to list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ItemFilter {
    /// Those in this state.
    pub state: Option<ItemState>,
    /// Those with this number or a higher one.
    pub from: u64,
    /// At most this many.
    pub limit: u32,
}

/// Items that a search by state looks at in one query; a chunk has fewer.
const LOOK_AT: u64 = 5_000;

impl Database {
    /// Counts of the items from `from` up to, but not, `until`. Both must be bounds of chunks, as those of waves are.
    pub async fn count_items(&self, run: &[u8; 16], from: u64, until: u64) -> Result<Counts, StoreError> {
        // Sums are DECIMAL on MySQL and NUMERIC on Postgres, unless they are cast.
        let sum = match self.dialect() {
            crate::Dialect::MySql => "CAST(COALESCE(SUM(?), 0) AS SIGNED)",
            crate::Dialect::Sqlite | crate::Dialect::Postgres => "CAST(COALESCE(SUM(?), 0) AS BIGINT)",
        };
        let sums =
            ["pending", "sending", "done", "failed", "unknown", "skipped"].map(|c| sum.replace('?', c));
        let sql = format!(
            "SELECT {} FROM run_chunk WHERE run = ? AND first_item >= ? AND first_item < ?",
            sums.join(", ")
        );
        let row = self.pool.row(sql, args![run, from, until]).await?;
        let row = row.ok_or(StoreError::Corrupt("no sum"))?;
        Ok(Counts {
            pending: row.uint(0)?,
            sending: row.uint(1)?,
            done: row.uint(2)?,
            failed: row.uint(3)?,
            unknown: row.uint(4)?,
            skipped: row.uint(5)?,
        })
    }

    /// Claimed items in the order of their numbers.
    pub async fn items_page(&self, run: &[u8; 16], filter: &ItemFilter) -> Result<Vec<Item>, StoreError> {
        let limit = filter.limit as usize;
        let Some(state) = filter.state else {
            return self
                .items_between(run, (filter.from, i64::MAX.cast_unsigned()), None, filter.limit)
                .await;
        };
        let mut found = Vec::new();
        let mut from = filter.from;
        // Only chunks that have such items are looked at; one that is being worked on may have them since its last count.
        let sql = format!(
            "SELECT first_item, size FROM run_chunk WHERE run = ? AND (is_open = 1 OR {} > 0) \
             AND first_item + size > ? ORDER BY first_item LIMIT 100",
            state.as_str()
        );
        while found.len() < limit {
            let chunks = self.pool.rows(sql.clone(), args![run, from]).await?;
            let mut stretches: Vec<(u64, u64)> = Vec::new();
            for chunk in &chunks {
                let (first, end) = (chunk.uint(0)?, chunk.uint(0)? + chunk.uint(1)?);
                match stretches.last_mut() {
                    Some((begin, last)) if *last == first && end - *begin <= LOOK_AT => *last = end,
                    _ => stretches.push((first, end)),
                }
            }
            let Some((_, last)) = stretches.last().copied() else { break };
            for (first, end) in stretches {
                let room = u32::try_from(limit - found.len()).unwrap_or(0);
                if room == 0 {
                    break;
                }
                found.extend(self.items_between(run, (first.max(from), end), Some(state), room).await?);
            }
            from = last;
        }
        Ok(found)
    }

    async fn items_between(
        &self,
        run: &[u8; 16],
        (from, until): (u64, u64),
        state: Option<ItemState>,
        limit: u32,
    ) -> Result<Vec<Item>, StoreError> {
        let mut sql = "SELECT item, state, attempts, audit, status, error FROM run_item \
             WHERE run = ? AND item >= ? AND item < ?"
            .to_owned();
        let mut args: Vec<Value<'_>> = vec![run.into(), from.into(), until.into()];
        if let Some(state) = state {
            sql.push_str(" AND state = ?");
            args.push(stored(state).into());
        }
        sql.push_str(" ORDER BY item LIMIT ?");
        args.push(limit.into());
        self.pool.rows(sql, &args).await?.iter().map(read).collect()
    }

    /// One claimed item, and the fencing number that it is under.
    pub async fn item_fence(&self, run: &[u8; 16], item: u64) -> Result<Option<(Item, u64)>, StoreError> {
        let sql = "SELECT item, state, attempts, audit, status, error, fence FROM run_item WHERE run = ? AND item = ?";
        let row = self.pool.row(sql, args![run, item]).await?;
        row.map(|row| Ok((read(&row)?, row.uint(6)?))).transpose()
    }

    /// Ends items of which nothing was sent, or makes them pending again, if they are still under this fence.
    ///
    /// Their `audit` is the denial's, if there is one; of a `sending` item it must be the attempt that was not sent.
    pub async fn settle_items(&self, fence: u64, ends: &[ItemEnd]) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let sql = "UPDATE run_item SET state = ?, status = ?, error = ?, due_ms = ?, audit = COALESCE(?, audit), \
             attempts = attempts + ? WHERE run = ? AND item = ? AND fence = ? AND state IN (0, 1)";
        for end in ends {
            let audit = (end.audit != AuditId::default()).then_some(end.audit.0);
            let is_attempt = end.state == ItemState::Failed;
            let args = args![
                stored(end.state),
                end.status,
                end.error.as_deref(),
                end.due_ms,
                audit,
                is_attempt,
                end.run,
                end.item,
                fence
            ];
            tx.execute(sql, args).await?;
        }
        tx.commit().await
    }
}

fn read(row: &Row) -> Result<Item, StoreError> {
    Ok(Item {
        item: row.uint(0)?,
        state: from_stored(row.int(1)?)?,
        attempts: row.uint(2)?,
        audit: row.opt_array(3)?,
        status: row.opt_int(4)?.and_then(|status| u16::try_from(status).ok()),
        error: row.opt_text(5)?,
    })
}
