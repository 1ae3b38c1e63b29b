//! Conditions that compare otherwise than most: types, collations, rows of values, orders of joins.

use crate::cidr::{assert_agrees, ids, memory, plan};

#[test]
fn any_in_a_strict_table_keeps_values_as_they_are() {
    for (options, one) in [("STRICT", [2]), ("", [1])] {
        let db = memory();
        db.execute_batch(&format!(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, a ANY) {options};
             INSERT INTO t VALUES (1, 1), (2, '1');
             CREATE VIRTUAL TABLE x USING bitmap(t, a);"
        ))
        .unwrap();
        for condition in ["a = '1'", "a = 1", "a <> '1'", "a IS 1"] {
            let right = ids(&db, &format!("SELECT id FROM t WHERE {condition}"));
            let found = ids(&db, &format!("SELECT rowid FROM x WHERE {condition}"));
            assert_eq!(found, right, "{options} {condition}");
        }
        assert_eq!(ids(&db, "SELECT rowid FROM x WHERE a = '1'")[..1], one);
        assert_agrees(&db);
    }
}

#[test]
fn conditions_of_every_shape_find_what_the_table_has() {
    let db = memory();
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, os TEXT, tier INTEGER);
         WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 60)
         INSERT INTO t SELECT x, CASE WHEN x % 7 THEN substr('abcd', x % 4 + 1, 1) END, nullif(x % 5, 3) FROM n;
         CREATE TABLE other(os TEXT, tier INTEGER, n INTEGER);
         INSERT INTO other VALUES ('a', 1, 1), ('b', 2, 2), (NULL, 4, 3), ('zz', NULL, 4);
         CREATE VIRTUAL TABLE x USING bitmap(t, os, tier);",
    )
    .unwrap();
    let mut compared = 0;
    for condition in [
        "(T.os, T.tier) = ('a', 1)",
        "(T.os, T.tier) IN (VALUES ('a', 1), ('b', 2))",
        "(T.os, T.tier) > ('b', 2)",
        "(T.os, T.tier) IS ('a', NULL)",
        "T.os IN (SELECT os FROM other)",
        "T.os NOT IN ('a', 'b')",
        "NOT (T.os = 'a' AND T.tier = 1)",
        "NOT (T.os = 'a' OR T.tier = 1)",
        "T.os = 'a' OR (T.tier = 2 AND T.os <> 'b')",
        "T.os IS NOT DISTINCT FROM NULL",
        "T.os = 'a' AND T.os = 'b'",
        "T.os IN ('a', 'b') AND T.os IN ('b', 'c')",
        "EXISTS (SELECT 1 FROM other WHERE other.os = T.os AND other.tier = T.tier)",
        "T.tier BETWEEN 1 AND 2 AND T.os = 'a'",
        "T.os LIKE 'A' AND T.tier = 1",
        "CASE WHEN T.os = 'a' THEN T.tier = 1 ELSE T.tier = 2 END",
        "T.os = (SELECT os FROM other WHERE n = 2)",
        "T.tier = '1' AND T.os = 'a'",
        "T.tier = 1.0",
        "T.os = 'a' IS TRUE",
    ] {
        let id = |table: &str, key: &str, tail: &str| {
            format!("SELECT T.{key} FROM {table} T WHERE {condition} {tail}")
        };
        for (by_key, by_rowid) in [
            ("ORDER BY id", "ORDER BY rowid"),
            ("ORDER BY id DESC", "ORDER BY rowid DESC"),
            (
                "ORDER BY id LIMIT 3 OFFSET 1",
                "ORDER BY rowid LIMIT 3 OFFSET 1",
            ),
        ] {
            let right = ids(&db, &id("t", "id", by_key));
            assert_eq!(
                ids(&db, &id("x", "rowid", by_rowid)),
                right,
                "{condition} {by_key}"
            );
            compared += 1;
        }
    }
    for join in [
        "other LEFT JOIN X ON X.os = other.os",
        "other LEFT JOIN X ON X.os = other.os AND X.tier = other.tier",
        "other LEFT JOIN X ON X.os = other.os WHERE X.tier IS NULL",
        "other LEFT JOIN X ON X.os IS other.os WHERE X.tier = 1",
        "X LEFT JOIN other ON X.os = other.os AND X.tier = 1",
        "other RIGHT JOIN X ON X.os = other.os AND X.tier = 1",
        "other FULL JOIN X ON X.os = other.os AND X.tier = 2",
        "other JOIN X USING (os, tier)",
        "X AS a JOIN X AS b ON a.os = b.os AND a.tier = 1 AND b.tier = 2",
    ] {
        let sum = |table: &str| {
            let sql = format!(
                "SELECT count(*) * 1000000 + ifnull(sum(length(X.os)), 0) * 1000 + ifnull(sum(X.tier), 0)
                 FROM {}",
                join.replace("X ", &format!("{table} "))
            );
            let sql = if join.contains("AS a") {
                sql.replace("X.", "b.")
            } else {
                sql.replace("X.", &format!("{table}."))
            };
            ids(&db, &sql)
        };
        assert_eq!(sum("x"), sum("t"), "{join}");
        compared += 1;
    }
    assert_eq!(compared, 20 * 3 + 9);
}

#[test]
fn a_count_in_a_join_gets_its_values_first() {
    let db = memory();
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, os TEXT, region TEXT);
         INSERT INTO t VALUES (1, 'a', 'eu'), (2, 'a', 'us'), (3, 'b', 'eu');
         CREATE TABLE systems(name TEXT);
         INSERT INTO systems VALUES ('a'), ('b'), ('c');
         CREATE VIRTUAL TABLE x USING bitmap(t, os, region);",
    )
    .unwrap();
    for from in ["systems JOIN x ON os = name", "x JOIN systems ON os = name"] {
        let sql = format!("SELECT count FROM {from} ORDER BY name");
        assert_eq!(ids(&db, &sql), [2, 1, 0], "{from}");
        let shown = plan(&db, &sql);
        assert!(shown.contains("count of os ="), "{shown}");
    }
    // One of two that depend on each other comes first, row by row, and the other counts.
    let each = "SELECT a.count FROM x a JOIN x b ON a.os = b.os";
    assert_eq!(ids(&db, each), [2, 2, 1]);
}

#[test]
fn what_stands_on_the_other_side_is_compared_as_it_is() {
    let db = memory();
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, os TEXT);
         INSERT INTO t VALUES (1, '1'), (2, '01');
         CREATE TABLE numbers(n INTEGER); INSERT INTO numbers VALUES (1);
         CREATE VIRTUAL TABLE x USING bitmap(t, os);",
    )
    .unwrap();
    // SQLite would make numbers of the texts, since the other side is a column of numbers: a cast says what is meant.
    let by_column = "SELECT x.rowid FROM numbers CROSS JOIN x ON os = n";
    assert_eq!(ids(&db, by_column), [1]);
    for (table, key) in [("t", "t.id"), ("x", "x.rowid")] {
        let by_text =
            format!("SELECT {key} FROM numbers CROSS JOIN {table} ON os = CAST(n AS TEXT)");
        assert_eq!(ids(&db, &by_text), [1]);
    }
}
