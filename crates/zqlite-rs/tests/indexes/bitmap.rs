//! The module `bitmap`. SQLite itself is the oracle: the same condition on the table finds the same rows.

use rusqlite::Connection;
use rusqlite::ffi::SQLITE_CORRUPT_VTAB;

use crate::cidr::{assert_agrees, ids, memory, message, plan, try_ids, values};
use crate::history::{self, Subject};
use crate::support::{code, create, mode, one, open};

const PEERS: &str = "
    CREATE TABLE peers(id INTEGER PRIMARY KEY, os TEXT, region TEXT, tier INTEGER, any);
    INSERT INTO peers VALUES
      (-5, 'linux', 'eu', 1, 1), (1, 'linux', 'us', 2, 1.0), (2, 'macos', 'eu', 1, '1'),
      (3, NULL, 'eu', NULL, x'31'), (4, 'Linux', NULL, 3, NULL), (9000, 'linux', 'eu', 1, 'a');
    CREATE VIRTUAL TABLE peer_tags USING bitmap(peers, os, region, tier, any);";

fn peers() -> Connection {
    let db = memory();
    db.execute_batch(PEERS).unwrap();
    db
}

/// Conditions that are met by sets; the table knows them, too.
const CONDITIONS: [&str; 30] = [
    "os = 'linux'",
    "os = 'LINUX'",
    "os = 'linux' AND region = 'eu'",
    "os = 'linux' AND region = 'eu' AND tier = 1",
    "os = 'linux' AND region <> 'eu'",
    "os <> 'linux'",
    "os <> 'linux' AND region <> 'us'",
    "os IS NULL",
    "os IS NOT NULL",
    "os IS 'linux' AND tier IS NOT 1",
    "os IS NOT 'linux'",
    "os = NULL",
    "os <> NULL",
    "os = 'linux' AND os = 'macos'",
    "os IN ('linux', 'macos', 'none') AND region = 'eu'",
    "region IS NULL OR os IS NULL",
    "tier = 1.0",
    "tier = '1'",
    "tier = ' 1 '",
    "tier = '1x'",
    "tier = x'31'",
    "os = 1",
    "any = 1",
    "any = 1.0",
    "any = '1'",
    "any = x'31'",
    "any IS NOT 1",
    "tier IS NULL AND region = 'eu'",
    "tier <> 1.0",
    "any = 1 AND any = 1.0",
];

fn same(db: &Connection, condition: &str) {
    let table = ids(
        db,
        &format!("SELECT id FROM peers WHERE {condition} ORDER BY id"),
    );
    let index = format!("SELECT rowid FROM peer_tags WHERE {condition} ORDER BY rowid");
    assert_eq!(ids(db, &index), table, "{condition}");
}

#[test]
fn conditions_find_the_rows_that_they_find_in_the_table() {
    let db = peers();
    for condition in CONDITIONS {
        same(&db, condition);
        // These are asked one after another, or checked by SQLite, too.
        let parts = [" OR ", " IN ", "AND os =", "AND any =", "IS NOT NULL"];
        if parts.iter().any(|part| condition.contains(part)) {
            continue;
        }
        let count = format!("SELECT count FROM peer_tags WHERE {condition}");
        let right = ids(
            &db,
            &format!("SELECT count(*) FROM peers WHERE {condition}"),
        );
        assert_eq!(try_ids(&db, &count), Ok(right), "{condition}");
    }
    // Checked by SQLite, row by row.
    for condition in [
        "os > 'a' AND tier < 3",
        "os LIKE 'l%'",
        "os = 'LINUX' COLLATE NOCASE",
        "tier + 0 = 1",
        "id > 0",
    ] {
        let condition = condition.replace("id ", "rowid ");
        same(&db, &condition);
    }
    assert_eq!(ids(&db, "SELECT count FROM peer_tags"), [6]);
    assert_agrees(&db);
}

