//! Every page of a database is destroyed in turn.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;
use zqlite::salvage::{Lost, SalvageOptions, SalvageReport, SalvagedTable, salvage};
use zqlite::{Error, Verdict};

use crate::pages_of_rows::Tree;
use crate::support::{PAGE, assert_clean, create, len, one, open, page_at, poke, ring, slots};

/// A table, whether it has rowids, and the names of rowid and columns.
pub(crate) const TABLES: [(&str, bool, &str); 8] = [
    ("t", true, "a, a, b, c"),
    ("w", false, "k, n, v"),
    ("r", true, "rowid, x, y"),
    ("g", true, "a, a, b, c"),
    ("shadowed", true, "_rowid_, rowid, oid"),
    ("f_data", true, "id, id, block"),
    ("f_idx", false, "segid, term, pgno"),
    ("many_17", true, "rowid, *"),
];

/// Tables of several levels, long values, indexes, and a schema that does not fit into a page.
pub(crate) fn build(path: &Path) -> Connection {
    let connection = create(path);
    connection
        .execute_batch(
            "PRAGMA application_id=77; PRAGMA user_version=5;
             CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT NOT NULL, c BLOB);
             CREATE INDEX tb ON t(b);
             CREATE TABLE w(n INT, v BLOB, k TEXT, PRIMARY KEY(k, n)) WITHOUT ROWID;
             CREATE TABLE r(x UNIQUE, y REAL);
             CREATE TABLE g(a INTEGER PRIMARY KEY AUTOINCREMENT, b AS (a * 2) STORED, c TEXT CHECK (length(c) > 3));
             CREATE TABLE shadowed(rowid TEXT, oid BLOB);
             CREATE VIRTUAL TABLE f USING fts5(text);
             CREATE VIEW v AS SELECT a, n FROM t JOIN w ON a = n;
             CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO r(x) VALUES ('fired'); END;
             DROP TRIGGER tr;
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 260)
             INSERT INTO t SELECT x * 3, hex(randomblob(60 + x % 100)), CASE WHEN x % 29 = 0 THEN randomblob(9000) END FROM n;
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 260)
             INSERT INTO w SELECT x, randomblob(CASE WHEN x % 31 = 0 THEN 6000 ELSE 90 END), 'key ' || (x * 7919 % 1000) FROM n;
             WITH RECURSIVE n(x) AS (SELECT -40 UNION ALL SELECT x + 1 FROM n WHERE x < 60)
             INSERT INTO r(rowid, x, y) SELECT x * 1000003, 'row ' || x || hex(randomblob(70)), x / 3.0 FROM n;
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 90)
             INSERT INTO g(a, c) SELECT x, hex(randomblob(50)) FROM n;
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 90)
             INSERT INTO shadowed SELECT 'text ' || x, randomblob(90) FROM n;
             WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 60)
             INSERT INTO f SELECT hex(randomblob(60)) || ' word' || x FROM n;
             CREATE TRIGGER tr AFTER DELETE ON g BEGIN DELETE FROM r WHERE x = old.c; END;",
        )
        .unwrap();
    for number in 0..30 {
        // One whose SQL is longer than a page.
        let columns = if number == 20 { 700 } else { 40 };
        let columns: Vec<String> = (0..columns).map(|c| format!("column_{c}")).collect();
        connection
            .execute_batch(&format!(
                "CREATE TABLE many_{number}({0}); INSERT INTO many_{number}(column_3) VALUES ({number}), ('more');",
                columns.join(", ")
            ))
            .unwrap();
    }
    connection
}

/// All rows of a table in the order of its B-tree, rowid first if it has one.
fn rows(connection: &Connection, (table, _, columns): (&str, bool, &str)) -> Vec<Vec<Value>> {
    let mut statement = connection
        .prepare(&format!("SELECT {columns} FROM {table} NOT INDEXED"))
        .unwrap();
    let count = statement.column_count();
    let rows = statement
        .query_map([], |row| (0..count).map(|index| row.get(index)).collect())
        .unwrap();
    let rows: Vec<Vec<Value>> = rows.map(Result::unwrap).collect();
    rows
}

