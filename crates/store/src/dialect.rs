//! Everything in which the three databases differ, apart from the journal's commit (`journal/`).

use std::borrow::Cow;

/// The key of Postgres' advisory lock that stands for the revocation epoch ("doorman1").
pub(crate) const EPOCH_LOCK: &str = "7237123168202350129";

/// Which SQL the server speaks. MariaDB is MySQL here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// SQLite 3.
    Sqlite,
    /// MySQL 8 or MariaDB 10.6 and later.
    MySql,
    /// Postgres 13 and later.
    Postgres,
}

impl Dialect {
    /// `sql` as this dialect wants its parameters: `?` everywhere, `$1` and so on for Postgres. Literals in our SQL
    /// hold no question mark.
    pub(crate) fn parameters(self, sql: Cow<'static, str>) -> Cow<'static, str> {
        if self != Self::Postgres || !sql.contains('?') {
            return sql;
        }
        let mut out = String::with_capacity(sql.len() + 16);
        for (index, part) in sql.split('?').enumerate() {
            if index > 0 {
                out.push('$');
                out.push_str(&index.to_string());
            }
            out.push_str(part);
        }
        out.into()
    }

    /// The name that parts of a migration go by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::MySql => "mysql",
            Self::Postgres => "postgres",
        }
    }

    /// The words that a table definition in `migrations/` leaves open, and what stands for them.
    pub(crate) fn schema_words(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Sqlite => &[
                ("{id}", "BLOB"),
                ("{blob}", "BLOB"),
                ("{int}", "INTEGER"),
                ("{key}", "TEXT"),
                ("{path}", "TEXT"),
                ("{text}", "TEXT"),
                ("{clustered}", "WITHOUT ROWID"),
                ("{table}", ""),
            ],
            // VARBINARY for what is compared: byte for byte, with no case folding and no ignored trailing blanks,
            // which every MySQL collation that MariaDB shares has, so that order and equality are those of SQLite.
            Self::MySql => &[
                ("{id}", "BINARY(16)"),
                ("{blob}", "LONGBLOB"),
                ("{int}", "BIGINT"),
                ("{key}", "VARBINARY(255)"),
                ("{path}", "VARBINARY(8192)"),
                ("{text}", "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
                ("{clustered}", "ENGINE=InnoDB"),
                ("{table}", "ENGINE=InnoDB"),
            ],
            Self::Postgres => &[
                ("{id}", "BYTEA"),
                ("{blob}", "BYTEA"),
                ("{int}", "BIGINT"),
                ("{key}", "TEXT COLLATE \"C\""),
                ("{path}", "TEXT COLLATE \"C\""),
                ("{text}", "TEXT COLLATE \"C\""),
                ("{clustered}", ""),
                ("{table}", ""),
                ("{epoch_lock}", EPOCH_LOCK),
            ],
        }
    }

    /// Makes `table` insert-only: UPDATE and DELETE fail.
    pub(crate) fn append_only(self, table: &str) -> String {
        match self {
            Self::Sqlite => ["UPDATE", "DELETE"]
                .map(|verb| {
                    format!(
                        "CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} \
                         BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;\n"
                    )
                })
                .concat(),
            Self::MySql => ["UPDATE", "DELETE"]
                .map(|verb| {
                    format!(
                        "CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} FOR EACH ROW \
                         SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{table} is append-only';\n"
                    )
                })
                .concat(),
            Self::Postgres => format!(
                "CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} \
                 FOR EACH STATEMENT EXECUTE FUNCTION doorman_append_only();\n"
            ),
        }
    }

    /// What a `SELECT` ends with when the row must not change before the transaction ends.
    pub(crate) fn for_update(self) -> &'static str {
        match self {
            // The whole database is locked for writing since BEGIN IMMEDIATE.
            Self::Sqlite => "",
            Self::MySql | Self::Postgres => " FOR UPDATE",
        }
    }

    /// The function that tells where in its first argument the second begins, byte for byte, from 1; 0 for nowhere.
    pub(crate) fn position(self) -> &'static str {
        match self {
            Self::Sqlite | Self::MySql => "INSTR",
            Self::Postgres => "STRPOS",
        }
    }

    /// An `INSERT` that does nothing when the row is there: what stands before `INTO`, and at the end.
    pub(crate) fn insert_missing(self, into_and_values: &str) -> String {
        match self {
            Self::MySql => format!("INSERT IGNORE {into_and_values}"),
            Self::Sqlite | Self::Postgres => format!("INSERT {into_and_values} ON CONFLICT DO NOTHING"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_postgres_numbers_its_parameters() {
        let sql = "SELECT a FROM b WHERE c = ? AND d IN (?, ?)";
        assert_eq!(Dialect::Sqlite.parameters(sql.into()), sql);
        assert_eq!(
            Dialect::Postgres.parameters(sql.into()),
            "SELECT a FROM b WHERE c = $1 AND d IN ($2, $3)"
        );
    }
}
