//! The journal: batches of entries, committed durably in one transaction each. The one hot path of this crate.
//!
//! A commit is one round trip to each server, a command to MySQL and a function call to Postgres, and prepared inserts
//! on SQLite. The revocation epoch is compared inside the transaction, under its shared lock.

mod marks;
mod mysql;
mod postgres;
mod sqlite;

pub use marks::{ItemEnd, ItemMark};
pub(crate) use marks::{from_stored, stored};

use crate::database::Options;
use crate::driver::{Pool, args};
use crate::{CommitError, Database, StoreError};
use doorman_core::id::AuditId;
use doorman_core::peers::{PeerBook, PeerList};
use doorman_core::statement::WriterId;
use doorman_core::{Digest, sha256};
use sqlx::{ConnectOptions as _, Connection as _, MySqlConnection, PgConnection};

/// One entry of a batch.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Its id; those of one writer strictly increase.
    pub id: AuditId,
    /// What its pass says; empty for what is no attempt.
    pub claims: &'a [u8],
    /// The record's canonical bytes.
    pub record: &'a [u8],
}

/// What one transaction writes: at least one entry.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// Who writes.
    pub writer: WriterId,
    /// The revocation epoch that the batch's credentials were checked under.
    pub epoch: u64,
    /// The statement's number.
    pub number: u64,
    /// The statement's body.
    pub statement: &'a [u8],
    /// How many entries this writer committed before.
    pub first_index: u64,
    /// The entries in the order of their ids, which is that of their leaves.
    pub entries: &'a [Entry<'a>],
    /// Signatures of this writer's earlier statements, by number. Those already stored are passed over.
    pub signatures: &'a [(u64, [u8; 64])],
    /// Items of runs whose attempts are in the batch: they become `sending`, or the batch is not committed.
    pub sending: &'a [(ItemMark, AuditId)],
    /// Items whose outcomes are in the batch.
    pub ended: &'a [ItemEnd],
}

impl Batch<'_> {
    fn first_id(&self) -> AuditId {
        self.entries.first().map(|entry| entry.id).unwrap_or_default()
    }

    fn last_id(&self) -> AuditId {
        self.entries.last().map(|entry| entry.id).unwrap_or_default()
    }

    /// Whether any item of a run is in it. Few batches have any, and the others must pay nothing for it.
    fn moves_items(&self) -> bool {
        !self.sending.is_empty() || !self.ended.is_empty()
    }
}

/// The journal on a connection of its own, which is made anew after any failure.
pub struct Journal {
    database: Database,
    link: Option<Link>,
}

enum Link {
    Sqlite(Box<sqlite::SqliteLink>),
    MySql(MySqlConnection),
    Postgres(PgConnection),
}

/// Why a commit did not end well, before the epoch's history is known.
enum Failure {
    /// The epoch moved or an item has another holder; the transaction is over and the connection in order.
    Guarded,
    NotCommitted(StoreError),
    Unknown(StoreError),
}

impl Journal {
    pub(crate) async fn open(database: Database) -> Result<Self, StoreError> {
        let link = Some(Link::open(&database).await?);
        Ok(Self { database, link })
    }

    /// Writes down a new writer, whose lease lasts `lease_ms` from `now_ms`, and returns the number and hash of every
    /// other known writer's last statement.
    pub async fn register_writer(
        &mut self,
        writer: WriterId,
        now_ms: u64,
        lease_ms: u64,
    ) -> Result<Vec<(WriterId, u64, Digest)>, StoreError> {
        let mut tx = self.database.pool.begin().await?;
        let rows = tx
            .rows(
                "SELECT s.writer, s.number, s.body FROM writer w JOIN statement s ON s.writer = w.id \
                 AND s.number = (SELECT MAX(l.number) FROM statement l WHERE l.writer = w.id)",
                &[],
            )
            .await?;
        let known = rows
            .iter()
            .map(|row| Ok((WriterId(row.array(0)?), row.uint(1)?, sha256(&row.bytes(2)?))))
            .collect::<Result<Vec<_>, StoreError>>()?;
        let lists = tx.rows("SELECT id, peers FROM writer ORDER BY started_ms, id", &[]).await?;
        let (mut book, mut newest) = (PeerBook::default(), None);
        for row in lists {
            let id = WriterId(row.array(0)?);
            newest = Some(id);
            // One that cannot be read is no base for another; verification names it.
            if let Some(list) = PeerList::from_bytes(&row.bytes(1)?) {
                book.insert(id, list);
            }
        }
        let peers = book.describe(newest, &known.iter().map(|(peer, number, _)| (*peer, *number)).collect());
        tx.execute(
            "INSERT INTO writer (id, started_ms, lease_ms, peers) VALUES (?, ?, ?, ?)",
            args![writer.0, now_ms, now_ms.saturating_add(lease_ms), peers.to_bytes()],
        )
        .await?;
        tx.commit().await?;
        Ok(known)
    }

