//! Service accounts and their secrets' hashes.

use crate::driver::{Row, args};
use crate::sessions::{decode_list, encode_list};
use crate::{Database, StoreError};
use std::collections::HashMap;

/// One secret of a service account. Its hash stays out of logs: no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// Tells it from the other.
    pub id: [u8; 16],
    /// argon2id, in PHC form.
    pub hash: String,
    /// When it was made.
    pub created_ms: u64,
    /// When it ends, if it does.
    pub expires_ms: Option<u64>,
}

/// One service account. Times are milliseconds since the Unix epoch.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceAccountRow {
    /// Its name, without `service:`.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Who answers for it: `user:erin`.
    pub owner: String,
    /// Networks that it may come from, in CIDR form; empty means any.
    pub networks: Vec<String>,
    /// Whether it is switched off.
    pub disabled: bool,
    /// At most two, oldest first, so that one can be replaced while the other is in use.
    pub secrets: Vec<SecretRow>,
    /// When it was last used, roughly.
    pub last_used_ms: Option<u64>,
    /// When it was made.
    pub created_ms: u64,
}

/// How many secrets an account keeps.
const MAX_SECRETS: usize = 2;
const COLUMNS: &str = "name, description, owner, networks, disabled, last_used_ms, created_ms";

impl Database {
    /// Adds an account with its secrets; [`StoreError::Conflict`] when the name is taken.
    pub async fn insert_service_account(&self, row: &ServiceAccountRow) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let args = args![
            &row.name,
            &row.description,
            &row.owner,
            encode_list(&row.networks),
            row.disabled,
            row.last_used_ms,
            row.created_ms,
        ];
        tx.execute(format!("INSERT INTO service_account ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"), args)
            .await?;
        for secret in &row.secrets {
            insert_secret(&mut tx, &row.name, secret).await?;
        }
        tx.commit().await
    }

    /// The account of that name.
    pub async fn service_account(&self, name: &str) -> Result<Option<ServiceAccountRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM service_account WHERE name = ?");
        let Some(row) = self.pool.row(sql, args![name]).await? else { return Ok(None) };
        let sql = "SELECT account, id, hash, created_ms, expires_ms FROM service_secret WHERE account = ? \
             ORDER BY created_ms, id";
        let mut secrets = group_secrets(&self.pool.rows(sql, args![name]).await?)?;
        read(&row, &mut secrets).map(Some)
    }

    /// A page of accounts by name, and the cursor of the next.
    pub async fn service_accounts_page(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<ServiceAccountRow>, Option<String>), StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM service_account WHERE name > ? ORDER BY name LIMIT ?");
        let rows = self.pool.rows(sql, args![cursor.unwrap_or_default(), i64::from(limit) + 1]).await?;
        let names = rows.iter().take(limit as usize).map(|row| row.text(0)).collect::<Result<Vec<_>, _>>()?;
        let (Some(first), Some(last)) = (names.first(), names.last()) else { return Ok((Vec::new(), None)) };
        let sql = "SELECT account, id, hash, created_ms, expires_ms FROM service_secret \
             WHERE account >= ? AND account <= ? ORDER BY created_ms, id";
        let mut secrets = group_secrets(&self.pool.rows(sql, args![first, last]).await?)?;
        let next = (rows.len() > limit as usize).then(|| last.clone());
        let page =
            rows.iter().take(limit as usize).map(|row| read(row, &mut secrets)).collect::<Result<_, _>>()?;
        Ok((page, next))
    }

    /// Replaces what may change of an account: description, owner, networks, `disabled`. Whether it exists.
    pub async fn update_service_account(&self, row: &ServiceAccountRow) -> Result<bool, StoreError> {
        let sql = "UPDATE service_account SET description = ?, owner = ?, networks = ?, disabled = ? WHERE name = ?";
        let args = args![&row.description, &row.owner, encode_list(&row.networks), row.disabled, &row.name];
        Ok(self.pool.execute(sql, args).await? > 0)
    }

    /// Adds a secret. The newest of the others stays, until `others_expire_ms` at the latest; older ones go. Whether
    /// the account exists.
    pub async fn rotate_service_secret(
        &self,
        account: &str,
        secret: &SecretRow,
        others_expire_ms: u64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let sql = format!("SELECT name FROM service_account WHERE name = ?{}", tx.dialect().for_update());
        if tx.row(sql, args![account]).await?.is_none() {
            return Ok(false);
        }
        let sql = "SELECT id FROM service_secret WHERE account = ? ORDER BY created_ms DESC, id DESC";
        for (index, row) in tx.rows(sql, args![account]).await?.iter().enumerate() {
            let id: [u8; 16] = row.array(0)?;
            if index + 1 < MAX_SECRETS {
                let sql = "UPDATE service_secret SET expires_ms = ? WHERE id = ? AND (expires_ms IS NULL OR expires_ms > ?)";
                tx.execute(sql, args![others_expire_ms, id, others_expire_ms]).await?;
            } else {
                tx.execute("DELETE FROM service_secret WHERE id = ?", args![id]).await?;
            }
        }
        insert_secret(&mut tx, account, secret).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Notes when an account was last used; never sets the time back.
    pub async fn touch_service_account(&self, name: &str, at_ms: u64) -> Result<(), StoreError> {
        let sql = "UPDATE service_account SET last_used_ms = ? WHERE name = ? AND (last_used_ms IS NULL OR last_used_ms < ?)";
        self.pool.execute(sql, args![at_ms, name, at_ms]).await.map(drop)
    }

    /// Deletes an account and its secrets. Whether it existed.
    pub async fn delete_service_account(&self, name: &str) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let existed = tx.execute("DELETE FROM service_account WHERE name = ?", args![name]).await? > 0;
        tx.execute("DELETE FROM service_secret WHERE account = ?", args![name]).await?;
        tx.commit().await?;
        Ok(existed)
    }
}

async fn insert_secret(
    tx: &mut crate::driver::Tx,
    account: &str,
    secret: &SecretRow,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO service_secret (id, account, hash, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?)";
    let args = args![secret.id, account, &secret.hash, secret.created_ms, secret.expires_ms];
    tx.execute(sql, args).await.map(drop)
}

fn group_secrets(rows: &[Row]) -> Result<HashMap<String, Vec<SecretRow>>, StoreError> {
    let mut by_account: HashMap<String, Vec<SecretRow>> = HashMap::new();
    for row in rows {
        let secret = SecretRow {
            id: row.array(1)?,
            hash: row.text(2)?,
            created_ms: row.uint(3)?,
            expires_ms: row.opt_uint(4)?,
        };
        by_account.entry(row.text(0)?).or_default().push(secret);
    }
    Ok(by_account)
}

fn read(row: &Row, secrets: &mut HashMap<String, Vec<SecretRow>>) -> Result<ServiceAccountRow, StoreError> {
    let name = row.text(0)?;
    Ok(ServiceAccountRow {
        secrets: secrets.remove(&name).unwrap_or_default(),
        name,
        description: row.text(1)?,
        owner: row.text(2)?,
        networks: decode_list(&row.text(3)?)?,
        disabled: row.bool(4)?,
        last_used_ms: row.opt_uint(5)?,
        created_ms: row.uint(6)?,
    })
}
