//! Chunks: items that one replica works on under a lease.
//!
//! A claim gives each of its items a new fencing number, which their attempts' commits compare. Whoever held the chunk
//! before can commit nothing more for it; a commit of theirs that is under way either comes first, and the claim then
//! sees its items as `sending`, or is refused.

use crate::driver::{Row, Tx, Value, args, retrying};
use crate::journal::{ItemEnd, from_stored, stored};
use crate::{Database, StoreError};
use doorman_core::rollout::{Counts, ItemState};

/// The low bits of a fencing number count the claims of one chunk; the rest names the chunk.
const CLAIM_BITS: u32 = 20;

/// What a claim got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// Its first item, which names it within its run.
    pub first_item: u64,
    /// How many items it has.
    pub size: u64,
    /// The fencing number of this claim. The part without its low 20 bits names the chunk, over all runs; those count
    /// its claims.
    pub fence: u64,
    /// Its items that are neither ended nor unknown. Those that were `sending` belong to a claim that is over.
    pub items: Vec<ChunkItem>,
}

/// An item of a claimed chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChunkItem {
    /// Its number.
    pub item: u64,
    /// Pending or sending.
    pub state: ItemState,
    /// How many attempts were made.
    pub attempts: u32,
    /// The last attempt.
    pub audit: Option<[u8; 16]>,
    /// Not to be sent before this time.
    pub due_ms: Option<u64>,
}

/// A replica's part in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HolderShare {
    /// How many replicas hold chunks of it, this one included whether it does or not.
    pub holders: u32,
    /// This one's place among them, from 0.
    pub place: u32,
}

impl Database {
    /// Claims a chunk: one whose lease has lapsed, or else the next `size` released items, none when it is 0. Of a run that
    /// is not `running` only a chunk with items that its last holder was sending. `lease` is a random number that no other chunk has.
    pub async fn claim_chunk(
        &self,
        run: &[u8; 16],
        holder: &str,
        (now_ms, until_ms): (u64, u64),
        size: u64,
        lease: u64,
    ) -> Result<Option<Chunk>, StoreError> {
        retrying!(self.try_claim(run, holder, (now_ms, until_ms), size, lease))
    }

    async fn try_claim(
        &self,
        run: &[u8; 16],
        holder: &str,
        (now_ms, until_ms): (u64, u64),
        size: u64,
        lease: u64,
    ) -> Result<Option<Chunk>, StoreError> {
        let mut tx = self.pool.begin().await?;
        let sql = format!(
            "SELECT next_item, until_item, state FROM run WHERE id = ? AND is_open = 1{}",
            tx.dialect().for_update()
        );
        let Some(row) = tx.row(sql, args![run]).await? else { return Ok(None) };
        let (next, until) = (row.uint(0)?, row.uint(1)?);
        let is_running = row.text(2)? == "running";
        let size = if is_running { size } else { 0 };
        let which = match is_running {
            true => "",
            false => {
                " AND EXISTS (SELECT 1 FROM run_item i WHERE i.run = run_chunk.run AND i.item >= run_chunk.first_item \
                 AND i.item < run_chunk.first_item + run_chunk.size AND i.state = 1)"
            }
        };
        let sql = format!(
            "SELECT first_item, size, fence FROM run_chunk WHERE run = ? AND is_open = 1 AND until_ms <= ?{which} \
             ORDER BY first_item LIMIT 1"
        );
        if let Some(row) = tx.row(sql, args![run, now_ms]).await? {
            let (first_item, size, fence) = (row.uint(0)?, row.uint(1)?, row.uint(2)? + 1);
            let sql =
                "UPDATE run_chunk SET fence = ?, holder = ?, until_ms = ? WHERE run = ? AND first_item = ?";
            tx.execute(sql, args![fence, holder, until_ms, run, first_item]).await?;
            let end = first_item + size;
            // Waits for commits that are under way, and sees what they did.
            let sql =
                "UPDATE run_item SET fence = ? WHERE run = ? AND item >= ? AND item < ? AND state IN (0, 1)";
            tx.execute(sql, args![fence, run, first_item, end]).await?;
            let sql = "SELECT item, state, attempts, audit, due_ms FROM run_item \
                 WHERE run = ? AND item >= ? AND item < ? AND state IN (0, 1) ORDER BY item";
            let rows = tx.rows(sql, args![run, first_item, end]).await?;
            let items = rows.iter().map(read_item).collect::<Result<_, _>>()?;
            tx.commit().await?;
            return Ok(Some(Chunk { first_item, size, fence, items }));
        }
        let size = size.min(until.saturating_sub(next));
        if size == 0 {
            return Ok(None);
        }
        let fence = lease << CLAIM_BITS | 1;
        tx.execute("UPDATE run SET next_item = ? WHERE id = ?", args![next + size, run]).await?;
        let sql = "INSERT INTO run_chunk (run, first_item, size, is_open, fence, holder, until_ms, pending, sending, \
             done, failed, unknown, skipped) VALUES (?, ?, ?, 1, ?, ?, ?, ?, 0, 0, 0, 0, 0)";
        tx.execute(sql, args![run, next, size, fence, holder, until_ms, size]).await?;
        let mut sql = "INSERT INTO run_item (run, item, state, fence, attempts) VALUES ".to_owned();
        let mut args: Vec<Value<'_>> = Vec::new();
        for item in next..next + size {
            sql.push_str(if item == next { "(?, ?, 0, ?, 0)" } else { ", (?, ?, 0, ?, 0)" });
            args.extend([run.into(), item.into(), fence.into()]);
        }
        tx.execute(sql, &args).await?;
        tx.commit().await?;
        let fresh =
            |item| ChunkItem { item, state: ItemState::Pending, attempts: 0, audit: None, due_ms: None };
        let items = (next..next + size).map(fresh).collect();
        Ok(Some(Chunk { first_item: next, size, fence, items }))
    }

