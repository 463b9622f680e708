//! How each database goes about a list, in its own words: along an index, in order, for every documented filter.

use crate::audit::filter::{AuditFilter, StatusFilter};
use crate::audit::page::walks;
use crate::audit::scan::Walk;
use crate::dialect::Dialect;
use crate::{Database, DatabaseConfig};
use doorman_core::id::AuditId;
use doorman_core::record::{Kind, OutcomeState};
use doorman_testkit::{mariadb, postgres};

/// Enough that no planner thinks reading everything cheaper.
const ROWS: u32 = 40_000;

#[tokio::test]
async fn on_sqlite_every_filter_goes_along_its_index_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("doorman.db").display());
    check(&url, &["SCAN", "TEMP B-TREE"]).await;
}

#[tokio::test]
async fn on_mariadb_every_filter_goes_along_its_index_in_order() {
    let url = mariadb::shared().unwrap().database().unwrap();
    // `index` reads a whole index, `ALL` the table.
    check(&url, &[r#""access_type": "ALL""#, r#""access_type": "index""#, "filesort", "temporary"]).await;
}

#[tokio::test]
async fn on_postgres_every_filter_goes_along_its_index_in_order() {
    let url = postgres::shared().unwrap().database().unwrap();
    check(&url, &["Seq Scan", "Sort", "Bitmap"]).await;
}

/// Fails if the plan of any query of any list holds one of `bad`.
async fn check(url: &str, bad: &[&str]) {
    let database = Database::connect(&DatabaseConfig::new(url)).await.unwrap();
    database.migrate().await.unwrap();
    fill(&database).await;
    let middle = AuditId(*format!("{:016}", ROWS / 2).as_bytes().first_chunk().unwrap());
    for (index, filter) in filters() {
        for below in [AuditId([0xff; 16]), middle] {
            for walk in walks(&filter, below) {
                let column = walk.driver.as_ref().map(|driver| driver.column());
                assert!(
                    column.is_none_or(|column| index.contains(&column)),
                    "{filter:?} goes along {column:?}"
                );
                for plan in plans(&database, &walk).await {
                    for bad in bad {
                        assert!(!plan.contains(bad), "{filter:?}: {bad}\n{plan}");
                    }
                    if let Some(column) = column {
                        assert!(plan.contains(&format!("audit_by_{column}")), "{filter:?}: {plan}");
                    }
                }
            }
        }
    }
    let tail = "SELECT id, writer, record FROM journal WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?";
    let args = crate::driver::args![[0; 16], [0xff; 16], 5_000u32];
    let sql = format!("{} {tail}", explain(database.dialect()).0);
    let plan = database.pool.rows(sql, args).await.unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.text(explain(database.dialect()).1).unwrap()).collect();
    assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE") || line.contains("filesort")), "{plan:?}");
    database.close().await;
}

/// The plans of a walk's queries: for rows, and for where a part ends.
async fn plans(database: &Database, walk: &Walk<'_>) -> [String; 2] {
    let dialect = database.dialect();
    let (explain, column) = explain(dialect);
    let (from, _) = walk.filter.id_range();
    let mut plans = [walk.select(dialect, from, 51), walk.part_end(dialect, from, 1_000)].into_iter();
    let mut next = async || {
        let (sql, args) = plans.next().unwrap();
        let rows = database.index.rows(format!("{explain} {sql}"), &args).await.unwrap();
        rows.iter().map(|row| row.text(column).unwrap()).collect::<Vec<_>>().join("\n")
    };
    [next().await, next().await]
}

/// What shows how a query is run, and in which column.
fn explain(dialect: Dialect) -> (&'static str, usize) {
    match dialect {
        Dialect::Sqlite => ("EXPLAIN QUERY PLAN", 3),
        Dialect::MySql => ("EXPLAIN FORMAT=JSON", 0),
        Dialect::Postgres => ("EXPLAIN", 0),
    }
}

/// Every documented filter, alone and in the pairs that must be as fast, with the columns that it may go along.
fn filters() -> Vec<(&'static [&'static str], AuditFilter)> {
    let (all, text) = (AuditFilter::default, |value: &str| Some(value.to_owned()));
    // A filter that is added must be thought of here.
    let AuditFilter {
        actor: _,
        subject: _,
        region: _,
        service: _,
        instance: _,
        method: _,
        path: _,
        status: _,
        outcome: _,
        kind: _,
        run: _,
        from_ms: _,
        to_ms: _,
        q: _,
        own_of: _,
    } = all();
    let [from_ms, to_ms] = [Some(1_000), Some(u64::MAX)];
    vec![
        (&[], all()),
        (&["actor"], AuditFilter { actor: text("user:3"), ..all() }),
        (&["subject"], AuditFilter { subject: text("user:3"), ..all() }),
        (&["actor", "subject"], AuditFilter { own_of: text("user:3"), ..all() }),
        (&["region"], AuditFilter { region: text("eu"), ..all() }),
        (&["service"], AuditFilter { service: text("echo"), ..all() }),
        (&["instance"], AuditFilter { instance: text("echo-1"), ..all() }),
        (&["method"], AuditFilter { method: text("GET"), ..all() }),
        (&["status"], AuditFilter { status: Some(StatusFilter::Exact(404)), ..all() }),
        (&["status_class"], AuditFilter { status: Some(StatusFilter::Class(2)), ..all() }),
        (&["outcome"], AuditFilter { outcome: Some(OutcomeState::Done), ..all() }),
        (&["kind"], AuditFilter { kind: Some(Kind::Request), ..all() }),
        (&["run"], AuditFilter { run: text("run-3"), ..all() }),
        (&[], AuditFilter { from_ms, ..all() }),
        (&[], AuditFilter { to_ms, ..all() }),
        (&[], AuditFilter { path: text("/companies"), ..all() }),
        (&[], AuditFilter { q: text("ticket"), ..all() }),
        (&["actor"], AuditFilter { actor: text("user:3"), from_ms, to_ms, ..all() }),
        (&["service"], AuditFilter { service: text("echo"), from_ms, to_ms, ..all() }),
        (&["run"], AuditFilter { run: text("run-3"), service: text("echo"), ..all() }),
        (&["service"], AuditFilter { service: text("echo"), q: text("ticket"), ..all() }),
    ]
}

