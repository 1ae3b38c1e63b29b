//! What goes in comes out: databases with every feature of SQLite, sealed and opened again.

use std::path::{Path, PathBuf};

use zqlite::rusqlite::types::Value;
use zqlite::rusqlite::{Connection, OpenFlags};

use crate::support::{Bench, sqlite3};

/// Tables, indexes, triggers, views and all kinds of values.
const ORDINARY: &str = "
    CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, b BLOB, c REAL, \"order\" ANY);
    CREATE INDEX t_a ON t(a COLLATE NOCASE) WHERE a IS NOT NULL; -- partial
    CREATE VIEW v AS SELECT id, a FROM t;
    CREATE TABLE log(id);
    CREATE TRIGGER log_t AFTER DELETE ON t BEGIN INSERT INTO log VALUES (old.id); SELECT 1; END;
    INSERT INTO t(a, b, c, \"order\") VALUES
        ('plain', x'00ff', 0.5, 9223372036854775807), ('it''s', zeroblob(10), -2.25, -1),
        ('zwei' || char(10) || 'Zeilen', NULL, 1e15, 1.0), ('ünïcödé 語 🦀', x'', 9e999, 'x'),
        (char(13, 10) || '\\n', NULL, -9e999, NULL);
    DELETE FROM t WHERE id = 2;
    CREATE TABLE many(n INTEGER, filler TEXT);
    INSERT INTO many WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 500)
        SELECT n, hex(zeroblob(n % 400)) FROM c;
    CREATE INDEX many_n ON many(n);
    ANALYZE;";

#[test]
fn ordinary_databases() {
    for page_size in [512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536_u32] {
        let bench = Bench::with_plain();
        bench.database(
            "in.db",
            &format!("PRAGMA page_size = {page_size}; {ORDINARY}"),
        );
        let said = round_trip(&bench);
        let is_said = said.contains(&format!("page size {page_size} becomes 4096"));
        assert_eq!(is_said, page_size < 4_096, "{said}");
        let sealed_size = bench.query(["--csv", "PRAGMA page_size"]).ok().stdout;
        assert_eq!(
            sealed_size,
            format!("page_size\r\n{}\r\n", page_size.max(4_096))
        );
    }
}

#[test]
fn page_size_can_be_chosen() {
    let bench = Bench::with_plain();
    bench.database("in.db", ORDINARY);
    bench
        .run([
            "encrypt",
            "in.db",
            "sealed.db",
            "-R",
            "me.recipient",
            "--page-size",
            "16384",
        ])
        .ok();
    let run = bench.query(["--csv", "PRAGMA page_size"]).ok();
    assert_eq!(run.stdout, "page_size\r\n16384\r\n");
    let args = [
        "encrypt",
        "in.db",
        "other.db",
        "-R",
        "me.recipient",
        "--page-size",
        "5000",
    ];
    bench
        .run(args)
        .fails_with(2, "4096, 8192, 16384, 32768 or 65536");
    assert!(!bench.path("other.db").exists());
}

#[test]
fn wal_databases() {
    let bench = Bench::with_plain();
    // The connection stays open, so that the newest rows are in the WAL alone.
    let writer = Connection::open(bench.path("in.db")).unwrap();
    writer
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;")
        .unwrap();
    writer.execute_batch(ORDINARY).unwrap();
    assert!(bench.path("in.db-wal").metadata().unwrap().len() > 0);
    round_trip(&bench);
    drop(writer);
    round_trip_again(&bench);
}

#[test]
fn without_rowid_strict_and_generated_columns() {
    feature(
        "CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
         INSERT INTO w VALUES ('b', 1), ('a', 2);
         CREATE TABLE s(i INTEGER, t TEXT) STRICT;
         INSERT INTO s VALUES (1, 'x');
         CREATE TABLE g(a INT, b INT GENERATED ALWAYS AS (a * 2) STORED, c INT AS (a + b));
         INSERT INTO g(a) VALUES (1), (2);
         CREATE INDEX g_c ON g(c);",
    );
}