    /// Prolongs the leases of these chunks of a run, named by their first items: those that `holder` still has. What it claimed
    /// and does not know of, since the answer was lost, is left to lapse.
    pub async fn renew_chunks(
        &self,
        run: &[u8; 16],
        holder: &str,
        chunks: &[u64],
        until_ms: u64,
    ) -> Result<Vec<u64>, StoreError> {
        if chunks.is_empty() {
            return Ok(Vec::new());
        }
        let which = format!(
            "run = ? AND is_open = 1 AND holder = ? AND until_ms > 0 AND first_item IN ({})",
            crate::audit::marks(chunks.len())
        );
        let mut args: Vec<Value<'_>> = vec![run.into(), holder.into()];
        args.extend(chunks.iter().map(|first| Value::from(*first)));
        let sql = format!("SELECT first_item FROM run_chunk WHERE {which}");
        let renewed: Vec<Value<'_>> = std::iter::once(until_ms.into()).chain(args.iter().cloned()).collect();
        self.pool.execute(format!("UPDATE run_chunk SET until_ms = ? WHERE {which}"), &renewed).await?;
        self.pool.rows(sql, &args).await?.iter().map(|row| row.uint(0)).collect()
    }

    /// Counts a chunk's items anew, whoever holds it, and closes it when all have ended. With `releases`, the fencing number
    /// of whoever held it, it is given back, to be claimed again at once.
    pub async fn count_chunk(
        &self,
        run: &[u8; 16],
        first_item: u64,
        releases: Option<u64>,
    ) -> Result<Counts, StoreError> {
        retrying!(self.try_count(run, first_item, releases))
    }

    async fn try_count(
        &self,
        run: &[u8; 16],
        first_item: u64,
        releases: Option<u64>,
    ) -> Result<Counts, StoreError> {
        let mut tx = self.pool.begin().await?;
        let counts = count(&mut tx, run, first_item).await?;
        if let Some(fence) = releases {
            let sql = "UPDATE run_chunk SET until_ms = 0 WHERE run = ? AND first_item = ? AND fence = ?";
            tx.execute(sql, args![run, first_item, fence]).await?;
        }
        tx.commit().await?;
        Ok(counts)
    }

    /// Ends an item whose attempt's end became known after nobody waited for it any more, and counts its chunk, in one
    /// transaction. An item that has ended otherwise, or has another attempt by now, is left as it is.
    pub async fn settle_late(&self, end: &ItemEnd) -> Result<(), StoreError> {
        retrying!(self.try_settle_late(end))
    }