/// A table of the undamaged file.
struct Known {
    table: (&'static str, bool, &'static str),
    tree: Tree,
    /// Each row, and the pages that it needs.
    rows: Vec<(Vec<Value>, BTreeSet<u32>)>,
    /// The pages that its row in the schema table needs.
    schema: BTreeSet<u32>,
}

impl Known {
    fn all(connection: &Connection) -> Vec<Self> {
        let schema = Tree::of(connection, "sqlite_schema").rows(true);
        let names: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_schema ORDER BY rowid")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(names.len(), schema.len());
        TABLES
            .map(|table| {
                let tree = Tree::of(connection, table.0);
                let needs = tree.rows(table.1);
                let rows = rows(connection, table);
                assert_eq!(rows.len(), needs.len(), "{}", table.0);
                let at = names.iter().position(|name| name == table.0).unwrap();
                Self {
                    table,
                    rows: rows.into_iter().zip(needs).collect(),
                    schema: schema[at].clone(),
                    tree,
                }
            })
            .into()
    }

    fn expected(&self, destroyed: &BTreeSet<u32>) -> Vec<Vec<Value>> {
        if !self.schema.is_disjoint(destroyed) {
            return Vec::new();
        }
        let saved = self
            .rows
            .iter()
            .filter(|(_, needs)| needs.is_disjoint(destroyed));
        saved.map(|(row, _)| row.clone()).collect()
    }
}

pub(crate) fn run(from: &Path, to: &Path) -> Result<SalvageReport, Error> {
    let mut options = SalvageOptions::new(ring());
    options.slots = Some(slots());
    options.force = true;
    salvage(from, to, options, &mut |_| true)
}

fn is_named_lost(table: &SalvagedTable, row: &[Value]) -> bool {
    let Value::Integer(rowid) = row[0] else {
        return false;
    };
    table.lost.iter().any(
        |lost| matches!(lost, Lost::Rowids { first, last } if (*first..=*last).contains(&rowid)),
    )
}

/// The tables that a full-text index keeps its data in are saved as they are: SQLite's check knows that they lack rows.
fn assert_sound_but_for_the_full_text_index(out: &Path, report: &SalvageReport) {
    let lacks_rows = |table: &SalvagedTable| table.name.starts_with("f_") && !table.is_complete();
    if report.tables.iter().any(lacks_rows) || !report.problems.is_empty() {
        let made = open(out);
        for table in report.tables.iter().filter(|table| table.name != "f") {
            let name = &table.name;
            let found: String = one(&made, &format!("PRAGMA integrity_check('{name}')"));
            assert_eq!(found, "ok", "{name}");
        }
    } else {
        assert_clean(out);
    }
}

/// Checks the new file and the report against what the destroyed pages leave.
fn check(known: &[Known], destroyed: &BTreeSet<u32>, out: &Path, report: &SalvageReport) {
    let bad: Vec<u32> = report
        .bad_pages
        .iter()
        .map(|page| u32::try_from(*page).unwrap())
        .collect();
    assert_eq!(bad, destroyed.iter().copied().collect::<Vec<_>>());
    assert_sound_but_for_the_full_text_index(out, report);
    let made = open(out);
    for known in known {
        let (name, has_rowids, _) = known.table;
        let expected = known.expected(destroyed);
        let reported = report.tables.iter().find(|table| table.name == name);
        let Some(reported) = reported else {
            assert!(
                !known.schema.is_disjoint(destroyed),
                "{name} is missing, {destroyed:?}"
            );
            assert!(!report.problems.is_empty());
            continue;
        };
        assert_eq!(
            rows(&made, known.table),
            expected,
            "{name}, pages {destroyed:?}"
        );
        assert_eq!(reported.rows, expected.len() as u64, "{name}");
        assert_eq!(reported.refused, 0, "{name}: {destroyed:?}");
        assert_eq!(
            reported.is_complete(),
            expected.len() == known.rows.len(),
            "{name}, {destroyed:?}: {reported:?}"
        );
        let in_tree = reported
            .lost_pages
            .iter()
            .all(|page| known.tree.pages().contains(page) && destroyed.contains(page));
        assert!(in_tree, "{name}, {destroyed:?}: {reported:?}");
        if has_rowids {
            for (row, needs) in &known.rows {
                assert_eq!(
                    is_named_lost(reported, row),
                    !needs.is_disjoint(destroyed),
                    "{name}, {row:?}"
                );
            }
        }
    }
}