/// Rows as the indexer would write them, made by the database itself.
async fn fill(database: &Database) {
    let (numbers, id, text) = match database.dialect() {
        Dialect::Sqlite => (
            "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < {rows}) SELECT n FROM t",
            "CAST(printf('%016d', n) AS BLOB)",
            "CAST(n % {of} AS TEXT)",
        ),
        Dialect::MySql => {
            ("SELECT seq AS n FROM seq_1_to_{rows}", "LPAD(n, 16, '0')", "CAST(n % {of} AS CHAR)")
        }
        Dialect::Postgres => (
            "SELECT n FROM generate_series(1, {rows}) AS g(n)",
            "convert_to(lpad(n::text, 16, '0'), 'UTF8')",
            "(n % {of})::text",
        ),
    };
    let (open, close) = if database.dialect() == Dialect::MySql { ("CONCAT(", ")") } else { ("", "") };
    let named = |prefix: &str, of: u32| {
        let text = text.replace("{of}", &of.to_string());
        let between = if open.is_empty() { " || " } else { ", " };
        format!("{open}'{prefix}'{between}{text}{close}")
    };
    let sql = format!(
        "INSERT INTO audit_index (id, kind, actor, subject, region, service, instance, method, path, run, status, \
         status_class, outcome, search) SELECT {id}, CASE WHEN n % 20 = 0 THEN 'login' ELSE 'request' END, {actor}, {actor}, \
         CASE WHEN n % 3 = 0 THEN 'us' ELSE 'eu' END, CASE WHEN n % 4 = 0 THEN 'companies' ELSE 'echo' END, {instance}, \
         'GET', '/companies', {run}, CASE WHEN n % 50 = 0 THEN 404 ELSE 200 END, CASE WHEN n % 50 = 0 THEN 4 ELSE 2 END, \
         'done', 'ticket' FROM ({numbers}) numbers",
        actor = named("user:", 40),
        instance = named("echo-", 3),
        run = named("run-", 500),
        numbers = numbers.replace("{rows}", &ROWS.to_string()),
    );
    database.index.execute(sql, &[]).await.unwrap();
    // As autovacuum does it: planners know the values, and which pages all can see.
    let analyze = match database.dialect() {
        Dialect::Sqlite => "ANALYZE audit_index",
        Dialect::MySql => "ANALYZE TABLE audit_index",
        Dialect::Postgres => "VACUUM ANALYZE audit_index",
    };
    database.index.rows(analyze, &[]).await.unwrap();
}
