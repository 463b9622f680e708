//! What replicas coordinate by: leases, and small stored values.

use crate::driver::args;
use crate::{Database, StoreError};

impl Database {
    /// Takes the lease `name` for `holder` until `now_ms + ttl_ms`, or renews it in its second half; `false` while another
    /// holds it. Asking often costs a read.
    pub async fn try_lease(
        &self,
        name: &str,
        holder: &str,
        now_ms: u64,
        ttl_ms: u64,
    ) -> Result<bool, StoreError> {
        let held = "SELECT until_ms FROM lease WHERE name = ? AND holder = ?";
        let held = self.pool.row(held, args![name, holder]).await?.map(|row| row.int(0)).transpose()?;
        if held.is_some_and(|until| until.cast_unsigned() > now_ms.saturating_add(ttl_ms / 2)) {
            return Ok(true);
        }
        let until = now_ms.saturating_add(ttl_ms);
        let sql =
            "UPDATE lease SET holder = ?, until_ms = ? WHERE name = ? AND (holder = ? OR until_ms <= ?)";
        if self.pool.execute(sql, args![holder, until, name, holder, now_ms]).await? > 0 {
            return Ok(true);
        }
        let sql = self.dialect().insert_missing("INTO lease (name, holder, until_ms) VALUES (?, ?, ?)");
        Ok(self.pool.execute(sql, args![name, holder, until]).await? > 0)
    }

    /// Gives the lease back, if `holder` has it.
    pub async fn release_lease(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        self.pool
            .execute("DELETE FROM lease WHERE name = ? AND holder = ?", args![name, holder])
            .await
            .map(drop)
    }

    /// The value stored under `name`.
    pub async fn stored_value(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.pool.row("SELECT value FROM stored_value WHERE name = ?", args![name]).await?;
        row.map(|row| row.bytes(0)).transpose()
    }

    /// Stores `value` under `name`, in place of what was there.
    pub async fn store_value(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        let sql = "UPDATE stored_value SET value = ? WHERE name = ?";
        if self.pool.execute(sql, args![value, name]).await? > 0 {
            return Ok(());
        }
        let insert = self.dialect().insert_missing("INTO stored_value (name, value) VALUES (?, ?)");
        if self.pool.execute(insert, args![name, value]).await? == 0 {
            // Somebody was faster: the later one wins.
            self.pool.execute(sql, args![value, name]).await?;
        }
        Ok(())
    }

    /// Raises the number stored under `name` to `to`, never lowers it, and returns what it is now: the clock's
    /// high-water mark.
    pub async fn raise_stored_number(&self, name: &str, to: u64) -> Result<u64, StoreError> {
        // Big-endian bytes sort as their numbers do.
        let wanted = to.to_be_bytes();
        let sql = self.dialect().insert_missing("INTO stored_value (name, value) VALUES (?, ?)");
        self.pool.execute(sql, args![name, wanted.as_slice()]).await?;
        let sql = "UPDATE stored_value SET value = ? WHERE name = ? AND value < ?";
        self.pool.execute(sql, args![wanted.as_slice(), name, wanted.as_slice()]).await?;
        let stored = self.stored_value(name).await?.and_then(|bytes| bytes.try_into().ok());
        stored.map(u64::from_be_bytes).ok_or(StoreError::Corrupt("not a number"))
    }
}