#[test]
fn a_plan_shows_the_sets() {
    let db = peers();
    for (sql, words) in [
        (
            "SELECT rowid FROM peer_tags WHERE os = 'a' AND region <> 'b'",
            ":os = AND region <> (",
        ),
        (
            "SELECT count FROM peer_tags WHERE os = 'a'",
            ":count of os = (",
        ),
        ("SELECT rowid FROM peer_tags WHERE query = '[]'", ":query ("),
        (
            "SELECT rowid FROM peer_tags WHERE tier IS NOT NULL",
            ":tier IS NOT NULL (",
        ),
        (
            "SELECT rowid FROM peer_tags WHERE os = 'a' COLLATE NOCASE",
            ":all rows ()",
        ),
        ("SELECT rowid FROM peer_tags", ":all rows ()"),
    ] {
        let plan = plan(&db, sql);
        assert!(
            plan.starts_with("SCAN peer_tags VIRTUAL TABLE INDEX ") && plan.contains(words),
            "{plan}"
        );
    }
    let ordered = plan(
        &db,
        "SELECT rowid FROM peer_tags WHERE os = 'a' ORDER BY rowid",
    );
    assert!(!ordered.contains("TEMP B-TREE"), "{ordered}");
}

#[test]
fn a_query_combines_conditions_as_the_table_does() {
    let db = peers();
    for (query, condition) in [
        (r#"["=","os","linux"]"#, "os = 'linux'"),
        (r#"["=","OS",null]"#, "os IS NULL"),
        (
            r#"["in","os","linux",null,"x"]"#,
            "os = 'linux' OR os IS NULL",
        ),
        (r#"["in","os"]"#, "0"),
        (r#"["and"]"#, "1"),
        (r#"["or"]"#, "0"),
        (r#"["not",["=","os","linux"]]"#, "os IS NOT 'linux'"),
        (
            r#"["or",["=","os","macos"],["and",["=","region","us"],["not",["=","tier",1]]]]"#,
            "os = 'macos' OR (region = 'us' AND tier IS NOT 1)",
        ),
        (
            r#"["and",["=","tier",true],["=","any",1.0]]"#,
            "tier = 1 AND any = 1",
        ),
        (r#"["=","tier","1"]"#, "tier = '1'"),
    ] {
        let right = ids(
            &db,
            &format!("SELECT id FROM peers WHERE {condition} ORDER BY id"),
        );
        let sql = format!("SELECT rowid FROM peer_tags WHERE query = '{query}'");
        assert_eq!(ids(&db, &sql), right, "{query}");
        let count = format!("SELECT count FROM peer_tags WHERE query = '{query}'");
        assert_eq!(
            ids(&db, &count),
            [i64::try_from(right.len()).unwrap()],
            "{query}"
        );
        let both = format!("SELECT count FROM peer_tags WHERE query = '{query}' AND region = 'eu'");
        let right = format!("SELECT count(*) FROM peers WHERE ({condition}) AND region = 'eu'");
        assert_eq!(ids(&db, &both), ids(&db, &right), "{query}");
    }
    // What is bound stays a value, whatever it looks like.
    let bound = "SELECT count FROM peer_tags WHERE query = json_array('=', 'os', ?1)";
    let count: i64 = db
        .query_row(bound, [r#"linux"],["or"#], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 0);
    assert_eq!(
        ids(&db, "SELECT count FROM peer_tags WHERE query = NULL").len(),
        1
    );
}

#[test]
fn a_query_that_is_none_is_refused() {
    let db = peers();
    let deep = format!("{}[\"and\"]{}", "[\"not\",".repeat(64), "]".repeat(64));
    let long = format!("[\"in\",\"os\"{}]", ",1".repeat(10_000));
    for (query, why) in [
        ("", "malformed JSON"),
        ("[", "malformed JSON"),
        ("1", "each condition is an array"),
        ("{}", "each condition is an array"),
        ("[]", "a condition begins with"),
        (r#"["xor"]"#, "a condition begins with"),
        (r#"["and","os"]"#, "each condition is an array"),
        (r#"["not"]"#, "takes one condition"),
        (r#"["not",["and"],["and"]]"#, "takes one condition"),
        (r#"["=","os"]"#, "takes a column and a value"),
        (r#"["=","os",1,2]"#, "takes a column and a value"),
        (r#"["=","missing",1]"#, "no column missing"),
        (r#"["=",1,1]"#, "the name of a column is missing"),
        (r#"["=","os",[1]]"#, "a value is"),
        (r#"["=","os",{}]"#, "a value is"),
        (&deep, "too deep"),
        (&long, "too many parts"),
    ] {
        let refused = db.query_row(
            "SELECT count FROM peer_tags WHERE query = ?1",
            [query],
            |row| row.get::<_, i64>(0),
        );
        let message = message(refused);
        assert!(message.contains(why), "{query}: {message}");
    }
    let less = format!("{}[\"and\"]{}", "[\"not\",".repeat(63), "]".repeat(63));
    let sql = format!("SELECT count FROM peer_tags WHERE query = '{less}'");
    assert_eq!(ids(&db, &sql), [0]);
}

#[test]
fn a_count_that_would_be_wrong_is_an_error() {
    let db = peers();
    for sql in [
        "SELECT count FROM peer_tags WHERE os LIKE 'l%'",
        "SELECT count FROM peer_tags WHERE os = 'linux' OR tier > 1",
        "SELECT count FROM peer_tags WHERE os = 'linux' OR region = 'eu'",
        "SELECT count FROM peer_tags WHERE rowid > 1",
        "SELECT count FROM peer_tags WHERE os IS NOT NULL",
        "SELECT count, region FROM peer_tags WHERE os = 'linux'",
        "SELECT count, rowid FROM peer_tags WHERE os = 'linux'",
        "SELECT count FROM peer_tags WHERE os = 'linux' COLLATE NOCASE",
    ] {
        let message = message(try_ids(&db, sql));
        assert!(
            message.contains("count is the number of rows"),
            "{sql}: {message}"
        );
    }
    let wrong = "SELECT rowid FROM peer_tags WHERE query LIKE '[]'";
    assert!(message(try_ids(&db, wrong)).contains("can only be asked as query = X"));
    let each = "SELECT os || ' ' || count FROM peer_tags WHERE os IN ('linux', 'macos', 'x')";
    assert_eq!(
        values(&db, each),
        ["linux 3", "macos 1", "x 0"].map(|text| vec![text.to_owned().into()])
    );
    let joined = "SELECT count FROM (SELECT DISTINCT region r FROM peers WHERE region IS NOT NULL ORDER BY 1)
                  CROSS JOIN peer_tags ON region = r WHERE os = 'linux'";
    assert_eq!(ids(&db, joined), [2, 1]);
}

#[test]
fn what_cannot_be_indexed_is_refused() {
    let db = memory();
    db.execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, a, count, \"Query\")")
        .unwrap();
    let many = vec!["a"; 33].join(", ");
    for (arguments, why) in [
        ("t, count", "the index has one"),
        ("t, \"Query\"", "the index has one"),
        ("t, a, b", "no such column"),
        ("t, a, a", "duplicate column name"),
        (&format!("t, {many}"), "at most 32 columns"),
        ("t", "name the table"),
    ] {
        let sql = format!("CREATE VIRTUAL TABLE x USING bitmap({arguments})");
        let message = message(db.execute_batch(&sql));
        assert!(message.contains(why), "{arguments}: {message}");
        assert_eq!(one::<i64>(&db, "SELECT count(*) FROM sqlite_schema"), 1);
    }
}

#[test]
fn a_text_that_is_not_utf_8_is_refused() {
    let db = peers();
    for sql in [
        "INSERT INTO peers(id, os) VALUES (70, CAST(x'ff' AS TEXT))",
        "UPDATE peers SET any = CAST(x'ff' AS TEXT) WHERE id = 2",
    ] {
        let refused = db.execute(sql, []);
        assert_eq!(code(refused), rusqlite::ffi::SQLITE_MISMATCH, "{sql}");
    }
    assert_agrees(&db);
    let asked = "SELECT rowid FROM peer_tags WHERE os = CAST(x'ff' AS TEXT)";
    assert!(message(try_ids(&db, asked)).contains("not UTF-8"));
}

/// Values that are the same, nearly the same, or look the same.
const VALUES: [&str; 12] = [
    "NULL",
    "1",
    "1.0",
    "'1'",
    "x'31'",
    "'a'",
    "'A'",
    "''",
    "x''",
    "9007199254740993",
    "9007199254740992.0",
    "-0.0",
];

fn agrees(db: &Connection) {
    for condition in [
        "a = 1",
        "a = '1' AND b = 1",
        "a <> 1 AND b IS NOT 'a'",
        "a IS NULL",
        "a = 0",
        "a = 9007199254740993",
        "b = x'31'",
        "b <> ''",
        "1",
    ] {
        let table = ids(
            db,
            &format!("SELECT id FROM t WHERE {condition} ORDER BY id"),
        );
        let index = ids(
            db,
            &format!("SELECT rowid FROM x WHERE {condition} ORDER BY rowid"),
        );
        assert_eq!(index, table, "{condition}");
        if condition != "1" {
            let count = ids(db, &format!("SELECT count FROM x WHERE {condition}"));
            assert_eq!(count, [i64::try_from(table.len()).unwrap()], "{condition}");
        }
    }
    let all = ids(
        db,
        "SELECT count FROM x WHERE query = '[\"not\",[\"=\",\"a\",\"a\"]]'",
    );
    assert_eq!(all, ids(db, "SELECT count(*) FROM t WHERE a IS NOT 'a'"));
    assert_eq!(ids(db, "SELECT count FROM x"), [history::rows(db)]);
    let columns = "SELECT rowid, a, b FROM x ORDER BY rowid";
    assert_eq!(
        values(db, columns),
        values(db, "SELECT id, a, b FROM t ORDER BY id")
    );
}

#[test]
fn the_index_agrees_with_its_table_through_every_history() {
    let subject = Subject {
        index: "CREATE VIRTUAL TABLE x USING bitmap(t, a, b)",
        values: |number| {
            let number = usize::from(number);
            [
                VALUES[number % 12].to_owned(),
                VALUES[(number + number / 12) % 12].to_owned(),
            ]
        },
        check: agrees,
    };
    history::runs(&subject, 48);
}

#[test]
fn many_rows_agree_with_the_table_and_one_change_rewrites_little() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let db = create(&path);
    db.execute_batch(
        "BEGIN;
         CREATE TABLE peers(id INTEGER PRIMARY KEY, os, region, tier, any);
         WITH RECURSIVE n(x) AS (SELECT -9999 UNION ALL SELECT x+1 FROM n WHERE x < 30000)
         INSERT INTO peers SELECT x * 3, CASE WHEN x % 100 = 0 THEN 'rare' WHEN x % 7 < 5 THEN 'linux' END,
                                  abs(x * 2654435761) % 5, x / 1000, NULL FROM n;
         CREATE VIRTUAL TABLE peer_tags USING bitmap(peers, os, region, tier, any);
         COMMIT;",
    )
    .unwrap();
    for condition in [
        "os = 'linux' AND region = 2",
        "os = 'rare'",
        "os IS NULL AND tier = 3",
        "region <> 1 AND tier <> 2 AND os <> 'rare'",
        "any IS NULL",
    ] {
        same(&db, condition);
        let right = ids(
            &db,
            &format!("SELECT count(*) FROM peers WHERE {condition}"),
        );
        assert_eq!(
            ids(
                &db,
                &format!("SELECT count FROM peer_tags WHERE {condition}")
            ),
            right
        );
    }
    assert_agrees(&db);
    mode(&db, "WAL");
    db.execute_batch("DELETE FROM peers WHERE id = 0").unwrap();
    assert_eq!(ids(&db, "PRAGMA wal_checkpoint(TRUNCATE)"), [0]);
    db.execute_batch("UPDATE peers SET os = 'rare' WHERE id = 300 + 3")
        .unwrap();
    // The row of the table, of `rows`, of `state`, and two chunks of sets; less than two pages for each.
    let written = std::fs::metadata(path.with_extension("db-wal"))
        .unwrap()
        .len()
        / 4_096;
    assert!((1..10).contains(&written), "{written} pages");
    same(&db, "os = 'rare'");
    db.execute_batch("DELETE FROM peers WHERE id % 2 = 0")
        .unwrap();
    same(&db, "os = 'linux' AND region = 2");
    assert_agrees(&db);
    drop(db);
    let db = open(&path);
    same(&db, "os = 'rare'");
    db.execute_batch("DELETE FROM peers").unwrap();
    for table in ["values", "chunks", "rows"] {
        assert_eq!(
            ids(&db, &format!("SELECT count(*) FROM peer_tags_{table}")),
            [0]
        );
    }
    assert_agrees(&db);
}

#[test]
fn a_renamed_index_and_a_renamed_column_stay_indexed() {
    let db = peers();
    db.execute_batch(
        "ALTER TABLE peers RENAME COLUMN os TO system;
         ALTER TABLE peer_tags RENAME TO tags;
         INSERT INTO peers(id, system) VALUES (70, 'linux');",
    )
    .unwrap();
    assert_eq!(
        ids(&db, "SELECT rowid FROM tags WHERE os = 'linux'"),
        [-5, 1, 70, 9000]
    );
    assert_agrees(&db);
    db.execute_batch("DROP TABLE tags").unwrap();
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM sqlite_schema"), 1);
}

#[test]
fn forged_shadow_tables_are_reported_as_damage() {
    let mut forged = 0;
    for sql in [
        "UPDATE peer_tags_chunks SET bits = x''",
        "UPDATE peer_tags_chunks SET bits = x'01'",
        "UPDATE peer_tags_chunks SET bits = x'ffff'",
        "UPDATE peer_tags_chunks SET bits = x'01000100'",
        "UPDATE peer_tags_chunks SET bits = zeroblob(512)",
        "UPDATE peer_tags_chunks SET bits = zeroblob(100000000)",
        "UPDATE peer_tags_chunks SET bits = 'text'",
        "UPDATE peer_tags_chunks SET chunk = -1 - chunk",
        "UPDATE peer_tags_chunks SET chunk = chunk + 4503599627370496",
        "UPDATE peer_tags_chunks SET chunk = 9223372036854775807 - chunk",
        "DELETE FROM peer_tags_state",
    ] {
        let db = peers();
        db.execute_batch(sql).unwrap();
        for asked in [
            "SELECT rowid FROM peer_tags WHERE os = 'linux'",
            "SELECT count FROM peer_tags",
        ] {
            assert_eq!(code(try_ids(&db, asked)), SQLITE_CORRUPT_VTAB, "{sql}");
        }
        let report: String = one(&db, "PRAGMA integrity_check");
        assert!(
            report.contains("damaged") || sql.contains("state"),
            "{sql}: {report}"
        );
        forged += 1;
    }
    assert_eq!(forged, 11);
    let numbers = "UPDATE peer_tags_values SET id = 0 WHERE value = 'linux'";
    let db = peers();
    db.execute_batch(numbers).unwrap();
    let asked = "SELECT rowid FROM peer_tags WHERE os = 'linux'";
    assert_eq!(code(try_ids(&db, asked)), SQLITE_CORRUPT_VTAB);
    for sql in [
        "DELETE FROM peer_tags_rows WHERE id = 1",
        "UPDATE peer_tags_rows SET v1 = v2 WHERE id = 1",
        "UPDATE peer_tags_values SET value = 'other' WHERE value = 'linux'",
        "DELETE FROM peer_tags_chunks WHERE value = 1",
        "INSERT INTO peer_tags_chunks VALUES (99, 0, x'0100')",
        "INSERT INTO peer_tags_values VALUES (99, 0, 'unused')",
    ] {
        let db = peers();
        assert_agrees(&db);
        db.execute_batch(sql).unwrap();
        let report: String = one(&db, "PRAGMA integrity_check");
        assert!(report.starts_with("index peer_tags: "), "{sql}: {report}");
        db.execute_batch("INSERT INTO peer_tags(changed) VALUES ('all')")
            .unwrap();
        assert_agrees(&db);
    }
    // A write that meets damage is refused as such.
    let db = peers();
    db.execute_batch("DELETE FROM peer_tags_chunks").unwrap();
    assert_eq!(
        code(db.execute("DELETE FROM peers", [])),
        SQLITE_CORRUPT_VTAB
    );
    assert_eq!(ids(&db, "SELECT count(*) FROM peers"), [6]);
}