#[test]
fn full_text_search() {
    let bench = feature(
        "CREATE VIRTUAL TABLE f USING fts5(title, body, tokenize = 'porter');
         INSERT INTO f VALUES ('one', 'the quick brown fox'), ('two', 'jumps over the dog');
         CREATE VIRTUAL TABLE e USING fts5(body, content = '', contentless_delete = 1);
         INSERT INTO e(rowid, body) VALUES (7, 'nothing is kept');",
    );
    let run = bench
        .query(["--csv", "SELECT title FROM f WHERE f MATCH 'jump'"])
        .ok();
    assert_eq!(run.stdout, "title\r\ntwo\r\n");
}

#[test]
fn r_tree() {
    let bench = feature(
        "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1, y0, y1);
         INSERT INTO r VALUES (1, 0, 10, 0, 10), (2, 5, 6, 5, 6), (3, 100, 110, 100, 110);",
    );
    let run = bench
        .query(["--csv", "SELECT id FROM r WHERE x0 < 20 ORDER BY id"])
        .ok();
    assert_eq!(run.stdout, "id\r\n1\r\n2\r\n");
}

#[test]
fn header_fields_and_encodings() {
    for setting in [
        "PRAGMA application_id = 1234567; PRAGMA user_version = -5;",
        "PRAGMA auto_vacuum = FULL;",
        "PRAGMA auto_vacuum = INCREMENTAL;",
        "PRAGMA encoding = 'UTF-16le';",
        "PRAGMA encoding = 'UTF-16be';",
    ] {
        feature(&format!("{setting} {ORDINARY}"));
    }
}

#[test]
fn reserved_bytes() {
    let bench = Bench::with_plain();
    bench.database("in.db", "PRAGMA page_size = 4096; PRAGMA user_version = 1;");
    // No cell is on the only page yet, so two fields are all that depends on the reserve.
    let mut page = bench.read("in.db");
    assert_eq!((page.len(), page[20]), (4_096, 0));
    page[20] = 32;
    page[105..107].copy_from_slice(&(4_096_u16 - 32).to_be_bytes());
    bench.write("in.db", page);
    bench.database("in.db", ORDINARY);
    assert_eq!(bench.read("in.db")[20], 32);
    round_trip(&bench);
}

#[test]
fn empty_schema() {
    feature("PRAGMA user_version = 7;");
}

#[test]
fn chinook() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/chinook.sqlite");
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: no {}", path.display());
        return;
    };
    let bench = Bench::with_plain();
    bench.write("in.db", bytes);
    round_trip(&bench);
}

#[test]
fn existing_targets_are_replaced_only_by_force() {
    let bench = Bench::with_sealed();
    let before = bench.snapshot();
    bench
        .run(["encrypt", "plain.db", "sealed.db", "-R", "me.recipient"])
        .fails_with(1, "--force");
    bench
        .run(["decrypt", "sealed.db", "plain.db", "-i", "me.identity"])
        .fails_with(1, "--force");
    assert_eq!(bench.snapshot(), before);
    bench
        .run([
            "encrypt",
            "plain.db",
            "plain.db",
            "-R",
            "me.recipient",
            "--force",
        ])
        .fails_with(2, "two different");
    bench
        .run([
            "decrypt",
            "sealed.db",
            "plain.db",
            "-i",
            "me.identity",
            "--force",
        ])
        .ok();
    bench
        .run([
            "encrypt",
            "plain.db",
            "sealed.db",
            "-R",
            "me.recipient",
            "--force",
        ])
        .ok();
    assert_ne!(bench.read("sealed.db"), before["sealed.db"]);
    bench.run(["verify", "sealed.db", "-i", "me.identity"]).ok();
}