fn destroy(path: &Path, page: u32) {
    poke(path, page_at(page.into()) + 1_000, &[0xa5; 64]);
}

#[test]
fn every_row_whose_pages_open_is_saved_whichever_page_is_destroyed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, damaged, out) = (
        folder.path().join("a.db"),
        folder.path().join("damaged.db"),
        folder.path().join("out.db"),
    );
    let connection = build(&path);
    let known = Known::all(&connection);
    assert!(known[0].tree.levels() >= 2 && known[1].tree.levels() >= 2);
    assert!(Tree::of(&connection, "sqlite_schema").levels() >= 2);
    drop(connection);

    let report = run(&path, &out).unwrap();
    check(&known, &BTreeSet::new(), &out, &report);
    assert!(report.is_complete(), "{report:?}");
    let pages = (len(&path) - page_at(1)) / PAGE as u64;
    let (mut incomplete, mut whole) = (0, 0);
    for page in 1..=u32::try_from(pages).unwrap() {
        std::fs::copy(&path, &damaged).unwrap();
        destroy(&damaged, page);
        let report = run(&damaged, &out);
        if page == 1 {
            let error = report.expect_err("without page 1 nothing is known");
            assert_eq!(error.verdict(), Verdict::Damaged, "{error}");
            continue;
        }
        let report = report.unwrap();
        assert_ne!(report.file_id, report.new_file_id);
        check(&known, &BTreeSet::from([page]), &out, &report);
        incomplete += usize::from(!report.is_complete());
        whole += usize::from(report.is_complete());
    }
    assert!(incomplete > 60 && whole > 5, "{incomplete} {whole}");
}

#[test]
fn rows_between_destroyed_pages_are_saved() {
    let folder = tempfile::tempdir().unwrap();
    let (path, damaged, out) = (
        folder.path().join("a.db"),
        folder.path().join("damaged.db"),
        folder.path().join("out.db"),
    );
    let connection = build(&path);
    let known = Known::all(&connection);
    drop(connection);
    let pages = u32::try_from((len(&path) - page_at(1)) / PAGE as u64).unwrap();
    let mut done = 0;
    for (first, step) in [
        (2, 2),
        (3, 2),
        (2, 3),
        (3, 3),
        (4, 3),
        (5, 7),
        (6, 7),
        (9, 7),
    ] {
        let destroyed: BTreeSet<u32> = (first..=pages).step_by(step).collect();
        std::fs::copy(&path, &damaged).unwrap();
        for page in &destroyed {
            destroy(&damaged, *page);
        }
        let report = run(&damaged, &out).unwrap();
        check(&known, &destroyed, &out, &report);
        done += 1;
    }
    assert_eq!(done, 8);
}

#[test]
fn what_is_not_damaged_is_salvaged_whole_with_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("a.db"), folder.path().join("out.db"));
    let connection = build(&path);
    let objects = "SELECT group_concat(type || name || coalesce(sql, ''), char(10)) FROM (SELECT * FROM sqlite_schema ORDER BY type, name)";
    let before: String = one(&connection, objects);
    drop(connection);
    let report = run(&path, &out).unwrap();
    assert!(report.is_complete(), "{report:?}");
    let made = open(&out);
    assert_eq!(one::<String>(&made, objects), before);
    assert_eq!(one::<i64>(&made, "PRAGMA application_id"), 77);
    assert_eq!(one::<i64>(&made, "PRAGMA user_version"), 5);
    assert_eq!(
        one::<i64>(&made, "SELECT seq FROM sqlite_sequence WHERE name = 'g'"),
        90
    );
    assert_eq!(
        one::<i64>(&made, "SELECT count(*) FROM f WHERE f MATCH 'word7'"),
        1
    );
    made.execute_batch("INSERT INTO t(b) VALUES ('new'); DELETE FROM g WHERE a = 3")
        .unwrap();
}