    /// Commits a batch. When it returns `Ok`, the batch is durable; see [`CommitError`] for what else can be.
    ///
    /// On SQLite the calling thread is blocked until then: give the journal a thread of its own.
    ///
    /// A batch of at most [`Database::max_batch_bytes`] fits. Dropping the future in between leaves the batch unknown,
    /// as in [`CommitError::Unknown`].
    pub async fn commit(&mut self, batch: &Batch<'_>) -> Result<(), CommitError> {
        // Taken, so that a connection on which anything went wrong, or whose future was dropped, is never used again.
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::open(&self.database).await.map_err(CommitError::NotCommitted)?,
        };
        let ended = match (&mut link, &self.database.pool) {
            (Link::Sqlite(link), Pool::Sqlite(file)) => {
                let _turn = file.write_turn().await;
                link.commit(batch)
            }
            (Link::MySql(connection), _) => mysql::commit(connection, batch).await,
            (Link::Postgres(connection), _) => postgres::commit(connection, batch).await,
            (Link::Sqlite(_), _) => Err(Failure::NotCommitted(sqlx::Error::PoolClosed.into())),
        };
        match ended {
            Ok(()) => {
                self.link = Some(link);
                Ok(())
            }
            Err(Failure::Guarded) => {
                self.link = Some(link);
                let moved = self.database.revocations_since(batch.epoch).await;
                let (epoch, revoked) = moved.map_err(CommitError::NotCommitted)?;
                if epoch != batch.epoch || batch.sending.is_empty() {
                    return Err(CommitError::EpochMoved { epoch, revoked });
                }
                let lost = self.database.lost_items(batch.sending).await;
                Err(CommitError::ItemsLost(lost.map_err(CommitError::NotCommitted)?))
            }
            Err(Failure::NotCommitted(error)) => Err(CommitError::NotCommitted(error)),
            Err(Failure::Unknown(error)) => Err(CommitError::Unknown(error)),
        }
    }

    /// Stores signatures when no batch comes to carry them.
    pub async fn store_signatures(
        &mut self,
        writer: WriterId,
        signatures: &[(u64, [u8; 64])],
    ) -> Result<(), StoreError> {
        let pool = &self.database.pool;
        let sql = pool
            .dialect()
            .insert_missing("INTO statement_signature (writer, number, signature) VALUES (?, ?, ?)");
        let mut tx = pool.begin().await?;
        for (number, signature) in signatures {
            tx.execute(sql.clone(), args![writer.0, *number, signature.as_slice()]).await?;
        }
        tx.commit().await
    }

    /// Says that the writer lives, until `now_ms + lease_ms`.
    pub async fn renew_lease(
        &mut self,
        writer: WriterId,
        now_ms: u64,
        lease_ms: u64,
    ) -> Result<(), StoreError> {
        let until = now_ms.saturating_add(lease_ms);
        self.database
            .pool
            .execute("UPDATE writer SET lease_ms = ? WHERE id = ?", args![until, writer.0])
            .await?;
        Ok(())
    }

    /// Says that the writer will write no more.
    pub async fn close_writer(&mut self, writer: WriterId, now_ms: u64) -> Result<(), StoreError> {
        let sql = "UPDATE writer SET closed_ms = ?, lease_ms = ? WHERE id = ?";
        self.database.pool.execute(sql, args![now_ms, now_ms, writer.0]).await?;
        Ok(())
    }
}

impl Link {
    async fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(match &*database.options {
            Options::Sqlite(options) => {
                Self::Sqlite(Box::new(sqlite::SqliteLink::open(options.get_filename())?))
            }
            Options::MySql(options) => Self::MySql(mysql::open(options).await?),
            Options::Postgres(options) => Self::Postgres(options.connect().await?),
        })
    }
}

impl Database {
    /// Whether the batch that ended [`CommitError::Unknown`] is in the journal. Waits for its transaction to end when
    /// that is still under way.
    ///
    /// `false` is not for ever: a command that is still on its way to the server may come after. It then takes the
    /// batch's number, so that whatever the writer commits under that number fails, and asking again gives `true`.
    pub async fn resolve(&self, writer: WriterId, number: u64) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        // An insert waits for another of the same key to end; a SELECT would not. It is rolled back.
        let probe = tx
            .execute(
                "INSERT INTO statement (writer, number, epoch, body, first_index, count, first_id, last_id) \
                 VALUES (?, ?, 0, ?, 0, 0, ?, ?)",
                args![writer.0, number, [].as_slice(), [0; 16], [0; 16]],
            )
            .await;
        match probe {
            Ok(_) => Ok(false),
            Err(StoreError::Conflict) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// How many bytes of claims and records one batch can hold, with room for everything around them.
    pub async fn max_batch_bytes(&self) -> Result<usize, StoreError> {
        /// Far below what SQLite and Postgres can do, and more than anyone should put into one transaction.
        const PLENTY: usize = 64 << 20;
        let Pool::MySql(_) = &self.pool else { return Ok(PLENTY) };
        let row = self.pool.row("SELECT CAST(@@max_allowed_packet AS SIGNED)", &[]).await?;
        let packet = row.map(|row| row.uint(0)).transpose()?.unwrap_or_default();
        Ok(mysql::room_in(usize::try_from(packet).unwrap_or(usize::MAX)).min(PLENTY))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // A server would otherwise report an aborted connection; nobody waits for the farewell.
        if let (Some(link), Ok(runtime)) = (self.link.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                let _ = match link {
                    Link::Sqlite(_) => Ok(()),
                    Link::MySql(connection) => connection.close().await,
                    Link::Postgres(connection) => connection.close().await,
                };
            });
        }
    }
}
