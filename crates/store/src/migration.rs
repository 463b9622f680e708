//! The one numbered list of migrations, and how it is rendered for a dialect.
//!
//! A file in `migrations/` is plain SQL with words in braces for what the dialects name differently. A line
//! `--- sqlite`, `--- mysql` or `--- postgres` begins a part for that database alone, `--- all` ends it, and
//! `--- append-only TABLE` forbids UPDATE and DELETE. A released file is never changed.

use crate::dialect::Dialect;
use sqlx::AssertSqlSafe;
use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Where tables live on SQLite, which locks a whole file for one writer. Servers keep all in one database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The journal and everything that must not be lost.
    Main,
    /// The audit index, derived from the journal.
    Index,
}

const MIGRATIONS: &[(i64, &str, Part, &str)] = &[
    (1, "journal", Part::Main, include_str!("../migrations/0001_journal.sql")),
    (2, "identity", Part::Main, include_str!("../migrations/0002_identity.sql")),
    (3, "audit_index", Part::Index, include_str!("../migrations/0003_audit_index.sql")),
    (4, "receipts", Part::Main, include_str!("../migrations/0004_receipts.sql")),
    (5, "collections", Part::Main, include_str!("../migrations/0005_collections.sql")),
    (6, "jobs", Part::Main, include_str!("../migrations/0006_jobs.sql")),
    (7, "retention", Part::Main, include_str!("../migrations/0007_retention.sql")),
    (8, "receipt_retention", Part::Main, include_str!("../migrations/0008_receipt_retention.sql")),
];

/// The migrations of `parts` for `dialect`.
pub(crate) fn migrator(dialect: Dialect, parts: &[Part]) -> Migrator {
    let migrations =
        MIGRATIONS.iter().filter(|(_, _, part, _)| parts.contains(part)).map(|(version, name, _, sql)| {
            let sql = AssertSqlSafe(render(dialect, sql)).into_sql_str();
            Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
        });
    Migrator::with_migrations(migrations.collect())
}

fn render(dialect: Dialect, template: &str) -> String {
    let mut out = String::with_capacity(template.len());
    let mut wanted = true;
    for line in template.lines() {
        match line.strip_prefix("--- ") {
            Some(mark) => match mark.strip_prefix("append-only ") {
                Some(table) => out.push_str(&dialect.append_only(table)),
                None => wanted = mark == "all" || mark == dialect.name(),
            },
            None if wanted => {
                out.push_str(line);
                out.push('\n');
            }
            None => {}
        }
    }
    dialect.schema_words().iter().fold(out, |sql, (word, meaning)| sql.replace(word, meaning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_left_open_in_any_dialect() {
        for dialect in [Dialect::Sqlite, Dialect::MySql, Dialect::Postgres] {
            for (_, name, _, template) in MIGRATIONS {
                let sql = render(dialect, template);
                assert!(!sql.contains('{') && !sql.contains("---"), "{dialect:?} {name}: {sql}");
            }
        }
    }

    #[test]
    fn the_numbers_are_one_sequence() {
        assert!(MIGRATIONS.iter().map(|(version, ..)| *version).eq(1..=MIGRATIONS.len() as i64));
    }
}
