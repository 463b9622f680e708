//! The journal, read from the database itself, and the invariant that all tests end with.

use super::{DEADLINE, World};
use doorman_core::sha256;
use doorman_testkit::recorder::Recorded;
use serde_json::Value;
use sqlx::{Connection as _, Row as _};
use std::collections::BTreeMap;
use std::time::Duration;

/// One committed entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The record: fields as in `doorman_core::record`.
    pub record: Value,
    /// What its pass says; empty for what is no attempt.
    pub claims: Vec<u8>,
}

impl Entry {
    /// A field of the record as text; empty when it is not there.
    pub fn text(&self, field: &str) -> &str {
        self.record[field].as_str().unwrap_or_default()
    }

    pub(super) fn is_attempt(&self) -> bool {
        self.text("kind") == "request" && self.text("decision") == "permit"
    }
}

const ENTRIES: &str = "SELECT record, claims FROM journal ORDER BY id";

macro_rules! read {
    ($connection:ty, $url:expr) => {{
        let mut connection = <$connection>::connect($url).await.unwrap();
        let rows = sqlx::query(ENTRIES).fetch_all(&mut connection).await.unwrap();
        let entries = rows.iter().map(|row| (row.get::<Vec<u8>, _>(0), row.get::<Vec<u8>, _>(1))).collect();
        connection.close().await.unwrap();
        entries
    }};
}

impl World {
    /// Every committed entry in the order of ids.
    pub async fn journal(&self) -> Vec<Entry> {
        let url = self.database_url();
        let rows: Vec<(Vec<u8>, Vec<u8>)> = match url.split(':').next() {
            Some("sqlite") => read!(sqlx::SqliteConnection, url),
            Some("postgres") => read!(sqlx::PgConnection, url),
            _ => read!(sqlx::MySqlConnection, url),
        };
        let entry = |(record, claims): (Vec<u8>, Vec<u8>)| Entry {
            record: serde_json::from_slice(&record).unwrap(),
            claims,
        };
        rows.into_iter().map(entry).collect()
    }

    /// The entries for which `wanted` holds.
    pub async fn entries(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        self.journal().await.into_iter().filter(wanted).collect()
    }

    /// The entry of this id, which must be there.
    pub async fn entry(&self, id: &str) -> Entry {
        let found = self.entries(|entry| entry.text("id") == id).await;
        found.into_iter().next().unwrap_or_else(|| panic!("no entry {id}"))
    }

    /// The outcome of an attempt, waited for: it is written a moment after the answer.
    pub async fn outcome(&self, attempt: &str) -> Entry {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            let found =
                self.entries(|entry| entry.text("kind") == "outcome" && entry.text("attempt") == attempt);
            if let Some(outcome) = found.await.into_iter().next() {
                return outcome;
            }
            assert!(tokio::time::Instant::now() < deadline, "no outcome of {attempt}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Denied requests so far.
    pub async fn denied(&self) -> Vec<Entry> {
        self.entries(|entry| entry.text("kind") == "request" && entry.text("decision") == "deny").await
    }

    /// A connection to a world's SQLite database, for what an application should not be able to do.
    pub async fn sqlite(&self) -> sqlx::SqliteConnection {
        sqlx::SqliteConnection::connect(self.database_url()).await.unwrap()
    }

    /// Attempts of ended sessions that were committed at or after the epoch of the revocation. SQLite only.
    pub async fn attempts_after_revocation(&self) -> usize {
        let sql = "SELECT r.session, j.record FROM revocation r JOIN statement s ON s.epoch >= r.epoch \
                   JOIN journal j ON j.writer = s.writer AND j.id BETWEEN s.first_id AND s.last_id";
        let rows = sqlx::query(sql).fetch_all(&mut self.sqlite().await).await.unwrap();
        let is_late = |row: &sqlx::sqlite::SqliteRow| {
            let record: Value = serde_json::from_slice(row.get(1)).unwrap();
            let session = hex::encode(row.get::<Vec<u8>, _>(0));
            record["kind"] == "request" && record["decision"] == "permit" && record["session"] == *session
        };
        rows.into_iter().filter(is_late).count()
    }

    /// I1: each hit at a recorder has a committed attempt of its own with equal method, path, query, instance and body.
    ///
    /// That the attempt came first is shown by the request itself, which names it.
    pub async fn assert_every_hit_was_written_down(&self) {
        let journal = self.journal().await;
        let attempts: BTreeMap<&str, &Entry> = journal
            .iter()
            .filter(|entry| entry.is_attempt())
            .map(|entry| (entry.text("id"), entry))
            .collect();
        let outcomes: BTreeMap<&str, &Entry> = journal
            .iter()
            .filter(|entry| entry.text("kind") == "outcome")
            .map(|entry| (entry.text("attempt"), entry))
            .collect();
        let mut seen = BTreeMap::new();
        for ((region, instance), recorder) in &self.recorders {
            for hit in recorder.requests() {
                // A connection that was closed before anything came is no hit.
                if hit.bytes.is_empty() {
                    continue;
                }
                let id = hit.head.field("x-request-id").unwrap_or_default().to_owned();
                let Some(attempt) = attempts.get(id.as_str()) else {
                    panic!(
                        "{instance} got what was not written down: {}",
                        String::from_utf8_lossy(&hit.bytes)
                    );
                };
                assert_eq!(seen.insert(id.clone(), instance), None, "attempt {id} was sent twice");
                assert_eq!(attempt.text("region"), region, "{attempt:?}");
                assert_eq!(attempt.text("service"), "target", "{attempt:?}");
                assert!(["any", instance].contains(&attempt.text("instance")), "{instance}: {attempt:?}");
                assert_eq!(attempt.text("method"), hit.method(), "{attempt:?}");
                assert_eq!(sent_target(attempt), hit.target(), "{attempt:?}");
                assert!(!attempt.claims.is_empty(), "{attempt:?}");
                if hit.complete {
                    assert_body_is_the_one(attempt, outcomes.get(id.as_str()).copied(), &hit);
                }
            }
        }
    }
}

fn sent_target(attempt: &Entry) -> String {
    match attempt.record["query"].as_str() {
        None => attempt.text("path").to_owned(),
        Some(query) => format!("{}?{query}", attempt.text("path")),
    }
}

/// The claims end with what binds the body: whole or prefix, its length, its SHA-256. A whole streamed body's digest is
/// in the outcome.
fn assert_body_is_the_one(attempt: &Entry, outcome: Option<&Entry>, hit: &Recorded) {
    let (_, bound) = attempt.claims.split_at(attempt.claims.len() - 41);
    let length = u64::from_be_bytes(bound[1..9].try_into().unwrap()) as usize;
    let is_prefix = bound[0] == 1;
    assert!(hit.body.len() == length || is_prefix && hit.body.len() > length, "{attempt:?}");
    assert_eq!(bound[9..], sha256(&hit.body[..length]), "{attempt:?}");
    for entry in [Some(attempt), outcome].into_iter().flatten() {
        let field = if entry.is_attempt() { "body_sha256" } else { "request_sha256" };
        if let Some(written) = entry.record[field].as_str() {
            assert_eq!(written, hex::encode(sha256(&hit.body)), "{entry:?}");
        }
    }
}
