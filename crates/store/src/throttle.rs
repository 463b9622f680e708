//! Login tries over all replicas, so that together they stay below the directory's own lockout threshold.
//!
//! A try is reserved before the bind and counts as a failure until it is settled: however many replicas try at once,
//! no more binds than the limit are under way or have failed within the window.

use crate::driver::{Tx, args, retrying};
use crate::{Database, StoreError};

/// How many tries an account has.
#[derive(Clone, Copy, Debug)]
pub struct ThrottleRule {
    /// How far back failures count.
    pub window_ms: u64,
    /// Failures of one account within the window, from anywhere, after which only trusted addresses may try.
    pub limit: u32,
    /// How long an address is trusted by an account that succeeded from there.
    pub trusted_ms: u64,
    /// Failures of one account within the window, from anywhere, after which trusted addresses may not try either: the
    /// directory never sees more.
    pub trusted_limit: u32,
}

/// One try, about to be made.
#[derive(Clone, Copy, Debug)]
pub struct LoginTry<'a> {
    /// A new random id.
    pub id: [u8; 16],
    /// The account's canonical key, at most 255 bytes; unknown names have one too.
    pub account: &'a str,
    /// The client's address.
    pub address: &'a str,
    /// The time.
    pub now_ms: u64,
}

/// Whether a bind may be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoginVerdict {
    /// It may; [`Database::settle_login`] must tell how it ended.
    Reserved,
    /// It may not, until about this time.
    Refused {
        /// When the oldest failure that counts leaves the window.
        until_ms: u64,
    },
}

/// How a reserved try ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoginEnd {
    /// The directory accepted the password.
    Succeeded,
    /// The directory refused it.
    Failed,
    /// The directory was never asked: the try counts for nothing.
    Withdrawn,
}

/// States of a try in the table.
const OPEN_OR_FAILED: i64 = 0;
const SUCCEEDED: i64 = 1;

impl Database {
    /// Reserves one try for the account, or refuses.
    pub async fn reserve_login(
        &self,
        new: &LoginTry<'_>,
        rule: &ThrottleRule,
    ) -> Result<LoginVerdict, StoreError> {
        retrying!(self.try_reserve(new, rule))
    }

    async fn try_reserve(&self, new: &LoginTry<'_>, rule: &ThrottleRule) -> Result<LoginVerdict, StoreError> {
        let mut tx = self.lock_account(new.account).await?;
        let since = new.now_ms.saturating_sub(rule.window_ms);
        let failures = tx
            .rows(
                "SELECT at_ms, address FROM login_try WHERE account = ? AND at_ms > ? AND state = ? ORDER BY at_ms",
                args![new.account, since, OPEN_OR_FAILED],
            )
            .await?;
        if failures.len() >= rule.limit as usize {
            let is_trusted = tx
                .row(
                    "SELECT 1 FROM login_try WHERE account = ? AND at_ms > ? AND state = ? AND address = ? LIMIT 1",
                    args![new.account, new.now_ms.saturating_sub(rule.trusted_ms), SUCCEEDED, new.address],
                )
                .await?
                .is_some();
            let limit = if is_trusted { rule.trusted_limit.max(rule.limit) } else { rule.limit } as usize;
            if failures.len() >= limit {
                // The try that has to leave the window before the account is below its limit again.
                let leaving = failures.get(failures.len() - limit.max(1).min(failures.len()));
                let at = leaving.map(|row| row.uint(0)).transpose()?.unwrap_or(new.now_ms);
                return Ok(LoginVerdict::Refused { until_ms: at.saturating_add(rule.window_ms) });
            }
        }
        tx.execute(
            "INSERT INTO login_try (id, account, address, at_ms, state) VALUES (?, ?, ?, ?, ?)",
            args![new.id, new.account, new.address, new.now_ms, OPEN_OR_FAILED],
        )
        .await?;
        tx.commit().await?;
        Ok(LoginVerdict::Reserved)
    }

    /// Says how a reserved try ended.
    pub async fn settle_login(&self, id: &[u8; 16], end: LoginEnd) -> Result<(), StoreError> {
        match end {
            // It already counts as one.
            LoginEnd::Failed => Ok(()),
            LoginEnd::Succeeded => self
                .pool
                .execute("UPDATE login_try SET state = ? WHERE id = ?", args![SUCCEEDED, id])
                .await
                .map(drop),
            LoginEnd::Withdrawn => {
                self.pool.execute("DELETE FROM login_try WHERE id = ?", args![id]).await.map(drop)
            }
        }
    }

    /// Forgets failures and successes that no longer count by the rule; how many.
    pub async fn prune_logins(&self, now_ms: u64, rule: &ThrottleRule) -> Result<u64, StoreError> {
        let sql = "DELETE FROM login_try WHERE at_ms <= ? AND state = ?";
        let mut tries = 0;
        for (age_ms, state) in [(rule.window_ms, OPEN_OR_FAILED), (rule.trusted_ms, SUCCEEDED)] {
            tries += self.pool.execute(sql, args![now_ms.saturating_sub(age_ms), state]).await?;
        }
        let sql = "DELETE FROM login_account WHERE NOT EXISTS \
             (SELECT 1 FROM login_try WHERE login_try.account = login_account.account)";
        self.pool.execute(sql, &[]).await?;
        Ok(tries)
    }

    /// A transaction that holds the account's row.
    async fn lock_account(&self, account: &str) -> Result<Tx, StoreError> {
        for _ in 0..10 {
            let mut tx = self.pool.begin().await?;
            let sql =
                format!("SELECT account FROM login_account WHERE account = ?{}", tx.dialect().for_update());
            if tx.row(sql, args![account]).await?.is_some() {
                return Ok(tx);
            }
            drop(tx);
            // In a transaction of its own: an insert that finds the row would keep a lock that others wait for. Pruning
            // may take the row away before the next look.
            let sql = self.dialect().insert_missing("INTO login_account (account) VALUES (?)");
            self.pool.execute(sql, args![account]).await?;
        }
        Err(StoreError::Corrupt("the account's row does not stay"))
    }
}