    async fn try_settle_late(&self, end: &ItemEnd) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let sql = "SELECT first_item FROM run_chunk WHERE run = ? AND first_item <= ? ORDER BY first_item DESC LIMIT 1";
        let Some(row) = tx.row(sql, args![end.run, end.item]).await? else { return Ok(()) };
        let first_item = row.uint(0)?;
        lock(&mut tx, &end.run, first_item).await?;
        let sql = "UPDATE run_item SET state = ?, status = ?, error = ?, due_ms = NULL \
             WHERE run = ? AND item = ? AND audit = ? AND state IN (1, 4)";
        let args = args![stored(end.state), end.status, end.error.as_deref(), end.run, end.item, end.audit.0];
        tx.execute(sql, args).await?;
        count(&mut tx, &end.run, first_item).await?;
        tx.commit().await
    }

    /// Leaves out what is still pending of a run that was cancelled.
    pub async fn skip_pending(&self, run: &[u8; 16]) -> Result<(), StoreError> {
        let sql = "SELECT first_item, size FROM run_chunk WHERE run = ? AND is_open = 1";
        for row in self.pool.rows(sql, args![run]).await? {
            let (first_item, size) = (row.uint(0)?, row.uint(1)?);
            let sql = "UPDATE run_item SET state = 5 WHERE run = ? AND item >= ? AND item < ? AND state = 0";
            self.pool.execute(sql, args![run, first_item, first_item + size]).await?;
            self.count_chunk(run, first_item, None).await?;
        }
        Ok(())
    }

    /// Opens the failed items of a run again, and the unknown ones too if so wished; how many they were.
    pub async fn reopen_failed(&self, run: &[u8; 16], with_unknown: bool) -> Result<u64, StoreError> {
        let sql = "SELECT first_item FROM run_chunk WHERE run = ? AND (failed > 0 OR unknown > 0) ORDER BY first_item";
        let mut opened = 0;
        for row in self.pool.rows(sql, args![run]).await? {
            let first_item = row.uint(0)?;
            opened += retrying!(self.reopen_chunk(run, first_item, with_unknown))?;
        }
        Ok(opened)
    }

    async fn reopen_chunk(
        &self,
        run: &[u8; 16],
        first_item: u64,
        with_unknown: bool,
    ) -> Result<u64, StoreError> {
        let mut tx = self.pool.begin().await?;
        let Some(end) = lock(&mut tx, run, first_item).await? else { return Ok(0) };
        let sql = "UPDATE run_item SET state = 0, due_ms = NULL WHERE run = ? AND item >= ? AND item < ? AND state = ?";
        let failed = tx.execute(sql, args![run, first_item, end, stored(ItemState::Failed)]).await?;
        let unknown = match with_unknown {
            true => tx.execute(sql, args![run, first_item, end, stored(ItemState::Unknown)]).await?,
            false => 0,
        };
        if failed + unknown > 0 {
            // A chunk that had ended is nobody's: whoever held it last would otherwise prolong it and never look at it.
            let sql = "UPDATE run_chunk SET until_ms = 0 WHERE run = ? AND first_item = ? AND is_open = 0";
            tx.execute(sql, args![run, first_item]).await?;
        }
        count(&mut tx, run, first_item).await?;
        tx.commit().await?;
        Ok(failed + unknown)
    }

    /// How many replicas work on a run, and the place of `holder` among them.
    pub async fn share_of(
        &self,
        run: &[u8; 16],
        holder: &str,
        now_ms: u64,
    ) -> Result<HolderShare, StoreError> {
        let sql = "SELECT DISTINCT holder FROM run_chunk WHERE run = ? AND is_open = 1 AND until_ms > ? AND holder <> ?";
        let rows = self.pool.rows(sql, args![run, now_ms, holder]).await?;
        let others = rows.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, _>>()?;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let place = count(others.iter().filter(|other| other.as_str() < holder).count());
        Ok(HolderShare { holders: count(others.len()) + 1, place })
    }
}

/// Keeps a chunk as it is until the transaction ends; gives the first item behind it, if it is there.
async fn lock(tx: &mut Tx, run: &[u8; 16], first_item: u64) -> Result<Option<u64>, StoreError> {
    let lock = tx.dialect().for_update();
    let sql = format!("SELECT size FROM run_chunk WHERE run = ? AND first_item = ?{lock}");
    tx.row(sql, args![run, first_item]).await?.map(|row| Ok(first_item + row.uint(0)?)).transpose()
}

/// Counts a chunk's items. Of two that count, the second sees what the first saw, or later.
async fn count(tx: &mut Tx, run: &[u8; 16], first_item: u64) -> Result<Counts, StoreError> {
    let Some(end) = lock(tx, run, first_item).await? else { return Ok(Counts::default()) };
    let sql = "SELECT state, COUNT(*) FROM run_item WHERE run = ? AND item >= ? AND item < ? GROUP BY state";
    let mut counts = Counts::default();
    for row in tx.rows(sql, args![run, first_item, end]).await? {
        *counts.get_mut(from_stored(row.int(0)?)?) = row.uint(1)?;
    }
    let Counts { pending, sending, done, failed, unknown, skipped } = counts;
    let is_open = pending + sending > 0;
    let sql = "UPDATE run_chunk SET pending = ?, sending = ?, done = ?, failed = ?, unknown = ?, skipped = ?, \
         is_open = ? WHERE run = ? AND first_item = ?";
    let args = args![pending, sending, done, failed, unknown, skipped, is_open, run, first_item];
    tx.execute(sql, args).await?;
    Ok(counts)
}

fn read_item(row: &Row) -> Result<ChunkItem, StoreError> {
    Ok(ChunkItem {
        item: row.uint(0)?,
        state: from_stored(row.int(1)?)?,
        attempts: u32::try_from(row.uint(2)?).unwrap_or(u32::MAX),
        audit: row.opt_array(3)?,
        due_ms: row.opt_uint(4)?,
    })
}