fn feature(sql: &str) -> Bench {
    let bench = Bench::with_plain();
    bench.database("in.db", sql);
    round_trip(&bench);
    bench
}

fn round_trip(bench: &Bench) -> String {
    let before = State::of(&bench.path("in.db"));
    let said = bench
        .run(["encrypt", "in.db", "sealed.db", "-R", "me.recipient"])
        .ok()
        .stdout;
    bench.run(["verify", "sealed.db", "-i", "me.identity"]).ok();
    let args = ["shell", "sealed.db", "--read-only", "-i", "me.identity"];
    let dump = bench.run_with_stdin(args, ".dump\n").ok().stdout;
    bench
        .run(["decrypt", "sealed.db", "out.db", "-i", "me.identity"])
        .ok();
    let after = State::of(&bench.path("out.db"));
    assert!(
        before == after,
        "{:?} became {:?}",
        before.pragmas,
        after.pragmas
    );
    // The shells of SQLite, where there is one, write the same.
    match (
        sqlite3(&bench.path("in.db"), ".dump"),
        sqlite3(&bench.path("out.db"), ".dump"),
    ) {
        (Some(plain), Some(out)) => {
            assert_same_lines(&plain, &out);
            assert_same_lines(&plain, &dump);
        }
        _ => println!("skipped: no sqlite3 shell to compare with"),
    }
    // What `.dump` writes makes the same database again, for any SQLite.
    let path = bench.path("restored.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(&dump).unwrap();
    drop(connection);
    let restored = State::of(&path);
    assert_eq!(before.schema, restored.schema);
    assert!(before.rows == restored.rows, "{dump}");
    std::fs::remove_file(path).unwrap();
    said
}

fn round_trip_again(bench: &Bench) {
    for name in ["sealed.db", "out.db"] {
        std::fs::remove_file(bench.path(name)).unwrap();
    }
    round_trip(bench);
}

/// Names the first line that differs; whole dumps are too long to read.
#[track_caller]
fn assert_same_lines(left: &str, right: &str) {
    assert_eq!(left.lines().count(), right.lines().count());
    for (left, right) in left.lines().zip(right.lines()) {
        let is_same = left
            .split(',')
            .zip(right.split(','))
            .all(|(a, b)| is_same_value(a, b));
        assert!(is_same, "{left}\n{right}");
    }
}

/// How many digits of a real are printed depends on the version of SQLite.
fn is_same_value(a: &str, b: &str) -> bool {
    let number = |text: &str| {
        text.rsplit('(')
            .next()?
            .trim_end_matches([')', ';'])
            .parse::<f64>()
            .ok()
    };
    a == b || number(a).is_some_and(|a| number(b) == Some(a))
}

/// Everything that must survive.
#[derive(Debug, PartialEq)]
struct State {
    pragmas: Vec<(&'static str, Value)>,
    schema: Vec<Vec<Value>>,
    rows: Vec<(String, Vec<Vec<Value>>)>,
}

impl State {
    fn of(path: &PathBuf) -> Self {
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        let pragma = |name| {
            (
                name,
                query(&connection, &format!("PRAGMA {name}"))[0][0].clone(),
            )
        };
        assert_eq!(pragma("integrity_check").1, Value::Text("ok".to_owned()));
        let schema = query(
            &connection,
            "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name",
        );
        let tables = query(
            &connection,
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
        );
        let rows = tables.into_iter().filter_map(|row| {
            let Value::Text(name) = &row[0] else {
                unreachable!()
            };
            // A contentless table cannot be read; its shadow tables are.
            (name != "e").then(|| {
                (
                    name.clone(),
                    query(&connection, &format!("SELECT * FROM \"{name}\"")),
                )
            })
        });
        Self {
            pragmas: ["application_id", "user_version", "auto_vacuum", "encoding"]
                .map(pragma)
                .into(),
            rows: rows.collect(),
            schema,
        }
    }
}

fn query(connection: &Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|index| row.get(index)).collect());
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}
